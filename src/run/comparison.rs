//! Two judges on one list of metric set pairs.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::admission::new_id;
use super::judges::{Question, judge};
use super::learned;
use super::stages::{Failure, Stage};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryJudgeConfig, CanaryJudgeResult,
    ExecutionStatus, Id,
};
use crate::error::{Error, Result};
use crate::metrics;
use crate::storage::NewComparison;

/// The stages of a comparison as Kayenta names them.
pub const STAGES: [&str; 2] = [
    "Perform Analysis with Judge 1",
    "Perform Analysis with Judge 2",
];

/// What to compare; the accounts are resolved.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Whose series are judged.
    pub application: String,
    pub canary_config_id: Id,
    pub config: CanaryConfig,
    pub metric_set_pair_list_id: Id,
    pub thresholds: CanaryClassifierThresholdsConfig,
    pub storage_account: String,
    /// Instead of the config's judge, if the config names one.
    pub judges: [Option<String>; 2],
}

/// Both verdicts, or why there is none, kept as an execution that has ended.
///
/// # Errors
/// `Storage` when it cannot be kept, `Unavailable` when nothing new is begun; a judge that fails is part of what is kept.
pub async fn compare(app: &App, caller: &Caller, comparison: Comparison) -> Result<Id> {
    app.check_open()?;
    app.storage.check_room(&comparison.storage_account).await?;
    let build_time = app.clock.now_millis();
    let [one, two] = verdicts(app, caller, &comparison).await?;
    let (status, document) = match (one, two) {
        (Ok(one), Ok(two)) => (
            ExecutionStatus::Succeeded,
            json!({"comparisonResult": {"judge1Result": one, "judge2Result": two}}),
        ),
        (one, two) => (
            ExecutionStatus::Terminal,
            json!({"exceptions": exceptions(app, [one, two])}),
        ),
    };
    let id = Id::parse(&new_id(build_time))?;
    app.storage
        .keep_comparison(&NewComparison {
            id: id.clone(),
            application: comparison.application,
            canary_config_id: comparison.canary_config_id,
            storage_account: comparison.storage_account,
            status,
            build_time,
            document,
        })
        .await?;
    Ok(id)
}

async fn verdicts(
    app: &App,
    caller: &Caller,
    comparison: &Comparison,
) -> Result<[Result<CanaryJudgeResult>; 2]> {
    let list = &comparison.metric_set_pair_list_id;
    let seen = app.seen_by(caller);
    let pairs = seen.pairs_to_judge(&comparison.storage_account, list);
    let (mut pairs, _room) = match pairs.await {
        Ok(pairs) => pairs.into_parts(),
        // As in Kayenta, the accepted comparison fails, and not the request.
        Err(Error::NotFound(message)) => {
            return Ok([
                Err(Error::NotFound(message.clone())),
                Err(Error::NotFound(message)),
            ]);
        }
        Err(error) => return Err(error),
    };
    metrics::tell_looks_back(&mut pairs);
    let pairs = Arc::new(pairs);
    let learned = learned::of(app, caller, &comparison.config)
        .await?
        .map(Arc::new);
    let asked = |name: &Option<String>| {
        let mut config = comparison.config.clone();
        if let (Some(name), Some(judge)) = (name, &mut config.judge) {
            *judge = CanaryJudgeConfig {
                name: Some(name.clone()),
                ..judge.clone()
            };
        }
        let question = Question {
            config: Arc::new(config),
            thresholds: comparison.thresholds,
            pairs: Arc::clone(&pairs),
            look: None,
            learned: learned.clone(),
        };
        judge(app, question)
    };
    let [one, two] = &comparison.judges;
    Ok(tokio::join!(asked(one), asked(two)).into())
}

fn exceptions(app: &App, verdicts: [Result<CanaryJudgeResult>; 2]) -> Map<String, Value> {
    let now = app.clock.now_millis();
    let failed = STAGES.into_iter().zip(verdicts);
    failed
        .filter_map(|(stage, verdict)| {
            let failure = Failure {
                stage: Stage::Judge,
                error: verdict.err()?,
            };
            Some((stage.to_owned(), json!(failure.exception(None, now))))
        })
        .collect()
}
