//! The record of deeds: what is written down, exported, and found to be changed.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin::audit::{By, Deed, Entry, Row, What};
use serin::error::{Error, Result};
use serin::storage::DeedSearch;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::command::{serin, text};
use crate::executions::{adhoc, config};
use crate::harness::Serin;
use crate::scripted_prometheus::{Reply, ScriptedPrometheus};

/// That exports all the time, with a configuration that commands can read.
async fn start(folder: &Path, keys: &[(&str, &str)]) -> (Serin, ScriptedPrometheus) {
    let prometheus = ScriptedPrometheus::start(|_| Reply::matrix(&json!([]))).await;
    let data = folder.join("data").display().to_string();
    let mut all = vec![
        ("storage.directory", data.as_str()),
        ("storage.refresh", "1s"),
        ("audit.exportEvery", "1s"),
    ];
    all.extend_from_slice(keys);
    let file = format!("storage:\n  directory: {data}\n");
    std::fs::write(folder.join("serin.yml"), file).unwrap();
    (
        Serin::start_with(&prometheus.url, &all, None).await,
        prometheus,
    )
}

async fn rows(serin: &Serin) -> Vec<Row> {
    let storage = &serin.service.app.storage;
    let rows = storage.deeds(&DeedSearch::default(), None, 1_000).await;
    let mut rows = rows.unwrap();
    rows.reverse();
    rows
}

fn details(row: &Row) -> Value {
    serde_json::from_str(&row.details).unwrap()
}

/// Exit code and what is printed, for `serin audit` of that folder.
fn audit(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let file = folder.join("serin.yml").display().to_string();
    let mut all = vec!["audit"];
    all.extend_from_slice(arguments);
    all.extend(["--config", &file]);
    let output = serin(&all, "");
    let printed = format!("{}{}", text(&output.stdout), text(&output.stderr));
    (output.status.code(), printed)
}

async fn sql(folder: &Path, sql: &'static str) {
    let url = format!("sqlite:{}", folder.join("data/serin.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    connection.execute(sql).await.unwrap();
    connection.close().await.unwrap();
}

fn exported(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for day in std::fs::read_dir(folder.join("data/kayenta/audit"))
        .into_iter()
        .flatten()
    {
        for file in std::fs::read_dir(day.unwrap().path()).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    lines
}

async fn act(serin: &Serin) {
    assert_eq!(serin.client.post("/metricSetList", &json!([])).await.0, 200);
}

/// With three deeds on record after its start.
async fn start_with_deeds(folder: &Path) -> (Serin, ScriptedPrometheus) {
    let (serin, prometheus) = start(folder, &[]).await;
    for _ in 0..3 {
        act(&serin).await;
    }
    (serin, prometheus)
}

async fn wait_for_lines(folder: &Path, count: usize) {
    let start = Instant::now();
    while exported(folder).len() < count {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "{:?}",
            exported(folder)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_is_done_is_recorded_with_who_and_what() {
    let folder = tempfile::tempdir().unwrap();
    let (serin, _prometheus) = start(folder.path(), &[]).await;
    let mut stored = config(&["latency"]);
    stored["name"] = json!("checkout");
    stored["applications"] = json!(["shop", "pay"]);
    stored["id"] = json!("c1");
    let (status, told) = serin.client.post("/canaryConfig", &stored).await;
    assert_eq!(status, 200, "{told}");
    stored["description"] = json!("new");
    let (status, told) = serin.client.put("/canaryConfig/c1", &stored).await;
    assert_eq!(status, 200, "{told}");
    assert_eq!(serin.client.delete("/canaryConfig/c1").await.0, 204);

    let path = "/canary?application=shop";
    let id = serin.client.start_canary(path, &adhoc(&["latency"])).await;
    serin.client.poll(&id).await;
    let pin = format!("/canary/{id}/pin");
    assert_eq!(serin.client.put(&pin, &Value::Null).await.0, 204);
    assert_eq!(serin.client.delete(&pin).await.0, 204);
    for _ in 0..5 {
        assert_eq!(serin.client.delete("/credentials/local").await.0, 403);
    }

    let rows = rows(&serin).await;
    let told: Vec<[&str; 4]> = rows
        .iter()
        .map(|row| [&*row.deed, &*row.kind, &*row.id, &*row.application])
        .collect();
    let chain = rows[0].chain.as_str();
    assert_eq!(
        told,
        [
            ["opened", "chain", chain, ""],
            ["configCreated", "config", "c1", "shop, pay"],
            ["configChanged", "config", "c1", "shop, pay"],
            ["configDeleted", "config", "c1", "shop, pay"],
            ["started", "canary", &id, "shop"],
            ["pinned", "canary", &id, "shop"],
            ["unpinned", "canary", &id, "shop"],
            ["refused", "request", "DELETE /credentials/local", ""],
        ]
    );
    for row in &rows[1..] {
        assert_eq!(
            (&*row.who, &*row.address),
            ("anonymous", "127.0.0.1"),
            "{row:?}"
        );
        assert!(!row.request_id.is_empty(), "{row:?}");
    }
    let (changed, deleted) = (details(&rows[2]), details(&rows[3]));
    assert_eq!(changed["before"], details(&rows[1])["diff"][0]["value"]);
    assert_eq!(deleted["before"]["description"], "new");
    let diff = changed["diff"].as_array().unwrap();
    let added = json!({"op": "add", "path": "/description", "value": "new"});
    assert!(diff.contains(&added), "{diff:?}");
    assert_eq!(details(&rows[7])["status"], 403);

    // For admins, and nothing says who is one.
    for path in ["/audit", "/audit/a/1", "/ui/audit", "/ui/audit/a/1"] {
        let (status, told) = serin.client.get(path).await;
        assert_eq!(status, 403, "{path}: {told}");
    }
}

#[tokio::test]
async fn what_is_exported_is_what_was_recorded_and_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (one, _prometheus) = start_with_deeds(folder).await;
    wait_for_lines(folder, 4).await;
    one.service.stop().await;
    let (two, _prometheus) = start(folder, &[]).await;
    act(&two).await;
    wait_for_lines(folder, 6).await;
    let chain = rows(&two).await[0].chain.clone();
    two.service.stop().await;

    let (code, printed) = audit(folder, &["verify", "--store"]);
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(printed.matches("whole").count(), 4, "{printed}");
    assert!(
        printed.contains(&format!("whole   {chain} in the store: rows 1 to 4")),
        "{printed}"
    );
    let (code, printed) = audit(folder, &["export"]);
    assert_eq!(code, Some(0), "{printed}");
    let (mut whole, mut stored) = (exported(folder), Vec::new());
    stored.extend(printed.lines().map(str::to_owned));
    whole.sort();
    stored.sort();
    assert_eq!(whole, stored);

    let cases: [(&str, &str, bool); 5] = [
        (
            "UPDATE audit SET who = 'x' WHERE number = 3",
            "in the database: row 3 is not as it was written; whole are rows 1 to 2",
            false,
        ),
        (
            "DELETE FROM audit WHERE number = 4; \
             UPDATE audit_chain SET number = 3, hash = (SELECT hash FROM audit WHERE number = 3) \
             WHERE number = 4",
            "row 4 is not the one that the chain",
            false,
        ),
        (
            "DELETE FROM audit WHERE chain = (SELECT chain FROM audit WHERE number = 4); \
             DELETE FROM audit_chain WHERE number = 4",
            "the chain is missing, which the chain",
            false,
        ),
        (
            "DELETE FROM audit_chain WHERE number = 4",
            "the chain has rows, and its own row is missing",
            false,
        ),
        (
            "DELETE FROM audit; DELETE FROM audit_chain WHERE number <> 4; \
             UPDATE audit_chain SET anchor_number = 4, anchor_hash = 'x', hash = 'x'",
            "row 4 is not the same in the store and in the database",
            true,
        ),
    ];
    let database = folder.join("data/serin.db");
    let kept = std::fs::read(&database).unwrap();
    for (change, expected, in_store) in cases {
        std::fs::write(&database, &kept).unwrap();
        let _ = std::fs::remove_file(folder.join("data/serin.db-wal"));
        let _ = std::fs::remove_file(folder.join("data/serin.db-shm"));
        sql(folder, change).await;
        let arguments: &[&str] = if in_store {
            &["verify", "--store"]
        } else {
            &["verify"]
        };
        let (code, printed) = audit(folder, arguments);
        assert_eq!(code, Some(1), "{change}: {printed}");
        assert!(printed.contains(expected), "{change}: {printed}");
    }
}

#[tokio::test]
async fn what_is_older_than_it_is_kept_is_forgotten_once_it_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (one, _prometheus) = start_with_deeds(folder).await;
    let storage = &one.service.app.storage;
    let chain = rows(&one).await[0].chain.clone();
    let start_of_wait = Instant::now();
    while storage.chains().await.unwrap()[0].exported < 4 {
        assert!(start_of_wait.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // As if they had been written two hours ago: the chain is not whole then, and that is told.
    let keys = [("audit.keep", "1h")];
    assert_eq!(storage.chains().await.unwrap()[0].anchor.number, 0);
    one.service.stop().await;
    sql(
        folder,
        "UPDATE audit SET at = at - 7200000; UPDATE audit_chain SET begun_at = begun_at - 7200000",
    )
    .await;
    let (two, _prometheus) = start(folder, &keys).await;
    let start = Instant::now();
    loop {
        let chains = two.service.app.storage.chains().await.unwrap();
        let old = chains.iter().find(|it| it.chain == chain).unwrap();
        if old.anchor.number == 4 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{chains:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    act(&two).await;
    let left = rows(&two).await;
    assert!(left.iter().all(|row| row.chain != chain), "{left:?}");
    wait_for_lines(folder, 6).await;
    two.service.stop().await;
    let (code, printed) = audit(folder, &["verify", "--store"]);
    assert_eq!(code, Some(0), "{printed}");
    assert!(
        printed.contains(&format!("{chain} in the database: no rows")),
        "{printed}"
    );
}

#[tokio::test]
async fn what_lies_in_the_store_is_not_replaced_by_what_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (one, _prometheus) = start_with_deeds(folder).await;
    wait_for_lines(folder, 4).await;
    one.service.stop().await;
    let kept = exported(folder);
    sql(
        folder,
        "UPDATE audit SET who = 'x' WHERE number = 2; \
         UPDATE audit SET details = 'no JSON' WHERE number = 3; \
         UPDATE audit_chain SET exported = 0",
    )
    .await;
    let (two, _prometheus) = start(folder, &[]).await;
    act(&two).await;
    // The chain of before has its turn first.
    wait_for_lines(folder, 6).await;
    let now = exported(folder);
    assert!(kept.iter().all(|line| now.contains(line)), "{now:?}");
    two.service.stop().await;
}

#[tokio::test]
async fn who_goes_away_before_it_is_done_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let (serin, _prometheus) = start(folder.path(), &[]).await;
    let storage = &serin.service.app.storage;
    let deed = |id| Entry::new(By::serin(), Deed::Deleted, What::Canary, id);
    let refused = async { Err::<(), _>(Error::Invalid("no".to_owned())) };
    assert!(storage.recorded(deed("refused"), refused).await.is_err());
    storage
        .recorded(deed("done"), async { Ok(()) })
        .await
        .unwrap();
    let left = storage.recorded(deed("left"), std::future::pending::<Result<()>>());
    let left = tokio::time::timeout(Duration::from_millis(10), left).await;
    assert!(left.is_err());
    let start = Instant::now();
    let told = loop {
        let rows = rows(&serin).await;
        if rows.len() == 3 {
            break rows;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "{rows:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let told: Vec<_> = told
        .iter()
        .map(|row| (&*row.deed, &*row.outcome, &*row.id))
        .collect();
    let expected = [("deleted", "done", "done"), ("deleted", "unknown", "left")];
    assert_eq!(told[1..], expected);
}

const GLASS: &str = "serin_Z2xhc3MtdG9rZW4tZm9yLXRoZS10ZXN0cw";

/// What an admin is answered: its status, the next page of its lines, and its text.
async fn as_admin(serin: &Serin, path: &str, kind: &str) -> (u16, Option<String>, String) {
    let request = serin.client.http.get(format!("{}{path}", serin.client.url));
    let request = request.bearer_auth(GLASS).header("accept", kind);
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let next = response.headers().get("link");
    let next = next.map(|link| link.to_str().unwrap().to_owned());
    (status, next, response.text().await.unwrap())
}

#[tokio::test]
async fn an_admin_reads_the_record_page_by_page_as_json_as_lines_and_as_pages() {
    let access = format!(
        "access:\n  breakGlassToken: {GLASS}\n  rules:\n  \
         - {{who: {{anonymous: true}}, may: [read, start, config]}}\n"
    );
    let serin = Serin::start_with("", &[], Some(&access)).await;
    let mut stored = config(&["latency"]);
    stored["id"] = json!("c1");
    stored["name"] = json!("checkout");
    stored["applications"] = json!(["shop"]);
    assert_eq!(serin.client.post("/canaryConfig", &stored).await.0, 200);
    stored["description"] = json!("<i>new");
    assert_eq!(serin.client.put("/canaryConfig/c1", &stored).await.0, 200);
    for _ in 0..3 {
        assert_eq!(serin.client.post("/metricSetList", &json!([])).await.0, 200);
    }

    let (mut after, mut deeds) = (String::new(), Vec::new());
    loop {
        let path = format!("/audit?limit=2{after}");
        let (status, _, body) = as_admin(&serin, &path, "application/json").await;
        let page: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 200, "{page}");
        deeds.extend(page["deeds"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let told: Vec<&str> = deeds
        .iter()
        .map(|it| it["deed"].as_str().unwrap())
        .collect();
    let expected = [
        "stored",
        "stored",
        "stored",
        "configChanged",
        "configCreated",
        "opened",
    ];
    assert_eq!(told, expected);
    assert_eq!(deeds[3]["who"], "anonymous");
    assert!(deeds[3]["timestampIso"].is_string());

    let cases = [
        ("/audit?id=c1&limit=1", 200, r#""deed":"configChanged""#),
        ("/audit?deed=configCreated", 200, r#""id":"c1""#),
        ("/audit?since=now-1h&limit=1", 200, r#""deed":"stored""#),
        ("/audit?until=now-1h", 200, r#"{"deeds":[],"next":null}"#),
        (
            "/audit?application=nobodys",
            200,
            r#"{"deeds":[],"next":null}"#,
        ),
        ("/audit?deed=start", 400, "'started' is meant"),
        ("/audit?since=yesterday", 400, "which is no time"),
        ("/audit?after=x", 400, "no page before"),
        ("/audit/nobodys/1", 404, "has no row 1"),
    ];
    for (path, expected, part) in cases {
        let (status, _, body) = as_admin(&serin, path, "application/json").await;
        assert_eq!(status, expected, "{path}: {body}");
        assert!(body.contains(part), "{path}: {body}");
    }
    let (_, next, lines) = as_admin(&serin, "/audit?limit=2", "application/jsonl").await;
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(next.unwrap().ends_with("rel=\"next\""));

    let (status, _, list) = as_admin(&serin, "/ui/audit?id=c1", "text/html").await;
    assert_eq!(status, 200, "{list}");
    assert!(list.contains("/description"), "{list}");
    let row = &deeds[3];
    let path = format!(
        "/ui/audit/{}/{}",
        row["chain"].as_str().unwrap(),
        row["number"]
    );
    assert!(list.contains(&path), "{list}");
    let (status, _, one) = as_admin(&serin, &path, "text/html").await;
    assert_eq!(status, 200, "{one}");
    assert!(
        one.contains("&#60;i&#62;new") && !one.contains("<i>"),
        "{one}"
    );
}
