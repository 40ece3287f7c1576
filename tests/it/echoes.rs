//! Peers that say again what they were sent: nobody is told a secret of it.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;

use crate::crash::{Process, free_port};
use crate::executions::{adhoc, series};
use crate::receivers::{echo, echoing_mail};
use crate::scripted_prometheus::ScriptedPrometheus;

const SECRETS: [&str; 7] = [
    "slack-path-secret",
    "teams-query-secret",
    "hook-header-secret",
    "hook-signing-secret",
    "plain-mail-secret",
    "login-mail-secret",
    "action-token-secret",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_says_again_what_it_was_sent_makes_serin_tell_no_secret() {
    let url = echo().await;
    let mail = |name: &str, mechanism| {
        json!({
            "name": name, "type": "email", "on": ["start"], "server": "127.0.0.1", "tls": "none",
            "port": echoing_mail(mechanism), "username": "serin", "password": format!("{name}-secret"),
            "from": "serin@example.com", "to": ["team@example.com"],
        })
    };
    let file = json!({
        "server": {"publicUrl": "http://serin.example.com"},
        "notifications": {"channels": [
            {"name": "slack", "type": "slack", "on": ["start"], "url": format!("{url}/slack-path-secret")},
            {"name": "teams", "type": "teams", "on": ["start"], "url": format!("{url}/?sig=teams-query-secret")},
            {"name": "hook", "type": "webhook", "on": ["start"], "url": format!("{url}/hook"),
             "headers": {"Authorization": "Bearer hook-header-secret"}, "secret": "hook-signing-secret"},
            mail("plain-mail", "PLAIN"),
            mail("login-mail", "LOGIN"),
        ]},
        "actions": {"hosts": [{"host": url, "token": "action-token-secret"}]},
    });
    let folder = tempfile::tempdir().unwrap();
    let (config, log) = (folder.path().join("serin.yml"), folder.path().join("log"));
    std::fs::write(&config, file.to_string()).unwrap();
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command
        .args(["serve", "--prometheus", &prometheus.url, "--config"])
        .arg(&config)
        .env("SERIN__STORAGE__DIRECTORY", folder.path().join("data"))
        .env("SERIN__LOG__LEVEL", "trace");
    let written = Stdio::from(std::fs::File::create(&log).unwrap());
    let serin = Process::spawn_with_log(command, free_port(), written).await;

    let mut request = adhoc(&["a"]);
    let call = json!({"method": "PUT", "url": format!("{url}/route"), "body": {}});
    request["executionRequest"]["actions"] = json!({"start": [call]});
    let id = serin.client.start_canary("/canary", &request).await;
    serin.client.poll(&id).await;
    let start = Instant::now();
    let told = loop {
        let told = std::fs::read_to_string(&log).unwrap();
        let calls = serin.client.get(&format!("/canary/{id}/actions")).await.1;
        let channels = ["slack", "teams", "hook", "plain-mail", "login-mail"];
        // Each has answered, and what it said is told.
        let are_heard = channels.iter().all(|channel| {
            let mut lines = told
                .lines()
                .filter(|line| line.contains("cannot tell a channel"));
            lines.any(|line| {
                line.contains(channel) && (line.contains("401") || line.contains("535"))
            })
        });
        if are_heard && calls.to_string().contains("401") {
            break told + &calls.to_string();
        }
        assert!(start.elapsed() < Duration::from_secs(40), "{calls}\n{told}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    assert!(told.contains('…'), "{told}");
    for secret in SECRETS {
        let together = BASE64_STANDARD.encode(format!("\0serin\0{secret}"));
        for form in [secret, &BASE64_STANDARD.encode(secret), &together] {
            let lines = told.lines().filter(|line| line.contains(form));
            assert_eq!(lines.collect::<Vec<_>>(), [""; 0], "{secret}");
        }
    }
}
