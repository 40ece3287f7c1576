//! One request to judge, and how it stands.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::lenient;
use super::{
    AcceptedByHand, Actions, CanaryClassifierThresholdsConfig, CanaryConfig, CanaryJudgeResult,
    CanaryScopePair, Learned, Look, Outcome, ServiceCost, Shadow, date_from_millis,
};

/// What to compare, and the thresholds of the verdict.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryExecutionRequest {
    /// Must cover the `scopeName` of every metric.
    #[serde(
        default,
        deserialize_with = "lenient::without_nulls",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = std::collections::BTreeMap<String, CanaryScopePair>)]
    pub scopes: Option<IndexMap<String, CanaryScopePair>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<CanaryClassifierThresholdsConfig>,
    /// Echoed only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Vec<Metadata>>,
    /// Echoed only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    pub site_local: Option<Map<String, Value>>,
    /// What is called outside of serin as it goes on; an event named here is not asked of the config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Actions>)]
    pub actions: Option<Value>,
}

/// A note that travels with a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Metadata {
    #[serde(deserialize_with = "lenient::text::required")]
    pub name: String,
    #[serde(deserialize_with = "lenient::text::required")]
    pub value: String,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub hidden: bool,
}

/// A request that brings its own canary config.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryAdhocExecutionRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_config: Option<CanaryConfig>,
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub execution_request: Option<CanaryExecutionRequest>,
}

/// Orca's name of a state, in lower case on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionStatus {
    #[default]
    NotStarted,
    Running,
    Paused,
    Suspended,
    Succeeded,
    FailedContinue,
    Terminal,
    Canceled,
    Redirect,
    Stopped,
    Skipped,
    Buffered,
}

impl ExecutionStatus {
    pub const ALL: [Self; 12] = [
        Self::NotStarted,
        Self::Running,
        Self::Paused,
        Self::Suspended,
        Self::Succeeded,
        Self::FailedContinue,
        Self::Terminal,
        Self::Canceled,
        Self::Redirect,
        Self::Stopped,
        Self::Skipped,
        Self::Buffered,
    ];

    /// Nothing more will happen.
    pub const fn is_complete(self) -> bool {
        matches!(
            self,
            Self::Succeeded
                | Self::FailedContinue
                | Self::Terminal
                | Self::Canceled
                | Self::Stopped
                | Self::Skipped
        )
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::Succeeded => "succeeded",
            Self::FailedContinue => "failed_continue",
            Self::Terminal => "terminal",
            Self::Canceled => "canceled",
            Self::Redirect => "redirect",
            Self::Stopped => "stopped",
            Self::Skipped => "skipped",
            Self::Buffered => "buffered",
        }
    }

    /// The state of that name, whatever its case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(name))
    }
}

/// Why an execution ended `terminal`, or that it was canceled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StageException {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception_type: Option<String>,
    /// The task that failed: `prometheusFetch`, `metricSetMixer`, `canaryJudge`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// `error`, `errors` and what else is known of the failure.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    pub details: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    pub should_retry: bool,
}

impl StageException {
    /// Of an execution that was canceled: Deck and Referee take what has none for a report. With all
    /// members that Deck's type asks for.
    pub fn canceled(now_millis: i64) -> Self {
        let mut details = Map::new();
        let told = "Canary execution was canceled.";
        details.insert("error".to_owned(), told.into());
        details.insert("errors".to_owned(), Value::Array(Vec::new()));
        Self {
            exception_type: Some("CancellationException".to_owned()),
            operation: Some("cancel".to_owned()),
            details,
            timestamp: Some(date_from_millis(now_millis)),
            should_retry: false,
        }
    }

    /// What the stage said when it failed.
    pub fn message(&self) -> Option<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let errors = self.details.get("errors").and_then(Value::as_array);
        let errors: Vec<String> = errors.into_iter().flatten().filter_map(text).collect();
        if errors.is_empty() {
            return self.details.get("error").and_then(text);
        }
        Some(errors.join("; "))
    }
}

/// What was found, once an execution has succeeded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryResult {
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub judge_result: Option<CanaryJudgeResult>,
    /// ISO 8601 duration of the scopes, when they all have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "PT1H")]
    pub canary_duration: Option<String>,
    /// serin's own: what another judge says of the same pairs, as the config asks.
    #[serde(
        default,
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub shadow: Option<Box<Shadow>>,
}

/// One execution from its birth to its report; this is also the archived document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryExecutionStatusResponse {
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub application: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub parent_pipeline_execution_id: Option<String>,
    /// The canary execution id.
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub pipeline_id: Option<String>,
    /// State of every stage: `setupContext`, `fetchControl<i>`, `fetchExperiment<i>`, `mixMetrics`, `judge`.
    #[serde(default, deserialize_with = "lenient::text_map::or_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub stage_status: IndexMap<String, String>,
    #[serde(default, deserialize_with = "lenient::flag")]
    pub complete: bool,
    #[serde(default, deserialize_with = "status")]
    pub status: ExecutionStatus,
    /// What came of it, once it has ended; Kayenta has no such member.
    #[serde(
        default,
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub outcome: Option<Outcome>,
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub exception: Option<StageException>,
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub result: Option<CanaryResult>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<CanaryConfig>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub canary_config_id: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub canary_execution_request: Option<CanaryExecutionRequest>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub metric_set_pair_list_id: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::integer::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub build_time_millis: Option<i64>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub build_time_iso: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::integer::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub start_time_millis: Option<i64>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub start_time_iso: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::integer::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub end_time_millis: Option<i64>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub end_time_iso: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub storage_account_name: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub metrics_account_name: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub configuration_account_name: Option<String>,
    /// serin's own: which judgement of its analysis it is.
    #[serde(
        default,
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub look: Option<Look>,
    /// serin's own: the analysis whose judgement it is.
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub analysis: Option<String>,
    /// serin's own: the margins that it is judged by, of the calibration that the config names.
    #[serde(
        default,
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub learned: Option<Learned>,
    /// serin's own: what it cost the services that it asked, by account.
    #[serde(
        default,
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub cost: Option<BTreeMap<String, ServiceCost>>,
    /// serin's own: the span that accepted it, as W3C's header has it; where traces are sent.
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub traceparent: Option<String>,
    /// serin's own: what of the request is passed over, or can hardly be meant.
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub warning: Option<String>,
    /// serin's own: somebody goes on with it all the same.
    #[serde(
        default,
        deserialize_with = "lenient::if_readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub accepted_by_hand: Option<AcceptedByHand>,
    /// serin's own: who started it, where that is known.
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = "token:ci")]
    pub caller: Option<String>,
    /// serin's own: the execution whose request is judged again, with a later end.
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub repeats: Option<String>,
    /// serin's own: the execution that judges it again.
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub repeated_by: Option<String>,
    /// serin's own: it was posted to the archive, and no run of a canary wrote it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub received: bool,
}

/// A state in any case; `null` is none yet.
fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ExecutionStatus, D::Error> {
    let Some(name) = lenient::text::deserialize(deserializer)? else {
        return Ok(ExecutionStatus::default());
    };
    ExecutionStatus::parse(&name)
        .ok_or_else(|| D::Error::custom(format!("'{name}' is not the state of an execution")))
}
