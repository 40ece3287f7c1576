//! What was not measured never passes: one judgement with its doubts.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]
#![expect(clippy::cast_precision_loss, reason = "some points")]

mod told;

use serde_json::{Value, json};
use serin::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryJudgeResult, DoubtCause, Label, Look,
    LookWindow, MetricSetPair, Outcome, Verdict,
};
use serin::judge::noise::Noise;
use serin::judge::{DEFAULT_NOISE_SEED, Doubting, Judgement, resolve};

use DoubtCause::{
    ConstantDifference, Counter, Coverage, Dropped, Infinite, Misaligned, NoData, NotTested,
    OneSided, Partial, RatioOfMeans, TooFew,
};
use Outcome::{Fail, Inconclusive, Marginal, Pass};

const STEP: i64 = 60_000;
const POINTS: usize = 31;

/// One metric: how it is judged, and what there is of it.
#[derive(Clone)]
struct Metric {
    canary: Value,
    group: &'static str,
    pair: Value,
}

/// Both sides over the same half of an hour, a point a minute; `None` is no point.
fn metric(control: &[Option<f64>], experiment: &[Option<f64>]) -> Metric {
    let values = |side: &[Option<f64>]| {
        let values = side.iter().flatten();
        let values: Vec<Value> = values
            .map(|value| match value {
                value if value.is_nan() => json!("NaN"),
                value if value.is_infinite() && *value > 0.0 => json!("Infinity"),
                value if value.is_infinite() => json!("-Infinity"),
                value => json!(value),
            })
            .collect();
        values
    };
    let times = |side: &[Option<f64>]| {
        let times = side.iter().zip(0_i64..);
        let times: Vec<i64> = times
            .filter(|(value, _)| value.is_some())
            .map(|(_, at)| at * STEP)
            .collect();
        times
    };
    let window = json!({
        "windowStartMillis": "0", "windowEndMillis": "1800000", "windowStepMillis": "60000",
    });
    Metric {
        canary: json!({"direction": "increase"}),
        group: "g",
        pair: json!({
            "values": {"control": values(control), "experiment": values(experiment)},
            "timestamps": {"control": times(control), "experiment": times(experiment)},
            "attributes": {"control": window, "experiment": window},
        }),
    }
}

impl Metric {
    fn judged_by(mut self, canary: Value) -> Self {
        self.canary = canary;
        self
    }

    fn in_group(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    fn with(mut self, pointer: &str, value: Value) -> Self {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        match self.pair.pointer_mut(parent).unwrap() {
            Value::Array(values) => values[name.parse::<usize>().unwrap()] = value,
            parent => parent[name] = value,
        }
        self
    }

    fn without_window(mut self) -> Self {
        self.pair.as_object_mut().unwrap().remove("attributes");
        self.pair.as_object_mut().unwrap().remove("timestamps");
        self
    }
}

struct Asked {
    judge: Value,
    doubting: Doubting,
    look: Option<Look>,
    weights: Value,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            judge: json!({"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}}),
            doubting: Doubting::Tell,
            look: None,
            weights: json!({}),
        }
    }
}

impl Asked {
    fn judge(&self, metrics: &[Metric]) -> CanaryJudgeResult {
        let named = metrics.iter().enumerate();
        let configs: Vec<Value> = named
            .clone()
            .map(|(at, metric)| {
                json!({"name": format!("m{at}"), "groups": [metric.group],
                    "analysisConfigurations": {"canary": metric.canary}})
            })
            .collect();
        let config: CanaryConfig = serde_json::from_value(json!({
            "judge": self.judge, "metrics": configs,
            "classifier": {"groupWeights": self.weights},
        }))
        .unwrap();
        let pairs: Vec<MetricSetPair> = named
            .map(|(at, metric)| {
                let mut pair = metric.pair.clone();
                pair["name"] = json!(format!("m{at}"));
                pair["id"] = json!(format!("id{at}"));
                serde_json::from_value(pair).unwrap()
            })
            .collect();
        let judgement = Judgement {
            config: &config,
            thresholds: CanaryClassifierThresholdsConfig {
                pass: Some(95.0),
                marginal: Some(75.0),
            },
            pairs: &pairs,
            noise_seed: DEFAULT_NOISE_SEED,
            doubting: self.doubting,
            look: self.look,
            learned: None,
        };
        resolve(
            config
                .judge
                .as_ref()
                .and_then(|judge| judge.name.as_deref()),
        )
        .unwrap()
        .judge(&judgement)
        .unwrap()
    }
}

fn outcome(judged: &CanaryJudgeResult) -> Outcome {
    judged.summary.as_ref().unwrap().outcome.unwrap()
}

fn causes(judged: &CanaryJudgeResult, at: usize) -> Vec<DoubtCause> {
    let told = judged.results[at].explanation.as_ref().unwrap();
    for doubt in &told.doubts {
        let warning = told.warnings.iter().find(|w| w.code == doubt.cause.code());
        assert_eq!(warning.unwrap().sentence, doubt.sentence);
    }
    told.doubts.iter().map(|doubt| doubt.cause).collect()
}

fn codes(judged: &CanaryJudgeResult, at: usize) -> Vec<String> {
    let told = judged.results[at].explanation.as_ref().unwrap();
    let codes = told.warnings.iter();
    codes
        .map(|warning| json!(warning.code).as_str().unwrap().to_owned())
        .collect()
}

/// Values about a mean, another series for every seed.
fn about(mean: f64, seed: i64) -> Vec<Option<f64>> {
    let mut noise = Noise::new(seed);
    let values = std::iter::repeat_with(|| Some(mean + 5.0 * noise.gaussian()));
    values.take(POINTS).collect()
}

fn good() -> Metric {
    metric(&about(100.0, 1), &about(100.0, 2))
}

fn bad() -> Metric {
    metric(&about(100.0, 1), &about(150.0, 2))
}

fn nothing() -> Metric {
    metric(&[], &[])
}

fn only_experiment() -> Metric {
    metric(&[], &about(100.0, 2))
}

/// The points of a range, others are not there.
fn during(values: &[Option<f64>], range: std::ops::Range<usize>) -> Vec<Option<f64>> {
    let values = values.iter().enumerate();
    values
        .map(|(at, value)| value.filter(|_| range.contains(&at)))
        .collect()
}

fn replaced(values: Vec<Option<f64>>, from: usize, by: f64) -> Vec<Option<f64>> {
    let values = values.into_iter().enumerate();
    values
        .map(|(at, value)| if from <= at { Some(by) } else { value })
        .collect()
}

fn straight(from: f64, by: f64) -> Vec<Option<f64>> {
    (0..POINTS).map(|at| Some(from + by * at as f64)).collect()
}

#[test]
fn a_metric_is_doubtful_where_its_data_cannot_carry_its_label() {
    let (control, experiment) = (about(100.0, 1), about(100.0, 2));
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let cls = json!({"direction": "increase", "effectSize": {"measure": "cles"}});
    let replace = json!({"nanStrategy": "replace"});
    #[rustfmt::skip]
    let cases = [
        ("good", good(), Label::Pass, vec![], Pass),
        ("bad", bad(), Label::High, vec![], Fail),
        ("data on the experiment side only", only_experiment(), Label::Nodata, vec![OneSided], Inconclusive),
        ("data on the control side only", metric(&control, &[]), Label::Nodata, vec![OneSided], Inconclusive),
        ("NaN on the experiment side only", metric(&control, &replaced(experiment.clone(), 0, nan)), Label::Nodata, vec![OneSided], Inconclusive),
        ("one infinite value in a good canary", metric(&control, &replaced(experiment.clone(), 30, inf)), Label::Pass, vec![Infinite], Inconclusive),
        ("one infinite value of the control hides a rise", metric(&replaced(control.clone(), 30, inf), &about(150.0, 2)), Label::Pass, vec![Infinite], Fail),
        ("minus infinity", metric(&control, &replaced(experiment.clone(), 30, -inf)), Label::Pass, vec![Infinite], Inconclusive),
        ("only infinite values", metric(&control, &replaced(experiment.clone(), 0, inf)), Label::Pass, vec![Infinite], Inconclusive),
        ("the first half", metric(&control, &during(&experiment, 0..15)), Label::Pass, vec![Coverage], Inconclusive),
        ("the second half", metric(&control, &during(&experiment, 15..31)), Label::Pass, vec![Coverage], Inconclusive),
        ("halves that do not meet", metric(&during(&control, 0..15), &during(&experiment, 15..31)), Label::Pass, vec![Coverage], Inconclusive),
        ("a second half of NaN", metric(&control, &replaced(experiment.clone(), 15, nan)), Label::Pass, vec![Coverage], Inconclusive),
        ("four minutes late", metric(&control, &during(&experiment, 4..31)), Label::Pass, vec![Coverage], Inconclusive),
        ("four minutes early", metric(&control, &during(&experiment, 0..27)), Label::Pass, vec![Coverage], Inconclusive),
        ("two minutes late, and the last scrape is missing", metric(&control, &during(&experiment, 2..30)), Label::Pass, vec![], Pass),
        ("half, replaced", metric(&control, &during(&experiment, 0..15)).judged_by(replace.clone()), Label::Pass, vec![], Pass),
        ("half, and a rise", metric(&control, &during(&about(150.0, 2), 0..15)), Label::High, vec![Coverage], Fail),
        ("six points without a window", metric(&control[..6], &experiment[..6]).without_window(), Label::Pass, vec![TooFew], Inconclusive),
        ("eight points without a window", metric(&control[..8], &experiment[..8]).without_window(), Label::Pass, vec![], Pass),
        ("six points, replaced", metric(&control[..6], &experiment[..6]).judged_by(replace), Label::Pass, vec![], Pass),
        ("a partial answer", good().with("/attributes/control/partial", json!("a store is away")), Label::Pass, vec![Partial], Inconclusive),
        ("dropped samples", good().with("/attributes/experiment/dropped", json!("3 of 31 are histograms")), Label::Pass, vec![Dropped], Inconclusive),
        ("counters", metric(&straight(800_000.0, 10.0), &straight(3_000.0, 100.0)), Label::Pass, vec![Counter], Inconclusive),
        ("counters that are High", metric(&straight(3_000.0, 10.0), &straight(800_000.0, 100.0)), Label::High, vec![Counter], Inconclusive),
        ("rates that rise", metric(&straight(1.0, 0.1), &straight(1.0, 0.1)).with("/attributes/control/query", json!("sum(rate(x[1m]))")), Label::Pass, vec![], Pass),
        ("a counter against a gauge", metric(&straight(800_000.0, 10.0), &about(100.0, 2)), Label::Pass, vec![], Pass),
        ("a rise below zero", metric(&about(-100.0, 1), &about(-50.0, 2)), Label::Pass, vec![RatioOfMeans], Inconclusive),
        ("a rise from below zero", metric(&about(-50.0, 1), &about(50.0, 2)), Label::Pass, vec![RatioOfMeans], Inconclusive),
        ("a rise below zero, by another measure", metric(&about(-100.0, 1), &about(-50.0, 2)).judged_by(cls), Label::High, vec![], Fail),
        ("a rise from zero", metric(&[Some(0.0); POINTS], &about(50.0, 2)), Label::High, vec![], Fail),
        ("no rise below zero", metric(&about(-100.0, 1), &about(-100.0, 2)), Label::Pass, vec![], Pass),
        ("one point on each side", metric(&[Some(1.0)], &[Some(2.0)]).without_window(), Label::Error, vec![TooFew, NotTested], Inconclusive),
    ];
    for (name, metric, label, expected, told) in cases {
        let judged = Asked::default().judge(&[metric]);
        assert_eq!(judged.results[0].classification, label, "{name}");
        assert_eq!(causes(&judged, 0), expected, "{name}");
        assert_eq!(outcome(&judged), told, "{name}");
        let summary = judged.summary.unwrap();
        let is_named = summary.sentence.contains("it hangs on m0");
        assert_eq!(
            is_named,
            told == Inconclusive,
            "{name}: {}",
            summary.sentence
        );
        assert_eq!(
            summary.doubts.len(),
            usize::from(!expected.is_empty()),
            "{name}"
        );
    }
}

#[test]
fn a_window_in_the_future_is_not_covered() {
    let asked_at = |minutes: i64| {
        let at = json!((minutes * STEP).to_string());
        let tell = |metric: Metric, side| {
            metric.with(&format!("/attributes/{side}/askedAtMillis"), at.clone())
        };
        let metric = ["control", "experiment"].into_iter().fold(good(), tell);
        causes(&Asked::default().judge(&[metric]), 0)
    };
    assert_eq!(asked_at(29), []);
    assert_eq!(asked_at(10), [Coverage]);
}

#[test]
fn missing_data_count_where_they_decide() {
    let critical = || json!({"critical": true});
    let must = || json!({"mustHaveData": true});
    let replace = || json!({"nanStrategy": "replace"});
    let muted = || json!({"muted": true});
    let both = json!({"critical": true, "mustHaveData": true});
    #[rustfmt::skip]
    let cases = [
        ("one of three has no data", vec![good(), good(), nothing()], vec![], Pass),
        ("one of two has no data", vec![good(), nothing()], vec![(1, NoData)], Inconclusive),
        ("nothing has data", vec![nothing(), nothing()], vec![(0, NoData), (1, NoData)], Inconclusive),
        ("half has no data, one of it critical", vec![good(), nothing().judged_by(critical()), nothing(), nothing()], vec![(1, NoData)], Inconclusive),
        ("half has no data, and what fails may be a counter", vec![metric(&straight(3_000.0, 10.0), &straight(800_000.0, 100.0)).judged_by(critical()), nothing()], vec![(0, Counter)], Inconclusive),
        ("half has no data, and what has fails", vec![bad(), nothing()], vec![(1, NoData)], Fail),
        ("half has no data, and weighs nothing", vec![good(), nothing().in_group("idle")], vec![(1, NoData)], Inconclusive),
        ("nothing has data, all replaced", vec![nothing().judged_by(replace())], vec![(0, NoData)], Inconclusive),
        ("one has no data, replaced", vec![good(), nothing().judged_by(replace())], vec![], Pass),
        ("one side has no data, replaced", vec![good(), only_experiment().judged_by(json!({"nanStrategy": "replace", "direction": "decrease"}))], vec![(1, OneSided)], Inconclusive),
        ("a critical one has no data", vec![good(), good(), nothing().judged_by(critical())], vec![(2, NoData)], Inconclusive),
        ("a critical one has data on one side", vec![good(), good(), only_experiment().judged_by(critical())], vec![(2, OneSided)], Inconclusive),
        ("a critical one has no data, another fails", vec![bad().judged_by(critical()), nothing().judged_by(critical())], vec![(1, NoData)], Fail),
        ("one that must have data has none", vec![good(), nothing().judged_by(must())], vec![], Fail),
        ("one that must have data has some", vec![good(), only_experiment().judged_by(must())], vec![], Fail),
        ("a critical one that must have data has none", vec![good(), good(), nothing().judged_by(both)], vec![], Fail),
        ("a muted one has no data", vec![good(), nothing().judged_by(muted())], vec![], Pass),
        ("a muted one has data on one side", vec![good(), only_experiment().judged_by(muted())], vec![(1, OneSided)], Pass),
        ("only a muted one has data", vec![nothing(), good().judged_by(muted())], vec![(0, NoData)], Inconclusive),
        ("all are muted", vec![good().judged_by(muted())], vec![], Inconclusive),
        ("one of four has data on one side", vec![good(), good(), good(), only_experiment()], vec![(3, OneSided)], Inconclusive),
    ];
    let asked = Asked {
        weights: json!({"idle": 0}),
        ..Asked::default()
    };
    for (name, metrics, expected, told) in cases {
        let judged = asked.judge(&metrics);
        let found = (0..metrics.len()).flat_map(|at| {
            let found = causes(&judged, at).into_iter();
            found.map(move |cause| (at, cause))
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{name}");
        assert_eq!(outcome(&judged), told, "{name}");
    }
}

#[test]
fn a_verdict_stands_where_the_doubtful_cannot_turn_it() {
    let doubtful = || metric(&about(100.0, 1)[..6], &about(100.0, 2)[..6]).without_window();
    #[rustfmt::skip]
    let cases = [
        ("of small weight", vec![good(), doubtful().in_group("small")], Pass, vec![false]),
        ("of small weight, and marginal at least", vec![good(), bad().in_group("middle"), doubtful().in_group("small")], Marginal, vec![false]),
        ("of large weight", vec![doubtful(), good().in_group("small")], Inconclusive, vec![true]),
        ("both", vec![doubtful(), doubtful().in_group("small")], Inconclusive, vec![true, true]),
        ("of no weight", vec![doubtful(), doubtful().in_group("idle")], Inconclusive, vec![true, false]),
        ("a clear failure", vec![bad(), doubtful().in_group("small")], Fail, vec![false]),
        ("a critical failure", vec![bad().judged_by(json!({"critical": true})).in_group("idle"), doubtful()], Fail, vec![false]),
        ("critical, of no weight", vec![good(), doubtful().judged_by(json!({"critical": true})).in_group("idle")], Inconclusive, vec![true]),
    ];
    for (name, metrics, told, hangs) in cases {
        let mut metrics = metrics;
        // All groups are there, so that the weights sum to 100 of them.
        metrics.extend(["g", "middle", "small", "idle"].map(|group| good().in_group(group)));
        let asked = Asked {
            weights: json!({"g": 76, "middle": 20, "small": 4, "idle": 0}),
            ..Asked::default()
        };
        let judged = asked.judge(&metrics);
        assert_eq!(outcome(&judged), told, "{name}");
        let doubts = &judged.summary.unwrap().doubts;
        let found: Vec<bool> = doubts.iter().map(|metric| metric.hangs).collect();
        assert_eq!(found, hangs, "{name}");
    }
}

#[test]
fn doubts_fail_where_that_is_asked() {
    let doubtful = |doubt: Value| {
        metric(&about(100.0, 1)[..6], &about(100.0, 2)[..6])
            .without_window()
            .judged_by(doubt)
    };
    let for_all = |word: &str| json!({"judgeConfigurations": {"doubt": word}});
    let (tell, fail, ignore) = (
        json!({"doubt": "tell"}),
        json!({"doubt": "fail"}),
        json!({"doubt": "ignore"}),
    );
    let silent = json!({});
    let [early, last] = [2, 3].map(|number| Look {
        number,
        planned: 3,
        window: LookWindow::Growing,
    });
    // The judge, the operator, the look, the metric; label and outcome.
    #[rustfmt::skip]
    let cases = [
        (json!({}), Doubting::Tell, last, silent.clone(), Label::Pass, Inconclusive),
        (json!({}), Doubting::Fail, last, silent.clone(), Label::NodataFailMetric, Fail),
        (json!({}), Doubting::Fail, early, silent.clone(), Label::Pass, Inconclusive),
        (for_all("fail"), Doubting::Tell, last, silent.clone(), Label::NodataFailMetric, Fail),
        (for_all("tell"), Doubting::Fail, last, silent.clone(), Label::Pass, Inconclusive),
        (for_all("ignore"), Doubting::Tell, last, silent, Label::Pass, Inconclusive),
        (for_all("fail"), Doubting::Fail, last, tell, Label::Pass, Inconclusive),
        (for_all("tell"), Doubting::Tell, last, fail, Label::NodataFailMetric, Fail),
        (for_all("fail"), Doubting::Fail, last, ignore, Label::Pass, Pass),
    ];
    for (judge, doubting, look, canary, label, told) in cases {
        let name = format!("{judge} {doubting:?} {look:?} {canary}");
        let asked = Asked {
            judge,
            doubting,
            look: Some(look),
            ..Asked::default()
        };
        let judged = asked.judge(&[doubtful(canary)]);
        assert_eq!(judged.results[0].classification, label, "{name}");
        assert_eq!(outcome(&judged), told, "{name}");
        let failed = label == Label::NodataFailMetric;
        assert_eq!(
            judged.score.classification == Verdict::Fail,
            failed,
            "{name}"
        );
        // What fails by its doubts is not doubtful, and still told.
        assert_eq!(
            codes(&judged, 0).contains(&"tooFew".to_owned()),
            told != Pass,
            "{name}"
        );
        assert_eq!(
            causes(&judged, 0).is_empty(),
            told != Inconclusive,
            "{name}"
        );
    }
    let half = Asked {
        doubting: Doubting::Fail,
        ..Asked::default()
    };
    let judged = half.judge(&[good(), nothing()]);
    assert_eq!(judged.results[1].classification, Label::NodataFailMetric);
    assert_eq!((judged.score.score, outcome(&judged)), (50.0, Fail));
}

#[test]
fn good_canaries_that_start_late_and_miss_a_scrape_are_hardly_ever_inconclusive() {
    let mut noise = Noise::new(7);
    let mut found = [0_u32; 3];
    for late in (0..3_usize).cycle().take(1_000) {
        let mut side = |make: &mut dyn FnMut(f64) -> f64, late: usize| -> Vec<Option<f64>> {
            let values: Vec<_> = (0..POINTS).map(|_| Some(make(noise.gaussian()))).collect();
            during(&values, late..POINTS - 1)
        };
        let mut latency = |x: f64| 200.0 * (0.1 * x).exp();
        let mut errors = |x: f64| (x - 1.0).max(0.0).round();
        let mut memory = |x: f64| 1e9 + 1e6 * x;
        let mut pair = |make: &mut dyn FnMut(f64) -> f64| {
            let control = side(make, 0);
            metric(&control, &side(make, late))
        };
        let metrics = [pair(&mut latency), pair(&mut errors), pair(&mut memory)];
        match outcome(&Asked::default().judge(&metrics)) {
            Pass => found[0] += 1,
            Inconclusive => found[1] += 1,
            _ => found[2] += 1,
        }
    }
    let [pass, inconclusive, other] = found;
    println!(
        "of 1000 good canaries {pass} pass, {inconclusive} are inconclusive, {other} are not good"
    );
    assert!(inconclusive <= 10, "{inconclusive} of 1000");
}

#[test]
fn every_cause_stands_in_the_table() {
    let document = include_str!("../../docs/explain.md");
    let causes = [
        OneSided,
        Infinite,
        Coverage,
        Partial,
        Dropped,
        TooFew,
        Counter,
        RatioOfMeans,
        NoData,
        NotTested,
        Misaligned,
        ConstantDifference,
    ];
    for cause in causes {
        assert_eq!(json!(cause), cause.as_str());
        assert_eq!(json!(cause.code()), cause.as_str());
        let row = format!("| `{}` |", cause.as_str());
        assert!(document.contains(&row), "{row}");
    }
}
