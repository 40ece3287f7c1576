//! What a calibration reads off the result of a metric.

use crate::canary::sequential::Finding;
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
        let read = Self {
            is_measured: matches!(
                result.classification,
                Label::Pass | Label::High | Label::Low
            ),
            ..Self::default()
        };
        let told = result.explanation.as_ref();
        let Some(told) = told.and_then(|told| told.sequential.as_deref()) else {
            return read;
        };
        #[expect(clippy::cast_precision_loss, reason = "steps of a query's range")]
        let spacing = told.samples.spacing as f64;
        Self {
            is_equivalent: told.verdict == Finding::Equivalent,
            is_inconclusive: told.verdict == Finding::Inconclusive,
            independent: told.samples.independent,
            autocorrelation: told.samples.autocorrelation,
            spacing: Some(spacing),
            minimum_detectable: told.minimum_detectable.percent,
            change: told.percent.estimate,
            ..read
        }
    }
}
