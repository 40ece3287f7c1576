//! The normal distribution, and Student's as it is defined here.

use std::f64::consts::SQRT_2;

use statrs::function::erf::{erfc, erfc_inv};

/// A deviate beyond this is no bound.
const NO_BOUND: f64 = 1e6;

/// What a standard normal exceeds with that chance.
pub fn upper_quantile(chance: f64) -> f64 {
    SQRT_2 * erfc_inv(2.0 * chance)
}

/// The chance that a standard normal exceeds it.
pub fn upper_tail(deviate: f64) -> f64 {
    0.5 * erfc(deviate / SQRT_2)
}

/// Student's distribution by Wallace's approximation, which is the definition here: every
/// implementation has the same digits.
#[derive(Clone, Copy, Debug)]
pub struct Student {
    pub degrees: f64,
}

impl Student {
    /// What is as rare as that deviate of a standard normal; infinite where it bounds nothing.
    pub fn of_normal(self, deviate: f64) -> f64 {
        let nu = self.degrees;
        let wide = deviate * (8.0 * nu + 3.0) / (8.0 * nu + 1.0);
        let size = (nu * (wide * wide / nu).exp_m1()).sqrt();
        if size > NO_BOUND {
            return f64::INFINITY.copysign(deviate);
        }
        size.copysign(deviate)
    }

    pub fn to_normal(self, deviate: f64) -> f64 {
        let nu = self.degrees;
        let narrow = (8.0 * nu + 1.0) / (8.0 * nu + 3.0);
        let size = narrow * (nu * (deviate * deviate / nu).ln_1p()).sqrt();
        size.copysign(deviate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_tails_are_those_of_the_tables() {
        let cases = [
            (0.05, 1.644_853_626_951_472_7),
            (0.01, 2.326_347_874_040_841),
            (0.5, 0.0),
        ];
        for (chance, deviate) in cases {
            assert!((upper_quantile(chance) - deviate).abs() < 1e-9, "{chance}");
            assert!((upper_tail(deviate) - chance).abs() < 1e-9, "{chance}");
        }
    }

    #[test]
    fn student_is_close_to_the_tables_and_comes_back() {
        // Of a chance of 2.5 % on one side.
        let cases = [
            (5.0, 2.5706),
            (10.0, 2.2281),
            (30.0, 2.0423),
            (1000.0, 1.9623),
        ];
        for (degrees, expected) in cases {
            let student = Student { degrees };
            let found = student.of_normal(upper_quantile(0.025));
            assert!(
                (found - expected).abs() < 3e-3 * expected,
                "{degrees}: {found}"
            );
            for deviate in [-3.0, -0.5, 0.0, 2.0] {
                let back = student.to_normal(student.of_normal(deviate));
                assert!((back - deviate).abs() < 1e-12, "{degrees} {deviate}");
            }
        }
        let few = Student { degrees: 1.0 };
        let far = [8.0, -8.0].map(|deviate| few.of_normal(deviate));
        assert!(far[0].is_infinite() && 0.0 < far[0]);
        assert!(far[1].is_infinite() && far[1] < 0.0);
    }
}
