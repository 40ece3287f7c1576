//! From a request to a claimable row: every check that a client hears about at once.

use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use ulid::Ulid;

use super::learned;
use super::stages::Stages;
use super::start::{Admission, Admitted, Startable};
use crate::actions;
use crate::app::App;
use crate::canary::names::name_fault;
use crate::canary::{
    CanaryConfig, CanaryExecutionRequest, CanaryExecutionStatusResponse, CanaryMetricConfig,
    ExecutionStatus, Fault, Id, Kind, Learned, Path, iso_from_millis,
};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::metrics;
use crate::storage::{Begun, Claim};
use crate::telemetry::traces;

impl Startable for CanaryExecutionRequest {
    fn actions(&self) -> Option<&Value> {
        self.actions.as_ref()
    }

    async fn accept(app: &App, id: String, mut admission: Admission<Self>) -> Result<Admitted> {
        check(&app.config, &admission.config, &admission.request)?;
        let learned = learned::of(app, &admission.caller, &admission.config).await?;
        check_names([
            ("application", &admission.application),
            (
                "parentPipelineExecutionId",
                &admission.parent_pipeline_execution_id,
            ),
        ])?;
        let key = admission.key.take();
        let record = Some(admission.recorded(Kind::Canary, &id));
        let document = document(&id, app.clock.now_millis(), admission, learned);
        actions::check(app, &document, 0)?;
        let place = app.free_place();
        let lease = place.as_ref().map(|_| app.config.executions.lease);
        let begun = app.storage.begin(&document, key.as_ref(), lease, record);
        match begun.await? {
            Begun::Before(id) => return Ok(Admitted { id, is_new: false }),
            Begun::Here(claim) => begin(app, place.zip(claim), document),
        }
        app.storage.durable().await?;
        ::metrics::counter!("serin_executions_accepted_total").increment(1);
        tracing::info!(execution.id = id, "execution accepted");
        let id = Id::parse(&id)?;
        Ok(Admitted { id, is_new: true })
    }
}

/// Admits the canary of an analysis under an id that is the same whenever it is tried.
///
/// # Errors
/// `Invalid` when config and request do not fit together.
pub(super) async fn admit_for(
    app: &App,
    analysis: &str,
    id: &str,
    admission: Admission<CanaryExecutionRequest>,
) -> Result<()> {
    check(&app.config, &admission.config, &admission.request)?;
    let learned = learned::of(app, &admission.caller, &admission.config).await?;
    let document = CanaryExecutionStatusResponse {
        analysis: Some(analysis.to_owned()),
        ..document(id, app.clock.now_millis(), admission, learned)
    };
    let place = app.free_place();
    let lease = place.as_ref().map(|_| app.config.executions.lease);
    let claim = app.storage.begin_for(&document, analysis, lease).await?;
    begin(app, place.zip(claim), document);
    app.storage.durable().await?;
    ::metrics::counter!("serin_executions_accepted_total").increment(1);
    Ok(())
}

/// Runs here what was accepted with a lease.
fn begin(
    app: &App,
    taken: Option<(OwnedSemaphorePermit, Claim)>,
    document: CanaryExecutionStatusResponse,
) {
    if let Some((place, claim)) = taken {
        super::in_place(app, place, claim, |app, claim| async move {
            Box::pin(super::run_canary(&app, claim, document)).await;
        });
    }
}

fn document(
    id: &str,
    now: i64,
    admission: Admission<CanaryExecutionRequest>,
    learned: Option<Learned>,
) -> CanaryExecutionStatusResponse {
    let mut config = admission.config;
    config.prepare();
    let mut stage_status = Stages::new(config.metrics.as_ref().map_or(0, Vec::len)).status();
    for state in stage_status.values_mut() {
        "not_started".clone_into(state);
    }
    CanaryExecutionStatusResponse {
        application: Some(admission.application.unwrap_or_else(ad_hoc)),
        parent_pipeline_execution_id: admission.parent_pipeline_execution_id,
        pipeline_id: Some(id.to_owned()),
        stage_status,
        status: ExecutionStatus::NotStarted,
        config: Some(config),
        canary_config_id: Some(admission.canary_config_id.unwrap_or_else(ad_hoc)),
        canary_execution_request: Some(admission.request),
        build_time_millis: Some(now),
        build_time_iso: Some(iso_from_millis(now)),
        storage_account_name: Some(admission.storage_account),
        metrics_account_name: admission.metrics_account,
        configuration_account_name: admission.configuration_account,
        warning: admission.warning,
        repeats: admission.repeats,
        caller: admission.started_by,
        look: admission.look,
        traceparent: traces::current(),
        learned,
        ..CanaryExecutionStatusResponse::default()
    }
}

fn ad_hoc() -> String {
    "ad-hoc".to_owned()
}

/// A ULID of that time.
pub(super) fn new_id(millis: i64) -> String {
    let random = uuid::Uuid::new_v4().as_u128();
    Ulid::from_parts(u64::try_from(millis).unwrap_or(0), random).to_string()
}

/// What names an execution in lists, beside its config.
pub(super) fn check_names<const N: usize>(names: [(&str, &Option<String>); N]) -> Result<()> {
    let mut given = names.into_iter();
    let fault = given.find_map(|(member, name)| name_fault(&Path::of(member), name.as_deref()?));
    fault.map_or(Ok(()), |fault| Err(fault.into()))
}

/// The checks of Kayenta, in its order, after those of serin's own bounds.
pub(super) fn check(
    own: &Config,
    config: &CanaryConfig,
    request: &CanaryExecutionRequest,
) -> Result<()> {
    let beyond = too_many_metrics(own, config);
    let beyond = beyond.or_else(|| config.name_faults().into_iter().next());
    let beyond = beyond.or_else(|| request.name_fault());
    if let Some(fault) = beyond.or_else(|| without_metrics(config)) {
        return Err(fault.into());
    }
    let metrics = config.metrics.as_deref().unwrap_or_default();
    let needed: Vec<&str> = metrics
        .iter()
        .filter_map(|metric| metric.scope_name.as_deref())
        .collect();
    let scopes = match &request.scopes {
        Some(scopes) => scopes,
        None if needed.is_empty() => &indexmap::IndexMap::new(),
        None => {
            return invalid(
                "Canary metrics require scopes, but no scopes were provided in the execution request.",
            );
        }
    };
    let mut missing: Vec<&str> = needed
        .into_iter()
        .filter(|name| !scopes.contains_key(*name))
        .collect();
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        return invalid(format!(
            "Canary metrics require scopes which were not provided in the execution request: [{}]",
            missing.join(", ")
        ));
    }
    for metric in metrics {
        let scope = scope_name(metric)?;
        let pair = &scopes[scope];
        if pair.control_scope.is_none() || pair.experiment_scope.is_none() {
            return invalid(format!(
                "Canary scope for named scope {scope} is missing experimentScope or controlScope keys"
            ));
        }
    }
    if request.thresholds.is_none() {
        return invalid("Execution request must contain thresholds");
    }
    match without_weights(config) {
        Some(fault) => Err(fault.into()),
        None => Ok(()),
    }
}

/// There are more metrics than an execution may have.
pub(super) fn too_many_metrics(own: &Config, config: &CanaryConfig) -> Option<Fault> {
    let (most, metrics) = (own.executions.max_metrics, config.metrics.as_ref()?.len());
    (most < metrics).then(|| {
        let told = format!(
            "The canary config has {metrics} metrics; {most} are the most that are judged (executions.maxMetrics)."
        );
        Fault::new(Path::of("metrics"), told)
    })
}

/// How much longer than its text the template of a query may be, for names of variables and their defaults.
const TEMPLATE_FACTOR: usize = 4;

/// Queries that are longer than is asked, whatever their variables stand for. Others are found when they are
/// asked.
pub(super) fn too_long_queries(own: &Config, config: &CanaryConfig) -> Vec<Fault> {
    let longest = own.limits.query_text;
    let metrics = config.metrics.iter().flatten().enumerate();
    let too_long = metrics.filter_map(|(at, metric)| {
        // What is wrong with it beside that is told when it is asked for.
        let template = metrics::template_of(config, metric).ok()??;
        let is_too_long = longest.saturating_mul(TEMPLATE_FACTOR) < template.len()
            || longest < metrics::least_length(&template);
        is_too_long.then(|| {
            let told = metrics::too_long(longest);
            Fault::new(Path::of("query"), told).within(Path::element("metrics", at))
        })
    });
    too_long.collect()
}

/// Why no request could start a canary with a config that is otherwise in order.
pub(super) fn unusable(config: &CanaryConfig) -> Vec<Fault> {
    let metrics = config.metrics.iter().flatten().enumerate();
    let metrics = metrics.filter_map(|(at, metric)| {
        let fault = scope_name(metric).err()?;
        Some(fault.within(Path::element("metrics", at)))
    });
    let config_faults = [without_metrics(config), without_weights(config)];
    config_faults.into_iter().flatten().chain(metrics).collect()
}

fn without_metrics(config: &CanaryConfig) -> Option<Fault> {
    config.metrics.as_ref().is_none_or(Vec::is_empty).then(|| {
        Fault::new(
            Path::of("metrics"),
            "The canary config must specify at least one metric. Otherwise we're not analyzing anything. :)",
        )
        .in_plain_words("there is no metric in it, so nothing can be compared")
    })
}

/// The pair of scopes that a metric is fetched for.
///
/// # Errors
/// Why it cannot be fetched at all.
fn scope_name(metric: &CanaryMetricConfig) -> Result<&str, Fault> {
    let name = metric.name.as_deref().unwrap_or("null");
    let fault = |member, told| Err(Fault::new(Path::of(member), told));
    let Some(query) = &metric.query else {
        return fault("query", format!("Metric '{name}' has no query."));
    };
    let kind = query.kind();
    if !metrics::supports(kind) {
        let told = metrics::other_source(name, kind);
        let reads = metrics::kinds().join(", ");
        let plain = format!("nothing here answers '{kind}': serin reads {reads} only");
        return fault("query.type", told).map_err(|fault| fault.in_plain_words(plain));
    }
    let Some(scope) = &metric.scope_name else {
        let told = format!("Canary scope for metric named '{name}' is null.");
        let plain = format!("metric '{name}' does not say which scopes it is fetched for");
        return fault("scopeName", told).map_err(|fault| fault.in_plain_words(plain));
    };
    Ok(scope)
}

fn without_weights(config: &CanaryConfig) -> Option<Fault> {
    let classifier = config.classifier.as_ref();
    let weights = classifier.and_then(|classifier| classifier.group_weights.as_ref());
    weights.is_none().then(|| {
        Fault::new(
            Path::of("classifier"),
            "The canary config must specify a classifier with groupWeights, {} at least.",
        )
    })
}

fn invalid<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(message.into()))
}
