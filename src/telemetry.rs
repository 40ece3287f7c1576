//! What serin tells of itself to those who watch it: its metrics, each with its type, unit and help.

mod list;
mod text;
pub mod traces;

use std::sync::OnceLock;

use metrics_exporter_prometheus::PrometheusBuilder as Recorder;
use metrics_exporter_prometheus::{Matcher, PrometheusHandle as Handle};
use metrics_process::Collector;

use crate::error::{Error, Result};
pub use list::{METRICS, Metric, Type};
pub use text::Families;

/// Of this build: its commit, or `unknown`.
pub const COMMIT: &str = env!("SERIN_COMMIT");
/// The day of that commit, as `2026-11-29`, or `unknown`.
pub const COMMIT_DATE: &str = env!("SERIN_COMMIT_DATE");
/// What it was built for, as `x86_64-unknown-linux-gnu`.
pub const TARGET: &str = env!("SERIN_TARGET");
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Upper bounds of all histograms.
const SECONDS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// What is counted in this process.
#[derive(Clone)]
pub struct Telemetry {
    handle: Handle,
    process: Collector,
}

impl Telemetry {
    /// The recorder of metrics is one for the whole process.
    ///
    /// # Errors
    /// `Internal` when there is another one.
    pub fn open() -> Result<Self> {
        static RECORDER: OnceLock<Option<Telemetry>> = OnceLock::new();
        let telemetry = RECORDER.get_or_init(Self::install).clone();
        telemetry
            .ok_or_else(|| Error::Internal("the metrics of serin cannot be recorded".to_owned()))
    }

    fn install() -> Option<Self> {
        let handle = Recorder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .ok()?
            .install_recorder()
            .ok()?;
        for metric in &METRICS {
            metric.describe();
        }
        let process = Collector::default();
        process.describe();
        ::metrics::gauge!("serin_build_info", "version" => VERSION, "commit" => COMMIT).set(1);
        Some(Self { handle, process })
    }

    /// In the text format.
    pub fn render(&self) -> String {
        self.process.collect();
        self.handle.render()
    }

    /// To be called now and then: samples of histograms lie in memory until somebody asks for them.
    pub fn run_upkeep(&self) {
        self.handle.run_upkeep();
    }
}
