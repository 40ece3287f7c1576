//! What is read otherwise by `sequential-v1`, or hides what it could find.

use serde_json::Value;

use super::{Code, Found, Given};
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

/// Where a client asks for each look by a canary of its own, none of them knows that there are others.
pub fn looks(canary: &CanaryConfig, given: &Given) -> Option<Found> {
    let interval = given.interval_minutes.filter(|minutes| 0 < *minutes);
    let interval = interval.filter(|_| judges(canary))?;
    let lifetime = configurations(canary).find(|(name, _)| *name == "lifetimeMins");
    let lifetime = lifetime.and_then(|(_, value)| value.as_f64());
    let is_one = given
        .duration_minutes
        .is_some_and(|minutes| minutes <= interval);
    let path = Path::of("judge.judgeConfigurations");
    let of_analyses = "an analysis, Flagger's hooks and 'serin run' know their looks without it";
    match (lifetime, given.duration_minutes) {
        (None, _) if is_one => None,
        (None, minutes) => {
            let wanted = minutes.map_or_else(|| "60".to_owned(), |minutes| minutes.to_string());
            Some(Found::new(
                Code::SeparateLooks,
                path,
                format!(
                    "a canary every {interval} min is judged as if it were the only one: six looks at one release raise \
                     two to three times the false alarms, and what is not measured yet at an early one may fail it"
                ),
                format!(
                    "write \"lifetimeMins\": {wanted}, how long the last window will be; where windows do not grow, \
                     divide falseAlarm by the number of looks; {of_analyses}"
                ),
            ))
        }
        (Some(lifetime), Some(minutes)) if last_look(minutes, interval) < lifetime => {
            Some(Found::new(
                Code::SeparateLooks,
                path.member("lifetimeMins"),
                format!(
                    "the last window will be {} min long, so that no look is ever the last one: what was not measured never \
                 counts, and less is found than could be",
                    last_look(minutes, interval)
                ),
                format!("write \"lifetimeMins\": {}", last_look(minutes, interval)),
            ))
        }
        (Some(_), _) => None,
    }
}

/// Minutes of the last window that an interval gives.
fn last_look(minutes: i64, interval: i64) -> f64 {
    let looks = minutes.checked_div(interval).unwrap_or(1).max(1);
    let last = looks.saturating_mul(interval).min(minutes);
    f64::from(i32::try_from(last).unwrap_or(i32::MAX))
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
    fn looks_that_know_nothing_of_each_other_are_told() {
        let of = |judge: Value, interval: Option<i64>, minutes: Option<i64>| {
            let given = Given {
                interval_minutes: interval,
                duration_minutes: minutes,
                ..Given::default()
            };
            let config = serde_json::from_value(json!({"judge": judge})).unwrap();
            looks(&config, &given).map(|found| (found.code, found.path.to_string(), found.fix))
        };
        let judge = |settings: Value| json!({"name": NAME, "judgeConfigurations": settings});
        let at = "judge.judgeConfigurations";
        let cases = [
            (judge(json!({})), None, Some(60), None),
            (
                judge(json!({})),
                Some(10),
                Some(60),
                Some((at.to_owned(), "\"lifetimeMins\": 60,")),
            ),
            (
                judge(json!({})),
                Some(10),
                None,
                Some((at.to_owned(), "\"lifetimeMins\": 60,")),
            ),
            (judge(json!({})), Some(60), Some(60), None),
            (judge(json!({"lifetimeMins": 60})), Some(10), Some(60), None),
            (judge(json!({"lifetimeMins": 60})), Some(10), None, None),
            // The last whole one counts.
            (
                judge(json!({"lifetimeMins": 60})),
                Some(25),
                Some(60),
                Some((format!("{at}.lifetimeMins"), "\"lifetimeMins\": 50")),
            ),
            (judge(json!({"lifetimeMins": 50})), Some(25), Some(60), None),
            (judge(json!({"lifetimeMins": 60})), Some(0), Some(60), None),
            (
                json!({"judgeConfigurations": {"shadow": NAME}}),
                Some(10),
                Some(60),
                Some((at.to_owned(), "\"lifetimeMins\": 60,")),
            ),
            (json!({}), Some(10), Some(60), None),
        ];
        for (judge, interval, minutes, expected) in cases {
            let found = of(judge.clone(), interval, minutes);
            let told = found.as_ref().map(|(code, path, _)| (*code, path.clone()));
            let wanted = expected
                .as_ref()
                .map(|(path, _)| (Code::SeparateLooks, path.clone()));
            assert_eq!(told, wanted, "{judge} {interval:?} {minutes:?}");
            if let (Some((_, _, fix)), Some((_, part))) = (found, expected) {
                assert!(fix.contains(part), "{fix}");
            }
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
