//! Other sources than Prometheus, against what a running Kayenta asked of them and made of their answers.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Value, json};
use serin::canary::iso_from_millis;
use serin::clock::Clock;
use serin::config::{LoadOptions, load_from};
use serin::metrics::{self, MetricSource};

use crate::google::{Google, token};
use crate::harness::{Serin, golden_lines};
use crate::prometheus_source::Asking;
use crate::replay::documented::matches;
use crate::scripted_prometheus::{Reply as PrometheusReply, ScriptedPrometheus};
use crate::stand_in::{Asked, StandIn};

/// Headers that carry keys, and what is sent. Google's stand-in is asked without a token here: the tests of
/// tokens have theirs.
const COMPARED: [&str; 4] = [
    "dd-api-key",
    "dd-application-key",
    "x-sf-token",
    "content-type",
];

#[tokio::test(flavor = "multi_thread")]
async fn datadog_is_asked_and_read_as_kayenta_does_or_as_documented() {
    play("datadog", DATADOG, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signalfx_is_asked_and_read_as_kayenta_does_or_as_documented() {
    let accounts = "signalfx: {enabled: true, queryDeadline: 20s, accounts: [{name: my-signalfx, \
         accessToken: sfx-access-token, defaultScopeKey: server_group, \
         defaultLocationKey: server_region, endpoint: {baseUrl: '<url>'}}, \
         {name: my-signalfx-no-defaults, accessToken: sfx-access-token, endpoint: {baseUrl: '<url>'}}]}";
    play("signalfx", accounts, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stackdriver_is_asked_and_read_as_kayenta_does_or_as_documented() {
    let accounts = "stackdriver: {enabled: true, queryDeadline: 20s}\n  google: {enabled: true, accounts: \
         [{name: my-google, project: my-project, supportedTypes: [METRICS_STORE], \
         endpoint: {baseUrl: '<url>'}}]}";
    play("stackdriver", accounts, 80).await;
}

/// Every stand-in gives these values, a minute apart.
fn values(side: &str) -> Vec<f64> {
    let shift = if side == "v2" { 10.0 } else { 0.0 };
    (0..30).map(|at| f64::from(at % 7) + shift).collect()
}

const START: i64 = 1_717_200_000;

fn reply(kind: &str, body: &str) -> Value {
    json!({"status": 200, "headers": {"content-type": kind}, "body": body})
}

fn datadog(values: &[f64]) -> Value {
    let points = values.iter().zip(0_i64..);
    let points: Vec<Value> = points
        .map(|(value, at)| json!([(START + 60 * at) * 1000, value]))
        .collect();
    let series = json!([{"start": START * 1000, "end": (START + 60 * 30) * 1000 - 1, "interval": 60, "pointlist": points}]);
    reply(
        "application/json",
        &json!({"status": "ok", "series": series}).to_string(),
    )
}

fn signalfx(values: &[f64]) -> Value {
    let mut body = String::new();
    for (value, at) in values.iter().zip(0_i64..) {
        let data = json!({"data": [{"tsId": "A", "value": value}], "logicalTimestampMs": (START + 60 * at) * 1000});
        let _ = write!(body, "event: data\ndata: {data}\n\n");
    }
    body += "event: control-message\ndata: {\"event\": \"END_OF_CHANNEL\"}\n\n";
    reply("text/event-stream", &body)
}

fn stackdriver(values: &[f64]) -> Value {
    let points = values.iter().zip(0_i64..);
    let mut points: Vec<Value> = points
        .map(|(value, at)| {
            let time = iso_from_millis((START + 60 * at) * 1000);
            json!({"interval": {"startTime": time, "endTime": time}, "value": {"doubleValue": value}})
        })
        .collect();
    points.reverse();
    let series = json!([{"valueType": "DOUBLE", "points": points}]);
    reply(
        "application/json",
        &json!({"timeSeries": series}).to_string(),
    )
}

/// One of each kind.
fn accounts(prometheus: &str, urls: &[String]) -> String {
    let types = "supportedTypes: [METRICS_STORE]";
    format!(
        "kayenta:\n  prometheus: {{enabled: true, accounts: [{{name: p, endpoint: {{baseUrl: '{}'}}}}]}}\n  \
         datadog: {{enabled: true, accounts: [{{name: d, apiKey: k, applicationKey: k, endpoint: {{baseUrl: '{}'}}}}]}}\n  \
         signalfx: {{enabled: true, accounts: [{{name: s, accessToken: t, defaultScopeKey: version, endpoint: {{baseUrl: '{}'}}}}]}}\n  \
         google: {{enabled: true, accounts: [{{name: g, project: p, {types}, endpoint: {{baseUrl: '{}'}}}}]}}\n  \
         stackdriver: {{enabled: true}}\n  \
         memory: {{enabled: true, accounts: [{{name: m, supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]}}]}}\n",
        prometheus, urls[0], urls[1], urls[2]
    )
}

fn queries() -> [(&'static str, Value); 4] {
    [
        (
            "of prometheus",
            json!({"type": "prometheus", "customInlineTemplate": "PromQL:m{version=\"${scope}\"}"}),
        ),
        (
            "of datadog",
            json!({"type": "datadog", "metricName": "avg:m"}),
        ),
        (
            "of signalfx",
            json!({"type": "signalfx", "metricName": "m"}),
        ),
        (
            "of stackdriver",
            json!({
                "type": "stackdriver", "metricType": "m", "resourceType": "x", "customInlineTemplate": "v=\"${scope}\"",
            }),
        ),
    ]
}

fn canary(queries: &[(&str, Value)]) -> Value {
    let metric = |name: &str, query: Value| {
        json!({
            "name": name, "query": query, "groups": ["g"], "scopeName": "default",
            "analysisConfigurations": {"canary": {"direction": "increase"}},
        })
    };
    let metrics: Vec<Value> = queries
        .iter()
        .map(|(name, query)| metric(name, query.clone()))
        .collect();
    let scope = |scope: &str| {
        let end = iso_from_millis((START + 60 * 30) * 1000);
        json!({"scope": scope, "start": iso_from_millis(START * 1000), "end": end, "step": 60})
    };
    json!({
        "canaryConfig": {"name": "mixed", "applications": ["a"], "metrics": metrics,
            "classifier": {"groupWeights": {"g": 100}}},
        "executionRequest": {
            "scopes": {"default": {"controlScope": scope("v1"), "experimentScope": scope("v2")}},
            "thresholds": {"pass": 95, "marginal": 75},
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_canary_mixes_sources() {
    let prometheus = ScriptedPrometheus::start(|asked| {
        let side = if asked.params["query"].contains("v2") {
            "v2"
        } else {
            "v1"
        };
        let values = values(side).into_iter().zip(0_i64..);
        let values: Vec<Value> = values
            .map(|(value, at)| json!([START + 60 * at, value.to_string()]))
            .collect();
        PrometheusReply::matrix(&json!([{"metric": {}, "values": values}]))
    })
    .await;
    let mut urls = Vec::new();
    for answer in [datadog, signalfx, stackdriver] {
        let stand_in = StandIn::start().await;
        stand_in.answer(move |asked| {
            let is_new = format!("{:?}{}", asked.query, asked.body).contains("v2");
            answer(&values(if is_new { "v2" } else { "v1" }))
        });
        urls.push(stand_in.url);
    }
    let yml = accounts(&prometheus.url, &urls);
    let serin = Serin::start_with("", &[], Some(&yml)).await;
    let queries = queries();
    let body = canary(&queries);
    let client = &serin.client;
    let id = client.start_canary("/canary", &body).await;
    let document = client.poll(&id).await;
    assert_eq!(document["status"], "succeeded", "{document}");
    let results = &document["result"]["judgeResult"]["results"];
    let labels: Vec<_> = results
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["classification"])
        .collect();
    assert_eq!(labels, ["High"; 4], "{results}");
    let (_, pipeline) = client.get(&format!("/pipelines/{id}")).await;
    let stages = pipeline["stages"].as_array().unwrap().iter();
    let tasks: BTreeSet<_> = stages
        .map(|stage| stage["type"].as_str().unwrap())
        .collect();
    for (name, query) in &queries {
        let task = format!("{}Fetch", query["type"].as_str().unwrap());
        assert!(tasks.contains(task.as_str()), "{tasks:?}");
        for page in [
            format!("/ui/runs/{id}"),
            format!("/ui/runs/{id}/report.html"),
        ] {
            let (status, page) = client.get(&page).await;
            assert!(
                status == 200 && page.as_str().unwrap().contains(name),
                "{name}: {page}"
            );
        }
    }

    // What is named answers nothing of the config; what nobody answers.
    let mut of_one = body.clone();
    of_one["canaryConfig"]["metrics"]
        .as_array_mut()
        .unwrap()
        .truncate(1);
    let (status, told) = client.post("/canary?metricsAccountName=d", &of_one).await;
    assert_eq!(status, 400, "{told}");
    let told = told["message"].as_str().unwrap();
    assert!(
        told.contains("'d'") && told.contains("'p' (prometheus)"),
        "{told}"
    );
    serin.service.stop().await;
}

const DATADOG: &str = "datadog: {enabled: true, queryDeadline: 20s, accounts: [{name: my-datadog, \
     apiKey: dd-api-key, applicationKey: dd-application-key, endpoint: {baseUrl: '<url>'}}]}";

/// What a query of Datadog is told when it is answered with that.
async fn told_by_datadog(replies: Vec<Value>) -> (String, usize) {
    let stand_in = StandIn::start().await;
    let sources = open(&DATADOG.replace("<url>", &stand_in.url));
    stand_in.play(replies);
    let metric = json!({"name": "m", "query": {"type": "datadog", "metricName": "avg:m"}});
    let scope = json!({"scope": "a", "start": "2024-06-01T00:00:00Z", "end": "2024-06-01T01:00:00Z", "step": 60});
    let asking = Asking::of(&json!({}), &metric, &scope);
    let told = match asking.fetch(&sources["my-datadog"]).await {
        Ok(sets) => format!("{} sets", sets.len()),
        Err(error) => error.to_string(),
    };
    (told, stand_in.asked().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_told_in_the_services_words_without_keys_and_asked_again_where_that_helps() {
    let json = |status: u16, body: &str| json!({"status": status, "headers": {"content-type": "application/json"}, "body": body});
    let limited = json!({"status": 429, "headers": {"x-ratelimit-reset": "1"}, "body": "{\"errors\": [\"Rate limit\"]}"});
    let none = r#"{"status": "ok", "series": []}"#;
    let series = |count: usize| {
        let one = r#"{"start": 0, "end": 0, "interval": 60, "pointlist": []}"#;
        format!(
            r#"{{"status": "ok", "series": [{}]}}"#,
            vec![one; count].join(",")
        )
    };
    let cases = [
        // replies                                                        told, and how often it was asked
        (
            vec![json(403, r#"{"errors": ["key dd-api-key is not valid"]}"#)],
            "key … is not valid",
            1,
        ),
        (
            vec![json(
                200,
                r#"{"status": "error", "error": "no dd-application-key"}"#,
            )],
            "no …",
            1,
        ),
        (vec![json(500, r#"{"errors": ["away"]}"#)], "away", 3),
        (vec![limited, json(200, none)], "1 sets", 2),
        (
            vec![json(200, &series(1_001))],
            "more than 1000 series (limits.series)",
            1,
        ),
        (
            vec![json(200, &series(20_001))],
            "a list of more than 20000 elements",
            1,
        ),
        (
            vec![json(
                200,
                r#"{"series": [{"start": 0, "end": 9000000000000, "interval": 1, "pointlist": []}]}"#,
            )],
            "samples (limits.samples)",
            1,
        ),
        (
            vec![json(
                200,
                r#"{"series": [{"start": 0, "end": 60000, "interval": 0, "pointlist": []}]}"#,
            )],
            "an interval of 0 s",
            1,
        ),
    ];
    for (replies, expected, times) in cases {
        let (told, asked) = told_by_datadog(replies).await;
        assert!(told.contains(expected), "{expected}: {told}");
        assert_eq!(asked, times, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn googles_tokens_go_with_queries_and_are_had_anew_when_they_are_refused() {
    let google = Google::start(|_, asked| token(&format!("token-{asked}"))).await;
    let person = json!({
        "type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r",
        "token_uri": format!("{}/token", google.url),
    });
    let file = google.write("person.json", person.to_string());
    let stand_in = StandIn::start().await;
    let accounts = format!(
        "stackdriver: {{enabled: true}}\n  google: {{enabled: true, accounts: [{{name: stackdriver, project: p, \
         jsonPath: '{file}', supportedTypes: [METRICS_STORE], endpoint: {{baseUrl: '{url}'}}}}]}}\n  \
         prometheus: {{enabled: true, accounts: [{{name: prometheus, auth: google, jsonPath: '{file}', \
         endpoint: {{baseUrl: '{url}/v1/projects/p/location/global/prometheus'}}}}]}}",
        file = file.display(),
        url = stand_in.url,
    );
    let sources = open(&accounts);
    let queries = [
        json!({"type": "stackdriver", "metricType": "m", "resourceType": "global"}),
        json!({"type": "prometheus", "customInlineTemplate": "PromQL:up"}),
    ];
    for query in queries {
        let source = &sources[query["type"].as_str().unwrap()];
        let scope = json!({"scope": "a", "start": "2024-06-01T00:00:00Z", "end": "2024-06-01T01:00:00Z", "step": 60});
        let asking = Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope);
        let body = r#"{"status": "success", "data": {"resultType": "matrix", "result": []}}"#;
        let refused = r#"{"error": {"message": "no token-0 here", "status": "UNAUTHENTICATED"}}"#;
        let json = "application/json";
        stand_in.play(vec![
            reply(json, body),
            json!({"status": 401, "headers": {"content-type": json}, "body": refused}),
            reply(json, body),
        ]);
        assert!(asking.fetch(source).await.is_ok());
        // Another query, as what is known would not be asked for again.
        let later = json!({"scope": "a", "start": "2024-06-02T00:00:00Z", "end": "2024-06-02T01:00:00Z", "step": 60});
        let asking = Asking::of(&json!({}), &json!({"name": "m", "query": query}), &later);
        let told = asking.fetch(source).await.unwrap_err().to_string();
        assert!(told.contains("UNAUTHENTICATED: no "), "{told}");
        assert!(asking.fetch(source).await.is_ok());
        let asked = stand_in.asked();
        let bearers: Vec<&str> = asked
            .iter()
            .map(|it| it.headers["authorization"].as_str())
            .collect();
        assert_eq!(bearers[0], bearers[1]);
        assert_ne!(bearers[1], bearers[2], "{bearers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_of_a_service_is_told_with_what_came() {
    let stand_in = StandIn::start().await;
    let accounts = format!(
        "{}\n  signalfx: {{accounts: [{{name: signalfx, accessToken: t, defaultScopeKey: v, endpoint: {{baseUrl: '<url>'}}}}]}}\n  \
         stackdriver: {{enabled: true}}\n  google: {{enabled: true, accounts: [{{name: stackdriver, project: p, \
         supportedTypes: [METRICS_STORE], endpoint: {{baseUrl: '<url>'}}}}]}}",
        DATADOG.replace("my-datadog", "datadog")
    );
    let sources = open(&accounts.replace("<url>", &stand_in.url));
    let web = json!({"status": 200, "headers": {"content-type": "text/html"}, "body": "<html>sign in</html>"});
    let cases = [
        (
            web,
            "a web page (text/html) that begins '<html>sign in</html>' came from",
            1,
        ),
        (
            json!({"status": 200, "body": ""}),
            "nothing (status 200) came from",
            1,
        ),
        (
            json!({"status": 204, "body": ""}),
            "nothing (status 204) came from",
            1,
        ),
        (json!({"status": 401, "body": ""}), "Unauthorized, from", 1),
        (
            json!({"status": 503, "body": ""}),
            "Service Unavailable, from",
            3,
        ),
        (
            json!({"close": true}),
            "connection closed before message completed",
            3,
        ),
    ];
    let queries = [
        json!({"type": "datadog", "metricName": "avg:m"}),
        json!({"type": "signalfx", "metricName": "m"}),
        json!({"type": "stackdriver", "metricType": "m", "resourceType": "global"}),
    ];
    for query in queries {
        let kind = query["type"].as_str().unwrap();
        let scope = json!({"scope": "a", "start": "2024-06-01T00:00:00Z", "end": "2024-06-01T01:00:00Z", "step": 60});
        let asking = Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope);
        for (came, expected, times) in &cases {
            stand_in.play(vec![came.clone()]);
            let told = asking.fetch(&sources[kind]).await.unwrap_err().to_string();
            assert!(told.contains(expected), "{kind}, {expected}: {told}");
            assert_eq!(stand_in.asked().len(), *times, "{kind}: {told}");
        }
    }
}

/// The sources of accounts as a configuration has them.
pub fn open(accounts: &str) -> IndexMap<String, Arc<dyn MetricSource>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.yml");
    let retry = "metrics: {retry: {attempts: 3, backoffPeriodMultiplierMs: 5}}";
    std::fs::write(&file, format!("kayenta:\n  {retry}\n  {accounts}\n")).unwrap();
    let options = LoadOptions {
        file: Some(file),
        ..LoadOptions::default()
    };
    let loaded = load_from(&options, &BTreeMap::new()).unwrap();
    metrics::open(&loaded.config, &Clock::System).unwrap()
}

async fn play(service: &str, accounts: &str, least: usize) {
    let stand_in = StandIn::start().await;
    let sources = open(&accounts.replace("<url>", &stand_in.url));
    let allowed = Allowed::read(service);
    let (mut same, mut used, mut unexplained) = (0, BTreeSet::new(), Vec::new());
    for case in golden_lines(&format!("sources/{service}.jsonl.gz")) {
        let id = case["id"].as_str().unwrap();
        let sides = match case["kind"].as_str().unwrap() {
            "query" => vec![&case],
            "pair" => vec![&case["control"], &case["experiment"]],
            _ => continue,
        };
        let source = &sources[case["account"].as_str().unwrap()];
        let mut differences = Vec::new();
        for side in sides {
            differences.extend(differing(&stand_in, source, &case, side).await);
        }
        if differences.is_empty() {
            same += 1;
        } else if let Some(pattern) = allowed.explains(id) {
            used.insert(pattern.to_owned());
        } else {
            unexplained.push(format!("{id}\n    {}", differences.join("\n    ")));
        }
    }
    let told = format!("{service}: {same} same, {} rows used", used.len());
    assert!(
        unexplained.is_empty(),
        "{told}, unexplained:\n{}",
        unexplained.join("\n")
    );
    assert!(least <= same, "{told}");
    let idle: Vec<_> = allowed
        .0
        .iter()
        .filter(|row| !used.contains(*row))
        .collect();
    assert!(idle.is_empty(), "no recording needs {idle:?}");
}

/// What one side was asked and gave otherwise than recorded.
async fn differing(
    stand_in: &StandIn,
    source: &Arc<dyn MetricSource>,
    case: &Value,
    side: &Value,
) -> Vec<String> {
    let exchanges = side["exchanges"].as_array().unwrap();
    let replies = exchanges.iter().map(|exchange| exchange["reply"].clone());
    stand_in.play(replies.collect());
    let config = json!({"templates": case["templates"]});
    let asking = Asking::of(&config, &case["canaryMetricConfig"], &side["scope"]);
    let fetched = asking.fetch(source).await;
    let mut differences = Vec::new();
    let asked: Vec<Value> = stand_in.asked().iter().map(compared).collect();
    let wanted: Vec<Value> = exchanges
        .iter()
        .flat_map(|exchange| {
            let times = usize::try_from(exchange["times"].as_u64().unwrap_or(1)).unwrap();
            std::iter::repeat_n(recorded(&exchange["request"]), times)
        })
        .collect();
    if asked != wanted {
        differences.push(format!(
            "asked {} times: {asked:?}, wanted {} times: {wanted:?}",
            asked.len(),
            wanted.len()
        ));
    }
    match (fetched, side["metricSets"].as_array()) {
        (Ok(sets), Some(wanted)) => {
            let sets = serde_json::to_value(sets).unwrap();
            let sets = sets.as_array().unwrap();
            if sets.len() != wanted.len() {
                differences.push(format!("{} sets, wanted {}", sets.len(), wanted.len()));
            }
            for (set, wanted) in sets.iter().zip(wanted) {
                differences.extend(set_differs(set, wanted));
            }
        }
        (Ok(_), None) => differences.push("no error".to_owned()),
        (Err(error), Some(_)) => differences.push(error.to_string()),
        (Err(_), None) => {}
    }
    differences
}

/// More members and attributes may be there.
fn set_differs(set: &Value, wanted: &Value) -> Option<String> {
    let differs = |set: &Value, wanted: &Value| {
        wanted
            .as_object()
            .unwrap()
            .iter()
            .find_map(|(name, value)| {
                (name != "attributes" && set[name] != *value)
                    .then(|| format!("{name} is {}, wanted {value}", set[name]))
            })
    };
    differs(set, wanted).or_else(|| differs(&set["attributes"], &wanted["attributes"]))
}

fn compared(asked: &Asked) -> Value {
    let headers = asked.headers.iter();
    let headers = headers.filter(|(name, _)| COMPARED.contains(&name.as_str()));
    let headers: BTreeMap<_, _> = headers.collect();
    json!({"method": asked.method, "path": asked.path, "query": asked.query, "headers": headers, "body": asked.body})
}

fn recorded(request: &Value) -> Value {
    let mut query: Vec<(String, String)> =
        serde_json::from_value(request["query"].clone()).unwrap();
    query.sort();
    let headers = request["headers"].as_object().unwrap().iter();
    let headers: BTreeMap<_, _> = headers
        .filter(|(name, _)| COMPARED.contains(&name.as_str()))
        .collect();
    let body = request["body"].as_str().unwrap_or("");
    json!({"method": request["method"], "path": request["path"], "query": query, "headers": headers, "body": body})
}

/// The tables of `docs/kayenta.md`: which recordings differ on purpose.
struct Allowed(Vec<String>);

impl Allowed {
    fn read(service: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kayenta.md");
        let text = std::fs::read_to_string(path).unwrap();
        let (_, section) = text
            .split_once("## Recorded queries of other sources")
            .unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let patterns = rows.flat_map(|row| {
            let (names, reason) = row.trim_matches('|').split_once(" | ").unwrap();
            assert!(reason.trim().len() > 10, "a reason is wanted: {row}");
            names.split('`').skip(1).step_by(2)
        });
        let own = format!("{service}/");
        // `fetch` and `metadata` are played through the API.
        let patterns = patterns.filter(|pattern| {
            pattern.starts_with(&own)
                && !pattern.contains("/fetch/")
                && !pattern.contains("/metadata/")
        });
        Self(patterns.map(str::to_owned).collect())
    }

    fn explains(&self, id: &str) -> Option<&String> {
        self.0.iter().find(|pattern| matches(pattern, id))
    }
}
