//! From what was found to a label: before the last look only evidence stops a canary.

use super::settings::{Inconclusive, MetricSettings};
use super::values::Found;
use crate::canary::Label;
use crate::canary::explanation::Rule;
use crate::canary::sequential::Finding;
use crate::judge::outcome::Cap;
use crate::judge::policy::Doubting;

/// How a metric counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labeled {
    pub label: Label,
    pub critical: bool,
    pub cap: Cap,
}

/// Nothing was found nor excluded, or nothing was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Openness {
    Unclear,
    Unmeasured,
}

impl Openness {
    /// `None` where it is settled.
    pub const fn of(found: &Found) -> Option<Self> {
        match (found.finding, found.rule) {
            (Finding::Regressed | Finding::Improved | Finding::Equivalent, _) => None,
            (
                Finding::Inconclusive,
                Rule::NoData
                | Rule::Misaligned
                | Rule::Gaps
                | Rule::FewSamples
                | Rule::ConstantDifference,
            ) => Some(Self::Unmeasured),
            (Finding::Inconclusive, _) => Some(Self::Unclear),
        }
    }
}

/// `doubting` is what becomes of the unmeasured.
pub fn of(found: &Found, metric: &MetricSettings, doubting: Doubting, is_last: bool) -> Labeled {
    let plain = |label| Labeled {
        label,
        critical: false,
        cap: Cap::None,
    };
    let policy = &metric.policy;
    let Some(openness) = Openness::of(found) else {
        return match (found.finding, found.rule) {
            (Finding::Regressed, rule) => {
                let label = match rule {
                    Rule::Decrease | Rule::FarBelow => Label::Low,
                    _ => Label::High,
                };
                Labeled {
                    critical: policy.critical && reaches_critical(found, metric, label),
                    ..plain(label)
                }
            }
            _ => plain(Label::Pass),
        };
    };
    // An unfit metric was measured, and fails nothing whatever its policy says.
    if !is_last || found.rule == Rule::Unfit {
        return plain(Label::Pass);
    }
    match openness {
        Openness::Unclear => match metric.inconclusive {
            None | Some(Inconclusive::Pass) => plain(Label::Pass),
            Some(Inconclusive::Marginal) => Labeled {
                cap: Cap::Unclear,
                ..plain(Label::Pass)
            },
            Some(Inconclusive::Fail) => Labeled {
                critical: policy.critical,
                ..plain(Label::NodataFailMetric)
            },
        },
        Openness::Unmeasured => match doubting {
            Doubting::Ignore => plain(Label::Nodata),
            Doubting::Fail => Labeled {
                critical: policy.critical,
                ..plain(Label::NodataFailMetric)
            },
            Doubting::Tell => Labeled {
                label: if policy.must_have_data {
                    Label::NodataFailMetric
                } else {
                    Label::Nodata
                },
                critical: policy.critical && metric.inconclusive != Some(Inconclusive::Marginal),
                cap: Cap::Unmeasured,
            },
        },
    }
}

/// What becomes of the unmeasured: as `doubt` says, else as `inconclusive` does, else as the
/// operator does.
pub fn doubting(
    metric: &MetricSettings,
    of_config: Option<Doubting>,
    of_operator: Doubting,
) -> Doubting {
    let said = metric.policy.doubt.or(of_config);
    said.unwrap_or(match metric.inconclusive {
        Some(Inconclusive::Pass) => Doubting::Ignore,
        Some(Inconclusive::Marginal) => Doubting::Tell,
        Some(Inconclusive::Fail) => Doubting::Fail,
        None => of_operator,
    })
}

/// Whether the change is as large as fails the canary at once.
fn reaches_critical(found: &Found, metric: &MetricSettings, label: Label) -> bool {
    let ratio = 1.0 + found.scale.percent(found.mean) / 100.0;
    // Of a control of 0 every change is as large as that.
    let is_open = ratio.is_nan();
    match label {
        Label::Low => metric
            .critical_decrease
            .is_none_or(|limit| is_open || ratio <= limit),
        _ => metric
            .critical_increase
            .is_none_or(|limit| is_open || limit <= ratio),
    }
}
