//! What a Kayenta kept in PostgreSQL (its kayenta-sql), as if it lay in a bucket. It is read, and nothing else.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use secrecy::ExposeSecret;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow, PgSslMode};
use sqlx::{AssertSqlSafe, PgPool, Row};

use super::group;
use super::guarded::{Backend, Failure, Guarded};
use super::objects::ObjectEntry;
use super::over_http::wrong;
use super::paged;
use crate::config::SqlAccount;

pub type SqlStore = Guarded<Tables>;

/// Kayenta's database.
pub struct Tables {
    account: SqlAccount,
    pool: PgPool,
}

/// A group of documents that has a table.
struct Table {
    group: &'static str,
    name: &'static str,
    /// What a file is called where the document does not say; in a bucket a config has its name.
    file: &'static str,
}

/// Of a bucket Kayenta has one group more: it keeps no analyses here.
const TABLES: [Table; 4] = [
    Table {
        group: group::CANARY_CONFIG,
        name: "canary_config",
        file: "canary_config.json",
    },
    Table {
        group: group::CANARY_ARCHIVE,
        name: "canary_archive",
        file: "canary_archive.json",
    },
    Table {
        group: group::METRIC_SETS,
        name: "metric_sets",
        file: "metric_sets.json",
    },
    Table {
        group: group::METRIC_SET_PAIRS,
        name: "metric_set_pairs",
        file: "metric_set_pairs.json",
    },
];

const CONNECTIONS: u32 = 4;
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// Of one call.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Rows of a listing that are asked for at once.
const PAGE: usize = 1_000;

impl SqlStore {
    /// # Errors
    /// Why it can never be asked.
    pub fn open(account: &SqlAccount) -> Result<Self, String> {
        let mut options = PgConnectOptions::new_without_pgpass()
            .host(&account.host)
            .port(account.port)
            .database(&account.database)
            .application_name("serin import")
            .options([("default_transaction_read_only", "on")]);
        if let Some(username) = &account.username {
            options = options.username(username);
        }
        if let Some(password) = &account.password {
            options = options.password(password.expose_secret());
        }
        if let Some(mode) = &account.ssl_mode {
            let mode: PgSslMode = mode
                .parse()
                .map_err(|cause: sqlx::Error| cause.to_string())?;
            options = options.ssl_mode(mode);
        }
        if let Some(schema) = &account.schema {
            options = options.options([("search_path", schema)]);
        }
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(CONNECT_WITHIN)
            .connect_lazy_with(options);
        Ok(Self::around(Tables {
            account: account.clone(),
            pool,
        }))
    }
}

impl Tables {
    async fn page(&self, table: &Table, prefix: &str, after: Option<String>) -> paged::Page {
        let name = if table.group == group::CANARY_CONFIG {
            // A page holds a thousand of them, and no store has a longer key.
            "left(content::text::jsonb ->> 'name', 1024)"
        } else {
            "NULL::text"
        };
        // How long it is as it lies there: to learn how long its text is, all would be read.
        let sql = format!(
            "SELECT id::text AS id, {name} AS name, pg_column_size(content)::bigint AS bytes, \
             (extract(epoch FROM updated_at) * 1000)::bigint AS millis \
             FROM {} WHERE id > $1 ORDER BY id LIMIT {PAGE}",
            table.name
        );
        let asked = sqlx::query(AssertSqlSafe(sql)).bind(after.unwrap_or_default());
        let rows = asked.fetch_all(&self.pool).await.map_err(failed)?;
        let entries = rows.iter().map(|row| entry(table, row));
        let entries: Vec<ObjectEntry> = entries.collect::<Result<_, _>>().map_err(failed)?;
        let last = rows.last().filter(|_| rows.len() == PAGE);
        let next = last.map(|row| row.try_get::<String, _>("id")).transpose();
        let next = next.map_err(failed)?;
        let found = entries.into_iter();
        let found = found.filter(|entry| entry.key.starts_with(prefix));
        Ok((found.collect(), next))
    }
}

#[async_trait]
impl Backend for Tables {
    async fn get(&self, key: &str, most: u64) -> Result<Option<Bytes>, Failure> {
        let mut parts = key.split('/');
        let (group, id) = (parts.next().unwrap_or_default(), parts.next());
        let Some((table, id)) = table(group).zip(id) else {
            return Ok(None);
        };
        let sql = format!(
            "SELECT bytes, CASE WHEN bytes <= $2 THEN body END AS body FROM (SELECT \
             octet_length(content::text)::bigint AS bytes, content::text AS body FROM {} WHERE id = $1) AS found",
            table.name
        );
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let asked = sqlx::query(AssertSqlSafe(sql)).bind(id).bind(most);
        let row = asked.fetch_optional(&self.pool).await.map_err(failed)?;
        let Some(row) = row else {
            return Ok(None);
        };
        let body: Option<String> = row.try_get("body").map_err(failed)?;
        let bytes: i64 = row.try_get("bytes").map_err(failed)?;
        let body = body.ok_or_else(|| Failure::TooLarge(bytes.unsigned_abs()))?;
        Ok(Some(body.into()))
    }

    async fn put(&self, _: &str, _: Bytes) -> Result<String, Failure> {
        Err(only_read())
    }

    async fn delete(&self, _: &str) -> Result<(), Failure> {
        Err(only_read())
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> BoxStream<'a, Result<Vec<ObjectEntry>, Failure>> {
        match table(prefix.split('/').next().unwrap_or_default()) {
            Some(table) => paged::pages(move |after| self.page(table, prefix, after)),
            None => Box::pin(stream::empty()),
        }
    }

    async fn create(&self) -> Result<(), Failure> {
        Err(only_read())
    }

    fn place(&self, key: &str) -> String {
        let SqlAccount {
            host,
            port,
            database,
            ..
        } = &self.account;
        match key {
            "" => format!("Kayenta's database '{database}' at '{host}:{port}'"),
            key => format!("'{key}' in Kayenta's database '{database}' at '{host}:{port}'"),
        }
    }

    fn limit(&self) -> Option<Duration> {
        Some(TIMEOUT)
    }
}

fn table(group: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.group == group)
}

fn entry(table: &Table, row: &PgRow) -> sqlx::Result<ObjectEntry> {
    let id: String = row.try_get("id")?;
    let name: Option<String> = row.try_get("name")?;
    let millis: i64 = row.try_get("millis")?;
    let bytes: i64 = row.try_get("bytes")?;
    let name = name.filter(|name| !name.is_empty() && !name.contains('/'));
    let file = name.map_or_else(|| table.file.to_owned(), |name| format!("{name}.json"));
    Ok(ObjectEntry {
        key: format!("{}/{id}/{file}", table.group),
        updated_millis: millis,
        version: millis.to_string(),
        bytes: bytes.unsigned_abs(),
    })
}

fn only_read() -> Failure {
    wrong("serin only reads what Kayenta keeps there")
}

fn failed(cause: sqlx::Error) -> Failure {
    let told = cause.to_string();
    match cause {
        sqlx::Error::Database(refused) => Failure::Wrong {
            why: refused.message().to_owned(),
            cause: told,
        },
        sqlx::Error::PoolTimedOut => Failure::Away {
            why: format!("no connection within {CONNECT_WITHIN:?}"),
            cause: told,
        },
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => Failure::Away {
            why: told.clone(),
            cause: told,
        },
        _ => Failure::Wrong {
            why: told.clone(),
            cause: told,
        },
    }
}
