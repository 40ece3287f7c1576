//! Several replicas on one PostgreSQL and one store.

mod database;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::crash::{Process, free_port};
use crate::executions::{adhoc, config, series};
use crate::harness::{ALL_MAY_ALL, Serin, new_database};
use crate::scripted_prometheus::ScriptedPrometheus;

/// A database and a folder for as many replicas as are wanted.
struct Fleet {
    database: String,
    folder: TempDir,
    prometheus: ScriptedPrometheus,
}

impl Fleet {
    async fn new() -> Option<Self> {
        Self::on(new_database().await?).await
    }

    async fn on(database: String) -> Option<Self> {
        Some(Self {
            database,
            folder: tempfile::tempdir().unwrap(),
            prometheus: ScriptedPrometheus::start(|_| series(1.0)).await,
        })
    }

    async fn replica(&self, keys: &[(&str, &str)]) -> Serin {
        let directory = self.folder.path().display().to_string();
        let mut all = vec![
            ("database.url", self.database.as_str()),
            ("storage.directory", directory.as_str()),
        ];
        all.extend(keys);
        Serin::start_with(&self.prometheus.url, &all, Some(ALL_MAY_ALL)).await
    }
}

fn named(id: &str, name: &str) -> Value {
    let mut config = config(&["latency"]);
    for (member, value) in [
        ("id", json!(id)),
        ("name", json!(name)),
        ("applications", json!(["web"])),
    ] {
        config[member] = value;
    }
    for member in ["description", "configVersion"] {
        config[member] = json!("1");
    }
    config["judge"] = json!({"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}});
    config
}

#[tokio::test]
async fn replicas_that_start_at_once_on_an_empty_database_come_up_and_read_each_others_writes() {
    let Some(fleet) = Fleet::new().await else {
        return;
    };
    let (one, two, three) =
        tokio::join!(fleet.replica(&[]), fleet.replica(&[]), fleet.replica(&[]));
    let clients = [&one.client, &two.client, &three.client];
    for (number, client) in clients.iter().enumerate() {
        let id = format!("config-{number}");
        let (status, answer) = client.post("/canaryConfig", &named(&id, &id)).await;
        assert_eq!(status, 200, "{answer}");
        let execution = client
            .start_canary("/canary?application=web", &adhoc(&["latency"]))
            .await;
        for reader in clients {
            let (status, body) = reader.get(&format!("/canaryConfig/{id}")).await;
            assert_eq!((status, &body["name"]), (200, &json!(id)));
            let (_, listed) = reader.get("/canaryConfig?application=web").await;
            assert_eq!(listed.as_array().unwrap().len(), number + 1);
            let (status, body) = reader.get(&format!("/canary/{execution}")).await;
            assert_eq!((status, &body["pipelineId"]), (200, &json!(execution)));
        }
        assert_eq!(two.client.poll(&execution).await["status"], "succeeded");
        let changed = named(&id, &format!("{id}-renamed"));
        assert_eq!(
            client.put(&format!("/canaryConfig/{id}"), &changed).await.0,
            200
        );
        for reader in clients {
            let (_, body) = reader.get(&format!("/canaryConfig/{id}")).await;
            assert_eq!(body["name"], changed["name"]);
        }
    }
    let (_, listed) = three.client.get("/canary/executions?application=web").await;
    assert_eq!(listed.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_one_replica_runs_is_watched_through_another() {
    let Some(fleet) = Fleet::new().await else {
        return;
    };
    let (one, two) = tokio::join!(fleet.replica(&[]), fleet.replica(&[]));
    let disable = json!({"enabled": false});
    let path = "/admin/orca/instance/enabled";
    assert_eq!(two.client.post(path, &disable).await.0, 200);
    let id = one
        .client
        .start_canary("/canary", &adhoc(&["latency"]))
        .await;
    let url = format!("{}/canary/{id}/events", two.client.url);
    let watched = two.client.http.get(url).send().await.unwrap();
    let told = watched.text().await.unwrap();
    let (_, end) = told.split_once("event: end").unwrap();
    assert!(end.contains(r#""status":"succeeded""#), "{told}");
}

#[tokio::test]
async fn of_many_who_create_one_config_through_all_replicas_one_does() {
    let Some(fleet) = Fleet::new().await else {
        return;
    };
    let (one, two) = tokio::join!(fleet.replica(&[]), fleet.replica(&[]));
    let clients = [one.client.clone(), two.client.clone()];
    let race = async |bodies: Vec<Value>| {
        let posts = bodies.iter().enumerate().map(|(number, body)| {
            let client = clients[number % 2].clone();
            async move { client.post("/canaryConfig", body).await.0 }
        });
        let statuses = futures::future::join_all(posts).await;
        statuses.into_iter().filter(|status| *status == 200).count()
    };
    // One id under ten names, then one name under ten ids.
    let same_id = (0..10).map(|number| named("id", &format!("name-{number}")));
    assert_eq!(race(same_id.collect()).await, 1);
    let same_name = (0..10).map(|number| named(&format!("id-{number}"), "name"));
    assert_eq!(race(same_name.collect()).await, 1);
    let (_, listed) = one.client.get("/canaryConfig").await;
    assert_eq!(listed.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_cancel_through_another_replica_stops_the_queries_at_once() {
    let Some(mut fleet) = Fleet::new().await else {
        return;
    };
    fleet.prometheus =
        ScriptedPrometheus::start(|_| series(1.0).after(Duration::from_secs(25))).await;
    let one = fleet.replica(&[]).await;
    let id = one
        .client
        .start_canary("/canary", &adhoc(&["latency"]))
        .await;
    while fleet.prometheus.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The second replica takes part only now, so that the first one has the execution.
    let two = fleet.replica(&[]).await;
    let start = Instant::now();
    assert_eq!(
        two.client
            .put(&format!("/pipelines/{id}/cancel"), &json!({}))
            .await
            .0,
        202
    );
    let (_, body) = one.client.get(&format!("/canary/{id}")).await;
    assert_eq!(body["status"], "canceled");
    one.service.stop().await;
    // A stop waits for what runs.
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn what_a_killed_replica_had_is_taken_over_within_fifteen_seconds() {
    let Some(mut fleet) = Fleet::new().await else {
        return;
    };
    let slow = Arc::new(AtomicBool::new(true));
    let is_slow = Arc::clone(&slow);
    fleet.prometheus = ScriptedPrometheus::start(move |_| {
        let delay = if is_slow.load(Ordering::SeqCst) {
            60
        } else {
            0
        };
        series(1.0).after(Duration::from_secs(delay))
    })
    .await;
    let variables = [("SERIN__DATABASE__URL", fleet.database.as_str())];
    let (directory, url) = (fleet.folder.path(), fleet.prometheus.url.as_str());
    let start = |port| Process::start_with(directory, url, port, &variables);
    let mut one = start(free_port()).await;
    let started = Instant::now();
    let mut ids = Vec::new();
    for number in 0..5 {
        // Equal queries would be sent once.
        let body = adhoc(&[&format!("latency_{number}")]);
        ids.push(one.client.start_canary("/canary", &body).await);
    }
    while fleet.prometheus.asked().len() < 10 {
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let two = start(free_port()).await;
    slow.store(false, Ordering::SeqCst);
    let killed = Instant::now();
    one.kill();
    for id in &ids {
        assert_eq!(two.client.poll(id).await["status"], "succeeded");
    }
    assert!(
        killed.elapsed() < Duration::from_secs(15),
        "{:?}",
        killed.elapsed()
    );
}

#[tokio::test]
async fn who_comes_back_after_its_lease_does_not_win() {
    let Some(mut fleet) = Fleet::new().await else {
        return;
    };
    // The first who asks would let the canary fail, much later.
    let late = Duration::from_secs(8);
    let is_first = Arc::new(AtomicBool::new(true));
    let asked_first = Arc::clone(&is_first);
    fleet.prometheus = ScriptedPrometheus::start(move |asked| {
        let is_bad = asked.params["query"].contains("v2");
        match (asked_first.load(Ordering::SeqCst), is_bad) {
            (true, true) => series(4.0).after(late),
            (true, false) => series(1.0).after(late),
            (false, _) => series(1.0),
        }
    })
    .await;
    let variables = [
        ("SERIN__DATABASE__URL", fleet.database.as_str()),
        ("SERIN__EXECUTIONS__LEASE", "2s"),
    ];
    let (directory, url) = (fleet.folder.path(), fleet.prometheus.url.as_str());
    let start = |port| Process::start_with(directory, url, port, &variables);
    let (one, two) = (start(free_port()).await, start(free_port()).await);
    let mut body = adhoc(&["a"]);
    body["canaryConfig"]["metrics"][0]["analysisConfigurations"] =
        json!({"canary": {"direction": "increase"}});
    let begun = Instant::now();
    let id = one.client.start_canary("/canary", &body).await;
    while fleet.prometheus.asked().len() < 2 {
        assert!(begun.elapsed() < late / 2);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    is_first.store(false, Ordering::SeqCst);
    one.signal(Signal::STOP);
    let won = two.client.poll(&id).await;
    let score = &won["result"]["judgeResult"]["score"];
    assert_eq!(score["classification"], "Pass", "{won}");
    let archive = format!("/canaryResultArchive/{id}");
    let kept = loop {
        match two.client.get(&archive).await {
            (200, kept) => break kept,
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    // What it asked for lies there when it goes on.
    let rest = (late + Duration::from_secs(1)).saturating_sub(begun.elapsed());
    tokio::time::sleep(rest).await;
    one.signal(Signal::CONT);
    tokio::time::sleep(Duration::from_secs(4)).await;
    for client in [&one.client, &two.client] {
        assert_eq!(client.get(&format!("/canary/{id}")).await.1, won);
        assert_eq!(client.get(&archive).await.1, kept);
        assert_eq!(client.get("/health/liveness").await.0, 200);
    }
}

#[tokio::test]
async fn behind_a_pooler_replicas_find_out_by_looking() {
    let Some(fleet) = Fleet::new().await else {
        return;
    };
    let (one, two) = tokio::join!(
        fleet.replica(&[("database.notify", "false"), ("executions.maxRunning", "1")]),
        fleet.replica(&[("database.notify", "false"), ("executions.maxRunning", "1")])
    );
    // The one that takes them does not work, so the other must find them.
    let disable = json!({"enabled": false});
    let (status, answer) = one
        .client
        .post("/admin/orca/instance/enabled", &disable)
        .await;
    assert_eq!(status, 200, "{answer}");
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(
            one.client
                .start_canary("/canary", &adhoc(&["latency"]))
                .await,
        );
    }
    for id in &ids {
        assert_eq!(two.client.poll(id).await["status"], "succeeded");
    }
}

#[tokio::test]
async fn what_one_replica_notes_after_the_end_is_told_by_the_others_at_once() {
    let Some(fleet) = Fleet::new().await else {
        return;
    };
    let (one, two) = tokio::join!(fleet.replica(&[]), fleet.replica(&[]));
    let mut body = adhoc(&["latency"]);
    // Far longer than there are points.
    for side in ["controlScope", "experimentScope"] {
        body["executionRequest"]["scopes"]["default"][side]["end"] = json!("2024-06-01T09:00:00Z");
    }
    let id = one.client.start_canary("/canary", &body).await;
    let path = format!("/canary/{id}");
    for client in [&one.client, &two.client] {
        assert_eq!(client.poll(&id).await["outcome"], "inconclusive");
    }
    let accept = format!("{path}/accept");
    let reasons: Vec<Value> = (0..6)
        .map(|at| json!({"reason": format!("reason {at}")}))
        .collect();
    let clients = [&one.client, &two.client].into_iter().cycle();
    let answers = clients
        .zip(&reasons)
        .map(|(client, reason)| client.post(&accept, reason));
    let answers = futures::future::join_all(answers).await;
    let taken = answers.iter().filter(|answer| answer.0 == 204);
    assert_eq!(taken.count(), 1, "{answers:?}");
    let again = format!("{path}/again");
    let nothing = json!({});
    let (here, there) = tokio::join!(
        one.client.post(&again, &nothing),
        two.client.post(&again, &nothing)
    );
    assert_eq!(here, there);
    let begun = Instant::now();
    for client in [&one.client, &two.client] {
        loop {
            let (_, document) = client.get(&path).await;
            if document["acceptedByHand"].is_object()
                && document["repeatedBy"] == here.1["canaryExecutionId"]
            {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "{document}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
