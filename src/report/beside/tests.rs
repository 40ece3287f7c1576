use serde_json::{Value, json};

use super::*;

/// A metric: its name, a label of it, how it was judged, and the means of both sides.
type Told<'a> = (&'a str, &'a str, &'a str, f64, f64);

fn run(metrics: &[Told<'_>]) -> CanaryExecutionStatusResponse {
    let side = |mean: f64| {
        let count = u8::from(mean.is_finite());
        let mean = if mean.is_finite() { mean } else { 0.0 };
        json!({"stats": {"count": count, "mean": mean, "min": mean, "max": mean, "std": 0}})
    };
    let result = |(name, of, label, control, experiment): &Told<'_>| {
        json!({"name": name, "id": format!("{name}-{of}"), "tags": {"of": of}, "groups": [],
            "classification": label, "controlMetadata": side(*control),
            "experimentMetadata": side(*experiment)})
    };
    let results: Vec<Value> = metrics.iter().map(result).collect();
    serde_json::from_value(json!({
        "pipelineId": "run", "complete": true, "status": "succeeded", "application": "web",
        "config": {"metrics": [{"name": "latency", "unit": "ms"}]},
        "result": {"judgeResult": {"judgeName": "j", "results": results, "groupScores": [],
            "score": {"score": 100, "classification": "Pass"}}},
    }))
    .unwrap()
}

fn beside(this: &[Told<'_>], other: &[Told<'_>]) -> Beside {
    let runs = Both { this, other }.map(run);
    let metrics = runs.as_ref().map(|run| view::run(run, None).metrics);
    draw(runs.as_ref(), metrics, &Both::default())
}

#[test]
fn what_is_judged_otherwise_comes_first_and_passes_come_last() {
    let this = [
        ("calm", "a", "Pass", 1.0, 1.0),
        ("silent", "a", "Nodata", f64::NAN, f64::NAN),
        ("errors", "a", "High", 1.0, 4.0),
        ("new", "a", "Pass", 1.0, 1.0),
    ];
    let other = [
        ("errors", "a", "Pass", 2.0, 2.0),
        ("silent", "a", "Nodata", f64::NAN, 1.0),
        ("gone", "a", "High", 1.0, 1.0),
        ("calm", "a", "Pass", 1.0, 1.0),
    ];
    let told = beside(&this, &other);
    let rows = |rows: &[Row]| {
        let rows = rows.iter().map(|row| (row.name.clone(), row.standing));
        rows.collect::<Vec<_>>()
    };
    let named = |name: &str, standing| (name.to_owned(), standing);
    assert_eq!(
        rows(&told.rows),
        [
            named("errors", Standing::Otherwise),
            named("new", Standing::Alone),
            named("gone", Standing::Alone),
            named("silent", Standing::Alike),
        ]
    );
    assert_eq!(rows(&told.passes), [named("calm", Standing::Passes)]);
    assert_eq!(
        told.counts,
        "1 of 3 metrics is judged otherwise; 2 are in one of the runs only"
    );
}

#[test]
fn a_metric_is_found_by_its_labels_or_by_a_name_that_is_there_once() {
    let this = ["a", "b", "v2"];
    let cases = [
        // labels of the other run, and which of them each one of this run is
        (&["b", "a", "v2"][..], [Some(1), Some(0), Some(2)]),
        (&["a", "b", "v1"], [Some(0), Some(1), Some(2)]),
        (&["a", "c", "v1"], [Some(0), None, None]),
        (&["a", "a"], [Some(0), None, None]),
        (&[], [None, None, None]),
    ];
    let results = |labels: &[&str]| {
        let labels = labels.iter();
        let told: Vec<_> = labels.map(|of| ("m", *of, "Pass", 1.0, 1.0)).collect();
        run(&told)
    };
    let here = results(&this);
    for (labels, expected) in cases {
        let there = results(labels);
        let both = Both {
            this: super::results(&here),
            other: super::results(&there),
        };
        assert_eq!(partners(both), expected, "{labels:?}");
    }
}

#[test]
fn each_side_moves_from_the_other_run_to_this_one() {
    let nan = f64::NAN;
    let cases = [
        // control and experiment before, and after                     how far each moved
        ([2.0, 2.0], [2.0, 3.0], [Some("0 %"), Some("+50 %")]),
        ([4.0, 0.0], [1.0, 2.0], [Some("−75 %"), Some("+2 ms")]),
        ([nan, 1.0], [1.0, nan], [None, None]),
    ];
    for (before, after, expected) in cases {
        let metric =
            |[control, experiment]: [f64; 2]| [("latency", "a", "Pass", control, experiment)];
        let told = beside(&metric(after), &metric(before));
        let row = told.passes.first().unwrap();
        let moved = [&row.moved.control, &row.moved.experiment];
        let moved = moved.map(Option::as_deref);
        assert_eq!(moved, expected, "{before:?} {after:?}");
    }
}

#[test]
fn experiments_lie_over_each_other_from_their_starts_where_they_have_one_unit() {
    let metric = [("latency", "a", "Pass", 1.0, 1.0)];
    let mut runs = Both {
        this: run(&metric),
        other: run(&metric),
    };
    let line = |start: i64, values: &[f64]| {
        let times = (0..).map(|at| start + 60_000 * at);
        let line = Series {
            times: times.take(values.len()).collect(),
            values: values.to_vec(),
            step: 60_000,
        };
        vec![Some(line)]
    };
    let sketches = Both {
        this: line(9_000_000, &[1.0, 3.0, 2.0]),
        other: line(0, &[1.0, 3.0]),
    };
    let drawn = |runs: &Both<CanaryExecutionStatusResponse>| {
        let metrics = runs.as_ref().map(|run| view::run(run, None).metrics);
        draw(runs.as_ref(), metrics, &sketches).passes.remove(0)
    };
    let drawing = drawn(&runs).drawing.unwrap();
    // The line of two points is the beginning of that of three.
    assert!(drawing.this.starts_with(&drawing.other), "{drawing:?}");
    assert_eq!([drawing.low, drawing.high], ["1 ms", "3 ms"]);
    assert_eq!(drawing.long.as_deref(), Some("2 min 0 s"));
    let config = runs.other.config.as_mut().unwrap();
    config.metrics.as_mut().unwrap()[0].unit = Some("s".to_owned());
    let row = drawn(&runs);
    let units = row.units.unwrap();
    assert_eq!([units.this, units.other], ["ms", "s"]);
    assert!(row.drawing.is_none());
}

#[test]
fn what_they_were_judged_by_is_told_where_it_differs() {
    let runs = Both::<()>::default().map(|()| run(&[]));
    assert!(cautions(runs.as_ref()).is_empty());
    let mut other = runs.other.clone();
    other.application = None;
    other.config = None;
    let this = &runs.this;
    let told = cautions(Both {
        this,
        other: &other,
    });
    assert_eq!(told.len(), 2, "{told:?}");
}
