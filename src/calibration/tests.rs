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
            timestamps: (0..)
                .take(points)
                .map(|at: i64| plan.start_of(pod) + at * plan.step)
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
    // At once, and once all are judged and they are judged again with what they taught.
    for last in [3, 20] {
        let told = Cell::new(0);
        let go_on = |at| {
            told.set(at);
            at < last
        };
        let error = calibrate(&case.given(), &go_on).unwrap_err().to_string();
        assert_eq!((error.as_str(), told.get()), ("it was canceled", last));
    }
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

fn with_policy(mut case: Case, policy: &Value) -> Case {
    for metric in case.config.metrics.iter_mut().flatten() {
        let policies = metric.analysis_configurations.get_or_insert_default();
        policies.insert("canary".to_owned(), policy.clone());
    }
    case
}

/// What the acceptance of the second judge measured on 100,000 runs, and the first judge's share beside it.
#[test]
fn the_rates_of_correlated_noise_are_those_that_are_known() {
    let request = json!({"windows": 300, "intervalMins": 5});
    let case = Case::new(request, &["latency"], |pod, _, points| {
        Noise(40 + pod as u64).series(0.6, points)
    });
    let mut case = with_policy(
        case,
        &json!({"direction": "increase", "effectSize": {"allowedIncrease": 1.0}}),
    );
    let settings = json!({"name": SECOND_JUDGE, "judgeConfigurations": {"falseAlarm": 0.01}});
    case.config.judge = serde_json::from_value(settings).unwrap();
    let report = case.report();
    let known = [(SECOND_JUDGE, 0.0073), (FIRST_JUDGE, 0.18)];
    for (alarms, (judge, known)) in report.metrics[0].alarms.iter().zip(known) {
        assert_eq!(alarms.judge, judge);
        let rate = alarms.at_any_look;
        assert!(
            rate.lower < known && known < rate.upper,
            "{judge}: {rate:?}"
        );
        assert!(alarms.at_one_look.count <= rate.count, "{alarms:?}");
    }
    let codes: Vec<&str> = report.metrics[0]
        .advice
        .iter()
        .map(|advice| advice.code.as_str())
        .collect();
    assert!(codes.contains(&"zero"), "{codes:?}");
    assert!(codes.contains(&"found"), "{codes:?}");
}

/// A36 of the acceptance: four windows that slide, each with its share of the level.
#[test]
fn windows_that_slide_are_judged_as_an_analysis_judges_them() {
    let report = |lookback: Value| {
        let request = json!({"windows": 300, "windowMins": 120, "intervalMins": 30, "lookbackMins": lookback});
        let case = Case::new(request, &["latency"], |pod, _, points| {
            Noise(40 + pod as u64).series(0.6, points)
        });
        let mut case = with_policy(
            case,
            &json!({"direction": "increase", "effectSize": {"allowedIncrease": 1.0}}),
        );
        let settings = json!({"name": SECOND_JUDGE, "judgeConfigurations": {"falseAlarm": 0.01}});
        case.config.judge = serde_json::from_value(settings).unwrap();
        case.report()
    };
    let (sliding, growing) = (report(json!(30)), report(json!(null)));
    let rate = |report: &Report| report.metrics[0].alarms[0].at_any_look;
    assert!(
        rate(&sliding).lower < 0.011 && 0.011 < rate(&sliding).upper,
        "{:?}",
        rate(&sliding)
    );
    // A look of half an hour finds less than one of two, and one look at the end sees the same of both.
    let found = |report: &Report| {
        let typical = report.metrics[0].typical;
        typical
            .and_then(|typical| typical.minimum_detectable_percent)
            .unwrap()
    };
    assert!(
        1.5 * found(&growing) < found(&sliding),
        "{} {}",
        found(&growing),
        found(&sliding)
    );
    let once = |report: &Report| stopped_once(report, SECOND_JUDGE);
    assert_eq!(once(&sliding), once(&growing));
}

fn stopped_once(report: &Report, judge: &str) -> u32 {
    let rates = report.judges.iter().find(|rates| rates.judge == judge);
    rates.unwrap().at_one_look.count
}

fn advice<'a>(report: &'a Report, code: &str) -> &'a str {
    let advice = &report.metrics[0].advice;
    let found = advice.iter().find(|advice| advice.code == code);
    found.map_or_else(
        || panic!("no {code} in {advice:#?}"),
        |advice| &advice.sentence,
    )
}

/// Each window has a level of its own.
fn wandering(seed: u64, by: f64, points: usize) -> Vec<f64> {
    let mut levels = Noise(seed);
    let levels: Vec<f64> = (0..=points / 60)
        .map(|_| (by * levels.normal()).exp())
        .collect();
    let noise = Noise(seed + 1000)
        .series(0.0, points)
        .into_iter()
        .enumerate();
    noise
        .map(|(at, value)| 100.0 * levels[at / 60] * (1.0 + (value / 100.0 - 1.0) / 10.0))
        .collect()
}

#[test]
fn a_margin_is_learned_that_holds() {
    let case = Case::new(json!({"windows": 200}), &["latency"], |pod, _, points| {
        wandering(pod as u64, 0.05, points)
    });
    let report = case.report();
    let before = stopped(&report, SECOND_JUDGE).count;
    let margin = report.metrics[0].margin.unwrap();
    assert!((0.1..=0.2).contains(&margin), "{margin}");
    let after = report.suggested.as_ref().unwrap().stopped.count;
    assert!(20 < before && after <= 10, "{before} {after}");
    assert!(
        advice(&report, "margin").contains("holds its share of the false alarms, where it is 5 %")
    );
    let learned = learned(&report, "checkout", 7);
    assert_eq!(learned.of("latency").unwrap().margin, Some(margin));
    assert_eq!(
        (learned.made_millis, learned.from_millis),
        (7, report.from_millis)
    );
}

/// A chance of 0.7 is no change of 70 %.
#[test]
fn the_margin_by_now_is_that_of_the_judge() {
    let case = Case::new(json!({"windows": 100}), &["latency"], |pod, _, points| {
        wandering(pod as u64, 0.05, points)
    });
    let policy = json!({"direction": "either",
        "effectSize": {"measure": "cles", "allowedIncrease": 0.7, "allowedDecrease": 0.3}});
    let report = with_policy(case, &policy).report();
    let told = advice(&report, "margin");
    assert!(told.ends_with("where it is 5 %"), "{told}");
}

#[test]
fn what_no_margin_holds_is_unfit() {
    let case = Case::new(json!({"windows": 100}), &["latency"], |pod, _, points| {
        wandering(pod as u64, 1.0, points)
    });
    let report = case.report();
    assert!(report.metrics[0].unfit);
    assert!(advice(&report, "unfit").contains("several pods a side"));
    let learned = learned(&report, "checkout", 7);
    assert_eq!(learned.of("latency").unwrap().margin, None);
}

#[test]
fn pods_that_lie_apart_are_told_and_named() {
    let offset = |pod: usize, points| {
        let noise = Noise(pod as u64).series(0.0, points).into_iter();
        let level = [1.0, 1.2, 1.0][pod];
        noise
            .map(move |value| level * (100.0 + (value - 100.0) / 10.0))
            .collect::<Vec<_>>()
    };
    let two = Case::new(json!({"windows": 12}), &["latency"], |pod, _, points| {
        offset(pod, points)
    });
    let report = two.report();
    let told = advice(&report, "pods");
    assert!(
        told.starts_with("'b' lies 20 % above 'a' all the time"),
        "{told}"
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|told| told.starts_with("'a' stands against 'b' in every window"))
    );
    let against = json!({"windows": 36, "against": [{"scope": "b"}, {"scope": "c"}]});
    let three = Case::new(against, &["latency"], |pod, _, points| offset(pod, points)).report();
    assert!(advice(&three, "pods").contains("'b'"));
    assert!(
        !three
            .warnings
            .iter()
            .any(|told| told.contains("in every window")),
        "{:?}",
        three.warnings
    );
}

#[test]
fn days_of_different_level_are_told() {
    let request = json!({"windows": 100, "against": [], "shiftMins": 1440});
    let case = Case::new(request, &["latency"], |pod, _, points| {
        wandering(pod as u64, 0.1, points)
    });
    let report = case.report();
    let told = advice(&report, "days");
    assert!(
        told.contains("from that of 1 day earlier, more than the margin of 5 %"),
        "{told}"
    );
    assert!(
        report
            .warnings
            .iter()
            .any(|told| told.contains("upper bound"))
    );
}

#[test]
fn queries_that_look_back_are_told_how_much_is_lost() {
    let mut case = Case::new(json!({"windows": 12}), &["latency"], |pod, _, points| {
        Noise(pod as u64).series(0.0, points)
    });
    for set in case.series.iter_mut().flatten().flatten() {
        set.attributes = Some(
            [("query", "rate(a[5m])"), ("looksBack", "300000")]
                .into_iter()
                .collect(),
        );
    }
    let report = case.report();
    let told = advice(&report, "range");
    assert!(
        told.contains("because the query looks back over 5 steps"),
        "{told}"
    );
}

#[test]
fn margins_that_the_config_has_are_not_in_the_way_of_learning() {
    let case = Case::new(json!({"windows": 100}), &["latency"], |pod, _, points| {
        wandering(pod as u64, 0.05, points)
    });
    let bare = case.report();
    let mut own = with_policy(
        case,
        &json!({"direction": "either", "effectSize": {"allowedIncrease": 3.0, "allowedDecrease": 0.1}}),
    );
    let settings = json!({"name": SECOND_JUDGE, "judgeConfigurations": {"margin": 2}});
    own.config.judge = serde_json::from_value(settings).unwrap();
    let own = own.report();
    assert_eq!(stopped(&own, SECOND_JUDGE).count, 0);
    assert_eq!(own.metrics[0].margin, bare.metrics[0].margin);
    assert_eq!(own.suggested, bare.suggested);
}
