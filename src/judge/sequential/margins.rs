//! Which change does not matter.

use super::settings::{MetricSettings, Settings};
use crate::canary::sequential::MarginOrigin;
use crate::canary::{Learned, LearnedMargin};

/// A relative change that does not matter where nobody says.
pub const DEFAULT_MARGIN: f64 = 0.05;

/// What changes are told in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// Of the logarithm; the level is the control's geometric mean.
    Ratio {
        level: f64,
    },
    Difference {
        level: f64,
    },
}

impl Scale {
    pub const NOTHING: Self = Self::Difference { level: f64::NAN };

    pub const fn level(self) -> f64 {
        match self {
            Self::Ratio { level } | Self::Difference { level } => level,
        }
    }

    /// A change in the unit of the metric.
    pub fn unit(self, change: f64) -> f64 {
        match self {
            Self::Ratio { level } => change.exp_m1() * level.abs(),
            Self::Difference { .. } => change,
        }
    }

    /// A change in percent of the level.
    pub fn percent(self, change: f64) -> f64 {
        match self {
            Self::Ratio { .. } => change.exp_m1() * 100.0,
            Self::Difference { level: 0.0 } => f64::NAN,
            Self::Difference { level } => change / level.abs() * 100.0,
        }
    }
}

/// The margin on the scale of the changes; neither is negative.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub up: f64,
    pub down: f64,
}

impl Limits {
    pub const NOTHING: Self = Self {
        up: f64::NAN,
        down: f64::NAN,
    };
}

/// Relative changes, and one in the unit of the metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margins {
    pub up: f64,
    /// At most 1.
    pub down: f64,
    pub floor: f64,
}

impl Margins {
    pub fn limits(self, scale: Scale) -> Limits {
        let size = scale.level().abs();
        match scale {
            Scale::Ratio { .. } => {
                let floor = self.floor / size;
                let floor_down = if floor < 1.0 {
                    -(-floor).ln_1p()
                } else {
                    f64::INFINITY
                };
                Limits {
                    up: self.up.ln_1p().max(floor.ln_1p()),
                    down: (-(-self.down).ln_1p()).max(floor_down),
                }
            }
            Scale::Difference { .. } => Limits {
                up: (self.up * size).max(self.floor),
                down: (self.down * size).max(self.floor),
            },
        }
    }
}

/// Where the margins of a metric are from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Origin<'a> {
    /// The config, of this metric or of all.
    Given,
    /// Nobody said.
    Default,
    Learned(&'a LearnedMargin),
    /// No margin up to 50 % holds.
    Unfit(&'a LearnedMargin),
}

impl Origin<'_> {
    pub const fn told(self) -> MarginOrigin {
        match self {
            Self::Given => MarginOrigin::Given,
            Self::Default => MarginOrigin::Default,
            Self::Learned(_) => MarginOrigin::Learned,
            Self::Unfit(_) => MarginOrigin::Unfit,
        }
    }
}

/// The margins of a metric: its own, else the config's, else what was learned, else the default.
pub fn of<'a>(
    name: &str,
    settings: &Settings,
    metric: &MetricSettings,
    learned: Option<&'a Learned>,
) -> (Margins, Origin<'a>) {
    let is_own = metric.allowed_increase.is_some() || metric.allowed_decrease.is_some();
    let known = learned.and_then(|learned| learned.of(name));
    let (margin, origin) = match (settings.margin, known) {
        (Some(margin), _) => (margin, Origin::Given),
        (None, _) if is_own => (DEFAULT_MARGIN, Origin::Given),
        (None, Some(known)) => match known.margin {
            Some(margin) => (margin.max(0.0), Origin::Learned(known)),
            None => (DEFAULT_MARGIN, Origin::Unfit(known)),
        },
        (None, None) => (DEFAULT_MARGIN, Origin::Default),
    };
    let margins = Margins {
        up: metric
            .allowed_increase
            .map_or(margin, |limit| (limit - 1.0).max(0.0)),
        down: metric
            .allowed_decrease
            .map_or(margin.min(1.0), |limit| (1.0 - limit).clamp(0.0, 1.0)),
        floor: metric.minimum_change.max(0.0),
    };
    (margins, origin)
}
