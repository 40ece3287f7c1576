//! How often a config would stop a release in which nothing changed: what is asked, and what was found.

mod report;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use report::{Advice, JudgeRates, MetricAlarms, MetricRates, Rate, Report, Typical};

use super::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryScope, ExecutionStatus, Instant,
    KeptMargins, Learned, TaughtBy,
};

/// What to calibrate, and on which past windows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CalibrationRequest {
    /// A stored config; or else one comes with the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_config_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_config: Option<CanaryConfig>,
    /// What a control is; its times are not read.
    pub control: CanaryScope,
    /// Others of the same version. With several, all of them take turns at being either side.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<CanaryScope>,
    /// Instead: the control that many minutes before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 10080)]
    pub shift_mins: Option<u32>,
    /// How long a canary takes.
    #[serde(default = "usual::window_mins")]
    pub window_mins: u32,
    /// How often it is judged; once, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 10)]
    pub interval_mins: Option<u32>,
    /// How long what each judgement sees is, as `lookbackMins` of an analysis; all since the begin, if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookback_mins: Option<u32>,
    #[serde(default = "usual::windows")]
    pub windows: u32,
    /// Seconds between two points.
    #[serde(default = "usual::step")]
    pub step: u32,
    /// When the last window ends; now, if not given.
    #[serde(
        default,
        deserialize_with = "super::time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub end: Option<Instant>,
    /// 95 and 75, if not given.
    #[serde(default)]
    #[schema(value_type = Option<CanaryClassifierThresholdsConfig>)]
    pub thresholds: CanaryClassifierThresholdsConfig,
    /// Keeps what is learned under this id, which configs name as `judge.judgeConfigurations.calibration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "checkout")]
    pub write: Option<String>,
}

mod usual {
    pub const fn window_mins() -> u32 {
        60
    }

    pub const fn windows() -> u32 {
        200
    }

    pub const fn step() -> u32 {
        60
    }
}

/// One calibration, from its start to its report: what is answered, stored and shared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Calibration {
    pub id: String,
    pub status: ExecutionStatus,
    pub complete: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_name: Option<String>,
    /// Those of the config; whoever may read one of them may read this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applications: Option<Vec<String>>,
    pub request: CalibrationRequest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_account_name: Option<String>,
    pub progress: Progress,
    pub build_time_iso: String,
    pub build_time_millis: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_time_iso: Option<String>,
    /// When the process that makes it was last heard of.
    pub heard_millis: i64,
    /// Why there is no report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Report>,
    /// What the report suggests, as a judge takes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Learned>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    pub fetched: u32,
    pub queries: u32,
    pub judged: u32,
    pub windows: u32,
}

/// A line of a list of calibrations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CalibrationSummary {
    pub id: String,
    pub status: ExecutionStatus,
    pub complete: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    pub build_time_iso: String,
    /// How often each judge would have stopped a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
}

impl Calibration {
    /// What it taught, to be kept.
    pub fn margins(&self, learned: Learned) -> KeptMargins {
        KeptMargins {
            learned,
            applications: self.applications.clone(),
            taught_by: Some(self.teaches()),
        }
    }

    /// How it is made once more.
    pub fn teaches(&self) -> TaughtBy {
        TaughtBy {
            request: CalibrationRequest {
                canary_config: None,
                end: None,
                ..self.request.clone()
            },
            metrics_account_name: self.metrics_account_name.clone(),
        }
    }

    pub fn summary(&self) -> CalibrationSummary {
        let report = self.report.as_ref();
        CalibrationSummary {
            id: self.id.clone(),
            status: self.status,
            complete: self.complete,
            config_name: self.config_name.clone(),
            control: self.request.control.scope.clone(),
            build_time_iso: self.build_time_iso.clone(),
            headline: report.and_then(|report| report.sentences.get(1).cloned()),
        }
    }
}
