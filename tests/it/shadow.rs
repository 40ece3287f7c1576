//! A judge beside the one that decides.

use serde_json::{Value, json};

use crate::executions::{adhoc, series};
use crate::harness::Serin;
use crate::scripted_prometheus::{Asked, ScriptedPrometheus};

fn worse(asked: &Asked) -> crate::scripted_prometheus::Reply {
    let is_worse = asked.params["query"].contains("v2");
    series(if is_worse { 4.0 } else { 1.0 })
}

fn canary(configurations: &Value) -> Value {
    let mut canary = adhoc(&["latency"]);
    canary["canaryConfig"]["judge"] =
        json!({"name": "NetflixACAJudge-v1.0", "judgeConfigurations": configurations});
    canary
}

#[tokio::test]
async fn what_a_shadow_says_stands_beside_the_verdict() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let alone = client.start_canary("/canary", &canary(&json!({}))).await;
    let alone = client.poll(&alone).await;
    assert_eq!(alone["result"].get("shadow"), None);

    let shadow = json!({"shadow": "sequential-v1"});
    let beside = client.start_canary("/canary", &canary(&shadow)).await;
    let beside = client.poll(&beside).await;
    let told = &beside["result"]["shadow"];
    assert_eq!(told["judgeName"], "sequential-v1");
    let judged = &told["judgeResult"]["results"][0];
    assert_eq!(judged["classification"], "High", "{judged:#}");
    assert_eq!(judged["explanation"]["sequential"]["verdict"], "Regressed");
    assert_eq!(
        beside["result"]["judgeResult"]["score"],
        alone["result"]["judgeResult"]["score"]
    );
    assert_eq!(
        beside["result"]["judgeResult"]["judgeName"],
        "NetflixACAJudge-v1.0"
    );

    // It is no second of the same.
    let same = json!({"shadow": "NetflixACAJudge-v1.0"});
    let same = client.start_canary("/canary", &canary(&same)).await;
    assert_eq!(client.poll(&same).await["result"].get("shadow"), None);
}

#[tokio::test]
async fn a_shadow_that_cannot_judge_touches_nothing() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let faults = [
        (json!({"shadow": "nosuch"}), "shadow is"),
        (
            json!({"shadow": "sequential-v1", "falseAlarm": 7}),
            "falseAlarm is 7",
        ),
    ];
    for (configurations, told) in faults {
        let mut config = canary(&configurations)["canaryConfig"].clone();
        config["name"] = json!("c");
        config["applications"] = json!(["a"]);
        let (status, refused) = client.post("/canaryConfig", &config).await;
        assert_eq!(status, 400, "{refused}");
        assert!(
            refused["message"].as_str().unwrap().contains(told),
            "{refused}"
        );
    }
    // A whole number beyond 32 bits is stored, and judged by lot only.
    let mut canary = canary(&json!({"shadow": "sequential-v1"}));
    canary["canaryConfig"]["judge"]["name"] = json!("dredd-v1.0");
    canary["canaryConfig"]["metrics"][0]["analysisConfigurations"] =
        json!({"canary": {"effectSize": {"allowedIncrease": 3_000_000_000_u64}}});
    let id = client.start_canary("/canary", &canary).await;
    let done = client.poll(&id).await;
    assert_eq!(done["status"], "succeeded", "{done}");
    assert_eq!(done["result"]["judgeResult"]["judgeName"], "dredd-v1.0");
    let error = done["result"]["shadow"]["error"].as_str().unwrap();
    assert!(error.contains("allowedIncrease is 3000000000"), "{error}");
}
