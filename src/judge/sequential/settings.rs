//! What a config says to this judge: `judge.judgeConfigurations`, and of a metric what stands beside
//! what every judge reads.

use serde_json::{Map, Value};

use super::align;
use crate::canary::{CanaryConfig, CanaryMetricConfig, Fault, Path};
use crate::judge::policy::{self, Measure, MetricPolicy};

type Result<T, E = Fault> = std::result::Result<T, E>;

/// Members of `judge.judgeConfigurations` that are read.
pub const OF_CANARY: [&str; 10] = [
    "falseAlarm",
    "criticalFalseAlarm",
    "falsePass",
    "margin",
    "warmupMins",
    "inconclusive",
    "lifetimeMins",
    "calibration",
    "unfit",
    "shadow",
];

/// Members of `analysisConfigurations.canary` that only this judge reads.
pub const OF_METRIC: [&str; 5] = [
    "minimumChange",
    "warmupMins",
    "inconclusive",
    "kind",
    "trafficRatio",
];

/// Minutes beyond this are a slip.
const LONGEST: f64 = 525_600.0;

/// Of all metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub false_alarm: f64,
    pub critical_false_alarm: f64,
    pub false_pass: f64,
    pub margin: Option<f64>,
    pub warmup: f64,
    pub inconclusive: Option<Inconclusive>,
    pub lifetime: Option<f64>,
    /// The id that it names.
    pub calibration: Option<String>,
    /// A metric that is unfit may fail a canary all the same.
    pub judges_unfit: bool,
}

/// Of one.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricSettings {
    pub policy: MetricPolicy,
    /// Ratios, where the effect is measured by one.
    pub allowed_increase: Option<f64>,
    pub allowed_decrease: Option<f64>,
    pub critical_increase: Option<f64>,
    pub critical_decrease: Option<f64>,
    pub minimum_change: f64,
    pub warmup: f64,
    pub inconclusive: Option<Inconclusive>,
    pub kind: Kind,
    pub traffic_ratio: f64,
}

/// What becomes of a metric that is not settled at the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inconclusive {
    Pass,
    /// The canary is marginal at most.
    Marginal,
    Fail,
}

/// What a metric is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Events where it is mostly zero.
    Auto,
    Values,
    Events,
}

impl Settings {
    pub fn of(config: &CanaryConfig) -> Result<Self> {
        let judge = config.judge.as_ref();
        let members = Members {
            whose: String::new(),
            object: judge.and_then(|judge| judge.judge_configurations.as_ref()),
            path: Path::of("judge.judgeConfigurations"),
        };
        let rate = |name, default| {
            let wanted = "a number above 0 and up to 0.5";
            let found = members.number(name, wanted, |rate| 0.0 < rate && rate <= 0.5)?;
            Ok::<_, Fault>(found.unwrap_or(default))
        };
        Ok(Self {
            false_alarm: rate("falseAlarm", 0.05)?,
            critical_false_alarm: rate("criticalFalseAlarm", 0.01)?,
            false_pass: rate("falsePass", 0.05)?,
            margin: members.number(
                "margin",
                "a number from 0 to 10, 0.05 being 5 %,",
                |margin| (0.0..=10.0).contains(&margin),
            )?,
            warmup: members.warmup()?.unwrap_or(0.0),
            inconclusive: members.inconclusive()?,
            lifetime: members.number("lifetimeMins", "a number of minutes above 0", |minutes| {
                0.0 < minutes && minutes <= LONGEST
            })?,
            calibration: members.text("calibration", "the id of a calibration")?,
            judges_unfit: members.word("unfit", &[("judge", true)])?.unwrap_or(false),
        })
    }

    /// The share of the false alarms of a canary that one of so many metrics has, muted ones not counted.
    pub fn level(&self, heard: usize, is_critical: bool) -> f64 {
        let share = self.false_alarm / align::count(heard.max(1) as u64);
        if is_critical {
            return share.min(self.critical_false_alarm);
        }
        share
    }
}

impl MetricSettings {
    pub fn of(metric: &CanaryMetricConfig, settings: &Settings) -> Result<Self> {
        let policy = MetricPolicy::of(metric)?;
        let canary = metric
            .analysis_configurations
            .as_ref()
            .and_then(|all| all.get("canary")?.as_object());
        let members = Members {
            whose: format!("metric '{}': ", metric.name.as_deref().unwrap_or_default()),
            object: canary,
            path: Path::of("analysisConfigurations.canary"),
        };
        let effect = canary.and_then(|canary| canary.get("effectSize")?.as_object());
        let limit = |name| match policy.measure {
            Measure::MeanRatio => effect?.get(name)?.as_f64(),
            // A chance says nothing about a change.
            Measure::Cles => None,
        };
        Ok(Self {
            allowed_increase: limit("allowedIncrease"),
            allowed_decrease: limit("allowedDecrease"),
            critical_increase: limit("criticalIncrease"),
            critical_decrease: limit("criticalDecrease"),
            policy,
            minimum_change: members
                .number("minimumChange", "a number from 0 on", |change| {
                    0.0 <= change
                })?
                .unwrap_or(0.0),
            warmup: members.warmup()?.unwrap_or(settings.warmup),
            inconclusive: members.inconclusive()?.or(settings.inconclusive),
            kind: members
                .word(
                    "kind",
                    &[
                        ("auto", Kind::Auto),
                        ("values", Kind::Values),
                        ("events", Kind::Events),
                    ],
                )?
                .unwrap_or(Kind::Auto),
            traffic_ratio: members
                .number(
                    "trafficRatio",
                    "a number from 0.000001 to 1000000",
                    |ratio| (1e-6..=1e6).contains(&ratio),
                )?
                .unwrap_or(1.0),
        })
    }
}

/// What is not stored: what no judge could read, and what this one could not.
pub fn refusals(config: &CanaryConfig) -> Vec<Fault> {
    with_own(config, policy::refusals(config))
}

/// What it cannot judge: what it refuses, and more.
pub fn faults(config: &CanaryConfig) -> Vec<Fault> {
    with_own(config, policy::faults(config))
}

/// Adds what is wrong with the members of this judge, the first of each metric.
fn with_own(config: &CanaryConfig, mut faults: Vec<Fault>) -> Vec<Fault> {
    let settings = match Settings::of(config) {
        Ok(settings) => settings,
        Err(fault) => {
            faults.push(fault);
            return faults;
        }
    };
    for (at, metric) in config.metrics.iter().flatten().enumerate() {
        // What every judge reads has been told of, or is none to this one.
        if MetricPolicy::of(metric).is_err() {
            continue;
        }
        if let Err(fault) = MetricSettings::of(metric, &settings) {
            faults.push(fault.within(Path::element("metrics", at)));
        }
    }
    faults
}

/// The members of an object, with what an error says of where they stand.
struct Members<'a> {
    /// `metric 'm': `
    whose: String,
    object: Option<&'a Map<String, Value>>,
    path: Path,
}

impl Members<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.object?.get(name).filter(|value| !value.is_null())
    }

    fn number(
        &self,
        name: &str,
        wanted: &str,
        is_one: impl Fn(f64) -> bool,
    ) -> Result<Option<f64>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value.as_f64().filter(|number| is_one(*number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.wrong(name, value, wanted)),
        }
    }

    fn warmup(&self) -> Result<Option<f64>> {
        self.number("warmupMins", "a number of minutes from 0 on", |minutes| {
            (0.0..=LONGEST).contains(&minutes)
        })
    }

    fn inconclusive(&self) -> Result<Option<Inconclusive>> {
        self.word(
            "inconclusive",
            &[
                ("pass", Inconclusive::Pass),
                ("marginal", Inconclusive::Marginal),
                ("fail", Inconclusive::Fail),
            ],
        )
    }

    fn word<T: Copy>(&self, name: &str, known: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let found = known.iter().find(|(word, _)| value == word);
        if let Some((_, meaning)) = found {
            return Ok(Some(*meaning));
        }
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        Err(self.wrong(name, value, &format!("one of {}", words.join(", "))))
    }

    fn text(&self, name: &str, wanted: &str) -> Result<Option<String>> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        match value.as_str().filter(|text| !text.is_empty()) {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(self.wrong(name, value, wanted)),
        }
    }

    fn wrong(&self, name: &str, value: &Value, wanted: &str) -> Fault {
        let message = format!("{}{name} is {value}, {wanted} is wanted", self.whose);
        Fault::new(self.path.clone().member(name), message)
    }
}
