//! Calibrations through the doors: the API, the command, the pages.

mod anew;
mod learned;
mod pages;
pub mod real;

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Client, Serin};
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

const END: i64 = 1_717_200_000;

/// Points that look like noise, and are the same whenever they are asked for. `b` is three times as high in every
/// tenth hour before the end, `far` always.
pub fn answer(asked: &Asked) -> Reply {
    let number = |name: &str| asked.params[name].clone();
    let query = number("query");
    let time = |name: &str| number(name).parse::<jiff::Timestamp>().unwrap().as_second();
    let (start, end, step) = (
        time("start"),
        time("end"),
        number("step").parse::<usize>().unwrap(),
    );
    let times = (start..=end).step_by(step);
    let values = times.map(|time| {
        let mut noise = query.bytes().fold(time.cast_unsigned(), |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        noise ^= noise >> 29;
        let level = match (
            query.contains("version=\"b\""),
            query.contains("version=\"far\""),
        ) {
            (true, _) if (END - 1 - time) / 3600 % 10 == 3 => 300.0,
            (_, true) => 300.0,
            _ => 100.0,
        };
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let value = level + (noise % 1000) as f64 / 100.0;
        json!([time, value.to_string()])
    });
    Reply::matrix(&json!([{"metric": {}, "values": values.collect::<Value>()}]))
}

fn config(judge: &Value) -> Value {
    let metric = |name: &str| {
        json!({"name": name, "groups": ["g"], "scopeName": "default",
            "query": {"type": "prometheus", "metricName": name, "customInlineTemplate": "version=\"${scope}\""},
            "analysisConfigurations": {"canary": {"direction": "either"}}})
    };
    json!({"name": "checkout", "applications": ["checkout"], "judge": judge,
        "metrics": [metric("latency"), metric("errors")], "classifier": {"groupWeights": {"g": 100}}})
}

fn request(more: &Value) -> Value {
    let judge = json!({"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}});
    let mut request = json!({
        "canaryConfig": config(&judge), "control": {"scope": "a"}, "against": [{"scope": "b"}],
        "windows": 20, "windowMins": 60, "intervalMins": 30, "end": "2024-06-01T00:00:00Z",
    });
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

pub async fn start(client: &Client, request: &Value) -> String {
    let (status, answer) = client.post("/calibrations", request).await;
    assert_eq!(status, 202, "{answer}");
    answer["calibrationId"].as_str().unwrap().to_owned()
}

pub async fn ended(client: &Client, id: &str) -> Value {
    let begun = Instant::now();
    loop {
        let (status, document) = client.get(&format!("/calibrations/{id}")).await;
        assert_eq!(status, 200, "{document}");
        if document["complete"] == true {
            return document;
        }
        assert!(begun.elapsed() < Duration::from_mins(5), "{document}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn rate(document: &Value, judge: &str) -> Value {
    let judges = document["report"]["judges"].as_array().unwrap();
    judges.iter().find(|rates| rates["judge"] == judge).unwrap()["stopped"].clone()
}

#[tokio::test]
async fn a_calibration_counts_the_windows_that_would_have_been_stopped() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let serin = Serin::start(&prometheus.url).await;
    let id = start(&serin.client, &request(&json!({}))).await;
    let document = ended(&serin.client, &id).await;
    assert_eq!(document["status"], "succeeded", "{document}");
    for judge in ["NetflixACAJudge-v1.0", "sequential-v1"] {
        let rate = rate(&document, judge);
        assert_eq!(
            (&rate["count"], &rate["of"]),
            (&json!(2), &json!(20)),
            "{judge}: {document}"
        );
        let [lower, upper] = ["lower", "upper"].map(|name| rate[name].as_f64().unwrap());
        assert!(lower < 0.1 && 0.1 < upper);
    }
    assert_eq!(document["report"]["looks"], 2);
    assert_eq!(
        document["progress"],
        json!({"fetched": 4, "queries": 4, "judged": 20, "windows": 20})
    );
    // One query a metric and side.
    let asked = prometheus.asked();
    let asked: Vec<_> = asked
        .iter()
        .filter(|asked| asked.path == "/api/v1/query_range")
        .collect();
    assert_eq!(asked.len(), 4);
    assert_eq!(asked[0].params["start"], "2024-05-31T04:00:00Z");
    assert_eq!(asked[0].params["end"], "2024-05-31T23:59:00Z");

    let (_, list) = serin.client.get("/calibrations").await;
    assert_eq!(list[0]["id"], json!(id));
    assert!(
        list[0]["headline"]
            .as_str()
            .unwrap()
            .contains("would have stopped 2 (10 %"),
        "{list}"
    );
    let (status, _) = serin.client.delete(&format!("/calibrations/{id}")).await;
    assert_eq!(status, 204);
    let (status, _) = serin.client.get(&format!("/calibrations/{id}")).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn what_cannot_be_calibrated_is_refused_with_the_reason() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let serin = Serin::start(&prometheus.url).await;
    let unknown =
        config(&json!({"name": "sequential-v1", "judgeConfigurations": {"calibration": "nosuch"}}));
    let cases = [
        (
            json!({"canaryConfig": null}),
            400,
            "either 'canaryConfigId' or 'canaryConfig'",
        ),
        (
            json!({"canaryConfigId": "x"}),
            400,
            "either 'canaryConfigId' or 'canaryConfig'",
        ),
        (
            json!({"canaryConfig": null, "canaryConfigId": "nosuch"}),
            404,
            "nosuch",
        ),
        (json!({"against": []}), 400, "against what?"),
        (
            json!({"windows": 5000}),
            400,
            "windows is 5000; 1 to 1000 is wanted",
        ),
        (json!({"windows": "many"}), 400, "windows"),
        (json!({"nosuch": 1}), 400, "nosuch"),
        (json!({"write": "a/b"}), 400, "is not an id"),
        (
            json!({"canaryConfig": unknown}),
            400,
            "no calibration is stored as 'nosuch': none is stored yet",
        ),
        (
            json!({"control": {"scope": "x".repeat(5000)}}),
            400,
            "longer than 4096 bytes",
        ),
    ];
    for (more, expected, told) in cases {
        let (status, answer) = serin.client.post("/calibrations", &request(&more)).await;
        assert_eq!(status, expected, "{more}: {answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(told), "{more}: {message}");
    }
    assert!(prometheus.asked().is_empty());
}

#[tokio::test]
async fn a_source_that_fails_ends_it_with_the_metric() {
    let prometheus = ScriptedPrometheus::start(|_| Reply::text(400, "no such thing")).await;
    let serin = Serin::start(&prometheus.url).await;
    let document = ended(
        &serin.client,
        &start(&serin.client, &request(&json!({}))).await,
    )
    .await;
    assert_eq!(document["status"], "terminal");
    let error = document["error"].as_str().unwrap();
    assert!(error.starts_with("metric 'latency'"), "{error}");
}

#[tokio::test]
async fn a_calibration_can_be_canceled() {
    let prometheus =
        ScriptedPrometheus::start(|asked| answer(asked).after(Duration::from_mins(1))).await;
    let serin = Serin::start(&prometheus.url).await;
    let id = start(&serin.client, &request(&json!({}))).await;
    let (status, answer) = serin.client.delete(&format!("/calibrations/{id}")).await;
    assert_eq!(status, 400, "{answer}");
    let (status, _) = serin
        .client
        .put(&format!("/calibrations/{id}/cancel"), &Value::Null)
        .await;
    assert_eq!(status, 202);
    assert_eq!(ended(&serin.client, &id).await["status"], "canceled");
    let (status, _) = serin
        .client
        .put(&format!("/calibrations/{id}/cancel"), &Value::Null)
        .await;
    assert_eq!(status, 202);
    let (status, _) = serin
        .client
        .put("/calibrations/nosuch/cancel", &Value::Null)
        .await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn one_whose_process_is_gone_has_ended() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let serin = Serin::start(&prometheus.url).await;
    let id = start(&serin.client, &request(&json!({}))).await;
    let mut document = ended(&serin.client, &id).await;
    let file = walk(&serin.data(), "calibration.json").unwrap();
    for (heard, complete) in [(document["heardMillis"].clone(), false), (json!(1), true)] {
        document["complete"] = json!(false);
        document["status"] = json!("running");
        document["heardMillis"] = heard;
        std::fs::write(&file, document.to_string()).unwrap();
        let (_, seen) = serin.client.get(&format!("/calibrations/{id}")).await;
        assert_eq!(seen["complete"], json!(complete), "{seen}");
    }
    let (_, seen) = serin.client.get(&format!("/calibrations/{id}")).await;
    assert_eq!(seen["status"], "terminal");
    assert!(
        seen["error"]
            .as_str()
            .unwrap()
            .contains("start it once more"),
        "{seen}"
    );
}

#[tokio::test]
async fn one_that_another_version_wrote_does_not_hide_the_others() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let serin = Serin::start(&prometheus.url).await;
    let id = start(&serin.client, &request(&json!({}))).await;
    let mut document = ended(&serin.client, &id).await;
    let file = walk(&serin.data(), "calibration.json").unwrap();
    let other = file.parent().unwrap().with_file_name("other");
    std::fs::create_dir(&other).unwrap();
    document["request"]["nosuch"] = json!(1);
    std::fs::write(other.join("calibration.json"), document.to_string()).unwrap();
    let (status, list) = serin.client.get("/calibrations").await;
    assert_eq!(status, 200, "{list}");
    let listed = list.as_array().unwrap().iter().map(|line| &line["id"]);
    assert_eq!(listed.collect::<Vec<_>>(), [&json!(id)]);
}

fn walk(folder: &std::path::Path, name: &str) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    entries.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, name)
        } else {
            path.ends_with(name).then_some(path)
        }
    })
}

async fn serin(arguments: Vec<String>) -> Output {
    let run = move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
        command
            .args(arguments)
            .env_remove("SERIN_SERVER")
            .env_remove("SERIN_PROMETHEUS_URL")
            .output()
            .unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn the_command_tells_it_in_words_and_exits_by_the_rate() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let service = Serin::start(&prometheus.url).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    let judge = json!({"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}});
    std::fs::write(&file, config(&judge).to_string()).unwrap();
    let third = folder.path().join("third.json");
    let judge = json!({"name": "dredd-v1.0", "judgeConfigurations": {}});
    std::fs::write(&third, config(&judge).to_string()).unwrap();
    let third = third.display().to_string();
    let written = folder.path().join("calibration.json");
    let (file, written) = (file.display().to_string(), written.display().to_string());
    let url = [service.client.url.clone(), prometheus.url.clone()];
    let usual = format!(
        "calibrate --config {file} --control a --against b --windows 20 --interval 30m --end 2024-06-01T00:00:00Z"
    );
    let cases = [
        (
            format!("{usual} --prometheus {} --output {written}", url[1]),
            0,
            "20 hours without a release, judged as if each",
        ),
        (
            format!("{usual} --server {} --write checkout", url[0]),
            0,
            "would have stopped 2 (10 %, between 2.8 and 30 %)",
        ),
        (
            format!("{usual} --prometheus {} --max-false-alarm 10%", url[1]),
            0,
            "At 200 releases a year",
        ),
        (
            format!("{usual} --prometheus {} --max-false-alarm 0.09", url[1]),
            1,
            "more than 9.0 %",
        ),
        (
            format!(
                "{} --prometheus {} --max-false-alarm 10%",
                usual.replace(&file, &third),
                url[1]
            ),
            69,
            "no window was judged by 'dredd-v1.0'",
        ),
        (
            format!("{usual} --prometheus {} --write checkout", url[1]),
            64,
            "--write keeps margins on a server",
        ),
        (usual.clone(), 64, "where to calibrate?"),
        (
            format!(
                "{} --prometheus {}",
                usual.replace("windows 20", "windows 0"),
                url[1]
            ),
            64,
            "windows is 0",
        ),
        (
            format!("{usual} --window 90s --prometheus {}", url[1]),
            64,
            "whole minutes",
        ),
    ];
    for (line, code, told) in cases {
        let output = serin(line.split(' ').map(str::to_owned).collect()).await;
        let all = [output.stdout, output.stderr].concat();
        let all = String::from_utf8(all).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {all}");
        assert!(all.contains(told), "{line}: {all}");
    }
    let document: Value =
        serde_json::from_str(&std::fs::read_to_string(&written).unwrap()).unwrap();
    assert_eq!(document["report"]["windows"], 20);
    let (status, _) = service.client.get("/learnedMargins/checkout").await;
    assert_eq!(status, 200);
    // What one made without a server can be kept on one.
    let body = json!({"learned": document["learned"]});
    let (status, answer) = service.client.put("/learnedMargins/other", &body).await;
    assert_eq!(status, 200, "{answer}");
}
