//! What becomes of what the second judge finds: policies, learned margins, wrong members, hostile series.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use serde_json::{Value, json};
use serin::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryJudgeResult, Learned, Look,
    MetricSetPair, fingerprint,
};
use serin::judge::{DEFAULT_NOISE_SEED, Doubting, Judge, Judgement, sequential};

const START: i64 = 1_790_000_000_000;

/// Sixty minutes that vary by some percent around a level.
fn around(level: f64, seed: u32) -> Vec<f64> {
    let vary = |minute: u32| f64::from((minute * 37 + seed * 11) % 17) / 17.0 - 0.5;
    (0..60)
        .map(|minute| level * (1.0 + 0.02 * vary(minute)))
        .collect()
}

fn query(name: &str) -> Value {
    json!({"type": "prometheus", "metricName": name})
}

/// What is judged of one metric `m`.
struct One {
    canary: Value,
    judge: Value,
    control: Value,
    experiment: Value,
    look: Option<Look>,
    learned: Option<Learned>,
}

impl One {
    fn new(control: impl Into<Value>, experiment: impl Into<Value>) -> Self {
        Self {
            canary: json!({"direction": "increase"}),
            judge: json!({}),
            control: control.into(),
            experiment: experiment.into(),
            look: None,
            learned: None,
        }
    }

    fn config(&self) -> CanaryConfig {
        serde_json::from_value(json!({
            "judge": {"name": "sequential-v1", "judgeConfigurations": self.judge},
            "metrics": [{"name": "m", "query": query("m"), "groups": ["g"],
                "analysisConfigurations": {"canary": self.canary}}],
            "classifier": {"groupWeights": {"g": 100}},
        }))
        .unwrap()
    }

    fn judged(&self) -> CanaryJudgeResult {
        let scope = json!({"startTimeMillis": START, "stepMillis": 60_000});
        let pairs: Vec<MetricSetPair> = serde_json::from_value(json!([{
            "name": "m", "id": "1", "values": {"control": self.control, "experiment": self.experiment},
            "scopes": {"control": scope, "experiment": scope},
            "timestamps": {"control": minutes(), "experiment": minutes()},
        }]))
        .unwrap();
        self.judged_on(&pairs)
    }

    fn judged_on(&self, pairs: &[MetricSetPair]) -> CanaryJudgeResult {
        let judgement = Judgement {
            config: &self.config(),
            thresholds: CanaryClassifierThresholdsConfig {
                pass: Some(95.0),
                marginal: Some(75.0),
            },
            pairs,
            noise_seed: DEFAULT_NOISE_SEED,
            doubting: Doubting::Tell,
            look: self.look,
            learned: self.learned.as_ref(),
        };
        sequential::SequentialJudge.judge(&judgement).unwrap()
    }

    fn told(&self) -> Value {
        serde_json::to_value(self.judged()).unwrap()
    }
}

fn minutes() -> Vec<i64> {
    (0..60).map(|minute| START + minute * 60_000).collect()
}

/// How one metric counts, and what the canary comes to.
fn holds(one: &One, label: &str, score: f64, outcome: &str) {
    let told = one.told();
    let found = (
        text(&told["results"][0]["classification"]),
        told["score"]["score"].as_f64().unwrap(),
        text(&told["summary"]["outcome"]),
    );
    let (judge, canary) = (&one.judge, &one.canary);
    assert_eq!(found, (label, score, outcome), "{judge} {canary}: {told:#}");
}

#[test]
fn what_is_unclear_becomes_what_the_config_says() {
    let noisy = |level: f64, seed: u32| -> Vec<f64> {
        let mixed = |minute: u32| (minute + 60 * seed).wrapping_mul(2_654_435_761) >> 7;
        let vary = |minute: u32| {
            let once = mixed(minute).wrapping_mul(40_503);
            f64::from((once ^ (once >> 13)) % 1000) / 1000.0 - 0.5
        };
        (0..60)
            .map(|minute| level * (1.0 + 0.8 * vary(minute)))
            .collect()
    };
    let failed = "NodataFailMetric";
    let cases = [
        (json!({}), "Pass", 100.0, "pass"),
        (json!({"inconclusive": "pass"}), "Pass", 100.0, "pass"),
        (
            json!({"inconclusive": "marginal"}),
            "Pass",
            85.0,
            "marginal",
        ),
        (json!({"inconclusive": "fail"}), failed, 0.0, "fail"),
        // It is no matter of doubt.
        (json!({"doubt": "fail"}), "Pass", 100.0, "pass"),
    ];
    for (judge, label, score, outcome) in cases {
        let one = One {
            judge,
            ..One::new(noisy(100.0, 1), noisy(105.0, 4))
        };
        holds(&one, label, score, outcome);
    }
}

#[test]
fn what_was_not_measured_never_passes() {
    let failed = "NodataFailMetric";
    let cases = [
        (json!({}), json!({}), "Nodata", "inconclusive"),
        (json!({"doubt": "fail"}), json!({}), failed, "fail"),
        (json!({"inconclusive": "fail"}), json!({}), failed, "fail"),
        // Its own word counts first.
        (
            json!({"inconclusive": "fail", "doubt": "tell"}),
            json!({}),
            "Nodata",
            "inconclusive",
        ),
        (json!({}), json!({"mustHaveData": true}), failed, "fail"),
        // Nothing that counts was measured.
        (
            json!({"inconclusive": "pass"}),
            json!({}),
            "Nodata",
            "inconclusive",
        ),
    ];
    for (judge, canary, label, outcome) in cases {
        let one = One {
            canary,
            judge,
            ..One::new(vec![5.0; 60], vec![6.0; 60])
        };
        holds(&one, label, 0.0, outcome);
    }
}

#[test]
fn before_the_last_look_what_was_not_measured_stops_nothing() {
    let mut one = One::new(around(100.0, 1), vec!["NaN"; 60]);
    one.look = serde_json::from_value(json!({"number": 1, "planned": 3, "window": "growing"})).ok();
    let told = one.told();
    let result = &told["results"][0];
    assert_eq!(result["classification"], "Pass");
    assert_eq!(told["score"]["classification"], "Pass");
    assert_eq!(told["summary"]["outcome"], "inconclusive");
    let sentence = text(&result["explanation"]["sentence"]);
    assert_eq!(
        sentence,
        "no data on the experiment side; it is looked at again at the next interval"
    );
    one.look = serde_json::from_value(json!({"number": 3, "planned": 3, "window": "growing"})).ok();
    let told = one.told();
    assert_eq!(told["results"][0]["classification"], "Nodata");
    assert_eq!(
        told["results"][0]["explanation"]["doubts"][0]["cause"],
        "oneSided"
    );
    assert_eq!(told["summary"]["notSettled"], 1);
}

#[test]
fn before_the_end_of_a_lifetime_what_was_not_measured_stops_nothing() {
    let cases = [
        // minutes, label, score, outcome
        (120, "Pass", 100.0, "inconclusive"),
        (60, "NodataFailMetric", 0.0, "fail"),
    ];
    for (minutes, label, score, outcome) in cases {
        for policy in ["doubt", "inconclusive"] {
            let mut one = One::new(around(100.0, 1), vec!["NaN"; 60]);
            one.judge = json!({"lifetimeMins": minutes, policy: "fail"});
            holds(&one, label, score, outcome);
        }
    }
}

fn learned(one: &One, margin: Option<f64>) -> Learned {
    let config = one.config();
    let metric = &config.metrics.as_ref().unwrap()[0];
    serde_json::from_value(json!({
        "calibration": "c", "madeMillis": START, "fromMillis": 1_762_128_000_000_i64,
        "toMillis": 1_763_942_400_000_i64,
        "metrics": [{"metric": "m", "margin": margin, "windows": 200, "query": fingerprint(&config, metric)}],
    }))
    .unwrap()
}

#[test]
fn a_learned_margin_is_taken_where_the_config_has_none() {
    let mut one = One::new(around(100.0, 1), around(109.0, 2));
    let margin = |told: &Value| told["results"][0]["explanation"]["sequential"]["margin"].clone();
    assert_eq!(one.told()["results"][0]["classification"], "High");
    one.learned = Some(learned(&one, Some(0.12)));
    let told = one.told();
    assert_eq!(margin(&told)["origin"], "learned");
    assert_eq!(told["results"][0]["classification"], "Pass");
    let sentence = text(&told["results"][0]["explanation"]["sentence"]);
    assert!(
        sentence.ends_with(
            "lies within the margin of 12 %, learned from 200 windows between 3 and 24 November"
        ),
        "{sentence}"
    );
    for (judge, canary) in [
        (json!({"margin": 0.05}), json!({"direction": "increase"})),
        (
            json!({}),
            json!({"direction": "increase", "effectSize": {"allowedIncrease": 1.05}}),
        ),
    ] {
        (one.judge, one.canary) = (judge, canary);
        let told = one.told();
        assert_eq!(margin(&told)["origin"], "given");
        assert_eq!(told["results"][0]["classification"], "High");
    }
}

#[test]
fn a_metric_that_no_margin_holds_fails_nothing_by_itself() {
    let mut one = One::new(around(100.0, 1), around(150.0, 2));
    one.canary = json!({"direction": "increase", "critical": true});
    one.learned = Some(learned(&one, None));
    let told = one.told();
    assert_eq!(told["results"][0]["classification"], "Pass");
    assert_eq!(told["results"][0]["explanation"]["rule"], "unfit");
    assert_eq!(told["summary"]["outcome"], "pass");
    let sentence = text(&told["results"][0]["explanation"]["sentence"]);
    assert!(sentence.contains("several pods a side"), "{sentence}");
    one.judge = json!({"inconclusive": "fail"});
    assert_eq!(one.told()["results"][0]["classification"], "Pass");
    one.judge = json!({"unfit": "judge"});
    let told = one.told();
    assert_eq!(told["results"][0]["classification"], "High");
    assert_eq!(told["score"]["classification"], "Fail");
}

#[test]
fn a_calibration_that_does_not_fit_is_told() {
    let mut one = One::new(around(100.0, 1), around(101.0, 2));
    let codes = |one: &One| -> Vec<String> {
        let told = one.told();
        let warnings = told["results"][0]["explanation"]["warnings"].clone();
        let warnings = warnings.as_array().cloned().unwrap_or_default().into_iter();
        warnings
            .map(|warning| text(&warning["code"]).to_owned())
            .collect()
    };
    let day = 86_400_000;
    let of = |one: &One, change: fn(&mut Learned)| {
        let mut learned = learned(one, Some(0.1));
        change(&mut learned);
        Some(learned)
    };
    assert_eq!(codes(&one), Vec::<String>::new());
    one.judge = json!({"calibration": "c"});
    assert_eq!(codes(&one), ["notCalibrated"]);
    one.learned = of(&one, |_| {});
    assert_eq!(codes(&one), Vec::<String>::new());
    one.learned = of(&one, |learned| {
        learned.metrics[0].metric = "other".to_owned();
    });
    assert_eq!(codes(&one), ["notCalibrated"]);
    one.learned = of(&one, |learned| learned.metrics[0].query = "0".to_owned());
    assert_eq!(codes(&one), ["otherQuery"]);
    one.learned = of(&one, |learned| learned.made_millis -= 100 * 86_400_000);
    assert_eq!(codes(&one), ["oldCalibration"]);
    one.learned = of(&one, |learned| learned.made_millis -= 80 * 86_400_000);
    assert_eq!(codes(&one), Vec::<String>::new(), "{day}");
}

#[test]
fn wrong_members_are_faults_with_their_places() {
    let judge = "judge.judgeConfigurations";
    let metric = "metrics[0].analysisConfigurations.canary";
    let cases = [
        (
            json!({"falseAlarm": 0}),
            json!({}),
            format!("{judge}.falseAlarm"),
        ),
        (
            json!({"falseAlarm": "0.05"}),
            json!({}),
            format!("{judge}.falseAlarm"),
        ),
        (
            json!({"criticalFalseAlarm": 0.6}),
            json!({}),
            format!("{judge}.criticalFalseAlarm"),
        ),
        (
            json!({"falsePass": 2}),
            json!({}),
            format!("{judge}.falsePass"),
        ),
        (
            json!({"margin": -0.1}),
            json!({}),
            format!("{judge}.margin"),
        ),
        (
            json!({"warmupMins": -1}),
            json!({}),
            format!("{judge}.warmupMins"),
        ),
        (
            json!({"inconclusive": "no"}),
            json!({}),
            format!("{judge}.inconclusive"),
        ),
        (
            json!({"lifetimeMins": 0}),
            json!({}),
            format!("{judge}.lifetimeMins"),
        ),
        (
            json!({"calibration": 5}),
            json!({}),
            format!("{judge}.calibration"),
        ),
        (json!({"unfit": true}), json!({}), format!("{judge}.unfit")),
        (
            json!({}),
            json!({"minimumChange": "1"}),
            format!("{metric}.minimumChange"),
        ),
        (
            json!({}),
            json!({"warmupMins": []}),
            format!("{metric}.warmupMins"),
        ),
        (
            json!({}),
            json!({"inconclusive": 1}),
            format!("{metric}.inconclusive"),
        ),
        (
            json!({}),
            json!({"kind": "event"}),
            format!("{metric}.kind"),
        ),
        (
            json!({}),
            json!({"trafficRatio": 0}),
            format!("{metric}.trafficRatio"),
        ),
        (
            json!({}),
            json!({"critical": "yes"}),
            format!("{metric}.critical"),
        ),
    ];
    for (judge, canary, path) in cases {
        let one = One {
            canary,
            judge,
            ..One::new(json!([]), json!([]))
        };
        let found = sequential::SequentialJudge.refusals(&one.config());
        let places: Vec<String> = found.iter().map(|fault| fault.path.to_string()).collect();
        assert_eq!(places, [path], "{found:?}");
        assert!(
            found[0].message.ends_with("is wanted"),
            "{}",
            found[0].message
        );
    }
    let one = One::new(json!([]), json!([]));
    assert_eq!(sequential::SequentialJudge.refusals(&one.config()), []);
}

#[test]
fn nothing_that_a_client_sends_makes_it_panic() {
    let far = [i64::MIN, -1, 0, 1, START, i64::MAX];
    let values = [
        0.0,
        -0.0,
        1.0,
        f64::MAX,
        f64::MIN_POSITIVE,
        -f64::MAX,
        1e-300,
    ];
    for (first, start) in far.iter().flat_map(|a| far.map(|b| (*a, b))) {
        for step in [i64::MIN, 0, 1, 60_000, i64::MAX] {
            for (shift, kind) in [(0, "values"), (1, "events"), (3, "auto")] {
                let value = |at: usize| values[(at * 5 + shift) % values.len()];
                let times: Vec<i64> = (0..40)
                    .map(|at: i64| first.saturating_add(at.saturating_mul(step)))
                    .collect();
                let pair: MetricSetPair = serde_json::from_value(json!({
                    "name": "m", "values": {"control": (0..40).map(value).collect::<Vec<_>>(),
                        "experiment": (0..40).map(|at| value(at + shift)).collect::<Vec<_>>()},
                    "timestamps": {"control": times, "experiment": times},
                    "scopes": {"control": {"startTimeMillis": start, "stepMillis": step},
                        "experiment": {"startTimeMillis": first, "stepMillis": step}},
                    "attributes": {"control": {"looksBack": i64::MAX.to_string()}},
                }))
                .unwrap();
                let one = One {
                    canary: json!({"kind": kind, "nanStrategy": "replace", "minimumChange": 1e308,
                        "trafficRatio": 1e6, "effectSize": {"allowedIncrease": 1e308}}),
                    ..One::new(json!([]), json!([]))
                };
                let judged = one.judged_on(&[pair]);
                let written = serde_json::to_string(&judged).unwrap();
                let read: CanaryJudgeResult = serde_json::from_str(&written).unwrap();
                assert_eq!(serde_json::to_string(&read).unwrap(), written);
            }
        }
    }
}

#[test]
fn a_long_window_of_a_few_values_is_not_filled() {
    let rule = |values: usize, apart: usize| {
        let times = (START..).step_by(apart * 60_000).take(values);
        let times: Vec<i64> = times.collect();
        let scope = json!({"startTimeMillis": START, "stepMillis": 60_000});
        let (control, experiment) = (vec![1.0; values], vec![2.0; values]);
        let pairs: Vec<MetricSetPair> = serde_json::from_value(json!([{
            "name": "m", "values": {"control": control, "experiment": experiment},
            "timestamps": {"control": times, "experiment": times},
            "scopes": {"control": scope, "experiment": scope},
        }]))
        .unwrap();
        let mut one = One::new(json!([]), json!([]));
        one.canary = json!({"direction": "increase", "nanStrategy": "replace"});
        let told = serde_json::to_value(one.judged_on(&pairs)).unwrap();
        let explained = &told["results"][0]["explanation"];
        let expected = explained["sequential"]["pairs"]["expected"].as_u64();
        (text(&explained["rule"]) == "gaps", expected.unwrap())
    };
    assert_eq!(rule(2, 10_000), (false, 10_001));
    assert_eq!(rule(2, 2_000_000), (true, 2_000_001));
    // A value in every tenth place.
    assert_eq!(rule(4_000, 10), (false, 39_991));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
