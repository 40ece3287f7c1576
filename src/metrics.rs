//! Where series come from: metric sources, addressed by the name of a metrics account.

mod asking;
mod atlas;
mod bounded;
mod clickhouse;
mod cloudwatch;
mod cost;
mod counts;
mod datadog;
mod doubt;
mod flight;
mod graphite;
pub mod grid;
pub mod http;
mod influxdb;
mod json_api;
mod keyed;
pub mod library;
mod member;
pub mod mix;
mod newrelic;
mod number;
mod prometheus;
pub mod promql;
mod quoted;
pub mod range;
pub mod selection;
pub mod series;
mod shown;
mod signalfx;
mod stackdriver;
mod stand_in;
mod strings;
mod template;
mod told;
mod turns;
mod wavefront;

use std::sync::Arc;

use async_trait::async_trait;
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::budget::Share;
use crate::canary::{
    CanaryConfig, CanaryMetricConfig, CanaryMetricSetQueryConfig, CanaryScope, MetricSet,
};
use crate::clock::Clock;
use crate::config::{self, Config, GoogleAccount, Source};
use crate::error::{Error, Result};
use crate::google::Tokens;

pub use asking::{Asking, Service, too_large};
pub use cost::padding as cost_of_padding;
pub use doubt::{Advice, Doubt, DoubtKind, Draft};
pub use member::{Member, Shape};
use prometheus::Known;
pub use shown::shown_query;
pub use strings::{Piece, is_of_word, pieces};
pub use template::{
    IMPLICIT, Variable, custom_filter, least_length, of as template_of, too_long, variables,
};
pub use told::{divides, longest_range, tell_looks_back};

/// One metric of one side.
#[derive(Clone, Copy, Debug)]
pub struct MetricRequest<'a> {
    /// Its templates are those that the metric may name.
    pub config: &'a CanaryConfig,
    pub metric: &'a CanaryMetricConfig,
    pub scope: &'a CanaryScope,
    /// How many bytes its text may have.
    pub longest: usize,
    /// What earlier answers told may be taken, and this one kept: others will ask for nearly the same.
    pub is_reused: bool,
}

/// How a kind of source is asked. Pure: lint and pages need no source for it.
pub trait Language: Send + Sync {
    /// Of queries, accounts and stages: `prometheus`.
    fn kind(&self) -> &'static str;

    /// What a query has beside its type and templates.
    fn members(&self) -> &'static [Member];

    /// What a template of it holds, for who writes one.
    fn template(&self) -> &'static str;

    /// The text that the first account of the kind would be sent.
    ///
    /// # Errors
    /// `Invalid` when there is nothing that could be sent.
    fn text(&self, own: &Config, request: &MetricRequest<'_>) -> Result<String>;

    /// The texts of a query with variables in them, each with its member; with none for the template.
    ///
    /// # Errors
    /// `Invalid` when the template that it names is not there.
    fn written(&self, request: &MetricRequest<'_>) -> Result<Vec<(&'static str, String)>> {
        let template = template_of(request.config, request.metric)?;
        Ok(template.map(|text| ("", text)).into_iter().collect())
    }

    /// Variables of its templates that it gives a value itself.
    fn fills_in(&self) -> &'static [&'static str] {
        &[]
    }

    /// Those of serin's library that its queries can name.
    fn templates(&self) -> Vec<library::Template> {
        Vec::new()
    }

    /// What a new config begins with.
    fn examples(&self) -> Vec<library::Template> {
        self.templates()
    }

    /// Parameters of a scope that may stand by themselves where one query is tried.
    fn scope_params(&self) -> &'static [&'static str] {
        &[]
    }

    /// What its members are there whatever is said, as in Kayenta; in a body they are what they are.
    fn fixed(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The seconds of a step that is written as its service does.
    fn step(&self, _text: &str) -> Option<i64> {
        None
    }

    /// Whether a query with the old member `customFilter` is refused, as Kayenta does.
    fn refuses_custom_filter(&self) -> bool {
        false
    }

    /// Parameters without which Kayenta answers no `POST /fetch/<kind>/query`.
    fn needed_to_fetch(&self) -> &'static [&'static str] {
        &[]
    }

    /// What the lint is to tell of a query as it is written.
    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt>;

    /// What it is to tell of the text that one side would be sent, where nothing is in its way.
    fn doubts_of_text(&self, _draft: &Draft<'_>, _side: &str) -> Vec<Doubt> {
        Vec::new()
    }

    fn advice(&self) -> Advice {
        Advice::default()
    }
}

/// A metric that can be asked for.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = MetricDescriptor)]
pub struct Descriptor {
    pub name: String,
    /// What else its service tells of it.
    #[serde(flatten)]
    #[schema(ignore)]
    pub details: Map<String, Value>,
}

impl Descriptor {
    pub fn named(name: String) -> Self {
        Self {
            name,
            details: Map::new(),
        }
    }
}

/// Every language that there is a kind of source for.
pub const LANGUAGES: [&dyn Language; 12] = [
    &promql::PromQl,
    &datadog::DatadogQuery,
    &signalfx::SignalFlow,
    &stackdriver::StackdriverFilter,
    &newrelic::Nrql,
    &graphite::GraphiteTarget,
    &influxdb::InfluxQl,
    &cloudwatch::CloudWatchQuery,
    &clickhouse::Sql,
    &wavefront::WavefrontQuery,
    &atlas::AtlasStack,
    &json_api::JsonQuery,
];

/// That of queries of a type.
pub fn language(kind: &str) -> Option<&'static dyn Language> {
    LANGUAGES
        .into_iter()
        .find(|language| language.kind() == kind)
}

/// Answers metric requests with series.
#[async_trait]
pub trait MetricSource: Send + Sync {
    fn language(&self) -> &'static dyn Language;

    /// The text that `fetch` would send.
    fn query(&self, request: &MetricRequest<'_>) -> Result<String>;

    /// The series of one side; one without values when there are none. The share pays for them.
    async fn fetch(
        &self,
        request: &MetricRequest<'_>,
        share: &Arc<Share>,
    ) -> Result<Vec<MetricSet>>;

    /// The metrics whose names hold that text, whatever its case, as they were a moment ago; where the
    /// service finds them itself, what it finds.
    async fn metric_names(&self, filter: &str) -> Result<Vec<Descriptor>>;

    /// What the series of a metric, or all, have for labels, or for values of one of them; none where the
    /// service does not tell that cheaply.
    async fn labels(&self, _metric: &str, _label: Option<&str>) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn health(&self) -> Result<()>;

    /// One cheap read, with all that a query needs: who answers may refuse that.
    async fn probe(&self) -> Result<()> {
        self.health().await
    }
}

/// The metric sources of the configuration by account name, in its order.
pub fn open(config: &Config, clock: &Clock) -> Result<IndexMap<String, Arc<dyn MetricSource>>> {
    let known = Known::open(&config.sources.prometheus.reuse);
    let mut sources = IndexMap::<String, Arc<dyn MetricSource>>::new();
    for account in &config.accounts {
        match &account.source {
            Some(Source::Prometheus(prometheus)) => {
                let (known, clock) = (known.clone(), clock.clone());
                let source = prometheus::open(&account.name, prometheus, config, known, clock)?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            Some(Source::Datadog(datadog)) => {
                let source = datadog::open(&account.name, datadog, config, clock.clone())?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            Some(Source::SignalFx(signalfx)) => {
                let source = signalfx::open(&account.name, signalfx, config)?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            Some(Source::Stackdriver(stackdriver)) => {
                let tokens = tokens(&account.name, &stackdriver.google, &stackdriver.url)?;
                let source = stackdriver::open(&account.name, stackdriver, tokens, config)?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            Some(Source::NewRelic(newrelic)) => {
                let source = newrelic::open(&account.name, newrelic, config)?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            Some(Source::Graphite(graphite)) => {
                let source = graphite::open(&account.name, graphite, config)?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            Some(Source::InfluxDb(influxdb)) => {
                let source = influxdb::open(&account.name, influxdb, config)?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            Some(Source::ClickHouse(clickhouse)) => {
                let source = clickhouse::open(&account.name, clickhouse, config)?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            Some(Source::Wavefront(wavefront)) => {
                let source = wavefront::open(&account.name, wavefront, config, clock.clone())?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            Some(Source::Atlas(atlas)) => {
                let source = atlas::open(&account.name, atlas, config)?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            Some(Source::CloudWatch(cloudwatch)) => {
                let clock = clock.clone();
                let source = cloudwatch::open(&account.name, cloudwatch, config, clock)?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            Some(Source::JsonApi(api)) => {
                let source = json_api::open(&account.name, api, config)?;
                sources.insert(account.name.clone(), Arc::new(source));
            }
            None => {}
        }
    }
    Ok(sources)
}

/// Those of an account of Google's; none where a stand-in wants none.
fn tokens(name: &str, account: &GoogleAccount, url: &str) -> Result<Option<Arc<Tokens>>> {
    if !account.is_asked_with_tokens(url) {
        return Ok(None);
    }
    let tokens = Tokens::open(account.json_path.as_deref(), &config::environment());
    let tokens = tokens.map_err(|why| Error::Invalid(format!("account '{name}': {why}")))?;
    Ok(Some(Arc::new(tokens)))
}

/// The types of the queries that there is a source for.
pub fn kinds() -> [&'static str; LANGUAGES.len()] {
    LANGUAGES.map(Language::kind)
}

/// Whether there is a kind of source for queries of that type.
pub fn supports(kind: &str) -> bool {
    language(kind).is_some()
}

/// The text that would be sent.
///
/// # Errors
/// `Invalid` when there is no source for it, or nothing that could be sent.
pub fn text_of(own: &Config, request: &MetricRequest<'_>) -> Result<String> {
    let query = query_of(request)?;
    match language(query.kind()) {
        Some(language) => language.text(own, request),
        None => Err(of_other_source(request, query.kind())),
    }
}

/// The query of a metric.
///
/// # Errors
/// `Invalid` when it is of another kind, or when there is none.
pub fn query_of_kind<'a>(
    request: &MetricRequest<'a>,
    kind: &str,
) -> Result<&'a CanaryMetricSetQueryConfig> {
    let query = query_of(request)?;
    if query.kind() == kind {
        Ok(query)
    } else {
        Err(of_other_source(request, query.kind()))
    }
}

fn query_of<'a>(request: &MetricRequest<'a>) -> Result<&'a CanaryMetricSetQueryConfig> {
    let query = request.metric.query.as_ref();
    query.ok_or_else(|| {
        let name = request.metric.name.as_deref().unwrap_or_default();
        Error::Invalid(format!("metric '{name}' has no query"))
    })
}

fn of_other_source(request: &MetricRequest<'_>, kind: &str) -> Error {
    let name = request.metric.name.as_deref().unwrap_or_default();
    Error::Invalid(other_source(name, kind))
}

/// Why a metric cannot be fetched. The first words are Kayenta's.
pub fn other_source(metric: &str, kind: &str) -> String {
    format!(
        "Unable to resolve canary scope factory for '{kind}': metric '{metric}' cannot be fetched, as \
         serin reads {} only.",
        kinds().join(", ")
    )
}
