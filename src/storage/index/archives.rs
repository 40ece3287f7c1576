//! Rows of archived executions.

use futures::{TryStreamExt, future};
use sqlx::Row;

use super::{Index, Listing};
use crate::canary::Kind;
use crate::error::{Error, Result};
use crate::storage::brief;

/// What a listing of executions needs of an archived one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRow {
    pub kind: Kind,
    pub id: String,
    pub application: String,
    pub status: String,
    pub build_time: i64,
    /// Version of the object that the row was read from; empty when serin wrote it.
    pub version: String,
    pub noted_at: i64,
    /// Of the pairs that it was judged by; empty when it tells none.
    pub pair_list_id: String,
    pub listing: Listing,
}

impl Index {
    /// Id and version of every archive of an account; no version of a row that does not tell what
    /// this version wants to know, so that its object is read once more.
    pub async fn each_archive_version(
        &self,
        account: &str,
        kind: Kind,
        mut note: impl FnMut(&str, &str),
    ) -> Result<()> {
        // Row by row: all rows of many archives at once are much larger than what is kept of them.
        let rows = sqlx::query(
            "SELECT id, CASE WHEN brief IS NULL OR pair_list_id IS NULL OR sought IS NULL OR ($2 = 'analysis' AND brief NOT LIKE $3) \
             THEN '' ELSE version END FROM archive WHERE account = $1 AND kind = $2",
        )
        .bind(account)
        .bind(kind.as_str())
        .bind(format!("{}%", brief::BEGINNING))
        .fetch(&self.read)
        .try_for_each(|row| {
            note(&row.get::<String, _>(0), &row.get::<String, _>(1));
            future::ok(())
        });
        self.ask("list archives", rows).await
    }

    /// Id and list of pairs of every archive of an account.
    ///
    /// # Errors
    /// `Unavailable` while a row does not tell, as a replica of the version before wrote it.
    pub async fn each_pair_list(
        &self,
        account: &str,
        mut note: impl FnMut(&str, &str),
    ) -> Result<()> {
        let mut are_known = true;
        let rows = sqlx::query("SELECT id, pair_list_id FROM archive WHERE account = $1")
            .bind(account)
            .fetch(&self.read)
            .try_for_each(|row| {
                match row.get::<Option<String>, _>(1) {
                    Some(list) => note(&row.get::<String, _>(0), &list),
                    None => are_known = false,
                }
                future::ok(())
            });
        self.ask("list archives", rows).await?;
        if are_known {
            return Ok(());
        }
        let told = "not all archives tell their pairs yet; the next reconciliation asks them";
        Err(Error::Unavailable(told.to_owned()))
    }

    /// The applications of the archives that were judged by a list of pairs.
    pub async fn owners_of_pairs(&self, account: &str, list: &str) -> Result<Vec<String>> {
        let owners = sqlx::query(
            "SELECT DISTINCT application FROM archive WHERE pair_list_id = $1 AND account = $2",
        )
        .bind(list)
        .bind(account)
        .fetch_all(&self.read);
        let rows = self.ask("find the owner of pairs", owners).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Id and application of every archive of an account.
    pub async fn each_archived(
        &self,
        account: &str,
        kind: Kind,
        mut note: impl FnMut(String, &str),
    ) -> Result<()> {
        let rows =
            sqlx::query("SELECT id, application FROM archive WHERE account = $1 AND kind = $2")
                .bind(account)
                .bind(kind.as_str())
                .fetch(&self.read)
                .try_for_each(|row| {
                    note(row.get(0), &row.get::<String, _>(1));
                    future::ok(())
                });
        self.ask("list archives", rows).await
    }

    pub async fn put_archive(&self, account: &str, row: &ArchiveRow) -> Result<()> {
        self.tell("note an archive", sqlx::query(
            "INSERT INTO archive (account, kind, id, application, status, build_time, version, noted_at, \
             canary_config_id, config_name, outcome, brief, pair_list_id, sought) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             ON CONFLICT (account, kind, id) DO UPDATE SET application = excluded.application, \
             status = excluded.status, build_time = excluded.build_time, \
             version = excluded.version, noted_at = excluded.noted_at, \
             canary_config_id = excluded.canary_config_id, config_name = excluded.config_name, \
             outcome = excluded.outcome, brief = excluded.brief, \
             pair_list_id = excluded.pair_list_id, sought = excluded.sought",
        )
        .bind(account)
        .bind(row.kind.as_str())
        .bind(&row.id)
        .bind(&row.application)
        .bind(&row.status)
        .bind(row.build_time)
        .bind(&row.version)
        .bind(row.noted_at)
        .bind(&row.listing.canary_config_id)
        .bind(&row.listing.config_name)
        .bind(&row.listing.outcome)
        .bind(&row.listing.brief)
        .bind(&row.pair_list_id)
        .bind(&row.listing.sought)
        .execute(&self.write)).await.map(|_| ())
    }

    /// Removes the row, unless it was noted after `until`.
    pub async fn remove_archive(
        &self,
        account: &str,
        kind: Kind,
        id: &str,
        until: i64,
    ) -> Result<()> {
        self.tell("forget an archive", sqlx::query(
            "DELETE FROM archive WHERE account = $1 AND kind = $2 AND id = $3 AND noted_at <= $4",
        )
        .bind(account)
        .bind(kind.as_str())
        .bind(id)
        .bind(until)
        .execute(&self.write)).await.map(|_| ())
    }

    /// Accounts whose archives hold an id.
    pub async fn archive_accounts(&self, kind: Kind, id: &str) -> Result<Vec<String>> {
        let rows = self
            .ask(
                "find an archive",
                sqlx::query("SELECT account FROM archive WHERE kind = $1 AND id = $2")
                    .bind(kind.as_str())
                    .bind(id)
                    .fetch_all(&self.read),
            )
            .await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}
