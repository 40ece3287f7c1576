//! What is read otherwise by `sequential-v1`, or hides what it could find.

use serde_json::Value;

use super::{Code, Found};
use crate::canary::near::near;
use crate::canary::number::duration;
use crate::canary::{CanaryConfig, CanaryMetricConfig, Path};
use crate::judge::policy::{Direction, Measure, MetricPolicy};
use crate::judge::sequential::{FEWEST, NAME, settings, spacing};
use crate::metrics;

/// Words in the names of shares that are nearly whole.
const SUCCESSES: &str = "success successes successful availability apdex uptime";

/// Whether it judges by the config, alone or beside another.
pub fn judges(canary: &CanaryConfig) -> bool {
    let judge = canary.judge.as_ref();
    let name = judge.and_then(|judge| judge.name.as_deref());
    let configurations = judge.and_then(|judge| judge.judge_configurations.as_ref());
    let shadow = configurations.and_then(|all| all.get("shadow")?.as_str());
    name == Some(NAME) || shadow == Some(NAME)
}

pub fn check(canary: &CanaryConfig) -> Vec<Found> {
    if !judges(canary) {
        return Vec::new();
    }
    let mut found = misspelt(canary);
    let has_margin = configurations(canary).any(|(name, _)| name == "margin");
    for (at, metric) in canary.metrics.iter().flatten().enumerate() {
        // What cannot be read has been told of.
        let Ok(policy) = MetricPolicy::of(metric) else {
            continue;
        };
        let path = Path::element("metrics", at);
        let canary = path.member("analysisConfigurations").member("canary");
        found.extend(unread(&canary, &policy));
        if !has_margin {
            found.extend(wide_share(&canary, metric, &policy));
        }
    }
    found
}

/// The members of `judge.judgeConfigurations`.
fn configurations(canary: &CanaryConfig) -> impl Iterator<Item = (&str, &Value)> {
    let judge = canary.judge.as_ref();
    let all = judge.and_then(|judge| judge.judge_configurations.as_ref());
    all.into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value))
}

fn misspelt(canary: &CanaryConfig) -> Vec<Found> {
    let own = settings::OF_CANARY;
    let names = configurations(canary).map(|(name, _)| name);
    let unknown = names.filter(|name| *name != "doubt" && !own.contains(name));
    unknown
        .filter_map(|name| {
            let meant = near(name, &own)?;
            Some(Found::new(
                Code::MisspeltMember,
                Path::of("judge.judgeConfigurations").member(name),
                format!("'{name}' is no member here, so it is not read"),
                format!("write '{meant}'"),
            ))
        })
        .collect()
}

fn unread(path: &Path, policy: &MetricPolicy) -> Vec<Found> {
    let outliers = policy.outlier_factor.map(|_| {
        Found::new(
            Code::UnreadPolicy,
            path.clone().member("outliers"),
            format!("{NAME} takes no outliers out: it fences all values"),
            "take it out",
        )
    });
    let cles = (policy.measure == Measure::Cles).then(|| {
        Found::new(
            Code::UnreadPolicy,
            path.clone().member("effectSize").member("measure"),
            format!("{NAME} reads no limits that are chances, so the margin is that of the judge"),
            "write ratios, such as \"allowedIncrease\": 1.05, without a measure",
        )
    });
    outliers.into_iter().chain(cles).collect()
}

/// 5 % of 99.9 % are fifty times the errors.
fn wide_share(path: &Path, metric: &CanaryMetricConfig, policy: &MetricPolicy) -> Option<Found> {
    let canary = metric.analysis_configurations.as_ref()?.get("canary")?;
    let has_limit = canary.pointer("/effectSize/allowedDecrease").is_some();
    if policy.direction != Direction::Decrease || has_limit {
        return None;
    }
    let name = metric.name.as_deref().unwrap_or_default().to_lowercase();
    let mut words = name.split(|letter: char| !letter.is_alphanumeric());
    let is_named = words.any(|word| SUCCESSES.split_whitespace().any(|known| known == word));
    let template = metric
        .query
        .as_ref()
        .and_then(|query| query.inline_template());
    let divides = template.is_some_and(|(_, text)| metrics::divides(&text));
    (is_named || divides).then(|| {
        Found::new(
            Code::WideShare,
            path.clone(),
            "a share of successes may fall by the default margin of 5 %: of 99.9 % that is fifty times \
             the errors",
            "write \"effectSize\": {\"allowedDecrease\": 0.999}, or judge the errors",
        )
    })
}

/// How many independent samples a window will hold, of a query that looks back.
pub fn samples(path: &Path, query: &str, step: i64, minutes: Option<i64>) -> Vec<Found> {
    let back = metrics::longest_range(query).unwrap_or(0);
    let Some(step) = step.checked_mul(1000).filter(|step| 0 < *step) else {
        return Vec::new();
    };
    let spacing = spacing(back, step);
    let length = minutes.and_then(|minutes| minutes.checked_mul(60_000));
    let points = length.and_then(|length| u64::try_from(length / step).ok());
    let held = points.map(|points| points / spacing);
    let range = format!("[{}s]", step / 1000);
    let mut found = Vec::new();
    if 1 < spacing {
        let told = match (length, held, points) {
            (Some(length), Some(held), Some(points)) => format!(
                "{} hold {held} independent samples; {range} would give {points}",
                duration(length)
            ),
            _ => format!("only one in {spacing} is new"),
        };
        found.push(Found::new(
            Code::SharedData,
            path.clone(),
            format!(
                "the query looks {} back at points {} apart, so neighbours share data: {told}",
                duration(back),
                duration(step)
            ),
            format!("ask by {range}, where samples come that often"),
        ));
    }
    if let (Some(length), Some(held)) = (length, held)
        && held < FEWEST
    {
        let wanted = i64::try_from(spacing.saturating_mul(FEWEST)).unwrap_or(i64::MAX);
        let wanted = step.saturating_mul(wanted);
        found.push(Found::new(
            Code::FewIndependent,
            path.clone(),
            format!(
                "{} hold {held} independent samples at most, and {NAME} takes {FEWEST}: it will be \
                 inconclusive",
                duration(length)
            ),
            format!("let it last {}, or look back less", duration(wanted)),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn codes(judge: &Value, metric: &Value) -> Vec<(Code, String)> {
        let config = json!({"judge": judge, "metrics": [metric]});
        let found = check(&serde_json::from_value(config).unwrap());
        let told = found.into_iter();
        told.map(|found| (found.code, found.path.to_string()))
            .collect()
    }

    #[test]
    fn what_it_reads_otherwise_is_told() {
        let judge = json!({"name": NAME, "judgeConfigurations": {}});
        let at = "metrics[0].analysisConfigurations.canary";
        let metric = |name: &str, canary: Value| json!({"name": name, "analysisConfigurations": {"canary": canary}});
        let falling = json!({"direction": "decrease"});
        let cases = [
            (judge.clone(), metric("m", json!({})), vec![]),
            (
                judge.clone(),
                metric("m", json!({"outliers": {"strategy": "remove"}})),
                vec![(Code::UnreadPolicy, format!("{at}.outliers"))],
            ),
            (
                judge.clone(),
                metric("m", json!({"effectSize": {"measure": "cles"}})),
                vec![(Code::UnreadPolicy, format!("{at}.effectSize.measure"))],
            ),
            (
                judge.clone(),
                metric("availability", falling.clone()),
                vec![(Code::WideShare, at.to_owned())],
            ),
            (judge, metric("requests", falling.clone()), vec![]),
            (
                json!({"name": NAME, "judgeConfigurations": {"margin": 0.01}}),
                metric("availability", falling.clone()),
                vec![],
            ),
            (
                json!({"name": NAME, "judgeConfigurations": {"falseAlarms": 0.01}}),
                metric("m", json!({})),
                vec![(
                    Code::MisspeltMember,
                    "judge.judgeConfigurations.falseAlarms".to_owned(),
                )],
            ),
            (json!({}), metric("availability", falling.clone()), vec![]),
            (
                json!({"judgeConfigurations": {"shadow": NAME}}),
                metric("availability", falling),
                vec![(Code::WideShare, at.to_owned())],
            ),
        ];
        for (judge, metric, expected) in cases {
            assert_eq!(codes(&judge, &metric), expected, "{judge} {metric}");
        }
    }

    #[test]
    fn a_window_holds_so_many_samples() {
        let told = |query: &str, minutes| -> Vec<(Code, String)> {
            let found = samples(&Path::default(), query, 60, minutes).into_iter();
            found.map(|found| (found.code, found.sentence)).collect()
        };
        assert_eq!(told("x", Some(60)), []);
        assert_eq!(told("rate(x[1m])", Some(60)), []);
        let shared = "the query looks 5 min back at points 60 s apart, so neighbours share data: ";
        let by = |text: &str| (Code::SharedData, format!("{shared}{text}"));
        assert_eq!(told("rate(x[5m])", None), [by("only one in 5 is new")]);
        let hold = "60 min hold 12 independent samples; [60s] would give 60";
        assert_eq!(told("rate(x[5m])", Some(60)), [by(hold)]);
        let few = told("rate(x[5m])", Some(30));
        assert_eq!(few.len(), 2);
        assert_eq!(few[1].0, Code::FewIndependent);
        assert_eq!(told("x", Some(5))[0].0, Code::FewIndependent);
    }
}
