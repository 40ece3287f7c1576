//! One canary in four steps: fetch, mix, judge, report.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use futures::FutureExt;
use futures::stream::{self, StreamExt};
use tracing::Instrument;
use uuid::Uuid;

use super::alone::given_up;
use super::judges::{self, Question};
use super::stages::{Failure, Stage, Stages};
use super::{gauges, sources};
use crate::app::App;
use crate::budget::Share;
use crate::canary::{
    Attributes, CanaryConfig, CanaryExecutionRequest, CanaryExecutionStatusResponse,
    CanaryMetricConfig, CanaryMetricSetQueryConfig, CanaryResult, CanaryScope, Execution,
    ExecutionStatus, Id, MetricSet, MetricSetPair, Pair, Window, iso_duration, iso_from_millis,
};
use crate::error::{Error, Result};
use crate::metrics::{self, MetricRequest, MetricSource, mix};
use crate::storage::{Claim, pair_list_of_run};
use crate::telemetry::traces;

/// How often the document of an execution is there while it runs: as it came, as it was read, as it is shown
/// and written.
const DOCUMENT_COPIES: usize = 8;

/// More than an account is asked at once; what waits beyond has no text yet.
const QUERIES_AT_ONCE: usize = 256;

/// How long a canary waits for a store that does not take its pairs.
const STORE_PATIENCE: Duration = Duration::from_mins(5);

/// Says that a canary runs from now on.
pub fn start(app: &App, status: &mut CanaryExecutionStatusResponse) {
    let now = app.clock.now_millis();
    status.status = ExecutionStatus::Running;
    status.start_time_millis = Some(now);
    status.start_time_iso = Some(iso_from_millis(now));
}

/// Brings a canary to its end. `show` is told of every step on the way.
pub async fn run(
    app: &App,
    claim: &Claim,
    mut status: CanaryExecutionStatusResponse,
    share: &Arc<Share>,
    show: impl Fn(&Stages),
) -> CanaryExecutionStatusResponse {
    let mut stages = Stages::new(status.config.as_ref().map_or(0, metric_count));
    let outcome = if let Some(error) = given_up(app, claim, "the execution") {
        Err(Failure {
            stage: Stage::Setup,
            error,
        })
    } else {
        let limit = app.config.executions.deadline;
        let steps = steps(app, claim, &mut status, &mut stages, share, show);
        match tokio::time::timeout(limit, steps).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure {
                stage: stages.current(),
                error: Error::Invalid(format!(
                    "the execution did not end within {} s (executions.deadline); it is given up",
                    limit.as_secs_f64()
                )),
            }),
        }
    };

    let cost = share.spent();
    status.cost = (!cost.is_empty()).then_some(cost);
    let now = app.clock.now_millis();
    match outcome {
        Ok(result) => {
            stages.complete();
            status.status = ExecutionStatus::Succeeded;
            status.result = Some(result);
        }
        Err(failure) => {
            let exception = failure.exception(status.config.as_ref(), now);
            tracing::warn!(error = %failure.error, stage = exception.operation, "execution failed");
            stages.fail(failure.stage);
            status.status = ExecutionStatus::Terminal;
            status.exception = Some(exception);
        }
    }
    status.complete = true;
    status.stage_status = stages.status();
    status.end_time_millis = Some(now);
    status.end_time_iso = Some(iso_from_millis(now));
    status.outcome = Some(status.told().outcome);
    gauges::tell(&status.told());
    status
}

async fn steps(
    app: &App,
    claim: &Claim,
    status: &mut CanaryExecutionStatusResponse,
    stages: &mut Stages,
    share: &Arc<Share>,
    show: impl Fn(&Stages),
) -> Result<CanaryResult, Failure> {
    let at = |stage| move |error| Failure { stage, error };
    take(share, claim.document.len() * DOCUMENT_COPIES)
        .await
        .map_err(at(Stage::Setup))?;
    let (Some(config), Some(request)) = (&status.config, &status.canary_execution_request) else {
        return Err(at(Stage::Setup)(Error::Internal(
            "the execution holds no canary config or no request".to_owned(),
        )));
    };
    let (config, request) = (Arc::new(config.clone()), request.clone());
    let (duration, look) = (common_duration(&request), status.look);
    let learned = status.learned.clone().map(Arc::new);

    let sets = fetch(app, status, &config, &request, stages, share, show).await?;

    stages.mixing();
    let execution = status.pipeline_id.clone().unwrap_or_default();
    let list_id = pair_list_of_run(&execution);
    let mut count = 0_u32;
    let matched = mix::matched(&config, sets).map_err(at(Stage::Mix))?;
    let padding = matched.iter().map(mix::Matched::padding);
    let padding = padding.fold(0_usize, usize::saturating_add);
    take(share, metrics::cost_of_padding(padding))
        .await
        .map_err(at(Stage::Mix))?;
    let pairs = mix::mix(matched, || {
        count += 1;
        Uuid::new_v5(&list_id, &count.to_be_bytes()).to_string()
    });

    let pairs = Arc::new(pairs);
    let list = Id::parse(&list_id.to_string()).map_err(at(Stage::Mix))?;
    let store = status.storage_account_name.clone().unwrap_or_default();
    let stored = async {
        put_pairs(app, &store, &list, &pairs)
            .await
            .map_err(at(Stage::Mix))
    };
    let judged = async {
        let judged = async {
            let thresholds = request.thresholds.ok_or_else(|| {
                Error::Invalid("Execution request must contain thresholds".to_owned())
            })?;
            let question = Question {
                config,
                thresholds,
                pairs: Arc::clone(&pairs),
                look,
                learned,
            };
            let shadow = judges::shadow(app, &question).await;
            Ok((judges::judge(app, question).await?, shadow))
        };
        judged.await.map_err(at(Stage::Judge))
    };
    let (stored, judged) = tokio::join!(stored, judged);
    stored?;
    stages.judging();
    status.metric_set_pair_list_id = Some(list.to_string());
    let (judged, shadow) = judged?;
    Ok(CanaryResult {
        judge_result: Some(judged),
        canary_duration: duration,
        shadow: shadow.map(Box::new),
    })
}

/// Takes memory from the share, when it is its turn.
async fn take(share: &Share, bytes: usize) -> Result<()> {
    share.take_in_turn(bytes).await.map_err(metrics::too_large)
}

/// What was fetched is not given up because the store is down for a while.
async fn put_pairs(app: &App, store: &str, list: &Id, pairs: &[MetricSetPair]) -> Result<()> {
    let waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(10))
        .without_max_times()
        .with_total_delay(Some(STORE_PATIENCE));
    let put = || app.storage.put_metric_set_pairs(store, list, pairs);
    put.retry(waits)
        .when(|error| matches!(error, Error::Storage { .. } | Error::Unavailable(_)))
        .notify(|error, _| tracing::warn!(%error, "cannot store what was fetched; trying again"))
        .await
}

/// The metrics of both sides at once; the account bounds how many queries are under way, and who is next.
async fn fetch(
    app: &App,
    status: &CanaryExecutionStatusResponse,
    config: &CanaryConfig,
    request: &CanaryExecutionRequest,
    stages: &mut Stages,
    share: &Arc<Share>,
    show: impl Fn(&Stages),
) -> Result<Pair<Vec<Vec<MetricSet>>>, Failure> {
    let metrics = config.metrics.as_deref().unwrap_or_default();
    let named = status.metrics_account_name.as_deref();
    // Who polls must not read `not_started` for as long as the first query takes.
    show(stages);
    let all = (0..metrics.len()).flat_map(|index| {
        [Stage::FetchControl(index), Stage::FetchExperiment(index)].map(|stage| (index, stage))
    });
    let queries = all.map(|(index, stage)| async move {
        let metric = &metrics[index];
        let scope = scope_of(request, metric.scope_name.as_deref(), stage)?;
        let asked = MetricRequest {
            config,
            metric,
            scope,
            longest: app.config.limits.query_text,
            is_reused: true,
        };
        let window = Window::of(scope, app.clock.now_millis());
        let source = source_of(app, named, metric).map_err(|error| Failure { stage, error })?;
        let kind = source.language().kind();
        let span = traces::of_query(
            kind,
            metric.name.as_deref().unwrap_or_default(),
            stage.side(),
        );
        let fetched = source.fetch(&asked, share).instrument(span.clone()).await;
        match fetched {
            Ok(sets) => {
                let points = sets.iter().map(|set| set.values.len()).sum::<usize>();
                span.record("serin.series", sets.len());
                span.record("serin.points", points);
                Ok((stage, within(window, sets)))
            }
            Err(error) => {
                span.record("otel.status_code", "ERROR");
                let error = error.of_metric(metric.name.as_deref());
                Err(Failure { stage, error })
            }
        }
    });
    let mut queries = pin!(stream::iter(queries).buffer_unordered(QUERIES_AT_ONCE));
    let mut sets = Pair::default().map(|(): ()| vec![Vec::new(); metrics.len()]);
    while let Some(fetched) = queries.next().await {
        let (stage, fetched) = match fetched {
            Ok(fetched) => fetched,
            Err(failure) => {
                // What cannot even be asked for fails on both sides at once; both then show it.
                for _ in 0..QUERIES_AT_ONCE {
                    let Some(Some(other)) = queries.next().now_or_never() else {
                        break;
                    };
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

fn source_of(
    app: &App,
    named: Option<&str>,
    metric: &CanaryMetricConfig,
) -> Result<Arc<dyn MetricSource>> {
    let kind = metric.query.as_ref();
    let kind = kind.map(CanaryMetricSetQueryConfig::kind);
    let name = metric.name.as_deref().unwrap_or_default();
    sources::of(app, named, kind.unwrap_or_default(), name)
}

/// Series that tell for what time they were asked.
pub(super) fn within(window: Option<Window>, mut sets: Vec<MetricSet>) -> Vec<MetricSet> {
    let Some(window) = window else {
        return sets;
    };
    // What all share is told once.
    let mut told: Option<(Attributes, Attributes)> = None;
    for set in &mut sets {
        let attributes = set.attributes.get_or_insert_default();
        match &told {
            Some((before, after)) if before.is_same(attributes) => *attributes = after.clone(),
            _ => {
                let before = attributes.clone();
                window.tell(attributes);
                told = Some((before, attributes.clone()));
            }
        }
    }
    sets
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
