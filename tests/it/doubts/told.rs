//! What is told beside the outcome.

use super::*;

#[test]
fn what_should_make_a_reader_careful_is_told() {
    let thrice = |seed| -> Vec<Option<f64>> {
        let values = about(100.0, seed).into_iter();
        values.flat_map(|value| [value; 3]).take(POINTS).collect()
    };
    let uneven = |seed| -> Vec<Option<f64>> {
        let values = about(100.0, seed);
        (0..POINTS).map(|at| values[at * 3 / 5]).collect()
    };
    let constant = |value: f64| vec![Some(value); POINTS];
    let coarse = |seed| -> Vec<Option<f64>> {
        let values = about(10.0, seed).into_iter();
        values
            .map(|value| value.map(|value| (value / 4.0).round()))
            .collect()
    };
    #[rustfmt::skip]
    let cases = [
        ("good", good(), vec![]),
        ("every value stands three times", metric(&thrice(1), &thrice(2)), vec!["repeated"]),
        ("on one side", metric(&about(100.0, 1), &thrice(2)), vec!["repeated"]),
        ("every value stands once or twice", metric(&uneven(1), &uneven(2)), vec!["repeated"]),
        ("coarse values", metric(&coarse(1), &coarse(2)), vec!["tied"]),
        ("the same constant", metric(&constant(10.0), &constant(10.0)), vec!["constant"]),
        ("the same constant, not equally often", metric(&constant(10.0), &constant(10.0)[..29]), vec!["constant"]),
        ("nothing happens", metric(&constant(0.0), &constant(0.0)), vec![]),
        ("nulls", good().without_window().with("/values/experiment/3", json!(null)), vec!["nulls"]),
        ("six points", metric(&about(100.0, 1)[..6], &about(100.0, 2)[..6]).without_window(), vec!["tooFew"]),
        ("a gap", metric(&about(100.0, 1), &[&about(100.0, 2)[..9], &[None, None], &about(100.0, 3)[..20]].concat()), vec!["gaps"]),
        ("a long gap", metric(&about(100.0, 1), &[&about(100.0, 2)[..9], &[None; 10], &about(100.0, 3)[..12]].concat()), vec!["coverage"]),
        ("a series of one side", only_experiment().with("/tags", json!({"code": "500"})), vec!["oneSided", "unpairedLabels"]),
    ];
    for (name, metric, expected) in cases {
        let judged = Asked::default().judge(&[metric]);
        let mut found = codes(&judged, 0);
        found.retain(|code| code != "fewPoints");
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn nulls_of_a_recorded_pair_are_missing_for_the_outcome() {
    let with_nulls = |count: usize| {
        let missing = (0..count).map(|at| format!("/values/experiment/{at}"));
        missing.fold(good().without_window(), |metric, at| {
            metric.with(&at, json!(null))
        })
    };
    let cases = [
        (3, vec![], Pass),
        (12, vec![Coverage], Inconclusive),
        (25, vec![Coverage, TooFew], Inconclusive),
        (31, vec![OneSided], Inconclusive),
    ];
    for (count, expected, told) in cases {
        let judged = Asked::default().judge(&[with_nulls(count)]);
        assert_eq!(causes(&judged, 0), expected, "{count}");
        assert_eq!(outcome(&judged), told, "{count}");
    }
    // As a document, such a pair stays what Kayenta reads, and knows its nulls.
    let mut pair = with_nulls(2).pair;
    pair["name"] = json!("m");
    let read: MetricSetPair = serde_json::from_value(pair).unwrap();
    let written = json!(read);
    assert_eq!(written["values"]["experiment"][1], 0.0);
    assert_eq!(
        serde_json::from_value::<MetricSetPair>(written).unwrap(),
        read
    );
}

#[test]
fn weights_that_lose_points_are_told() {
    let cases = [
        (json!({"g": 80}), Some("; 80 of 100 points can be had")),
        (json!({"g": 0}), Some("; 0 of 100 points can be had")),
        (
            json!({"g": 60, "other": 40}),
            Some("; 60 of 100 points can be had"),
        ),
        (json!({"g": 100}), None),
        (json!({}), None),
        (json!({"other": 30}), Some("; 70 of 100 points can be had")),
    ];
    for (weights, told) in cases {
        let asked = Asked {
            weights: weights.clone(),
            ..Asked::default()
        };
        let summary = asked.judge(&[good()]).summary.unwrap();
        match told {
            Some(told) => assert!(
                summary.sentence.contains(told),
                "{weights}: {}",
                summary.sentence
            ),
            None => assert!(!summary.sentence.contains("can be had"), "{weights}"),
        }
        assert_eq!(
            summary.warnings.len(),
            usize::from(told.is_some()),
            "{weights}"
        );
    }
}

#[test]
fn points_of_what_was_not_measured_are_told() {
    let mut asked = Asked {
        weights: json!({"g": 60, "h": 30, "i": 10}),
        ..Asked::default()
    };
    let metrics = |last: Metric| {
        let open = nothing().in_group("h");
        [good(), good(), open, last.in_group("i")]
    };
    let sentence = |asked: &Asked, last: Metric| {
        let judged = asked.judge(&metrics(last));
        assert_eq!(judged.score.score.to_bits(), f64::to_bits(100.0));
        judged.summary.unwrap().sentence
    };
    let told = sentence(&asked, good());
    let expected = "; nothing was measured for the 30 points of h";
    assert!(told.contains(expected), "{told}");
    asked.weights = json!({"g": 90, "h": 0, "i": 10});
    let told = sentence(&asked, good());
    assert!(!told.contains("of which nothing"), "{told}");
}
