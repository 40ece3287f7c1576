//! What an analysis is made of, and that it is accepted once.

use super::SETUP;
use crate::actions;
use crate::app::App;
use crate::canary::{
    AnalysisStage, CanaryAnalysisExecutionRequest, CanaryAnalysisExecutionStatusResponse,
    CanaryConfig, ExecutionStatus, Id, iso_from_millis,
};
use crate::error::Result;
use crate::run::admission::{self, Admitted};
use crate::run::cancel;
use crate::run::learned;
use crate::run::plan::Plan;
use crate::run::sources;
use crate::storage::{Begun, FlaggerKey, IdempotencyKey};

/// What an analysis is made of; the storage account is resolved.
#[derive(Clone, Debug, Default)]
pub struct AnalysisAdmission {
    pub application: Option<String>,
    pub user: Option<String>,
    pub parent_pipeline_execution_id: Option<String>,
    /// None for a config that came with the request.
    pub canary_config_id: Option<String>,
    pub config: CanaryConfig,
    pub request: CanaryAnalysisExecutionRequest,
    /// As the request names it; without a name, the only one that answers the first metric.
    pub metrics_account: Option<String>,
    pub storage_account: String,
    pub key: Option<IdempotencyKey>,
    pub flagger: Option<ForFlagger>,
    /// What its client should know of the request.
    pub warning: Option<String>,
    /// The analysis that it judges again.
    pub repeats: Option<String>,
}

/// The revision whose run an analysis is to be.
#[derive(Clone, Debug)]
pub struct ForFlagger {
    pub key: FlaggerKey,
    /// The run that it had, which nobody can find any more.
    pub gone: Option<Id>,
}

/// Accepts an analysis: when this returns, it will be brought to its end, whatever happens.
///
/// # Errors
/// `Invalid` when config and request do not fit together, or the windows make no sense;
/// `Unavailable` when enough wait already, `Reused` when the key came with another request.
pub async fn admit_analysis(app: &App, admission: AnalysisAdmission) -> Result<Admitted> {
    let id = admission::new_id(app.clock.now_millis());
    admit_analysis_as(app, id, admission).await
}

/// Under an id of the caller's; one that is there already stays as it is.
pub async fn admit_analysis_as(
    app: &App,
    id: String,
    mut admission: AnalysisAdmission,
) -> Result<Admitted> {
    app.check_open()?;
    let now = app.clock.now_millis();
    let plan = planned(app, &mut admission, now)?;
    // Each of its canaries takes what there is when it begins.
    learned::of(app, &admission.config).await?;
    let (flagger, key) = (admission.flagger.take(), admission.key.take());
    let document = document(&id, now, admission);
    actions::check(app, &document, plan.runs())?;
    let storage = &app.storage;
    let begun = match &flagger {
        Some(ForFlagger { key, gone }) => {
            let (begun, others) = storage
                .begin_for_flagger(&document, key, gone.as_ref())
                .await?;
            for other in others {
                // It would come to its end all the same, only with queries that nobody needs.
                if let Err(error) = cancel::cancel_unasked(app, &other).await {
                    tracing::warn!(execution.id = %other, %error, "cannot cancel the run of another revision");
                }
            }
            begun
        }
        None => storage.begin(&document, key.as_ref(), None).await?,
    };
    if let Begun::Before(id) = begun {
        return Ok(Admitted { id, is_new: false });
    }
    storage.durable().await?;
    tracing::info!(execution.id = id, "analysis accepted");
    let id = Id::parse(&id)?;
    Ok(Admitted { id, is_new: true })
}

/// Whether an analysis would be accepted now, as far as its request tells.
///
/// # Errors
/// `Invalid` when config and request do not fit together, or the windows make no sense.
pub fn check_analysis(app: &App, admission: &AnalysisAdmission) -> Result<()> {
    let now = app.clock.now_millis();
    let mut admission = admission.clone();
    let plan = planned(app, &mut admission, now)?;
    actions::check(app, &document("", now, admission), plan.runs())
}

/// The metrics account is known then.
fn planned(app: &App, admission: &mut AnalysisAdmission, now: i64) -> Result<Plan> {
    let named = admission.metrics_account.as_deref();
    admission.metrics_account = Some(sources::account(app, named, &admission.config)?);
    let plan = Plan::of(&admission.request, now)?;
    admission::check(&app.config, &admission.config, &plan.request(1))?;
    admission::check_names([
        ("application", &admission.application),
        ("user", &admission.user),
        (
            "parentPipelineExecutionId",
            &admission.parent_pipeline_execution_id,
        ),
    ])?;
    Ok(plan)
}

fn document(
    id: &str,
    now: i64,
    admission: AnalysisAdmission,
) -> CanaryAnalysisExecutionStatusResponse {
    let mut config = admission.config;
    config.prepare();
    let mut document = CanaryAnalysisExecutionStatusResponse {
        application: Some(admission.application.unwrap_or_else(|| "ad-hoc".to_owned())),
        user: Some(admission.user.unwrap_or_else(|| "anonymous".to_owned())),
        parent_pipeline_execution_id: admission.parent_pipeline_execution_id,
        pipeline_id: Some(id.to_owned()),
        stage_status: vec![AnalysisStage::new(AnalysisStage::SETUP, SETUP)],
        canary_analysis_execution_request: Some(admission.request),
        canary_config: Some(config),
        canary_config_id: admission.canary_config_id,
        build_time_millis: Some(now),
        build_time_iso: Some(iso_from_millis(now)),
        storage_account_name: Some(admission.storage_account),
        metrics_account_name: admission.metrics_account,
        warning: admission.warning,
        repeats: admission.repeats,
        ..CanaryAnalysisExecutionStatusResponse::default()
    };
    document.set_status(ExecutionStatus::NotStarted);
    document
}
