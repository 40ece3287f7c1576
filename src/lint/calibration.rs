//! Whether the margins of a config were learned, and are still those of what it asks.

use super::{Code, Found};
use crate::canary::{CanaryConfig, Learned, LearnedMargin, Path, fingerprint};
use crate::run::learned::{Calibrated, Known, NAMED_AT, SECOND_JUDGE};

/// Metrics change, and hosts with them.
const OLD_DAYS: i64 = 90;
const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;

pub fn check(canary: &CanaryConfig, calibrated: Option<&Calibrated>) -> Vec<Found> {
    let is_given = |calibrated: &Calibrated| matches!(calibrated.known, Known::Learned(_));
    if canary.calibration().is_none() && !calibrated.is_some_and(is_given) {
        return not_calibrated(canary).into_iter().collect();
    }
    match calibrated {
        None => Vec::new(),
        Some(Calibrated { known, now }) => match known {
            Known::Nothing => Vec::new(),
            Known::Missing(fault) => vec![Found::new(
                Code::UnknownCalibration,
                fault.path.clone(),
                fault.message.clone(),
                "name one of those, or learn it: 'serin calibrate --write ID'",
            )],
            Known::Learned(learned) => {
                let metrics = canary.metrics.iter().flatten().enumerate();
                let of_metrics = metrics.filter_map(|(at, metric)| {
                    let name = metric.name.as_deref()?;
                    let path = Path::element("metrics", at);
                    of_metric(path, learned.of(name), &fingerprint(canary, metric))
                });
                old(learned, *now).into_iter().chain(of_metrics).collect()
            }
        },
    }
}

fn not_calibrated(canary: &CanaryConfig) -> Option<Found> {
    let judge = canary.judge.as_ref()?;
    (judge.name.as_deref() == Some(SECOND_JUDGE)).then(|| {
        Found::new(
            Code::NotCalibrated,
            Path::of("judge"),
            format!("{SECOND_JUDGE} keeps its rates with margins that were learned, and the config names no calibration"),
            format!("'serin calibrate --write ID' learns them, and '{NAMED_AT}: ID' takes them"),
        )
    })
}

fn old(learned: &Learned, now: i64) -> Option<Found> {
    let days = now.saturating_sub(learned.made_millis) / DAY_MILLIS;
    (OLD_DAYS < days).then(|| {
        Found::new(
            Code::OldCalibration,
            Path::of(NAMED_AT),
            format!("the margins were learned {days} days ago, and metrics change meanwhile"),
            "calibrate once more, and write it under the same id",
        )
    })
}

fn of_metric(path: Path, learned: Option<&LearnedMargin>, query: &str) -> Option<Found> {
    let again = "calibrate once more, and write it under the same id";
    match learned {
        None => Some(Found::new(
            Code::NotCalibrated,
            path,
            "the calibration that the config names has no margin of this metric",
            again,
        )),
        Some(learned) if learned.query != query => Some(Found::new(
            Code::ChangedQuery,
            path.member("query"),
            "the query is another one than that of which the margin was learned",
            again,
        )),
        Some(LearnedMargin { margin: None, .. }) => Some(Found::new(
            Code::UnfitMetric,
            path,
            "no margin up to 50 % held its share of the false alarms: it is unfit for this comparison",
            "several pods a side, a longer window, a quotient with the traffic, or muting it would help",
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::canary::Fault;

    const NOW: i64 = 200 * DAY_MILLIS;

    fn canary(calibration: Option<&str>) -> CanaryConfig {
        let config = json!({
            "judge": {"name": SECOND_JUDGE, "judgeConfigurations": {"calibration": calibration}},
            "metrics": [{"name": "a", "query": {"type": "x", "q": "1"}}, {"name": "b", "query": {"type": "x", "q": "2"}}],
        });
        serde_json::from_value(config).unwrap()
    }

    fn codes(canary: &CanaryConfig, known: Option<Known>) -> Vec<(Code, String)> {
        let calibrated = known.map(|known| Calibrated { known, now: NOW });
        let found = check(canary, calibrated.as_ref()).into_iter();
        found
            .map(|found| (found.code, found.path.to_string()))
            .collect()
    }

    fn learned(days_ago: i64, margins: &[(&str, Option<f64>, &str)]) -> Known {
        Known::Learned(Learned {
            calibration: "c".to_owned(),
            made_millis: NOW - days_ago * DAY_MILLIS,
            from_millis: 0,
            to_millis: 1,
            metrics: margins
                .iter()
                .map(|(metric, margin, query)| LearnedMargin {
                    metric: (*metric).to_owned(),
                    margin: *margin,
                    windows: 200,
                    query: (*query).to_owned(),
                })
                .collect(),
        })
    }

    #[test]
    fn margins_that_were_not_learned_or_are_not_known_are_told() {
        let here = |path: &str, code| (code, path.to_owned());
        assert_eq!(
            codes(&canary(None), None),
            [here("judge", Code::NotCalibrated)]
        );
        assert_eq!(codes(&canary(Some("c")), None), []);
        let missing = Known::Missing(Fault::new(Path::of(NAMED_AT), "there is none"));
        assert_eq!(
            codes(&canary(Some("c")), Some(missing)),
            [here(NAMED_AT, Code::UnknownCalibration)]
        );
        let other = CanaryConfig::default();
        assert_eq!(codes(&other, None), []);
    }

    #[test]
    fn margins_that_are_of_something_else_are_told() {
        let canary = canary(Some("c"));
        let metrics = canary.metrics.as_deref().unwrap();
        let (a, b) = (
            fingerprint(&canary, &metrics[0]),
            fingerprint(&canary, &metrics[1]),
        );
        let cases = [
            (
                learned(90, &[("a", Some(0.1), &a), ("b", Some(0.1), &b)]),
                vec![],
            ),
            (
                learned(91, &[("a", Some(0.1), &a), ("b", Some(0.1), &b)]),
                vec![(Code::OldCalibration, NAMED_AT)],
            ),
            (
                learned(1, &[("a", Some(0.1), &b), ("b", None, &b)]),
                vec![
                    (Code::ChangedQuery, "metrics[0].query"),
                    (Code::UnfitMetric, "metrics[1]"),
                ],
            ),
            (
                learned(1, &[("a", Some(0.1), &a)]),
                vec![(Code::NotCalibrated, "metrics[1]")],
            ),
        ];
        for (known, expected) in cases {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(code, path)| (code, path.to_owned()))
                .collect();
            assert_eq!(codes(&canary, Some(known)), expected);
        }
    }
}
