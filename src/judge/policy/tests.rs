use serde_json::json;

use super::*;

fn metric(canary: &Value) -> CanaryMetricConfig {
    serde_json::from_value(json!({
        "name": "m",
        "analysisConfigurations": {"canary": canary},
    }))
    .unwrap()
}

#[test]
fn what_is_not_said_has_a_default() {
    let cases = [
        (json!({}), Measure::MeanRatio, 1.0),
        (json!({"effectSize": "x"}), Measure::MeanRatio, 1.0),
        (
            json!({"effectSize": {"measure": "CLES"}}),
            Measure::MeanRatio,
            1.0,
        ),
        (
            json!({"effectSize": {"measure": "cles"}}),
            Measure::Cles,
            0.5,
        ),
        (
            json!({"effectSize": {"measure": 5}}),
            Measure::MeanRatio,
            1.0,
        ),
    ];
    for (canary, measure, limit) in cases {
        let policy = MetricPolicy::of(&metric(&canary)).unwrap();
        let limits = Effect {
            increase: limit,
            decrease: limit,
        };
        let expected = MetricPolicy {
            direction: Direction::Either,
            nan_strategy: NanStrategy::Remove,
            critical: false,
            must_have_data: false,
            muted: false,
            measure,
            allowed: limits,
            critical_effect: limits,
            outlier_factor: None,
            doubt: None,
        };
        assert_eq!(policy, expected, "{canary}");
    }
}

#[test]
fn outliers_are_removed_with_a_factor_above_zero() {
    let cases = [
        (json!({"strategy": "remove"}), Some(3.0)),
        (json!({"strategy": "remove", "outlierFactor": 2}), Some(2.0)),
        (
            json!({"strategy": "remove", "outlierFactor": null}),
            Some(3.0),
        ),
        (json!({"strategy": "keep", "outlierFactor": "3"}), None),
        (json!({"strategy": "REMOVE", "outlierFactor": 0}), None),
        (json!([{"strategy": "remove"}]), None),
    ];
    for (outliers, factor) in cases {
        let policy = MetricPolicy::of(&metric(&json!({"outliers": outliers}))).unwrap();
        assert_eq!(policy.outlier_factor, factor, "{outliers}");
    }
}

#[test]
fn the_judge_throws_on_more_than_is_refused_when_stored() {
    let both = "refused and thrown";
    let judge = "thrown";
    let cases = [
        (
            json!("text"),
            both,
            "analysisConfigurations.canary is \"text\", an object is wanted",
        ),
        (
            json!([]),
            both,
            "analysisConfigurations.canary is [], an object is wanted",
        ),
        (
            json!({"critical": "true"}),
            both,
            "critical is \"true\", true or false is wanted",
        ),
        (
            json!({"mustHaveData": 1}),
            both,
            "mustHaveData is 1, true or false is wanted",
        ),
        (
            json!({"muted": []}),
            both,
            "muted is [], true or false is wanted",
        ),
        (
            json!({"effectSize": {"allowedDecrease": "1"}}),
            both,
            "effectSize.allowedDecrease is \"1\", a number is wanted",
        ),
        (
            json!({"effectSize": [1]}),
            both,
            "effectSize is [1], an object is wanted",
        ),
        (
            json!({"outliers": {"strategy": "remove", "outlierFactor": 0}}),
            both,
            "outliers.outlierFactor is 0.0, a number above 0 is wanted",
        ),
        (
            json!({"outliers": {"strategy": "remove", "outlierFactor": "3"}}),
            both,
            "outliers.outlierFactor is \"3\", a number is wanted",
        ),
        (
            json!({"effectSize": {"allowedIncrease": 3_000_000_000_i64}}),
            judge,
            "effectSize.allowedIncrease is 3000000000, an integer of 32 bits or a number with \
             a decimal point is wanted",
        ),
        (
            json!({"direction": null}),
            judge,
            "direction is null, text, or no such member is wanted",
        ),
        (
            json!({"nanStrategy": null}),
            judge,
            "nanStrategy is null, text, or no such member is wanted",
        ),
        (
            json!({"effectSize": {"measure": null}}),
            judge,
            "effectSize.measure is null, text, or no such member is wanted",
        ),
        (
            json!({"outliers": {"strategy": null}}),
            judge,
            "outliers.strategy is null, text, or no such member is wanted",
        ),
    ];
    for (canary, when, message) in cases {
        let metric = metric(&canary);
        let thrown = MetricPolicy::of(&metric).unwrap_err().to_string();
        assert_eq!(thrown, format!("metric 'm': {message}"), "{canary}");
        let config = CanaryConfig {
            metrics: Some(vec![metric]),
            ..CanaryConfig::default()
        };
        assert_eq!(!refusals(&config).is_empty(), when == both, "{canary}");
    }
}
