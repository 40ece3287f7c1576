//! A standalone canary analysis: canaries over one window after the other.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::lenient;
use super::time::iso_from_millis;
use super::{
    AcceptedByHand, Actions, CanaryClassifierThresholdsConfig, CanaryConfig, CanaryResult,
    ExecutionStatus, Outcome, ServiceCost, StageException,
};

/// What to compare, over which windows, and the thresholds of the verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryAnalysisExecutionRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<CanaryAnalysisExecutionRequestScope>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<CanaryClassifierThresholdsConfig>,
    /// How long to analyse; needed unless the scopes have an end.
    #[serde(
        default,
        deserialize_with = "lenient::integer::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = 60)]
    pub lifetime_duration_mins: Option<i64>,
    /// How long to wait before the first window begins.
    #[serde(default, deserialize_with = "lenient::integer::or_zero")]
    pub begin_after_mins: i64,
    /// Above 0, every window is that long; else windows grow from the start.
    #[serde(default, deserialize_with = "lenient::integer::or_zero")]
    pub lookback_mins: i64,
    /// From one judgement to the next; the whole lifetime, if not given.
    #[serde(
        default,
        deserialize_with = "lenient::integer::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = 20)]
    pub analysis_interval_mins: Option<i64>,
    /// serin's own: whether what the interval leaves of the lifetime is judged, too.
    #[serde(
        default,
        deserialize_with = "lenient::flag",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub judge_remainder: bool,
    /// Echoed only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    pub site_local: Option<Map<String, Value>>,
    /// What is called outside of serin as it goes on; an event named here is not asked of the config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Actions>)]
    pub actions: Option<Value>,
}

/// One named scope of an analysis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryAnalysisExecutionRequestScope {
    /// `default`, if not given.
    #[serde(default = "default_scope", deserialize_with = "scope_name")]
    pub scope_name: String,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub control_scope: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub control_location: Option<String>,
    /// How far back the control lies.
    #[serde(default, deserialize_with = "lenient::integer::or_zero")]
    pub control_offset_in_minutes: i64,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub experiment_scope: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub experiment_location: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub start_time_iso: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub end_time_iso: Option<String>,
    /// Seconds between two points; 60, if not given or 0.
    #[serde(default = "default_step", deserialize_with = "step")]
    #[schema(example = 60)]
    pub step: i64,
    #[serde(default, deserialize_with = "params")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub extended_scope_params: IndexMap<String, String>,
}

/// An analysis request that brings its own canary config.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryAnalysisAdhocExecutionRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_config: Option<CanaryConfig>,
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub execution_request: Option<CanaryAnalysisExecutionRequest>,
}

/// One stage of an analysis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisStage {
    /// `wait`, `runCanary`, `setupAndExecuteCanariesStage` or `generateCanaryAnalysisResultStage`.
    #[serde(rename = "type")]
    pub kind: String,
    #[schema(example = "Run Canary #1")]
    pub name: String,
    /// A state in upper case.
    pub status: String,
    /// The canary of a `runCanary` stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_id: Option<String>,
}

/// What came of an analysis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryAnalysisExecutionResult {
    pub did_pass_thresholds: bool,
    pub has_warnings: bool,
    pub canary_score_message: String,
    pub canary_scores: Vec<f64>,
    pub canary_execution_results: Vec<CanaryExecutionResult>,
}

/// One canary of an analysis.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryExecutionResult {
    pub execution_id: String,
    /// A state in upper case.
    pub execution_status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<StageException>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<CanaryResult>,
    /// Window of the control.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judgement_start_time_iso: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judgement_start_time_millis: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judgement_end_time_iso: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judgement_end_time_millis: Option<i64>,
    pub warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_set_pair_list_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_time_millis: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_time_iso: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time_millis: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time_iso: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time_millis: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time_iso: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_account_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_account_name: Option<String>,
}

/// One analysis from its birth to its report; this is also the archived document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CanaryAnalysisExecutionStatusResponse {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_pipeline_execution_id: Option<String>,
    /// The canary analysis execution id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_id: Option<String>,
    pub stage_status: Vec<AnalysisStage>,
    pub complete: bool,
    /// The state in upper case.
    pub execution_status: String,
    pub status: ExecutionStatus,
    /// What came of it, once it has ended; Kayenta has no such member.
    #[serde(
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<StageException>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_analysis_execution_result: Option<CanaryAnalysisExecutionResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_analysis_execution_request: Option<CanaryAnalysisExecutionRequest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_config: Option<CanaryConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_config_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_time_millis: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_time_iso: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time_millis: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time_iso: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time_millis: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time_iso: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_account_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_account_name: Option<String>,
    /// serin's own: the span that accepted it, as W3C's header has it; where traces are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// serin's own: what of the request is passed over, or can hardly be meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// serin's own: what its canaries cost the services that they asked, by account, once it has ended.
    #[serde(
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub cost: Option<BTreeMap<String, ServiceCost>>,
    /// serin's own: somebody goes on with it all the same.
    #[serde(
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub accepted_by_hand: Option<AcceptedByHand>,
    /// serin's own: who started it, where that is known; `user` is what the request says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "token:ci")]
    pub caller: Option<String>,
    /// serin's own: the execution whose request is judged again, with a later end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeats: Option<String>,
    /// serin's own: the execution that judges it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeated_by: Option<String>,
}

impl AnalysisStage {
    pub const WAIT: &str = "wait";
    pub const RUN_CANARY: &str = "runCanary";
    pub const SETUP: &str = "setupAndExecuteCanariesStage";
    pub const GENERATE_RESULT: &str = "generateCanaryAnalysisResultStage";

    /// A stage that has not started.
    pub fn new(kind: &str, name: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.into(),
            status: "NOT_STARTED".to_owned(),
            execution_id: None,
        }
    }

    pub fn is_run(&self) -> bool {
        self.kind == Self::RUN_CANARY
    }

    pub fn is_running(&self) -> bool {
        self.status == "RUNNING"
    }

    pub fn set(&mut self, status: ExecutionStatus) {
        self.status = status.as_str().to_uppercase();
    }
}

impl CanaryAnalysisExecutionStatusResponse {
    pub fn set_status(&mut self, status: ExecutionStatus) {
        self.status = status;
        self.execution_status = status.as_str().to_uppercase();
    }

    /// Ends it in that state.
    pub fn end(&mut self, status: ExecutionStatus, now_millis: i64) {
        self.set_status(status);
        self.complete = true;
        self.end_time_millis = Some(now_millis);
        self.end_time_iso = Some(iso_from_millis(now_millis));
    }

    /// The id of the canary that is under way.
    pub fn running_canary(&self) -> Option<String> {
        let mut stages = self.stage_status.iter();
        stages
            .find(|stage| stage.is_run() && stage.is_running())
            .and_then(|stage| stage.execution_id.clone())
    }
}

fn default_scope() -> String {
    "default".to_owned()
}

const fn default_step() -> i64 {
    60
}

fn scope_name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(lenient::text::filled(deserializer)?.unwrap_or_else(default_scope))
}

fn step<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let given = lenient::integer::deserialize(deserializer)?;
    Ok(given.filter(|step| *step != 0).unwrap_or_else(default_step))
}

fn params<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<IndexMap<String, String>, D::Error> {
    Ok(lenient::text_map::deserialize(deserializer)?.unwrap_or_default())
}
