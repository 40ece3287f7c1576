//! What one client may take: bounded, told in words, and not at the cost of others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::crash::{Process, free_port};
use crate::executions::{adhoc, series};
use crate::scripted_prometheus::{Reply, ScriptedPrometheus};

/// The limit of `deploy/kubernetes.yml` is 512 MiB, and other things happen beside.
const MOST_MEGABYTES: u64 = 300;

/// A canary of one metric that is asked for by that text.
fn asking(query: &str) -> Value {
    let mut canary = adhoc(&["m"]);
    let asked = &mut canary["canaryConfig"]["metrics"][0]["query"];
    *asked = json!({"type": "prometheus", "customInlineTemplate": format!("PromQL:{query} # ${{scope}}")});
    canary
}

fn many_series(count: usize) -> String {
    let one = r#"{"metric":{"s":"%"},"values":[[1717203600,"1"]]}"#;
    let all: Vec<String> = (0..count)
        .map(|at| one.replace('%', &at.to_string()))
        .collect();
    format!(
        r#"{{"status":"success","data":{{"result":[{}]}}}}"#,
        all.join(",")
    )
}

/// As short as they can be: two such answers are below what one execution may have.
fn short_series(count: usize) -> String {
    let all = vec![r#"{"values":[[1,"1"]]}"#; count];
    format!(
        r#"{{"status":"success","data":{{"result":[{}]}}}}"#,
        all.join(",")
    )
}

fn many_labels(count: usize) -> String {
    let all: Vec<String> = (0..count).map(|at| format!(r#""{at}":"""#)).collect();
    let labels = all.join(",");
    format!(
        r#"{{"status":"success","data":{{"result":[{{"metric":{{{labels}}},"values":[[1,"1"]]}}]}}}}"#
    )
}

#[tokio::test]
async fn what_one_canary_takes_is_bounded() {
    let bodies = [
        ("million", short_series(1_000_000)),
        ("thousand", many_series(1_000)),
        ("labels", many_labels(1_500_000)),
    ];
    let prometheus = ScriptedPrometheus::start(move |asked| {
        let query = &asked.params["query"];
        let body = bodies.iter().find(|(name, _)| query.starts_with(name));
        Reply::text(200, body.map_or("", |(_, body)| body.as_str()))
    })
    .await;
    let long = |bytes: usize| "{".repeat(bytes);
    let cases = [
        // query, whether it is judged, what is told
        (
            "million".to_owned(),
            "terminal",
            "more than 1000 series (limits.series)",
        ),
        (
            "labels".to_owned(),
            "terminal",
            "more than 100 labels (limits.labels)",
        ),
        (
            format!("thousand # {}", long(100_000)),
            "terminal",
            "longer than 16384 bytes (limits.queryText)",
        ),
        (format!("thousand # {}", long(16_000)), "succeeded", ""),
    ];
    for (query, status, told) in cases {
        let folder = tempfile::tempdir().unwrap();
        let serin = Process::start(folder.path(), &prometheus.url, free_port()).await;
        let id = serin.client.start_canary("/canary", &asking(&query)).await;
        let done = serin.client.poll(&id).await;
        let name: String = query.chars().take(20).collect();
        assert_eq!(done["status"], status, "{name}: {}", done["exception"]);
        let error = done["exception"]["details"]["errors"][0].as_str();
        assert!(
            error.unwrap_or_default().contains(told),
            "{name}: {error:?}"
        );
        let peak = serin.peak();
        println!("{name}: {peak} MB");
        assert!(peak < MOST_MEGABYTES, "{name}: {peak} MB");
    }
}

#[tokio::test]
async fn a_canary_of_too_many_metrics_is_refused() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let folder = tempfile::tempdir().unwrap();
    let serin = Process::start(folder.path(), &prometheus.url, free_port()).await;
    let names: Vec<String> = (0..1_001).map(|at| format!("m{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (status, told) = serin.client.post("/canary", &adhoc(&names)).await;
    assert_eq!(status, 400, "{told}");
    assert!(told.to_string().contains("executions.maxMetrics"), "{told}");
}

/// Whenever the one is asked for, the process dies, as if it had run out of memory.
#[tokio::test]
async fn canaries_beside_one_that_kills_its_process_succeed() {
    let poisoned = Arc::new(AtomicUsize::new(0));
    let asked_poison = Arc::clone(&poisoned);
    let prometheus = ScriptedPrometheus::start(move |asked| {
        if asked.params["query"].contains("poison") {
            asked_poison.fetch_add(1, Ordering::SeqCst);
            return series(1.0).after(Duration::from_mins(1));
        }
        series(1.0).after(Duration::from_millis(500))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut serin = Process::start(folder.path(), &prometheus.url, port).await;
    let mut good = Vec::new();
    for at in 0..10 {
        let canary = asking(&format!("good{at}"));
        good.push(serin.client.start_canary("/canary", &canary).await);
    }
    let bad = serin
        .client
        .start_canary("/canary", &asking("poison"))
        .await;

    let (mut deaths, begun) = (0, Instant::now());
    loop {
        assert!(begun.elapsed() < Duration::from_secs(90), "{deaths} deaths");
        tokio::time::sleep(Duration::from_millis(50)).await;
        if poisoned.swap(0, Ordering::SeqCst) > 0 {
            deaths += 1;
            serin.kill();
            serin = Process::start(folder.path(), &prometheus.url, port).await;
            // The other side's query of the one that was killed.
            poisoned.store(0, Ordering::SeqCst);
        }
        let (_, document) = serin.client.get(&format!("/canary/{bad}")).await;
        if document["complete"] == true {
            assert_eq!(document["status"], "terminal");
            break;
        }
    }
    assert_eq!(deaths, 5);
    for id in &good {
        let done = serin.client.poll(id).await;
        assert_eq!(done["status"], "succeeded", "{}", done["exception"]);
    }
}
