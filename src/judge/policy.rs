//! How one metric is judged: `analysisConfigurations.canary`, read once.

use serde_json::{Map, Number, Value};

use crate::canary::{CanaryConfig, CanaryMetricConfig, Fault, Path};

type Result<T, E = Fault> = std::result::Result<T, E>;

/// Where the policy stands in a metric config.
const CANARY: &str = "analysisConfigurations.canary";

/// The members that are read: of the policy itself, and of its objects.
pub const MEMBERS: [(&str, &[&str]); 3] = [
    (
        "",
        &[
            "direction",
            "nanStrategy",
            "critical",
            "mustHaveData",
            "muted",
            "effectSize",
            "outliers",
            "doubt",
        ],
    ),
    (
        "effectSize",
        &[
            "measure",
            "allowedIncrease",
            "allowedDecrease",
            "criticalIncrease",
            "criticalDecrease",
        ],
    ),
    ("outliers", &["strategy", "outlierFactor"]),
];

/// The members that are words: the last of each is what any other word is taken for.
pub const WORDS: [(&str, &[&str]); 4] = [
    ("direction", &["increase", "decrease", "either"]),
    ("nanStrategy", &["replace", "remove"]),
    ("effectSize.measure", &["cles", "meanRatio"]),
    ("outliers.strategy", &["remove", "keep"]),
];

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MetricPolicy {
    pub direction: Direction,
    pub nan_strategy: NanStrategy,
    pub critical: bool,
    pub must_have_data: bool,
    pub muted: bool,
    pub measure: Measure,
    /// From which effect size on a difference counts.
    pub allowed: Effect,
    /// From which effect size on a difference of a critical metric is critical.
    pub critical_effect: Effect,
    /// Greater than zero; `None` keeps outliers.
    pub outlier_factor: Option<f64>,
    /// `None`: as the canary config or the operator says.
    pub doubt: Option<Doubting>,
}

/// What becomes of a metric that is doubtful.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Doubting {
    /// The label stays, the outcome has its doubts.
    #[default]
    Tell,
    /// It counts as failed for everybody.
    Fail,
    /// It is never doubtful.
    Ignore,
}

impl Doubting {
    fn parse(word: &Value) -> Option<Self> {
        match word.as_str()? {
            "fail" => Some(Self::Fail),
            "ignore" => Some(Self::Ignore),
            "tell" => Some(Self::Tell),
            _ => None,
        }
    }

    /// What the config says for all of its metrics.
    pub fn of(config: &CanaryConfig) -> Option<Self> {
        let configurations = config.judge.as_ref()?.judge_configurations.as_ref()?;
        // One metric may be beyond doubt, a canary may not.
        Self::parse(configurations.get("doubt")?).filter(|doubt| *doubt != Self::Ignore)
    }
}

/// Which differences matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Increase,
    Decrease,
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NanStrategy {
    Remove,
    /// By 0.0.
    Replace,
}

/// How the size of a difference is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    MeanRatio,
    /// Common language effect size.
    Cles,
}

/// Limits of an effect size, inclusive.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    pub increase: f64,
    pub decrease: f64,
}

impl MetricPolicy {
    /// Of a metric config, as strict as Kayenta's judge: where that throws, this is a fault of it.
    pub fn of(metric: &CanaryMetricConfig) -> Result<Self> {
        let members = Members::canary_of(metric)?;
        let effect_size = members.effect_size()?;
        let measure = match effect_size.text("measure")? {
            Some("cles") => Measure::Cles,
            _ => Measure::MeanRatio,
        };
        let neutral = match measure {
            Measure::MeanRatio => 1.0,
            Measure::Cles => 0.5,
        };
        let limit = |name| Ok::<_, Fault>(effect_size.double(name)?.unwrap_or(neutral));
        Ok(Self {
            direction: match members.text("direction")? {
                Some("increase") => Direction::Increase,
                Some("decrease") => Direction::Decrease,
                _ => Direction::Either,
            },
            nan_strategy: match members.text("nanStrategy")? {
                Some("replace") => NanStrategy::Replace,
                _ => NanStrategy::Remove,
            },
            critical: members.flag("critical")?,
            must_have_data: members.flag("mustHaveData")?,
            muted: members.flag("muted")?,
            measure,
            allowed: Effect {
                increase: limit("allowedIncrease")?,
                decrease: limit("allowedDecrease")?,
            },
            critical_effect: Effect {
                increase: limit("criticalIncrease")?,
                decrease: limit("criticalDecrease")?,
            },
            outlier_factor: outlier_factor(&members)?,
            // Kayenta knows no such member, so whatever stands there is no fault.
            doubt: members.get("doubt").and_then(Doubting::parse),
        })
    }
}

/// A word for [`Doubting`] that means nothing. Kayenta knows no such member and takes any.
#[derive(Clone, Debug)]
pub struct UnknownDoubt<'a> {
    pub path: Path,
    pub word: &'a Value,
    pub known: &'static [&'static str],
}

impl UnknownDoubt<'_> {
    pub fn sentence(&self) -> String {
        format!("doubt {} means nothing, and is passed over", self.word)
    }
}

/// Those for the canary and for its metrics.
pub fn unknown_doubts(config: &CanaryConfig) -> Vec<UnknownDoubt<'_>> {
    let judge = config.judge.as_ref();
    let of_canary = judge.and_then(|judge| judge.judge_configurations.as_ref()?.get("doubt"));
    let of_canary = of_canary.map(|word| UnknownDoubt {
        path: Path::of("judge.judgeConfigurations.doubt"),
        word,
        known: &["tell", "fail"],
    });
    let metrics = config.metrics.iter().flatten().enumerate();
    let of_metrics = metrics.filter_map(|(at, metric)| {
        let configurations = metric.analysis_configurations.as_ref()?;
        Some(UnknownDoubt {
            path: Path::element("metrics", at).then(&Path::of(CANARY).member("doubt")),
            word: configurations.get("canary")?.get("doubt")?,
            known: &["tell", "fail", "ignore"],
        })
    });
    let is_unknown = |doubt: &UnknownDoubt<'_>| {
        let word = doubt.word.as_str();
        !doubt.word.is_null() && !word.is_some_and(|word| doubt.known.contains(&word))
    };
    of_canary
        .into_iter()
        .chain(of_metrics)
        .filter(is_unknown)
        .collect()
}

/// What is not stored, as it would never be judged; the first of each metric.
///
/// Explicit nulls and integers beyond 32 bits pass, as Kayenta stores them too.
pub fn refusals(config: &CanaryConfig) -> Vec<Fault> {
    of_metrics(config, check_metric)
}

/// What the judge throws on, the first of each metric: what [`refusals`] finds, and more.
pub fn faults(config: &CanaryConfig) -> Vec<Fault> {
    of_metrics(config, |metric| MetricPolicy::of(metric).map(|_| ()))
}

fn of_metrics(
    config: &CanaryConfig,
    check: impl Fn(&CanaryMetricConfig) -> Result<()>,
) -> Vec<Fault> {
    let metrics = config.metrics.iter().flatten().enumerate();
    metrics
        .filter_map(|(at, metric)| {
            let fault = check(metric).err()?;
            Some(fault.within(Path::element("metrics", at)))
        })
        .collect()
}

fn check_metric(metric: &CanaryMetricConfig) -> Result<()> {
    let members = Members::canary_of(metric)?;
    for flag in ["critical", "mustHaveData", "muted"] {
        members.flag(flag)?;
    }
    let effect_size = members.effect_size()?;
    for limit in [
        "allowedIncrease",
        "allowedDecrease",
        "criticalIncrease",
        "criticalDecrease",
    ] {
        effect_size.number(limit)?;
    }
    let outliers = members.object("outliers");
    if outliers.get("strategy").and_then(Value::as_str) == Some("remove") {
        let factor = outliers.number("outlierFactor")?;
        outliers.positive(factor.and_then(Number::as_f64))?;
    }
    Ok(())
}

fn outlier_factor(members: &Members<'_>) -> Result<Option<f64>> {
    let outliers = members.object("outliers");
    match outliers.text("strategy")? {
        // The factor is read, and checked, only when it is used.
        Some("remove") => outliers
            .positive(outliers.double("outlierFactor")?)
            .map(Some),
        _ => Ok(None),
    }
}

/// The members of an object in a metric config, with what an error says of where they stand.
struct Members<'a> {
    metric: &'a str,
    /// `effectSize.`, or nothing.
    path: &'static str,
    object: Option<&'a Map<String, Value>>,
}

impl<'a> Members<'a> {
    fn canary_of(metric: &'a CanaryMetricConfig) -> Result<Self> {
        let mut canary = Self {
            metric: metric.name.as_deref().unwrap_or_default(),
            path: "",
            object: None,
        };
        let configurations = metric.analysis_configurations.as_ref();
        match configurations.and_then(|all| all.get("canary")) {
            None | Some(Value::Null) => {}
            Some(Value::Object(members)) => canary.object = Some(members),
            Some(other) => {
                return Err(canary.wrong(CANARY, other, "an object"));
            }
        }
        Ok(canary)
    }

    /// Numbers are read from it in any case, which a list with elements does not survive in Kayenta.
    fn effect_size(&self) -> Result<Self> {
        match self.get("effectSize") {
            Some(list @ Value::Array(elements)) if !elements.is_empty() => {
                Err(self.wrong("effectSize", list, "an object"))
            }
            _ => Ok(self.object("effectSize")),
        }
    }

    /// The object of that name; any other type counts as absent.
    fn object(&self, name: &'static str) -> Self {
        Self {
            metric: self.metric,
            path: match name {
                "effectSize" => "effectSize.",
                _ => "outliers.",
            },
            object: self.get(name).and_then(Value::as_object),
        }
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.object?.get(name)
    }

    fn flag(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(name, other, "true or false")),
        }
    }

    /// Whatever is no text is no known text.
    fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.get(name) {
            Some(Value::Null) => Err(self.wrong(name, &Value::Null, "text, or no such member")),
            other => Ok(other.and_then(Value::as_str)),
        }
    }

    fn number(&self, name: &str) -> Result<Option<&'a Number>> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(other) => Err(self.wrong(name, other, "a number")),
        }
    }

    fn double(&self, name: &str) -> Result<Option<f64>> {
        let Some(number) = self.number(name)? else {
            return Ok(None);
        };
        // Kayenta casts what its parser gave: an integer of 32 bits or a double, nothing wider.
        let wide = !number.is_f64()
            && number
                .as_i64()
                .is_none_or(|whole| i32::try_from(whole).is_err());
        if wide {
            let value = Value::Number(number.clone());
            return Err(self.wrong(
                name,
                &value,
                "an integer of 32 bits or a number with a decimal point",
            ));
        }
        Ok(number.as_f64())
    }

    /// The outlier factor, 3 when absent.
    fn positive(&self, factor: Option<f64>) -> Result<f64> {
        let factor = factor.unwrap_or(3.0);
        if factor > 0.0 {
            return Ok(factor);
        }
        Err(self.wrong("outlierFactor", &factor.into(), "a number above 0"))
    }

    fn wrong(&self, name: &str, value: &Value, wanted: &str) -> Fault {
        let member = format!("{}{name}", self.path);
        let told = format!(
            "metric '{}': {member} is {value}, {wanted} is wanted",
            self.metric
        );
        let path = match name {
            CANARY => Path::of(CANARY),
            _ => Path::of(&format!("{CANARY}.{member}")),
        };
        Fault::new(path, told)
    }
}

#[cfg(test)]
mod tests;
