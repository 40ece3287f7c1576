//! The page of a run, what can be done there, and what can be taken from it.

use std::time::Duration;

use serde_json::{Value, json};

use super::{page, run, says};
use crate::executions::{adhoc, request, series};
use crate::harness::Serin;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};
use crate::stores::stored;

/// An hour of points; the experiment's errors are four times the control's.
fn worse(asked: &Asked) -> Reply {
    let query = &asked.params["query"];
    if query.contains("silent") {
        return Reply::matrix(&json!([]));
    }
    hour(if query.contains("errors") && query.contains("v2") {
        4.0
    } else {
        1.0
    })
}

fn hour(level: f64) -> Reply {
    let values: Vec<Value> = (0..60)
        .filter(|minute| !(20..25).contains(minute))
        .map(|minute| {
            let value = level + f64::from(minute % 7) / 10.0;
            json!([1_717_203_600 + 60 * minute, value.to_string()])
        })
        .collect();
    Reply::matrix(&json!([{"metric": {}, "values": values}]))
}

#[tokio::test]
async fn a_run_tells_its_verdict_and_why() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let serin = Serin::start(&prometheus.url).await;
    let body = adhoc(&["latency", "errors", "silent"]);
    let id = run(&serin, "/canary?application=web", &body).await;
    let path = format!("/ui/runs/{id}");
    let text = says(
        &serin,
        &path,
        &[
            "<span class=\"badge fail\" id=\"outcome\">Fail</span>",
            "does not reach the marginal threshold of 75",
            "1 of 3 metrics could not be judged",
            "+232 %: 1.29 → 4.29; surely more than noise: 98 % sure of +",
            "No data on either side",
            "silent group",
            "Score, as the sum of its groups",
            ">pass from 95</text>",
            ">marginal from 75</text>",
            "dx=\"2\" y=\"12\">errors group</text>",
            "version=&#34;v2&#34;",
            "2024-06-01 01:00:00",
        ],
    )
    .await;
    let at = |name: &str| {
        text.find(&format!("<span class=\"name\">{name}</span>"))
            .unwrap()
    };
    assert!(at("errors") < at("silent") && at("silent") < at("latency"));

    let judged = "2024-06-01 01:00</time> – <time datetime=\"2024-06-01T01:05:00Z\">01:05</time>";
    let listed = says(
        &serin,
        "/ui/",
        &[&path, "1 failed, 1 not judged of 3", "v1 → v2", judged],
    )
    .await;
    assert!(listed.contains("badge fail"));
    let part = &id[4..20].to_lowercase();
    for (find, is_found) in [
        ("V2", true),
        (part.as_str(), true),
        ("v3", false),
        ("%25", false),
    ] {
        let (_, listed) = page(&serin, &format!("/ui/?find={find}")).await;
        assert_eq!(listed.contains(&path), is_found, "{find}: {listed}");
    }
}

#[tokio::test]
async fn what_has_ended_is_pinned_and_deleted_and_what_runs_is_canceled() {
    let slow = Duration::from_secs(20);
    let prometheus = ScriptedPrometheus::start(move |asked| {
        let is_slow = asked.params["query"].contains("slow");
        if is_slow {
            series(1.0).after(slow)
        } else {
            series(1.0)
        }
    })
    .await;
    let keys = [("server.shutdownGrace", "1s")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let press = async |path: String| {
        let url = format!("{}{path}", serin.client.url);
        let response = serin.client.http.post(url).send().await;
        response.unwrap().status().as_u16()
    };
    let id = run(&serin, "/canary?application=web", &adhoc(&["latency"])).await;
    let path = format!("/ui/runs/{id}");
    let filled = [
        "value=\"v1\"",
        "value=\"2024-06-01T01:00:00Z\"",
        "value=\"web\"",
    ];
    says(&serin, &format!("{path}/like"), &filled).await;
    says(&serin, &path, &["/pin\"", "/delete\"", "/like\""]).await;
    assert_eq!(press(format!("{path}/pin")).await, 200);
    let pinned = says(&serin, &path, &["pinned", "/unpin\""]).await;
    assert!(!pinned.contains("/delete\""), "{pinned}");
    assert_eq!(press(format!("{path}/delete")).await, 400);
    assert_eq!(press(format!("{path}/unpin")).await, 200);
    says(&serin, &format!("{path}/delete"), &["Delete this run?"]).await;
    assert_eq!(press(format!("{path}/delete")).await, 200);
    for gone in [path.clone(), format!("{path}/delete")] {
        assert_eq!(page(&serin, &gone).await.0, 404, "{gone}");
    }
    let (_, listed) = page(&serin, "/ui/").await;
    assert!(!listed.contains(&id), "{listed}");

    let running = serin
        .client
        .start_canary("/canary?application=web", &adhoc(&["slow"]))
        .await;
    let path = format!("/ui/runs/{running}");
    let shown = says(&serin, &path, &["/cancel\""]).await;
    assert!(!shown.contains("/delete\""), "{shown}");
    assert_eq!(press(format!("{path}/delete")).await, 400);
    assert_eq!(press(format!("/ui/analyses/{running}/cancel")).await, 404);
    assert_eq!(press(format!("{path}/cancel")).await, 200);
    says(&serin, &path, &["Canceled before its end"]).await;
}

#[tokio::test]
async fn a_run_that_passes_says_so() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let id = run(&serin, "/canary?application=web", &adhoc(&["latency"])).await;
    let wanted = [
        "<strong>100</strong>",
        "A score of 100 reaches the pass threshold of 95",
    ];
    says(&serin, &format!("/ui/runs/{id}"), &wanted).await;
    says(&serin, "/ui/", &["1 passed", "badge pass"]).await;
}

#[tokio::test]
async fn series_are_given_for_a_chart_and_to_take_away() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let serin = Serin::start(&prometheus.url).await;
    let id = run(&serin, "/canary", &adhoc(&["errors"])).await;
    let path = format!("/ui/runs/{id}/metrics/0");

    let (status, data) = serin.client.get(&format!("{path}.json")).await;
    assert_eq!(status, 200);
    assert_eq!(data["name"], "errors");
    let times = data["experiment"]["times"].as_array().unwrap();
    let values = data["experiment"]["values"].as_array().unwrap();
    assert_eq!((times.len(), values.len()), (56, 56));
    assert_eq!(
        (&times[20], &values[20]),
        (&json!(1_717_204_800_000_i64), &Value::Null)
    );

    let (status, csv) = serin.client.get(&format!("{path}.csv")).await;
    assert_eq!(status, 200);
    let lines: Vec<&str> = csv.as_str().unwrap().lines().collect();
    assert_eq!(lines.len(), 1 + 2 * 55);
    assert_eq!(lines[0], "side,time,epoch_millis,value");
    assert_eq!(lines[1], "control,2024-06-01T01:00:00Z,1717203600000,1");
    for wrong in ["9.json", "0.xml", "x.json", "0"] {
        let (status, _) = page(&serin, &format!("/ui/runs/{id}/metrics/{wrong}")).await;
        assert_eq!(status, 404, "{wrong}");
    }
}

#[tokio::test]
async fn the_report_is_one_file_that_needs_nothing_else() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let keys = [("server.publicUrl", "https://serin.example.com")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let id = run(&serin, "/canary", &adhoc(&["errors", "</script>"])).await;
    let path = format!("/ui/runs/{id}/report.html");
    let text = says(
        &serin,
        &path,
        &[
            &format!("<a href=\"https://serin.example.com/ui/runs/{id}\">"),
            "surely more than noise",
            "uPlot",
            "id=\"data-0\"",
            "http-equiv=\"Content-Security-Policy\"",
        ],
    )
    .await;
    for loading in ["src=\"", "href=\"/", "@import", "url(http"] {
        assert!(!text.contains(loading), "{loading}");
    }
    // Two scripts and the series of two metrics; a name does not end one early.
    assert_eq!(text.matches("</script>").count(), 4);
}

#[tokio::test]
async fn what_failed_on_the_way_is_told_first() {
    let prometheus = ScriptedPrometheus::start(|_| {
        Reply::text(400, r#"{"status":"error","errorType":"bad_data","error":"parse error: unexpected <bracket>"}"#)
            .with("content-type", "application/json")
    })
    .await;
    let serin = Serin::start(&prometheus.url).await;
    let id = run(&serin, "/canary", &adhoc(&["latency"])).await;
    let wanted = [
        "badge error",
        "What went wrong while fetching a metric",
        "unexpected &#60;bracket&#62;",
        "Fetch the control",
    ];
    let text = says(&serin, &format!("/ui/runs/{id}"), &wanted).await;
    // Its config came with it.
    assert!(!text.contains("Edit the config"), "{text}");

    let mut config = stored("mine", "mine");
    config["metrics"][0]["name"] = "p99 & more".into();
    let (status, _) = serin.client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200);
    let id = run(&serin, "/canary/mine", &request()).await;
    let fact = |name: &str, value: &str| format!("<dt>{name}</dt><dd><code>{value}");
    let wanted = [
        fact("Metric", "p99 &#38; more"),
        fact("Account", "prometheus"),
        fact("Query", ""),
        fact("URL", &prometheus.url),
        fact("Status", "400"),
        "<a href=\"/ui/configs/mine/edit#metric=p99+%26+more\">Edit the config</a>".to_owned(),
    ];
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    says(&serin, &format!("/ui/runs/{id}"), &wanted).await;
    let (_, file) = page(&serin, &format!("/ui/runs/{id}/report.html")).await;
    assert!(!file.contains("Edit the config"), "{file}");
}

#[tokio::test]
async fn what_runs_is_live() {
    let slow = Duration::from_secs(20);
    let prometheus = ScriptedPrometheus::start(move |_| series(1.0).after(slow)).await;
    let keys = [("server.shutdownGrace", "1s")];
    let serin = Serin::start_with(&prometheus.url, &keys, None).await;
    let id = serin
        .client
        .start_canary("/canary?application=web", &adhoc(&["latency"]))
        .await;
    loop {
        let (_, body) = serin.client.get(&format!("/canary/{id}")).await;
        if body["stageStatus"]
            .as_object()
            .is_some_and(|stages| !stages.is_empty())
            && body["status"] == "running"
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let live = format!("data-live=\"/canary/{id}/events\"");
    says(
        &serin,
        &format!("/ui/runs/{id}"),
        &["Running", &live, "http-equiv=\"refresh\"", "0 of 1"],
    )
    .await;
    says(&serin, "/ui/?verdict=running", &["data-poll", &id]).await;
    let list = says(&serin, "/ui/?verdict=pass", &["No run is like that"]).await;
    assert!(!list.contains(&id));
    let (status, _) = serin.client.delete(&format!("/canary/{id}")).await;
    assert_eq!(status, 202);
    says(
        &serin,
        &format!("/ui/runs/{id}"),
        &["Canceled", "Canceled before its end"],
    )
    .await;
}
