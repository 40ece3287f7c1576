//! The record of deeds: rows that are only added, each hanging on the one before.

use std::fmt::{self, Write};

use serde_json::json;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, Row as _};
use tokio::sync::{Mutex, MutexGuard};

use super::Index;
use crate::audit::{self, By, Deed, Entry, Link, Row, What};
use crate::error::Result;

/// How many others a chain names as it begins.
const OTHERS: i64 = 50;

/// How many rows one statement deletes at most.
const AT_ONCE: i64 = 5_000;

macro_rules! columns {
    () => {
        "chain, number, at, who, proof, address, request_id, deed, kind, id, application, outcome, \
         details, hash"
    };
}

/// What this process records.
pub struct Chain {
    id: String,
    /// What the next row hangs on; none where the database has to be asked.
    last: Mutex<Option<Link>>,
    /// Whether the log has it too.
    is_told: bool,
}

impl Chain {
    pub fn new(is_told: bool) -> Self {
        Self {
            id: uuid::Uuid::new_v4().to_string(),
            last: Mutex::default(),
            is_told,
        }
    }

    pub fn id(&self) -> &str {
        &self.id
    }
}

/// What one transaction records, if anything.
pub(super) struct Recording<'a>(Option<Recorded<'a>>);

struct Recorded<'a> {
    chain: &'a Chain,
    /// Nobody else writes to the chain meanwhile.
    last: MutexGuard<'a, Option<Link>>,
    entry: &'a Entry,
    row: Option<Row>,
}

impl Recording<'_> {
    pub async fn write(&mut self, to: &mut AnyConnection) -> sqlx::Result<()> {
        let Some(recorded) = &mut self.0 else {
            return Ok(());
        };
        // Until it is committed nobody knows what the database has.
        let last = match recorded.last.take() {
            Some(last) => last,
            None => recorded.chain.find_or_begin(to, recorded.entry.at).await?,
        };
        let row = audit::link(&recorded.chain.id, &last, recorded.entry);
        write(to, &row).await?;
        recorded.row = Some(row);
        Ok(())
    }

    pub fn committed(self) {
        let Some(mut recorded) = self.0 else {
            return;
        };
        if let Some(row) = recorded.row.take() {
            *recorded.last = Some(row.link());
            if recorded.chain.is_told {
                tell(&row);
            }
        }
    }
}

impl Chain {
    /// The last row of the chain; of a new one, its first: which tells how far the others are, so that
    /// their ends are missed as well.
    async fn find_or_begin(&self, to: &mut AnyConnection, now: i64) -> sqlx::Result<Link> {
        let found = sqlx::query("SELECT number, hash FROM audit_chain WHERE chain = $1")
            .bind(&self.id)
            .fetch_optional(&mut *to)
            .await?;
        if let Some(row) = found {
            return Ok(link_of(&row, "number", "hash"));
        }
        let others = sqlx::query(
            "SELECT chain, number, hash FROM audit_chain WHERE number > anchor_number \
             ORDER BY begun_at DESC, chain LIMIT $1",
        )
        .bind(OTHERS)
        .fetch_all(&mut *to)
        .await?;
        sqlx::query(
            "INSERT INTO audit_chain (chain, begun_at, number, hash, anchor_number, anchor_hash, exported) \
             VALUES ($1, $2, 0, '', 0, '', 0)",
        )
        .bind(&self.id)
        .bind(now)
        .execute(&mut *to)
        .await?;
        let told = |row: &AnyRow| {
            let (chain, last): (String, _) = (row.get("chain"), link_of(row, "number", "hash"));
            json!({"chain": chain, "number": last.number, "hash": last.hash})
        };
        let others: Vec<_> = others.iter().map(told).collect();
        let opened = Entry::new(By::serin(), Deed::Opened, What::Chain, &self.id);
        let opened = Entry {
            at: now,
            ..opened.with(&json!({ "others": others }))
        };
        let row = audit::link(&self.id, &Link::default(), &opened);
        write(to, &row).await?;
        Ok(row.link())
    }
}

/// A chain as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainRow {
    pub chain: String,
    pub begun_at: i64,
    pub last: Link,
    /// The row before the first that is kept.
    pub anchor: Link,
    /// The number of the last row that lies in the store.
    pub exported: i64,
}

/// Which deeds a list is to hold.
#[derive(Clone, Debug, Default)]
pub struct DeedSearch<'a> {
    /// Epoch milliseconds.
    pub since: Option<i64>,
    /// Epoch milliseconds; what was done then is not among them.
    pub until: Option<i64>,
    pub who: Option<&'a str>,
    pub deed: Option<&'a str>,
    pub application: Option<&'a str>,
    pub id: Option<&'a str>,
}

/// Where a list of deeds goes on: after that one, to older ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeedPlace {
    pub at: i64,
    pub chain: String,
    pub number: i64,
}

impl DeedPlace {
    pub fn of(row: &Row) -> Self {
        Self {
            at: row.at,
            chain: row.chain.clone(),
            number: row.number,
        }
    }

    /// As it was written; none for another text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        Some(Self {
            at: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
            chain: parts.next()?.to_owned(),
        })
    }
}

impl fmt::Display for DeedPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.at, self.number, self.chain)
    }
}

impl Index {
    /// The chain that this process writes.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Writes a deed down that belongs to no other write.
    pub async fn record(&self, entry: &Entry) -> Result<()> {
        self.tell("record a deed", async {
            let mut recording = self.recording(Some(entry)).await;
            let mut transaction = self.write.begin().await?;
            recording.write(&mut transaction).await?;
            transaction.commit().await?;
            recording.committed();
            Ok(())
        })
        .await
    }

    /// Asked for before a connection: whoever has one waits for nothing.
    pub(super) async fn recording<'a>(&'a self, entry: Option<&'a Entry>) -> Recording<'a> {
        let Some(entry) = entry else {
            return Recording(None);
        };
        Recording(Some(Recorded {
            chain: &self.chain,
            last: self.chain.last.lock().await,
            entry,
            row: None,
        }))
    }

    /// Newest first; details that are long are left out.
    pub async fn deeds(
        &self,
        search: &DeedSearch<'_>,
        after: Option<&DeedPlace>,
        limit: i64,
    ) -> Result<Vec<Row>> {
        let whole = [
            ("who", search.who),
            ("deed", search.deed),
            ("id", search.id),
        ];
        let whole = whole
            .into_iter()
            .filter_map(|(column, text)| Some((format!("{column} ="), text?.to_owned())));
        // A config may be of several.
        let of = search.application.map(|name| {
            let name = name
                .replace('\\', "\\\\")
                .replace('%', "\\%")
                .replace('_', "\\_");
            let list = "', ' || application || ',' LIKE".to_owned();
            (list, format!("%, {name},%"))
        });
        let texts: Vec<(String, String)> = whole.chain(of).collect();
        let mut sql = "SELECT chain, number, at, who, proof, address, request_id, deed, kind, id, application, \
             outcome, hash, CASE WHEN length(details) <= 16384 THEN details \
             ELSE '{\"leftOutBytes\":' || length(details) || '}' END AS details \
             FROM audit WHERE at >= $1 AND at < $2 AND (at, chain, number) < ($3, $4, $5)"
            .to_owned();
        for (at, (compared, _)) in texts.iter().enumerate() {
            let escape = if compared.ends_with("LIKE") {
                r" ESCAPE '\'"
            } else {
                ""
            };
            let _ = write!(sql, " AND {compared} ${}{escape}", at + 7);
        }
        sql.push_str(" ORDER BY at DESC, chain DESC, number DESC LIMIT $6");
        let place = after.cloned().unwrap_or(DeedPlace {
            at: i64::MAX,
            chain: String::new(),
            number: 0,
        });
        let mut asked = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(search.since.unwrap_or(i64::MIN))
            .bind(search.until.unwrap_or(i64::MAX))
            .bind(place.at)
            .bind(place.chain)
            .bind(place.number)
            .bind(limit);
        for (_, text) in &texts {
            asked = asked.bind(text);
        }
        let rows = self.ask("read the record", asked.fetch_all(&self.read));
        Ok(rows.await?.iter().map(row_of).collect())
    }

    /// All chains, the oldest first.
    pub async fn chains(&self) -> Result<Vec<ChainRow>> {
        let rows = sqlx::query(
            "SELECT chain, begun_at, number, hash, anchor_number, anchor_hash, exported \
             FROM audit_chain ORDER BY begun_at, chain",
        )
        .fetch_all(&self.read);
        let rows = self.ask("read the record", rows).await?;
        let chain = |row: &AnyRow| ChainRow {
            chain: row.get("chain"),
            begun_at: row.get("begun_at"),
            last: link_of(row, "number", "hash"),
            anchor: link_of(row, "anchor_number", "anchor_hash"),
            exported: row.get("exported"),
        };
        Ok(rows.iter().map(chain).collect())
    }

    /// Chains that have rows and are not known to have begun.
    pub async fn lost_chains(&self) -> Result<Vec<String>> {
        let rows = sqlx::query(
            "SELECT DISTINCT chain FROM audit WHERE NOT EXISTS (\
             SELECT 1 FROM audit_chain c WHERE c.chain = audit.chain) ORDER BY chain",
        )
        .fetch_all(&self.read);
        let rows = self.ask("read the record", rows).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// One row, with all its details.
    pub async fn deed(&self, chain: &str, number: i64) -> Result<Option<Row>> {
        let rows = self.chain_rows(chain, number.saturating_sub(1), 1).await?;
        Ok(rows.into_iter().find(|row| row.number == number))
    }

    /// Rows of a chain in their order.
    pub async fn chain_rows(&self, chain: &str, after: i64, limit: i64) -> Result<Vec<Row>> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            columns!(),
            " FROM audit WHERE chain = $1 AND number > $2 ORDER BY number LIMIT $3"
        ))
        .bind(chain)
        .bind(after)
        .bind(limit)
        .fetch_all(&self.read);
        let rows = self.ask("read the record", rows).await?;
        Ok(rows.iter().map(row_of).collect())
    }

    /// Notes that rows lie in the store, those before them too.
    pub async fn note_exported(&self, chain: &str, number: i64) -> Result<()> {
        let noted =
            sqlx::query("UPDATE audit_chain SET exported = $2 WHERE chain = $1 AND exported < $2")
                .bind(chain)
                .bind(number)
                .execute(&self.write);
        self.tell("note what was exported", noted).await.map(|_| ())
    }

    /// Forgets the rows of a chain up to `most` that were written before `until`, as far as none before
    /// them is younger. What the first that stays hangs on, if any was forgotten; there may be more.
    pub async fn prune(&self, chain: &ChainRow, until: i64, most: i64) -> Result<Option<Link>> {
        self.tell("forget old deeds", async {
            let mut transaction = self.write.begin().await?;
            let most = most.min(chain.anchor.number + AT_ONCE);
            let last = sqlx::query(
                "SELECT number, hash FROM audit WHERE chain = $1 AND number > $2 AND number <= $3 \
                 AND number < coalesce((SELECT min(number) FROM audit \
                 WHERE chain = $1 AND number > $2 AND at >= $4), $3 + 1) \
                 ORDER BY number DESC LIMIT 1",
            )
            .bind(&chain.chain)
            .bind(chain.anchor.number)
            .bind(most)
            .bind(until)
            .fetch_optional(&mut *transaction)
            .await?;
            let Some(last) = last.as_ref().map(|row| link_of(row, "number", "hash")) else {
                return Ok(None);
            };
            let noted = sqlx::query(
                "UPDATE audit_chain SET anchor_number = $2, anchor_hash = $3 \
                 WHERE chain = $1 AND anchor_number = $4",
            )
            .bind(&chain.chain)
            .bind(last.number)
            .bind(&last.hash)
            .bind(chain.anchor.number)
            .execute(&mut *transaction)
            .await?;
            if noted.rows_affected() == 0 {
                return Ok(None);
            }
            sqlx::query("DELETE FROM audit WHERE chain = $1 AND number <= $2")
                .bind(&chain.chain)
                .bind(last.number)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
            Ok(Some(last))
        })
        .await
    }
}

async fn write(to: &mut AnyConnection, row: &Row) -> sqlx::Result<()> {
    insert(row).execute(&mut *to).await?;
    sqlx::query("UPDATE audit_chain SET number = $2, hash = $3 WHERE chain = $1")
        .bind(&row.chain)
        .bind(row.number)
        .bind(&row.hash)
        .execute(&mut *to)
        .await
        .map(|_| ())
}

fn insert(row: &Row) -> Query<'_, Any, AnyArguments> {
    sqlx::query(concat!(
        "INSERT INTO audit (",
        columns!(),
        ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    ))
    .bind(&row.chain)
    .bind(row.number)
    .bind(row.at)
    .bind(&row.who)
    .bind(&row.proof)
    .bind(&row.address)
    .bind(&row.request_id)
    .bind(&row.deed)
    .bind(&row.kind)
    .bind(&row.id)
    .bind(&row.application)
    .bind(&row.outcome)
    .bind(&row.details)
    .bind(&row.hash)
}

fn row_of(row: &AnyRow) -> Row {
    Row {
        chain: row.get("chain"),
        number: row.get("number"),
        at: row.get("at"),
        who: row.get("who"),
        proof: row.get("proof"),
        address: row.get("address"),
        request_id: row.get("request_id"),
        deed: row.get("deed"),
        kind: row.get("kind"),
        id: row.get("id"),
        application: row.get("application"),
        outcome: row.get("outcome"),
        details: row.get("details"),
        hash: row.get("hash"),
    }
}

fn link_of(row: &AnyRow, number: &str, hash: &str) -> Link {
    Link {
        number: row.get(number),
        hash: row.get(hash),
    }
}

/// Bytes of a line of the log; what a config was stands in the database.
const MOST_TOLD: usize = 4 * 1024;

fn tell(row: &Row) {
    let mut told = row.clone();
    if MOST_TOLD < told.details.len() {
        told.details = json!({"leftOutBytes": row.details.len()}).to_string();
    }
    let line = told.line(None).ok();
    let line = line.and_then(|line| serde_json::to_string(&line).ok());
    tracing::info!(target: "serin::audit", "{}", line.unwrap_or_default());
}

#[cfg(test)]
mod tests;
