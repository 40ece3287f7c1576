//! What only PostgreSQL does: its clock is that of the fleet, and replicas tell each other.

use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::{PgListener, PgPoolOptions};
use url::Url;

use super::{Engine, Index, failed};
use crate::config::Database;
use crate::error::{Error, Result};

/// Where replicas tell each other what happened.
const CHANNEL: &str = "serin";

/// PostgreSQL takes notifications of less than 8,000 bytes.
pub const NOTIFICATION_BYTES: usize = 7_900;

/// The URL with what the configuration says beside it; parameters of the URL win.
pub fn url(database: &Database) -> Result<Url> {
    let mut url = Url::parse(&database.url)
        .map_err(|cause| Error::Invalid(format!("database.url cannot be read: {cause}")))?;
    let given: Vec<String> = url
        .query_pairs()
        .map(|(name, _)| name.into_owned())
        .collect();
    let mut add = |name: &str, value: &str| {
        if !given.iter().any(|one| one == name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    };
    add("application_name", "serin");
    if database.notify {
        let millis = database.statement_timeout.as_millis().to_string();
        add("options[statement_timeout]", &millis);
        // A replica that is gone in the middle of a transaction must not keep its locks.
        add("options[idle_in_transaction_session_timeout]", &millis);
    } else {
        // A pooler gives every transaction another session: nothing can be kept in one.
        add("statement-cache-capacity", "0");
    }
    Ok(url)
}

/// Hears what the other replicas tell.
pub struct Listener(PgListener);

impl Listener {
    pub async fn open(database: &Database) -> Result<Self> {
        let options = url(database)?.as_str().parse();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(database.acquire_timeout)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(options.map_err(failed("read database.url"))?);
        let opened = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(CHANNEL).await?;
            Ok(listener)
        };
        opened.await.map(Self).map_err(failed("listen to others"))
    }

    /// The next notification; `None` when some may have been missed.
    pub async fn next(&mut self) -> Result<Option<String>> {
        let heard = self
            .0
            .try_recv()
            .await
            .map_err(failed("listen to others"))?;
        Ok(heard.map(|heard| heard.payload().to_owned()))
    }
}

impl Index {
    /// The time of the database, in epoch milliseconds; `None` for one that has no time of its own.
    pub async fn time(&self) -> Result<Option<i64>> {
        if !self.is_shared() {
            return Ok(None);
        }
        let asked =
            sqlx::query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS millis");
        let row = self
            .ask("read the time", asked.fetch_one(&self.read))
            .await?;
        Ok(Some(row.get("millis")))
    }

    /// Tells all replicas, this one included.
    pub async fn notify(&self, text: &str) -> Result<()> {
        let told = sqlx::query("SELECT pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(text);
        let told = self.ask("tell other replicas", told.execute(&self.write));
        told.await.map(|_| ())
    }

    /// Whether `owner` now is the only one to write a config, until it gives that up or for a while.
    pub async fn lock_config(
        &self,
        account: &str,
        id: &str,
        owner: &str,
        now: i64,
        lease: Duration,
    ) -> Result<bool> {
        let until = now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
        let locked = sqlx::query(
            "INSERT INTO canary_config_lock (account, id, owner, until) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (account, id) DO UPDATE SET owner = excluded.owner, until = excluded.until \
             WHERE canary_config_lock.until < $5",
        )
        .bind(account)
        .bind(id)
        .bind(owner)
        .bind(until)
        .bind(now);
        let locked = self
            .tell("lock a canary config", locked.execute(&self.write))
            .await?;
        Ok(locked.rows_affected() == 1)
    }

    pub async fn unlock_config(&self, account: &str, id: &str, owner: &str) -> Result<()> {
        let unlocked = sqlx::query(
            "DELETE FROM canary_config_lock WHERE account = $1 AND id = $2 AND owner = $3",
        )
        .bind(account)
        .bind(id)
        .bind(owner);
        let unlocked = self.tell("unlock a canary config", unlocked.execute(&self.write));
        unlocked.await.map(|_| ())
    }

    /// The end of a claim's search: what another replica is about to claim is passed over.
    pub(super) const fn skip_locked(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite(_) => "",
            Engine::Postgres => "FOR UPDATE SKIP LOCKED",
        }
    }
}
