//! The numbers of a metric: of both sides, and of the test.

use super::Row;
use crate::canary::explanation::{EffectMeasure, Points, TestNumbers};
use crate::canary::number::number;
use crate::canary::sequential::Sequential;
use crate::canary::{CanaryJudgeStats, Pair};
use crate::report::forest::{self, Place};
use crate::report::view::plain;
use crate::report::view::words::{Fact, fact};

pub const MEAN: &str = "Mean";

pub fn numbers(
    stats: Pair<CanaryJudgeStats>,
    points: Option<Pair<Points>>,
    unit: Option<&str>,
) -> Vec<Row> {
    // Of no data there is no mean: Kayenta's 0 would be the best that an error rate can be.
    let told = |side: &CanaryJudgeStats, of: fn(&CanaryJudgeStats) -> f64| match side.count {
        0 => "–".to_owned(),
        _ => plain::quantity(of(side), unit),
    };
    let row = |name, of: fn(&CanaryJudgeStats) -> f64| Row {
        name,
        control: told(&stats.control, of),
        experiment: told(&stats.experiment, of),
    };
    let mut rows = vec![
        Row {
            name: "Points judged",
            control: stats.control.count.to_string(),
            experiment: stats.experiment.count.to_string(),
        },
        row(MEAN, |side| side.mean),
        row("Standard deviation", |side| side.std),
        row("Least", |side| side.min),
        row("Greatest", |side| side.max),
    ];
    if let Some(points) = points {
        let count = |name, of: fn(&Points) -> u64| Row {
            name,
            control: of(&points.control).to_string(),
            experiment: of(&points.experiment).to_string(),
        };
        rows.push(count("Points", |side| side.total));
        rows.push(count("Missing or NaN", |side| side.nan));
        rows.push(count("Outliers dropped", |side| side.outliers));
        let fences = |side: &Points| {
            side.fences.map(|fences| {
                let [lower, upper] =
                    [fences.lower, fences.upper].map(|it| plain::quantity(it, unit));
                format!("{lower} to {upper}")
            })
        };
        if let (Some(control), Some(experiment)) =
            (fences(&points.control), fences(&points.experiment))
        {
            rows.push(Row {
                name: "Outliers lie beyond",
                control,
                experiment,
            });
        }
    }
    rows
}

pub fn test_facts(test: &TestNumbers, unit: Option<&str>) -> Vec<Fact> {
    let effect = &test.effect_size;
    let measure = match effect.measure {
        EffectMeasure::MeanRatio => "Mean, as a multiple of the control's",
        EffectMeasure::Cles => "Effect: CLES",
    };
    let level = format!("{} % sure of", number(test.confidence_level * 100.0));
    let mut facts = vec![
        fact(
            "Higher or lower by, about",
            &plain::signed(test.estimate, unit),
        ),
        fact(
            &level,
            &format!(
                "{} to {}",
                plain::signed(test.lower, unit),
                plain::signed(test.upper, unit)
            ),
        ),
        fact(
            "All of that must lie beyond",
            &format!("±{}", plain::quantity(test.bound.abs(), unit)),
        ),
        fact(measure, &plain::quantity(effect.value, None)),
        fact(
            "An increase counts from",
            &plain::quantity(effect.allowed_increase, None),
        ),
        fact(
            "A decrease counts below",
            &plain::quantity(effect.allowed_decrease, None),
        ),
    ];
    if test.with_noise {
        facts.push(fact(
            "Noise",
            "added before the test, as both sides are constant",
        ));
    }
    facts
}

pub fn sequential_facts(found: &Sequential) -> Vec<Fact> {
    let percent = |share: f64| format!("{} %", number(share * 100.0));
    let samples = &found.samples;
    let counted = |name: &str, value: Option<f64>| value.map(|value| fact(name, &number(value)));
    let detectable = &found.minimum_detectable;
    let detectable = match (detectable.percent, detectable.change) {
        (Some(change), _) => Some(plain::signed(change, Some("%"))),
        (None, change) => change.map(|change| plain::signed(change, None)),
    };
    let facts = [
        Some(fact("Change, with its interval", &forest::change(found))),
        Some(fact("No change counts from", &forest::margin(found))),
        Some(fact("So it lies", Place::of(found).word())),
        Some(fact(
            "Minutes on both sides",
            &found.pairs.paired.to_string(),
        )),
        counted("Worth independent samples", samples.independent),
        counted("Correlation of neighbours", samples.autocorrelation),
        detectable.map(|change| fact("A change that would be found", &change)),
        found
            .minutes_needed
            .map(|needed| fact("Settled by, about", &forest::minutes(needed))),
        Some(fact(
            "False alarms, at most",
            &percent(found.levels.false_alarm),
        )),
    ];
    let events = found.events.iter().map(|events| {
        let counted = format!(
            "{} on the control, {} on the experiment",
            number(events.control),
            number(events.experiment)
        );
        fact("Events", &counted)
    });
    facts.into_iter().flatten().chain(events).collect()
}
