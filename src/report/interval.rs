//! The confidence interval of a shift as a bar around zero.

use crate::canary::explanation::TestNumbers;

const WIDTH: f64 = 120.0;

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

fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
