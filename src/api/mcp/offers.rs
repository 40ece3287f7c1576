//! Which operations of the API agents are offered, and what of their answers is worth telling.

use serde_json::{Map, Value, json};

pub struct Offer {
    pub name: &'static str,
    /// Its id in the document of the API.
    pub operation: &'static str,
    /// Whether it does more than to read.
    pub changes: bool,
    /// What is told of an answer.
    pub told: fn(&Value) -> Value,
}

const fn reads(name: &'static str, operation: &'static str, told: fn(&Value) -> Value) -> Offer {
    Offer {
        name,
        operation,
        changes: false,
        told,
    }
}

const fn changes(name: &'static str, operation: &'static str) -> Offer {
    Offer {
        name,
        operation,
        changes: true,
        told: whole,
    }
}

pub const OFFERS: [Offer; 16] = [
    reads("list_accounts", "list_credentials", whole),
    reads("list_configs", "list_canary_configs", whole),
    reads("read_config", "find_canary_config", whole),
    reads("lint_config", "lint_canary_config", whole),
    reads("try_config", "replay_runs", whole),
    reads("list_canaries", "list_canary_executions", in_short),
    reads("explain_canary", "find_canary_execution", explained),
    reads("list_analyses", "list_analyses", in_short),
    reads("explain_analysis", "find_analysis", explained),
    reads("list_calibrations", "list_calibrations", whole),
    reads("read_calibration", "find_calibration", whole),
    changes("start_canary", "ask_for_verdict"),
    changes("start_analysis", "initiate_analysis"),
    changes("cancel", "cancel_pipeline"),
    changes("calibrate", "start_calibration"),
    changes("cancel_calibration", "cancel_calibration"),
];

fn whole(answer: &Value) -> Value {
    answer.clone()
}

/// What says why a run came out as it did.
const OF_RUN: [&str; 13] = [
    "pipelineId",
    "application",
    "canaryConfigId",
    "status",
    "complete",
    "outcome",
    "warning",
    "exception",
    "startTimeIso",
    "endTimeIso",
    "metricsAccountName",
    "acceptedByHand",
    "stageStatus",
];

/// Runs without what they were asked and what they found.
fn in_short(answer: &Value) -> Value {
    let short = |run: &Value| {
        let mut short = picked(run, &OF_RUN);
        short.remove("stageStatus");
        let score = run.pointer("/result/judgeResult/score/score");
        short.extend(score.map(|score| ("score".to_owned(), score.clone())));
        Value::Object(short)
    };
    answer.as_array().into_iter().flatten().map(short).collect()
}

/// A run with the reasons of its verdict, and without the queries and the numbers of its tests.
fn explained(answer: &Value) -> Value {
    let mut told = picked(answer, &OF_RUN);
    if let Some(judged) = answer.pointer("/result/judgeResult") {
        told.extend(picked(
            judged,
            &["judgeName", "score", "summary", "groupScores"],
        ));
        let metrics = judged.get("results").and_then(Value::as_array);
        told.insert(
            "metrics".to_owned(),
            metrics.into_iter().flatten().map(metric).collect(),
        );
    }
    // Of an analysis: its judgements, each of which is a canary that can be explained.
    if let Some(result) = answer.get("canaryAnalysisExecutionResult") {
        told.insert("judgements".to_owned(), judgements(result.clone()));
    }
    Value::Object(told)
}

fn metric(result: &Value) -> Value {
    let mut told = picked(
        result,
        &[
            "name",
            "tags",
            "classification",
            "critical",
            "muted",
            "groups",
        ],
    );
    if let Some(ratio) = result.pointer("/resultMetadata/ratio") {
        told.insert("ratio".to_owned(), ratio.clone());
    }
    let explanation = result.get("explanation").unwrap_or(&Value::Null);
    told.extend(picked(explanation, &["sentence", "warnings", "doubts"]));
    Value::Object(told)
}

fn judgements(mut result: Value) -> Value {
    let all = result.get_mut("canaryExecutionResults");
    for judgement in all.and_then(Value::as_array_mut).into_iter().flatten() {
        let score = judgement.pointer("/result/judgeResult/score").cloned();
        if let Some(members) = judgement.as_object_mut() {
            members.remove("result");
            members.remove("cost");
            members.insert("score".to_owned(), json!(score));
        }
    }
    result
}

fn picked(of: &Value, names: &[&str]) -> Map<String, Value> {
    let found = names.iter().filter_map(|name| Some((name, of.get(*name)?)));
    let found = found.filter(|(_, value)| !value.is_null());
    found
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}
