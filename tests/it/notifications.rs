//! Who is told what became of an execution.

mod once;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::crash::free_port;
use crate::executions::{adhoc, series};
use crate::harness::Serin;
use crate::receivers::{MailServer, Post, Receiver};
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

/// The experiment's errors are four times the control's; the saturation has no data.
fn worse(asked: &Asked) -> Reply {
    let query = &asked.params["query"];
    if query.contains("saturation") {
        return Reply::matrix(&json!([]));
    }
    series(if query.contains("errors") && query.contains("v2") {
        4.0
    } else {
        1.0
    })
}

const METRICS: &[&str] = &["latency", "errors", "saturation"];

/// The configuration of channels; each is one mapping of YAML.
fn channels(channels: &[String]) -> String {
    format!("notifications: {{channels: [{}]}}", channels.join(", "))
}

fn hook(name: &str, url: &str, more: &str) -> String {
    format!("{{name: {name}, type: webhook, url: '{url}/{name}', {more}}}")
}

async fn run(serin: &Serin, metrics: &[&str]) -> String {
    let path = "/canary?application=web";
    let id = serin.client.start_canary(path, &adhoc(metrics)).await;
    serin.client.poll(&id).await;
    id
}

async fn counted(serin: &Serin, channel: &str, outcome: &str) -> bool {
    let (_, text) = serin.client.get("/metrics").await;
    let line = format!("serin_notifications_total{{channel=\"{channel}\",outcome=\"{outcome}\"}}");
    text.as_str().unwrap().contains(&line)
}

#[tokio::test]
async fn a_failed_canary_is_told_everywhere_with_what_failed_and_why() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let (receiver, mail) = (Receiver::start().await, MailServer::start());
    let url = &receiver.url;
    let file = channels(&[
        format!("{{name: slack, type: slack, on: [start, fail], url: '{url}/slack'}}"),
        format!("{{name: teams, type: teams, url: '{url}/teams'}}"),
        hook("hook", url, "on: [fail]"),
        format!(
            "{{name: mail, type: email, server: 127.0.0.1, port: {}, tls: none, \
             from: 'serin <serin@example.com>', to: [team@example.com]}}",
            mail.port
        ),
    ]);
    let port = free_port().to_string();
    let public = format!("http://127.0.0.1:{port}");
    let keys = [
        ("server.port", port.as_str()),
        ("server.publicUrl", &public),
    ];
    let serin = Serin::start_with(&prometheus.url, &keys, Some(&file)).await;
    let id = run(&serin, METRICS).await;
    let (_, report) = serin.client.get(&format!("/canary/{id}")).await;
    let judged = &report["result"]["judgeResult"];
    let summary = judged["summary"]["sentence"].as_str().unwrap();
    assert!(summary.contains("1 of 3 metrics could not be judged"));
    let why = judged["results"][1]["explanation"]["sentence"]
        .as_str()
        .unwrap();
    let link = format!("{public}/ui/runs/{id}");

    let taken = receiver.taken_in_the_end(4).await;
    let to = |path: &str| -> Vec<&Post> { taken.iter().filter(|post| post.path == path).collect() };
    let slack = to("/slack");
    assert_eq!(slack.len(), 2);
    assert!(
        slack[0].body.contains("web: canary started"),
        "{}",
        slack[0].body
    );
    let blocks = &slack[1].json()["blocks"];
    let told = blocks.to_string();
    for part in ["web: canary failed", summary, "*errors* (High)", why, &link] {
        assert!(
            told.contains(&json!(part).to_string()[1..][..part.len()]),
            "{part} in {told}"
        );
    }
    assert!(!told.contains("latency"), "what passed is not told: {told}");
    let images = blocks.as_array().unwrap().iter();
    let images: Vec<&Value> = images.filter(|block| block["type"] == "image").collect();
    assert_eq!(images.len(), 1);
    let chart = images[0]["image_url"].as_str().unwrap();

    let card = &to("/teams")[0].json()["attachments"][0]["content"];
    assert_eq!(card["type"], "AdaptiveCard");
    assert_eq!(card["actions"][0]["url"], link.as_str());
    let told = card["body"].to_string();
    for part in ["web: canary failed", "**errors** (High)", chart] {
        assert!(told.contains(part), "{part} in {told}");
    }

    let hook = to("/hook")[0].json();
    assert_eq!(hook["id"], to("/hook")[0].id());
    assert_eq!(
        (&hook["event"], &hook["executionId"], &hook["sentence"]),
        (&json!("fail"), &json!(id), &json!(summary))
    );
    assert_eq!(
        (&hook["metrics"], &hook["notJudged"]),
        (&json!(3), &json!(1))
    );
    let failed = json!([{"name": "errors", "label": "High", "critical": false,
        "groups": ["errors group"], "sentence": why}]);
    assert_eq!(hook["failed"], failed);
    assert_eq!(hook["chart"]["url"], chart);

    let letters = mail.letters(1).await;
    for part in [
        "Subject: web: canary failed",
        "To: team@example.com",
        why,
        &link,
    ] {
        assert!(letters[0].contains(part), "{part} in {}", letters[0]);
    }
    let ids = letters[0]
        .lines()
        .filter(|line| line.starts_with("Message-ID: <"));
    assert_eq!(ids.count(), 1);

    let got = serin.client.http.get(chart).send().await.unwrap();
    assert_eq!(got.headers()["content-type"], "image/png");
    assert!(got.headers().contains_key("cache-control"));
    let png = got.bytes().await.unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let size = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert_eq!((size(16), size(20)), (1440, 600));
    for unknown in ["0".repeat(32), "..".to_owned(), "short".to_owned()] {
        let path = format!("/ui/charts/{unknown}.png");
        assert_eq!(serin.client.get(&path).await.0, 404, "{path}");
    }
    assert!(counted(&serin, "slack", "delivered").await);
}

#[tokio::test]
async fn without_a_public_url_there_are_no_links_and_without_a_failure_few_words() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let receiver = Receiver::start().await;
    let url = &receiver.url;
    let file = channels(&[
        format!("{{name: slack, type: slack, on: [pass, fail], url: '{url}/slack'}}"),
        hook("hook", url, "on: [pass, fail]"),
    ]);
    let serin = Serin::start_with(&prometheus.url, &[], Some(&file)).await;
    run(&serin, METRICS).await;
    for post in receiver.taken_in_the_end(2).await {
        assert!(
            !post.body.contains("/ui/") && !post.body.contains("\"image\""),
            "{}",
            post.body
        );
    }
    run(&serin, &["latency"]).await;
    for post in &receiver.taken_in_the_end(4).await[2..] {
        assert!(post.body.contains("web: canary passed"), "{}", post.body);
        assert!(!post.body.contains("latency"), "{}", post.body);
    }
}

pub fn is_signed(signature: &str, body: &str, secret: &str) -> bool {
    let Some((time, signature)) = signature.split_once(",v1=") else {
        return false;
    };
    let time = time.strip_prefix("t=").unwrap();
    assert!(1_700_000_000 < time.parse::<i64>().unwrap());
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.{body}").as_bytes());
    let mut expected = String::new();
    for byte in mac.finalize().into_bytes() {
        write!(expected, "{byte:02x}").unwrap();
    }
    signature == expected
}

#[tokio::test]
async fn a_signature_tells_a_receiver_who_sent_what() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let receiver = Receiver::answering(|post, _| {
        if is_signed(
            post.header("x-serin-signature"),
            &post.body,
            "the right one",
        ) {
            200
        } else {
            401
        }
    })
    .await;
    let url = &receiver.url;
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "the right one\n").unwrap();
    let template = "template: '{\"score\": {{ score | tojson }}, \"why\": {{ sentence | tojson }}}', \
                    method: PUT, headers: {X-Team: a}";
    let file = channels(&[
        hook("right", url, &format!("{template}, secret: the right one")),
        hook(
            "file",
            url,
            &format!("secretFile: '{}'", secret.path().display()),
        ),
        hook("wrong", url, "secret: another"),
        hook("none", url, "on: [fail]"),
    ]);
    let serin = Serin::start_with(&prometheus.url, &[], Some(&file)).await;
    run(&serin, METRICS).await;
    let taken = receiver.taken_in_the_end(2).await;
    let mut paths: Vec<&str> = taken.iter().map(|post| post.path.as_str()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/file", "/right"]);
    let put = taken.iter().find(|post| post.path == "/right").unwrap();
    assert_eq!((put.method.as_str(), put.header("x-team")), ("PUT", "a"));
    assert!(
        put.json()["score"].is_number() && put.json()["why"].is_string(),
        "{}",
        put.body
    );
    for refused in ["wrong", "none"] {
        assert!(counted(&serin, refused, "retried").await, "{refused}");
    }
}

#[tokio::test]
async fn a_slack_that_cannot_fetch_the_chart_is_told_without_it() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let slack = Receiver::answering(|post, _| {
        if post.body.contains("image_url") {
            400
        } else {
            200
        }
    })
    .await;
    let file = channels(&[format!(
        "{{name: slack, type: slack, url: '{}'}}",
        slack.url
    )]);
    let keys = [("server.publicUrl", "http://unreachable")];
    let serin = Serin::start_with(&prometheus.url, &keys, Some(&file)).await;
    run(&serin, METRICS).await;
    let taken = slack.taken_in_the_end(1).await;
    assert!(
        taken[0].body.contains("*errors* (High)"),
        "{}",
        taken[0].body
    );
    assert_eq!(slack.posts().len(), 2);
}

#[tokio::test]
async fn application_and_client_choose_who_is_told() {
    let prometheus = ScriptedPrometheus::start(worse).await;
    let receiver = Receiver::start().await;
    let url = &receiver.url;
    let file = channels(&[
        hook("web", url, "on: [fail], applications: [web]"),
        hook("all", url, "on: [fail]"),
        hook("shop", url, "on: [fail], applications: [shop]"),
        hook("quiet", url, "on: [start, pass]"),
    ]);
    let serin = Serin::start_with(&prometheus.url, &[], Some(&file)).await;
    let cases = [
        ("web", json!({}), &["/all", "/web"][..]),
        ("shop", json!({}), &["/all", "/shop"]),
        ("web", json!({"serin": {"channels": ["shop"]}}), &["/shop"]),
        (
            "web",
            json!({"serin": {"channels": ["shop", "nosuch"]}}),
            &["/shop"],
        ),
        (
            "web",
            json!({"serin": {"channels": ["nosuch"]}}),
            &["/all", "/web"],
        ),
        ("web", json!({"serin": {"channels": []}}), &[]),
        ("web", json!({"notificationChannel": "#shop"}), &["/shop"]),
        (
            "web",
            json!({"notificationChannel": "#elsewhere"}),
            &["/all", "/web"],
        ),
    ];
    let mut before = 0;
    for (application, site_local, expected) in cases {
        let mut body = adhoc(METRICS);
        body["executionRequest"]["siteLocal"] = site_local.clone();
        let path = format!("/canary?application={application}");
        let id = serin.client.start_canary(&path, &body).await;
        serin.client.poll(&id).await;
        let of_run = |receiver: &Receiver| -> Vec<String> {
            let mut posts = receiver.taken();
            posts.retain(|post| post.body.contains(&id) && post.path != "/quiet");
            let mut paths: Vec<String> = posts.into_iter().map(|post| post.path).collect();
            paths.sort();
            paths
        };
        receiver
            .until(|receiver| expected.len() <= of_run(receiver).len())
            .await;
        assert_eq!(of_run(&receiver), expected, "{application} {site_local}");
        before += expected.len();
    }
    let loud = |post: &&Post| post.path != "/quiet";
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(receiver.taken().iter().filter(loud).count(), before);
}

#[tokio::test]
async fn of_an_analysis_one_start_and_one_end_are_told_and_nothing_of_its_canaries() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let receiver = Receiver::start().await;
    let file = channels(&[hook(
        "hook",
        &receiver.url,
        "on: [start, pass, marginal, fail, error]",
    )]);
    let keys = [("server.publicUrl", "https://serin.example.com/canary/")];
    let serin = Serin::start_with(&prometheus.url, &keys, Some(&file)).await;
    let body = crate::analysis::retrospective(30);
    let path = "/standalone_canary_analysis?application=web";
    let (_, started) = serin.client.post(path, &body).await;
    let id = started["canaryAnalysisExecutionId"].as_str().unwrap();
    let taken = receiver.taken_in_the_end(2).await;
    let [start, end] = [taken[0].json(), taken[1].json()];
    assert_eq!(
        (&start["event"], &end["event"]),
        (&json!("start"), &json!("pass"))
    );
    assert_eq!(
        (&end["kind"], &end["executionId"]),
        (&json!("analysis"), &json!(id))
    );
    assert_eq!(end["title"], "web: canary analysis passed");
    assert_eq!(
        end["link"],
        format!("https://serin.example.com/canary/ui/analyses/{id}")
    );
    assert_eq!(
        (&end["control"], &end["experiment"]),
        (&json!("v1"), &json!("v2"))
    );
}

#[tokio::test]
async fn an_error_is_told_and_a_cancel_is_not() {
    let slow = Arc::new(AtomicBool::new(false));
    let is_slow = Arc::clone(&slow);
    let prometheus = ScriptedPrometheus::start(move |_| {
        if is_slow.load(Ordering::SeqCst) {
            return series(1.0).after(Duration::from_mins(1));
        }
        let body = r#"{"status":"error","errorType":"bad_data","error":"no such thing"}"#;
        Reply::text(400, body)
    })
    .await;
    let receiver = Receiver::start().await;
    let file = channels(&[hook(
        "hook",
        &receiver.url,
        "on: [start, pass, marginal, fail, error]",
    )]);
    let serin = Serin::start_with(&prometheus.url, &[], Some(&file)).await;
    run(&serin, &["latency"]).await;
    let taken = receiver.taken_in_the_end(2).await;
    let error = taken[1].json();
    assert_eq!(
        (&error["event"], &error["title"]),
        (&json!("error"), &json!("web: canary ended with an error"))
    );
    assert!(
        error["sentence"]
            .as_str()
            .unwrap()
            .contains("no such thing"),
        "{error}"
    );

    slow.store(true, Ordering::SeqCst);
    let id = serin
        .client
        .start_canary("/canary", &adhoc(&["errors"]))
        .await;
    receiver.until(|receiver| receiver.taken().len() == 3).await;
    let (status, _) = serin
        .client
        .put(&format!("/pipelines/{id}/cancel"), &json!({}))
        .await;
    assert_eq!(status, 202);
    assert_eq!(
        receiver.taken_in_the_end(3).await[2].json()["event"],
        "start"
    );
}

#[tokio::test]
async fn a_channel_that_could_never_be_told_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("serin.yml");
    let template = "template: '{\"text\": \"{{ title }}\"}'";
    std::fs::write(
        &path,
        channels(&[hook("hook", "http://receiver", template)]),
    )
    .unwrap();
    let started = std::process::Command::new(env!("CARGO_BIN_EXE_serin"))
        .args(["serve", "--port", "0", "--config"])
        .arg(&path)
        .env("SERIN__STORAGE__DIRECTORY", folder.path())
        .output()
        .unwrap();
    assert!(!started.status.success());
    let told = String::from_utf8(started.stderr).unwrap();
    assert!(
        told.contains("the channel 'hook': its template does not write JSON"),
        "{told}"
    );
}
