//! Runs judged once more from their stored series, by other rules: nothing is asked of a source.

mod case;
mod told;

use std::time::Duration;

use futures::stream::{self, StreamExt};
use tokio::time::{Instant, timeout_at};

pub use case::{Case, Change, lack, not_replayed};
pub use told::{judged, not_judged, verdict};

use super::admission;
use super::judges::{self, Question};
use super::kept::kept_pairs;
use super::learned;
use crate::access::Caller;
use crate::app::App;
use crate::budget::Share;
use crate::canary::{
    CanaryExecutionStatusResponse, Execution, Id, MetricSetPair, NotReplayed, NotReplayedCause,
    Replay, ReplayRequest, ReplayTally, ReplayedRun, WhatIf,
};
use crate::config::AccountType::ConfigurationStore;
use crate::error::{Error, Result};
use crate::judge::{self, Doubting};
use crate::metrics;
use crate::storage::Search;

/// Runs that one request may name.
pub const MOST_RUNS: usize = 100;

/// Of the newest, if nobody says how many.
pub const RUNS: usize = 20;

/// Runs of a request that are read and judged at once.
const AT_ONCE: usize = 4;

/// How often an execution is there while it is judged once more: as it was read, and as it is told.
const DOCUMENT_COPIES: usize = 4;

/// How long a request waits for others to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Judges once more what is asked for. A run that cannot be is told with the reason.
///
/// # Errors
/// `Invalid` when the request names no runs or too many, or no judge could answer it; `NotFound` when the
/// stored config is not there; `Unavailable` when too many ask at once.
pub async fn replay(app: &App, caller: &Caller, request: &ReplayRequest) -> Result<Replay> {
    app.seen_by(caller).reads()?;
    // The rest is for the answer.
    let until = Instant::now() + app.config.server.request_timeout / 4 * 3;
    let change = change(app, caller, &request.what_if).await?;
    let ids = ids(app, caller, request).await?;
    let patience = until.min(Instant::now() + PATIENCE);
    let turn = timeout_at(patience, app.replays.acquire()).await;
    let Ok(Ok(_turn)) = turn else {
        let told =
            "too many runs are judged once more just now; the same call may go through later";
        return Err(Error::Unavailable(told.to_owned()));
    };
    let both = both(&change);
    let judging = ids.into_iter().map(|id| {
        let (change, both) = (&change, &both);
        async move {
            let judged = timeout_at(until, one(app, caller, &id, change, both)).await;
            judged.map_err(|_| id)
        }
    });
    // Whole results of many are more than there is memory for.
    let is_whole = request.runs.len() == 1;
    let mut replay = Replay::default();
    let mut judging = stream::iter(judging).buffered(AT_ONCE);
    while let Some(judged) = judging.next().await {
        match judged {
            Ok(run) => replay.runs.push(ReplayedRun {
                result: run.result.filter(|_| is_whole),
                ..run
            }),
            Err(id) => replay.not_reached.push(id),
        }
    }
    replay.tally = ReplayTally::of(&replay.runs);
    Ok(replay)
}

/// What is to be otherwise, with what it names.
async fn change(app: &App, caller: &Caller, what_if: &WhatIf) -> Result<Change> {
    let config = match (&what_if.canary_config_id, &what_if.canary_config) {
        (Some(_), Some(_)) => {
            let told = "whatIf has canaryConfigId and canaryConfig; one of both is wanted";
            return Err(Error::Invalid(told.to_owned()));
        }
        (Some(id), None) => {
            let account = what_if.configuration_account_name.as_deref();
            let account = app.store(account, ConfigurationStore)?;
            let seen = app.seen_by(caller);
            Some(seen.canary_config(account, &Id::parse(id)?).await?)
        }
        (None, config) => config.clone(),
    };
    let config = config.map(|mut config| {
        config.prepare();
        config
    });
    if let Some(name) = &what_if.judge {
        check_judge(app, name)?;
    }
    let learned = match &config {
        Some(config) => learned::of(app, caller, config).await?,
        None => None,
    };
    let change = Change {
        config,
        judge: what_if.judge.clone(),
        margin: what_if.margin,
        thresholds: what_if.thresholds.unwrap_or_default(),
        learned,
    };
    change.check()?;
    if let Some(config) = &change.config {
        // Whatever the runs were judged by, by this one none could be.
        let unusable = || judges::unusable(&app.config, &change.of_config(config));
        let too_many = admission::too_many_metrics(&app.config, config);
        if let Some(fault) = too_many.or_else(|| unusable().into_iter().next()) {
            return Err(fault.into());
        }
    }
    Ok(change)
}

fn check_judge(app: &App, name: &str) -> Result<()> {
    let names = judges::all(&app.config).map(judges::AnyJudge::name);
    let names: Vec<&str> = names.collect();
    if names.contains(&name) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "there is no judge '{name}' here; there are {}",
        names.join(", ")
    )))
}

/// The ids that a request names, or finds.
async fn ids(app: &App, caller: &Caller, request: &ReplayRequest) -> Result<Vec<String>> {
    let is_search = request.application.is_some() || request.config.is_some();
    let wanted = match (request.runs.is_empty(), is_search) {
        (false, false) => request.runs.len(),
        (true, true) => request.last.unwrap_or(RUNS),
        (false, true) => {
            let told = "either 'runs' or the newest of an 'application' or a 'config' are wanted, not both";
            return Err(Error::Invalid(told.to_owned()));
        }
        (true, false) => {
            let told = "which runs? 'runs' has their ids; 'application' or 'config', with 'last', mean the newest";
            return Err(Error::Invalid(told.to_owned()));
        }
    };
    if !(1..=MOST_RUNS).contains(&wanted) {
        return Err(Error::Invalid(format!(
            "{wanted} runs are asked for: 1 to {MOST_RUNS} can be judged once more by one request"
        )));
    }
    if !is_search {
        return Ok(request.runs.clone());
    }
    let search = Search {
        accounts: app.stores(),
        application: request.application.clone(),
        config: request.config.clone(),
        limit: i64::try_from(wanted).unwrap_or(i64::MAX),
        ..Search::default()
    };
    let seen = app.seen_by(caller);
    let lines = seen.search::<CanaryExecutionStatusResponse>(&search);
    Ok(lines.await?.into_iter().map(|line| line.id).collect())
}

/// Without a service: by the judges of this process.
///
/// # Errors
/// When it cannot be judged once more.
pub fn here(
    run: &CanaryExecutionStatusResponse,
    pairs: Vec<MetricSetPair>,
    change: &Change,
) -> Result<ReplayedRun, NotReplayed> {
    let case = Case::of(run, pairs, change)?;
    let judge = |question: &Question| {
        let judge = question.config.judge.as_ref();
        let judge = judge::resolve(judge.and_then(|judge| judge.name.as_deref()))?;
        let faults = judge.faults(&question.config);
        if let Some(fault) = faults.into_iter().next().filter(|_| !change.is_none()) {
            return Err(fault.into());
        }
        judges::judge_now(judge, question, Doubting::Tell)
    };
    let after = judge(&case.question).map_err(|error: Error| refused(&error))?;
    let both = both(change);
    let judges = both.iter().filter_map(|name| {
        if *name == after.judge_name {
            return Some(verdict(&after));
        }
        judge(&case.by(name)).ok().map(|other| verdict(&other))
    });
    let judges = judges.collect();
    Ok(judged(run, &case, after, judges))
}

/// The two judges that are compared: the one that is asked for, or the first, and the first other one of
/// this process: one over HTTP is asked only where somebody says so.
fn both(change: &Change) -> Vec<String> {
    let visible = judge::all().iter().filter(|judge| judge.is_visible());
    let mut names: Vec<String> = change.judge.iter().cloned().collect();
    for judge in visible {
        if !names.iter().any(|name| name == judge.name()) {
            names.push(judge.name().to_owned());
        }
    }
    names.truncate(2);
    if names.len() < 2 {
        names.clear();
    }
    names
}

async fn one(
    app: &App,
    caller: &Caller,
    id: &str,
    change: &Change,
    both: &[String],
) -> ReplayedRun {
    // Given back when the run has been told.
    let share = app.budget.share();
    let run = match document(app, caller, id, &share).await {
        Ok(run) => run,
        Err(why) => {
            return ReplayedRun {
                id: id.to_owned(),
                not_judged: Some(why),
                ..ReplayedRun::default()
            };
        }
    };
    match once_more(app, &run, change, both, &share).await {
        Ok(judged) => judged,
        Err(why) => not_judged(&run, why),
    }
}

async fn document(
    app: &App,
    caller: &Caller,
    id: &str,
    share: &Share,
) -> Result<CanaryExecutionStatusResponse, NotReplayed> {
    let unknown = || not_replayed(NotReplayedCause::Unknown, format!("no run with id '{id}'"));
    let parsed = Id::parse(id).map_err(|_| unknown())?;
    let stores = app.stores();
    let seen = app.seen_by(caller);
    let found = seen.execution_of_any::<CanaryExecutionStatusResponse>(&stores, &parsed);
    let found = found.await.map_err(|error| match error {
        Error::NotFound(_) | Error::Invalid(_) => unknown(),
        error => unreadable(id, &error),
    })?;
    let taken = share.take_in_turn(found.body.len().saturating_mul(DOCUMENT_COPIES));
    let taken = taken.await.map_err(metrics::too_large);
    taken.map_err(|error| unreadable(id, &error))?;
    serde_json::from_slice(&found.body).map_err(|cause| {
        tracing::warn!(execution.id = id, %cause, "a run cannot be read to be judged once more");
        let sentence = "its document cannot be read".to_owned();
        not_replayed(NotReplayedCause::Unreadable, sentence)
    })
}

async fn once_more(
    app: &App,
    run: &CanaryExecutionStatusResponse,
    change: &Change,
    both: &[String],
    share: &Share,
) -> Result<ReplayedRun, NotReplayed> {
    if let Some(why) = lack(run) {
        return Err(why);
    }
    let pairs = kept_pairs(app, run, Some(share)).await;
    let pairs = pairs.map_err(|error| unreadable(run.told().id, &error))?;
    let gone = || {
        let sentence = "its series are not kept any more".to_owned();
        not_replayed(NotReplayedCause::Gone, sentence)
    };
    let (pairs, _room) = pairs.ok_or_else(gone)?.into_parts();
    let case = Case::of(run, pairs, change)?;
    if !change.is_none() && change.config.is_none() {
        let faults = judges::unusable(&app.config, &case.question.config);
        if let Some(fault) = faults.into_iter().next() {
            return Err(refused(&fault.into()));
        }
    }
    let after = judges::judge(app, case.question.clone()).await;
    let after = after.map_err(|error| refused(&error))?;
    let mut judges = Vec::new();
    for name in both {
        if *name == after.judge_name {
            judges.push(verdict(&after));
        } else if let Ok(other) = judges::judge(app, case.by(name)).await {
            judges.push(verdict(&other));
        }
    }
    Ok(judged(run, &case, after, judges))
}

fn refused(error: &Error) -> NotReplayed {
    not_replayed(NotReplayedCause::Refused, error.to_string())
}

fn unreadable(id: &str, error: &Error) -> NotReplayed {
    tracing::warn!(execution.id = id, %error, "a run cannot be judged once more");
    not_replayed(NotReplayedCause::Unreadable, error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn without_a_service_a_long_query_is_told_as_often_as_with_one() {
        let query = json!({"query": "x".repeat(8 << 10)});
        let pair = |series: &str| {
            json!({"id": series, "name": "a", "tags": {"series": series},
                "values": {"control": [1.0, 2.0], "experiment": [1.0, 2.0]},
                "attributes": {"control": query, "experiment": query}})
        };
        let pairs = serde_json::from_value(json!([pair("one"), pair("two")])).unwrap();
        let run = serde_json::from_value(json!({
            "config": {"name": "c", "metrics": [{"name": "a", "groups": ["a"], "query": {"type": "prometheus"}}],
                "classifier": {"groupWeights": {"a": 100}}},
            "canaryExecutionRequest": {"thresholds": {"pass": 95, "marginal": 75}},
        }));
        let told = here(&run.unwrap(), pairs, &Change::default()).unwrap();
        let results = told.result.unwrap().results;
        let told = results
            .iter()
            .map(|result| result.explanation.as_ref().unwrap().queries.is_some());
        assert_eq!(told.collect::<Vec<_>>(), [true, false]);
    }
}
