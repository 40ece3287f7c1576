//! What a running Kayenta asked of other sources, made of their answers, and answered itself.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use serin::clock::Clock;
use serin::metrics::MetricSource;

use super::open;
use crate::harness::{Client, Serin, answer, golden_lines};
use crate::prometheus_source::Asking;
use crate::replay::documented::Documented;
use crate::stand_in::{Asked, StandIn};

/// Headers that carry keys, and what is sent. Google's stand-in is asked without a token here: the tests of
/// tokens have theirs.
const COMPARED: [&str; 5] = [
    "dd-api-key",
    "dd-application-key",
    "x-sf-token",
    "x-query-key",
    "content-type",
];
/// Names of metrics are asked for anew by each case.
const ONCE: &str = "metadataCachingIntervalMS: 1";
/// Where Atlas was as it was recorded.
const ATLAS: &str = "https://localhost:9417";
const STORE: &str = "memory: {enabled: true, accounts: [{name: in-memory-account, \
     supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]}]}";

#[tokio::test(flavor = "multi_thread")]
async fn datadog_is_asked_and_read_as_kayenta_does_or_as_documented() {
    let accounts = format!(
        "datadog: {{enabled: true, queryDeadline: 20s, {ONCE}, accounts: [{{name: my-datadog, \
         apiKey: dd-api-key, applicationKey: dd-application-key, endpoint: {{baseUrl: '<url>'}}}}]}}"
    );
    play("datadog", "### Datadog", &accounts, 85).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signalfx_is_asked_and_read_as_kayenta_does_or_as_documented() {
    let accounts = "signalfx: {enabled: true, queryDeadline: 20s, accounts: [{name: my-signalfx, \
         accessToken: sfx-access-token, defaultScopeKey: server_group, \
         defaultLocationKey: server_region, endpoint: {baseUrl: '<url>'}}, \
         {name: my-signalfx-no-defaults, accessToken: sfx-access-token, endpoint: {baseUrl: '<url>'}}]}";
    play("signalfx", "### SignalFx", accounts, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stackdriver_is_asked_and_read_as_kayenta_does_or_as_documented() {
    let accounts = format!(
        "stackdriver: {{enabled: true, queryDeadline: 20s, {ONCE}}}\n  google: {{enabled: true, accounts: \
         [{{name: my-google, project: my-project, supportedTypes: [METRICS_STORE], \
         endpoint: {{baseUrl: '<url>'}}}}]}}"
    );
    play("stackdriver", "### Stackdriver", &accounts, 90).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_relic_is_asked_and_read_as_kayenta_does_or_as_documented() {
    let accounts = "newrelic: {enabled: true, queryDeadline: 20s, accounts: [{name: my-newrelic, \
         apiKey: nr-query-key, applicationKey: '1234567', defaultScopeKey: server_group, \
         defaultLocationKey: server_region, endpoint: {baseUrl: '<url>'}}, \
         {name: my-newrelic-no-defaults, apiKey: nr-query-key, applicationKey: '1234567', \
         endpoint: {baseUrl: '<url>'}}]}";
    play("newrelic", "### New Relic", accounts, 90).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn graphite_is_asked_and_read_as_kayenta_does_or_as_documented() {
    let accounts = "graphite: {enabled: true, queryDeadline: 20s, accounts: [{name: my-graphite, \
         endpoint: {baseUrl: '<url>'}}]}";
    play("graphite", "### Graphite", accounts, 60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn influxdb_is_asked_and_read_as_kayenta_does_or_as_documented() {
    let accounts = "influxdb: {enabled: true, queryDeadline: 20s, accounts: [{name: my-influxdb, \
         endpoint: {baseUrl: '<url>'}}]}";
    play("influxdb", "### InfluxDB", accounts, 50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wavefront_is_asked_and_read_as_kayenta_does_or_as_documented() {
    let accounts = "wavefront: {enabled: true, queryDeadline: 20s, accounts: [{name: my-wavefront, \
         apiToken: wf-api-token, endpoint: {baseUrl: '<url>'}}]}";
    play("wavefront", "### Wavefront", accounts, 34).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn atlas_is_asked_and_read_as_kayenta_does_or_as_documented() {
    let accounts = "atlas: {enabled: true, queryDeadline: 20s, accounts: [{name: my-atlas, \
         fetchId: my-fetch-id, backendsJsonBaseUrl: '<directory>'}]}";
    play("atlas", "### Atlas", accounts, 24).await;
}

/// Every case of a service: queries by the library, the rest by the API. What differs must stand in the table
/// below that heading, with what serin says or does.
async fn play(service: &str, heading: &str, accounts: &str, least: usize) {
    let stand_in = StandIn::start().await;
    let directory = super::atlas::directory(&stand_in.url).await;
    let accounts = accounts.replace("<directory>", &directory.url);
    let accounts = accounts.replace("<url>", &stand_in.url);
    let sources = open(&accounts);
    let retry = "metrics: {retry: {attempts: 3, backoffPeriodMultiplierMs: 5}}";
    let file = format!("kayenta:\n  {STORE}\n  {retry}\n  {accounts}\n");
    let serin = Serin::start_with("", &[], Some(&file)).await;
    let mut documented = Documented::below(heading);
    let (mut same, mut unexplained) = (0, Vec::new());
    for case in golden_lines(&format!("sources/{service}.jsonl.gz")) {
        // Atlas tells itself where it is.
        let case = case.to_string().replace(ATLAS, &stand_in.url);
        let case: Value = serde_json::from_str(&case).unwrap();
        let id = case["id"].as_str().unwrap();
        let source = &sources[case["account"].as_str().unwrap()];
        let differences = match case["kind"].as_str().unwrap() {
            "query" => queried(&stand_in, source, &case, &case).await,
            "pair" => {
                let mut both = queried(&stand_in, source, &case, &case["control"]).await;
                both.extend(queried(&stand_in, source, &case, &case["experiment"]).await);
                both
            }
            "fetch" => fetched(&stand_in, &serin.client, &case).await,
            "metadata" => listed(&stand_in, &serin.client, &case).await,
            kind => panic!("{id} is a {kind}"),
        };
        same += usize::from(differences.is_empty());
        let differences = differences.into_iter();
        let new = differences.filter(|difference| !documented.explains(id, difference));
        unexplained.extend(new.map(|difference| format!("{id}: {difference}")));
    }
    assert!(
        unexplained.is_empty(),
        "{service}, unexplained:\n{}",
        unexplained.join("\n")
    );
    assert!(least <= same, "{service}: {same} are the same");
    assert_eq!(documented.unused(), [""; 0], "no recording needs them");
    serin.service.stop().await;
}

/// One side of a metric, by the library.
async fn queried(
    stand_in: &StandIn,
    source: &Arc<dyn MetricSource>,
    case: &Value,
    side: &Value,
) -> Vec<String> {
    replay(stand_in, side);
    let config = json!({"templates": case["templates"]});
    let asking = Asking::of(&config, &case["canaryMetricConfig"], &side["scope"]);
    let fetched = asking.fetch(source).await;
    let mut differences = requests_differ(stand_in, side);
    match (fetched, side["metricSets"].as_array()) {
        (Ok(sets), Some(wanted)) => {
            differences.extend(sets_differ(&serde_json::to_value(sets).unwrap(), wanted));
        }
        (Ok(sets), None) => differences.push(format!(
            "gives {}",
            serde_json::to_value(&sets[0]).unwrap()["values"]
        )),
        (Err(error), Some(_)) => differences.push(format!("tells {error}")),
        (Err(_), None) => {}
    }
    differences
}

/// A query tried by itself, through the API.
async fn fetched(stand_in: &StandIn, client: &Client, case: &Value) -> Vec<String> {
    replay(stand_in, case);
    let fetch = &case["fetch"];
    let query: Vec<(String, String)> = serde_json::from_value(fetch["query"].clone()).unwrap();
    let url = format!("{}{}", client.url, fetch["path"].as_str().unwrap());
    let mut request = client.http.post(url).query(&query);
    if fetch["body"].is_object() {
        request = request.json(&fetch["body"]);
    }
    let (status, told) = answer(request).await;
    let mut differences = requests_differ(stand_in, case);
    let wanted = case["status"].as_u64().unwrap();
    // Which error of its own Kayenta's is, is an accident.
    let is_wanted = u64::from(status) == wanted || 500 <= wanted && 400 <= status;
    if !is_wanted {
        differences.push(format!("answers {status} {}", told["message"]));
    } else if let Some(response) = case["response"].as_object() {
        let response = Value::Object(response.clone());
        differences.extend(members_differ(&told, &response));
    } else if let Some(wanted) = case["metricSets"].as_array() {
        let id = told["metricSetListId"].as_str().unwrap();
        let path = format!("/metricSetList/{id}?accountName=in-memory-account");
        let (_, sets) = client.get(&path).await;
        differences.extend(sets_differ(&sets, wanted));
    }
    differences
}

/// Names of metrics, through the API.
async fn listed(stand_in: &StandIn, client: &Client, case: &Value) -> Vec<String> {
    replay(stand_in, case);
    // What another case was told is forgotten by then.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let url = format!("{}/metadata/metricsService", client.url);
    let account = [("metricsAccountName", case["account"].as_str())];
    let filter = [("filter", case["filter"].as_str())];
    let request = client.http.get(url).query(&account).query(&filter);
    let (status, told) = answer(request).await;
    let mut differences = requests_differ(stand_in, case);
    let sorted = |names: &Value| {
        let mut names = names.as_array().unwrap().clone();
        names.sort_by_key(|name| name["name"].as_str().map(str::to_owned));
        names
    };
    if case["status"] != 200 {
        if status == 200 {
            differences.push(format!("answers {status} {told}"));
        }
        return differences;
    }
    let (names, wanted) = (sorted(&told), sorted(&case["response"]));
    if status != 200 || names.len() != wanted.len() {
        differences.push(format!("answers {status} {told}"));
    }
    let pairs = names.iter().zip(&wanted);
    differences.extend(pairs.filter_map(|(name, wanted)| members_differ(name, wanted)));
    differences
}

/// The recorded replies. Kayenta read first pages only, so what follows is empty.
fn replay(stand_in: &StandIn, side: &Value) {
    let mut replies = unfolded(side, "reply");
    let body = replies.last().and_then(|reply| reply["body"].as_str());
    if body.is_some_and(|body| body.contains("nextPageToken")) {
        replies.push(super::reply("application/json", "{}"));
    }
    stand_in.play(replies);
}

/// A part of each exchange, as often as it took place.
fn unfolded(side: &Value, part: &str) -> Vec<Value> {
    let exchanges = side["exchanges"].as_array().unwrap().iter();
    let unfolded = exchanges.flat_map(|exchange| {
        let times = usize::try_from(exchange["times"].as_u64().unwrap_or(1)).unwrap();
        std::iter::repeat_n(exchange[part].clone(), times)
    });
    unfolded.collect()
}

/// What was asked otherwise: how often, else the first thing in each request.
fn requests_differ(stand_in: &StandIn, side: &Value) -> Vec<String> {
    let asked: Vec<Value> = stand_in.asked().iter().map(compared).collect();
    let wanted: Vec<Value> = unfolded(side, "request").iter().map(recorded).collect();
    if asked.len() != wanted.len() {
        return vec![format!("asks {} times", asked.len())];
    }
    let pairs = asked.iter().zip(&wanted);
    let differing = pairs.filter_map(|(asked, wanted)| {
        let wanted = wanted.as_object().unwrap();
        let (member, wanted) = wanted
            .iter()
            .find(|(name, value)| asked[*name] != **value)?;
        let asked = &asked[member];
        let new = asked.as_array().into_iter().flatten();
        let new = new.filter(|param| wanted.as_array().is_none_or(|them| !them.contains(param)));
        let new: Vec<&Value> = new.collect();
        Some(match new.as_slice() {
            [] => format!("asks {member} {asked}"),
            [param, ..] => format!("asks {}={}", param[0].as_str()?, param[1].as_str()?),
        })
    });
    differing.collect()
}

fn sets_differ(sets: &Value, wanted: &[Value]) -> Vec<String> {
    let sets = sets.as_array().unwrap();
    if sets.len() != wanted.len() {
        return vec![format!("gives {} sets", sets.len())];
    }
    let pairs = sets.iter().zip(wanted);
    let differing = pairs.filter_map(|(set, wanted)| members_differ(set, wanted));
    differing.collect()
}

/// The first member that differs; there may be more members and attributes.
fn members_differ(here: &Value, wanted: &Value) -> Option<String> {
    let mut wanted = wanted.as_object().unwrap().iter();
    wanted.find_map(|(name, wanted)| match name.as_str() {
        "attributes" => members_differ(&here[name], wanted),
        name => (here[name] != *wanted).then(|| format!("gives {name} {}", here[name])),
    })
}

fn compared(asked: &Asked) -> Value {
    let headers = asked.headers.iter();
    let headers = headers.filter(|(name, _)| COMPARED.contains(&name.as_str()));
    let headers: BTreeMap<_, _> = headers.collect();
    let query = asked.query.iter().map(|(name, value)| {
        let is_an_hour_ago = asked.path == "/api/v1/metrics" && name == "from";
        let is_drawn = name == "kayentaQueryUUID" && uuid::Uuid::parse_str(value).is_ok();
        let value = if is_drawn {
            "<uuid>"
        } else if is_an_hour_ago {
            an_hour_ago(value)
        } else {
            value
        };
        (name, value)
    });
    let query: Vec<_> = query.collect();
    json!({"method": asked.method, "path": asked.path, "query": query, "headers": headers, "body": asked.body})
}

/// As the recordings write it.
fn an_hour_ago(seconds: &str) -> &str {
    let ago = Clock::System.now_millis() / 1000 - seconds.parse::<i64>().unwrap();
    if (3_600..3_720).contains(&ago) {
        "<now - 3600>"
    } else {
        seconds
    }
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
