//! Work goes on where nobody hears of it, and ends where nobody does it.

use std::io::{PipeReader, pipe};
use std::process::{Command, Stdio};

use serin::command::Service;
use serin::config::LoadOptions;

use crate::crash::{Process, free_port};
use crate::executions::{adhoc, series};
use crate::scripted_prometheus::ScriptedPrometheus;

/// A log of which every line fails, and what must be kept for that.
fn logs() -> [(&'static str, Stdio, Option<PipeReader>); 2] {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let (reader, writer) = pipe().unwrap();
    [
        ("a full disk", full.unwrap().into(), None),
        ("a pipe", writer.into(), Some(reader)),
    ]
}

#[tokio::test]
async fn what_is_accepted_ends_though_the_log_cannot_be_written() {
    for (name, log, reader) in logs() {
        let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
        command
            .args(["serve", "--prometheus", &prometheus.url])
            .env("SERIN__STORAGE__DIRECTORY", folder.path())
            .env("SERIN__LOG__LEVEL", "info,serin=trace,tower_http=trace");
        let serin = Process::spawn_with_log(command, free_port(), log).await;
        // Who reads the log dies.
        drop(reader);
        for round in 0..5 {
            let id = serin.client.start_canary("/canary", &adhoc(&["m"])).await;
            let done = serin.client.poll(&id).await;
            assert_eq!(done["status"], "succeeded", "{name}, {round}: {done}");
        }
        assert_eq!(serin.client.get("/health/liveness").await.0, 200, "{name}");
    }
}

#[test]
fn a_command_whose_output_nobody_reads_ends_by_what_it_did() {
    // What is written, where to, and how it ends.
    let cases: [(&[&str], bool, i32); 3] = [
        (&["templates"], true, 0),
        (&["openapi"], true, 0),
        (&["openapi"], false, 1),
    ];
    for (arguments, is_pipe, code) in cases {
        let output: Stdio = if is_pipe {
            let (reader, writer) = pipe().unwrap();
            drop(reader);
            writer.into()
        } else {
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
            full.unwrap().into()
        };
        let ended = Command::new(env!("CARGO_BIN_EXE_serin"))
            .args(arguments)
            .stdout(output)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {told}");
        assert!(!told.contains("panicked"), "{told}");
    }
}

#[tokio::test]
async fn a_worker_that_ends_before_the_shutdown_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let options = LoadOptions {
        overrides: vec![
            (
                "storage.directory".to_owned(),
                folder.path().display().to_string(),
            ),
            ("server.port".to_owned(), "0".to_owned()),
        ],
        ..LoadOptions::default()
    };
    let loaded = serin::config::load_from(&options, &std::collections::BTreeMap::new());
    let mut service = Service::start(loaded.unwrap().config).await.unwrap();
    let soon = std::time::Duration::from_secs(2);
    let ended = tokio::time::timeout(soon, service.first_end()).await;
    assert!(ended.is_err(), "'{}' ended by itself", ended.unwrap());
    // Without places there is nothing that the worker could do.
    service.app.places.close();
    let ended = tokio::time::timeout(soon, service.first_end()).await;
    assert_eq!(ended.unwrap(), "worker");
    service.stop().await;
}
