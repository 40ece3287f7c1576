//! What a Kayenta kept in PostgreSQL, and what `kayenta.data-migration` brings.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::json;
use serin::config::{Config, LoadOptions, load_from};
use serin::storage::import::{Import, Mode, Tally};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use url::Url;

use super::importing::import;
use super::*;
use crate::harness::new_database;

/// Kayenta's tables, with the types that their content has had.
const TABLES: [(&str, &str, &str); 4] = [
    ("canary_config", "canary_config", "json"),
    ("canary_archive", "canary_archive", "text"),
    ("metric_pairs", "metric_set_pairs", "jsonb"),
    ("metrics", "metric_sets", "jsonb"),
];

/// Lays out what a bucket would hold, but for analyses, which Kayenta keeps in buckets only.
async fn lay_out_in_sql(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    for (group, table, kind) in TABLES {
        let create = format!(
            "CREATE TABLE {table} (id varchar(255) PRIMARY KEY, content {kind} NOT NULL, \
             created_at timestamp NOT NULL, updated_at timestamp NOT NULL)"
        );
        connection.execute(AssertSqlSafe(create)).await.unwrap();
        for (key, body) in left_by_kayenta() {
            let Some(rest) = key.strip_prefix(&format!("{group}/")) else {
                continue;
            };
            let insert = format!("INSERT INTO {table} VALUES ($1, $2::text::{kind}, now(), now())");
            sqlx::query(AssertSqlSafe(insert))
                .bind(rest.split('/').next().unwrap())
                .bind(std::str::from_utf8(&body).unwrap())
                .execute(&mut connection)
                .await
                .unwrap();
        }
    }
}

fn datasource(url: &str) -> Value {
    let url = Url::parse(url).unwrap();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap());
    json!({
        "url": format!("jdbc:postgresql://{host}:{port}{}", url.path()),
        "username": url.username(), "password": url.password(),
    })
}

/// Which objects there are, and what each says.
fn said(objects: Vec<(String, Bytes)>) -> Vec<(String, Value)> {
    let said = |body: Bytes| serde_json::from_slice(&body).unwrap();
    let objects = objects.into_iter();
    objects.map(|(key, body)| (key, said(body))).collect()
}

#[tokio::test]
async fn what_lies_in_kayentas_tables_is_imported() {
    let Some(url) = new_database().await else {
        return;
    };
    lay_out_in_sql(&url).await;
    let folder = tempfile::tempdir().unwrap();
    let (yml, new) = (folder.path().join("kayenta.yml"), folder.path().join("new"));
    let file = json!({
        "kayenta": {
            "sql": {"enabled": true},
            "file": {"enabled": true, "accounts": [{"name": "new", "directory": new}]},
        },
        "spring": {"datasource": datasource(&url)},
    });
    std::fs::write(&yml, file.to_string()).unwrap();

    let (code, told, lines) = import(&yml, "sql", "new", &[]).await;
    assert_eq!(code, 0, "{told}{lines}");
    assert!(
        told.starts_with("imported from 'sql' to 'new': 6 copied"),
        "{told}"
    );
    let mut expected = left_by_kayenta();
    expected.retain(|(key, _)| !key.starts_with("metrics/") && !key.starts_with("standalone"));
    let there = objects(&folder_store(&new)).await;
    assert_eq!(said(there.clone()), said(expected.clone()));
    // PostgreSQL keeps json and text as they were written.
    let is_kept = |(key, _): &&(String, Bytes)| key.starts_with("canary_");
    assert!(
        there
            .iter()
            .filter(is_kept)
            .eq(expected.iter().filter(is_kept))
    );

    let (_, told, _) = import(&yml, "sql", "new", &[]).await;
    assert!(told.contains(" 0 copied, 0 replaced, 6 equal"), "{told}");
    let (code, _, lines) = import(&yml, "new", "sql", &[]).await;
    assert_eq!(code, 1);
    assert!(
        lines.contains("'sql' is only read; known are 'new'"),
        "{lines}"
    );

    let wrong = file.to_string().replace("serin-test", "wrong");
    std::fs::write(&yml, wrong).unwrap();
    let (code, _, lines) = import(&yml, "sql", "new", &[]).await;
    assert_eq!(code, 1);
    assert!(
        lines.contains("cannot list") && lines.contains("password authentication failed"),
        "{lines}"
    );
}

/// Two folder accounts, `old` as Kayenta leaves it and `new`, and what brings the one into the other.
async fn two_folders(folder: &Path) -> (PathBuf, PathBuf, Value) {
    let (old, new) = (folder.join("old"), folder.join("new"));
    lay_out(&folder_store(&old)).await;
    let file = json!({"kayenta": {
        "data-migration": {"enabled": true, "sourceAccountName": "old", "targetAccountName": "new"},
        "file": {"enabled": true, "accounts": [{"name": "old", "directory": old}, {"name": "new", "directory": new}]},
    }});
    (old, new, file)
}

#[tokio::test]
async fn a_migration_brings_what_is_missing_while_serin_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (_, new, file) = two_folders(folder.path()).await;
    let serin = Serin::start_with("", &[], Some(&file.to_string())).await;
    let mut expected = left_by_kayenta();
    expected.retain(|(key, _)| !key.starts_with("metrics/"));
    let until = Instant::now() + Duration::from_secs(20);
    let mut brought = Vec::new();
    while brought != expected && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
        brought = objects(&folder_store(&new)).await;
    }
    let keys =
        |objects: &[(String, Bytes)]| objects.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&brought), keys(&expected));
    assert!(brought == expected);
    serin.service.stop().await;
}

fn loaded(folder: &Path, file: &Value) -> Config {
    let path = folder.join("kayenta.yml");
    std::fs::write(&path, file.to_string()).unwrap();
    let options = LoadOptions {
        file: Some(path),
        ..LoadOptions::default()
    };
    load_from(&options, &std::collections::BTreeMap::new())
        .unwrap()
        .config
}

#[tokio::test]
async fn a_migration_replaces_nothing_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new, file) = two_folders(folder.path()).await;
    let config = loaded(folder.path(), &file);
    let bring = async || {
        let import = Import::open(&config, "old", "new", Mode::Missing).unwrap();
        import.run(|_| {}).await.unwrap()
    };
    assert_eq!(bring().await.copied, 7);
    let before = objects(&folder_store(&new)).await;
    let (key, _) = &before[0];
    let changed = Bytes::from_static(b"{\"name\": \"changed\"}");
    folder_store(&old).put(key, changed).await.unwrap();
    let expected = Tally {
        kept: 7,
        ..Tally::default()
    };
    assert_eq!(bring().await, expected);
    assert_eq!(objects(&folder_store(&new)).await, before);
}

#[tokio::test]
async fn a_migration_that_cannot_be_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (_, _, mut file) = two_folders(folder.path()).await;
    file["kayenta"]["data-migration"]["targetAccountName"] = "elsewhere".into();
    file["server"] = json!({"port": 0});
    file["storage"] = json!({"directory": folder.path().join("data")});
    let config = loaded(folder.path(), &file);
    let Err(error) = serin::command::Service::start(config).await else {
        panic!("it started");
    };
    let told = format!("{error:#}");
    assert!(
        told.contains("kayenta.data-migration")
            && told.contains("'elsewhere' is not in the configuration"),
        "{told}"
    );
}
