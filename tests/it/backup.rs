//! `serin backup` and `serin restore`.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::command::text;
use crate::executions::{adhoc, series};
use crate::harness::Serin;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};
use crate::scripted_s3::ScriptedS3;
use crate::stores::{bucket, on_buckets};

fn steady(_: &Asked) -> Reply {
    series(1.0)
}

/// Exit code, and all that was written.
async fn ended(verb: &str, folder: &Path, data: &Path) -> (i32, String) {
    ended_with(verb, folder, data, "64MiB", &[]).await
}

/// Where no larger documents than `most` are read.
async fn ended_with(
    verb: &str,
    folder: &Path,
    data: &Path,
    most: &str,
    more: &[&str],
) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command
        .arg(verb)
        .arg(folder)
        .args(more)
        .env_remove("SERIN_CONFIG")
        .env("SERIN__STORAGE__DIRECTORY", data)
        .env("SERIN__STORAGE__MAXOBJECTSIZE", most);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let told = text(&output.stdout) + &text(&output.stderr);
    (output.status.code().unwrap(), told)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_backed_up_while_serin_ran_is_there_after_a_restore() {
    let prometheus = ScriptedPrometheus::start(steady).await;
    let serin = Serin::start(&prometheus.url).await;
    let mut config = adhoc(&["m"])["canaryConfig"].clone();
    config["name"] = "checkout".into();
    config["applications"] = json!(["shop"]);
    let (status, stored) = serin.client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200, "{stored}");
    let config_id = stored["canaryConfigId"].as_str().unwrap().to_owned();
    let run = serin
        .client
        .start_canary("/canary?application=shop", &adhoc(&["m"]))
        .await;
    let document = serin.client.poll(&run).await;
    let (status, pinned) = serin
        .client
        .put(&format!("/canary/{run}/pin"), &json!({}))
        .await;
    assert!(status < 300, "{pinned}");

    let folder = tempfile::tempdir().unwrap();
    let (kept, place) = (folder.path().join("kept"), folder.path().join("place"));
    let (code, told) = ended("backup", &kept, &serin.data()).await;
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("backed up the database"), "{told}");
    let (code, told) = ended("backup", &kept, &serin.data()).await;
    assert_eq!(code, 64, "{told}");
    assert!(told.contains("is not empty"), "{told}");
    // What is running is not written over.
    let (code, told) = ended("restore", &kept, &serin.data()).await;
    assert_eq!(code, 64, "{told}");
    assert!(told.contains("is there already; stop serin"), "{told}");
    serin.service.stop().await;

    let (code, told) = ended("restore", &place, &place).await;
    assert_eq!(code, 64, "{told}");
    assert!(told.contains("holds no backup"), "{told}");
    let (code, told) = ended("restore", &kept, &place).await;
    assert_eq!(code, 0, "{told}");
    let directory = place.display().to_string();
    let keys = [("storage.directory", directory.as_str())];
    let again = Serin::start_with(&prometheus.url, &keys, None).await;
    let (status, found) = again
        .client
        .get(&format!("/canaryConfig/{config_id}"))
        .await;
    assert_eq!((status, &found["name"]), (200, &json!("checkout")));
    let (_, found) = again.client.get(&format!("/canary/{run}")).await;
    assert_eq!(found["result"], document["result"]);
    let path = "/canary/executions?application=shop";
    let (_, listed) = again.client.get(path).await;
    assert_eq!(listed[0]["pipelineId"], json!(run));
    let pins = place.join("kayenta/pin");
    assert_eq!(pins.read_dir().unwrap().count(), 1);
    again.service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pins_of_a_bucket_come_back_where_the_bucket_was_lost() {
    let prometheus = ScriptedPrometheus::start(steady).await;
    let s3 = ScriptedS3::faithful().await;
    s3.create("reports");
    let types = ["OBJECT_STORE", "CONFIGURATION_STORE"];
    let config = on_buckets(&[bucket(&s3, "reports", &types)]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.yml");
    std::fs::write(&file, &config).unwrap();
    let named = ["--config", file.to_str().unwrap()];
    let serin = Serin::start_with(&prometheus.url, &[], Some(&config)).await;
    let run = serin.client.start_canary("/canary", &adhoc(&["m"])).await;
    serin.client.poll(&run).await;
    let path = format!("/canary/{run}/pin");
    assert_eq!(serin.client.put(&path, &json!({})).await.0, 204);
    let (kept, place) = (folder.path().join("kept"), folder.path().join("place"));
    let (code, told) = ended_with("backup", &kept, &serin.data(), "64MiB", &named).await;
    assert_eq!(code, 0, "{told}");
    serin.service.stop().await;

    s3.remove("reports");
    s3.create("reports");
    let (code, told) = ended_with("restore", &kept, &place, "64MiB", &named).await;
    assert_eq!(code, 0, "{told}");
    let pin = format!("kayenta/pin/{run}/canary.json");
    assert_eq!(s3.keys("reports"), [pin]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_read_is_named_and_the_others_are_backed_up() {
    let serin = Serin::start("").await;
    let config = json!({"name": "checkout", "applications": ["shop"], "metrics": [], "classifier": {"groupWeights": {}}});
    let (status, stored) = serin.client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200, "{stored}");
    let configs = serin.data().join("kayenta/canary_config");
    // It comes first, and keeps nothing that comes behind it.
    std::fs::create_dir(configs.join("0-large")).unwrap();
    std::fs::write(configs.join("0-large/large.json"), vec![b' '; 100_000]).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let (code, told) = ended_with("backup", &kept, &serin.data(), "50000", &[]).await;
    assert_eq!(code, 69, "{told}");
    for part in [
        "backed up the database",
        "canary_config/0-large/large.json",
        "storage.maxObjectSize is 50000",
        "the backup lacks 1 documents",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let configs = kept.join("documents/local/objects/canary_config");
    let id = stored["canaryConfigId"].as_str().unwrap();
    let copied = configs.read_dir().unwrap();
    let copied: Vec<_> = copied.map(|it| it.unwrap().file_name()).collect();
    assert_eq!(copied, [id]);
    serin.service.stop().await;
}
