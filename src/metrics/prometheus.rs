//! Series from a Prometheus, or from what speaks its API.

mod answer;
mod fetching;
mod known;
mod parse;
mod pieces;

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use url::form_urlencoded;

use super::asking::{Asking, Service};
use super::http::{
    Body, Call, Client, Credentials, Endpoint, Unanswered, Wanted, Wrong, error_text,
};
use super::promql::{self, PromQl, lookback, query};
use super::range::Range;
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest, tokens};
use crate::aws::Signer;
use crate::budget::Share;
use crate::canary::{Attributes, iso_from_millis};
use crate::clock::Clock;
use crate::config::{Config, PrometheusAccount};
use crate::error::{FetchError, Result};

use fetching::Fetching;
pub use known::Known;

pub struct Prometheus {
    fetching: Fetching,
    scope_label: String,
    /// Whether values may end the quotes that they stand in.
    raw_values: bool,
    public_url: String,
    /// Clouds have no page of Prometheus's own for that.
    asks_for_health: bool,
}

/// A link that is longer is refused by most servers, and opened by nobody.
const LONGEST_LINK: usize = 8 << 10;

/// A source for an account; `known` is that of all accounts.
///
/// # Errors
/// `Invalid` for an address, a header or a certificate that cannot be used.
pub fn open(
    name: &str,
    account: &PrometheusAccount,
    config: &Config,
    known: Option<Arc<Known>>,
    clock: Clock,
) -> Result<Asking<Prometheus>> {
    let endpoint = endpoint(name, account)?;
    let deadline = config.sources.prometheus.query_deadline;
    let service = Prometheus {
        fetching: Fetching {
            client: Client::open(promql::KIND, endpoint, deadline, config)?,
            known,
            clock,
            limits: config.limits,
        },
        scope_label: config.sources.prometheus.scope_label.clone(),
        raw_values: config.sources.prometheus.raw_values,
        public_url: account.public_url.clone(),
        asks_for_health: account.google.is_some() || account.sigv4.is_some(),
    };
    let (at_once, longest) = (
        account.http.max_concurrent_queries,
        config.limits.query_text,
    );
    let names = config.sources.prometheus.metadata_caching_interval;
    Ok(Asking::new(service, at_once, longest, names))
}

fn endpoint<'a>(name: &'a str, account: &'a PrometheusAccount) -> Result<Endpoint<'a>> {
    let headers = account.headers.iter();
    let tokens = match &account.google {
        Some(google) => tokens(name, google, &account.base_url)?,
        None => None,
    };
    let signer = account.sigv4.as_ref().map(|sigv4| {
        let signer = Signer::new(sigv4.identity.clone(), &sigv4.service);
        Credentials::Aws(Arc::new(signer))
    });
    let tokens = tokens.map(Credentials::Google);
    Ok(Endpoint {
        account: name,
        base_url: &account.base_url,
        headers: headers
            .map(|(header, value)| (header.as_str(), value.clone()))
            .collect(),
        credentials: signer.or(tokens).unwrap_or_else(|| credentials(account)),
        ca_file: account.http.ca_file.as_deref(),
        compression: account.http.compression,
    })
}

/// A file wins over a token, a token over user and password, they over those in the address, which the
/// client takes by itself.
fn credentials(account: &PrometheusAccount) -> Credentials {
    if let Some(path) = &account.username_password_file {
        return Credentials::File(path.clone());
    }
    if let Some(token) = &account.bearer_token {
        return Credentials::Bearer(token.clone());
    }
    if account.username.is_some() || account.password.is_some() {
        return Credentials::Basic {
            username: account.username.clone().unwrap_or_default(),
            password: account.password.clone().unwrap_or_default(),
        };
    }
    Credentials::None
}

impl Prometheus {
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
impl Service for Prometheus {
    /// The last says whether earlier answers may be taken.
    type Asked = (String, Range, bool);

    fn language(&self) -> &'static dyn Language {
        &PromQl
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        // What is too much to put in is not looked at.
        let text = query::build(request, &self.scope_label)?;
        if !self.raw_values {
            query::check(request)?;
        }
        Ok(text)
    }

    fn asked(&self, request: &MetricRequest<'_>) -> Result<Self::Asked> {
        promql::query_of(request)?;
        let range = Range::of(request.scope)?;
        Ok((self.query(request)?, range, request.is_reused))
    }

    fn text((query, ..): &Self::Asked) -> &str {
        query
    }

    async fn answer(
        &self,
        (query, range, is_reused): &Self::Asked,
        share: &Arc<Share>,
    ) -> Result<Answered, Unanswered> {
        self.fetching.answer(query, range, *is_reused, share).await
    }

    fn attributes(&self, (query, range, _): &Self::Asked, answer: &Answered) -> Attributes {
        let link = self.link(query, range);
        let link = (link.len() <= LONGEST_LINK).then_some(("link", link));
        let looks_back = lookback::longest(query).map(|millis| ("looksBack", millis.to_string()));
        link.into_iter()
            .chain(looks_back)
            .chain(answer.told())
            .chain([("query", query.clone())])
            .collect()
    }

    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        #[derive(Deserialize)]
        struct Names {
            data: Option<Vec<String>>,
        }
        let client = &self.fetching.client;
        let call = Call::get("/api/v1/label/__name__/values");
        let Body {
            bytes, exchange, ..
        } = client.aside(&call).await?;
        let wrong = match serde_json::from_slice(&bytes) {
            Ok(Names { data: Some(names) }) => {
                return Ok(names.into_iter().map(Descriptor::named).collect());
            }
            Ok(Names { data: None }) => match error_text(&bytes) {
                Some(told) => Wrong::Told(told),
                None => Wrong::other(&bytes, "it has no data"),
            },
            Err(cause) => Wrong::other(&bytes, format!("it is no list of names: {cause}")),
        };
        Err(client.wrong(&call, &exchange, wrong))
    }

    async fn health(&self) -> Result<(), FetchError> {
        let path = if self.asks_for_health {
            "/api/v1/query"
        } else {
            "/-/healthy"
        };
        let query = self
            .asks_for_health
            .then(|| ("query", "vector(1)".to_owned()));
        let call = Call {
            params: query.into_iter().collect(),
            wanted: Wanted::Anything,
            ..Call::get(path)
        };
        self.fetching.client.aside(&call).await.map(drop)
    }

    async fn probe(&self) -> Result<(), FetchError> {
        let call = Call {
            params: vec![("query", "vector(1)".to_owned())],
            ..Call::get("/api/v1/query")
        };
        self.fetching.client.aside(&call).await.map(drop)
    }
}
