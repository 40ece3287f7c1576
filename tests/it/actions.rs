//! What executions call as they go on: in which order, how often, and where never.

mod refused;
mod sending;
mod walk;

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
