//! Judging once more what has ended: the same request from the same start to a later end, by an
//! execution of its own that calls nothing.

use ulid::Ulid;
use uuid::Uuid;

use super::plan::Plan;
use super::start::{Admission, Admitted, start_as};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    Amendment, CanaryAnalysisExecutionStatusResponse, CanaryConfig, CanaryExecutionRequest,
    CanaryExecutionStatusResponse, Execution, Id, Instant, iso_from_millis,
};
use crate::config::AccountType::ObjectStore;
use crate::error::{Error, Result};

/// Judges a canary once more, with all windows prolonged alike until the last of them ends at `end`,
/// now if it is not given. Who asks again gets what was begun before.
///
/// # Errors
/// `NotFound` when there is none, `Invalid` when it has not ended or `end` is not later than its end
/// and passed, `Unavailable` when too much waits.
pub async fn judge_canary_again(
    app: &App,
    caller: &Caller,
    id: &Id,
    end: Option<Instant>,
) -> Result<Admitted> {
    let before: CanaryExecutionStatusResponse = ended(app, caller, id).await?;
    let next = next_id(&before)?;
    let is_new = !is_there::<CanaryExecutionStatusResponse>(app, &next).await?;
    if is_new {
        let mut request = before.canary_execution_request.clone().unwrap_or_default();
        prolong(&mut request, later(app, end)?)?;
        let asked = Admission::asked_by(app, caller, before.application.clone())?;
        let admission = Admission {
            parent_pipeline_execution_id: before.parent_pipeline_execution_id.clone(),
            canary_config_id: before.canary_config_id.clone(),
            config: without_actions(before.config.as_ref()),
            request,
            metrics_account: before.metrics_account_name.clone(),
            storage_account: storage_account(app, before.storage_account_name.as_deref())?,
            configuration_account: before.configuration_account_name.clone(),
            repeats: Some(id.to_string()),
            ..asked
        };
        Box::pin(start_as(app, next.to_string(), admission)).await?;
    }
    note::<CanaryExecutionStatusResponse>(app, id, &next).await?;
    Ok(Admitted { id: next, is_new })
}

/// The same for an analysis: all that its windows lie in is judged at once, by the same interval.
///
/// # Errors
/// Those of [`judge_canary_again`].
pub async fn judge_analysis_again(
    app: &App,
    caller: &Caller,
    id: &Id,
    end: Option<Instant>,
) -> Result<Admitted> {
    let before: CanaryAnalysisExecutionStatusResponse = ended(app, caller, id).await?;
    let next = next_id(&before)?;
    let is_new = !is_there::<CanaryAnalysisExecutionStatusResponse>(app, &next).await?;
    if is_new {
        let request = before.canary_analysis_execution_request.clone();
        let times = before.told().times;
        let plan = Plan::of(
            &request.unwrap_or_default(),
            times.begun().unwrap_or_default(),
        )?;
        let end = later(app, end)?;
        // One that ended early never judged the rest of its time.
        let judged = times.ended.unwrap_or(i64::MAX).min(plan.end().as_millis());
        check_later(end, judged)?;
        let asked = Admission::asked_by(app, caller, before.application.clone())?;
        let admission = Admission {
            user: before.user.clone(),
            parent_pipeline_execution_id: before.parent_pipeline_execution_id.clone(),
            canary_config_id: before.canary_config_id.clone(),
            config: without_actions(before.canary_config.as_ref()),
            request: plan.until(end),
            metrics_account: before.metrics_account_name.clone(),
            storage_account: storage_account(app, before.storage_account_name.as_deref())?,
            repeats: Some(id.to_string()),
            ..asked
        };
        Box::pin(start_as(app, next.to_string(), admission)).await?;
    }
    note::<CanaryAnalysisExecutionStatusResponse>(app, id, &next).await?;
    Ok(Admitted { id: next, is_new })
}

async fn ended<R: Execution>(app: &App, caller: &Caller, id: &Id) -> Result<R> {
    app.seen_by(caller).may_repeat::<R>(id).await?;
    let found = app.storage.execution_of_any::<R>(&app.stores(), id).await?;
    let document: R = serde_json::from_slice(&found.body)
        .map_err(|cause| Error::Internal(format!("an execution cannot be read: {cause}")))?;
    if document.told().outcome.is_final() {
        return Ok(document);
    }
    Err(Error::Invalid(format!("'{id}' has not ended yet")))
}

/// One for each, whoever asks and how often: many who ask at once begin one.
fn next_id<R: Execution>(before: &R) -> Result<Id> {
    let random = Uuid::new_v5(
        &Uuid::NAMESPACE_OID,
        format!("{}/again", before.id()).as_bytes(),
    );
    let time = u64::try_from(before.build_time()).unwrap_or(0);
    Id::parse(&Ulid::from_parts(time, random.as_u128()).to_string())
}

async fn is_there<R: Execution>(app: &App, id: &Id) -> Result<bool> {
    match app.storage.execution_of_any::<R>(&app.stores(), id).await {
        Ok(_) => Ok(true),
        Err(Error::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn note<R: Execution>(app: &App, id: &Id, next: &Id) -> Result<()> {
    let note = |document: &R, _: Option<&str>| {
        let is_noted = document.told().by_hand.repeated_by == Some(next.as_str());
        Ok((!is_noted).then(|| Amendment {
            repeated_by: Some(next.to_string()),
            ..Amendment::default()
        }))
    };
    app.storage.amend(&app.stores(), id, note).await
}

/// What happens later moves no traffic: it was decided elsewhere meanwhile.
fn without_actions(config: Option<&CanaryConfig>) -> CanaryConfig {
    CanaryConfig {
        actions: None,
        ..config.cloned().unwrap_or_default()
    }
}

fn storage_account(app: &App, name: Option<&str>) -> Result<String> {
    app.store(name, ObjectStore).map(str::to_owned)
}

fn later(app: &App, end: Option<Instant>) -> Result<Instant> {
    // Whole seconds, so that points lie where people look for them.
    let now = app.clock.now_millis().div_euclid(1000) * 1000;
    let end = end.map_or(now, Instant::as_millis);
    if now < end {
        return Err(Error::Invalid(format!(
            "the end {} is still to come: what has not been measured is not judged",
            iso_from_millis(end)
        )));
    }
    Instant::from_millis(end).ok_or_else(|| Error::Invalid("the end is no time".to_owned()))
}

fn check_later(end: Instant, before: i64) -> Result<()> {
    if before < end.as_millis() {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "its windows end at {}: to judge it again, the end must be later than that, and {end} is not",
        iso_from_millis(before)
    )))
}

/// All by the same time, so that a control of last week stays one of last week.
fn prolong(request: &mut CanaryExecutionRequest, until: Instant) -> Result<()> {
    request.actions = None;
    let pairs = request
        .scopes
        .iter_mut()
        .flat_map(|scopes| scopes.values_mut());
    let mut sides: Vec<_> = pairs
        .flat_map(|pair| [&mut pair.control_scope, &mut pair.experiment_scope])
        .flatten()
        .collect();
    let ends = sides.iter().filter_map(|side| side.end);
    let Some(last) = ends.map(Instant::as_millis).max() else {
        return Err(Error::Invalid("its windows have no end".to_owned()));
    };
    check_later(until, last)?;
    for side in &mut sides {
        let end = side.end.map(Instant::as_millis);
        side.end = end.and_then(|end| Instant::from_millis(end + until.as_millis() - last));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// 2024-06-01T02:00:00Z
    const NOW: i64 = 1_717_207_200_000;

    fn request(ends: [&str; 2]) -> Value {
        let side =
            |end| json!({"scope": "a", "start": "2024-05-01T00:00:00Z", "end": end, "step": 60});
        json!({"scopes": {"default": {"controlScope": side(ends[0]), "experimentScope": side(ends[1])}},
            "thresholds": {"pass": 95.0, "marginal": 75.0}})
    }

    #[test]
    fn windows_are_prolonged_by_the_same_time_and_begin_where_they_began() {
        let cases = [
            (
                ["2024-06-01T01:00:00Z", "2024-06-01T01:00:00Z"],
                Ok(["2024-06-01T02:00:00Z", "2024-06-01T02:00:00Z"]),
            ),
            (
                ["2024-05-25T01:30:00Z", "2024-06-01T01:30:00Z"],
                Ok(["2024-05-25T02:00:00Z", "2024-06-01T02:00:00Z"]),
            ),
            (
                ["2024-05-25T02:00:00Z", "2024-06-01T02:00:00Z"],
                Err("its windows end at 2024-06-01T02:00:00Z"),
            ),
            (
                ["2024-06-01T03:00:00Z", "2024-06-01T01:00:00Z"],
                Err("its windows end at 2024-06-01T03:00:00Z"),
            ),
        ];
        for (ends, expected) in cases {
            let mut prolonged: CanaryExecutionRequest =
                serde_json::from_value(request(ends)).unwrap();
            prolonged.actions = Some(json!({"start": []}));
            let done = prolong(&mut prolonged, Instant::from_millis(NOW).unwrap());
            match (done, expected) {
                (Ok(()), Ok(ends)) => {
                    let told = serde_json::to_value(&prolonged).unwrap();
                    let expected: CanaryExecutionRequest =
                        serde_json::from_value(request(ends)).unwrap();
                    assert_eq!(told, serde_json::to_value(expected).unwrap());
                }
                (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
                (done, expected) => panic!("{done:?} instead of {expected:?}"),
            }
        }
    }
}
