//! A metric in few plain words, and numbers as they are said: what the judge wrote stays in the document.

use crate::canary::explanation::{Explanation, Rule, TestNumbers};
use crate::canary::number::{self, each};
use crate::canary::{CanaryAnalysisResult, Label, Pair};

/// From here on, a number is told in thousands, millions and so on.
const LARGE: f64 = 10_000.0;

const POWERS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];

/// What decided, where the test of Kayenta's judge did; none where its own sentence says it best.
pub fn sentence(result: &CanaryAnalysisResult, unit: Option<&str>) -> Option<String> {
    let told = result.explanation.as_ref()?;
    if told.sequential.is_some() {
        return None;
    }
    let means = Pair {
        control: result.control_metadata.stats.mean,
        experiment: result.experiment_metadata.stats.mean,
    };
    if !(means.control.is_finite() && means.experiment.is_finite()) {
        return None;
    }
    match told.rule {
        Rule::Identical => Some("the same values on both sides".to_owned()),
        Rule::SameConstant => Some(format!(
            "{} on both sides, all the time",
            quantity(means.control, unit)
        )),
        rule => compared(rule, told, means, unit, is_critical(result)),
    }
}

fn is_critical(result: &CanaryAnalysisResult) -> bool {
    result.critical && result.classification != Label::Pass
}

fn compared(
    rule: Rule,
    told: &Explanation,
    means: Pair<f64>,
    unit: Option<&str>,
    is_critical: bool,
) -> Option<String> {
    let test = told.test.as_ref()?;
    let agree = means.experiment.total_cmp(&means.control) == test.estimate.total_cmp(&0.0);
    // Most values do something else than the mean: that takes more words.
    if !agree && rule != Rule::NoClearShift {
        return None;
    }
    let change = change(means);
    let both = || match &change {
        Some(change) => format!("{change}: {}", from_to(means, unit)),
        None => from_to(means, unit),
    };
    let critical = if is_critical {
        "; it is critical, so the canary fails"
    } else {
        ""
    };
    Some(match rule {
        Rule::Increase | Rule::Decrease => format!(
            "{}; surely more than noise: {}{critical}",
            both(),
            sure(test, unit)
        ),
        Rule::OtherDirection if test.estimate < 0.0 => {
            format!("{}; only an increase would count", both())
        }
        Rule::OtherDirection => format!("{}; only a decrease would count", both()),
        Rule::AllowedEffect => format!("{}; no more than is allowed", both()),
        Rule::NoClearShift => match &change {
            Some(change) => format!("no clear difference ({change})"),
            None => format!("no clear difference ({})", from_to(means, unit)),
        },
        _ => return None,
    })
}

/// `98 % sure of +0.389 to +0.474`.
fn sure(test: &TestNumbers, unit: Option<&str>) -> String {
    let level = number::number(test.confidence_level * 100.0);
    let (lower, upper) = (signed(test.lower, unit), signed(test.upper, unit));
    format!("{level} % sure of {lower} to {upper}")
}

/// Of means above 0, in parts of the control's.
fn change(means: Pair<f64>) -> Option<String> {
    let both_positive = 0.0 < means.control && 0.0 < means.experiment;
    let ratio = means.experiment / means.control;
    (both_positive && ratio.is_finite()).then(|| percent(ratio))
}

fn from_to(means: Pair<f64>, unit: Option<&str>) -> String {
    let both = [means.control, means.experiment];
    let short = both.map(short);
    // What differs must look so.
    let [control, experiment] = if short[0] == short[1] {
        each(both).map(with_minus)
    } else {
        short
    };
    format!("{control} → {}", of_unit(experiment, unit))
}

/// `+509 %` of a ratio of 6.09.
pub fn percent(ratio: f64) -> String {
    with_minus(number::percent(ratio))
}

/// With a sign, and its unit.
pub fn signed(value: f64, unit: Option<&str>) -> String {
    let sign = if 0.0 < value { "+" } else { "" };
    format!("{sign}{}", quantity(value, unit))
}

/// `4.36 M`, `12.5 ms`.
pub fn quantity(value: f64, unit: Option<&str>) -> String {
    of_unit(short(value), unit)
}

fn of_unit(text: String, unit: Option<&str>) -> String {
    match unit {
        Some(unit) => format!("{text} {unit}"),
        None => text,
    }
}

fn short(value: f64) -> String {
    let size = value.abs();
    let power = POWERS.into_iter().find(|(power, _)| *power <= size);
    let text = match power.filter(|_| (LARGE..1e15).contains(&size)) {
        Some((power, letter)) => format!("{} {letter}", number::number(value / power)),
        None => number::number(value),
    };
    with_minus(text)
}

/// One minus sign everywhere, as wide as a plus.
fn with_minus(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) => format!("−{rest}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_large_number_is_said_shortly() {
        let cases = [
            (0.0, None, "0"),
            (0.0858, None, "0.0858"),
            (9_999.0, None, "9999"),
            (12_345.0, None, "12.3 k"),
            (4_360_132.0, Some("req/s"), "4.36 M req/s"),
            (-2.5e9, None, "−2.5 G"),
            (3e17, None, "3.00e17"),
            (-0.5, Some("ms"), "−0.5 ms"),
        ];
        for (value, unit, expected) in cases {
            let told = quantity(value, unit);
            assert_eq!(told, expected, "{value}");
        }
        assert_eq!(percent(0.5), "−50 %");
    }

    /// What is told of a metric by that rule, with these means.
    fn told(rule: &str, control: f64, experiment: f64, critical: bool) -> Option<String> {
        let stats =
            |mean: f64| json!({"stats": {"count": 60, "mean": mean, "min": 0, "max": 0, "std": 0}});
        let test = json!({
            "estimate": experiment - control, "lower": 1.46, "upper": 1.54, "confidenceLevel": 0.98, "bound": 0.38,
            "effectSize": {"measure": "meanRatio", "value": 3.75, "allowedIncrease": 1, "allowedDecrease": 1},
        });
        let label = match rule {
            "increase" => "High",
            _ => "Pass",
        };
        let result: CanaryAnalysisResult = serde_json::from_value(json!({
            "name": "m", "id": "1", "tags": {}, "classification": label, "groups": [], "critical": critical,
            "experimentMetadata": stats(experiment), "controlMetadata": stats(control),
            "explanation": {"rule": rule, "sentence": "s", "test": test,
                "points": {"control": {"total": 1, "nan": 0, "outliers": 0, "judged": 1},
                    "experiment": {"total": 1, "nan": 0, "outliers": 0, "judged": 1}}},
        }))
        .unwrap();
        sentence(&result, Some("ms"))
    }

    #[test]
    fn what_decided_is_said_in_few_words() {
        let cases = [
            (
                ("increase", 0.5, 2.0, false),
                Some(
                    "+300 %: 0.5 → 2 ms; surely more than noise: 98 % sure of +1.46 ms to +1.54 ms",
                ),
            ),
            (
                ("increase", 0.0, 2.0, true),
                Some(
                    "0 → 2 ms; surely more than noise: 98 % sure of +1.46 ms to +1.54 ms; it is critical, so the \
                     canary fails",
                ),
            ),
            (
                ("noClearShift", 1.0, 1.013, false),
                Some("no clear difference (+1.3 %)"),
            ),
            (
                ("otherDirection", 2.0, 1.0, false),
                Some("−50 %: 2 → 1 ms; only an increase would count"),
            ),
            (
                ("allowedEffect", 1.0, 1.5, false),
                Some("+50 %: 1 → 1.5 ms; no more than is allowed"),
            ),
            (
                ("identical", 1.0, 1.0, false),
                Some("the same values on both sides"),
            ),
            (
                ("sameConstant", 2.0, 2.0, false),
                Some("2 ms on both sides, all the time"),
            ),
            (("noData", 1.0, 1.0, false), None),
        ];
        for ((rule, control, experiment, critical), expected) in cases {
            let told = told(rule, control, experiment, critical);
            assert_eq!(told.as_deref(), expected, "{rule}");
        }
    }
}
