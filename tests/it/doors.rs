//! Every outcome at every door: none of them calls a pass what another does not.

use std::time::{Duration, Instant};

use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::command::{self, serin};
use crate::economy;
use crate::harness::{Client, Serin, answer};
use crate::receivers::Receiver;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

/// What one outcome is at each of the doors.
struct Row {
    /// Of the config, whose judge comes to it.
    config: &'static str,
    /// What the judge says; none where a query is refused before.
    judge: Option<(f64, &'static str)>,
    outcome: &'static str,
    classification: &'static str,
    has_score: bool,
    exit: i32,
    /// Of the case of the verdict in `JUnit`.
    junit: &'static str,
    /// What is called: without actions of its own, those of `error`.
    action: &'static str,
    /// `confirm-promotion` and `rollback`.
    flagger: [u16; 2],
}

const ROWS: [Row; 6] = [
    Row {
        config: "passes",
        judge: Some((100.0, "Pass")),
        outcome: "pass",
        classification: "Pass",
        has_score: true,
        exit: 0,
        junit: "",
        action: "pass",
        flagger: [200, 403],
    },
    Row {
        config: "lies-between",
        judge: Some((80.0, "Marginal")),
        outcome: "marginal",
        classification: "Marginal",
        has_score: true,
        exit: 2,
        junit: "<failure",
        action: "fail",
        flagger: [403, 403],
    },
    Row {
        config: "fails",
        judge: Some((10.0, "Fail")),
        outcome: "fail",
        classification: "Fail",
        has_score: true,
        exit: 1,
        junit: "<failure",
        action: "fail",
        flagger: [403, 200],
    },
    // With the score of a pass.
    Row {
        config: "cannot-tell",
        judge: Some((100.0, "Nodata")),
        outcome: "inconclusive",
        classification: "Inconclusive",
        has_score: false,
        exit: 3,
        junit: "<skipped",
        action: "error",
        flagger: [403, 403],
    },
    Row {
        config: "errs",
        judge: Some((100.0, "Error")),
        outcome: "error",
        classification: "Error",
        has_score: false,
        exit: 69,
        junit: "<error",
        action: "error",
        flagger: [403, 403],
    },
    Row {
        config: "is-refused",
        judge: None,
        outcome: "error",
        classification: "Error",
        has_score: false,
        exit: 69,
        junit: "<error",
        action: "error",
        flagger: [403, 403],
    },
];

/// Enough points of enough kinds, so that nothing about them is doubtful.
fn points(asked: &Asked) -> Reply {
    if asked.params["query"].contains("is-refused") {
        let error = r#"{"status":"error","errorType":"bad_data","error":"no such thing"}"#;
        return Reply::text(400, error);
    }
    let late = if asked.params["query"].contains("slow") {
        Duration::from_mins(1)
    } else {
        Duration::ZERO
    };
    let reply = economy::answer(asked, &["a"], |_, time| {
        Some(10.0 + f64::from(u8::try_from(time / 60_000 * 7 % 11).unwrap()))
    });
    reply.after(late)
}

/// Says of every config what its row has.
async fn judge() -> String {
    let judge = |Json(asked): Json<Value>| async move {
        let name = asked["canaryConfig"]["metrics"][0]["name"]
            .as_str()
            .unwrap();
        let row = ROWS.iter().find(|row| row.config == name).unwrap();
        let (score, classification) = row.judge.unwrap();
        let side = json!({"stats": {"count": 61, "mean": 15, "min": 10, "max": 20, "std": 3}});
        Json(json!({
            "judgeName": "mine",
            "results": [{
                "name": name, "id": asked["metricSetPairList"][0]["id"], "groups": ["all"],
                "classification": "Pass", "controlMetadata": side, "experimentMetadata": side,
            }],
            "groupScores": [{"name": "all", "score": score}],
            "score": {"score": score, "classification": classification,
                "classificationReason": "the judge knows why"},
        }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/judge", post(judge));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

struct House {
    serin: Serin,
    receiver: Receiver,
    _prometheus: ScriptedPrometheus,
}

async fn house() -> House {
    let prometheus = ScriptedPrometheus::start(points).await;
    let (receiver, judge) = (Receiver::start().await, judge().await);
    let file = format!(
        "notifications: {{channels: [
           {{name: all, type: webhook, url: '{0}/all', on: [pass, marginal, fail, error]}},
           {{name: quiet, type: webhook, url: '{0}/quiet', on: [pass, fail, error, -inconclusive]}}]}}
actions: {{hosts: [{{host: '{0}'}}]}}",
        receiver.url
    );
    let keys = [
        ("kayenta.remote-judge.enabled", "true"),
        ("kayenta.remote-judge.endpoint.baseUrl", judge.as_str()),
    ];
    let serin = Serin::start_with(&prometheus.url, &keys, Some(&file)).await;
    for name in ROWS.map(|row| row.config).into_iter().chain(["slow"]) {
        let action = |event: &str| json!({"url": format!("{}/actions/{event}", receiver.url)});
        let config = json!({
            "id": name, "name": name, "applications": ["doors"],
            "metrics": [{"name": name, "scopeName": "default", "groups": ["all"], "query": {
                "type": "prometheus",
                "customInlineTemplate": format!("PromQL:{name}{{version=\"${{scope}}\"}}")}}],
            "judge": {"name": "RemoteJudge-v1.0"},
            "classifier": {"groupWeights": {"all": 100}},
            "actions": {"pass": action("pass"), "fail": action("fail"), "error": action("error")},
        });
        let (status, told) = serin.client.post("/canaryConfig", &config).await;
        assert_eq!(status, 200, "{told}");
    }
    House {
        serin,
        receiver,
        _prometheus: prometheus,
    }
}

fn request(config: &str) -> Value {
    json!({
        "canaryConfigName": config, "controlScope": "v1", "experimentScope": "v2",
        "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T02:00:00Z",
        "thresholds": {"pass": 95, "marginal": 75},
    })
}

async fn text(client: &Client, path: &str) -> String {
    let (status, text) = client.get(path).await;
    assert_eq!(status, 200, "{path}");
    text.as_str()
        .map_or_else(|| text.to_string(), str::to_owned)
}

#[tokio::test]
async fn every_outcome_is_the_same_at_every_door() {
    let house = house().await;
    for row in &ROWS {
        let id = of_canary(&house, row).await;
        shown(&house, row, "runs", "", &id).await;
        called(&house, row, &id).await;
        let analysis = of_flagger(&house, row).await;
        shown(&house, row, "analyses", "analyses", &analysis).await;
        called(&house, row, &analysis).await;
        of_pipeline(&house, row).await;
    }
}

/// The gate of Argo's web provider and of scripts, and what a Prometheus hears. The id.
async fn of_canary(house: &House, row: &Row) -> String {
    let client = &house.serin.client;
    let path = "/canary/verdict?application=doors";
    let (status, told) = client.post(path, &request(row.config)).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(told["classification"], row.classification, "{told}");
    assert_eq!(told["pass"], row.outcome == "pass", "{told}");
    assert_eq!(told["score"].is_number(), row.has_score, "{told}");
    let reason = told["reason"].as_str().unwrap();
    let expected = match row.judge {
        // The judge does not explain it.
        Some(_) if row.has_score => "",
        Some(_) => "the judge knows why",
        None => "No verdict: ",
    };
    assert!(reason.starts_with(expected), "{reason}");

    let query = format!("serin_canary_score{{config=\"{}\"}}", row.config);
    let found = client
        .http
        .get(format!("{}/prometheus/api/v1/query", client.url))
        .query(&[("query", &query)]);
    let (_, found) = answer(found).await;
    let found = found["data"]["result"].as_array().unwrap().len();
    assert_eq!(found, usize::from(row.has_score), "{}", row.config);

    let labels = format!("application=\"doors\",config=\"{}\"", row.config);
    let metrics = text(client, "/metrics").await;
    for outcome in ["pass", "marginal", "fail", "inconclusive", "error"] {
        let is_it = u8::from(outcome == row.outcome);
        let line = format!("serin_canary_outcome{{{labels},outcome=\"{outcome}\"}} {is_it}\n");
        assert!(metrics.contains(&line), "{line} in {metrics}");
    }
    let has_gauge = metrics.contains(&format!("serin_canary_score{{{labels}}}"));
    assert_eq!(has_gauge, row.has_score, "{}", row.config);

    let id = told["canaryExecutionId"].as_str().unwrap().to_owned();
    let (_, document) = client.get(&format!("/canary/{id}")).await;
    assert_eq!(document["outcome"], row.outcome, "{document}");
    id
}

/// A list has what is archived, which is a moment after the end.
async fn until_listed(client: &Client, list: &str, outcome: &str, id: &str) {
    let begun = Instant::now();
    let address = format!("/ui/{list}?verdict={outcome}");
    while !text(client, &address).await.contains(id) {
        assert!(begun.elapsed() < Duration::from_secs(30), "{address}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Its page, and the lists that are filtered by it.
async fn shown(house: &House, row: &Row, pages: &str, list: &str, id: &str) {
    let client = &house.serin.client;
    let page = text(client, &format!("/ui/{pages}/{id}")).await;
    let badge = format!("<span class=\"badge {}\" id=\"outcome\">", row.outcome);
    assert!(page.contains(&badge), "{badge} in {page}");
    let has_score = page.contains("<p class=\"score\">");
    assert_eq!(has_score, row.has_score, "{page}");
    until_listed(client, list, row.outcome, id).await;
    for outcome in ["pass", "MARGINAL", "Fail", "Inconclusive", "ERROR"] {
        let address = format!("/ui/{list}?verdict={outcome}&config={}", row.config);
        let lists = text(client, &address).await.contains(id);
        let is_it = outcome.eq_ignore_ascii_case(row.outcome);
        assert_eq!(lists, is_it, "{address}");
    }
}

/// Who is told outside, and what is called.
async fn called(house: &House, row: &Row, id: &str) {
    let told = |path: &str| {
        let posts = house.receiver.posts().into_iter();
        let posts = posts.filter(|post| post.path == path);
        let bodies = posts.map(|post| post.json());
        let own = bodies.filter(|body| body["executionId"] == id);
        own.collect::<Vec<_>>()
    };
    house.receiver.until(|_| !told("/all").is_empty()).await;
    let [told_all] = &told("/all")[..] else {
        panic!("{:#?}", told("/all"));
    };
    assert_eq!(told_all["event"], row.outcome, "{told_all}");
    assert_eq!(told_all["score"].is_number(), row.has_score, "{told_all}");

    let kind = if told_all["kind"] == "canary" {
        "canary"
    } else {
        "standalone_canary_analysis"
    };
    let (_, actions) = house
        .serin
        .client
        .get(&format!("/{kind}/{id}/actions"))
        .await;
    let actions = actions.as_array().unwrap();
    let [action] = &actions[..] else {
        panic!("{actions:#?}");
    };
    assert_eq!(action["event"], row.outcome);
    let url = action["call"]["url"].as_str().unwrap();
    assert!(url.ends_with(&format!("/actions/{}", row.action)), "{url}");
    // Told before, had it been told.
    if ["marginal", "inconclusive"].contains(&row.outcome) {
        assert!(told("/quiet").is_empty());
    }
}

/// The hooks of Flagger. The id of the analysis.
async fn of_flagger(house: &House, row: &Row) -> String {
    let client = &house.serin.client;
    let payload = json!({
        "name": "doors", "namespace": "test", "checksum": row.config,
        "metadata": {
            "canaryConfigName": row.config, "controlScope": "v1", "experimentScope": "v2",
            "startTime": "2024-06-01T01:00:00Z", "endTime": "2024-06-01T02:00:00Z",
        },
    });
    let ask = async |hook: &str| {
        let (status, told) = client.post(&format!("/flagger/{hook}"), &payload).await;
        (status, told.as_str().unwrap_or_default().to_owned())
    };
    let (_, begun) = ask("rollout").await;
    let id = begun
        .split("analysis ")
        .last()
        .unwrap()
        .trim_end_matches(')');
    let path = format!("/standalone_canary_analysis/{id}?wait=20s");
    let (_, analysis) = client.get(&path).await;
    assert_eq!(analysis["outcome"], row.outcome, "{analysis}");
    for (hook, expected) in ["confirm-promotion", "rollback"]
        .into_iter()
        .zip(row.flagger)
    {
        let (status, told) = ask(hook).await;
        assert_eq!(status, expected, "{hook} of {}: {told}", row.config);
    }
    id.to_owned()
}

/// `serin run`, and its report for tools that read tests.
async fn of_pipeline(house: &House, row: &Row) {
    let file = house.serin.folder.path().join("junit.xml");
    let report = format!("junit={}", file.display());
    let server = house.serin.client.url.clone();
    let plan = json!({
        "application": "doors", "canaryConfigName": row.config, "control": "v1", "experiment": "v2",
        "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T02:00:00Z",
    });
    let ran = tokio::task::spawn_blocking(move || {
        let arguments = ["run", "-f", "-", "--server", &server, "--report", &report];
        serin(&arguments, &plan.to_string())
    });
    let ran = ran.await.unwrap();
    let told = command::text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(row.exit), "{told}");
    assert!(
        told.contains(&format!("{}: doors", row.classification)),
        "{told}"
    );
    let junit = std::fs::read_to_string(file).unwrap();
    let case = junit.split("</testcase>").next().unwrap();
    let found = ["<failure", "<error", "<skipped"];
    let found = found.into_iter().find(|part| case.contains(part));
    assert_eq!(found.unwrap_or_default(), row.junit, "{junit}");
}

#[tokio::test]
async fn what_has_not_ended_or_was_canceled_passes_no_door_either() {
    let house = house().await;
    let client = &house.serin.client;
    let mut running = request("slow");
    running["wait"] = json!("100ms");
    let path = "/canary/verdict?application=doors";
    let (status, told) = client.post(path, &running).await;
    assert_eq!((status, &told["pass"]), (202, &json!(false)), "{told}");
    let id = told["canaryExecutionId"].as_str().unwrap();
    let cancel = format!("{}/pipelines/{id}/cancel", client.url);
    let (status, told) = answer(client.http.put(cancel)).await;
    assert!((200..300).contains(&status), "{status} {told}");
    let (_, document) = client.get(&format!("/canary/{id}?wait=10s")).await;
    assert_eq!(document["outcome"], "canceled", "{document}");
    let page = text(client, &format!("/ui/runs/{id}")).await;
    assert!(page.contains("badge canceled"), "{page}");
    until_listed(client, "", "CANCELED", id).await;
}
