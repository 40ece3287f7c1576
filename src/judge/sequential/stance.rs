//! Where a judgement stands among its looks, and what that costs.

use super::normal::{upper_quantile, upper_tail};
use crate::canary::sequential::LookTaken;
use crate::canary::{Look, LookWindow};

/// A window that is so much of its lifetime is the whole of it.
const WHOLE: f64 = 1.0 - 1e-9;

/// The error rates of one metric.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    pub false_alarm: f64,
    pub false_pass: f64,
}

/// Of one look.
#[derive(Clone, Copy, Debug)]
pub struct Stance {
    pub number: u32,
    pub planned: u32,
    pub fraction: f64,
    pub single: bool,
    pub last: bool,
    pub slides: bool,
}

impl Stance {
    /// `minutes` are those that the window has seen, of a lifetime that the config may tell.
    pub fn of(look: Option<Look>, minutes: f64, lifetime: Option<f64>) -> Self {
        let alone = Self {
            number: 1,
            planned: 1,
            fraction: 1.0,
            single: true,
            last: true,
            slides: false,
        };
        match (look, lifetime) {
            (Some(look), _) if 1 < look.planned => {
                let of_all = Self {
                    number: look.number,
                    planned: look.planned,
                    last: look.is_last(),
                    ..alone
                };
                match look.window {
                    LookWindow::Growing => Self {
                        fraction: (f64::from(look.number) / f64::from(look.planned)).min(1.0),
                        single: false,
                        ..of_all
                    },
                    LookWindow::Sliding => Self {
                        slides: true,
                        ..of_all
                    },
                }
            }
            (None, Some(lifetime)) => {
                let fraction = (minutes / lifetime).min(1.0);
                Self {
                    fraction,
                    single: false,
                    last: WHOLE <= fraction,
                    ..alone
                }
            }
            _ => alone,
        }
    }

    /// The share of every look: windows that slide are tests of their own.
    pub fn share(&self, rate: f64) -> f64 {
        if self.slides {
            rate / f64::from(self.planned)
        } else {
            rate
        }
    }

    /// The normal deviate that is an alarm at that level: the boundary of O'Brien and Fleming for a
    /// look at every moment.
    pub fn critical(&self, level: f64) -> f64 {
        if self.single {
            upper_quantile(level)
        } else {
            upper_quantile(level / 2.0) / self.fraction.sqrt()
        }
    }

    /// The same at the last look.
    pub fn critical_at_last(&self, level: f64) -> f64 {
        upper_quantile(if self.single { level } else { level / 2.0 })
    }

    /// The least level at which that normal deviate is an alarm.
    pub fn p(&self, deviate: f64) -> f64 {
        if self.single {
            upper_tail(deviate)
        } else {
            (2.0 * upper_tail(deviate * self.fraction.sqrt())).min(1.0)
        }
    }

    pub fn told(&self) -> LookTaken {
        LookTaken {
            number: self.number,
            planned: self.planned,
            fraction: self.fraction,
            single: self.single,
            last: self.last,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_costs_what_its_plan_says() {
        let look = |number, planned, window| Look {
            number,
            planned,
            window,
        };
        let (growing, sliding) = (LookWindow::Growing, LookWindow::Sliding);
        let cases = [
            // look, minutes, lifetime; fraction, single, last
            (None, 30.0, None, 1.0, true, true),
            (None, 30.0, Some(60.0), 0.5, false, false),
            (None, 60.0, Some(60.0), 1.0, false, true),
            (None, 90.0, Some(60.0), 1.0, false, true),
            (Some(look(1, 1, growing)), 30.0, Some(60.0), 1.0, true, true),
            (
                Some(look(3, 6, growing)),
                30.0,
                Some(60.0),
                0.5,
                false,
                false,
            ),
            (Some(look(6, 6, growing)), 30.0, None, 1.0, false, true),
            (Some(look(3, 4, sliding)), 30.0, None, 1.0, true, false),
            (Some(look(4, 4, sliding)), 30.0, None, 1.0, true, true),
        ];
        for (look, minutes, lifetime, fraction, single, last) in cases {
            let stance = Stance::of(look, minutes, lifetime);
            let found = (stance.fraction, stance.single, stance.last);
            assert_eq!(found, (fraction, single, last), "{look:?} {lifetime:?}");
        }
        let half = Stance::of(Some(look(1, 2, growing)), 0.0, None);
        let level = 0.01;
        assert!((half.p(half.critical(level)) - level).abs() < 1e-12);
        assert!(half.critical_at_last(level) < half.critical(level));
        let slid = Stance::of(Some(look(1, 4, sliding)), 0.0, None);
        assert!((slid.share(0.04) - 0.01).abs() < 1e-12);
    }
}
