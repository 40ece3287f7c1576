//! Brent's root finder (Brent 1973, chapter 4: zeroin), with the reference's tolerances and order
//! of operations: on a step function every bit of them shows.

/// Absolute.
const TOLERANCE: f64 = 1e-4;
const ROUNDS: usize = 1001;

/// One end of the bracket.
#[derive(Clone, Copy)]
pub struct Point {
    pub at: f64,
    pub value: f64,
}

/// A root of `f` between two points, or the best guess after 1001 rounds. `None` when `f` gives up.
pub fn root(low: Point, high: Point, mut f: impl FnMut(f64) -> Option<f64>) -> Option<f64> {
    if low.value == 0.0 {
        return Some(low.at);
    }
    if high.value == 0.0 {
        return Some(high.at);
    }
    let (mut previous, mut best, mut opposite) = (low, high, low);
    for _ in 0..ROUNDS {
        let moved = best.at - previous.at;
        if opposite.value.abs() < best.value.abs() {
            previous = best;
            best = opposite;
            opposite = previous;
        }
        let tolerance = 2.0 * f64::EPSILON * best.at.abs() + TOLERANCE / 2.0;
        let half = (opposite.at - best.at) / 2.0;
        if half.abs() <= tolerance || best.value == 0.0 {
            return Some(best.at);
        }
        let mut step = half;
        if moved.abs() >= tolerance && previous.value.abs() > best.value.abs() {
            let (numerator, denominator) = interpolate(previous, best, opposite);
            let width = opposite.at - best.at;
            let within = 0.75 * width * denominator - (tolerance * denominator).abs() / 2.0;
            if numerator < within && numerator < (moved * denominator / 2.0).abs() {
                step = numerator / denominator;
            }
        }
        if step.abs() < tolerance {
            step = if step > 0.0 { tolerance } else { -tolerance };
        }
        previous = best;
        best.at += step;
        best.value = f(best.at)?;
        let same_side = (best.value > 0.0 && opposite.value > 0.0)
            || (best.value < 0.0 && opposite.value < 0.0);
        if same_side {
            opposite = previous;
        }
    }
    Some(best.at)
}

/// The step of a secant or an inverse parabola as a fraction, its numerator not negative.
fn interpolate(previous: Point, best: Point, opposite: Point) -> (f64, f64) {
    let width = opposite.at - best.at;
    #[expect(
        clippy::float_cmp,
        reason = "it asks whether the two are one point, in the reference too"
    )]
    let secant = previous.at == opposite.at;
    let (numerator, denominator) = if secant {
        let s = best.value / previous.value;
        (width * s, 1.0 - s)
    } else {
        let u = previous.value / opposite.value;
        let s = best.value / opposite.value;
        let t = best.value / previous.value;
        (
            t * (width * u * (u - s) - (best.at - previous.at) * (s - 1.0)),
            (u - 1.0) * (s - 1.0) * (t - 1.0),
        )
    };
    if numerator > 0.0 {
        (numerator, -denominator)
    } else {
        (-numerator, denominator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(low: f64, high: f64, f: impl Fn(f64) -> f64) -> Option<f64> {
        let point = |at| Point { at, value: f(at) };
        root(point(low), point(high), |at| Some(f(at)))
    }

    #[test]
    fn a_root_is_found_within_the_tolerance() {
        type Function = fn(f64) -> f64;
        let cases: [(f64, f64, Function, f64); 3] = [
            (0.0, 5.0, |x| 2.0 - x, 2.0),
            (0.0, 3.0, |x| 2.0 - x * x, std::f64::consts::SQRT_2),
            (-1.0, 4.0, |x| if x < 1.0 { 1.0 } else { -1.0 }, 1.0),
        ];
        for (low, high, f, expected) in cases {
            let found = find(low, high, f).unwrap();
            assert!(
                (found - expected).abs() <= TOLERANCE,
                "{found} for {expected}"
            );
        }
    }

    #[test]
    fn an_end_that_is_a_root_is_taken_at_once() {
        assert_eq!(find(0.0, 5.0, |x| x), Some(0.0));
        assert_eq!(find(-5.0, 0.0, |x| x), Some(0.0));
    }

    #[test]
    fn a_function_that_gives_up_ends_the_search() {
        let low = Point {
            at: 0.0,
            value: 1.0,
        };
        let high = Point {
            at: 1.0,
            value: -1.0,
        };
        assert_eq!(root(low, high, |_| None), None);
    }
}
