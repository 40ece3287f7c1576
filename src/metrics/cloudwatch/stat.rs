//! The statistics of CloudWatch.

use crate::config::nearest;

pub const USUAL: &str = "Average";

const NAMED: [&str; 6] = ["Average", "IQM", "Maximum", "Minimum", "SampleCount", "Sum"];

/// With a bound, as in p99.9, tm90, ts90, tc90, wm98.
const BOUNDED: [&str; 5] = ["p", "tm", "tc", "ts", "wm"];

/// With both, as in TM(10%:90%), PR(:300).
const RANGED: [&str; 5] = ["TM", "TC", "TS", "WM", "PR"];

/// Why a text is none.
pub fn wrong(stat: &str) -> Option<String> {
    if NAMED.contains(&stat) || is_bounded(stat) || is_ranged(stat) {
        return None;
    }
    let known = NAMED.join(", ");
    let advice = match nearest(stat, &NAMED) {
        Some(near) => format!("did you mean '{near}'?"),
        None => format!("there are {known}, p99 and tm99 of any number, and TM(10%:90%)"),
    };
    Some(format!("it is no statistic; {advice}"))
}

pub fn is_percentile(stat: &str) -> bool {
    is_bounded(stat) && stat.starts_with('p')
}

fn is_bounded(stat: &str) -> bool {
    BOUNDED.iter().any(|word| {
        let bound = stat.strip_prefix(word).and_then(number);
        bound.is_some_and(|bound| (0.0..=100.0).contains(&bound))
    })
}

fn is_ranged(stat: &str) -> bool {
    let parts = stat.strip_suffix(')').and_then(|it| it.split_once('('));
    let Some((word, range)) = parts else {
        return false;
    };
    let Some((from, to)) = range.split_once(':') else {
        return false;
    };
    let is_bound =
        |text: &str| text.is_empty() || number(text.strip_suffix('%').unwrap_or(text)).is_some();
    RANGED.contains(&word) && is_bound(from) && is_bound(to) && !(from.is_empty() && to.is_empty())
}

/// In digits only.
fn number(text: &str) -> Option<f64> {
    let is_plain = text
        .chars()
        .all(|letter| letter.is_ascii_digit() || letter == '.');
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statistic_is_named_or_has_bounds() {
        let right = [
            "Average",
            "Sum",
            "IQM",
            "p99",
            "p99.95",
            "p100",
            "tm90",
            "ts95",
            "tc50",
            "wm98",
            "TM(10%:90%)",
            "TM(:95%)",
            "PR(:300)",
            "PR(100:)",
            "TC(0.005:0.030)",
        ];
        for stat in right {
            assert_eq!(wrong(stat), None, "{stat}");
        }
        let wrong_ones = [
            ("average", "did you mean 'Average'?"),
            ("Sums", "did you mean 'Sum'?"),
            ("p101", "there are Average"),
            ("p", "there are"),
            ("p-1", "there are"),
            ("pinf", "there are"),
            ("TM(:)", "there are"),
            ("XX(1:2)", "there are"),
            ("TM(a:b)", "there are"),
        ];
        for (stat, expected) in wrong_ones {
            let told = wrong(stat).unwrap_or_default();
            assert!(told.contains(expected), "{stat}: {told}");
        }
        assert!(is_percentile("p99") && !is_percentile("Sum") && !is_percentile("tm99"));
    }
}
