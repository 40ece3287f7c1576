//! Series from a Prometheus, or from what speaks its API.

mod answer;
mod client;
mod connect;
mod query;
mod range;

use std::sync::Arc;

use async_trait::async_trait;
use moka::future::Cache;
use tokio::time::Instant;

use super::{MetricRequest, MetricSource};
use crate::canary::{CanaryMetricSetQueryConfig, MetricSet};
use crate::config::{Config, PrometheusAccount};
use crate::error::{Error, FetchError, Result};

use client::{Call, Client};
use range::Range;

pub const KIND: &str = "prometheus";

/// Reading more than this takes long enough to be in the way of others.
const LARGE_ANSWER_BYTES: usize = 1 << 20;

/// One account.
pub struct Prometheus {
    client: Client,
    scope_label: String,
    names: Cache<(), Arc<Vec<String>>>,
}

impl Prometheus {
    pub fn open(name: &str, account: &PrometheusAccount, config: &Config) -> Result<Self> {
        Ok(Self {
            client: Client::open(name, account, config)?,
            scope_label: config.prometheus.scope_label.clone(),
            names: Cache::builder()
                .max_capacity(1)
                .time_to_live(config.prometheus.metadata_caching_interval)
                .build(),
        })
    }
}

#[async_trait]
impl MetricSource for Prometheus {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        query::build(query_of(request)?, request, &self.scope_label)
    }

    async fn fetch(&self, request: &MetricRequest<'_>) -> Result<Vec<MetricSet>> {
        query_of(request)?;
        let range = Range::of(request.scope)?;
        let query = self.query(request)?;
        let pieces = pieces(&query, &range);

        let _permit = self.client.permit().await;
        let started = Instant::now();
        let deadline = self.client.deadline();
        let series = self.series(&query, &pieces, deadline).await;
        self.client.record(started.elapsed(), series.is_ok());

        let name = request.metric.name.as_deref().unwrap_or_default();
        let sets = |series| answer::metric_sets(name, &query, request.scope, series);
        series
            .map(sets)
            .map_err(|error| Error::Fetch(Box::new(error)))
    }

    async fn metric_names(&self) -> Result<Arc<Vec<String>>> {
        let names = self.names.try_get_with((), async {
            let names = self.client.metric_names().await?;
            Ok::<_, FetchError>(Arc::new(names))
        });
        let names = names.await;
        names.map_err(|error| Error::Fetch(Box::new(FetchError::clone(&error))))
    }

    async fn health(&self) -> Result<()> {
        let health = self.client.health().await;
        health.map_err(|error| Error::Fetch(Box::new(error)))
    }
}

impl Prometheus {
    /// One piece after the other: a long range takes no more of the account than a short one.
    async fn series(
        &self,
        query: &str,
        pieces: &[Range],
        deadline: Instant,
    ) -> Result<Vec<answer::Series>, FetchError> {
        let mut answers = Vec::with_capacity(pieces.len());
        let mut room = client::MAX_ANSWER_BYTES;
        for piece in pieces {
            let call = Call::range_query(query, piece);
            let body = self.client.send(&call, deadline, room).await?;
            room -= body.len();
            let read = read(body).await;
            answers.push(read.map_err(|message| self.client.error(&call, Some(200), message))?);
        }
        Ok(match answers.len() {
            1 => answers.remove(0),
            _ => answer::join(answers),
        })
    }
}

async fn read(body: Vec<u8>) -> Result<Vec<answer::Series>, String> {
    if body.len() < LARGE_ANSWER_BYTES {
        return answer::read(&body);
    }
    let reading = tokio::task::spawn_blocking(move || answer::read(&body));
    reading
        .await
        .unwrap_or_else(|_| Err("reading the answer was given up".to_owned()))
}

fn query_of<'a>(request: &MetricRequest<'a>) -> Result<&'a CanaryMetricSetQueryConfig> {
    let name = request.metric.name.as_deref().unwrap_or_default();
    let query = request.metric.query.as_ref();
    let query = query.ok_or_else(|| Error::Invalid(format!("metric '{name}' has no query")))?;
    if query.kind() != KIND {
        return Err(Error::Invalid(format!(
            "Unable to resolve canary scope factory for '{}'.",
            query.kind()
        )));
    }
    Ok(query)
}

fn pieces(query: &str, range: &Range) -> Vec<Range> {
    // `@ start()` and `@ end()` mean the range that was asked for: pieces would change the answer.
    let bare: String = query.split_whitespace().collect();
    if bare.contains("start()") || bare.contains("end()") {
        return vec![*range];
    }
    range.pieces()
}
