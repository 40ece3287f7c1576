//! Grafana with serin as its Prometheus: what it asks as it tests a data source, offers what there is
//! to ask for, and draws.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Serin, answer};
use crate::verdict::{short, start, verdict};

/// Grafana's data source: it asks whether anybody is there, what it is, and draws.
#[tokio::test]
async fn grafana_finds_a_prometheus_and_draws_scores() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let ended = async |experiment: &str| {
        let (_, told) = verdict(client, &short(experiment)).await;
        let id = told["canaryExecutionId"].as_str().unwrap();
        let (_, run) = client.get(&format!("/canary/{id}")).await;
        run["endTimeMillis"].as_f64().unwrap() / 1000.0
    };
    let good = ended("good").await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let bad = ended("bad").await;
    let url = |path: &str| format!("{}/prometheus/api/v1/{path}", client.url);
    let post = async |path: &str, form: &[(&str, String)]| {
        let encoded = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = client.http.post(url(path)).body(encoded);
        answer(request.header("content-type", "application/x-www-form-urlencoded")).await
    };
    let text = |value: f64| value.to_string();

    let health = [("query", "1+1".to_owned()), ("time", text(bad))];
    let (status, told) = post("query", &health).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        told["data"],
        json!({"resultType": "scalar", "result": [bad, "2"]})
    );
    let (status, build) = answer(client.http.get(url("status/buildinfo"))).await;
    assert_eq!((status, &build["status"]), (200, &json!("success")));
    assert!(build["data"]["version"].is_string(), "{build}");

    let graph = [
        (
            "query",
            r#"serin_canary_score{application="web"}"#.to_owned(),
        ),
        ("start", text(good - 1.0)),
        ("end", text(bad + 1.0)),
        ("step", "0.1".to_owned()),
    ];
    let (status, told) = post("query_range", &graph).await;
    assert_eq!(
        (status, &told["data"]["resultType"]),
        (200, &json!("matrix")),
        "{told}"
    );
    let [series] = &told["data"]["result"].as_array().unwrap()[..] else {
        panic!("one application with one config: {told}");
    };
    let labels = json!({"__name__": "serin_canary_score", "application": "web", "config": "gate",
        "config_id": "gate-id"});
    assert_eq!(series["metric"], labels);
    for point in series["values"].as_array().unwrap() {
        let time = point[0].as_f64().unwrap();
        let expected = if time < bad { "100" } else { "0" };
        assert!(good <= time, "nothing had ended at {time}");
        assert_eq!(point[1], expected, "at {time}");
    }
    let numbers = [
        ("query", "vector(1)".to_owned()),
        ("start", "10".to_owned()),
        ("end", "12".to_owned()),
        ("step", "1".to_owned()),
    ];
    let (_, told) = post("query_range", &numbers).await;
    assert_eq!(
        told["data"]["result"][0]["values"],
        json!([[10.0, "1"], [11.0, "1"], [12.0, "1"]])
    );

    // Long ago there was none.
    let before = [
        ("query", "serin_canary_score".to_owned()),
        ("time", "1717203600".to_owned()),
    ];
    let (_, told) = post("query", &before).await;
    assert_eq!(told["data"]["result"], json!([]));

    for (name, value) in [("step", "0"), ("end", "1"), ("start", "x"), ("query", "up")] {
        let mut wrong = graph.clone();
        wrong
            .iter_mut()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1 = value.to_owned();
        let (status, told) = post("query_range", &wrong).await;
        assert_eq!(
            (status, &told["errorType"]),
            (400, &json!("bad_data")),
            "{name}: {told}"
        );
    }
}

/// What Grafana offers to who writes a query, and fills variables of dashboards with.
#[tokio::test]
async fn grafana_finds_metrics_labels_and_series() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    for experiment in ["good", "bad", "broken"] {
        verdict(client, &short(experiment)).await;
    }
    let data = async |path: &str| {
        let url = format!("{}/prometheus/api/v1/{path}", client.url);
        let (status, told) = answer(client.http.get(url)).await;
        match status {
            200 => told["data"].clone(),
            _ => json!([status, told["errorType"]]),
        }
    };
    let labels = json!([
        "__name__",
        "application",
        "classification",
        "config",
        "config_id",
        "control",
        "execution_id",
        "experiment"
    ]);
    let long_ago = "start=1717200000&end=1717203600";
    let cases = [
        ("labels", labels.clone()),
        ("labels?match[]=serin_canary_score", labels),
        ("labels?match[]=up", json!([])),
        (&format!("labels?{long_ago}"), json!([])),
        ("label/__name__/values", json!(["serin_canary_score"])),
        ("label/application/values", json!(["web"])),
        ("label/experiment/values", json!(["bad", "good"])),
        ("label/experiment/values?limit=1", json!(["bad"])),
        ("label/experiment/values?limit=0", json!(["bad", "good"])),
        (
            "label/experiment/values?match[]=serin_canary_score{classification=%22Pass%22}",
            json!(["good"]),
        ),
        (
            "label/experiment/values?match[]={experiment=~%22b.*%22}&match[]={experiment=%22good%22}",
            json!(["bad", "good"]),
        ),
        ("label/nosuch/values", json!([])),
        (&format!("label/application/values?{long_ago}"), json!([])),
        ("series?match[]={__name__=%22up%22}", json!([])),
        ("metadata?metric=up", json!({})),
        ("rules", json!({"groups": []})),
        ("series", json!([400, "bad_data"])),
        ("series?match[]=sum(up)", json!([400, "bad_data"])),
        ("labels?match[]=%7B%7D", json!([400, "bad_data"])),
        ("labels?start=x", json!([400, "bad_data"])),
        ("labels?limit=x", json!([400, "bad_data"])),
        (
            &format!("labels?{}", "match[]=up&".repeat(21)),
            json!([400, "bad_data"]),
        ),
    ];
    for (path, expected) in cases {
        assert_eq!(data(path).await, expected, "{path}");
    }
    let metadata = data("metadata").await;
    assert_eq!(metadata["serin_canary_score"][0]["type"], "gauge");

    let (_, now) = client
        .get("/prometheus/api/v1/query?query=serin_canary_score")
        .await;
    assert_eq!(now["data"]["result"], json!([]), "the newest is broken");
    let series = data("series?match[]=serin_canary_score").await;
    let experiments: Vec<_> = series
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["experiment"])
        .collect();
    assert_eq!(experiments.len(), 2, "{series}");
    assert!(series[0]["execution_id"].is_string() && series[0]["__name__"] == "serin_canary_score");
    let form = client
        .http
        .post(format!("{}/prometheus/api/v1/series", client.url))
        .header("content-type", "application/x-www-form-urlencoded")
        .body("match%5B%5D=serin_canary_score&start=1717200000");
    assert_eq!(answer(form).await.1["data"], series);
}

/// In the words of a Prometheus, which its clients show.
#[tokio::test]
async fn what_else_a_prometheus_has_is_refused() {
    let serin = Serin::start("").await;
    let client = &serin.client;
    let url = |path: &str| format!("{}/prometheus/api/v1/{path}", client.url);
    for path in [
        "query_exemplars",
        "targets",
        "alerts",
        "label/application",
        "status/config",
    ] {
        let (status, told) = answer(client.http.get(url(path))).await;
        assert_eq!(
            (status, &told["errorType"]),
            (400, &json!("bad_data")),
            "{path}"
        );
        let error = told["error"].as_str().unwrap();
        assert!(error.contains("is not served here"), "{told}");
    }
}
