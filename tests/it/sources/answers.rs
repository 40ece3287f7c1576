//! What services answer beyond what was recorded: formulas, groups, pages, jobs that end early.

use std::sync::Arc;

use serde_json::{Value, json};
use serin::budget::Budget;
use serin::canary::{CanaryConfig, CanaryMetricConfig, CanaryScope};
use serin::metrics::{MetricRequest, MetricSource};

use super::{ONE_OF_EACH, START, asking, open, reply};
use crate::stand_in::{Asked, StandIn};

/// The source of a kind, whose service gives these answers one after the other.
pub async fn answered(kind: &str, replies: Vec<Value>) -> (Arc<dyn MetricSource>, StandIn) {
    let stand_in = StandIn::start().await;
    let accounts = ONE_OF_EACH.replace("<url>", &stand_in.url);
    let sources = open(&accounts.replace("<deadline>", "20s"));
    stand_in.play(replies);
    (Arc::clone(&sources[kind]), stand_in)
}

pub fn of_json(body: &Value) -> Value {
    reply("application/json", &body.to_string())
}

fn params<'a>(asked: &'a Asked, name: &str) -> Vec<&'a str> {
    let params = asked.query.iter().filter(|(param, _)| param == name);
    params.map(|(_, value)| value.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn datadog_computes_a_formula_of_several_queries() {
    let attributes = json!({
        "series": [{"group_tags": ["host:a"]}, {"group_tags": ["host:b"]}],
        "times": [START * 1000, (START + 60) * 1000, (START + 180) * 1000],
        "values": [[1.0, null, 3.0], [4.0, 5.0, 6.0]],
    });
    let body = of_json(&json!({"data": {"attributes": attributes}}));
    let (source, stand_in) = answered("datadog", vec![body]).await;
    let query = json!({
        "type": "datadog", "apiVersion": "v2", "formula": "a / b",
        "queries": {"a": "sum:errors{version:${scope}}", "b": "sum:all{version:${scope}}"},
    });
    let sets = asking(&query).fetch(&source).await.unwrap();
    let sets = serde_json::to_value(sets).unwrap();
    let read = [0, 1].map(|at| {
        (
            &sets[at]["tags"],
            &sets[at]["values"],
            &sets[at]["stepMillis"],
        )
    });
    let expected = [
        (
            &json!({"host": "a"}),
            &json!([1.0, "NaN", "NaN", 3.0]),
            &json!(60_000),
        ),
        (
            &json!({"host": "b"}),
            &json!([4.0, 5.0, "NaN", 6.0]),
            &json!(60_000),
        ),
    ];
    assert_eq!(read, expected);
    let asked = &stand_in.asked()[0];
    let sent: Value = serde_json::from_str(&asked.body).unwrap();
    let part =
        |name: &str, query: &str| json!({"data_source": "metrics", "name": name, "query": query});
    let expected = json!({"data": {"type": "timeseries_request", "attributes": {
        "from": START * 1000, "to": (START + 3600) * 1000, "interval": 60_000,
        "queries": [part("a", "sum:errors{version:v1}"), part("b", "sum:all{version:v1}")],
        "formulas": [{"formula": "a / b"}],
    }}});
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str(), sent),
        ("POST", "/api/v2/query/timeseries", expected)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_group_of_datadog_has_its_tags() {
    let series = |tags: &[&str]| json!({"start": START * 1000, "end": START * 1000, "interval": 60, "tag_set": tags, "pointlist": []});
    let series = [
        series(&["host:a", "url:http://b"]),
        series(&["canary"]),
        series(&[]),
    ];
    let (source, _) = answered(
        "datadog",
        vec![of_json(&json!({"status": "ok", "series": series}))],
    )
    .await;
    let query = json!({"type": "datadog", "metricName": "avg:m"});
    let sets = asking(&query).fetch(&source).await.unwrap();
    let tags: Vec<Value> = sets.iter().map(|set| json!(set.tags)).collect();
    assert_eq!(
        tags,
        [
            json!({"host": "a", "url": "http://b"}),
            json!({"canary": ""}),
            json!({})
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn graphite_may_write_times_as_texts_and_no_tags_as_null() {
    let points = json!([["1.5", START.to_string()], [null, (START + 60).to_string()]]);
    let targets =
        ["a", "b"].map(|name| json!({"target": name, "tags": null, "datapoints": points}));
    let (source, _) = answered("graphite", vec![of_json(&json!(targets))]).await;
    let query = json!({"type": "graphite", "metricName": "stats.$scope"});
    let sets = asking(&query).fetch(&source).await.unwrap();
    let sets = serde_json::to_value(sets).unwrap();
    for (at, name) in ["a", "b"].into_iter().enumerate() {
        assert_eq!(sets[at]["tags"], json!({"target": name}));
        assert_eq!(sets[at]["values"], json!([1.5, "NaN"]));
        assert_eq!(sets[at]["startTimeMillis"], json!(START * 1000));
        assert_eq!(sets[at]["stepMillis"], json!(60_000));
    }
}

/// An hour, every so many seconds.
fn of_new_relic(select: &str, step: i64) -> (CanaryMetricConfig, CanaryScope) {
    let query = json!({"type": "newrelic", "select": select});
    let scope = json!({"scope": "v1", "start": "2024-06-01T00:00:00Z", "end": "2024-06-01T01:00:00Z", "step": step});
    let metric = serde_json::from_value(json!({"name": "m", "query": query}));
    (metric.unwrap(), serde_json::from_value(scope).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_window_of_new_relic_is_asked_for_in_parts() {
    let part = |begins: &[i64]| {
        let rows = begins.iter().map(
            |begin| json!({"beginTimeSeconds": START + begin, "endTimeSeconds": START + begin + 5, "count": begin}),
        );
        let rows: Vec<Value> = rows.collect();
        of_json(&json!({"data": {"actor": {"account": {"nrql": {"results": rows}}}}}))
    };
    let wrong = json!({"data": null, "errors": [{"message": "NRQL Syntax Error"}, {}]});
    let replies = vec![part(&[0, 5]), part(&[1830]), part(&[0]), of_json(&wrong)];
    let (source, stand_in) = answered("newrelic", replies).await;
    let (metric, scope) = of_new_relic("count(*) FROM Transaction", 5);
    let budget = Budget::new(None, 160 << 20);
    let request = MetricRequest {
        config: &CanaryConfig::default(),
        metric: &metric,
        scope: &scope,
        longest: 16 << 10,
        is_reused: true,
    };
    let sets = source.fetch(&request, &budget.share()).await.unwrap();
    let [set] = &sets[..] else {
        panic!("one function is one series: {sets:?}");
    };
    let set = serde_json::to_value(set).unwrap();
    assert_eq!(set["values"], json!([0.0, 5.0, 1830.0]));
    let times = ["startTimeMillis", "endTimeMillis", "stepMillis"].map(|name| &set[name]);
    assert_eq!(
        times,
        [START * 1000, (START + 3600) * 1000, 5_000]
            .map(|millis| json!(millis))
            .each_ref()
    );
    // 366 entries are the most that are answered.
    let asked = stand_in.asked();
    for (at, since, until) in [(0, 0, 1830), (1, 1830, 3600)] {
        let times = format!("SINCE {} UNTIL {} ", START + since, START + until);
        assert!(asked[at].body.contains(&times), "{}", asked[at].body);
    }
    assert_eq!(asked.len(), 2);

    let told = source.fetch(&request, &budget.share()).await.unwrap_err();
    let told = told.to_string();
    assert!(
        told.contains("NRQL Syntax Error; an error without a message"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_long_query_are_paid_for() {
    let (source, stand_in) = answered("newrelic", Vec::new()).await;
    let select = format!("SELECT count(*) FROM Transaction{}", " ".repeat(8 << 10));
    let (metric, scope) = of_new_relic(&select, 1);
    // As little as an execution can have: enough for the text, not for ten of them.
    let budget = Budget::new(Some(1 << 20), 0);
    let request = MetricRequest {
        config: &CanaryConfig::default(),
        metric: &metric,
        scope: &scope,
        longest: 16 << 10,
        is_reused: true,
    };
    let told = source.fetch(&request, &budget.share()).await.unwrap_err();
    assert!(told.to_string().contains("limits.execution"), "{told}");
    assert!(stand_in.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn all_pages_of_cloud_monitoring_are_read() {
    let page = |second: i64, next: &str| {
        let time = serin::canary::iso_from_millis((START + second) * 1000);
        let point =
            json!({"interval": {"endTime": time}, "value": {"int64Value": second.to_string()}});
        let series = json!({
            "resource": {"labels": {"project_id": "p", "zone": "of the resource"}},
            "metric": {"labels": {"zone": "a"}}, "valueType": "INT64", "points": [point],
        });
        let errors = json!([{"message": format!("{second} is late")}]);
        of_json(&json!({"timeSeries": [series], "nextPageToken": next, "executionErrors": errors}))
    };
    let pages = vec![page(120, "two"), page(60, "three"), page(0, "")];
    let (source, stand_in) = answered("stackdriver", pages).await;
    let query = json!({"type": "stackdriver", "metricType": "m", "resourceType": "global"});
    let sets = asking(&query).fetch(&source).await.unwrap();
    assert_eq!(sets.len(), 1);
    assert_eq!(sets[0].values, [0.0, 60.0, 120.0]);
    assert_eq!(json!(sets[0].tags), json!({"zone": "a"}));
    let told = serde_json::to_value(&sets[0].attributes).unwrap();
    assert_eq!(told["partial"], "120 is late; 60 is late; 0 is late");
    let asked = stand_in.asked();
    let tokens: Vec<_> = asked
        .iter()
        .map(|asked| params(asked, "pageToken"))
        .collect();
    assert_eq!(tokens, [vec![], vec!["two"], vec!["three"]]);
}

/// Each page by itself is well within what may be read.
#[tokio::test(flavor = "multi_thread")]
async fn lists_of_metrics_are_bounded_over_all_their_pages() {
    let name = |name: &str| json!({"name": name});
    let page = |names: &[Value], next: &str| {
        of_json(&json!({"metricDescriptors": names, "nextPageToken": next}))
    };
    let (source, _) = answered(
        "stackdriver",
        vec![page(&[name("a")], "two"), page(&[name("b")], "")],
    )
    .await;
    let names = source.metric_names("").await.unwrap();
    assert_eq!(
        names.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ["a", "b"]
    );

    let long = name(&"x".repeat(6 << 20));
    let many: Vec<Value> = vec![name("a"); 60_000];
    let cases = [
        (
            page(&[long], "again"),
            "the answer is larger than 16 MiB",
            3,
        ),
        (page(&many, "again"), "more than 100000 metrics", 2),
        (page(&[], "again"), "more than 100 pages", 100),
    ];
    for (page, expected, times) in cases {
        let (source, stand_in) = answered("stackdriver", vec![page]).await;
        let told = source.metric_names("").await.unwrap_err().to_string();
        assert!(told.contains(expected), "{expected}: {told}");
        assert_eq!(stand_in.asked().len(), times, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_signalfx_that_did_not_come_to_its_end_is_told_in_its_words() {
    let data = format!(
        r#"{{"data": [{{"value": 1}}], "logicalTimestampMs": {}}}"#,
        START * 1000
    );
    let event = |name: &str, data: &str| format!("event: {name}\ndata: {data}\n\n");
    let aborted =
        r#"{"event": "CHANNEL_ABORT", "abortInfo": {"sf_job_abortReason": "too many series"}}"#;
    let cases = [
        (
            event("control-message", aborted),
            r#"the job was aborted: {"sf_job_abortReason":"too many series"}"#,
        ),
        (
            event("control-message", r#"{"event": "CHANNEL_ABORT"}"#),
            "the job was aborted",
        ),
        (
            event(
                "error",
                r#"{"errorType": "SYNTAX", "message": "no such stream"}"#,
            ),
            "SYNTAX: no such stream",
        ),
        (String::new(), "END_OF_CHANNEL never came"),
    ];
    for (end, expected) in cases {
        let body = event("data", &data) + &end;
        let (source, _) = answered("signalfx", vec![reply("text/event-stream", &body)]).await;
        let query = json!({"type": "signalfx", "metricName": "m"});
        let told = asking(&query).fetch(&source).await.unwrap_err().to_string();
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signalfx_is_healthy_where_it_refuses_a_request_for_what_is_wrong_in_it() {
    for (status, is_healthy) in [
        (405, true),
        (400, true),
        (404, false),
        (401, false),
        (503, false),
    ] {
        let (source, _) = answered("signalfx", vec![json!({"status": status, "body": ""})]).await;
        assert_eq!(source.health().await.is_ok(), is_healthy, "{status}");
    }
}
