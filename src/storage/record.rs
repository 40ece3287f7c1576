//! What storage needs to know of an execution's document.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Brief, Kind, group};
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, ExecutionStatus,
    iso_from_millis,
};

/// The document of an execution, from its birth to its archive `<group>/<id>/<group>.json`.
pub trait Record: Serialize + DeserializeOwned + Send + Sync {
    const KIND: Kind;
    const GROUP: &str;

    fn id(&self) -> &str;
    fn application(&self) -> &str;
    fn canary_config_id(&self) -> &str;
    fn storage_account(&self) -> &str;
    fn status(&self) -> ExecutionStatus;
    /// Epoch milliseconds.
    fn build_time(&self) -> i64;
    /// What lists show of it.
    fn brief(&self) -> Brief;
    /// Ends it as canceled.
    fn end_canceled(&mut self, now_millis: i64);
}

impl Record for CanaryExecutionStatusResponse {
    const KIND: Kind = Kind::Canary;
    const GROUP: &str = group::CANARY_ARCHIVE;

    fn id(&self) -> &str {
        self.pipeline_id.as_deref().unwrap_or_default()
    }

    fn application(&self) -> &str {
        self.application.as_deref().unwrap_or_default()
    }

    fn canary_config_id(&self) -> &str {
        self.canary_config_id.as_deref().unwrap_or_default()
    }

    fn storage_account(&self) -> &str {
        self.storage_account_name.as_deref().unwrap_or_default()
    }

    fn status(&self) -> ExecutionStatus {
        self.status
    }

    fn build_time(&self) -> i64 {
        self.build_time_millis.unwrap_or(0)
    }

    fn brief(&self) -> Brief {
        Brief::of_canary(self)
    }

    fn end_canceled(&mut self, now_millis: i64) {
        self.status = ExecutionStatus::Canceled;
        self.complete = true;
        for state in self.stage_status.values_mut() {
            if state == "running" {
                "canceled".clone_into(state);
            }
        }
        if self.start_time_millis.is_some() {
            self.end_time_millis = Some(now_millis);
            self.end_time_iso = Some(iso_from_millis(now_millis));
        }
    }
}

impl Record for CanaryAnalysisExecutionStatusResponse {
    const KIND: Kind = Kind::Analysis;
    const GROUP: &str = group::STANDALONE_CANARY_ARCHIVE;

    fn id(&self) -> &str {
        self.pipeline_id.as_deref().unwrap_or_default()
    }

    fn application(&self) -> &str {
        self.application.as_deref().unwrap_or_default()
    }

    fn canary_config_id(&self) -> &str {
        self.canary_config_id.as_deref().unwrap_or_default()
    }

    fn storage_account(&self) -> &str {
        self.storage_account_name.as_deref().unwrap_or_default()
    }

    fn status(&self) -> ExecutionStatus {
        self.status
    }

    fn build_time(&self) -> i64 {
        self.build_time_millis.unwrap_or(0)
    }

    fn brief(&self) -> Brief {
        Brief::of_analysis(self)
    }

    fn end_canceled(&mut self, now_millis: i64) {
        self.end(ExecutionStatus::Canceled, now_millis);
        for stage in &mut self.stage_status {
            if stage.status == "RUNNING" {
                "CANCELED".clone_into(&mut stage.status);
            }
        }
    }
}
