//! The interval of a change as a bar: around zero, or against its margin.

use crate::canary::explanation::TestNumbers;
use crate::canary::sequential::{Finding, Sequential};

pub const WIDTH: f64 = 120.0;

/// Where things lie in a drawing that is 120 wide, zero in its middle.
#[derive(Clone, Debug, PartialEq)]
pub struct Interval {
    pub left: f64,
    pub width: f64,
    pub estimate: f64,
    /// Within these, no shift counts.
    pub bound_left: f64,
    pub bound_width: f64,
}

/// `None` when the numbers are none.
pub fn draw(test: &TestNumbers) -> Option<Interval> {
    let all = [test.lower, test.upper, test.estimate, test.bound];
    if !all.iter().all(|value| value.is_finite()) {
        return None;
    }
    let reach = all
        .iter()
        .fold(0.0, |reach: f64, value| reach.max(value.abs()));
    // The part first: a width by a subnormal number is infinite.
    let part = |value: f64| if reach > 0.0 { value / reach } else { 0.0 };
    let x = |value: f64| tenth(WIDTH / 2.0 + part(value) * WIDTH / 2.2);
    let bound = test.bound.abs();
    Some(Interval {
        left: x(test.lower),
        width: tenth((x(test.upper) - x(test.lower)).max(2.0)),
        estimate: x(test.estimate),
        bound_left: x(-bound),
        bound_width: tenth(x(bound) - x(-bound)),
    })
}

/// What `sequential-v1` found, each side in parts of its own margin: the margins lie half way to the edges, and what
/// has no end reaches them. `None` where nothing was estimated.
pub fn against_margin(found: &Sequential) -> Option<Interval> {
    let change = &found.change;
    let x = scale(found)?;
    let estimate = x(change.estimate?);
    let is_open = found.verdict == Finding::Inconclusive;
    let (left, right) = match (change.lower, change.upper) {
        // Both sides are the same, or far apart: there is no interval, and none is missing.
        (None, None) if !is_open => (estimate, estimate),
        (lower, upper) => (lower.map_or(0.0, &x), upper.map_or(WIDTH, &x)),
    };
    let band_left = found.margin.down.map_or(0.0, &x);
    let band_right = found.margin.up.map_or(WIDTH, &x);
    Some(Interval {
        left,
        width: tenth((right - left).max(2.0)),
        estimate,
        bound_left: band_left,
        bound_width: tenth(band_right - band_left),
    })
}

/// Where a change lies, from 0 to the width of the drawing.
fn scale(found: &Sequential) -> Option<impl Fn(f64) -> f64 + use<>> {
    let margin = &found.margin;
    let size = |margin: Option<f64>| margin.map(f64::abs).filter(|size| 0.0 < *size);
    let (up, down) = (size(margin.up), size(margin.down));
    // Without a margin to measure by, a twentieth of the level, as margins are by default.
    let level = size(found.control_level.map(|level| level / 20.0));
    let change = size(found.change.estimate);
    let known = up.or(down).or(level).or(change)?;
    let (up, down) = (up.unwrap_or(known), down.unwrap_or(known));
    Some(move |change: f64| {
        let size = if change < 0.0 { down } else { up };
        // The part first: sums of the largest doubles are infinite.
        let part = (change / size).clamp(-1e9, 1e9);
        tenth(WIDTH / 2.0 * (1.0 + part / (1.0 + part.abs())))
    })
}

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
pub mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// With a margin of 5 either way, and the same in percent.
    pub fn found(verdict: &str, [estimate, lower, upper]: [f64; 3]) -> Value {
        let change = json!({"estimate": estimate, "lower": lower, "upper": upper});
        json!({
            "verdict": verdict, "method": "difference",
            "look": {"number": 1, "planned": 1, "fraction": 1.0, "single": true, "last": true},
            "levels": {"falseAlarm": 0.01, "falsePass": 0.05},
            "pairs": {"expected": 60, "control": 60, "experiment": 60, "paired": 60},
            "samples": {"spacing": 1, "autocorrelation": 0.2, "independent": 40.0, "degreesOfFreedom": 38.0, "jump": false},
            "controlLevel": 100.0, "standardError": 1.0,
            "change": change, "percent": change,
            "equivalencePercent": {"lower": lower, "upper": upper},
            "margin": {"up": 5.0, "down": -5.0, "upPercent": 5.0, "downPercent": -5.0},
            "p": 0.2, "minimumDetectable": {"change": 8.0, "percent": 8.0},
            "minutesNeeded": if verdict == "Inconclusive" { json!(40) } else { Value::Null },
        })
    }

    fn drawn(found: Value, change: impl FnOnce(&mut Sequential)) -> Option<Interval> {
        let mut found: Sequential = serde_json::from_value(found).unwrap();
        change(&mut found);
        against_margin(&found)
    }

    #[test]
    fn an_interval_lies_beyond_within_or_across_the_band_of_its_margin() {
        // The band of the margin lies between 30 and 90.
        type Lies = fn(f64, f64) -> bool;
        let cases: [(&str, [f64; 3], Lies); 4] = [
            ("Regressed", [10.0, 6.0, 14.0], |left, _| 90.0 < left),
            ("Improved", [-10.0, -14.0, -6.0], |_, right| right < 30.0),
            ("Equivalent", [0.0, -4.0, 4.0], |left, right| {
                30.0 < left && right < 90.0
            }),
            ("Inconclusive", [4.0, 1.0, 7.0], |left, right| {
                left < 90.0 && 90.0 < right
            }),
        ];
        for (verdict, change, lies) in cases {
            let drawn = drawn(found(verdict, change), |_| ()).unwrap();
            assert_eq!((drawn.bound_left, drawn.bound_width), (30.0, 60.0));
            assert!(
                lies(drawn.left, drawn.left + drawn.width),
                "{verdict} {drawn:?}"
            );
            assert!(drawn.left <= drawn.estimate && drawn.estimate <= drawn.left + drawn.width);
        }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "edges are drawn exactly")]
    fn what_has_no_end_reaches_the_edge_and_what_has_no_interval_is_a_point() {
        let open = drawn(found("Inconclusive", [4.0, 1.0, 7.0]), |found| {
            found.change.upper = None;
        });
        let open = open.unwrap();
        assert_eq!(open.left + open.width, WIDTH);
        let same = drawn(found("Equivalent", [0.0, 0.0, 0.0]), |found| {
            (found.change.lower, found.change.upper) = (None, None);
        });
        assert_eq!(same.unwrap().width, 2.0);
        let none = drawn(found("Inconclusive", [0.0; 3]), |found| {
            found.change.estimate = None;
        });
        assert_eq!(none, None);
    }

    #[test]
    fn any_margin_and_any_change_are_drawn_within_the_picture() {
        let margins = [
            None,
            Some(0.0),
            Some(f64::MIN_POSITIVE),
            Some(5.0),
            Some(f64::MAX),
        ];
        let changes = [0.0, f64::MIN_POSITIVE, 1.0, f64::MAX];
        for (up, change) in margins
            .into_iter()
            .flat_map(|up| changes.map(|change| (up, change)))
        {
            let drawn = drawn(found("Inconclusive", [change, -change, change]), |found| {
                found.margin.up = up;
                found.margin.down = up.map(|up| -up);
                found.control_level = None;
            });
            let Some(drawn) = drawn else { continue };
            let all = [
                drawn.left,
                drawn.left + drawn.width,
                drawn.estimate,
                drawn.bound_left,
                drawn.bound_left + drawn.bound_width,
            ];
            let within = |x: &f64| (0.0..=WIDTH + 2.0).contains(x);
            assert!(all.iter().all(within), "{up:?} {change}: {drawn:?}");
        }
    }
}
