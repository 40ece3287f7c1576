//! Margins that a stored config names are learned anew once they are old enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::harness::new_database;

/// Until something moves, `b` is as `a`; from then on it is a fifth higher in every other hour.
fn moving(has_moved: &Arc<AtomicBool>) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static {
    let has_moved = Arc::clone(has_moved);
    move |asked| {
        let is_higher =
            has_moved.load(Ordering::Relaxed) && asked.params["query"].contains("version=\"b\"");
        crate::economy::answer(asked, &["a"], |_, time| {
            let minute = time / 60_000;
            let level = if is_higher && minute / 60 % 2 == 0 {
                120.0
            } else {
                100.0
            };
            Some(level + f64::from(u8::try_from(minute * 37 % 17).unwrap()) / 10.0)
        })
    }
}

async fn learn(client: &Client) -> Value {
    let request = request(&json!({"write": "checkout", "end": null}));
    let document = ended(client, &start(client, &request).await).await;
    assert_eq!(document["status"], "succeeded", "{document}");
    document
}

/// A config that names what was learned.
async fn store(client: &Client) -> Value {
    let judge =
        json!({"name": "sequential-v1", "judgeConfigurations": {"calibration": "checkout"}});
    let (status, stored) = client.post("/canaryConfig", &config(&judge)).await;
    assert_eq!(status, 200, "{stored}");
    stored["canaryConfigId"].clone()
}

async fn listed(client: &Client) -> Vec<Value> {
    let (status, list) = client.get("/calibrations?limit=200").await;
    assert_eq!(status, 200, "{list}");
    list.as_array().unwrap().clone()
}

#[tokio::test]
async fn margins_are_learned_anew_and_what_moved_is_told() {
    let has_moved = Arc::new(AtomicBool::new(false));
    let prometheus = ScriptedPrometheus::start(moving(&has_moved)).await;
    let serin = Serin::start_with(&prometheus.url, &[("calibration.every", "1s")], None).await;
    let client = &serin.client;
    let first = learn(client).await;
    has_moved.store(true, Ordering::Relaxed);
    // Nothing is learned anew for nobody.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(listed(client).await.len(), 1);

    let config = store(client).await;
    let begun = Instant::now();
    let anew = loop {
        let made = listed(client).await;
        if 1 < made.len() {
            let last = made[made.len() - 2]["id"].as_str().unwrap();
            break ended(client, last).await;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "nothing is learned anew"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(anew["status"], "succeeded", "{anew}");
    let (asked, before) = (&anew["request"], &first["request"]);
    assert_eq!(asked["canaryConfigId"], config);
    for member in [
        "control",
        "against",
        "windows",
        "windowMins",
        "intervalMins",
        "write",
    ] {
        assert_eq!(asked[member], before[member], "{member}: {asked}");
    }
    assert_eq!(
        (asked.get("end"), asked.get("canaryConfig")),
        (None, None),
        "{asked}"
    );
    let sentences = anew["report"]["sentences"].to_string();
    assert!(
        sentences.contains("latency: the margin moved from 1 % to "),
        "{sentences}"
    );
    let (_, learned) = client.get("/learnedMargins/checkout").await;
    let made = |learned: &Value| learned["madeMillis"].as_i64().unwrap();
    assert!(made(&first["learned"]) < made(&learned), "{learned}");
    let (_, metrics) = client.get("/metrics").await;
    assert!(
        metrics
            .as_str()
            .unwrap()
            .contains("serin_margins_moved_total"),
        "{metrics}"
    );
}

#[tokio::test]
async fn one_replica_of_a_fleet_learns_margins_anew() {
    let Some(database) = new_database().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().display().to_string();
    let keys = [
        ("database.url", database.as_str()),
        ("storage.directory", directory.as_str()),
        ("calibration.every", "2s"),
    ];
    let has_moved = Arc::new(AtomicBool::new(false));
    let prometheus = ScriptedPrometheus::start(moving(&has_moved)).await;
    let replica = || Serin::start_with(&prometheus.url, &keys, None);
    let (one, two, three) = tokio::join!(replica(), replica(), replica());
    learn(&one.client).await;
    store(&two.client).await;
    let begun = Instant::now();
    let made = loop {
        let made = listed(&three.client).await;
        if 4 <= made.len() {
            break made;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{made:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let times = made.iter().map(|line| {
        let time: jiff::Timestamp = line["buildTimeIso"].as_str().unwrap().parse().unwrap();
        time.as_millisecond()
    });
    let times: Vec<i64> = times.collect();
    for pair in times.windows(2) {
        // Each is dated some milliseconds after its turn was taken.
        assert!(1_900 <= pair[0] - pair[1], "two at once: {times:?}");
    }
}

#[tokio::test]
async fn margins_that_came_from_elsewhere_stay_as_they_are() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let serin = Serin::start_with(&prometheus.url, &[("calibration.every", "1s")], None).await;
    let learned = json!({"calibration": "x", "madeMillis": 1, "fromMillis": 0, "toMillis": 1,
        "metrics": [{"metric": "latency", "margin": 0.12, "windows": 200, "query": "0"}]});
    let body = json!({"learned": learned});
    let (status, kept) = serin.client.put("/learnedMargins/checkout", &body).await;
    assert_eq!(status, 200, "{kept}");
    store(&serin.client).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(listed(&serin.client).await.is_empty());
    assert_eq!(
        serin.client.get("/learnedMargins/checkout").await,
        (200, kept)
    );
}
