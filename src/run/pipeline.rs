//! An execution in the shape that Orca gives to its pipelines.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{comparison, stages};
use crate::canary::{CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Kind};
use crate::error::{Error, Result};
use crate::storage::ExecutionRow;

/// The execution as `GET /pipelines/{id}` tells it. There are no tasks, and the times of a stage
/// are those of the execution: serin keeps neither.
pub fn pipeline(row: &ExecutionRow) -> Result<Value> {
    let (suffix, times, stages) = match row.kind {
        Kind::Canary => {
            let document: CanaryExecutionStatusResponse = read(row)?;
            let times = (document.start_time_millis, document.end_time_millis);
            let stages = canary_stages(row, &document);
            ("standard-canary", times, stages)
        }
        Kind::Analysis => {
            let document: CanaryAnalysisExecutionStatusResponse = read(row)?;
            let times = (document.start_time_millis, document.end_time_millis);
            let stages = analysis_stages(row, &document);
            ("canary-analysis-referee", times, stages)
        }
        Kind::Comparison => {
            let times = (Some(row.build_time), Some(row.build_time));
            let stages = comparison_stages(row, &read(row)?);
            ("standard-canary", times, stages)
        }
    };
    let mut pipeline = json!({
        "type": "PIPELINE",
        "id": row.id,
        "application": row.application,
        "name": row.kind.pipeline(),
        "buildTime": row.build_time,
        "canceled": row.status.as_str() == "canceled",
        "limitConcurrent": false,
        "maxConcurrentExecutions": 0,
        "keepWaitingPipelines": false,
        "stages": stages,
        "status": row.status.as_str().to_uppercase(),
        "authentication": {"allowedAccounts": []},
        "trigger": {
            "type": "none", "user": "[anonymous]", "parameters": {}, "artifacts": [],
            "notifications": [], "rebake": false, "dryRun": false, "strategy": false,
            "resolvedExpectedArtifacts": [],
        },
        "pipelineConfigId": format!("{}-{suffix}-pipeline", row.application),
        "notifications": [],
        "initialConfig": {},
        "systemNotifications": [],
    });
    put_times(&mut pipeline, times);
    Ok(pipeline)
}

type Times = (Option<i64>, Option<i64>);

fn canary_stages(row: &ExecutionRow, document: &CanaryExecutionStatusResponse) -> Vec<Value> {
    let reached = &document.stage_status;
    let last_fetches = || {
        ["fetchControl", "fetchExperiment"]
            .into_iter()
            .filter_map(|side| reached.keys().rfind(|name| name.starts_with(side)))
            .map(String::as_str)
            .collect()
    };
    let mut before = "setupContext";
    let mut stages = Vec::new();
    for (ref_id, state) in reached {
        let index = ref_id.trim_start_matches(char::is_alphabetic).parse();
        let index: Option<usize> = index.ok();
        let fetch = index.map(|index| stages::fetch(document.config.as_ref(), index));
        let fetch = fetch.unwrap_or_default();
        let (kind, name, after): (_, _, Vec<&str>) = match ref_id.as_str() {
            "setupContext" => ("setupCanary", "Setup Canary", vec![]),
            "mixMetrics" => (
                "metricSetMixer",
                "Mix Control and Experiment Results",
                last_fetches(),
            ),
            "judge" => ("canaryJudge", "Perform Analysis", vec!["mixMetrics"]),
            first @ ("fetchControl0" | "fetchExperiment0") => (&fetch, first, vec!["setupContext"]),
            later => (&fetch, later, vec![before]),
        };
        before = ref_id;
        let mut context = Map::new();
        context.insert(
            "storageAccountName".to_owned(),
            json!(document.storage_account_name),
        );
        if let Some(index) = index {
            context.insert(
                "metricsAccountName".to_owned(),
                json!(document.metrics_account_name),
            );
            context.insert("metricIndex".to_owned(), json!(index));
        }
        if state == "terminal" {
            context.insert("exception".to_owned(), json!(document.exception));
        }
        let list = &document.metric_set_pair_list_id;
        let outputs = match (kind, list, &document.result) {
            ("metricSetMixer", Some(list), _) => json!({"metricSetPairListId": list}),
            ("canaryJudge", _, Some(result)) => json!({"result": result.judge_result}),
            _ => json!({}),
        };
        let times = match state.as_str() {
            "not_started" => (None, None),
            "running" => (document.start_time_millis, None),
            _ => (document.start_time_millis, document.end_time_millis),
        };
        let mut stage = stage(row, ref_id, kind, name, state);
        stage["context"] = context.into();
        stage["outputs"] = outputs;
        stage["requisiteStageRefIds"] = json!(after);
        put_times(&mut stage, times);
        stages.push(stage);
    }
    stages
}

fn analysis_stages(
    row: &ExecutionRow,
    document: &CanaryAnalysisExecutionStatusResponse,
) -> Vec<Value> {
    let stages = document.stage_status.iter().enumerate();
    stages
        .map(|(number, reached)| {
            let ref_id = (number + 1).to_string();
            let mut stage = stage(row, &ref_id, &reached.kind, &reached.name, &reached.status);
            if let Some(id) = &reached.execution_id {
                stage["context"] = json!({"canaryPipelineExecutionId": id});
            }
            stage
        })
        .collect()
}

fn comparison_stages(row: &ExecutionRow, document: &Value) -> Vec<Value> {
    let mut stages = Vec::new();
    for (name, ref_id) in comparison::STAGES.into_iter().zip(["judge1", "judge2"]) {
        let exception = &document["exceptions"][name];
        let result = &document["comparisonResult"][format!("{ref_id}Result")];
        let (reached, context, outputs) = match (exception.is_null(), result.is_null()) {
            (false, _) => ("terminal", json!({"exception": exception}), json!({})),
            (true, false) => ("succeeded", json!({}), json!({"result": result})),
            // The other judge failed, and its verdict was not kept.
            (true, true) => ("succeeded", json!({}), json!({})),
        };
        let mut stage = stage(row, ref_id, "canaryJudge", name, reached);
        stage["context"] = context;
        stage["outputs"] = outputs;
        put_times(&mut stage, (Some(row.build_time), Some(row.build_time)));
        stages.push(stage);
    }
    let both = document["comparisonResult"].is_object();
    let state = if both { "succeeded" } else { "not_started" };
    let mut last = stage(
        row,
        "compareJudgeResults",
        "compareJudgeResults",
        "Compare Judge Results",
        state,
    );
    last["requisiteStageRefIds"] = json!(["judge1", "judge2"]);
    if both {
        last["outputs"] = json!({"comparisonResult": document["comparisonResult"]});
        put_times(&mut last, (Some(row.build_time), Some(row.build_time)));
    }
    stages.push(last);
    stages
}

fn stage(row: &ExecutionRow, ref_id: &str, kind: &str, name: &str, state: &str) -> Value {
    let seed = format!("{}/{ref_id}", row.id);
    json!({
        "id": Uuid::new_v5(&Uuid::NAMESPACE_OID, seed.as_bytes()).to_string(),
        "refId": ref_id,
        "type": kind,
        "name": name,
        "status": state.to_uppercase(),
        "context": {},
        "outputs": {},
        "tasks": [],
        "requisiteStageRefIds": [],
    })
}

fn put_times(target: &mut Value, (start, end): Times) {
    for (name, time) in [("startTime", start), ("endTime", end)] {
        if let Some(time) = time {
            target[name] = time.into();
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(row: &ExecutionRow) -> Result<T> {
    serde_json::from_str(&row.document)
        .map_err(|cause| Error::Internal(format!("cannot read an execution: {cause}")))
}
