//! `POST /canary/verdict`, and scores as a Prometheus tells them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::executions::{by_scope, config, request};
use crate::harness::{Client, Serin, answer};
use crate::scripted_prometheus::ScriptedPrometheus;

pub async fn start() -> (Serin, ScriptedPrometheus) {
    let prometheus =
        ScriptedPrometheus::start(|asked| by_scope(asked, Duration::from_secs(1))).await;
    let keys = [("server.publicUrl", "https://serin.example.com")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let mut config = config(&["errors"]);
    config["id"] = json!("gate-id");
    config["name"] = json!("gate");
    config["applications"] = json!(["web"]);
    let (status, body) = serin.client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200, "{body}");
    (serin, prometheus)
}

pub fn short(experiment: &str) -> Value {
    json!({
        "canaryConfigName": "gate", "controlScope": "v1", "experimentScope": experiment,
        "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T01:05:00Z",
        "thresholds": {"pass": 95, "marginal": 75},
    })
}

fn with(mut body: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

pub async fn verdict(client: &Client, body: &Value) -> (u16, Value) {
    client.post("/canary/verdict?application=web", body).await
}

#[tokio::test]
async fn a_verdict_is_one_flat_document() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let cases = [
        (
            "good",
            json!({}),
            json!(100.0),
            "Pass",
            true,
            "A score of 100 reaches the pass threshold of 95",
        ),
        (
            "bad",
            json!({}),
            json!(0.0),
            "Fail",
            false,
            "A score of 0 does not reach the marginal threshold of 75",
        ),
        (
            "bad",
            json!({"thresholds": {"pass": 95, "marginal": 0}}),
            json!(0.0),
            "Marginal",
            false,
            "A score of 0 reaches",
        ),
        (
            "broken",
            json!({}),
            Value::Null,
            "Error",
            false,
            "No verdict: ",
        ),
    ];
    for (experiment, members, score, classification, pass, reason) in cases {
        let (status, told) = verdict(client, &with(short(experiment), &members)).await;
        assert_eq!(status, 200, "{told}");
        assert_eq!(told["score"], score, "{told}");
        assert_eq!(told["classification"], classification, "{told}");
        assert_eq!(
            (&told["pass"], &told["complete"]),
            (&json!(pass), &json!(true))
        );
        assert!(
            told["reason"].as_str().unwrap().starts_with(reason),
            "{told}"
        );
        let id = told["canaryExecutionId"].as_str().unwrap();
        let report = format!("https://serin.example.com/ui/runs/{id}");
        assert_eq!(told["reportUrl"], report);
        let (_, canary) = client.get(&format!("/canary/{id}")).await;
        assert_eq!(
            (&canary["application"], &canary["canaryConfigId"]),
            (&json!("web"), &json!("gate-id"))
        );
    }
}

#[tokio::test]
async fn bodies_of_post_canary_are_understood() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let of_stored = with(request(), &json!({"canaryConfigId": "gate-id"}));
    let mut own = config(&["errors"]);
    own["name"] = json!("own");
    let adhoc = json!({"canaryConfig": own, "executionRequest": request()});
    for body in [of_stored, adhoc] {
        let (status, told) = verdict(client, &body).await;
        assert_eq!(
            (status, &told["classification"]),
            (200, &json!("Pass")),
            "{told}"
        );
    }
    let now = with(
        short("good"),
        &json!({"start": null, "end": null, "lookback": "10m", "step": 15}),
    );
    let (_, told) = verdict(client, &now).await;
    let id = told["canaryExecutionId"].as_str().unwrap();
    let (_, canary) = client.get(&format!("/canary/{id}")).await;
    assert_eq!(canary["result"]["canaryDuration"], "PT10M");
    assert_eq!(
        canary["canaryExecutionRequest"]["scopes"]["default"]["controlScope"]["step"],
        15
    );
}

#[tokio::test]
async fn what_is_undecided_waits_and_is_asked_for_again_with_its_key() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let body = |wait: &str| with(short("slow"), &json!({"key": "release 7", "wait": wait}));
    let (status, first) = verdict(client, &body("0s")).await;
    assert_eq!(status, 202, "{first}");
    assert_eq!(
        (&first["pass"], &first["complete"], &first["score"]),
        (&json!(false), &json!(false), &Value::Null)
    );
    let classification = first["classification"].as_str().unwrap();
    assert!(["Waiting", "Running"].contains(&classification), "{first}");

    let (status, second) = verdict(client, &body("20s")).await;
    assert_eq!(
        (status, &second["classification"]),
        (200, &json!("Pass")),
        "{second}"
    );
    assert_eq!(second["canaryExecutionId"], first["canaryExecutionId"]);
    let other = with(body("20s"), &json!({"experimentScope": "good"}));
    assert_eq!(verdict(client, &other).await.0, 422);

    // The header does the same, and without a key everything is new.
    let by_header = client.http.post(format!(
        "{}/canary/verdict?application=web&wait=20s",
        client.url
    ));
    let by_header = by_header
        .header("Idempotency-Key", "release 7")
        .json(&short("slow"));
    assert_eq!(
        answer(by_header).await.1["canaryExecutionId"],
        first["canaryExecutionId"]
    );
    let (_, third) = verdict(client, &short("slow")).await;
    assert_ne!(third["canaryExecutionId"], first["canaryExecutionId"]);
}

#[tokio::test]
async fn a_canary_goes_on_when_nobody_waits_any_more() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let url = format!("{}/canary/verdict?application=web", client.url);
    let gone = client.http.post(url).json(&short("slow"));
    let gone = gone.timeout(Duration::from_millis(300)).send().await;
    assert!(gone.unwrap_err().is_timeout());
    let begun = Instant::now();
    loop {
        let (_, list) = client.get("/canary/executions?application=web").await;
        if list[0]["status"] == "succeeded" {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{list}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn mistakes_are_told() {
    let (serin, _prometheus) = start().await;
    let cases = [
        (json!({"canaryConfigName": "gat"}), 404, "is 'gate' meant?"),
        (
            json!({"canaryConfigName": null}),
            400,
            "one of canaryConfigId, canaryConfigName and canaryConfig",
        ),
        (json!({"start": ""}), 400, "give lookback, as in '10m'"),
        (
            json!({"thresholds": null}),
            400,
            "Execution request must contain thresholds",
        ),
        (
            json!({"controlScope": null}),
            400,
            "missing experimentScope or controlScope",
        ),
        (
            json!({"wait": "soon"}),
            400,
            "'soon' is no value for 'wait'",
        ),
        (
            json!({"controlScope": {"start": "soon"}}),
            400,
            "controlScope",
        ),
    ];
    for (members, expected, part) in cases {
        let (status, told) = verdict(&serin.client, &with(short("good"), &members)).await;
        assert_eq!(status, expected, "{members}: {told}");
        assert!(told["message"].as_str().unwrap().contains(part), "{told}");
    }
}

async fn scores(client: &Client, query: &str) -> Value {
    let asked = client
        .http
        .get(format!("{}/prometheus/api/v1/query", client.url));
    let (status, told) = answer(asked.query(&[("query", query)])).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        (&told["status"], &told["data"]["resultType"]),
        (&json!("success"), &json!("vector"))
    );
    let samples = told["data"]["result"].as_array().unwrap().iter();
    let shown = samples.map(|sample| {
        let label = |name| sample["metric"][name].as_str().unwrap_or_default();
        let score = sample["value"][1].as_str().unwrap();
        json!(format!(
            "{} {} {} {score}",
            label("application"),
            label("config"),
            label("classification")
        ))
    });
    shown.collect()
}

#[tokio::test]
async fn scores_are_those_of_the_newest_canaries_that_ended() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    assert_eq!(scores(client, "serin_canary_score").await, json!([]));
    for experiment in ["good", "bad"] {
        verdict(client, &short(experiment)).await;
    }
    client
        .post("/canary/verdict?application=shop", &short("good"))
        .await;
    let running = with(short("slow"), &json!({"wait": "0"}));
    verdict(client, &running).await;
    let cases = [
        (
            "serin_canary_score",
            json!(["shop gate Pass 100", "web gate Fail 0"]),
        ),
        (
            r#"serin_canary_score{application="web",config="gate"}"#,
            json!(["web gate Fail 0"]),
        ),
        (
            r#"serin_canary_score{config_id="gate-id",classification!="Fail"}"#,
            json!(["shop gate Pass 100"]),
        ),
        (
            r#"serin_canary_score{application=~"w.*"}"#,
            json!(["web gate Fail 0"]),
        ),
        (
            r#"serin_canary_score{experiment="bad",control="v1"}"#,
            json!(["web gate Fail 0"]),
        ),
        // Of an older one.
        (
            r#"serin_canary_score{application="web",classification="Pass"}"#,
            json!([]),
        ),
        (
            r#"last_over_time(serin_canary_score{application="shop"}[1h])"#,
            json!(["shop gate Pass 100"]),
        ),
        ("last_over_time(serin_canary_score[1ms])", json!([])),
        ("vector(1)", json!(["   1"])),
    ];
    for (query, expected) in cases {
        assert_eq!(scores(client, query).await, expected, "{query}");
    }

    // A newer canary without a verdict leaves no older score behind.
    client
        .post("/canary/verdict?application=shop", &short("broken"))
        .await;
    let query = r#"serin_canary_score{application="shop"}"#;
    assert_eq!(scores(client, query).await, json!([]));
}

#[tokio::test]
async fn other_queries_are_refused_as_prometheus_refuses() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let path = "/prometheus/api/v1/query";
    let (status, told) = client.get(&format!("{path}?query=up")).await;
    assert_eq!(status, 400);
    assert_eq!(
        (&told["status"], &told["errorType"]),
        (&json!("error"), &json!("bad_data"))
    );
    assert!(
        told["error"]
            .as_str()
            .unwrap()
            .starts_with("'up' is not understood here"),
        "{told}"
    );
    let form = client
        .http
        .post(format!("{}{path}", client.url))
        .body("query=vector(1)");
    let form = form.header("content-type", "application/x-www-form-urlencoded");
    let (status, told) = answer(form).await;
    assert_eq!(
        (status, &told["data"]["result"][0]["value"][1]),
        (200, &json!("1"))
    );
}
