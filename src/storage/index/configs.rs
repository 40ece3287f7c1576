//! Rows of canary configs, and the names they have taken.

use sqlx::AnyConnection;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::Index;
use crate::audit::Entry;
use crate::error::Result;

/// Columns by name: a prepared `*` fails on PostgreSQL once a newer replica adds one.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, updated_timestamp, applications, version, noted_at \
             FROM canary_config ",
            $rest
        )
    };
}

/// A canary config as its listing tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRow {
    pub id: String,
    pub name: String,
    pub updated_timestamp: i64,
    pub applications: Vec<String>,
    /// Version of the object that the row was read from; empty when serin wrote it.
    pub version: String,
    pub noted_at: i64,
}

/// How a claim on a name ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Taken,
    /// Another config has it in one of the applications.
    Refused,
}

impl Index {
    pub async fn configs(&self, account: &str) -> Result<Vec<ConfigRow>> {
        let rows = self
            .ask(
                "list canary configs",
                sqlx::query(select!("WHERE account = $1"))
                    .bind(account)
                    .fetch_all(&self.read),
            )
            .await?;
        let mut configs: Vec<_> = rows.iter().map(config_row).collect();
        // Here and not in the database, whose collation is its owner's choice.
        configs.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok(configs)
    }

    /// Whether there is a row of anything that the account stores.
    pub async fn knows_objects(&self, account: &str) -> Result<bool> {
        let known = sqlx::query(
            "SELECT 1 FROM canary_config WHERE account = $1 \
             UNION ALL SELECT 1 FROM archive WHERE account = $1 LIMIT 1",
        )
        .bind(account);
        let known = self.ask("look for objects", known.fetch_optional(&self.read));
        known.await.map(|row| row.is_some())
    }

    pub async fn config(&self, account: &str, id: &str) -> Result<Option<ConfigRow>> {
        let row = self
            .ask(
                "find a canary config",
                sqlx::query(select!("WHERE account = $1 AND id = $2"))
                    .bind(account)
                    .bind(id)
                    .fetch_optional(&self.read),
            )
            .await?;
        Ok(row.as_ref().map(config_row))
    }

    /// Takes a name in all applications, or in none.
    ///
    /// The names that the config has besides are kept until [`Index::put_config`].
    pub async fn take_name(
        &self,
        account: &str,
        row: &ConfigRow,
        is_update: bool,
    ) -> Result<Named> {
        self.tell("take the name of a canary config", async {
            let mut transaction = self.write.begin().await?;
            // A bucket that Kayenta wrote to may hold a name twice; only one of the two has the
            // unique row.
            let namesakes = sqlx::query(
                select!("WHERE account = $1 AND name = $2 AND id <> $3"),
            )
            .bind(account)
            .bind(&row.name)
            .bind(&row.id)
            .fetch_all(&mut *transaction)
            .await?;
            let is_shared = |other: &ConfigRow| {
                let mut theirs = other.applications.iter();
                theirs.any(|application| row.applications.contains(application))
            };
            if namesakes
                .iter()
                .map(config_row)
                .any(|other| is_shared(&other))
            {
                return Ok(Named::Refused);
            }
            for application in &row.applications {
                let holder = sqlx::query(
                    "SELECT config_id FROM canary_config_name \
                 WHERE account = $1 AND application = $2 AND name = $3",
                )
                .bind(account)
                .bind(application)
                .bind(&row.name)
                .fetch_optional(&mut *transaction)
                .await?;
                let holder: Option<String> = holder.map(|row| row.get(0));
                match holder {
                    Some(holder) if is_update && holder == row.id => {}
                    Some(_) => return Ok(Named::Refused),
                    None => {
                        let taken = sqlx::query(
                            "INSERT INTO canary_config_name (account, application, name, config_id, noted_at) \
                             VALUES ($1, $2, $3, $4, $5)",
                        )
                        .bind(account)
                        .bind(application)
                        .bind(&row.name)
                        .bind(&row.id)
                        .bind(row.noted_at)
                        .execute(&mut *transaction)
                        .await;
                        match taken {
                            // Another replica was a moment faster.
                            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                                return Ok(Named::Refused);
                            }
                            taken => taken?,
                        };
                    }
                }
            }
            transaction.commit().await?;
            Ok(Named::Taken)
        })
        .await
    }

    /// Gives back what [`Index::take_name`] took, when the object could not be written.
    pub async fn release_name(&self, account: &str, row: &ConfigRow) -> Result<()> {
        self.tell("release the name of a canary config", async {
            let mut transaction = self.write.begin().await?;
            let kept = sqlx::query(select!("WHERE account = $1 AND id = $2"))
                .bind(account)
                .bind(&row.id)
                .fetch_optional(&mut *transaction)
                .await?;
            delete_names(&mut transaction, account, &row.id).await?;
            if let Some(kept) = kept.as_ref().map(config_row) {
                insert_names(&mut transaction, account, &kept).await?;
            }
            transaction.commit().await
        })
        .await
    }

    /// Writes the row, with what the record says of it, and leaves the config with the names of this row alone. Names that another
    /// config holds, as only a bucket that Kayenta wrote to can have it, stay with that one.
    pub async fn put_config(
        &self,
        account: &str,
        row: &ConfigRow,
        record: Option<&Entry>,
    ) -> Result<()> {
        self.tell("note a canary config", async {
        let mut recording = self.recording(record).await;
        let applications = serde_json::to_string(&row.applications).unwrap_or_default();
        let mut transaction = self.write.begin().await?;
        sqlx::query(
            "INSERT INTO canary_config (account, id, name, updated_timestamp, applications, version, noted_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (account, id) DO UPDATE SET name = excluded.name, \
             updated_timestamp = excluded.updated_timestamp, applications = excluded.applications, \
             version = excluded.version, noted_at = excluded.noted_at",
        )
        .bind(account)
        .bind(&row.id)
        .bind(&row.name)
        .bind(row.updated_timestamp)
        .bind(applications)
        .bind(&row.version)
        .bind(row.noted_at)
        .execute(&mut *transaction)
        .await?;
        delete_names(&mut transaction, account, &row.id).await?;
        insert_names(&mut transaction, account, row)
            .await?;
        recording.write(&mut transaction).await?;
        transaction.commit().await?;
        recording.committed();
        Ok(())
        }).await
    }

    /// Removes the row and its names, with what the record says of it; those of a row noted after `until`
    /// stay.
    pub async fn remove_config(
        &self,
        account: &str,
        id: &str,
        until: i64,
        record: Option<&Entry>,
    ) -> Result<()> {
        self.tell("forget a canary config", async {
            let mut recording = self.recording(record).await;
            let mut transaction = self.write.begin().await?;
            let removed = sqlx::query(
                "DELETE FROM canary_config WHERE account = $1 AND id = $2 AND noted_at <= $3",
            )
            .bind(account)
            .bind(id)
            .bind(until)
            .execute(&mut *transaction)
            .await?;
            if removed.rows_affected() > 0 {
                delete_names(&mut transaction, account, id).await?;
            }
            recording.write(&mut transaction).await?;
            transaction.commit().await?;
            recording.committed();
            Ok(())
        })
        .await
    }

    /// Removes names that were taken before `until` for a config that never came to be.
    pub async fn remove_stale_names(&self, account: &str, until: i64) -> Result<()> {
        self.tell("forget stale names", sqlx::query(
            "DELETE FROM canary_config_name WHERE account = $1 AND noted_at <= $2 AND NOT EXISTS \
             (SELECT 1 FROM canary_config c WHERE c.account = canary_config_name.account \
              AND c.id = canary_config_name.config_id)",
        )
        .bind(account)
        .bind(until)
        .execute(&self.write)).await.map(|_| ())
    }
}

async fn delete_names(
    transaction: &mut AnyConnection,
    account: &str,
    id: &str,
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM canary_config_name WHERE account = $1 AND config_id = $2")
        .bind(account)
        .bind(id)
        .execute(transaction)
        .await?;
    Ok(())
}

async fn insert_names(
    transaction: &mut AnyConnection,
    account: &str,
    row: &ConfigRow,
) -> sqlx::Result<()> {
    for application in &row.applications {
        sqlx::query(
            "INSERT INTO canary_config_name (account, application, name, config_id, noted_at) \
             VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (account, application, name) DO NOTHING",
        )
        .bind(account)
        .bind(application)
        .bind(&row.name)
        .bind(&row.id)
        .bind(row.noted_at)
        .execute(&mut *transaction)
        .await?;
    }
    Ok(())
}

fn config_row(row: &AnyRow) -> ConfigRow {
    let applications: String = row.get("applications");
    ConfigRow {
        id: row.get("id"),
        name: row.get("name"),
        updated_timestamp: row.get("updated_timestamp"),
        applications: serde_json::from_str(&applications).unwrap_or_default(),
        version: row.get("version"),
        noted_at: row.get("noted_at"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::index::tests::on_each;

    fn row(id: &str, name: &str, applications: &[&str]) -> ConfigRow {
        ConfigRow {
            id: id.to_owned(),
            name: name.to_owned(),
            updated_timestamp: 1,
            applications: applications.iter().map(|text| (*text).to_owned()).collect(),
            version: String::new(),
            noted_at: 10,
        }
    }

    #[tokio::test]
    async fn a_name_is_taken_once_in_every_application() {
        on_each(async |index| {
            let first = row("1", "latency", &["web", "api"]);
            assert_eq!(
                index.take_name("s3", &first, false).await.unwrap(),
                Named::Taken
            );
            index.put_config("s3", &first, None).await.unwrap();
            let cases = [
                (
                    "s3",
                    row("2", "latency", &["shop", "api"]),
                    false,
                    Named::Refused,
                ),
                ("s3", row("2", "latency", &["shop"]), false, Named::Taken),
                ("other", row("2", "latency", &["web"]), false, Named::Taken),
                ("s3", row("1", "latency", &["web"]), true, Named::Taken),
                ("s3", row("1", "latency", &["shop"]), true, Named::Refused),
            ];
            for (account, row, is_update, expected) in cases {
                let named = index.take_name(account, &row, is_update).await.unwrap();
                assert_eq!(named, expected, "{row:?}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_rename_frees_the_old_name_and_a_failure_gives_the_new_one_back() {
        on_each(async |index| {
            let old = row("1", "old", &["web"]);
            index.take_name("s3", &old, false).await.unwrap();
            index.put_config("s3", &old, None).await.unwrap();

            let new = row("1", "new", &["web"]);
            index.take_name("s3", &new, true).await.unwrap();
            index.release_name("s3", &new).await.unwrap();
            let taken = |name: &'static str| {
                let index = index.clone();
                async move {
                    index
                        .take_name("s3", &row("2", name, &["web"]), false)
                        .await
                        .unwrap()
                }
            };
            assert_eq!(taken("old").await, Named::Refused);
            assert_eq!(taken("new").await, Named::Taken);
            index.remove_stale_names("s3", 100).await.unwrap();

            index.take_name("s3", &new, true).await.unwrap();
            index.put_config("s3", &new, None).await.unwrap();
            assert_eq!(taken("old").await, Named::Taken);
            assert_eq!(index.configs("s3").await.unwrap(), [new]);
        })
        .await;
    }

    #[tokio::test]
    async fn a_name_that_kayenta_gave_twice_stays_taken_until_both_are_gone() {
        on_each(async |index| {
            for id in ["1", "2"] {
                let row = row(id, "twice", &["web"]);
                index.put_config("s3", &row, None).await.unwrap();
            }
            let third = row("3", "twice", &["web"]);
            for (removed, expected) in [("1", Named::Refused), ("2", Named::Taken)] {
                index.remove_config("s3", removed, 10, None).await.unwrap();
                let named = index.take_name("s3", &third, false).await.unwrap();
                assert_eq!(named, expected, "without {removed}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_row_noted_after_the_listing_began_stays() {
        on_each(async |index| {
            index
                .put_config("s3", &row("1", "a", &["web"]), None)
                .await
                .unwrap();
            index.remove_config("s3", "1", 9, None).await.unwrap();
            assert!(index.config("s3", "1").await.unwrap().is_some());
            index.remove_config("s3", "1", 10, None).await.unwrap();
            assert!(index.config("s3", "1").await.unwrap().is_none());
        })
        .await;
    }
}
