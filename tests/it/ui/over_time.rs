//! What is seen over time: a run beside the last that passed, and the metrics of a config over its runs.

use std::time::Duration;

use serde_json::json;

use super::{page, run, says};
use crate::executions::{config, request, series};
use crate::harness::Serin;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

const LINK: &str = "Compare with the last that passed";

/// The errors of `v3` are four times as many; `silent` has no data.
fn answer(asked: &Asked) -> Reply {
    let query = &asked.params["query"];
    if query.contains("silent") {
        return Reply::matrix(&json!([]));
    }
    let is_worse = query.contains("errors") && query.contains("v3");
    series(if is_worse { 4.0 } else { 1.0 })
}

async fn stored(serin: &Serin) -> String {
    let mut config = config(&["latency", "errors", "silent"]);
    config["name"] = json!("checkout");
    config["applications"] = json!(["web", "shop"]);
    let (status, stored) = serin.client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200, "{stored}");
    stored["canaryConfigId"].as_str().unwrap().to_owned()
}

/// A run that compares that version, once it is found by its verdict.
async fn released(serin: &Serin, config: &str, application: &str, version: &str) -> String {
    let mut asked = request();
    asked["scopes"]["default"]["experimentScope"]["scope"] = json!(version);
    let path = format!("/canary/{config}?application={application}");
    let id = run(serin, &path, &asked).await;
    let verdict = if version == "v3" { "fail" } else { "pass" };
    let list = format!("/ui/?verdict={verdict}");
    for _ in 0..500 {
        if page(serin, &list).await.1.contains(&id) {
            return id;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{id} is not found by its verdict");
}

/// That these stand in the page in this order.
fn in_order(text: &str, parts: &[&str]) {
    let mut from = 0;
    for part in parts {
        let at = text[from..].find(part);
        from += at.unwrap_or_else(|| panic!("no '{part}' from {from} on:\n{text}"));
    }
}

#[tokio::test]
async fn a_run_is_seen_beside_the_last_that_passed() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let serin = Serin::start(&prometheus.url).await;
    let config = stored(&serin).await;
    let first = released(&serin, &config, "web", "v2").await;
    let bad = released(&serin, &config, "web", "v3").await;
    let worse = released(&serin, &config, "web", "v3").await;
    // Of neither is there an older one that passed.
    let other = released(&serin, &config, "shop", "v3").await;
    for id in [&first, &other] {
        let (_, text) = page(&serin, &format!("/ui/runs/{id}")).await;
        assert!(!text.contains(LINK), "{text}");
        let none = ["No run by the same config"];
        says(&serin, &format!("/ui/runs/{id}/compare"), &none).await;
    }
    let beside = format!("/ui/runs/{worse}/compare?with={first}");
    says(&serin, &format!("/ui/runs/{worse}"), &[LINK, &beside]).await;
    let (_, report) = page(&serin, &format!("/ui/runs/{worse}/report.html")).await;
    assert!(!report.contains(LINK), "{report}");

    let told = says(
        &serin,
        &beside,
        &[&format!("href=\"/ui/runs/{first}\""), "v1 → v2", "v1 → v3"],
    )
    .await;
    let parts = [
        "1 of 3 metrics is judged otherwise",
        "errors <span class=\"flag\">judged otherwise",
        "High",
        "Pass",
        "From it to this</th><td>–</td><td>0 %</td><td>+",
        "over each other: errors",
        "<h3>silent",
        "No data",
        "1 passes in both",
        "<h3>latency",
    ];
    in_order(&told, &parts);
    assert!(!told.contains("class=\"warning\""), "{told}");
    let (_, unasked) = page(&serin, &format!("/ui/runs/{worse}/compare")).await;
    in_order(&unasked, &parts);
    for (with, words) in [
        (&bad, "All 3 metrics are judged alike"),
        (&other, "They are of different applications."),
    ] {
        let path = format!("/ui/runs/{worse}/compare?with={with}");
        says(&serin, &path, &[words]).await;
    }
    for with in ["none", "a%2Fb"] {
        let path = format!("/ui/runs/{worse}/compare?with={with}");
        let (status, text) = page(&serin, &path).await;
        assert_eq!(status, 404, "{with}");
        assert!(text.contains("no run with id"), "{with}: {text}");
    }

    // Without series, what was judged is told all the same.
    let (_, run) = serin.client.get(&format!("/canary/{first}")).await;
    let pairs = run["metricSetPairListId"].as_str().unwrap();
    let path = format!("/metricSetPairList/{pairs}");
    assert!(serin.client.delete(&path).await.0 < 300);
    let gone = ["The series of the other run are not kept", parts[0]];
    says(&serin, &beside, &gone).await;
}

#[tokio::test]
async fn the_metrics_of_a_config_are_told_by_how_often_they_fail() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let serin = Serin::start(&prometheus.url).await;
    let config = stored(&serin).await;
    let path = format!("/ui/configs/{config}/metrics");
    says(&serin, &path, &["Nothing has been judged by it yet"]).await;
    let mut runs = Vec::new();
    for version in ["v2", "v3", "v3"] {
        runs.push(released(&serin, &config, "web", version).await);
    }
    says(&serin, &format!("/ui/configs/{config}"), &[&path]).await;
    let told = says(&serin, &path, &["its last 3 runs"]).await;
    let count = |number: usize| format!(">{number}</td>");
    let last = format!("href=\"/ui/runs/{}#metric-1\"", runs[2]);
    let columns: Vec<String> = runs
        .iter()
        .zip(["Pass, 100, v1 → v2", "Fail, ", "Fail, "])
        .map(|(id, title)| format!("href=\"/ui/runs/{id}\" title=\"{title}"))
        .collect();
    in_order(
        &told,
        &[
            &columns[0],
            &columns[1],
            &columns[2],
            ">errors",
            &last,
            &count(2),
            &count(0),
            &count(1),
            "title=\"Pass\"",
            "title=\"High\"",
            ">silent <span class=\"flag\">never decided</span>",
            "it had no data",
            &count(0),
            &count(3),
            &count(0),
            ">latency",
            &count(0),
            &count(0),
            &count(3),
        ],
    );
    assert_eq!(told.matches("never decided</span>").count(), 1, "{told}");
    let (status, _) = page(&serin, "/ui/configs/none/metrics").await;
    assert_eq!(status, 404);
}
