//! Calibrations: accepted, made in this process, and kept where all replicas find them.

mod fetch;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{admission, judges, learned, sources};
use crate::access::{Caller, Role};
use crate::app::{App, Live, Seen};
use crate::audit::{Deed, What};
use crate::calibration::{self, Bounds, Given, Plan, Twin};
use crate::canary::calibration::{Progress, Report};
use crate::canary::{
    Calibration, CalibrationRequest, CalibrationSummary, CanaryConfig, CanaryExecutionRequest,
    CanaryScope, CanaryScopePair, ExecutionStatus, Id, Learned, MetricSet, iso_from_millis,
};
use crate::config::AccountType::ConfigurationStore;
use crate::error::{Error, Result};

/// How often the process that makes one says that it still does, and looks whether it should.
const BEAT: Duration = Duration::from_secs(5);
/// Not heard of for so long, its process is gone.
const SILENT_MILLIS: i64 = 60_000;
/// What a list shows at most.
pub const MOST_LISTED: usize = 200;
/// Of a point of one side while its window is judged.
const JUDGED_POINT_BYTES: usize = 128;

/// What was accepted, ready to be made.
struct Work {
    calibration: Calibration,
    store: String,
    config: CanaryConfig,
    learned: Option<Learned>,
    plan: Plan,
    live: Arc<Live>,
}

/// Accepts a calibration, which is made in the background.
///
/// # Errors
/// `Invalid` when it could not be made, `NotFound` when there is no such config, `Unavailable` when too many wait.
pub async fn admit_calibration(
    app: &App,
    caller: &Caller,
    request: CalibrationRequest,
    metrics_account: Option<&str>,
    configuration_account: Option<&str>,
) -> Result<Id> {
    app.check_open()?;
    let now = app.clock.now_millis();
    let seen = app.seen_by(caller);
    seen.may_judge()?;
    let config = config_of(app, seen, &request, configuration_account).await?;
    let applications = config.applications.clone().unwrap_or_default();
    let accounts = sources::accounts(app, metrics_account, &config)?;
    for account in &accounts {
        seen.may_calibrate(&applications, account)?;
    }
    let bounds = Bounds {
        now,
        metrics: config.metrics.as_ref().map_or(0, Vec::len),
    };
    let plan = Plan::of(&request, bounds)?;
    let itself = request.against.is_empty().then_some(&request.control);
    for other in request.against.iter().chain(itself) {
        admission::check(
            &app.config,
            &config,
            &as_canary(&config, &request, other, &plan),
        )?;
    }
    let store = store(app)?.to_owned();
    if let Some(id) = &request.write {
        seen.may_teach(&store, &applications, &Id::parse(id)?)
            .await?;
    }
    let learned = learned::of(app, caller, &config).await?;
    let id = admission::new_id(now);
    let of = applications.join(", ");
    let calibration = Calibration {
        id: id.clone(),
        status: ExecutionStatus::NotStarted,
        config_name: config.name.clone(),
        applications: Some(applications),
        metrics_account_name: accounts.into_iter().next(),
        progress: Progress {
            queries: u32::try_from(plan.pods() * bounds.metrics).unwrap_or(u32::MAX),
            windows: plan.windows,
            ..Progress::default()
        },
        build_time_iso: iso_from_millis(now),
        build_time_millis: now,
        heard_millis: now,
        request,
        ..Calibration::default()
    };
    let live = app.calibrations.enter(&id).ok_or_else(|| {
        Error::Unavailable(
            "too many calibrations wait here; the same call goes through later".to_owned(),
        )
    })?;
    let begun = app.storage.begin_calibration(&store, &calibration);
    let on = (What::Calibration, id.as_str());
    let begun = seen.does(Deed::CalibrationStarted, on, &of, begun);
    if let Err(error) = begun.await {
        app.calibrations.leave(&id);
        return Err(error);
    }
    let work = Work {
        calibration,
        store,
        config,
        learned,
        plan,
        live,
    };
    let span = tracing::info_span!("calibration", calibration.id = id);
    let make = make(app.clone(), work).instrument(span);
    app.running.spawn(Box::pin(make));
    Id::parse(&id)
}

/// As it stands now.
///
/// # Errors
/// `NotFound` when there is none.
pub async fn calibration(app: &App, caller: &Caller, id: &Id) -> Result<Calibration> {
    let found = app.seen_by(caller).calibration(store(app)?, id).await?;
    Ok(as_it_stands(app, found))
}

async fn stored(app: &App, id: &Id) -> Result<Calibration> {
    let found = app.storage.calibration(store(app)?, id).await?;
    Ok(as_it_stands(app, found))
}

/// Newest first.
pub async fn calibrations(
    app: &App,
    caller: &Caller,
    most: usize,
) -> Result<Vec<CalibrationSummary>> {
    let told = |one| as_it_stands(app, one).summary();
    app.seen_by(caller)
        .calibrations(store(app)?, most.min(MOST_LISTED), told)
        .await
}

/// Stops one, whichever process makes it. Without effect on one that has ended.
///
/// # Errors
/// `NotFound` when there is none.
pub async fn cancel_calibration(app: &App, caller: &Caller, id: &Id) -> Result<()> {
    let seen = app.seen_by(caller);
    seen.may_change_calibration(Role::Start, store(app)?, id)
        .await?;
    let found = stored(app, id).await?;
    if found.complete {
        return Ok(());
    }
    let canceled = async {
        if let Some(live) = app.calibrations.of(id.as_str()) {
            live.canceled.cancel();
            return Ok(());
        }
        app.storage.ask_to_stop_calibration(store(app)?, id).await
    };
    does(seen, Deed::CalibrationCanceled, &found, canceled).await
}

/// # Errors
/// `NotFound` when there is none, `Invalid` when it has not ended.
pub async fn delete_calibration(app: &App, caller: &Caller, id: &Id) -> Result<()> {
    let seen = app.seen_by(caller);
    seen.may_change_calibration(Role::Delete, store(app)?, id)
        .await?;
    let found = stored(app, id).await?;
    if !found.complete {
        return Err(Error::Invalid(format!(
            "'{id}' has not ended yet: cancel it first"
        )));
    }
    let deleted = app.storage.delete_calibration(store(app)?, id);
    does(seen, Deed::CalibrationDeleted, &found, deleted).await
}

async fn does(
    seen: Seen<'_>,
    deed: Deed,
    to: &Calibration,
    work: impl Future<Output = Result<()>>,
) -> Result<()> {
    let of = to.applications.as_deref().unwrap_or_default().join(", ");
    seen.does(deed, (What::Calibration, &to.id), &of, work)
        .await
}

/// Where calibrations lie: with the configs.
pub(super) fn store(app: &App) -> Result<&str> {
    app.store(None, ConfigurationStore)
}

/// What is stored, and what is known of it here; nobody who died says how it ended.
fn as_it_stands(app: &App, mut found: Calibration) -> Calibration {
    if found.complete {
        return found;
    }
    if let Some(live) = app.calibrations.of(&found.id) {
        (found.progress.fetched, found.progress.judged) = live.so_far();
        return found;
    }
    if found.heard_millis + SILENT_MILLIS < app.clock.now_millis() {
        found.status = ExecutionStatus::Terminal;
        found.complete = true;
        found.error =
            Some("the process that made it ended before it did; start it once more".to_owned());
    }
    found
}

async fn config_of(
    app: &App,
    seen: Seen<'_>,
    request: &CalibrationRequest,
    account: Option<&str>,
) -> Result<CanaryConfig> {
    let mut config = match (&request.canary_config_id, &request.canary_config) {
        (Some(id), None) => {
            let account = app.store(account, ConfigurationStore)?;
            seen.config_to_start(account, &Id::parse(id)?).await?
        }
        (None, Some(config)) => {
            let mut config = config.clone();
            config.drop_nulls();
            judges::check(&app.config, &config)?;
            config
        }
        _ => {
            let told = "either 'canaryConfigId' or 'canaryConfig' says what to calibrate";
            return Err(Error::Invalid(told.to_owned()));
        }
    };
    config.prepare();
    Ok(config)
}

/// What one of its canaries would have been, so that all checks of canaries hold.
fn as_canary(
    config: &CanaryConfig,
    request: &CalibrationRequest,
    other: &CanaryScope,
    plan: &Plan,
) -> CanaryExecutionRequest {
    let scopes = config
        .metrics
        .iter()
        .flatten()
        .filter_map(|metric| metric.scope_name.clone());
    let scopes: IndexMap<String, CanaryScopePair> = scopes
        .map(|name| {
            let pair = CanaryScopePair {
                control_scope: Some(request.control.clone()),
                experiment_scope: Some(other.clone()),
            };
            (name, pair)
        })
        .collect();
    CanaryExecutionRequest {
        scopes: Some(scopes),
        thresholds: Some(plan.thresholds),
        ..CanaryExecutionRequest::default()
    }
}

/// Makes one, and keeps how it ended.
async fn make(app: App, work: Work) {
    let (mut calibration, store) = (work.calibration.clone(), work.store.clone());
    let limit = app.config.executions.deadline;
    let over = CancellationToken::new();
    let beating = tokio::spawn(beat(
        app.clone(),
        calibration.clone(),
        store.clone(),
        Arc::clone(&work.live),
        over.clone(),
    ));
    let made = {
        let making = tokio::time::timeout(limit, report(&app, &work));
        tokio::select! {
            made = making => made.unwrap_or_else(|_| Err(Error::Invalid(format!(
                "it did not end within {} s (executions.deadline); it is given up", limit.as_secs_f64()
            )))).map_err(Ended::Failed),
            () = work.live.canceled.cancelled() => Err(Ended::Canceled),
            () = app.stopping.cancelled() => Err(Ended::Stopped),
        }
    };
    // What says that it is being made is written before what says how it ended.
    over.cancel();
    let _ = beating.await;
    // A judgement that is under way ends, too.
    work.live.canceled.cancel();
    let (fetched, judged) = work.live.so_far();
    (calibration.progress.fetched, calibration.progress.judged) = (fetched, judged);
    let now = app.clock.now_millis();
    match made {
        Ok(mut report) => {
            calibration.progress.judged = calibration.progress.windows;
            let id = calibration.request.write.clone().unwrap_or_default();
            let learned = calibration::learned(&report, &id, now);
            if !id.is_empty()
                && let Err(error) = keep(&app, &calibration, &learned, &mut report).await
            {
                calibration.error = Some(format!("what was learned could not be kept: {error}"));
            }
            calibration.learned = Some(learned);
            calibration.report = Some(report);
            calibration.status = ExecutionStatus::Succeeded;
        }
        Err(Ended::Canceled) => calibration.status = ExecutionStatus::Canceled,
        Err(Ended::Stopped) => {
            calibration.status = ExecutionStatus::Terminal;
            calibration.error =
                Some("serin was shut down meanwhile; start it once more".to_owned());
        }
        Err(Ended::Failed(error)) => {
            tracing::warn!(%error, "calibration failed");
            calibration.status = ExecutionStatus::Terminal;
            calibration.error = Some(error.to_string());
        }
    }
    calibration.complete = true;
    calibration.end_time_iso = Some(iso_from_millis(now));
    calibration.heard_millis = now;
    let status = calibration.status.as_str();
    ::metrics::counter!("serin_calibrations_total", "status" => status).increment(1);
    let kept = super::patiently(|| app.storage.put_calibration(&store, &calibration)).await;
    if let Err(error) = kept {
        tracing::error!(%error, "cannot keep a calibration");
    }
    app.calibrations.leave(&calibration.id);
    tracing::info!(status, "calibration ended");
}

/// Why there is no report.
enum Ended {
    Canceled,
    Stopped,
    Failed(Error),
}

/// Tells what moved, and keeps what was learned.
async fn keep(app: &App, made: &Calibration, learned: &Learned, report: &mut Report) -> Result<()> {
    let id = Id::parse(&learned.calibration)?;
    let before = app.storage.learned(store(app)?, &id).await?;
    learned::keep(app, &made.margins(learned.clone())).await?;
    let moved = before.map(|before| calibration::moved(&before, learned));
    for sentence in moved.into_iter().flatten() {
        tracing::info!(margins = %id, told = ?sentence, "a margin moved");
        ::metrics::counter!("serin_margins_moved_total").increment(1);
        report.sentences.push(sentence);
    }
    Ok(())
}

async fn report(app: &App, work: &Work) -> Result<Report> {
    let turn = app.calibrations.turn.acquire().await;
    let _turn = turn.map_err(|_| Error::Internal("nobody takes turns any more".to_owned()))?;
    let share = app.budget.share();
    let series = fetch::all(app, work, &share).await?;
    let plan = &work.plan;
    let points = usize::try_from(plan.window / plan.step).unwrap_or(usize::MAX);
    // With what is looked at once at the end, where the looks do not see all of it.
    let looks = usize::try_from(plan.looks()).unwrap_or(usize::MAX);
    let looks = looks.saturating_add(usize::from(plan.lookback.is_some()));
    let of_pod = |metrics: &Vec<Vec<MetricSet>>| metrics.iter().map(Vec::len).sum();
    let sets: usize = series.iter().map(of_pod).max().unwrap_or_default();
    let at_once = points.saturating_mul(looks).saturating_mul(sets);
    let taken = share
        .take_in_turn(at_once.saturating_mul(2 * JUDGED_POINT_BYTES))
        .await;
    taken.map_err(crate::metrics::too_large)?;
    let names = names(&work.calibration.request, plan);
    let (config, learned, plan) = (work.config.clone(), work.learned.clone(), plan.clone());
    let live = Arc::clone(&work.live);
    let judged = tokio::task::spawn_blocking(move || {
        let given = Given {
            config: &config,
            learned: learned.as_ref(),
            plan: &plan,
            series: &series,
            names: &names,
        };
        calibration::calibrate(&given, &|judged| {
            live.judged.store(judged, Ordering::Relaxed);
            !live.canceled.is_cancelled()
        })
    });
    let judged = judged.await;
    judged.map_err(|error| Error::Internal(format!("the windows could not be judged: {error}")))?
}

/// What people call the pods.
fn names(request: &CalibrationRequest, plan: &Plan) -> Vec<String> {
    let name = |scope: &CanaryScope| {
        scope
            .scope
            .clone()
            .unwrap_or_else(|| "the control".to_owned())
    };
    let control = name(&request.control);
    match plan.twin {
        Twin::Shift(_) => vec![format!("{control} before"), control],
        Twin::Pods(_) => [control]
            .into_iter()
            .chain(request.against.iter().map(name))
            .collect(),
    }
}

/// Says that it is being made until it is over, and stops it when somebody asks for that.
async fn beat(
    app: App,
    mut shown: Calibration,
    store: String,
    live: Arc<Live>,
    over: CancellationToken,
) {
    shown.status = ExecutionStatus::Running;
    let Ok(id) = Id::parse(&shown.id) else {
        return;
    };
    while !over.is_cancelled() {
        shown.heard_millis = app.clock.now_millis();
        (shown.progress.fetched, shown.progress.judged) = live.so_far();
        if let Err(error) = app.storage.put_calibration(&store, &shown).await {
            tracing::warn!(%error, "cannot write the progress");
        }
        if over
            .run_until_cancelled(tokio::time::sleep(BEAT))
            .await
            .is_none()
        {
            return;
        }
        match app.storage.is_calibration_to_stop(&store, &id).await {
            Ok(true) => live.canceled.cancel(),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "cannot see whether it is to stop"),
        }
    }
}
