//! What a canary takes of a fleet's database and bucket: statements, log, requests, bytes.
//!
//! `tests/with-services cargo bench --bench reach`

#![expect(clippy::disallowed_methods, reason = "a benchmark is no service")]

mod shared;

use std::collections::BTreeMap;
use std::time::Duration;

use shared::fleet::{new_database, on};
use shared::process::Replica;
use shared::variable;
use shared::wire::{Wire, judge_all};
use sqlx::{Connection, PgConnection, Row};

const CANARIES: u32 = 400;
const AT_ONCE: usize = 8;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(measure());
}

async fn measure() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (Some(prometheus), Some(server), Some(s3), Some(requests)) = (
        variable("SERIN_TEST_PROMETHEUS_URL"),
        variable("SERIN_TEST_POSTGRES_URL"),
        variable("SERIN_TEST_S3_ENDPOINT"),
        variable("SERIN_TEST_S3_REQUESTS"),
    ) else {
        return;
    };
    println!("| for each canary of | statements | log of PostgreSQL | object requests | stored |");
    println!("|---|---|---|---|---|");
    let mut texts = BTreeMap::new();
    for metrics in [10, 50] {
        let database = new_database(&server).await;
        let replica = Replica::start(&prometheus, &on(&database, &s3)).await;
        let wires = [Wire::to(&replica.url)];
        let first = u32::try_from(metrics).unwrap_or(0) * 10_000;
        judge_all(&wires, first, 20, metrics, AT_ONCE).await;
        settle().await;

        let name = database.rsplit('/').next().unwrap_or_default();
        let mut server = PgConnection::connect(&server).await.expect("PostgreSQL");
        let before = Taken::until_now(&mut server, name, &requests).await;
        judge_all(&wires, first + 20, CANARIES, metrics, AT_ONCE).await;
        settle().await;
        let after = Taken::until_now(&mut server, name, &requests).await;

        let each = |before: f64, after: f64| (after - before) / f64::from(CANARIES);
        println!(
            "| {metrics} metrics | {:.1} | {:.0} KB | {:.1} | {:.0} KB |",
            each(before.statements, after.statements),
            each(before.log_bytes, after.log_bytes) / 1e3,
            each(before.requests, after.requests),
            each(before.stored_bytes, after.stored_bytes) / 1e3
        );
        for (text, calls) in after.texts {
            let calls = each(before.texts.get(&text).copied().unwrap_or(0.0), calls);
            if calls >= 0.05 && metrics == 10 {
                texts.insert(text, calls);
            }
        }
    }
    println!();
    println!("| statement | for each canary of 10 metrics |");
    println!("|---|---|");
    for (text, calls) in texts {
        println!("| `{text}` | {calls:.2} |");
    }
}

/// The archives follow the end of a canary.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// What was taken since the start.
struct Taken {
    statements: f64,
    log_bytes: f64,
    requests: f64,
    stored_bytes: f64,
    /// How often each statement ran, by its beginning.
    texts: BTreeMap<String, f64>,
}

impl Taken {
    async fn until_now(server: &mut PgConnection, database: &str, requests: &str) -> Self {
        let rows = sqlx::query(
            "SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 70), calls::float8 \
             FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid \
             WHERE d.datname = $1",
        );
        let rows = rows
            .bind(database)
            .fetch_all(&mut *server)
            .await
            .expect("statements");
        let mut texts = BTreeMap::new();
        for row in rows {
            *texts.entry(row.get::<String, _>(0)).or_insert(0.0) += row.get::<f64, _>(1);
        }
        let log = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8";
        let log = sqlx::query(log).fetch_one(server).await;
        let log_bytes = log.expect("the log").get(0);
        let told = std::fs::read_to_string(requests).unwrap_or_default();
        let objects = told.lines().filter(|line| line.contains(" s3_"));
        let puts = told.lines().filter(|line| line.contains(" s3_PutObject "));
        Self {
            statements: texts.values().sum(),
            log_bytes,
            requests: f64::from(u32::try_from(objects.count()).unwrap_or(0)),
            stored_bytes: puts.map(object_bytes).sum(),
            texts,
        }
    }
}

/// The size of the object, from a line of an access log of S3.
fn object_bytes(line: &str) -> f64 {
    // … requester request operation key address status error bytes-sent object-size …
    let size = line.split_whitespace().nth(13);
    size.and_then(|size| size.parse().ok()).unwrap_or(0.0)
}
