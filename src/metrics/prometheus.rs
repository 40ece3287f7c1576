//! Series from a Prometheus, or from what speaks its API.

mod answer;
mod client;
mod connect;
mod fetching;
mod flight;
mod known;
mod pointwise;
mod query;
mod range;

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use moka::future::Cache;
use url::form_urlencoded;

use super::{MetricRequest, MetricSource};
use crate::canary::{CanaryMetricSetQueryConfig, MetricSet, iso_from_millis};
use crate::clock::Clock;
use crate::config::{Config, PrometheusAccount};
use crate::error::{Error, FetchError, Result};

use answer::Answered;
use client::Client;
use fetching::Fetching;
use flight::Flights;
pub use known::Known;
use range::Range;

pub const KIND: &str = "prometheus";

/// One account.
pub struct Prometheus {
    fetching: Arc<Fetching>,
    flights: Flights<(String, Range), Fetched>,
    scope_label: String,
    public_url: String,
    names: Cache<(), Arc<Vec<String>>>,
}

/// Shared by all who asked.
type Fetched = Result<Arc<Answered>, FetchError>;

impl Prometheus {
    /// `known` is that of all accounts.
    pub fn open(
        name: &str,
        account: &PrometheusAccount,
        config: &Config,
        known: Option<Arc<Known>>,
        clock: Clock,
    ) -> Result<Self> {
        Ok(Self {
            fetching: Arc::new(Fetching {
                client: Client::open(name, account, config)?,
                known,
                clock,
            }),
            flights: Flights::new(),
            scope_label: config.prometheus.scope_label.clone(),
            public_url: account.public_url.clone(),
            names: Cache::builder()
                .max_capacity(1)
                .time_to_live(config.prometheus.metadata_caching_interval)
                .build(),
        })
    }
}

impl Prometheus {
    /// What is told of a series beside its points.
    fn attributes(
        &self,
        query: String,
        range: &Range,
        answer: &Answered,
    ) -> IndexMap<String, String> {
        let mut attributes = IndexMap::from([("link".to_owned(), self.link(&query, range))]);
        for (name, told) in [
            ("partial", answer.partial()),
            ("warnings", answer.remarks()),
        ] {
            if !told.is_empty() {
                attributes.insert(name.to_owned(), told.join("; "));
            }
        }
        attributes.insert("query".to_owned(), query);
        attributes
    }

    /// Opens the query in Prometheus' own page.
    fn link(&self, query: &str, range: &Range) -> String {
        let (start, end) = (range.start.as_millis(), range.end.as_millis());
        let seconds = (end - start) / 1000;
        let link = format!("{}/graph?", self.public_url);
        let query_from = link.len();
        let mut link = form_urlencoded::Serializer::for_suffix(link, query_from);
        link.append_pair("g0.expr", query)
            .append_pair("g0.tab", "0")
            .append_pair("g0.range_input", &format!("{seconds}s"))
            .append_pair("g0.end_input", &iso_from_millis(end));
        if let Some(step) = range.step {
            link.append_pair("g0.step_input", &step.to_string());
        }
        link.finish()
    }
}

#[async_trait]
impl MetricSource for Prometheus {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        query_text(request, &self.scope_label)
    }

    async fn fetch(&self, request: &MetricRequest<'_>) -> Result<Vec<MetricSet>> {
        query_of(request)?;
        let range = Range::of(request.scope)?;
        let query = self.query(request)?;
        let flight = self.flights.join((query.clone(), range), || {
            let (fetching, query) = (Arc::clone(&self.fetching), query.clone());
            async move { fetching.answer(&query, &range).await.map(Arc::new) }
        });
        let name = request.metric.name.as_deref().unwrap_or_default();
        match flight.await {
            Ok(answer) => {
                let attributes = self.attributes(query, &range, &answer);
                let series = &answer.series;
                Ok(answer::metric_sets(
                    name,
                    &attributes,
                    request.scope,
                    series,
                ))
            }
            Err(error) => Err(Error::Fetch(Box::new(error))),
        }
    }

    async fn metric_names(&self) -> Result<Arc<Vec<String>>> {
        let names = self.names.try_get_with((), async {
            let names = self.fetching.client.metric_names().await?;
            Ok::<_, FetchError>(Arc::new(names))
        });
        let names = names.await;
        names.map_err(|error| Error::Fetch(Box::new(FetchError::clone(&error))))
    }

    async fn health(&self) -> Result<()> {
        let health = self.fetching.client.health().await;
        health.map_err(|error| Error::Fetch(Box::new(error)))
    }
}

/// The text that any account would be sent.
pub fn query_text(request: &MetricRequest<'_>, scope_label: &str) -> Result<String> {
    query::build(query_of(request)?, request, scope_label)
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
