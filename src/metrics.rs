//! Where series come from: metric sources, addressed by the name of a metrics account.

pub mod library;
pub mod mix;
mod prometheus;
pub mod promql;
pub mod selection;
mod shown;
mod template;

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;

use crate::budget::Share;
use crate::canary::{CanaryConfig, CanaryMetricConfig, CanaryScope, MetricSet};
use crate::clock::Clock;
use crate::config::{Config, Source};
use crate::error::Result;

use prometheus::{Known, Prometheus};
pub use prometheus::{cost_of_padding, query_text, too_large};
pub use shown::shown_query;
pub use template::{Variable, custom_filter, least_length, of as template_of, too_long, variables};

/// One metric of one side.
#[derive(Clone, Copy, Debug)]
pub struct MetricRequest<'a> {
    /// Its templates are those that the metric may name.
    pub config: &'a CanaryConfig,
    pub metric: &'a CanaryMetricConfig,
    pub scope: &'a CanaryScope,
}

/// Answers metric requests with series.
#[async_trait]
pub trait MetricSource: Send + Sync {
    /// The type of the queries that it understands.
    fn kind(&self) -> &'static str;

    /// The text that `fetch` would send.
    fn query(&self, request: &MetricRequest<'_>) -> Result<String>;

    /// The series of one side; one without values when there are none. The share pays for them.
    async fn fetch(
        &self,
        request: &MetricRequest<'_>,
        share: &Arc<Share>,
    ) -> Result<Vec<MetricSet>>;

    /// The names of all metrics, as they were a moment ago.
    async fn metric_names(&self) -> Result<Arc<Vec<String>>>;

    async fn health(&self) -> Result<()>;
}

/// The metric sources of the configuration by account name, in its order.
pub fn open(config: &Config, clock: &Clock) -> Result<IndexMap<String, Arc<dyn MetricSource>>> {
    let known = Known::open(&config.sources.prometheus.reuse);
    let mut sources = IndexMap::<String, Arc<dyn MetricSource>>::new();
    for account in &config.accounts {
        match &account.source {
            Some(Source::Prometheus(prometheus)) => {
                let (known, clock) = (known.clone(), clock.clone());
                let source = Prometheus::open(&account.name, prometheus, config, known, clock)?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            None => {}
        }
    }
    Ok(sources)
}

/// The types of the queries that there is a source for.
pub const KINDS: [&str; 1] = [prometheus::KIND];

/// Whether there is a kind of source for queries of that type.
pub fn supports(kind: &str) -> bool {
    KINDS.contains(&kind)
}

/// Why a metric cannot be fetched. The first words are Kayenta's.
pub fn other_source(metric: &str, kind: &str) -> String {
    format!(
        "Unable to resolve canary scope factory for '{kind}': metric '{metric}' cannot be fetched, as \
         serin reads {} only.",
        KINDS.join(", ")
    )
}
