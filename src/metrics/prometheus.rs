//! Series from a Prometheus, or from what speaks its API.

mod answer;
mod dialect;
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
    Body, Call, Client, ClientCredentials, Credentials, Endpoint, Unanswered, Wrong, error_text,
};
use super::promql::{self, PromQl, logql, lookback, query};
use super::range::Range;
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest, tokens};
use crate::aws::Signer;
use crate::budget::Share;
use crate::canary::{Attributes, iso_from_millis};
use crate::clock::Clock;
use crate::config::{Config, PrometheusAccount};
use crate::error::{Error, FetchError, Result};

use dialect::Dialect;
use fetching::Fetching;
pub use known::Known;

pub struct Prometheus {
    fetching: Fetching,
    scope_label: String,
    /// Whether values may end the quotes that they stand in.
    raw_values: bool,
    public_url: String,
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
            client: Client::open_showing(
                promql::KIND,
                endpoint,
                account.certificate.as_ref(),
                deadline,
                config,
            )?,
            dialect: Dialect::of(account),
            known,
            clock,
            limits: config.limits,
        },
        scope_label: config.sources.prometheus.scope_label.clone(),
        raw_values: config.sources.prometheus.raw_values,
        public_url: account.public_url.clone(),
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
    let headers = headers.map(|(header, value)| (header.as_str(), value.clone()));
    let quota = account.quota_project.iter();
    let quota = quota.map(|project| ("x-goog-user-project", project.as_str().into()));
    Ok(Endpoint {
        account: name,
        base_url: &account.base_url,
        headers: headers.chain(quota).collect(),
        credentials: credentials(name, account)?,
        ca_file: account.http.ca_file.as_deref(),
        compression: account.http.compression,
    })
}

/// A signature wins over tokens that others give, they over a file, a file over a token, a token over user and password, they over
/// those in the address, which the client takes by itself.
fn credentials(name: &str, account: &PrometheusAccount) -> Result<Credentials> {
    if let Some(sigv4) = &account.sigv4 {
        let signer = Signer::new(sigv4.identity.clone(), &sigv4.service);
        return Ok(Credentials::Aws(Arc::new(signer)));
    }
    if let Some(google) = &account.google
        && let Some(tokens) = tokens(name, google, &account.base_url)?
    {
        return Ok(Credentials::Google(tokens));
    }
    if let Some(oauth2) = &account.oauth2 {
        let tokens = ClientCredentials::open(oauth2);
        let tokens =
            tokens.map_err(|why| Error::Invalid(format!("account '{name}': oauth2: {why}")))?;
        return Ok(Credentials::OAuth2(Arc::new(tokens)));
    }
    if let Some(path) = &account.bearer_token_file {
        return Ok(Credentials::BearerFile(path.clone()));
    }
    if let Some(path) = &account.username_password_file {
        return Ok(Credentials::File(path.clone()));
    }
    if let Some(token) = &account.bearer_token {
        return Ok(Credentials::Bearer(token.clone()));
    }
    if account.username.is_some() || account.password.is_some() {
        return Ok(Credentials::Basic {
            username: account.username.clone().unwrap_or_default(),
            password: account.password.clone().unwrap_or_default(),
        });
    }
    Ok(Credentials::None)
}

impl Prometheus {
    /// An answer that is a list of names.
    async fn names(&self, call: &Call<'_>) -> Result<Vec<String>, FetchError> {
        #[derive(Deserialize)]
        struct Names {
            data: Option<Vec<String>>,
        }
        let client = &self.fetching.client;
        let Body {
            bytes, exchange, ..
        } = client.aside(call).await?;
        let wrong = match serde_json::from_slice(&bytes) {
            Ok(Names { data: Some(names) }) => return Ok(names),
            Ok(Names { data: None }) => match error_text(&bytes) {
                Some(told) => Wrong::Told(told),
                None => Wrong::other(&bytes, "it has no data"),
            },
            Err(cause) => Wrong::other(&bytes, format!("it is no list of names: {cause}")),
        };
        Err(client.wrong(call, &exchange, wrong))
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
impl Service for Prometheus {
    /// The last says whether earlier answers may be taken.
    type Asked = (String, Range, bool);

    fn language(&self) -> &'static dyn Language {
        &PromQl
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        // What is too much to put in is not looked at.
        let text = query::build(request, &self.scope_label)?;
        if logql::is_asked(request)? && !self.fetching.dialect.is_loki {
            let account = self.fetching.client.account();
            return Err(Error::Invalid(format!(
                "the query is LogQL, and the account '{account}' is no Loki: the baseUrl of one ends in '/loki'"
            )));
        }
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
        let is_opened = !self.fetching.dialect.is_loki && link.len() <= LONGEST_LINK;
        let link = is_opened.then_some(("link", link));
        let looks_back = lookback::longest(query).map(|millis| ("looksBack", millis.to_string()));
        link.into_iter()
            .chain(looks_back)
            .chain(answer.told())
            .chain([("query", query.clone())])
            .collect()
    }

    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        let names = self.names(&self.fetching.dialect.names()).await?;
        Ok(names.into_iter().map(Descriptor::named).collect())
    }

    async fn labels(&self, metric: &str, label: Option<&str>) -> Result<Vec<String>, FetchError> {
        // Others cannot be named in its address, nor in a query without quotes.
        let is_plain = |label: &str| {
            let mut letters = label.chars();
            let is_first = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
            letters.next().is_some_and(is_first)
                && letters.all(|letter| is_first(letter) || letter.is_ascii_digit())
        };
        if !label.is_none_or(is_plain) {
            return Ok(Vec::new());
        }
        self.names(&self.fetching.dialect.labels(metric, label))
            .await
    }

    async fn health(&self) -> Result<(), FetchError> {
        let (client, dialect) = (&self.fetching.client, &self.fetching.dialect);
        let health = client.aside(&dialect.health()).await;
        match (health, dialect.health_without_page()) {
            // Below the path of a tenant or of a cloud there is the API, and nothing else.
            (Err(error), Some(call)) if matches!(error.status, Some(400 | 404 | 405 | 501)) => {
                client.aside(&call).await.map(drop)
            }
            (health, _) => health.map(drop),
        }
    }

    async fn probe(&self) -> Result<(), FetchError> {
        let (client, dialect) = (&self.fetching.client, &self.fetching.dialect);
        let call = dialect.health_without_page();
        let call = call.unwrap_or_else(|| dialect.names());
        client.aside(&call).await.map(drop)
    }
}
