//! The migrations, compiled in. `sqlx::migrate!` would have both drivers and SQLite built a second
//! time, for the macro.

use std::borrow::Cow;

use sqlx::SqlStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

macro_rules! file {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/migrations/",
                $name,
                ".sql"
            )),
        )
    };
}

/// By number and name, as they are called in `migrations`.
const FILES: [(&str, &str); 11] = [
    file!("0001_index"),
    file!("0002_fleet"),
    file!("0003_notifications"),
    file!("0004_runs"),
    file!("0005_flagger"),
    file!("0006_actions"),
    file!("0007_lean"),
    file!("0008_bounds"),
    file!("0009_audit"),
    file!("0010_pairs"),
    file!("0011_sought"),
];

/// Every migration leaves what older replicas need: they may still run, and may start again.
pub fn migrations() -> Migrator {
    let all = (1..).zip(FILES).map(|(version, (name, sql))| {
        let description = name.split_once('_').map_or(name, |(_, words)| words);
        let description = Cow::Owned(description.replace('_', " "));
        let kind = MigrationType::Simple;
        Migration::new(version, description, kind, SqlStr::from_static(sql), false)
    });
    let mut migrations = Migrator::with_migrations(all.collect());
    migrations.set_ignore_missing(true);
    migrations
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::{AnyConnection, Connection, Executor};

    use super::super::Index;
    use super::super::tests::new_postgres_database;
    use super::*;
    use crate::config::Database;

    #[tokio::test]
    async fn every_file_is_a_migration_as_sqlx_reads_it() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let read = Migrator::new(folder).await.unwrap();
        let all = |migrator: &Migrator| {
            let shown = |one: &Migration| {
                let (kind, no_tx) = (one.migration_type, one.no_tx);
                let description = one.description.to_string();
                (one.version, description, kind, one.checksum.clone(), no_tx)
            };
            migrator.iter().map(shown).collect::<Vec<_>>()
        };
        assert_eq!(all(&migrations()), all(&read));
    }

    /// As a replica of the first version writes them, which every later one has to read.
    const ROWS: [&str; 2] = [
        "INSERT INTO canary_config (account, id, name, updated_timestamp, applications, version, noted_at) \
         VALUES ('s3', 'c', 'checkout', 7, '[\"web\"]', '', 7)",
        "INSERT INTO execution (id, kind, application, canary_config_id, storage_account, status, complete, \
         build_time, archived, due_at, attempt, failures, document) \
         VALUES ('left', 'canary', 'web', 'c', 's3', 'not_started', 0, 7, 0, 7, 0, 0, '{}')",
    ];

    #[tokio::test]
    async fn a_database_of_every_earlier_version_is_brought_up_to_date() {
        sqlx::any::install_default_drivers();
        for versions in 1..=FILES.len() {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("serin.db");
            std::fs::write(&file, "").unwrap();
            let mut urls = vec![format!("sqlite:{}", file.display())];
            urls.extend(new_postgres_database().await);
            for url in urls {
                let earlier: Vec<Migration> = migrations().iter().take(versions).cloned().collect();
                let mut connection = AnyConnection::connect(&url).await.unwrap();
                let earlier = Migrator::with_migrations(earlier);
                earlier.run(&mut connection).await.unwrap();
                for row in ROWS {
                    connection.execute(row).await.unwrap();
                }
                connection.close().await.unwrap();

                let index = Index::open(&Database::at(&url)).await.unwrap();
                let config = index.config("s3", "c").await.unwrap().unwrap();
                assert_eq!(config.name, "checkout", "{versions}: {url}");
                let lease = Duration::from_secs(30);
                let claimed = index.claim("worker", 8, lease, 2).await.unwrap();
                let ids: Vec<&str> = claimed.iter().map(|claim| claim.id.as_str()).collect();
                assert_eq!(ids, ["left"], "{versions}: {url}");
                index.close().await;
            }
        }
    }
}
