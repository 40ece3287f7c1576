//! What makes a metric doubtful: why its data cannot carry its label.

use std::fmt::Write;

use super::aca::classify::Classification;
use super::policy::{MetricPolicy, NanStrategy};
use super::side::{Point, Side};
use crate::canary::explanation::{EffectMeasure, Rule};
use crate::canary::number::duration;
use crate::canary::number::each;
use crate::canary::{Doubt, DoubtCause, Label, MetricSetPair, Pair, Window};

/// A verdict on fewer points of a side stands on nothing.
const ENOUGH: usize = 8;

/// The tenths of the window that a side must cover.
const COVERED_TENTHS: usize = 8;

/// A side may begin late or end early by this part of its window, or by so many steps.
const EDGE_PART: i64 = 10;
const EDGE_STEPS: i64 = 3;

/// The clocks of a client and of serin differ.
const FUTURE_MILLIS: i64 = 60_000;

/// A query with one of these gives no counter.
const NO_COUNTER: [&str; 4] = ["rate(", "increase(", "delta(", "deriv("];

/// What is asked of one metric.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub pair: &'a MetricSetPair,
    pub sides: &'a Pair<Side<'a>>,
    /// `None` of a metric whose judge has a policy of its own.
    pub policy: Option<&'a MetricPolicy>,
    pub label: Label,
    /// What was found here; of other judges, only the label is known.
    pub found: Option<&'a Classification>,
}

/// All but what hangs on other metrics, in the order of the causes.
pub fn of(subject: &Subject<'_>) -> Vec<Doubt> {
    let is_replaced = subject
        .policy
        .is_some_and(|policy| policy.nan_strategy == NanStrategy::Replace);
    let found = [
        (DoubtCause::OneSided, one_sided(subject)),
        (DoubtCause::Infinite, infinite(subject.sides)),
        (
            DoubtCause::Coverage,
            coverage(subject.sides).filter(|_| !is_replaced),
        ),
        (
            DoubtCause::Partial,
            told(subject.sides, |side| {
                let text = side.told.partial?;
                Some(format!(
                    "the source answered the {} side in part: {text}",
                    side.name
                ))
            }),
        ),
        (
            DoubtCause::Dropped,
            told(subject.sides, |side| {
                let text = side.told.dropped?;
                Some(format!("the {} side lacks samples: {text}", side.name))
            }),
        ),
        (
            DoubtCause::TooFew,
            too_few(subject.sides).filter(|_| !is_replaced),
        ),
        (DoubtCause::Counter, counter(subject.sides)),
        (DoubtCause::RatioOfMeans, ratio_of_means(subject)),
        (DoubtCause::NoData, no_data(subject)),
        (DoubtCause::NotTested, not_tested(subject)),
    ];
    let doubts = found.into_iter();
    doubts
        .filter_map(|(cause, sentence)| {
            Some(Doubt {
                cause,
                sentence: sentence?,
            })
        })
        .collect()
}

fn one_sided(subject: &Subject<'_>) -> Option<String> {
    if fails_without_data(subject) {
        return None;
    }
    let Pair {
        control,
        experiment,
    } = subject.sides;
    let only = match (control.measured.has_data(), experiment.measured.has_data()) {
        (true, false) => control,
        (false, true) => experiment,
        _ => return None,
    };
    let name = only.name;
    if subject.pair.tags.is_empty() {
        return Some(format!(
            "there are data on the {name} side only, so there is nothing to compare them with"
        ));
    }
    let labels = labels(subject.pair);
    Some(format!(
        "{labels} has data on the {name} side only, which may be the very difference"
    ))
}

/// `{code="500"}`
pub fn labels(pair: &MetricSetPair) -> String {
    let labels = pair.tags.iter();
    let labels: Vec<String> = labels
        .map(|(label, value)| format!("{label}=\"{value}\""))
        .collect();
    format!("{{{}}}", labels.join(", "))
}

fn infinite(sides: &Pair<Side<'_>>) -> Option<String> {
    let told = both(sides).filter(|side| side.measured.infinite > 0);
    let told: Vec<String> = told
        .map(|side| {
            let Side { name, measured, .. } = side;
            format!(
                "{} of {} values on the {name} side",
                measured.infinite, measured.places
            )
        })
        .collect();
    (!told.is_empty()).then(|| {
        let told = told.join(" and ");
        format!("{told} are infinite, which is no measurement")
    })
}

/// Tells what the metric is without its infinite values; its label and whether it is critical,
/// where it did not fail with them and does without.
pub fn fails_without_infinite(
    doubts: &mut [Doubt],
    found: &Classification,
    again: &Classification,
) -> Option<(Label, bool)> {
    let doubt = doubts
        .iter_mut()
        .find(|doubt| doubt.cause == DoubtCause::Infinite)?;
    let _ = write!(
        doubt.sentence,
        "; without them the label is {:?}",
        again.label
    );
    let is_open = matches!(found.label, Label::Pass | Label::Nodata | Label::Error);
    let fails = is_open && matches!(again.label, Label::High | Label::Low);
    fails.then_some((again.label, again.critical))
}

fn coverage(sides: &Pair<Side<'_>>) -> Option<String> {
    if both(sides).any(|side| side.measured.finite == 0) {
        return None;
    }
    told(sides, uncovered)
}

/// What of its window a side lacks.
fn uncovered(side: &Side<'_>) -> Option<String> {
    let Side { name, measured, .. } = side;
    let Some(window) = side.told.window else {
        // Without a window, the places of a recorded list are one where somebody wrote `null` for
        // what is missing.
        return missing(measured.finite, measured.places)
            .filter(|_| measured.nulls > 0)
            .map(|missing| format!("{missing} values are missing on the {name} side"));
    };
    let late = window.end - window.asked_at;
    if late > window.step.max(FUTURE_MILLIS) {
        return Some(format!(
            "the window of the {name} side ended {} after it was asked for",
            duration(late)
        ));
    }
    let edges = edges(side, window).join(" and ");
    match missing(measured.finite, window.points()) {
        Some(missing) if edges.is_empty() => Some(format!(
            "{missing} points of the window are missing on the {name} side"
        )),
        Some(missing) => Some(format!(
            "{missing} points of the window are missing on the {name} side, which {edges}"
        )),
        None if edges.is_empty() => None,
        None => Some(format!(
            "the {name} side {edges} in a window of {}",
            duration(window.length())
        )),
    }
}

/// `12 of 31`, where these are too many.
fn missing(there: usize, wanted: usize) -> Option<String> {
    (there * 10 < wanted * COVERED_TENTHS).then(|| format!("{} of {wanted}", wanted - there))
}

/// How late a side begins and how early it ends.
fn edges(side: &Side<'_>, window: Window) -> Vec<String> {
    let time = |point: Option<Point>| side.timestamps?.get(point?.place).copied();
    let begins = time(side.measured.first).map(|first| first - window.start);
    let ends = time(side.measured.last).map(|last| window.end - last);
    let edge = (window.length() / EDGE_PART).max(EDGE_STEPS.saturating_mul(window.step));
    let begins = begins.filter(|late| edge < *late);
    let begins = begins.map(|late| format!("begins {} late", duration(late)));
    let ends = ends.filter(|early| edge < *early);
    let ends = ends.map(|early| format!("ends {} early", duration(early)));
    begins.into_iter().chain(ends).collect()
}

/// What is told of either side.
fn told(sides: &Pair<Side<'_>>, tell: fn(&Side<'_>) -> Option<String>) -> Option<String> {
    let told: Vec<String> = both(sides).filter_map(tell).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

fn too_few(sides: &Pair<Side<'_>>) -> Option<String> {
    let points = sides.as_ref().map(|side| side.measured.finite);
    let least = points.control.min(points.experiment);
    (0 < least && least < ENOUGH).then(|| {
        format!(
            "only {} points on the control and {} on the experiment side: a verdict needs {ENOUGH}, \
             and from {} on smaller differences are found",
            points.control,
            points.experiment,
            super::ENOUGH_POINTS
        )
    })
}

fn counter(sides: &Pair<Side<'_>>) -> Option<String> {
    let only_rise =
        both(sides).all(|side| side.measured.only_rises() && ENOUGH <= side.measured.finite);
    let is_rated = |side: &Side<'_>| {
        let query = side.told.query.unwrap_or_default();
        NO_COUNTER.iter().any(|function| query.contains(function))
    };
    if !only_rise || both(sides).any(is_rated) {
        return None;
    }
    let ends = |side: &Side<'_>| {
        let [from, to] = each([side.measured.first?.value, side.measured.last?.value]);
        Some(format!("from {from} to {to}"))
    };
    Some(format!(
        "both sides only rise, {} on the control and {} on the experiment side, like a counter, \
         which says something by its rate only",
        ends(&sides.control)?,
        ends(&sides.experiment)?
    ))
}

/// Where the ratio decided. Without a value below 0 it does so rightly: from 0, every rise is an
/// infinite one.
fn ratio_of_means(subject: &Subject<'_>) -> Option<String> {
    let found = subject.found?;
    let is_consulted = matches!(
        found.rule,
        Rule::AllowedEffect | Rule::Increase | Rule::Decrease
    );
    let is_ratio = found.test?.effect_size.measure == EffectMeasure::MeanRatio;
    let is_cut = both(subject.sides).any(|side| side.measured.has_negative);
    let means = found.stats.map(|stats| stats.mean);
    let is_low = means.control <= 0.0 || means.experiment <= 0.0;
    (is_consulted && is_ratio && is_cut && is_low).then(|| {
        let [control, experiment] = each([means.control, means.experiment]);
        format!(
            "the mean is {control} on the control and {experiment} on the experiment side, and a \
             ratio of means says nothing where one is not above 0; the measure 'cles' does"
        )
    })
}

fn no_data(subject: &Subject<'_>) -> Option<String> {
    let is_critical = subject.policy.is_some_and(|policy| policy.critical);
    let is_missing =
        subject.label == Label::Nodata && !both(subject.sides).any(|side| side.measured.has_data());
    (is_critical && is_missing && !fails_without_data(subject)).then(|| {
        let name = &subject.pair.name;
        format!("{name} is critical, and has no data on either side")
    })
}

fn not_tested(subject: &Subject<'_>) -> Option<String> {
    (subject.label == Label::Error).then(|| {
        let name = &subject.pair.name;
        format!("{name} could not be compared, so it counts for nothing")
    })
}

/// What must have data fails without them, as its config asks.
fn fails_without_data(subject: &Subject<'_>) -> bool {
    subject.policy.is_some_and(|policy| {
        policy.must_have_data && matches!(subject.label, Label::Nodata | Label::NodataFailMetric)
    })
}

fn both<'a, 'b>(sides: &'b Pair<Side<'a>>) -> impl Iterator<Item = &'b Side<'a>> {
    [&sides.control, &sides.experiment].into_iter()
}
