//! Series from a seeded generator, behind an endpoint that speaks Prometheus's `query_range`.

use anyhow::Context;
use axum::extract::{Form, Query};
use axum::routing::get;
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::scenario::DISPUTED;

/// Answers range queries until the process ends.
pub struct Server {
    pub url: String,
}

#[derive(Deserialize)]
struct Range {
    query: String,
    start: String,
    end: String,
    step: i64,
}

impl Server {
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .context("cannot listen for the made-up series")?;
        let url = format!("http://{}", listener.local_addr()?);
        let router = Router::new()
            .route(
                "/api/v1/query_range",
                get(|Query(range): Query<Range>| async move { answer(&range) })
                    .post(|Form(range): Form<Range>| async move { answer(&range) }),
            )
            .route("/-/healthy", get(|| async { "healthy" }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url })
    }
}

fn answer(range: &Range) -> Json<Value> {
    let series: Vec<Value> = values(range)
        .map(|values| json!({"metric": {}, "values": values}))
        .into_iter()
        .collect();
    Json(json!({"status": "success", "data": {"resultType": "matrix", "result": series}}))
}

fn values(range: &Range) -> Option<Vec<Value>> {
    let (metric, version) = selected(&range.query)?;
    let shape = shape(metric, version)?;
    let seconds = |text: &str| text.parse::<Timestamp>().ok().map(Timestamp::as_second);
    let (start, end) = (seconds(&range.start)?, seconds(&range.end)?);
    let mut noise = Noise::new(metric, version);
    let times = (start..=end).step_by(usize::try_from(range.step).ok().filter(|step| *step > 0)?);
    Some(
        times
            .map(|time| {
                json!([
                    time,
                    format!("{:.6}", shape.at(time, noise.next(shape.memory)))
                ])
            })
            .collect(),
    )
}

/// Metric and version in `avg(metric{version="…"})`.
fn selected(query: &str) -> Option<(&str, &str)> {
    let (metric, labels) = query.strip_prefix("avg(")?.split_once('{')?;
    let (_, version) = labels.split_once("version=\"")?;
    Some((metric, version.split_once('"')?.0))
}

/// A level, how far the noise spreads it, and a slow wave that all versions share.
struct Shape {
    level: f64,
    spread: f64,
    /// How much of the noise stays from minute to minute.
    memory: f64,
}

impl Shape {
    #[expect(clippy::cast_precision_loss, reason = "minutes of a day are few")]
    fn at(&self, time: i64, noise: f64) -> f64 {
        let wave = 1.0 + 0.1 * ((time / 60 % 90) as f64 / 90.0 * std::f64::consts::TAU).sin();
        (self.level * wave * (1.0 + self.spread * noise)).max(0.0)
    }
}

fn shape(metric: &str, version: &str) -> Option<Shape> {
    let (level, spread) = match metric {
        "checkout_errors_per_second" => (0.4, 0.35),
        "checkout_latency_p50_seconds" => (0.042, 0.08),
        "checkout_latency_p99_seconds" => (0.31, 0.15),
        "checkout_cpu_seconds_per_second" => (1.7, 0.06),
        "checkout_requests_per_second" => (120.0, 0.05),
        _ => return None,
    };
    let factor = match (version, metric) {
        ("v2-errors", "checkout_errors_per_second") => 2.6,
        ("v2-errors", "checkout_latency_p99_seconds") => 1.25,
        ("v1" | "v2-good" | "v2-errors" | DISPUTED, _) => 1.0,
        _ => return None,
    };
    let memory = match (version, metric) {
        (DISPUTED, "checkout_errors_per_second") => 0.95,
        _ => 0.0,
    };
    Some(Shape {
        level: level * factor,
        spread,
        memory,
    })
}

/// Numbers from −1 to 1 that are the same in every run: splitmix64 seeded from the names.
struct Noise {
    state: u64,
    /// The last one.
    last: f64,
}

impl Noise {
    fn new(metric: &str, version: &str) -> Self {
        let seed = metric
            .bytes()
            .chain(version.bytes())
            .fold(17_u64, |seed, byte| {
                seed.wrapping_mul(31).wrapping_add(u64::from(byte))
            });
        Self {
            state: seed,
            last: 0.0,
        }
    }

    /// As widely spread with any memory.
    fn next(&mut self, memory: f64) -> f64 {
        self.last = memory * self.last + (1.0 - memory * memory).sqrt() * self.fresh();
        self.last
    }

    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn fresh(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}
