//! Who may name whom, held against the source tree.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const ALLOWED: [(&str, &[&str]); 29] = [
    ("error", &[]),
    ("telemetry", &["error", "http"]),
    ("access", &["error"]),
    ("audit", &["access", "canary", "error"]),
    ("callers", &["access", "config", "http", "clock", "error"]),
    ("budget", &["canary"]),
    ("escape", &[]),
    ("http", &[]),
    ("clock", &[]),
    ("google", &["http", "clock"]),
    ("aws", &["config", "http", "clock"]),
    ("canary", &["error"]),
    ("config", &["access", "canary", "error"]),
    ("secrets", &["aws", "config", "google", "http", "clock"]),
    ("judge", &["canary", "error"]),
    ("calibration", &["metrics", "judge", "canary", "error"]),
    (
        "metrics",
        &[
            "aws",
            "budget",
            "canary",
            "config",
            "error",
            "google",
            "http",
            "telemetry",
            "clock",
        ],
    ),
    (
        "storage",
        &[
            "audit", "canary", "config", "google", "http", "error", "clock",
        ],
    ),
    (
        "app",
        &[
            "access",
            "audit",
            "budget",
            "callers",
            "canary",
            "config",
            "storage",
            "metrics",
            "telemetry",
            "clock",
            "error",
        ],
    ),
    ("report", &["canary", "error"]),
    ("outbox", &["app", "config", "error", "http"]),
    (
        "notify",
        &[
            "app", "outbox", "storage", "canary", "config", "http", "escape", "error",
        ],
    ),
    (
        "actions",
        &[
            "app", "notify", "outbox", "storage", "canary", "config", "http", "error",
        ],
    ),
    (
        "run",
        &[
            "access",
            "audit",
            "app",
            "actions",
            "notify",
            "storage",
            "metrics",
            "budget",
            "calibration",
            "judge",
            "canary",
            "config",
            "error",
            "http",
            "telemetry",
            "clock",
        ],
    ),
    (
        "lint",
        &[
            "run", "metrics", "budget", "judge", "canary", "config", "error",
        ],
    ),
    (
        "ui",
        &[
            "access", "audit", "callers", "app", "lint", "run", "storage", "report", "metrics",
            "judge", "canary", "config", "error", "escape", "clock",
        ],
    ),
    (
        "api",
        &[
            "access",
            "app",
            "audit",
            "callers",
            "ui",
            "lint",
            "run",
            "storage",
            "metrics",
            "report",
            "judge",
            "canary",
            "config",
            "error",
            "telemetry",
            "clock",
        ],
    ),
    (
        "command",
        &[
            "access",
            "callers",
            "audit",
            "app",
            "api",
            "lint",
            "run",
            "actions",
            "notify",
            "storage",
            "metrics",
            "report",
            "budget",
            "calibration",
            "judge",
            "canary",
            "config",
            "secrets",
            "error",
            "escape",
            "http",
            "telemetry",
            "clock",
        ],
    ),
    ("main", &["command"]),
];

/// A text that only one room may hold.
const KEPT: [(&str, &[&str]); 7] = [
    ("sqlx::", &["storage"]),
    ("aws_sdk_s3", &["storage", "secrets"]),
    ("StatusCode::", &["api", "ui", "metrics", "config"]),
    ("std::env::var", &["config"]),
    ("Timestamp::now", &["clock"]),
    ("promql_parser", &["metrics"]),
    // Doors see what their caller may see (`app/seen.rs`).
    (
        "app.storage",
        &["app", "run", "actions", "notify", "command"],
    ),
];

/// Kinds of accounts, and the only places that tell one from another: all others ask the account.
const KINDS: [&str; 13] = [
    "Source::Prometheus",
    "Source::Datadog",
    "Source::SignalFx",
    "Source::Stackdriver",
    "Source::NewRelic",
    "Source::CloudWatch",
    "Source::ClickHouse",
    "Store::S3",
    "Store::Gcs",
    "Store::Azure",
    "Store::File",
    "Store::Sql",
    "Store::Memory",
];
const WHO_KNOWS_KINDS: [&str; 8] = [
    "src/metrics/signalfx/",
    "src/metrics/newrelic/",
    "src/metrics/stackdriver/",
    "src/config/accounts.rs",
    "src/config/accounts/",
    "src/config/tests/",
    "src/storage/objects.rs",
    "src/metrics.rs",
];

#[test]
fn a_kind_of_account_is_known_to_its_own_file_and_to_who_opens_it() {
    let mut wrong = Vec::new();
    for (_, path, text) in sources() {
        let path = path.display().to_string();
        if WHO_KNOWS_KINDS.iter().any(|place| path.contains(place)) {
            continue;
        }
        let known = KINDS.iter().filter(|kind| text.contains(*kind));
        wrong.extend(known.map(|kind| format!("{path}: {kind}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Words of sources, and where they may stand: in their rooms, where people name a source, and among
/// Kayenta's names.
const WORDS: [&str; 9] = [
    "rometheus",
    "PromQL",
    "atadog",
    "ignalfx",
    "tackdriver",
    "ewRelic",
    "ew Relic",
    "loudWatch",
    "lickHouse",
];
const WHO_SAYS_WORDS: [&str; 10] = [
    "src/metrics.rs",
    "src/metrics/",
    "src/config/",
    "src/command.rs",
    "src/command/",
    "src/api.rs",
    "src/api/examples.rs",
    "src/api/fetch.rs",
    "src/api/scores",
    "src/canary/config.rs",
];

#[test]
fn a_source_is_named_in_its_rooms_only() {
    let mut wrong = Vec::new();
    for (_, path, text) in sources() {
        let path = path.display().to_string();
        if WHO_SAYS_WORDS.iter().any(|place| path.contains(place)) {
            continue;
        }
        // Examples of the API's document are none of the code's business; serin's own metrics are
        // Prometheus's.
        let lines = text.lines();
        let lines =
            lines.filter(|line| !line.contains("#[schema") && !line.contains("metrics_exporter"));
        for line in lines {
            let said = WORDS.iter().find(|word| line.contains(*word));
            wrong.extend(said.map(|word| format!("{path}: {word}: {line}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rooms_depend_on_each_other_one_way() {
    let allowed: BTreeMap<_, _> = ALLOWED.into_iter().collect();
    let mut wrong = Vec::new();
    for (room, path, text) in sources() {
        let may = allowed
            .get(room.as_str())
            .unwrap_or_else(|| panic!("no rule for the room '{room}'"));
        for named in rooms_named(&text) {
            if named != room && !may.contains(&named.as_str()) {
                wrong.push(format!("{}: {room} -> {named}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_belongs_to_one_room_stays_there() {
    let mut wrong = Vec::new();
    for (room, path, text) in sources() {
        for (kept, rooms) in KEPT {
            if text.contains(kept) && !rooms.contains(&room.as_str()) {
                wrong.push(format!("{}: {kept}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Room, path and code (without comments and tests) of every file but `lib.rs`.
fn sources() -> Vec<(String, PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&folder, &mut files);
    assert!(files.len() > 20, "the walk found {} files", files.len());
    files
        .into_iter()
        .filter(|path| path != &folder.join("lib.rs") && !path.ends_with("tests.rs"))
        .map(|path| {
            let inside = path.strip_prefix(&folder).unwrap();
            let first = inside
                .components()
                .next()
                .unwrap()
                .as_os_str()
                .to_string_lossy();
            let room = first.trim_end_matches(".rs").to_owned();
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let code: Vec<&str> = code
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect();
            (room, path, code.join("\n"))
        })
        .collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            files.push(path);
        }
    }
}

/// The rooms in `crate::room`, `use crate::{room, …}` and, in `main`, `serin::room`.
fn rooms_named(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for root in ["crate::", "serin::"] {
        for after in code.split(root).skip(1) {
            match after.strip_prefix('{') {
                Some(list) => named.extend(top_level(list)),
                None => named.extend(word(after)),
            }
        }
    }
    let rooms: Vec<&str> = ALLOWED.iter().map(|(room, _)| *room).collect();
    named.retain(|name| rooms.contains(&name.as_str()));
    named
}

/// The first word of each element of a braced list.
fn top_level(list: &str) -> Vec<String> {
    let (mut depth, mut words, mut start) = (0, Vec::new(), true);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            letter if start && letter.is_alphabetic() => {
                words.extend(word(&list[at..]));
                start = false;
            }
            _ => {}
        }
    }
    words
}

fn word(text: &str) -> Option<String> {
    let word: String = text
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}
