//! What a calibration reads off the result of a metric.

use serde_json::Value;

use crate::canary::{CanaryAnalysisResult, Label};

/// By the second judge; numbers where it has them.
#[derive(Clone, Debug, Default)]
pub struct Read {
    pub is_measured: bool,
    pub is_equivalent: bool,
    pub is_inconclusive: bool,
    pub independent: Option<f64>,
    pub autocorrelation: Option<f64>,
    pub spacing: Option<f64>,
    pub minimum_detectable: Option<f64>,
    pub change: Option<f64>,
}

impl Read {
    pub const fn is_alarm(result: &CanaryAnalysisResult) -> bool {
        matches!(result.classification, Label::High | Label::Low)
    }

    pub fn of(result: &CanaryAnalysisResult) -> Self {
        let told = serde_json::to_value(&result.explanation).unwrap_or_default();
        let told = &told["sequential"];
        let verdict = told["verdict"].as_str().unwrap_or_default();
        let number = |path: &str| told.pointer(path).and_then(Value::as_f64);
        Self {
            is_measured: matches!(
                result.classification,
                Label::Pass | Label::High | Label::Low
            ),
            is_equivalent: verdict == "Equivalent",
            is_inconclusive: verdict == "Inconclusive",
            independent: number("/samples/independent"),
            autocorrelation: number("/samples/autocorrelation"),
            spacing: number("/samples/spacing"),
            minimum_detectable: number("/minimumDetectable/percent"),
            change: number("/percent/estimate"),
        }
    }
}
