//! Secrets that lie elsewhere: what a reference stands for goes to whom it is for, and the reference
//! to nobody.

mod aws;
mod google;
mod kubernetes;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::command::{serin, text};
use crate::executions::series;
use crate::scripted_prometheus::ScriptedPrometheus;

/// A configuration whose one metrics account has that member.
fn with(prometheus: &str, member: &str, more: &str) -> String {
    format!(
        "{more}\nkayenta:\n  prometheus:\n    enabled: true\n    accounts:\n      \
         - {{name: p, endpoint: {{baseUrl: '{prometheus}'}}, {member}}}\n"
    )
}

const PASSWORD: &str = "kayenta.prometheus.accounts[0].password";
const TOKEN: &str = "kayenta.prometheus.accounts[0].bearerToken";
const ON: &str = "spinnaker: {secrets: {kubernetes: {enabled: true}}}";

/// A member of an account, what else stands in the file, the key that is named, and what is told.
const REFUSED: [(&str, &str, &str, &str); 13] = [
    // member, more, key, what is told
    (
        "username: u, password: 'encrypted:k8s!n:a!k:b'",
        "",
        PASSWORD,
        "'k8s' is off",
    ),
    (
        "username: u, password: 'encrypted:k8s!n:a!k:b'",
        ON,
        PASSWORD,
        "serin runs in no cluster",
    ),
    (
        "username: u, password: 'encrypted:vault!s:a!f:b'",
        "",
        PASSWORD,
        "the engine 'vault' is not served",
    ),
    (
        "bearerToken: 'encrypted:google-secrets-manager!s:b'",
        "",
        TOKEN,
        "the parameter 'p' is missing",
    ),
    (
        "bearerToken: 'encryptedFile:vault!p:1'",
        "",
        TOKEN,
        "the engine 'vault' is not served",
    ),
    (
        "bearerToken: 'boot-secret://vault?s=a&k=b'",
        "",
        TOKEN,
        "'boot-secret:' is a hook",
    ),
    (
        "bearerToken: 'encrypted:'",
        "",
        TOKEN,
        "an engine and its parameters",
    ),
    (
        "bearerToken: 'encrypted:s3!b:a!b:b'",
        "",
        TOKEN,
        "'b' stands twice",
    ),
    (
        "bearerToken: '${TOKEN:encrypted:vault!s:a!f:b}'",
        "",
        TOKEN,
        "the engine 'vault' is not served",
    ),
    (
        "bearerToken: '${other.token}'",
        "other: {token: 'encrypted:vault!s:a!f:b'}",
        TOKEN,
        "'vault' is not",
    ),
    (
        "headers: {Authorization: 'Bearer encrypted:k8s!n:a!k:b'}",
        "",
        "headers.Authorization",
        "the whole value",
    ),
    (
        "caFile: 'encrypted:vault!s:a!f:b'",
        "",
        "caFile",
        "the engine 'vault' is not served",
    ),
    (
        "endpoint: {baseUrl: 'encrypted:vault!s:a!f:b'}",
        "",
        "endpoint.baseUrl",
        "'vault' is not",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_had_stops_the_start_with_its_name_and_key() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kayenta.yml").display().to_string();
    for (member, more, key, part) in REFUSED {
        let yaml = match member.strip_prefix("endpoint") {
            Some(_) => with("http://p", "compression: false", more)
                .replace("'http://p'", "'encrypted:vault!s:a!f:b'"),
            None => with(&prometheus.url, member, more),
        };
        std::fs::write(&file, yaml).unwrap();
        for command in [&["config"][..], &["serve", "--port", "0"]] {
            let all = [command, &["--config", &file]].concat();
            let ended = tokio::task::block_in_place(|| serin(&all, ""));
            let told = text(&ended.stderr);
            assert_eq!(ended.status.code(), Some(1), "{member}: {told}");
            let line = told.lines().find(|line| line.contains("cannot be read"));
            let line = line.unwrap_or_else(|| panic!("{member}: {told}"));
            assert!(line.contains(key) && line.contains(part), "{line}");
        }
    }
    assert!(prometheus.asked().is_empty());
    // Of a section that nobody reads, nobody is told.
    let off = with(
        "http://p",
        "password: 'encrypted:vault!s:a!f:b'",
        "redis: {connection: 'encrypted:vault!s:a!f:b'}",
    );
    std::fs::write(&file, off.replace("enabled: true", "enabled: false")).unwrap();
    let ended = tokio::task::block_in_place(|| serin(&["config", "--config", &file], ""));
    assert!(ended.status.success(), "{}", text(&ended.stderr));
}

pub fn serve(file: &Path, place: impl FnOnce(&mut Command, &Path)) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    place(&mut command, file.parent().unwrap());
    command
        .args(["serve", "--port", "0", "--config"])
        .arg(file)
        .env("SERIN__LOG__FORMAT", "json")
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut told = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    while let Some(line) = lines.next() {
        let line = line.unwrap();
        let event: Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(url) = event["fields"]["url"].as_str() {
            // It could not write any more, if nobody read.
            std::thread::spawn(move || lines.for_each(drop));
            return (child, url.to_owned());
        }
        told += &line;
    }
    let _ = child.wait();
    panic!("{told}");
}
