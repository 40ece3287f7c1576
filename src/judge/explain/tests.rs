use serde_json::json;

use super::*;
use crate::judge::aca::classify::Workspace;
use crate::judge::noise::Noise;
use crate::judge::side;

/// What is told of `m`, judged by `analysisConfigurations.canary`.
fn told(canary: &serde_json::Value, control: &[f64], experiment: &[f64]) -> Explanation {
    let metric = json!({"name": "m", "analysisConfigurations": {"canary": canary}});
    let config = serde_json::from_value(metric).unwrap();
    let policy = MetricPolicy::of(&config).unwrap();
    let values = Pair {
        control: control.to_vec(),
        experiment: experiment.to_vec(),
    };
    let pair = MetricSetPair {
        name: "m".to_owned(),
        values,
        ..MetricSetPair::default()
    };
    let values = Pair {
        control,
        experiment,
    };
    let found = Workspace::default().classify(&policy, values, &mut Noise::new(42));
    super::metric(&pair, &side::of(&pair), &policy, &found, Vec::new())
}

fn around(center: f64) -> Vec<f64> {
    (0..60)
        .map(|i| center + f64::from(i % 30) / 100.0)
        .collect()
}

#[test]
fn every_rule_has_its_sentence() {
    let (low, high) = (around(0.4), around(1.9));
    let nothing = [f64::NAN; 3];
    let cases = [
        (
            json!({}),
            &low,
            &high[..],
            Rule::Increase,
            "m rose from 0.545 to 2.04 (+275 %); the whole interval, 1.46 to 1.54, lies above the bound 0.38",
        ),
        (
            json!({"critical": true}),
            &high,
            &low,
            Rule::Decrease,
            "m fell from 2.04 to 0.545 (-73.3 %); the whole interval, -1.54 to -1.46, lies below the \
             bound -0.38; it is critical, so the canary fails",
        ),
        (
            json!({"direction": "decrease"}),
            &low,
            &high,
            Rule::OtherDirection,
            "m rose from 0.545 to 2.04 (+275 %), which is clear, but only a decrease counts",
        ),
        (
            json!({"effectSize": {"allowedIncrease": 4.0}}),
            &low,
            &high,
            Rule::AllowedEffect,
            "m rose from 0.545 to 2.04 (+275 %), which is clear, but the ratio of the means, 3.75, does \
             not reach 4",
        ),
        (
            json!({}),
            &low,
            &around(0.41),
            Rule::NoClearShift,
            "m rose from 0.545 to 0.555 (+1.83 %), which is no clear difference: the interval, -0.03 to \
             0.05, does not lie beyond the bound, 0.0025 up or down",
        ),
        (
            json!({}),
            &low,
            &low,
            Rule::Identical,
            "Both sides hold the same 60 values",
        ),
        (
            json!({}),
            &vec![2.0; 3],
            &[2.0; 4],
            Rule::SameConstant,
            "m is 2 on both sides, all the time",
        ),
        (
            json!({}),
            &low,
            &nothing,
            Rule::NoData,
            "No data on the experiment side: m could not be judged, and counts for no group",
        ),
        (
            json!({"critical": true}),
            &vec![f64::NAN],
            &nothing,
            Rule::NoDataCritical,
            "No data on either side, and m is critical: by Kayenta's rule the canary fails",
        ),
        (
            json!({"mustHaveData": true}),
            &vec![f64::NAN],
            &low,
            Rule::NoDataFails,
            "No data on the control side, and m must have data: it counts as failed",
        ),
        (
            json!({"nanStrategy": "replace"}),
            &vec![],
            &low,
            Rule::NoDataReplaced,
            "No data on the control side: m was not compared, and passes because of the nanStrategy \
             'replace'",
        ),
    ];
    for (canary, control, experiment, rule, sentence) in cases {
        let found = told(&canary, control, experiment);
        assert_eq!(
            (found.rule, found.sentence.as_str()),
            (rule, sentence),
            "{canary}"
        );
    }
}

#[test]
fn a_mean_that_goes_the_other_way_is_told() {
    // One value pulls the mean of the control up.
    let mut control = around(0.4);
    control[0] = 1000.0;
    let found = told(&json!({}), &control, &around(1.9));
    assert!(
        found.sentence.starts_with("m fell from 17.2 to 2.04 (-88.1 %) on average, though most values are higher, by about 1.49"),
        "{}",
        found.sentence
    );
}

#[test]
fn points_are_counted_before_and_after_cleaning() {
    let mut control = around(0.4);
    control[7] = f64::NAN;
    control[8] = 500.0;
    let canary = json!({"outliers": {"strategy": "remove", "outlierFactor": 3.0}});
    let points = told(&canary, &control, &around(0.4)).points.control;
    assert_eq!(
        (points.total, points.nan, points.outliers, points.judged),
        (60, 1, 1, 58)
    );
    let fences = points.fences.unwrap();
    assert!(fences.lower < 0.4 && 0.7 < fences.upper && fences.upper < 500.0);
}
