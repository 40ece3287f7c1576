//! Series from Wavefront: expressions of its query language, answered by its chart API.

mod answer;
mod query;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};

use super::asking::{Asking, Service};
use super::http::{Call, Client, Credentials, Endpoint, Sent, Unanswered};
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest};
use crate::budget::{Held, Share};
use crate::canary::Attributes;
use crate::clock::Clock;
use crate::config::{Config, Limits, WavefrontAccount};
use crate::error::{FetchError, Result};

pub use query::WavefrontQuery;
use query::{Asked, KIND};

/// Kept as long as the list of names, of which there is none here.
const NAMES_KEPT: Duration = Duration::from_mins(1);
const CHART: &str = "/api/v2/chart/api";

pub struct Wavefront {
    client: Client,
    limits: Limits,
    clock: Clock,
}

/// A source for an account.
///
/// # Errors
/// `Invalid` for an address or a certificate that cannot be used.
pub fn open(
    name: &str,
    account: &WavefrontAccount,
    config: &Config,
    clock: Clock,
) -> Result<Asking<Wavefront>> {
    // Kayenta adds the word, so some write it beside the token, and some do not.
    let token = account.api_token.expose_secret().trim();
    let token = token.strip_prefix("Bearer ").unwrap_or(token);
    let endpoint = Endpoint {
        account: name,
        base_url: &account.base_url,
        headers: Vec::new(),
        credentials: Credentials::Bearer(SecretString::from(token)),
        ca_file: account.http.ca_file.as_deref(),
        compression: account.http.compression,
    };
    let deadline = config.sources.wavefront.query_deadline;
    let service = Wavefront {
        client: Client::open(KIND, endpoint, deadline, config)?,
        limits: config.limits,
        clock,
    };
    let at_once = account.http.max_concurrent_queries;
    let longest = config.limits.query_text;
    Ok(Asking::new(service, at_once, longest, NAMES_KEPT))
}

#[async_trait]
impl Service for Wavefront {
    type Asked = Asked;

    fn language(&self) -> &'static dyn Language {
        &WavefrontQuery
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        query::text(request)
    }

    fn asked(&self, request: &MetricRequest<'_>) -> Result<Asked> {
        query::asked(request)
    }

    fn text(asked: &Asked) -> &str {
        &asked.text
    }

    async fn answer(&self, asked: &Asked, share: &Arc<Share>) -> Result<Answered, Unanswered> {
        let call = Call {
            params: asked.params(),
            sent: Sent::Get,
            query: &asked.text,
            ..Call::get(CHART)
        };
        let (step, limits) = (asked.step, self.limits);
        let read = move |answer, held: &mut Held| answer::series(answer, step, &limits, held);
        let deadline = self.client.deadline();
        self.client.read(&call, deadline, share, read).await
    }

    fn attributes(&self, asked: &Asked, answer: &Answered) -> Attributes {
        let summarization = asked.summarization.clone();
        let summarization = summarization.map(|how| ("summarization", how));
        let query = ("query", asked.text.clone());
        let told = answer.told().chain(summarization).chain([query]);
        told.collect()
    }

    /// Kayenta lists none, and no form asks for them.
    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        Ok(Vec::new())
    }

    /// A constant is a query that needs no series.
    async fn health(&self) -> Result<(), FetchError> {
        let now = self.clock.now_millis();
        let call = Call {
            params: vec![
                ("n", "serin-health".to_owned()),
                ("q", "1".to_owned()),
                ("s", (now - 60_000).to_string()),
                ("e", now.to_string()),
                ("g", "m".to_owned()),
            ],
            ..Call::get(CHART)
        };
        self.client.aside(&call).await.map(drop)
    }
}
