//! How metrics are judged, where that is surely or probably not what was meant.

use serde_json::Value;

use super::near::near;
use super::{Code, Found};
use crate::canary::{CanaryConfig, CanaryMetricConfig, Path};
use crate::judge::policy::{Direction, Measure, MetricPolicy, NanStrategy, WORDS};

/// Words in the names of metrics that are better when they are lower.
const LOWER_IS_BETTER: &str = "error errors fail fails failed failure failures latency duration \
    timeout timeouts exception exceptions restart restarts 4xx 5xx rejected dropped throttled";
/// Words in the names of metrics that are better when they are higher.
const HIGHER_IS_BETTER: &str = "success successes successful availability apdex uptime";

pub fn check(canary: &CanaryConfig) -> Vec<Found> {
    let mut found = Vec::new();
    for (at, metric) in canary.metrics.iter().flatten().enumerate() {
        let path = Path::element("metrics", at);
        let policy_path = path
            .clone()
            .member("analysisConfigurations")
            .member("canary");
        let configurations = metric.analysis_configurations.as_ref();
        let Some(members) = configurations.and_then(|all| all.get("canary")) else {
            continue;
        };
        found.extend(unknown_words(&policy_path, members));
        // What cannot be read has been told of.
        let Ok(policy) = MetricPolicy::of(metric) else {
            continue;
        };
        found.extend(idle_limits(&policy_path, members, &policy));
        found.extend(idle_must_have_data(&policy_path, &policy));
        found.extend(doubtful_direction(&policy_path, metric, members));
    }
    found.extend(random_judge(canary));
    found
}

fn unknown_words(path: &Path, members: &Value) -> Vec<Found> {
    let mut found = Vec::new();
    for (member, words) in WORDS {
        let pointer = format!("/{}", member.replace('.', "/"));
        let given = members.pointer(&pointer).and_then(Value::as_str);
        let (Some(given), Some(taken_for)) = (given, words.last()) else {
            continue;
        };
        if words.contains(&given) {
            continue;
        }
        let fix = match near(given, words) {
            Some(meant) => format!("write '{meant}'"),
            None => format!("write one of {}", words.join(", ")),
        };
        let sentence = format!("{member} '{given}' means nothing, and is taken for '{taken_for}'");
        let path = member.split('.').fold(path.clone(), Path::member);
        found.push(Found::new(Code::UnknownValue, path, sentence, fix));
    }
    found
}

fn idle_limits(path: &Path, members: &Value, policy: &MetricPolicy) -> Vec<Found> {
    let neutral = match policy.measure {
        Measure::MeanRatio => 1.0,
        Measure::Cles => 0.5,
    };
    let measure = match policy.measure {
        Measure::MeanRatio => "the mean of the experiment over that of the control",
        Measure::Cles => "the chance that the experiment is above the control",
    };
    let mut found = Vec::new();
    for (name, side, is_for_critical) in [
        ("allowedIncrease", Direction::Increase, false),
        ("allowedDecrease", Direction::Decrease, false),
        ("criticalIncrease", Direction::Increase, true),
        ("criticalDecrease", Direction::Decrease, true),
    ] {
        let limit = members.pointer(&format!("/effectSize/{name}"));
        let Some(limit) = limit.and_then(Value::as_f64) else {
            continue;
        };
        if (limit - neutral).abs() < f64::EPSILON {
            continue;
        }
        let is_increase = side == Direction::Increase;
        let (word, beyond, example) = match (side, policy.measure) {
            (Direction::Decrease, Measure::MeanRatio) => ("above", neutral < limit, "0.95 for 5 %"),
            (Direction::Decrease, Measure::Cles) => ("above", neutral < limit, "0.4"),
            (_, Measure::MeanRatio) => ("below", limit < neutral, "1.05 for 5 %"),
            (_, Measure::Cles) => ("below", limit < neutral, "0.6"),
        };
        let (sentence, fix) = if policy.direction != Direction::Either && policy.direction != side {
            let direction = if is_increase { "decrease" } else { "increase" };
            (
                format!("{name} is not read where the direction is '{direction}'"),
                "take it out, or change the direction".to_owned(),
            )
        } else if is_for_critical && !policy.critical {
            (
                format!("{name} is not read where the metric is not critical"),
                "take it out, or set \"critical\": true".to_owned(),
            )
        } else if beyond {
            (
                format!(
                    "{name} {limit} is {word} {neutral}, so it limits nothing: it is compared with \
                     {measure}"
                ),
                format!("write the value itself, such as {example}"),
            )
        } else if policy.measure == Measure::Cles && !(0.0..=1.0).contains(&limit) {
            (
                format!("{name} {limit} is never reached: {measure} lies between 0 and 1"),
                format!("write a chance, such as {example}"),
            )
        } else {
            continue;
        };
        let path = path.clone().member("effectSize").member(name);
        found.push(Found::new(Code::IdleLimit, path, sentence, fix));
    }
    found
}

fn idle_must_have_data(path: &Path, policy: &MetricPolicy) -> Option<Found> {
    let is_idle = policy.must_have_data && policy.nan_strategy == NanStrategy::Replace;
    is_idle.then(|| {
        Found::new(
            Code::IdleMustHaveData,
            path.clone().member("mustHaveData"),
            "mustHaveData does nothing with nanStrategy 'replace': a side without data passes",
            "write \"nanStrategy\": \"remove\"",
        )
    })
}

fn doubtful_direction(path: &Path, metric: &CanaryMetricConfig, members: &Value) -> Option<Found> {
    let direction = members.get("direction")?.as_str()?;
    let (words, better, other) = match direction {
        "decrease" => (LOWER_IS_BETTER, "lower", "increase"),
        "increase" => (HIGHER_IS_BETTER, "higher", "decrease"),
        _ => return None,
    };
    let name = metric.name.as_deref()?;
    let lower = name.to_lowercase();
    let word = lower
        .split(|letter: char| !letter.is_alphanumeric())
        .find(|word| words.split_whitespace().any(|known| known == *word))?;
    Some(Found::new(
        Code::DoubtfulDirection,
        path.clone().member("direction"),
        format!(
            "'{name}' fails when it goes the other way than is bad: '{word}' is better {better}, and \
             only a {direction} counts"
        ),
        format!("write '{other}', or 'either'"),
    ))
}

fn random_judge(canary: &CanaryConfig) -> Option<Found> {
    let name = canary.judge.as_ref()?.name.as_deref()?;
    (name == "dredd-v1.0").then(|| {
        Found::new(
            Code::RandomJudge,
            Path::of("judge.name"),
            "dredd-v1.0 draws its verdicts by lot",
            "use \"NetflixACAJudge-v1.0\", unless only the way is to be tried",
        )
    })
}
