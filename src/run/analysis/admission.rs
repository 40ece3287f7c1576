//! What an analysis is made of, and that it is accepted once.

use serde_json::Value;

use super::SETUP;
use crate::actions;
use crate::app::App;
use crate::audit::Entry;
use crate::canary::{
    AnalysisStage, CanaryAnalysisExecutionRequest, CanaryAnalysisExecutionStatusResponse,
    ExecutionStatus, Id, Kind, iso_from_millis,
};
use crate::error::Result;
use crate::run::plan::Plan;
use crate::run::start::{Admission, Admitted, ForFlagger, Startable};
use crate::run::{admission, cancel, learned};
use crate::storage::Begun;
use crate::telemetry::traces;

impl Startable for CanaryAnalysisExecutionRequest {
    fn actions(&self) -> Option<&Value> {
        self.actions.as_ref()
    }

    async fn accept(app: &App, id: String, mut admission: Admission<Self>) -> Result<Admitted> {
        let now = app.clock.now_millis();
        let plan = planned(app, &admission, now)?;
        // Each of its canaries takes what there is when it begins.
        learned::of(app, &admission.caller, &admission.config).await?;
        let (flagger, key) = (admission.flagger.take(), admission.key.take());
        let record = admission.recorded(Kind::Analysis, &id);
        let document = document(&id, now, admission);
        actions::check(app, &document, plan.runs())?;
        let storage = &app.storage;
        let begun = if let Some(flagger) = &flagger {
            begin_for_flagger(app, &document, flagger, record).await?
        } else {
            let begun = storage.begin(&document, key.as_ref(), None, Some(record));
            begun.await?
        };
        if let Begun::Before(id) = begun {
            return Ok(Admitted { id, is_new: false });
        }
        storage.durable().await?;
        tracing::info!(execution.id = id, "analysis accepted");
        let id = Id::parse(&id)?;
        Ok(Admitted { id, is_new: true })
    }
}

async fn begin_for_flagger(
    app: &App,
    document: &CanaryAnalysisExecutionStatusResponse,
    ForFlagger { key, gone }: &ForFlagger,
    record: Entry,
) -> Result<Begun> {
    let by = record.by.clone();
    let storage = &app.storage;
    let begun = storage.begin_for_flagger(document, key, gone.as_ref(), Some(record));
    let (begun, others) = begun.await?;
    for other in others {
        // It would come to its end all the same, only with queries that nobody needs.
        if let Err(error) = cancel::cancel_unasked(app, &by, &other).await {
            tracing::warn!(execution.id = %other, %error, "cannot cancel the run of another revision");
        }
    }
    Ok(begun)
}

/// Whether an analysis would be accepted now, as far as its request tells.
///
/// # Errors
/// Those of `run::start`.
pub fn check_analysis(
    app: &App,
    mut admission: Admission<CanaryAnalysisExecutionRequest>,
) -> Result<()> {
    admission.permit(app)?;
    let now = app.clock.now_millis();
    let plan = planned(app, &admission, now)?;
    actions::check(app, &document("", now, admission), plan.runs())
}

fn planned(
    app: &App,
    admission: &Admission<CanaryAnalysisExecutionRequest>,
    now: i64,
) -> Result<Plan> {
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
    admission: Admission<CanaryAnalysisExecutionRequest>,
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
        caller: admission.started_by,
        traceparent: traces::current(),
        ..CanaryAnalysisExecutionStatusResponse::default()
    };
    document.set_status(ExecutionStatus::NotStarted);
    document
}
