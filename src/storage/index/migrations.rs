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
const FILES: [(&str, &str); 10] = [
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
    use super::*;

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
}
