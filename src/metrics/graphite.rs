//! Series from Graphite: targets of its render API.

mod answer;
mod target;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::asking::{Asking, Service};
use super::bounded::at_most;
use super::http::{Call, Client, Credentials, Endpoint, Sent, Unanswered};
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest};
use crate::budget::{Held, Share};
use crate::canary::Attributes;
use crate::config::{Config, GraphiteAccount, Limits};
use crate::error::{FetchError, Result};

pub use target::GraphiteTarget;
use target::{Asked, KIND, PLACEHOLDERS};

/// Kept as long as the list of names, of which there is none here.
const NAMES_KEPT: Duration = Duration::from_mins(1);
/// Of a list of names.
const MOST_NAMES: usize = 100_000;

pub struct Graphite {
    client: Client,
    limits: Limits,
    base_url: String,
}

/// A source for an account.
///
/// # Errors
/// `Invalid` for an address, a header or a certificate that cannot be used.
pub fn open(name: &str, account: &GraphiteAccount, config: &Config) -> Result<Asking<Graphite>> {
    let headers = account.login.headers.iter();
    let endpoint = Endpoint {
        account: name,
        base_url: &account.base_url,
        headers: headers
            .map(|(header, value)| (header.as_str(), value.clone()))
            .collect(),
        credentials: Credentials::of(&account.login),
        ca_file: account.http.ca_file.as_deref(),
        compression: account.http.compression,
    };
    let deadline = config.sources.graphite.query_deadline;
    let service = Graphite {
        client: Client::open(KIND, endpoint, deadline, config)?,
        limits: config.limits,
        base_url: account.base_url.clone(),
    };
    let at_once = account.http.max_concurrent_queries;
    let longest = config.limits.query_text;
    Ok(Asking::new(service, at_once, longest, NAMES_KEPT))
}

#[async_trait]
impl Service for Graphite {
    type Asked = Asked;

    fn language(&self) -> &'static dyn Language {
        &GraphiteTarget
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        target::text(request)
    }

    fn asked(&self, request: &MetricRequest<'_>) -> Result<Asked> {
        target::asked(request)
    }

    fn text(asked: &Asked) -> &str {
        &asked.target
    }

    async fn answer(&self, asked: &Asked, share: &Arc<Share>) -> Result<Answered, Unanswered> {
        let call = Call {
            params: asked.params("json"),
            sent: Sent::GetOrForm,
            query: &asked.target,
            ..Call::get("/render")
        };
        let limits = self.limits;
        let read = move |answer, held: &mut Held| answer::series(answer, &limits, held);
        let deadline = self.client.deadline();
        self.client.read(&call, deadline, share, read).await
    }

    fn attributes(&self, asked: &Asked, answer: &Answered) -> Attributes {
        let address = format!("{}/render", self.base_url);
        let link = Url::parse_with_params(&address, asked.params("png")).ok();
        let link = link.map(|link| ("link", link.to_string()));
        let query = ("query", asked.target.clone());
        answer.told().chain(link).chain([query]).collect()
    }

    /// There may be too many for a list: they are found level by level.
    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        Ok(Vec::new())
    }

    async fn found_names(&self, filter: &str) -> Result<Option<Vec<Descriptor>>, FetchError> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(deserialize_with = "at_most::<MOST_NAMES, _, _>")]
            metrics: Vec<Name>,
        }
        #[derive(Deserialize)]
        struct Name {
            name: String,
            #[serde(default)]
            is_leaf: Value,
        }
        let level = filter.rfind('.').map(|dot| filter.split_at(dot + 1));
        let above = level.map_or("", |(above, _)| above);
        if level.is_some_and(|(_, last)| last.contains('$')) {
            let names = PLACEHOLDERS.map(|name| Descriptor::named(format!("{above}{name}")));
            return Ok(Some(names.into()));
        }
        let query = PLACEHOLDERS
            .iter()
            .fold(filter.to_owned(), |text, name| text.replace(name, "*"));
        let call = Call {
            params: vec![("query", query), ("format", "completer".to_owned())],
            ..Call::get("/metrics/find")
        };
        let Found { metrics } = self.client.aside_json(&call).await?;
        let names = metrics.into_iter().map(|Name { name, is_leaf }| {
            let is_leaf = is_leaf.as_i64() == Some(1) || is_leaf.as_str() == Some("1");
            format!("{above}{name}{}", if is_leaf { "" } else { "." })
        });
        let once: indexmap::IndexSet<String> = names.collect();
        Ok(Some(once.into_iter().map(Descriptor::named).collect()))
    }

    async fn health(&self) -> Result<(), FetchError> {
        let call = Call {
            params: vec![
                ("query", "*".to_owned()),
                ("format", "completer".to_owned()),
            ],
            ..Call::get("/metrics/find")
        };
        self.client.aside(&call).await.map(drop)
    }
}
