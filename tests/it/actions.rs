//! What executions call as they go on: in which order, how often, and where never.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::analysis::retrospective;
use crate::crash::{Process, free_port};
use crate::executions::{adhoc, series};
use crate::gateway::{Call, Gateway, KEY};
use crate::harness::{Client, Serin, new_database};
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

const ROUTE: &str = "/apisix/admin/routes/checkout";
/// Every judgement asks for its whole window.
const FORGETFUL: [(&str, &str); 1] = [("kayenta.prometheus.reuse.enabled", "false")];

const WEIGHT: &str = "/plugins/traffic-split/rules/0/weighted_upstreams/0/weight";

/// The blocks of one language of a document, in their order.
fn examples(document: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let blocks = document.split(&fence).skip(1);
    let blocks = blocks.map(|block| block.split("\n```").next().unwrap().to_owned());
    blocks.collect()
}

fn documented(language: &str) -> Vec<String> {
    examples(include_str!("../../docs/apisix.md"), language)
}

/// A gateway whose route sends all to the stable upstream, as the document has it.
fn with_route(gateway: &Gateway) {
    let curl = &documented("sh")[0];
    let route = curl.split('\'').nth(1).unwrap();
    gateway.put(ROUTE, serde_json::from_str(route).unwrap());
}

/// The operator's side of the document, with the addresses and files of the test.
fn operator(example: &str, host: &str, gateway: &Gateway, key: &std::path::Path) -> String {
    let lines = example.lines().filter(|line| !line.contains("caFile"));
    let lines = lines.map(|line| match line.split_once("tokenFile:") {
        Some((indent, _)) => format!("{indent}tokenFile: '{}'", key.display()),
        None => line.replace(host, &format!("'http://{}'", gateway.host)),
    });
    lines.collect::<Vec<_>>().join("\n")
}

struct Walk {
    serin: Serin,
    gateway: Gateway,
    prometheus: ScriptedPrometheus,
    key: tempfile::NamedTempFile,
}

impl Walk {
    /// With the documented configuration of the operator.
    async fn start(
        gateway: Gateway,
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        with_route(&gateway);
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), format!("{KEY}\n")).unwrap();
        let file = operator(
            &documented("yaml")[0],
            "http://apisix-admin:9180",
            &gateway,
            key.path(),
        );
        let prometheus = ScriptedPrometheus::start(script).await;
        let serin = Serin::start_with(&prometheus.url, &FORGETFUL, Some(&file)).await;
        Self {
            serin,
            gateway,
            prometheus,
            key,
        }
    }

    /// Stores the documented config and starts an analysis of three windows that have passed.
    async fn analysis(&self) -> String {
        let here = |text: &str| text.replace("apisix-admin:9180", &self.gateway.host);
        let mut config: Value = serde_json::from_str(&here(&documented("json")[0])).unwrap();
        config["id"] = json!("checkout");
        let client = &self.serin.client;
        let (status, told) = client.post("/canaryConfig", &config).await;
        assert_eq!(status, 200, "{told}");
        let mut request: Value = serde_json::from_str(&documented("json")[1]).unwrap();
        request["scopes"][0]["startTimeIso"] = json!("2024-06-01T01:00:00Z");
        request["scopes"][0]["endTimeIso"] = json!("2024-06-01T02:00:00Z");
        start(
            client,
            "/standalone_canary_analysis/checkout?application=checkout",
            &request,
        )
        .await
    }

    fn weights(&self) -> Vec<Value> {
        self.gateway.set(ROUTE, WEIGHT)
    }

    /// The actions of an execution, once none of them waits.
    async fn settled(&self, id: &str) -> Vec<Value> {
        settled(&self.serin.client, "standalone_canary_analysis", id).await
    }
}

async fn start(client: &Client, path: &str, body: &Value) -> String {
    let (status, answer) = client.post(path, body).await;
    assert_eq!(status, 200, "{answer}");
    answer["canaryAnalysisExecutionId"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The actions of an execution that has ended, once none of them waits.
async fn settled(client: &Client, kind: &str, id: &str) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let (_, document) = client.get(&format!("/{kind}/{id}?wait=10s")).await;
        let (status, actions) = client.get(&format!("/{kind}/{id}/actions")).await;
        assert_eq!(status, 200, "{actions}");
        let actions = actions.as_array().unwrap().clone();
        let waits = actions.iter().any(|action| action["outcome"] == "waiting");
        if document["complete"] == true && !waits {
            return actions;
        }
        assert!(
            start.elapsed() < Duration::from_mins(1),
            "{document} {actions:#?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Event, outcome and attempts.
fn told(actions: &[Value]) -> Vec<String> {
    let told = actions.iter().map(|action| {
        let number = action["number"]
            .as_i64()
            .map_or_else(String::new, |number| number.to_string());
        let text = |member: &str| action[member].as_str().unwrap().to_owned();
        format!(
            "{}{number} {} {}",
            text("event"),
            text("outcome"),
            action["attempts"]
        )
    });
    told.collect()
}

/// Time enough between two turns that what is due is sent.
fn slowly(level: f64) -> Reply {
    series(level).after(Duration::from_millis(700))
}

/// The canary upstream is worse from the given number of queries on.
fn worse_after(queries: usize) -> impl Fn(&Asked) -> Reply {
    let asked_before = AtomicUsize::new(0);
    move |asked| {
        let before = asked_before.fetch_add(1, Ordering::SeqCst);
        let is_canary = asked.params["query"].contains("checkout-canary");
        slowly(if is_canary && queries <= before {
            9.0
        } else {
            1.0
        })
    }
}

/// An ad hoc canary with actions of its own.
fn canary(actions: &Value) -> Value {
    let mut body = adhoc(&["latency"]);
    body["executionRequest"]["actions"] = actions.clone();
    body
}

/// Where a host may be called without anything.
fn hosts(gateway: &Gateway, more: &str) -> String {
    format!("actions: {{hosts: [{{host: '{}'{more}}}]}}", gateway.host)
}

/// A host that is shown something is called by https, unless http is named.
fn in_the_clear(hosts: &str) -> String {
    hosts.replace("host: '", "host: 'http://")
}

fn with_key(gateway: &Gateway) -> String {
    let file = hosts(gateway, &format!(", header: X-API-KEY, token: {KEY}"));
    in_the_clear(&file)
}

#[tokio::test]
async fn a_good_run_walks_to_100_and_the_report_says_how() {
    let walk = Walk::start(Gateway::start().await, |_| slowly(1.0)).await;
    let id = walk.analysis().await;
    let actions = walk.settled(&id).await;
    assert_eq!(walk.weights(), [json!(10), json!(30), json!(100)]);
    assert_eq!(
        told(&actions),
        ["start done 1", "interval1 done 1", "pass done 1"]
    );
    let rest = walk.gateway.document(ROUTE);
    assert_eq!(
        (&rest["uri"], &rest["upstream_id"]),
        (&json!("/checkout/*"), &json!("checkout-stable"))
    );

    let calls = walk.gateway.calls();
    let url = format!("http://{}{ROUTE}", walk.gateway.host);
    for (action, call) in actions.iter().zip(&calls) {
        let sent = &action["call"];
        assert_eq!(
            (&sent["method"], &sent["url"]),
            (&json!("PATCH"), &json!(url))
        );
        assert_eq!(sent["body"].to_string(), call.body, "byte for byte");
        assert_eq!(
            sent["headers"],
            json!({"Content-Type": "application/merge-patch+json"})
        );
        assert_eq!(call.header("content-type"), "application/merge-patch+json");
        assert_eq!(action["idempotencyKey"], call.header("idempotency-key"));
        assert_eq!(action["status"], 200);
        let times = ["createdTimeIso", "startTimeIso", "endTimeIso"]
            .map(|time| action[time].as_str().unwrap());
        assert!(times.is_sorted(), "{times:?}");
    }
    let everything = json!(actions).to_string();
    assert!(!everything.contains(KEY), "{everything}");
    for page in [format!("/ui/analyses/{id}")] {
        let (status, text) = walk.serin.client.get(&page).await;
        let text = text.as_str().unwrap();
        assert_eq!(status, 200);
        for part in ["interval 1", &url, "&#34;weight&#34;:30"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
    let (_, metrics) = walk.serin.client.get("/metrics").await;
    let line = "serin_actions_total{event=\"pass\",outcome=\"done\"}";
    assert!(metrics.as_str().unwrap().contains(line));
    assert!(!walk.prometheus.asked().is_empty());
}

#[tokio::test]
async fn a_bad_run_ends_with_no_traffic() {
    // At once, and after a judgement that had passed.
    for (queries, expected) in [(0, vec![10, 0]), (2, vec![10, 30, 0])] {
        let walk = Walk::start(Gateway::start().await, worse_after(queries)).await;
        let id = walk.analysis().await;
        let actions = walk.settled(&id).await;
        assert_eq!(walk.weights(), expected);
        assert_eq!(told(&actions).last().unwrap(), "fail done 1");
    }
}

#[tokio::test]
async fn what_cannot_be_judged_and_what_is_canceled_keeps_no_traffic() {
    let broken = |_: &Asked| {
        Reply::text(400, r#"{"status":"error","error":"no"}"#).after(Duration::from_millis(700))
    };
    let walk = Walk::start(Gateway::start().await, broken).await;
    let id = walk.analysis().await;
    assert_eq!(
        told(&walk.settled(&id).await),
        ["start done 1", "error done 1"]
    );
    assert_eq!(walk.weights(), [json!(10), json!(0)]);

    let endless = |_: &Asked| series(1.0).after(Duration::from_mins(1));
    let walk = Walk::start(Gateway::start().await, endless).await;
    let id = walk.analysis().await;
    walk.gateway
        .until(|gateway| !gateway.calls().is_empty())
        .await;
    let (status, _) = walk
        .serin
        .client
        .delete(&format!("/standalone_canary_analysis/{id}"))
        .await;
    assert_eq!(status, 202);
    assert_eq!(
        told(&walk.settled(&id).await),
        ["start done 1", "error done 1"]
    );
    assert_eq!(walk.weights(), [json!(10), json!(0)]);
}

#[tokio::test]
async fn an_annotation_of_kubernetes_is_set_and_removed_as_documented() {
    let service = "/api/v1/namespaces/shop/services/checkout";
    let weight = "/metadata/annotations/canary.example.com~1weight";
    let gateway = Gateway::start().await;
    gateway.put(
        service,
        json!({"kind": "Service", "metadata": {"name": "checkout", "annotations": {"other": "1"}}}),
    );
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), KEY).unwrap();
    let file = operator(
        &documented("yaml")[1],
        "kubernetes.default.svc",
        &gateway,
        token.path(),
    );
    let actions = documented("json")[2].replace(
        "https://kubernetes.default.svc",
        &format!("http://{}", gateway.host),
    );
    let actions: Value = serde_json::from_str(&actions).unwrap();
    let is_worse = Arc::new(AtomicBool::new(false));
    let worse = Arc::clone(&is_worse);
    let prometheus = ScriptedPrometheus::start(move |asked| {
        let is_bad = worse.load(Ordering::SeqCst) && asked.params["query"].contains("v2");
        slowly(if is_bad { 9.0 } else { 1.0 })
    })
    .await;
    let serin = Serin::start_with(&prometheus.url, &FORGETFUL, Some(&file)).await;
    let mut body = retrospective(20);
    body["executionRequest"]["actions"] = actions;
    body["executionRequest"]["scopes"][0]["experimentLocation"] = json!("shop");
    let path = "/standalone_canary_analysis?application=checkout";
    let expected = [
        (
            false,
            vec![
                json!("10"),
                json!("30"),
                json!("60"),
                json!("90"),
                json!("100"),
            ],
        ),
        (true, vec![json!("10"), Value::Null]),
    ];
    let mut before = 0;
    for (worse, expected) in expected {
        is_worse.store(worse, Ordering::SeqCst);
        let id = start(&serin.client, path, &body).await;
        settled(&serin.client, "standalone_canary_analysis", &id).await;
        assert_eq!(gateway.set(service, weight)[before..], expected);
        before += expected.len();
    }
    assert_eq!(
        gateway.document(service)["metadata"]["annotations"],
        json!({"other": "1"})
    );
}

#[tokio::test]
async fn what_may_not_be_called_is_refused_before_anything_starts() {
    let gateway = Gateway::start().await;
    let file = hosts(&gateway, ", paths: [/allowed]");
    let serin = Serin::start_with("http://127.0.0.1:9", &[], Some(&file)).await;
    let none = Serin::start("http://127.0.0.1:9").await;
    let here = format!("http://{}/allowed", gateway.host);
    let cases = [
        (
            json!({"pass": {"url": "http://elsewhere:80/x"}}),
            "actions.pass[0].url: must lead to where actions may go: actions.hosts of serin's configuration does not allow 'elsewhere/x'",
        ),
        (
            json!({"pass": {"url": "http://169.254.169.254/latest"}}),
            "does not allow '169.254.169.254/latest'",
        ),
        (
            json!({"pass": {"url": format!("http://{}/other", gateway.host)}}),
            "does not allow '127.0.0.1:",
        ),
        (
            json!({"pass": {"url": format!("{here}/../other")}}),
            "does not allow",
        ),
        (
            json!({"pass": {"url": here.replace("http://", "http://u:p@")}}),
            "must not hold credentials",
        ),
        (
            json!({"pass": {"url": here.replace("http://", "ftp://")}}),
            "must begin with 'http://' or 'https://'",
        ),
        (
            json!({"pass": {"url": "{{ experiment }}"}}),
            "actions.pass[0].url: must be a URL",
        ),
        (
            json!({"fail": [{"url": here}, {"url": here, "body": "{{ nosuch }}"}]}),
            "actions.fail[1].body: its template cannot be written: undefined value",
        ),
        (
            json!({"fail": {"url": here, "mergepatch": {}}}),
            "the actions of the request cannot be taken: actions.fail.mergepatch: unknown field",
        ),
        (
            json!({"fail": {"url": here, "headers": {"authorization": "Bearer x"}}}),
            "actions.fail[0].headers.authorization: 'authorization' is set by serin",
        ),
        (
            json!([]),
            "the actions of the request cannot be taken: actions: actions by their event",
        ),
    ];
    for (actions, expected) in cases {
        let (status, answer) = serin.client.post("/canary", &canary(&actions)).await;
        let message = answer["message"].as_str().unwrap();
        assert!(
            status == 400 && message.contains(expected),
            "{actions}: {status} {message}"
        );
        assert!(!message.contains("u:p"), "{message}");
    }
    let mut analysis = retrospective(20);
    analysis["canaryConfig"]["actions"] =
        json!({"interval": {"url": here, "body": "{{ [1, 2][number - 1] }}"}});
    let (status, answer) = serin
        .client
        .post("/standalone_canary_analysis", &analysis)
        .await;
    let message = answer["message"].as_str().unwrap();
    assert!(
        status == 400 && message.contains("(tried with number 3)"),
        "{message}"
    );
    let (status, answer) = none
        .client
        .post("/canary", &canary(&json!({"pass": {"url": here}})))
        .await;
    assert!(
        status == 400
            && answer["message"]
                .as_str()
                .unwrap()
                .contains("actions.hosts"),
        "{answer}"
    );
    assert_eq!(
        serin.client.get("/canary/executions").await,
        (200, json!([]))
    );
    assert!(gateway.calls().is_empty());
}

#[tokio::test]
async fn a_token_goes_by_https_unless_http_is_named_and_a_verdict_has_a_score() {
    let gateway = Gateway::start().await;
    let file = hosts(&gateway, &format!(", token: {KEY}"));
    let url = format!("http://{}/x", gateway.host);
    let rounded = json!({"url": url, "body": "{{ score | round }}"});
    let cases = [
        (
            file.clone(),
            json!({"pass": {"url": url}}),
            Some("actions.pass[0].url: must not begin with 'http://'"),
        ),
        (
            in_the_clear(&file),
            json!({"fail": rounded}),
            Some("(tried at 'error')"),
        ),
        (
            in_the_clear(&file),
            json!({"pass": rounded, "fail": rounded, "error": []}),
            None,
        ),
    ];
    for (file, actions, expected) in cases {
        let serin = Serin::start_with("http://127.0.0.1:9", &[], Some(&file)).await;
        let (status, answer) = serin.client.post("/canary", &canary(&actions)).await;
        let message = answer["message"].as_str().unwrap_or_default();
        match expected {
            Some(expected) => assert!(status == 400 && message.contains(expected), "{message}"),
            None => assert_eq!(status, 200, "{message}"),
        }
    }
}

#[tokio::test]
async fn a_stored_config_is_kept_as_it_came_and_its_editor_is_told() {
    let gateway = Gateway::start().await;
    let serin = Serin::start_with("", &[], Some(&hosts(&gateway, ""))).await;
    let mut config = crate::executions::config(&["latency"]);
    config["id"] = json!("checkout");
    config["name"] = json!("checkout");
    config["applications"] = json!(["web"]);
    config["actions"] = json!({
        "start": {"url": format!("http://{}/x", gateway.host), "mergePatch": {"a": null}},
        "pass": {"url": "http://elsewhere/x", "body": {"a": "{{ 1 + }}"}},
    });
    assert_eq!(serin.client.post("/canaryConfig", &config).await.0, 200);
    let (_, stored) = serin.client.get("/canaryConfig/checkout").await;
    assert_eq!(stored["actions"], config["actions"]);
    let own = &serin.service.app.config;
    let (_, found) = serin::run::configs::examine(own, &config.to_string());
    let found: Vec<String> = found
        .iter()
        .map(|finding| finding.fault.path.to_string())
        .collect();
    assert_eq!(found, ["actions.pass[0].body.a", "actions.pass[0].url"]);
}

#[tokio::test]
async fn a_request_wins_over_the_config_by_event_and_a_canary_has_no_intervals() {
    let gateway = Gateway::start().await;
    let prometheus = ScriptedPrometheus::start(|_| slowly(1.0)).await;
    let serin = Serin::start_with(&prometheus.url, &[], Some(&with_key(&gateway))).await;
    let put = |path: &str| json!({"url": format!("http://{}/apisix/admin/{path}", gateway.host), "method": "PUT", "body": {"application": "{{ application }}"}});
    let mut body = canary(&json!({"pass": [put("a"), put("b")]}));
    body["canaryConfig"]["actions"] =
        json!({"start": put("start"), "interval": put("i"), "pass": put("c"), "fail": put("f")});
    let id = serin
        .client
        .start_canary("/canary?application=web", &body)
        .await;
    let actions = settled(&serin.client, "canary", &id).await;
    assert_eq!(
        told(&actions),
        ["start done 1", "pass done 1", "pass done 1"]
    );
    let calls = gateway.calls();
    let paths: Vec<&str> = calls
        .iter()
        .map(|call| call.path.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(paths, ["start", "a", "b"]);
    assert_eq!(calls[0].body, "{\"application\":\"web\"}");
    for page in [
        format!("/ui/runs/{id}"),
        format!("/ui/runs/{id}/report.html"),
    ] {
        let (_, text) = serin.client.get(&page).await;
        assert!(
            text.as_str().unwrap().contains("/apisix/admin/start"),
            "{page}"
        );
    }
    assert_eq!(
        serin
            .client
            .get(&format!("/standalone_canary_analysis/{id}/actions"))
            .await
            .0,
        400
    );
    assert_eq!(serin.client.get("/canary/nosuch/actions").await.0, 404);
    let without = serin
        .client
        .start_canary("/canary", &adhoc(&["latency"]))
        .await;
    assert_eq!(
        serin
            .client
            .get(&format!("/canary/{without}/actions"))
            .await,
        (200, json!([]))
    );
}

#[tokio::test]
async fn what_is_not_taken_is_tried_again_and_what_is_refused_is_not() {
    let prometheus = ScriptedPrometheus::start(|_| slowly(1.0)).await;
    let script = |call: &Call, before: usize| match call.path.as_str() {
        "/fails" if before < 3 => Some([500, 429, 503][before]),
        "/fails" => Some(204),
        "/gone" => Some(410),
        "/moved" => Some(302),
        "/down" => Some(503),
        _ => Some(200),
    };
    let gateway = Gateway::failing(script).await;
    let more = format!(", token: {KEY}, secret: the secret");
    let serin = Serin::start_with(
        &prometheus.url,
        &[],
        Some(&in_the_clear(&hosts(&gateway, &more))),
    )
    .await;
    let to = |path: &str| json!({"url": format!("http://{}/{path}", gateway.host), "body": {"weight": 1}, "patienceSeconds": 60});
    let mut down = to("down");
    down["patienceSeconds"] = json!(3);
    let actions = json!({"pass": [to("fails"), to("gone"), to("moved"), down, to("last")]});
    let id = serin
        .client
        .start_canary("/canary", &canary(&actions))
        .await;
    let actions = settled(&serin.client, "canary", &id).await;
    assert_eq!(
        told(&actions),
        [
            "pass done 4",
            "pass failed 1",
            "pass failed 1",
            "pass failed 2",
            "pass done 1"
        ]
    );
    let message = |at: usize| actions[at]["message"].as_str().unwrap();
    assert_eq!(
        message(1),
        "it was answered with 410: {\"error_msg\":\"as the script says\"}"
    );
    assert!(
        message(2).ends_with("a redirect is not followed"),
        "{}",
        message(2)
    );
    assert_eq!(
        (&actions[3]["status"], &actions[4]["message"]),
        (&json!(503), &Value::Null)
    );
    let calls = gateway.calls();
    for call in &calls[..4] {
        assert_eq!(
            call.header("idempotency-key"),
            calls[0].header("idempotency-key")
        );
        assert_eq!(call.header("authorization"), format!("Bearer {KEY}"));
        assert!(crate::notifications::is_signed(
            call.header("x-serin-signature"),
            &call.body,
            "the secret"
        ));
    }
}

#[tokio::test]
async fn a_wrong_token_fails_at_once_and_is_told_to_nobody() {
    let walk = Walk::start(Gateway::start().await, |_| slowly(1.0)).await;
    std::fs::write(walk.key.path(), "a wrong key").unwrap();
    let id = walk.analysis().await;
    let actions = walk.settled(&id).await;
    assert_eq!(
        told(&actions),
        ["start failed 1", "interval1 failed 1", "pass failed 1"]
    );
    assert_eq!(actions[0]["status"], 401);
    assert!(
        actions[0]["message"]
            .as_str()
            .unwrap()
            .contains("wrong apikey")
    );
    assert!(!json!(actions).to_string().contains("a wrong key"));
    assert!(walk.weights().is_empty());
}

#[tokio::test]
async fn a_later_event_overtakes_what_is_tried_again() {
    // The gateway takes nothing until the analysis has failed.
    let open = Arc::new(AtomicBool::new(false));
    let is_open = Arc::clone(&open);
    let script = move |_: &Call, _| (!is_open.load(Ordering::SeqCst)).then_some(503);
    let walk = Walk::start(Gateway::failing(script).await, worse_after(2)).await;
    let id = walk.analysis().await;
    let path = format!("/standalone_canary_analysis/{id}?wait=20s");
    assert_eq!(walk.serin.client.get(&path).await.1["complete"], true);
    open.store(true, Ordering::SeqCst);
    let actions = walk.settled(&id).await;
    let outcomes: Vec<&Value> = actions.iter().map(|action| &action["outcome"]).collect();
    assert_eq!(outcomes, ["superseded", "superseded", "done"]);
    assert_eq!(walk.weights(), [json!(0)]);
}

#[tokio::test]
async fn what_is_under_way_ends_before_what_overtakes_it() {
    // The first call is never answered.
    let gateway = Gateway::failing(|_, before| (before == 0).then_some(0)).await;
    let walk = Walk::start(gateway, worse_after(0)).await;
    let id = walk.analysis().await;
    let actions = walk.settled(&id).await;
    assert_eq!(told(&actions), ["start superseded 1", "fail done 1"]);
    assert_eq!(walk.weights(), [json!(0)]);
    let time = |at: usize, member: &str| actions[at][member].as_str().unwrap().to_owned();
    assert!(time(0, "endTimeIso") <= time(1, "startTimeIso"));
}

#[tokio::test]
async fn a_kill_between_a_verdict_and_its_call_loses_nothing() {
    let prometheus = ScriptedPrometheus::start(|_| slowly(1.0)).await;
    let open = Arc::new(AtomicBool::new(false));
    let is_open = Arc::clone(&open);
    let script = move |_: &Call, _| (!is_open.load(Ordering::SeqCst)).then_some(503);
    let gateway = Gateway::failing(script).await;
    with_route(&gateway);
    let list = format!(
        "[{{host: 'http://{}', header: X-API-KEY, token: {KEY}}}]",
        gateway.host
    );
    let variables = [("SERIN__ACTIONS__HOSTS", list.as_str())];
    let folder = tempfile::tempdir().unwrap();
    let run =
        async || Process::start_with(folder.path(), &prometheus.url, free_port(), &variables).await;
    let mut serin = run().await;
    let weight = json!({"plugins": {"traffic-split": {"rules": [{"weighted_upstreams": [{"weight": 100}]}]}}});
    let actions =
        json!({"pass": {"url": format!("http://{}{ROUTE}", gateway.host), "mergePatch": weight}});
    let id = serin
        .client
        .start_canary("/canary", &canary(&actions))
        .await;
    gateway.until(|gateway| !gateway.calls().is_empty()).await;
    serin.kill();
    open.store(true, Ordering::SeqCst);
    let serin = run().await;
    let actions = settled(&serin.client, "canary", &id).await;
    assert_eq!(actions[0]["outcome"], "done");
    assert_eq!(gateway.set(ROUTE, WEIGHT), [json!(100)]);
    let calls = gateway.calls();
    let key = calls[0].header("idempotency-key");
    assert!(
        !key.is_empty()
            && calls
                .iter()
                .all(|call| call.header("idempotency-key") == key)
    );
}

#[tokio::test]
async fn of_two_replicas_one_calls_and_in_order() {
    let Some(database) = new_database().await else {
        return;
    };
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let gateway = Gateway::start().await;
    let file = with_key(&gateway);
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().display().to_string();
    let keys = [
        ("database.url", database.as_str()),
        ("storage.directory", directory.as_str()),
    ];
    let (one, two) = tokio::join!(
        Serin::start_with(&prometheus.url, &keys, Some(&file)),
        Serin::start_with(&prometheus.url, &keys, Some(&file))
    );
    let put = |step: usize| json!({"url": format!("http://{}/apisix/admin/{{{{ application }}}}", gateway.host), "method": "PUT", "body": {"step": step}});
    let actions = json!({"pass": [put(0), put(1), put(2), put(3)]});
    let mut ids = Vec::new();
    for number in 0..10 {
        let serin = if number % 2 == 0 { &one } else { &two };
        let path = format!("/canary?application=a{number}");
        ids.push(serin.client.start_canary(&path, &canary(&actions)).await);
    }
    for (number, id) in ids.iter().enumerate() {
        let actions = settled(&two.client, "canary", id).await;
        assert_eq!(told(&actions), ["pass done 1"; 4]);
        let steps = gateway.set(&format!("/apisix/admin/a{number}"), "/step");
        assert_eq!(steps, [0, 1, 2, 3]);
    }
}

#[tokio::test]
async fn a_ca_file_vouches_for_a_host() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let port = crate::prometheus_tls::serve();
    let ca = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/prometheus_tls/ca.pem"
    );
    let actions = json!({"pass": {"url": format!("https://localhost:{port}/x"), "method": "DELETE", "patienceSeconds": 1}});
    for (more, outcome) in [
        (String::new(), "failed"),
        (format!(", caFile: '{ca}'"), "done"),
    ] {
        let file = format!("actions: {{hosts: [{{host: 'localhost:{port}'{more}}}]}}");
        let serin = Serin::start_with(&prometheus.url, &[], Some(&file)).await;
        let id = serin
            .client
            .start_canary("/canary", &canary(&actions))
            .await;
        let actions = settled(&serin.client, "canary", &id).await;
        assert_eq!(actions[0]["outcome"], outcome, "{actions:?}");
    }
}

#[test]
fn the_examples_of_the_reference_are_what_serin_takes() {
    let document = include_str!("../../docs/actions.md");
    let blocks = examples(document, "json");
    let first: Value = serde_json::from_str(&blocks[0]).unwrap();
    serin::canary::Actions::read(&first["actions"]).unwrap();
    let records: Vec<serin::canary::ActionRecord> = serde_json::from_str(&blocks[1]).unwrap();
    let again = serde_json::to_value(&records).unwrap();
    assert_eq!(again, serde_json::from_str::<Value>(&blocks[1]).unwrap());
}
