//! Series from a Prometheus, or from what speaks its API.

mod answer;
mod came;
mod client;
mod connect;
mod cost;
mod counts;
mod fetching;
mod flight;
mod known;
mod parse;
mod pointwise;
mod query;
mod quoted;
mod range;
mod turns;

use std::sync::Arc;

use async_trait::async_trait;
use moka::future::Cache;
use url::form_urlencoded;

use super::{MetricRequest, MetricSource, template};
use crate::budget::{Refused, Share};
use crate::canary::{Attributes, CanaryMetricSetQueryConfig, MetricSet, iso_from_millis};
use crate::clock::Clock;
use crate::config::{Config, PrometheusAccount};
use crate::error::{Error, FetchError, Result};

use answer::Answered;
use client::{Client, Unanswered};
pub use cost::padding as cost_of_padding;
use fetching::Fetching;
use flight::Flights;
pub use known::Known;
use range::Range;
use turns::Turns;

pub const KIND: &str = "prometheus";

/// One account.
pub struct Prometheus {
    fetching: Arc<Fetching>,
    turns: Arc<Turns>,
    flights: Flights<Asked, Fetched>,
    scope_label: String,
    /// Whether values may end the quotes that they stand in.
    raw_values: bool,
    public_url: String,
    names: Cache<(), Arc<Vec<String>>>,
}

/// A query over a range; whether who asks waits for no memory. Who does must not be waited for by who does
/// not: both would wait for ever.
type Asked = (String, Range, bool);

/// Shared by all who asked.
type Fetched = Result<Arc<Answered>, Unanswered>;

/// A link that is longer is refused by most servers, and opened by nobody.
const LONGEST_LINK: usize = 8 << 10;
/// What a query takes while it is asked: its text, as it is sent, and in the answers.
const QUERY_COPIES: usize = 4;

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
                limits: config.limits,
            }),
            turns: Arc::new(Turns::new(account.max_concurrent_queries)),
            flights: Flights::new(),
            scope_label: config.sources.prometheus.scope_label.clone(),
            raw_values: config.sources.prometheus.raw_values,
            public_url: account.public_url.clone(),
            names: Cache::builder()
                .max_capacity(1)
                .time_to_live(config.sources.prometheus.metadata_caching_interval)
                .build(),
        })
    }
}

impl Prometheus {
    /// What is told of a series beside its points.
    fn attributes(&self, query: String, range: &Range, answer: &Answered) -> Attributes {
        let link = self.link(&query, range);
        let link = (link.len() <= LONGEST_LINK).then_some(("link", link));
        let told = [
            ("partial", answer.partial()),
            ("warnings", answer.remarks()),
        ];
        let told = told.into_iter().filter(|(_, texts)| !texts.is_empty());
        let told = told.map(|(name, texts)| (name, texts.join("; ")));
        link.into_iter()
            .chain(told)
            .chain([("query", query)])
            .collect()
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
        if !self.raw_values {
            quoted::check(request)?;
        }
        let query = query_text(request, &self.scope_label)?;
        let limit = self.fetching.limits.query_text;
        if limit < query.len() {
            return Err(Error::Invalid(template::too_long(limit)));
        }
        Ok(query)
    }

    async fn fetch(
        &self,
        request: &MetricRequest<'_>,
        share: &Arc<Share>,
    ) -> Result<Vec<MetricSet>> {
        query_of(request)?;
        let range = Range::of(request.scope)?;
        let name = request.metric.name.as_deref().unwrap_or_default();
        loop {
            let query = self.query(request)?;
            let _text = match share.hold(query.len() * QUERY_COPIES) {
                Ok(held) => held,
                Err(refused) => {
                    or_never(refused, share).await?;
                    continue;
                }
            };
            let mut is_own = false;
            let asked = (query.clone(), range, share.has_turn());
            let flight = self.flights.join(asked, || {
                is_own = true;
                let (fetching, turns) = (Arc::clone(&self.fetching), Arc::clone(&self.turns));
                let (query, share) = (query.clone(), Arc::clone(share));
                async move {
                    let _turn = turns.take(share.number).await;
                    fetching.answer(&query, &range, &share).await.map(Arc::new)
                }
            });
            let answer = match flight.await {
                Ok(answer) => answer,
                // What was too much beside what another one has is not so beside this one's.
                Err(Unanswered::Later { .. } | Unanswered::TooLarge(_)) if !is_own => continue,
                Err(Unanswered::Later { wanted }) => {
                    share.wait(wanted).await;
                    continue;
                }
                Err(Unanswered::Failed(error) | Unanswered::TooLarge(error)) => {
                    return Err(Error::Fetch(error));
                }
            };
            let attributes = self.attributes(query, &range, &answer);
            let series = &answer.series;
            if let Err(refused) = share.take(cost::kept(name, &attributes, series)) {
                drop(answer);
                or_never(refused, share).await?;
                continue;
            }
            let scope = request.scope;
            return Ok(answer::metric_sets(name, &attributes, scope, series));
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

/// Waits until there is memory.
async fn or_never(refused: Refused, share: &Share) -> Result<()> {
    match refused {
        Refused::Later { wanted } => {
            share.wait(wanted).await;
            Ok(())
        }
        Refused::TooMany { most } => Err(too_large(most)),
    }
}

/// What an execution fetched is more than it may have.
pub fn too_large(most: usize) -> Error {
    Error::Invalid(format!(
        "the series of the execution take more memory than the {} MiB that it may have (limits.execution): \
         a larger step, a shorter range, fewer series or shorter queries are wanted",
        most >> 20
    ))
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
        return Err(Error::Invalid(super::other_source(name, query.kind())));
    }
    Ok(query)
}
