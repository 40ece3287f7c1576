//! On series whose rates are known.

use std::cell::Cell;

use serde_json::{Value, json};

use super::*;
use crate::canary::CalibrationRequest;
use crate::canary::calibration::Rate;

const END: i64 = 1_717_200_000_000;

/// A generator that is good enough for a test, and the same everywhere.
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let uniform = ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        uniform
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// 100 times the exponential of a tenth of an AR(1).
    fn series(&mut self, correlation: f64, points: usize) -> Vec<f64> {
        let mut state = self.normal();
        let next = |_| {
            let value = 100.0 * (0.1 * state).exp();
            state = correlation * state + (1.0 - correlation * correlation).sqrt() * self.normal();
            value
        };
        (0..points).map(next).collect()
    }
}

struct Case {
    config: CanaryConfig,
    plan: Plan,
    series: Vec<Vec<Vec<MetricSet>>>,
    names: Vec<String>,
}

impl Case {
    /// `values` gives the points of a pod's metric.
    fn new(
        request: Value,
        metrics: &[&str],
        mut values: impl FnMut(usize, usize, usize) -> Vec<f64>,
    ) -> Self {
        let mut whole =
            json!({"control": {"scope": "a"}, "against": [{"scope": "b"}], "windows": 100});
        if let (Some(whole), Value::Object(request)) = (whole.as_object_mut(), request) {
            whole.extend(request);
        }
        let request: CalibrationRequest = serde_json::from_value(whole).unwrap();
        let bounds = Bounds {
            now: END,
            metrics: metrics.len(),
        };
        let plan = Plan::of(&request, bounds).unwrap();
        let points = usize::try_from((plan.end() - plan.start) / plan.step).unwrap();
        let set = |pod, name: &str, values: Vec<f64>| MetricSet {
            name: name.to_owned(),
            timestamps: (0..points as i64)
                .map(|at| plan.start_of(pod) + at * plan.step)
                .collect(),
            values,
            ..MetricSet::default()
        };
        let series = (0..plan.pods()).map(|pod| {
            let metrics = metrics.iter().enumerate();
            metrics
                .map(|(at, name)| vec![set(pod, name, values(pod, at, points))])
                .collect()
        });
        let metric = |name: &&str| {
            json!({"name": name, "query": {"type": "prometheus"}, "groups": ["g"], "scopeName": "default",
                "analysisConfigurations": {"canary": {"direction": "either"}}})
        };
        let config = json!({"name": "c", "metrics": metrics.iter().map(metric).collect::<Value>(),
            "classifier": {"groupWeights": {"g": 100}}});
        Self {
            config: serde_json::from_value(config).unwrap(),
            series: series.collect(),
            names: ["a", "b", "c"].map(str::to_owned)[..plan.pods()].to_vec(),
            plan,
        }
    }

    fn report(&self) -> Report {
        calibrate(&self.given(), &|_| true).unwrap()
    }

    fn given(&self) -> Given<'_> {
        Given {
            config: &self.config,
            learned: None,
            plan: &self.plan,
            series: &self.series,
            names: &self.names,
        }
    }
}

fn stopped<'a>(report: &'a Report, judge: &str) -> &'a Rate {
    let rates = report.judges.iter().find(|rates| rates.judge == judge);
    let rates = rates.unwrap();
    assert_eq!(rates.error, None);
    &rates.stopped
}

/// A window in ten is another level on one side.
fn every_tenth(pod: usize, points: usize) -> Vec<f64> {
    let mut noise = Noise(7 + pod as u64);
    let values = noise.series(0.0, points).into_iter().enumerate();
    values
        .map(|(at, value)| {
            if pod == 1 && at / 60 % 10 == 3 {
                value * 3.0
            } else {
                value
            }
        })
        .collect()
}

#[test]
fn windows_that_differ_are_counted_by_both_judges() {
    let case = Case::new(json!({"windows": 120}), &["latency"], |pod, _, points| {
        every_tenth(pod, points)
    });
    let report = case.report();
    for judge in [FIRST_JUDGE, SECOND_JUDGE] {
        let rate = stopped(&report, judge);
        assert!((12..=14).contains(&rate.count), "{judge}: {rate:?}");
        assert_eq!(rate.of, 120);
    }
    assert_eq!(report.looks, 1);
    assert_eq!(report.judges[0].stopped, report.judges[0].at_one_look);
}

#[test]
fn a_window_without_data_does_not_count() {
    let case = Case::new(json!({"windows": 10}), &["latency"], |pod, _, points| {
        let mut values = Noise(pod as u64).series(0.0, points);
        values[..60].fill(f64::NAN);
        values
    });
    let report = case.report();
    assert_eq!((report.windows, report.without_data), (9, 1));
    assert!(
        report
            .warnings
            .iter()
            .any(|told| told.starts_with("1 of 10 windows have no data"))
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|told| told.starts_with("9 windows are few"))
    );
}

#[test]
fn nothing_at_all_is_an_error_in_words() {
    let case = Case::new(json!({"windows": 2}), &["latency"], |_, _, points| {
        vec![f64::NAN; points]
    });
    let error = calibrate(&case.given(), &|_| true).unwrap_err().to_string();
    assert!(
        error.starts_with("none of the 2 windows has data on both sides"),
        "{error}"
    );
}

#[test]
fn who_does_not_wait_any_more_stops_it() {
    let case = Case::new(json!({"windows": 20}), &["latency"], |pod, _, points| {
        every_tenth(pod, points)
    });
    let told = Cell::new(0);
    let go_on = |at| {
        told.set(at);
        at < 3
    };
    let error = calibrate(&case.given(), &go_on).unwrap_err().to_string();
    assert_eq!((error.as_str(), told.get()), ("it was canceled", 3));
}

#[test]
fn the_same_series_give_the_same_report() {
    let case = Case::new(
        json!({"windows": 20, "intervalMins": 20}),
        &["latency", "cpu"],
        |pod, at, points| Noise((pod * 2 + at) as u64).series(0.6, points),
    );
    assert_eq!(case.report(), case.report());
}
