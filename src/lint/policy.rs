//! How metrics are judged, where that is surely or probably not what was meant.

use serde_json::Value;

use super::{Code, Found};
use crate::canary::near::near;
use crate::canary::number::number;
use crate::canary::{CanaryConfig, CanaryMetricConfig, Path};
use crate::judge::policy::{Direction, Measure, MetricPolicy, NanStrategy, WORDS, unknown_doubts};

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
        found.extend(wide_limits(&policy_path, members, &policy));
        found.extend(crossed_limits(&policy_path, members, &policy));
        found.extend(idle_must_have_data(&policy_path, &policy));
        found.extend(doubtful_direction(&policy_path, metric, members));
    }
    found.extend(doubts(canary));
    found.extend(random_judge(canary));
    found
}

fn doubts(canary: &CanaryConfig) -> Vec<Found> {
    let judge = canary.judge.as_ref();
    let configurations = judge.and_then(|judge| judge.judge_configurations.as_ref());
    let names = configurations.into_iter().flat_map(|all| all.keys());
    let misspelt = names.filter(|name| *name != "doubt" && near(name, &["doubt"]).is_some());
    let misspelt = misspelt.map(|name| {
        let path = Path::of("judge.judgeConfigurations").member(name);
        let sentence = format!("'{name}' is no member here, so it is not read");
        Found::new(Code::MisspeltMember, path, sentence, "write 'doubt'")
    });
    let unknown = unknown_doubts(canary).into_iter().map(|doubt| {
        let meant = doubt.word.as_str().and_then(|word| near(word, doubt.known));
        let fix = match meant {
            Some(meant) => format!("write '{meant}'"),
            None => format!("write one of {}", doubt.known.join(", ")),
        };
        let sentence = doubt.sentence();
        Found::new(Code::UnknownValue, doubt.path, sentence, fix)
    });
    misspelt.chain(unknown).collect()
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

/// A ratio of means from which a percentage was probably meant.
const MANY_TIMES: f64 = 5.0;
const NEXT_TO_NOTHING: f64 = 0.2;

/// 10 where 1.1 is meant, or 0.05 where 0.95 is.
fn wide_limits(path: &Path, members: &Value, policy: &MetricPolicy) -> Vec<Found> {
    if policy.measure != Measure::MeanRatio {
        return Vec::new();
    }
    let limits = [
        ("allowedIncrease", Direction::Increase),
        ("allowedDecrease", Direction::Decrease),
    ];
    let limits = limits.into_iter().filter_map(|(name, side)| {
        let limit = members.pointer(&format!("/effectSize/{name}"))?.as_f64()?;
        let rounded = |value: f64| number((value * 1e4).round() / 1e4);
        let is_wide = match side {
            Direction::Decrease => 0.0 < limit && limit <= NEXT_TO_NOTHING,
            _ => MANY_TIMES <= limit,
        };
        let is_read = policy.direction == Direction::Either || policy.direction == side;
        let (allowed, percent, ratio) = match side {
            Direction::Decrease => (
                format!("a fall to {} % of", rounded(limit * 100.0)),
                limit * 100.0,
                1.0 - limit,
            ),
            _ => (
                format!("a rise to {} times", rounded(limit)),
                limit,
                1.0 + limit / 100.0,
            ),
        };
        (is_wide && is_read).then(|| {
            Found::new(
                Code::DoubtfulLimit,
                path.clone().member("effectSize").member(name),
                format!(
                    "{name} {} is a ratio, and allows {allowed} the control's mean",
                    number(limit)
                ),
                format!(
                    "write {} if {} % is meant",
                    rounded(ratio),
                    rounded(percent)
                ),
            )
        })
    });
    limits.collect()
}

/// What is critical before it is allowed no more.
fn crossed_limits(path: &Path, members: &Value, policy: &MetricPolicy) -> Vec<Found> {
    if !policy.critical {
        return Vec::new();
    }
    let limits = [
        (
            "criticalIncrease",
            "allowedIncrease",
            Direction::Increase,
            1.0,
        ),
        (
            "criticalDecrease",
            "allowedDecrease",
            Direction::Decrease,
            -1.0,
        ),
    ];
    let limits = limits
        .into_iter()
        .filter_map(|(critical, allowed, side, sign)| {
            let limit = |name| members.pointer(&format!("/effectSize/{name}"))?.as_f64();
            let is_read = policy.direction == Direction::Either || policy.direction == side;
            let (first, then) = (limit(critical)?, limit(allowed)?);
            let is_crossed = is_read && sign * first < sign * then;
            let word = if sign < 0.0 { "above" } else { "below" };
            is_crossed.then(|| {
            Found::new(
                Code::DoubtfulLimit,
                path.clone().member("effectSize").member(critical),
                format!(
                    "{critical} {} is {word} {allowed} {}, so whatever is not allowed is critical",
                    number(first),
                    number(then)
                ),
                format!("let {critical} lie beyond {allowed}, or take it out"),
            )
        })
        });
    limits.collect()
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
