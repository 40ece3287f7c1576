//! What should make a reader of a verdict careful.

use crate::canary::explanation::{GroupCost, Warning, WarningCode};
use crate::canary::number::{duration, number};
use crate::canary::{Doubt, DoubtCause, MetricSetPair, Pair};
use crate::judge::aca::classify::{Classification, Ties};
use crate::judge::doubts::labels;
use crate::judge::side::Side;
use crate::judge::{ENOUGH_POINTS, outcome};

/// Points farther apart than this many steps have a gap between them.
const GAP_STEPS: f64 = 1.5;

/// A value that makes up this part of a side ties it heavily.
const FREQUENT_PART: usize = 4;

/// So does having fewer different values than this part of the points.
const DISTINCT_PART: usize = 5;

/// So many runs of equal values tell how often a value stands; a few may do so by chance.
const ENOUGH_RUNS: usize = 6;

/// Of 100 points for all groups.
const POINTS: f64 = 100.0;

/// Of a metric that was judged here.
pub fn of(
    pair: &MetricSetPair,
    sides: &Pair<Side<'_>>,
    found: &Classification,
    doubts: &[Doubt],
) -> Vec<Warning> {
    let mut warnings = of_series(pair, sides, doubts);
    let judged = found.points.map(|points| points.judged);
    if judged.control == 0 || judged.experiment == 0 {
        return warnings;
    }
    if judged.control.min(judged.experiment) < ENOUGH_POINTS && !is_told(doubts, DoubtCause::TooFew)
    {
        warnings.push(warning(
            WarningCode::FewPoints,
            format!(
                "only {} points on the control and {} on the experiment side: from {ENOUGH_POINTS} on, \
                 smaller differences are found",
                judged.control, judged.experiment
            ),
        ));
    }
    warnings.extend(match repeated(sides, found) {
        None => sameness(found, judged),
        repeated => repeated,
    });
    warnings
}

/// What can be told of the series alone, the doubts first.
pub fn of_series(pair: &MetricSetPair, sides: &Pair<Side<'_>>, doubts: &[Doubt]) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = doubts.iter().map(outcome::warning).collect();
    for side in [&sides.control, &sides.experiment] {
        let Side { name, measured, .. } = side;
        if let Some(told) = side.told.warnings {
            warnings.push(warning(
                WarningCode::Source,
                format!("the source said of the {name} side: {told}"),
            ));
        }
        if 0 < measured.nulls {
            warnings.push(warning(
                WarningCode::Nulls,
                format!(
                    "{} of {} values on the {name} side are null or empty, which counts as 0; what is missing \
                     is \"NaN\"",
                    measured.nulls, measured.places
                ),
            ));
        }
        if !is_told(doubts, DoubtCause::Coverage) {
            warnings.extend(side.timestamps.and_then(|times| gaps(name, times)));
        }
    }
    warnings.extend(unpaired(pair));
    let steps = sides.as_ref().map(Side::step);
    if steps.control != steps.experiment && steps.control != 0 && steps.experiment != 0 {
        warnings.push(warning(
            WarningCode::DifferentStep,
            format!(
                "the points lie {} apart on the control side, and {} on the experiment side",
                duration(steps.control),
                duration(steps.experiment)
            ),
        ));
    }
    let is_equal = sides.control.told.query.is_some()
        && sides.control.told.query == sides.experiment.told.query
        && sides.control.start() == sides.experiment.start();
    if is_equal {
        warnings.push(warning(
            WarningCode::EqualQueries,
            "both sides sent the same query for the same time, so a side is compared with itself: \
             the query uses nothing of its scope"
                .to_owned(),
        ));
    }
    warnings.extend(shared_data(sides));
    warnings
}

/// Groups that cannot reach 100 points together, whatever their metrics do.
pub fn lost_weights(groups: &[GroupCost]) -> Option<Warning> {
    let has_metrics = |group: &&GroupCost| 0 < group.passed + group.failed + group.not_judged;
    let weights = groups.iter().filter(has_metrics).map(|group| group.weight);
    let reachable = weights.fold(0.0, |sum, weight| sum + weight);
    (reachable < POINTS - 0.005).then(|| {
        warning(
            WarningCode::LostWeights,
            format!(
                "{} of {POINTS} points can be had, for that is what the weights of the groups with \
                 metrics sum to",
                number(reachable)
            ),
        )
    })
}

fn is_told(doubts: &[Doubt], cause: DoubtCause) -> bool {
    doubts.iter().any(|doubt| doubt.cause == cause)
}

fn warning(code: WarningCode, sentence: String) -> Warning {
    Warning { code, sentence }
}

/// Values that stand many times in a row: the test takes them for as many measurements.
fn repeated(sides: &Pair<Side<'_>>, found: &Classification) -> Option<Warning> {
    let times = |side: &Side<'_>, ties: Ties| {
        let measured = side.measured;
        let runs = measured.runs();
        if runs < ENOUGH_RUNS {
            return None;
        }
        let are_long = measured.lone * 10 <= runs;
        // Values that never come back are no coarse ones, so that equal neighbours are one value.
        let are_one = ties.distinct * 10 >= runs * 9 && 2 * measured.finite >= 3 * runs;
        (are_long || are_one).then_some((side.name, measured.finite, runs))
    };
    let (name, points, runs) = times(&sides.control, found.ties.control)
        .or_else(|| times(&sides.experiment, found.ties.experiment))?;
    Some(warning(
        WarningCode::Repeated,
        format!(
            "the {points} points on the {name} side are {runs} values, each of which stands many times \
             in a row: the step is shorter than new values come, so differences look surer than they \
             are; a step as long as the scrape interval helps"
        ),
    ))
}

/// Equal values, on which the verdict hangs by the tolerance of the root finder.
fn sameness(found: &Classification, judged: Pair<u64>) -> Option<Warning> {
    let is_constant = found.ties.map(|ties| ties.distinct == 1);
    let constant = match (is_constant.control, is_constant.experiment) {
        // Nothing happened on either side, as it often is with errors.
        (true, true) if found.test.is_none() && found.stats.control.mean == 0.0 => return None,
        (true, true) if found.test.is_none() => {
            let value = number(found.stats.control.mean);
            return Some(warning(
                WarningCode::Constant,
                format!(
                    "both sides are constant, at {value}: a quantile beyond the last bucket, or \
                     another value that cannot change, tells nothing of the canary"
                ),
            ));
        }
        _ if found.test.is_none() => return None,
        (true, true) => Some("both sides are constant, and were told apart by a little noise"),
        (true, false) => Some("the control side is constant"),
        (false, true) => Some("the experiment side is constant"),
        (false, false) => None,
    };
    if let Some(told) = constant {
        return Some(warning(
            WarningCode::Constant,
            format!("{told}: the test is not made for such values"),
        ));
    }
    let is_tied = |ties: Ties, judged: u64| {
        let judged = usize::try_from(judged).unwrap_or(usize::MAX);
        judged <= ties.most.saturating_mul(FREQUENT_PART)
            || ties.distinct.saturating_mul(DISTINCT_PART) < judged
    };
    let side = match (
        is_tied(found.ties.control, judged.control),
        is_tied(found.ties.experiment, judged.experiment),
    ) {
        (true, true) => "both sides",
        (true, false) => "the control side",
        (false, true) => "the experiment side",
        (false, false) => return None,
    };
    Some(warning(
        WarningCode::Tied,
        format!(
            "many values are equal on {side} ({} different ones of {} on the control side, {} of {} \
             on the experiment side): the verdict may turn on small changes",
            found.ties.control.distinct,
            judged.control,
            found.ties.experiment.distinct,
            judged.experiment
        ),
    ))
}

fn gaps(side: &str, timestamps: &[i64]) -> Option<Warning> {
    let distances = || {
        timestamps
            .windows(2)
            .map(|pair| pair[1].saturating_sub(pair[0]))
    };
    let step = distances().filter(|distance| 0 < *distance).min()?;
    let limit = times(step, GAP_STEPS);
    let gaps = || distances().filter(|distance| limit < *distance);
    let longest = gaps().max()?;
    let missing = gaps().map(|distance| distance / step - 1);
    let missing = missing.fold(0, i64::saturating_add);
    Some(warning(
        WarningCode::Gaps,
        format!(
            "{missing} points are missing between others on the {side} side, the longest gap lasts {}",
            duration(longest)
        ),
    ))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "milliseconds between two points"
)]
fn times(millis: i64, factor: f64) -> i64 {
    (millis as f64 * factor) as i64
}

/// A series of one side alone, though the other side has some of other labels.
fn unpaired(pair: &MetricSetPair) -> Option<Warning> {
    let timestamps = pair.timestamps.as_ref()?;
    let only = match (
        timestamps.control.is_empty(),
        timestamps.experiment.is_empty(),
    ) {
        (false, true) => "control",
        (true, false) => "experiment",
        _ => return None,
    };
    if pair.tags.is_empty() {
        return None;
    }
    let labels = labels(pair);
    Some(warning(
        WarningCode::UnpairedLabels,
        format!(
            "the series {labels} is there on the {only} side only, so it is compared with nothing: \
             make one series of each side, as sum(…) does, or drop the label that differs"
        ),
    ))
}

/// Neighbouring points of a rate over more than a step are made of the same samples, and the test
/// takes them for independent.
fn shared_data(sides: &Pair<Side<'_>>) -> Option<Warning> {
    [&sides.control, &sides.experiment]
        .into_iter()
        .find_map(|side| {
            let step = side.step();
            let longest = side.told.looks_back?;
            (0 < step && step < longest).then(|| {
                warning(
                    WarningCode::SharedData,
                    format!(
                        "the query looks {} back at every point, and the points lie {} apart: \
                     neighbours share data, so differences look surer than they are",
                        duration(longest),
                        duration(step)
                    ),
                )
            })
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::judge::side;

    fn codes(pair: &serde_json::Value) -> Vec<WarningCode> {
        let pair: MetricSetPair = serde_json::from_value(pair.clone()).unwrap();
        of_series(&pair, &side::of(&pair), &[])
            .iter()
            .map(|found| found.code)
            .collect()
    }

    fn pair(control: &serde_json::Value, experiment: &serde_json::Value) -> serde_json::Value {
        json!({
            "name": "m", "values": {"control": [1.0], "experiment": [1.0]},
            "scopes": {
                "control": {"startTimeMillis": control["start"], "stepMillis": control["step"]},
                "experiment": {"startTimeMillis": experiment["start"], "stepMillis": experiment["step"]},
            },
            "attributes": {"control": control["attributes"], "experiment": experiment["attributes"]},
        })
    }

    #[test]
    fn series_warn_of_what_is_odd() {
        use WarningCode::{DifferentStep, EqualQueries, SharedData, Source};
        let side = |start: i64, step: i64, query: &str| json!({"start": start, "step": step, "attributes": {"query": query}});
        let looking = |back: i64| json!({"start": 0, "step": 60_000, "attributes": {"query": "a", "looksBack": back.to_string()}});
        let partial = json!({"start": 0, "step": 60_000, "attributes": {"query": "b", "warnings": "partial"}});
        let cases = [
            (side(0, 60_000, "a"), side(0, 60_000, "b"), vec![]),
            (
                side(0, 60_000, "a"),
                side(0, 60_000, "a"),
                vec![EqualQueries],
            ),
            (side(0, 60_000, "a"), side(3_600_000, 60_000, "a"), vec![]),
            (
                side(0, 60_000, "a"),
                side(0, 10_000, "b"),
                vec![DifferentStep],
            ),
            (side(0, 60_000, "a"), partial, vec![Source]),
            (looking(60_000), side(0, 60_000, "b"), vec![]),
            (looking(90_000), side(0, 60_000, "b"), vec![SharedData]),
        ];
        for (control, experiment, expected) in cases {
            assert_eq!(
                codes(&pair(&control, &experiment)),
                expected,
                "{control} {experiment}"
            );
        }
    }

    #[test]
    fn gaps_are_told_with_the_longest() {
        let minutes =
            |minutes: &[i64]| -> Vec<i64> { minutes.iter().map(|at| at * 60_000).collect() };
        assert_eq!(gaps("control", &minutes(&[0, 1, 2, 3])), None);
        assert_eq!(
            gaps("control", &minutes(&[0, 1, 3, 4, 9]))
                .unwrap()
                .sentence,
            "5 points are missing between others on the control side, the longest gap lasts 5 min"
        );
    }

    #[test]
    fn a_series_of_one_side_alone_is_told_with_its_labels() {
        let mut pair = json!({
            "name": "m", "tags": {"pod": "a"}, "values": {"control": [1.0], "experiment": ["NaN"]},
            "timestamps": {"control": [0], "experiment": []},
        });
        let parsed: MetricSetPair = serde_json::from_value(pair.clone()).unwrap();
        assert_eq!(
            of_series(&parsed, &side::of(&parsed), &[])[0].sentence,
            "the series {pod=\"a\"} is there on the control side only, so it is compared with nothing: \
             make one series of each side, as sum(…) does, or drop the label that differs"
        );
        pair["timestamps"]["experiment"] = json!([0]);
        assert_eq!(codes(&pair), []);
    }
}
