//! Flagger's webhooks: which of them starts an analysis, and what each is answered as it goes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::executions::{by_scope, config};
use crate::harness::{Client, Serin, answer, new_database};
use crate::scripted_prometheus::ScriptedPrometheus;

async fn start() -> (Serin, ScriptedPrometheus) {
    let prometheus =
        ScriptedPrometheus::start(|asked| by_scope(asked, Duration::from_mins(5))).await;
    let serin = Serin::start(&prometheus.url).await;
    store(&serin.client, "gate").await;
    (serin, prometheus)
}

/// A config of two metrics of which only one tells the sides apart, for the application `podinfo`.
async fn store(client: &Client, name: &str) {
    let mut config = config(&["errors", "latency"]);
    config["metrics"][1]["query"]["customInlineTemplate"] = json!("always=\"the same\"");
    config["name"] = json!(name);
    config["applications"] = json!(["podinfo"]);
    let (status, body) = client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200, "{body}");
}

/// Metadata of an analysis of an hour that is over, so that its verdict comes at once.
fn recorded(experiment: &str) -> Value {
    json!({
        "canaryConfigName": "gate", "controlScope": "primary", "experimentScope": experiment,
        "startTime": "2024-06-01T01:00:00Z", "endTime": "2024-06-01T02:00:00Z",
    })
}

fn with(mut metadata: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        metadata[name] = value.clone();
    }
    metadata
}

pub async fn ask(client: &Client, hook: &str, checksum: &str, metadata: &Value) -> (u16, String) {
    let payload = json!({
        "name": "podinfo", "namespace": "test", "phase": "Progressing", "checksum": checksum,
        "metadata": metadata,
    });
    let (status, told) = client.post(&format!("/flagger/{hook}"), &payload).await;
    (status, told.as_str().unwrap_or_default().to_owned())
}

/// The first answer that is not that of an analysis which runs.
pub async fn decided(
    client: &Client,
    hook: &str,
    checksum: &str,
    metadata: &Value,
) -> (u16, String) {
    let begun = Instant::now();
    loop {
        let (status, told) = ask(client, hook, checksum, metadata).await;
        if !["begun", "begin", "running"]
            .iter()
            .any(|word| told.contains(word))
        {
            return (status, told);
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn analyses(client: &Client) -> Vec<Value> {
    let path = "/standalone_canary_analysis?application=podinfo";
    let (_, list) = client.get(path).await;
    list.as_array().unwrap().clone()
}

const HOOKS: [&str; 8] = [
    "confirm-rollout",
    "pre-rollout",
    "confirm-traffic-increase",
    "rollout",
    "confirm-promotion",
    "rollback",
    "event",
    "post-rollout",
];

#[tokio::test]
async fn each_verdict_is_told_to_every_hook() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let marginal = with(recorded("bad"), &json!({"marginal": "40"}));
    let cases = [
        // experiment, and what each of the hooks is answered
        (
            "good",
            recorded("good"),
            [200, 200, 200, 200, 200, 403, 200, 200],
            "A score of 100 reaches the pass threshold of 95",
        ),
        (
            "marginal",
            marginal,
            [200, 403, 403, 403, 403, 403, 200, 200],
            "A score of 50 reaches the marginal threshold of 40, not the pass threshold of 95",
        ),
        (
            "broken",
            recorded("broken"),
            [200, 403, 403, 403, 403, 403, 200, 200],
            "No verdict: ",
        ),
        (
            "bad",
            recorded("bad"),
            [200, 403, 403, 403, 403, 200, 200, 200],
            "A score of 50 does not reach the marginal threshold of 75: errors group cost 50",
        ),
    ];
    for (checksum, metadata, expected, why) in cases {
        let (status, told) = ask(client, "rollout", checksum, &metadata).await;
        assert_eq!(status, 200, "{told}");
        let (_, told) = decided(client, "rollout", checksum, &metadata).await;
        assert!(told.starts_with(why), "{checksum}: {told}");
        for (hook, expected) in HOOKS.into_iter().zip(expected) {
            let (status, told) = ask(client, hook, checksum, &metadata).await;
            assert_eq!(status, expected, "{checksum} {hook}: {told}");
        }
    }
    assert_eq!(analyses(client).await.len(), 4);
}

#[tokio::test]
async fn an_analysis_that_runs_holds_the_promotion_alone_and_ends_with_the_rollout() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let metadata = recorded("slow");
    let (status, told) = ask(client, "pre-rollout", "a", &metadata).await;
    assert_eq!(status, 200);
    assert!(
        told.starts_with("The analysis has begun (analysis "),
        "{told}"
    );
    for hook in [
        "confirm-rollout",
        "pre-rollout",
        "confirm-traffic-increase",
        "rollout",
    ] {
        assert_eq!(ask(client, hook, "a", &metadata).await.0, 200, "{hook}");
    }
    let begun = Instant::now();
    loop {
        let (status, told) = ask(client, "confirm-promotion", "a", &metadata).await;
        assert_eq!(status, 403, "{told}");
        if told.starts_with("The analysis is still running, 0 of 1 judgements") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{told}");
    }
    assert_eq!(ask(client, "rollback", "a", &metadata).await.0, 403);

    // Flagger does not say how it ended, and need not.
    assert_eq!(
        ask(client, "post-rollout", "a", &json!({"nonsense": "1"}))
            .await
            .0,
        200
    );
    assert_eq!(analyses(client).await[0]["status"], "canceled");
    let (status, told) = ask(client, "confirm-promotion", "a", &Value::Null).await;
    assert_eq!(
        (status, told.as_str()),
        (403, "No analysis was started for this revision")
    );
    assert_eq!(ask(client, "rollout", "a", &metadata).await.0, 200);
    assert_eq!(analyses(client).await.len(), 2);
}

#[tokio::test]
async fn a_rollback_is_told_again_until_the_next_rollout_starts_anew() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let metadata = recorded("bad");
    assert_eq!(
        decided(client, "confirm-promotion", "a", &metadata).await.0,
        403
    );
    for _ in 0..2 {
        assert_eq!(ask(client, "rollback", "a", &metadata).await.0, 200);
    }
    assert_eq!(ask(client, "rollout", "a", &recorded("good")).await.0, 200);
    assert_eq!(
        decided(client, "confirm-promotion", "a", &Value::Null)
            .await
            .0,
        200
    );
    assert_eq!(ask(client, "rollback", "a", &metadata).await.0, 403);
}

#[tokio::test]
async fn another_revision_takes_the_place_of_the_one_that_runs() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    ask(client, "rollout", "a", &recorded("slow")).await;
    // The same names in another cluster are another canary.
    let elsewhere = with(recorded("slow"), &json!({"cluster": "eu"}));
    ask(client, "rollout", "b", &elsewhere).await;
    ask(client, "rollout", "c", &recorded("good")).await;
    let states: Vec<_> = analyses(client)
        .await
        .iter()
        .map(|analysis| analysis["parentPipelineExecutionId"].clone())
        .collect();
    assert_eq!(
        states,
        [
            "flagger:test/podinfo@c",
            "flagger:eu/test/podinfo@b",
            "flagger:test/podinfo@a"
        ]
    );
    assert_eq!(analyses(client).await[2]["status"], "canceled");
    assert_ne!(analyses(client).await[1]["status"], "canceled");
    assert_eq!(analyses(client).await[0]["user"], "flagger");
}

#[tokio::test]
async fn an_analysis_starts_where_its_metadata_say() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let good = recorded("good");
    // Flagger 1.43 asks for a confirmation with the checksum of the revision before.
    for hook in ["confirm-rollout", "rollback", "post-rollout", "event"] {
        ask(client, hook, "a", &good).await;
    }
    let later = with(good, &json!({"start": "rollout"}));
    let (status, told) = ask(client, "pre-rollout", "a", &later).await;
    assert_eq!(
        (status, told.as_str()),
        (200, "The hook rollout starts the analysis")
    );
    assert_eq!(
        ask(client, "confirm-traffic-increase", "a", &Value::Null)
            .await
            .0,
        200
    );
    assert_eq!(analyses(client).await.len(), 0);

    // Whichever comes first from there on.
    assert_eq!(ask(client, "confirm-promotion", "a", &later).await.0, 403);
    assert_eq!(analyses(client).await.len(), 1);
}

#[tokio::test]
async fn mistakes_are_sentences_before_anything_moves() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let wrong = |members: Value| with(recorded("good"), &members);
    let cases = [
        (
            "rollout",
            wrong(json!({"experimentscopes": "x"})),
            400,
            "is 'experimentScope' meant?",
        ),
        (
            "rollout",
            wrong(json!({"canaryConfigName": "gat"})),
            404,
            "is 'gate' meant?",
        ),
        (
            "confirm-rollout",
            wrong(json!({"metricsAccountName": "nosuch"})),
            400,
            "Unable to resolve account nosuch.",
        ),
        (
            "confirm-rollout",
            wrong(json!({"endTime": "soon"})),
            400,
            "'soon' is no value for 'endTime', which wants a time with its zone",
        ),
        (
            "pre-rollout",
            Value::Null,
            400,
            "canaryConfigName or canaryConfigId",
        ),
        (
            "confirm-promotion",
            Value::Null,
            403,
            "No analysis was started",
        ),
        (
            "confirm-promtion",
            recorded("good"),
            404,
            "is 'confirm-promotion' meant?",
        ),
        (
            "nosuch",
            recorded("good"),
            404,
            "there are confirm-rollout, pre-rollout",
        ),
    ];
    for (hook, metadata, expected, part) in cases {
        let (status, told) = ask(client, hook, "a", &metadata).await;
        assert_eq!(status, expected, "{told}");
        assert!(told.contains(part) && !told.contains('\n'), "{told}");
    }
    let (status, told) = client
        .post(
            "/flagger/rollout",
            &json!({"name": "podinfo", "namespace": "test"}),
        )
        .await;
    assert_eq!(status, 400);
    assert!(told.as_str().unwrap().contains("'checksum'"), "{told}");
    assert_eq!(analyses(client).await.len(), 0);

    let event = client
        .http
        .post(format!("{}/flagger/event", client.url))
        .body("no JSON");
    assert_eq!(answer(event).await.0, 200);
}

#[tokio::test]
async fn a_key_of_others_is_refused_with_the_one_that_is_meant() {
    let (serin, _prometheus) = start().await;
    let cases = [
        (
            json!({"threshold": "95"}),
            "'pass' and 'marginal' are meant",
        ),
        (json!({"region": "eu"}), "is 'location' meant?"),
        (
            json!({"scoreThresholds": "95"}),
            "'pass' and 'marginal' are meant",
        ),
        (
            json!({"thresholds.passThreshold": "95"}),
            "is 'pass' meant?",
        ),
        (
            json!({"lifetimeDuration": "30m"}),
            "is 'lifetimeDurationMins' meant?",
        ),
        (
            json!({"canaryAnalysisIntervalMins": "5"}),
            "is 'analysisIntervalMins' meant?",
        ),
        (
            json!({"baseline": "podinfo-primary"}),
            "is 'controlScope' meant?",
        ),
        (
            json!({"startTime": "2024-06-01T01:00:00"}),
            "is no value for 'startTime', which wants a time with its zone",
        ),
        (
            json!({"interval": "5m", "analysisIntervalMins": "10"}),
            "'interval' and 'analysisIntervalMins' are one key: give one",
        ),
    ];
    for (members, part) in cases {
        for hook in ["confirm-rollout", "rollout", "confirm-promotion"] {
            let metadata = with(recorded("good"), &members);
            let (status, told) = ask(&serin.client, hook, "a", &metadata).await;
            assert_eq!(status, 400, "{hook}: {told}");
            assert!(told.contains(part), "{hook}: {told}");
        }
    }
    assert_eq!(analyses(&serin.client).await.len(), 0);
}

#[tokio::test]
async fn hooks_that_come_at_once_start_one_analysis() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let metadata = recorded("good");
    let asked = (0..16).map(|_| ask(client, "rollout", "a", &metadata));
    for (status, told) in futures::future::join_all(asked).await {
        assert_eq!(status, 200, "{told}");
    }
    assert_eq!(analyses(client).await.len(), 1);
}

#[tokio::test]
async fn replicas_share_the_run_of_a_revision() {
    let Some(database) = new_database().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().display().to_string();
    let keys = [
        ("database.url", database.as_str()),
        ("storage.directory", directory.as_str()),
    ];
    let prometheus =
        ScriptedPrometheus::start(|asked| by_scope(asked, Duration::from_mins(5))).await;
    let replica = || Serin::start_with(&prometheus.url, &keys, None);
    let (one, two) = tokio::join!(replica(), replica());
    let (one, two) = (&one.client, &two.client);
    store(one, "gate").await;
    let metadata = recorded("bad");
    let asked = (0..16).map(|number| {
        let client = if number % 2 == 0 { one } else { two };
        ask(client, "rollout", "a", &metadata)
    });
    futures::future::join_all(asked).await;
    assert_eq!(analyses(two).await.len(), 1);
    for client in [one, two] {
        let (status, told) = decided(client, "confirm-promotion", "a", &metadata).await;
        assert_eq!(status, 403, "{told}");
        assert!(told.starts_with("A score of 50 does not reach"), "{told}");
    }
    assert_eq!(ask(one, "rollback", "a", &Value::Null).await.0, 200);
    assert_eq!(ask(two, "rollback", "a", &Value::Null).await.0, 200);
    assert_eq!(ask(two, "post-rollout", "a", &Value::Null).await.0, 200);
    assert_eq!(ask(one, "rollback", "a", &Value::Null).await.0, 403);
}

#[tokio::test]
async fn a_run_that_was_deleted_is_started_anew() {
    let (serin, _prometheus) = start().await;
    let client = &serin.client;
    let metadata = recorded("good");
    assert_eq!(
        decided(client, "confirm-promotion", "a", &metadata).await.0,
        200
    );
    let id = analyses(client).await[0]["pipelineId"]
        .as_str()
        .unwrap()
        .to_owned();
    let archive = serin
        .data()
        .join("kayenta/standalone_canary_archive")
        .join(&id);
    let begun = Instant::now();
    while !archive.exists() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(client.delete(&format!("/pipelines/{id}")).await.0, 200);
    std::fs::remove_dir_all(archive).unwrap();
    let (status, told) = ask(client, "confirm-promotion", "a", &metadata).await;
    assert_eq!(status, 403);
    assert!(told.starts_with("The analysis has begun"), "{told}");
}
