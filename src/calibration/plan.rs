//! Which windows are judged, and who stands against whom in each.

use std::ops::Range;

use crate::canary::{CalibrationRequest, CanaryClassifierThresholdsConfig, Instant};
use crate::error::{Error, Result};

const MINUTE: i64 = 60_000;
/// A week.
const LONGEST_WINDOW: u32 = 7 * 24 * 60;
const MOST_WINDOWS: u32 = 1_000;
/// As many as an analysis of a day has by the quarter of an hour.
const MOST_LOOKS: u32 = 96;
const MOST_PODS: usize = 10;
/// A year.
const LONGEST_SHIFT: u32 = 366 * 24 * 60;
/// Of a metric and a side: what a hundred range queries answer.
const MOST_POINTS: u64 = 1_100_000;
/// Of all looks of all windows and metrics: about a minute of judging.
const MOST_JUDGED: u64 = 200_000_000;

/// What a calibration may not go beyond.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub now: i64,
    pub metrics: usize,
}

/// Times in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Of the first window.
    pub start: i64,
    pub window: i64,
    pub interval: i64,
    /// What each look sees, where that slides; else it grows.
    pub lookback: Option<i64>,
    pub step: i64,
    pub windows: u32,
    pub twin: Twin,
    pub thresholds: CanaryClassifierThresholdsConfig,
}

/// What a control is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Twin {
    /// So many of the same version.
    Pods(usize),
    /// Itself, that much before.
    Shift(i64),
}

/// Places among the pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pod {
    pub control: usize,
    pub experiment: usize,
}

impl Plan {
    /// # Errors
    /// `Invalid` when the request is none that could be judged, or is too large.
    pub fn of(request: &CalibrationRequest, bounds: Bounds) -> Result<Self> {
        let twin = twin(request)?;
        let step = i64::from(request.step) * 1000;
        let window = i64::from(within(
            "windowMins",
            request.window_mins,
            1,
            LONGEST_WINDOW,
        )?) * MINUTE;
        let windows = within("windows", request.windows, 1, MOST_WINDOWS)?;
        within("step", request.step, 1, 24 * 60 * 60)?;
        let interval = request.interval_mins.unwrap_or(request.window_mins);
        let interval =
            i64::from(within("intervalMins", interval, 1, request.window_mins)?) * MINUTE;
        let lookback = request.lookback_mins;
        let lookback = lookback.map(|mins| within("lookbackMins", mins, 1, request.window_mins));
        let lookback = lookback.transpose()?.map(|mins| i64::from(mins) * MINUTE);
        for (what, millis) in [
            ("windowMins", window),
            ("intervalMins", interval),
            ("lookbackMins", lookback.unwrap_or(window)),
        ] {
            if millis % step != 0 || millis < 2 * step {
                return invalid(format!(
                    "{what} must be a multiple of the step of {} s, and hold two points",
                    step / 1000
                ));
            }
        }
        if window % interval != 0 {
            return invalid(
                "windowMins must be a multiple of intervalMins, so that the last look sees all",
            );
        }
        let end = request.end.map_or(bounds.now, Instant::as_millis);
        if bounds.now < end {
            return invalid("'end' is still to come, and only what has been can be judged");
        }
        let end = end - end.rem_euclid(step);
        let plan = Self {
            start: end - i64::from(windows) * window,
            window,
            interval,
            lookback,
            step,
            windows,
            twin,
            thresholds: thresholds(request)?,
        };
        plan.check_size(bounds.metrics)?;
        Ok(plan)
    }

    fn check_size(&self, metrics: usize) -> Result<()> {
        if MOST_LOOKS < self.looks() {
            return invalid(format!(
                "a window may be judged {MOST_LOOKS} times: a longer interval is wanted"
            ));
        }
        let points = u64::try_from(self.window / self.step).unwrap_or(u64::MAX);
        let all = points.saturating_mul(u64::from(self.windows));
        if MOST_POINTS < all {
            return invalid(format!(
                "{all} points of each metric and side are more than the {MOST_POINTS} that may be asked for: fewer or \
                 shorter windows, or a larger step, are wanted"
            ));
        }
        let judged = all
            .saturating_mul(u64::from(self.looks()))
            .saturating_mul(u64::try_from(metrics).unwrap_or(u64::MAX));
        if MOST_JUDGED < judged {
            return invalid(format!(
                "{judged} points are to be judged, over all windows, looks and metrics, and {MOST_JUDGED} may be: fewer \
                 windows or looks are wanted"
            ));
        }
        let first = (0..self.pods()).map(|pod| self.series_of(pod)).min();
        if first.is_none_or(|first| first < 0) {
            return invalid("the windows begin before 1970");
        }
        Ok(())
    }

    pub fn end(&self) -> i64 {
        self.start + i64::from(self.windows) * self.window
    }

    pub fn looks(&self) -> u32 {
        u32::try_from(self.window / self.interval).unwrap_or(u32::MAX)
    }

    pub const fn pods(&self) -> usize {
        match self.twin {
            Twin::Pods(pods) => pods,
            Twin::Shift(_) => 2,
        }
    }

    /// When the first window of a pod begins. Under a shift, the control is the first, and lies before.
    pub const fn start_of(&self, pod: usize) -> i64 {
        match (self.twin, pod) {
            (Twin::Shift(before), 0) => self.start - before,
            _ => self.start,
        }
    }

    /// When its series begins: a look that slides may see more than its window has by then.
    pub fn series_of(&self, pod: usize) -> i64 {
        let before = self.lookback.map_or(0, |lookback| lookback - self.interval);
        self.start_of(pod) - before.max(0)
    }

    /// What a look sees, in milliseconds since the begin of its window.
    pub fn seen(&self, look: u32) -> Range<i64> {
        let end = i64::from(look) * self.interval;
        let start = self.lookback.map_or(0, |lookback| end - lookback);
        start..end
    }

    /// Who stands against whom in a window. Of several pods, each stands against each in turn, on either side.
    pub fn pair(&self, window: u32) -> Pod {
        let Twin::Pods(pods @ 3..) = self.twin else {
            return Pod {
                control: 0,
                experiment: 1,
            };
        };
        let turn = usize::try_from(window).unwrap_or(0) % (pods * (pods - 1));
        let control = turn % pods;
        Pod {
            control,
            experiment: (control + 1 + turn / pods) % pods,
        }
    }
}

fn twin(request: &CalibrationRequest) -> Result<Twin> {
    match (request.against.len(), request.shift_mins) {
        (0, None) => invalid(
            "against what? 'against' names others of the same version, 'shiftMins' the control itself at an earlier time",
        ),
        (0, Some(shift)) => {
            let shift = within("shiftMins", shift, 1, LONGEST_SHIFT)?;
            Ok(Twin::Shift(i64::from(shift) * MINUTE))
        }
        (others, None) if others < MOST_PODS => Ok(Twin::Pods(others + 1)),
        (_, None) => invalid(format!(
            "'against' names more than {} others",
            MOST_PODS - 1
        )),
        (_, Some(_)) => invalid("'against' and 'shiftMins' exclude each other"),
    }
}

fn thresholds(request: &CalibrationRequest) -> Result<CanaryClassifierThresholdsConfig> {
    let given = request.thresholds;
    let (pass, marginal) = (given.pass.unwrap_or(95.0), given.marginal.unwrap_or(75.0));
    if !pass.is_finite() || !marginal.is_finite() {
        return invalid("'thresholds' must be numbers");
    }
    Ok(CanaryClassifierThresholdsConfig {
        pass: Some(pass),
        marginal: Some(marginal),
    })
}

fn within(what: &str, value: u32, least: u32, most: u32) -> Result<u32> {
    if (least..=most).contains(&value) {
        return Ok(value);
    }
    invalid(format!("{what} is {value}; {least} to {most} is wanted"))
}

fn invalid<T>(told: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(told.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_717_207_200_000;

    fn plan(mut request: Value) -> Result<Plan> {
        request["control"] = json!({"scope": "a"});
        let request = serde_json::from_value(request).unwrap();
        Plan::of(
            &request,
            Bounds {
                now: NOW,
                metrics: 10,
            },
        )
    }

    fn against(names: &[&str]) -> Value {
        names.iter().map(|name| json!({"scope": name})).collect()
    }

    #[test]
    fn windows_lie_end_to_end_backwards_from_now() {
        let plan =
            plan(json!({"against": against(&["b"]), "windows": 3, "intervalMins": 10})).unwrap();
        assert_eq!((plan.start, plan.end()), (NOW - 3 * 3_600_000, NOW));
        assert_eq!((plan.looks(), plan.pods()), (6, 2));
    }

    #[test]
    fn a_look_sees_all_so_far_or_what_it_looks_back() {
        let of = |lookback: Value| {
            let request = json!({"against": against(&["b"]), "windows": 3, "intervalMins": 20, "lookbackMins": lookback});
            let plan = plan(request).unwrap();
            let seen = (1..=plan.looks()).map(|look| plan.seen(look));
            let seen = seen.map(|seen| (seen.start / MINUTE, seen.end / MINUTE));
            (
                seen.collect::<Vec<_>>(),
                (plan.start - plan.series_of(0)) / MINUTE,
            )
        };
        assert_eq!(of(json!(null)), (vec![(0, 20), (0, 40), (0, 60)], 0));
        assert_eq!(of(json!(20)), (vec![(0, 20), (20, 40), (40, 60)], 0));
        assert_eq!(of(json!(10)), (vec![(10, 20), (30, 40), (50, 60)], 0));
        // As an analysis does, it looks back beyond its own begin.
        assert_eq!(of(json!(30)), (vec![(-10, 20), (10, 40), (30, 60)], 10));
    }

    #[test]
    fn a_shift_moves_the_control_back() {
        let plan = plan(json!({"shiftMins": 1440, "windows": 3})).unwrap();
        assert_eq!(plan.start_of(0), plan.start_of(1) - 86_400_000);
    }

    #[test]
    fn of_several_pods_each_stands_against_each_on_either_side() {
        let plan = plan(json!({"against": against(&["b", "c", "d"]), "windows": 24})).unwrap();
        let mut pairs: Vec<_> = (0..12).map(|at| plan.pair(at)).collect();
        assert!(
            pairs
                .iter()
                .all(|pair| pair.control != pair.experiment && pair.experiment < 4)
        );
        pairs.sort_by_key(|pair| (pair.control, pair.experiment));
        pairs.dedup();
        assert_eq!(pairs.len(), 12);
        assert_eq!(plan.pair(12), plan.pair(0));
    }

    #[test]
    fn what_cannot_be_judged_is_refused_in_words() {
        let nine: Vec<String> = (0..10).map(|at| at.to_string()).collect();
        let nine: Vec<&str> = nine.iter().map(String::as_str).collect();
        let b = against(&["b"]);
        let cases = [
            (json!({}), "against what?"),
            (json!({"against": b, "shiftMins": 60}), "exclude each other"),
            (json!({"against": against(&nine)}), "more than 9 others"),
            (json!({"shiftMins": 0}), "shiftMins is 0; 1 to"),
            (json!({"against": b, "windows": 0}), "windows is 0"),
            (json!({"against": b, "windows": 1001}), "windows is 1001"),
            (json!({"against": b, "windowMins": 0}), "windowMins is 0"),
            (json!({"against": b, "step": 0}), "step is 0"),
            (
                json!({"against": b, "step": 7}),
                "a multiple of the step of 7 s",
            ),
            (json!({"against": b, "windowMins": 1}), "hold two points"),
            (
                json!({"against": b, "intervalMins": 45}),
                "a multiple of intervalMins",
            ),
            (
                json!({"against": b, "intervalMins": 61}),
                "intervalMins is 61",
            ),
            (
                json!({"against": b, "intervalMins": 20, "lookbackMins": 61}),
                "lookbackMins is 61; 1 to 60",
            ),
            (
                json!({"against": b, "step": 120, "intervalMins": 20, "lookbackMins": 5}),
                "lookbackMins must be a multiple of the step",
            ),
            (
                json!({"against": b, "windowMins": 120, "intervalMins": 1, "step": 1}),
                "96 times",
            ),
            (
                json!({"against": b, "step": 1, "windows": 1000}),
                "3600000 points",
            ),
            (
                json!({"against": b, "end": "2030-01-01T00:00:00Z"}),
                "still to come",
            ),
            (
                json!({"shiftMins": 500_000, "end": "1970-02-01T00:00:00Z"}),
                "before 1970",
            ),
        ];
        for (request, told) in cases {
            let error = plan(request.clone()).unwrap_err().to_string();
            assert!(error.contains(told), "{request}: {error}");
        }
    }

    #[test]
    fn what_takes_too_long_to_judge_is_refused() {
        let request = json!({"control": {"scope": "a"}, "against": [{"scope": "b"}], "windows": 1000, "windowMins": 1000,
            "intervalMins": 50});
        let request = serde_json::from_value(request).unwrap();
        let of = |metrics| Plan::of(&request, Bounds { now: NOW, metrics });
        assert!(of(10).is_ok());
        let error = of(11).unwrap_err().to_string();
        assert!(
            error.contains("220000000 points are to be judged"),
            "{error}"
        );
    }
}
