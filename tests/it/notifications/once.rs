//! Each hears what became of an execution, and once: whatever is refused, killed, or runs beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{METRICS, channels, counted, hook, run, worse};
use crate::crash::{Process, free_port};
use crate::executions::adhoc;
use crate::harness::{Serin, new_database};
use crate::receivers::{Post, Receiver};
use crate::scripted_prometheus::ScriptedPrometheus;

#[tokio::test]
async fn what_a_receiver_refuses_comes_again_with_the_same_id_unless_it_is_wrong() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let failing = Receiver::answering(|_, before| if before < 2 { 500 } else { 200 }).await;
    let picky = Receiver::answering(|_, _| 400).await;
    let file = channels(&[
        hook("failing", &failing.url, "on: [fail]"),
        hook("picky", &picky.url, "on: [fail]"),
    ]);
    let serin = Serin::start_with(&prometheus.url, &[], Some(&file)).await;
    run(&serin, METRICS).await;
    failing.taken_in_the_end(1).await;
    let posts = failing.posts();
    assert_eq!(posts.len(), 3);
    assert!(!posts[0].id().is_empty());
    for post in &posts {
        assert_eq!((post.id(), &post.body), (posts[0].id(), &posts[0].body));
    }
    assert_eq!(picky.posts().len(), 1);
    assert!(counted(&serin, "picky", "given_up").await);
}

#[tokio::test]
async fn a_kill_between_the_end_and_its_message_loses_and_doubles_nothing() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let open = Arc::new(AtomicBool::new(false));
    let is_open = Arc::clone(&open);
    let receiver = Receiver::answering(move |_, _| {
        if is_open.load(Ordering::SeqCst) {
            200
        } else {
            503
        }
    })
    .await;
    let list = format!(
        "[{}, {}]",
        hook("one", &receiver.url, "on: [start, fail]"),
        hook("two", &receiver.url, "on: [fail]")
    );
    let variables = [("SERIN__NOTIFICATIONS__CHANNELS", list.as_str())];
    let folder = tempfile::tempdir().unwrap();
    let start =
        async || Process::start_with(folder.path(), &prometheus.url, free_port(), &variables).await;
    let mut serin = start().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let id = serin.client.start_canary("/canary", &adhoc(METRICS)).await;
        serin.client.poll(&id).await;
        ids.push(id);
    }
    receiver.until(|receiver| 6 <= receiver.posts().len()).await;
    serin.kill();
    open.store(true, Ordering::SeqCst);
    let _serin = start().await;
    let taken = receiver.taken_in_the_end(9).await;
    let mut keys: Vec<&str> = taken.iter().map(Post::id).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 9);
    for id in &ids {
        let of_run = taken
            .iter()
            .filter(|post| post.path == "/one" && post.body.contains(id));
        let events: Vec<Value> = of_run.map(|post| post.json()["event"].clone()).collect();
        assert_eq!(events, ["start", "fail"], "in this order");
    }
}

#[tokio::test]
async fn what_is_under_way_at_a_shutdown_is_given_back() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let receiver = Receiver::answering(|_, before| if before == 0 { 0 } else { 200 }).await;
    let file = channels(&[hook("hook", &receiver.url, "on: [fail]")]);
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().display().to_string();
    let keys = [
        ("storage.directory", directory.as_str()),
        ("server.shutdownGrace", "300ms"),
    ];
    let start = async || Serin::start_with(&prometheus.url, &keys, Some(&file)).await;
    let serin = start().await;
    run(&serin, METRICS).await;
    receiver.until(|receiver| receiver.posts().len() == 1).await;
    serin.service.stop().await;
    let stopped = Instant::now();
    let _serin = start().await;
    receiver.taken_in_the_end(1).await;
    // Its lease would have lasted 30 s.
    assert!(stopped.elapsed() < Duration::from_secs(15));
    let posts = receiver.posts();
    assert_eq!(posts[0].id(), posts[1].id());
}

#[tokio::test]
async fn of_two_replicas_one_tells() {
    let Some(database) = new_database().await else {
        return;
    };
    let prometheus = ScriptedPrometheus::start(worse).await;
    let receiver = Receiver::start().await;
    let file = channels(&[hook("hook", &receiver.url, "on: [start, fail]")]);
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().display().to_string();
    let keys = [
        ("database.url", database.as_str()),
        ("storage.directory", directory.as_str()),
        ("server.publicUrl", "http://serin"),
    ];
    let (one, two) = tokio::join!(
        Serin::start_with(&prometheus.url, &keys, Some(&file)),
        Serin::start_with(&prometheus.url, &keys, Some(&file))
    );
    let mut ids = Vec::new();
    for number in 0..20 {
        let serin = if number % 2 == 0 { &one } else { &two };
        ids.push(serin.client.start_canary("/canary", &adhoc(METRICS)).await);
    }
    for id in &ids {
        one.client.poll(id).await;
    }
    let taken = receiver.taken_in_the_end(40).await;
    let mut keys: Vec<&str> = taken.iter().map(Post::id).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 40);
    // A chart that one made, the other shows.
    let chart = taken.iter().find_map(|post| {
        let chart = post.json()["chart"]["url"].as_str()?.to_owned();
        Some(chart.trim_start_matches("http://serin").to_owned())
    });
    let chart = chart.unwrap();
    for serin in [&one, &two] {
        let got = serin
            .client
            .http
            .get(format!("{}{chart}", serin.client.url));
        assert_eq!(got.send().await.unwrap().status(), 200);
    }
}
