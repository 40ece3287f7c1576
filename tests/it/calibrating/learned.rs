//! What was learned, where a config names it.

use serde_json::{Value, json};

use super::{answer, config, ended, request, start};
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;

fn canary(config: &Value) -> Value {
    let scope = |name: &str| json!({"scope": name, "start": "2024-05-31T22:00:00Z", "end": "2024-05-31T23:00:00Z", "step": 60});
    json!({"canaryConfig": config, "executionRequest": {
        "scopes": {"default": {"controlScope": scope("a"), "experimentScope": scope("b")}},
        "thresholds": {"pass": 95, "marginal": 75}}})
}

#[tokio::test]
async fn a_canary_is_judged_with_the_margins_that_its_config_names() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let serin = Serin::start(&prometheus.url).await;
    let named = config(
        &json!({"name": "sequential-v1", "judgeConfigurations": {"calibration": "checkout"}}),
    );
    let (status, refused) = serin.client.post("/canary", &canary(&named)).await;
    assert_eq!(status, 400);
    let told = "no calibration is stored as 'checkout': none is stored yet";
    assert!(
        refused["message"].as_str().unwrap().contains(told),
        "{refused}"
    );

    let quiet = json!({"write": "checkout", "against": [{"scope": "c"}]});
    let id = start(&serin.client, &request(&quiet)).await;
    let document = ended(&serin.client, &id).await;
    assert_eq!(document["learned"]["calibration"], "checkout", "{document}");
    let (status, learned) = serin.client.get("/learnedMargins/checkout").await;
    assert_eq!((status, &learned), (200, &document["learned"]));

    let id = serin.client.start_canary("/canary", &canary(&named)).await;
    let execution = serin.client.poll(&id).await;
    assert_eq!(execution["learned"], learned, "{execution}");
    let results = execution["result"]["judgeResult"]["results"]
        .as_array()
        .unwrap();
    assert_eq!(results.len(), 2);
    for (result, metric) in results.iter().zip(learned["metrics"].as_array().unwrap()) {
        let margin = result["explanation"]["sequential"]["margin"]["upPercent"]
            .as_f64()
            .unwrap();
        assert!(
            (margin - 100.0 * metric["margin"].as_f64().unwrap()).abs() < 1e-9,
            "{result}"
        );
        assert!(margin < 5.0, "{result}");
        let sentence = result["explanation"]["sentence"].as_str().unwrap();
        assert!(
            sentence.contains("learned from 20 windows between 31 May and 1 June"),
            "{sentence}"
        );
    }

    let other =
        config(&json!({"name": "sequential-v1", "judgeConfigurations": {"calibration": "other"}}));
    let (_, refused) = serin.client.post("/canary", &canary(&other)).await;
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("there are 'checkout'"),
        "{refused}"
    );
    let (status, _) = serin.client.delete("/learnedMargins/checkout").await;
    assert_eq!(status, 204);
    let (status, _) = serin.client.get("/learnedMargins/checkout").await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn what_was_learned_elsewhere_can_be_kept() {
    let serin = Serin::start("").await;
    let learned = json!({"calibration": "x", "madeMillis": 1, "fromMillis": 0, "toMillis": 1,
        "metrics": [{"metric": "latency", "margin": 0.12, "windows": 200, "query": "0"}]});
    let (status, kept) = serin
        .client
        .put("/learnedMargins/checkout", &json!({"learned": learned}))
        .await;
    assert_eq!(
        (status, &kept["calibration"]),
        (200, &json!("checkout")),
        "{kept}"
    );
    let mut wrong = learned.clone();
    wrong["metrics"][0]["margin"] = json!(-1);
    let mut empty = learned.clone();
    empty["metrics"] = json!([]);
    let cases = [
        (
            json!({"learned": wrong}),
            400,
            "the margin of 'latency' is -1",
        ),
        (json!({"learned": empty}), 400, "nothing of any metric"),
        (json!({}), 400, "either 'calibrationId' or 'learned'"),
        (json!({"calibrationId": "nosuch"}), 404, "nosuch"),
    ];
    for (body, expected, told) in cases {
        let (status, answer) = serin.client.put("/learnedMargins/checkout", &body).await;
        assert_eq!(status, expected, "{answer}");
        assert!(
            answer["message"].as_str().unwrap().contains(told),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn the_lint_tells_of_margins_that_are_not_there() {
    let serin = Serin::start("").await;
    let named = config(
        &json!({"name": "sequential-v1", "judgeConfigurations": {"calibration": "checkout"}}),
    );
    let codes = async |config: &Value| {
        let (status, linted) = serin
            .client
            .post("/canaryConfig/lint", &json!({"canaryConfig": config}))
            .await;
        assert_eq!(status, 200, "{linted}");
        let findings = linted["findings"].as_array().unwrap();
        findings
            .iter()
            .map(|finding| finding["code"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(
        codes(&named)
            .await
            .contains(&"unknown-calibration".to_owned())
    );
    let learned = json!({"calibration": "x", "madeMillis": 1, "fromMillis": 0, "toMillis": 1,
        "metrics": [{"metric": "latency", "margin": 0.12, "windows": 200, "query": "0"}]});
    serin
        .client
        .put("/learnedMargins/checkout", &json!({"learned": learned}))
        .await;
    let found = codes(&named).await;
    for code in ["old-calibration", "changed-query", "not-calibrated"] {
        assert!(found.contains(&code.to_owned()), "{code}: {found:?}");
    }
}
