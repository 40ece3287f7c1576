//! One execution in four steps, and the loop that claims the next one.

mod admission;
mod analysis;
mod comparison;
mod pipeline;
mod plan;
mod remote_judge;
mod stages;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use uuid::Uuid;

pub use admission::{Admission, admit};
pub use analysis::{AnalysisAdmission, admit_analysis};
pub use comparison::{Comparison, compare};
pub use pipeline::pipeline;
pub use remote_judge::NAME as REMOTE_JUDGE;
use stages::{Failure, Stage, Stages};

use crate::app::App;
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryClassifierThresholdsConfig, CanaryConfig,
    CanaryExecutionRequest, CanaryExecutionStatusResponse, CanaryJudgeResult, CanaryResult,
    CanaryScope, ExecutionStatus, Id, MetricSet, MetricSetPair, Pair, iso_duration,
    iso_from_millis,
};
use crate::error::{Error, Result};
use crate::judge::{self, Judgement};
use crate::metrics::{MetricRequest, mix};
use crate::storage::{Claim, Ended, Kind, Record};

/// How often the state of a running execution is written for those who poll it.
const PROGRESS_EVERY: Duration = Duration::from_millis(500);

/// Claims and runs executions until `shutdown`, then waits for those that run.
pub async fn work(app: App, shutdown: CancellationToken) {
    let owner = Uuid::new_v4().to_string();
    let places = Arc::new(Semaphore::new(app.config.executions.max_running));
    let mut running = JoinSet::new();
    while !shutdown.is_cancelled() {
        while running.try_join_next().is_some() {}
        let woken = app.accepted.notified();
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        if let Some(claim) = next(&app, &owner).await {
            let app = app.clone();
            running.spawn(async move {
                let span = tracing::info_span!("execution", "execution.id" = %claim.id, attempt = claim.attempt);
                Box::pin(execute(&app, claim)).instrument(span).await;
                drop(place);
            });
        } else {
            drop(place);
            tokio::select! {
                () = woken => {}
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }
    while running.join_next().await.is_some() {}
}

async fn next(app: &App, owner: &str) -> Option<Claim> {
    if !app.is_claiming() {
        return None;
    }
    match app.storage.claim(owner, app.config.executions.lease).await {
        Ok(claim) => claim,
        Err(error) => {
            tracing::error!(%error, "cannot claim an execution; trying again");
            None
        }
    }
}

/// Does what a claimed execution waits for.
async fn execute(app: &App, claim: Claim) {
    match claim.kind {
        Kind::Canary => {
            if let Some(document) = unfinished(app, &claim).await {
                run_canary(app, claim, document).await;
            }
        }
        Kind::Analysis => {
            if let Some(document) = unfinished(app, &claim).await {
                step_analysis(app, &claim, document).await;
            }
        }
        // Its row is written when both judges have judged; nothing is ever due.
        Kind::Comparison => {}
    }
}

/// The document of an execution; of one that has ended, only the archive is written.
async fn unfinished<R: Record>(app: &App, claim: &Claim) -> Option<R> {
    let document: R = match serde_json::from_str(&claim.document) {
        Ok(document) => document,
        Err(error) => {
            // No version of serin wrote this row; nobody can go on with it.
            tracing::error!(%error, "an execution cannot be read");
            return None;
        }
    };
    if !claim.complete {
        return Some(document);
    }
    if let Err(error) = app.storage.write_archive(claim, &document).await {
        tracing::error!(%error, "cannot note an archive");
    }
    None
}

/// Brings an analysis forward as far as it can go now.
async fn step_analysis(
    app: &App,
    claim: &Claim,
    mut document: CanaryAnalysisExecutionStatusResponse,
) {
    let written = match analysis::advance(app, claim, &mut document).await {
        Ok(Some(due_at)) => app.storage.step(claim, &document, due_at).await,
        Ok(None) => {
            let status = document.status.as_str();
            tracing::info!(status, "analysis ended");
            ::metrics::counter!("serin_analyses_total", "status" => status).increment(1);
            app.storage.finish(claim, &document).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        tracing::error!(%error, "cannot bring an analysis forward; it will be tried again");
    }
}

/// Runs a canary while its lease is renewed; a lost lease or a cancel drops it where it stands,
/// queries included.
async fn run_canary(app: &App, claim: Claim, document: CanaryExecutionStatusResponse) {
    let (progress, seen) = watch::channel(None);
    let run = run(app, &claim, document, |document| {
        progress.send_replace(Some(document.clone()));
    });
    let document = tokio::select! {
        document = run => document,
        why = keep(app, &claim, seen) => {
            tracing::info!(why, "execution stopped");
            return;
        }
    };
    ::metrics::counter!("serin_executions_total", "status" => document.status.as_str())
        .increment(1);
    match app.storage.finish(&claim, &document).await {
        Ok(Ended::Here) => tracing::info!(status = document.status.as_str(), "execution ended"),
        Ok(Ended::Elsewhere) => tracing::info!("execution had ended elsewhere"),
        Err(error) => {
            tracing::error!(%error, "cannot write the end of an execution; it will run again");
        }
    }
    match app.storage.wake_parent(&claim).await {
        Ok(true) => app.accepted.notify_waiters(),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, "an analysis finds out by itself"),
    }
}

/// Renews the lease and shows the progress, until the claim is lost.
async fn keep(
    app: &App,
    claim: &Claim,
    mut seen: watch::Receiver<Option<CanaryExecutionStatusResponse>>,
) -> &'static str {
    let lease = app.config.executions.lease;
    let mut renew = tokio::time::interval(lease / 3);
    let mut show = tokio::time::interval(PROGRESS_EVERY);
    renew.tick().await;
    show.tick().await;
    loop {
        tokio::select! {
            _ = renew.tick() => {}
            () = app.canceled.notified() => {}
            _ = show.tick() => {
                if seen.has_changed().unwrap_or(false) {
                    let document = seen.borrow_and_update().clone();
                    if let Some(document) = document
                        && let Err(error) = app.storage.progress(claim, &document).await
                    {
                        tracing::warn!(%error, "cannot write the progress");
                    }
                }
                continue;
            }
        }
        match app.storage.renew(claim, lease).await {
            Ok(true) => {}
            Ok(false) => return "it was canceled, or its lease was lost",
            Err(error) => tracing::warn!(%error, "cannot renew a lease"),
        }
    }
}

/// The four steps: fetch, mix, judge, report. `show` is told of every step that ends.
async fn run(
    app: &App,
    claim: &Claim,
    mut status: CanaryExecutionStatusResponse,
    show: impl Fn(&CanaryExecutionStatusResponse),
) -> CanaryExecutionStatusResponse {
    let now = app.clock.now_millis();
    status.status = ExecutionStatus::Running;
    status.start_time_millis = Some(now);
    status.start_time_iso = Some(iso_from_millis(now));
    let mut stages = Stages::new(status.config.as_ref().map_or(0, metric_count));
    let outcome = if claim.failures > app.config.executions.max_attempts {
        Err(Failure {
            stage: Stage::Setup,
            error: Error::Invalid(format!(
                "the execution was started {} times and never came to an end; it is given up",
                claim.failures - 1
            )),
        })
    } else {
        steps(app, &mut status, &mut stages, show).await
    };

    let now = app.clock.now_millis();
    match outcome {
        Ok(result) => {
            stages.complete();
            record_scores(&status, &result);
            status.status = ExecutionStatus::Succeeded;
            status.result = Some(result);
        }
        Err(failure) => {
            tracing::warn!(error = %failure.error, stage = failure.stage.operation(), "execution failed");
            stages.fail(failure.stage);
            status.status = ExecutionStatus::Terminal;
            status.exception = Some(failure.exception(now));
        }
    }
    status.complete = true;
    status.stage_status = stages.status();
    status.end_time_millis = Some(now);
    status.end_time_iso = Some(iso_from_millis(now));
    status
}

async fn steps(
    app: &App,
    status: &mut CanaryExecutionStatusResponse,
    stages: &mut Stages,
    show: impl Fn(&CanaryExecutionStatusResponse),
) -> Result<CanaryResult, Failure> {
    let at = |stage| move |error| Failure { stage, error };
    let (Some(config), Some(request)) = (&status.config, &status.canary_execution_request) else {
        return Err(at(Stage::Setup)(Error::Internal(
            "the execution holds no canary config or no request".to_owned(),
        )));
    };
    let (config, request) = (Arc::new(config.clone()), request.clone());
    let duration = common_duration(&request);

    let mut seen = status.clone();
    let sets = fetch(app, status, &config, &request, stages, |stages| {
        seen.stage_status = stages.status();
        show(&seen);
    })
    .await?;

    stages.mixing();
    let execution = status.pipeline_id.clone().unwrap_or_default();
    let list_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, execution.as_bytes());
    let mut count = 0_u32;
    let pairs = mix::mix(&config, sets, || {
        count += 1;
        Uuid::new_v5(&list_id, &count.to_be_bytes()).to_string()
    })
    .map_err(at(Stage::Mix))?;

    let pairs = Arc::new(pairs);
    let list = Id::parse(&list_id.to_string()).map_err(at(Stage::Mix))?;
    let store = status.storage_account_name.clone().unwrap_or_default();
    let stored = async {
        app.storage
            .put_metric_set_pairs(&store, &list, &pairs)
            .await
            .map_err(at(Stage::Mix))
    };
    let judged = async {
        judge(app, config, request.thresholds, Arc::clone(&pairs))
            .await
            .map_err(at(Stage::Judge))
    };
    let (stored, judged) = tokio::join!(stored, judged);
    stored?;
    stages.judging();
    status.metric_set_pair_list_id = Some(list.to_string());
    Ok(CanaryResult {
        judge_result: Some(judged?),
        canary_duration: duration,
    })
}

/// Every metric of both sides at once; the account bounds how many queries are under way.
async fn fetch(
    app: &App,
    status: &CanaryExecutionStatusResponse,
    config: &CanaryConfig,
    request: &CanaryExecutionRequest,
    stages: &mut Stages,
    mut show: impl FnMut(&Stages),
) -> Result<Pair<Vec<Vec<MetricSet>>>, Failure> {
    let metrics = config.metrics.as_deref().unwrap_or_default();
    let source = app
        .metric_source(status.metrics_account_name.as_deref())
        .map_err(|error| Failure {
            stage: Stage::first_fetch(),
            error,
        })?;
    // Who polls must not read `not_started` for as long as the first query takes.
    show(stages);
    let mut queries = FuturesUnordered::new();
    for (index, metric) in metrics.iter().enumerate() {
        for stage in [Stage::FetchControl(index), Stage::FetchExperiment(index)] {
            queries.push(async move {
                let scope = scope_of(request, metric.scope_name.as_deref(), stage)?;
                let asked = MetricRequest {
                    config,
                    metric,
                    scope,
                };
                match source.fetch(&asked).await {
                    Ok(sets) => Ok((stage, sets)),
                    Err(error) => Err(Failure { stage, error }),
                }
            });
        }
    }
    let mut sets = Pair::default().map(|(): ()| vec![Vec::new(); metrics.len()]);
    while let Some(fetched) = queries.next().await {
        let (stage, fetched) = match fetched {
            Ok(fetched) => fetched,
            Err(failure) => {
                // What cannot even be asked for fails on both sides at once; both then show it.
                while let Some(Some(other)) = queries.next().now_or_never() {
                    match other {
                        Ok((stage, _)) => stages.fetched(stage),
                        Err(other) => stages.fail(other.stage),
                    }
                }
                return Err(failure);
            }
        };
        match stage {
            Stage::FetchControl(index) => sets.control[index] = fetched,
            Stage::FetchExperiment(index) => sets.experiment[index] = fetched,
            _ => {}
        }
        stages.fetched(stage);
        show(stages);
    }
    Ok(sets)
}

/// Judges with the judge that the config names: off the async threads, or over HTTP.
///
/// # Errors
/// `Invalid` when there is no such judge, or what it was given cannot be judged; `Fetch` when a
/// judge over HTTP does not answer with a verdict.
pub async fn judge(
    app: &App,
    config: Arc<CanaryConfig>,
    thresholds: Option<CanaryClassifierThresholdsConfig>,
    pairs: Arc<Vec<MetricSetPair>>,
) -> Result<CanaryJudgeResult> {
    let thresholds = thresholds
        .ok_or_else(|| Error::Invalid("Execution request must contain thresholds".to_owned()))?;
    let named = config.judge.as_ref();
    let name = named.and_then(|judge| judge.name.clone());
    if let Some(remote) = &app.config.remote_judge
        && name.as_deref() == Some(remote_judge::NAME)
    {
        return remote_judge::judge(remote, &config, thresholds, &pairs).await;
    }
    tokio::task::spawn_blocking(move || {
        judge::resolve(name.as_deref())?.judge(&Judgement {
            config: &config,
            thresholds,
            pairs: &pairs,
            noise_seed: judge::DEFAULT_NOISE_SEED,
        })
    })
    .await
    .map_err(|error| Error::Internal(format!("the judge did not answer: {error}")))?
}

fn scope_of<'a>(
    request: &'a CanaryExecutionRequest,
    name: Option<&str>,
    stage: Stage,
) -> Result<&'a CanaryScope, Failure> {
    let pair = name.and_then(|name| request.scopes.as_ref()?.get(name));
    let scope = pair.and_then(|pair| match stage {
        Stage::FetchControl(_) => pair.control_scope.as_ref(),
        _ => pair.experiment_scope.as_ref(),
    });
    scope.ok_or_else(|| Failure {
        stage,
        error: Error::Invalid(format!(
            "Canary scope for named scope {} is missing experimentScope or controlScope keys",
            name.unwrap_or("null")
        )),
    })
}

fn metric_count(config: &CanaryConfig) -> usize {
    config.metrics.as_ref().map_or(0, Vec::len)
}

/// The duration of the scopes, when all have the same.
fn common_duration(request: &CanaryExecutionRequest) -> Option<String> {
    let mut durations = request
        .scopes
        .iter()
        .flat_map(|scopes| scopes.values())
        .flat_map(|pair| [&pair.control_scope, &pair.experiment_scope])
        .map(|scope| {
            let scope = scope.as_ref()?;
            Some(scope.end?.0.duration_since(scope.start?.0))
        });
    let first = durations.next()??;
    durations
        .all(|duration| duration == Some(first))
        .then(|| iso_duration(first))
}

fn record_scores(status: &CanaryExecutionStatusResponse, result: &CanaryResult) {
    let Some(judged) = &result.judge_result else {
        return;
    };
    let application = status.application.clone().unwrap_or_default();
    let config = status
        .config
        .as_ref()
        .and_then(|config| config.name.clone());
    ::metrics::gauge!(
        "serin_canary_score",
        "application" => application,
        "config" => config.unwrap_or_else(|| "ad-hoc".to_owned()),
    )
    .set(judged.score.score);
}
