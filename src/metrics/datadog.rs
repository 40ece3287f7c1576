//! Series from Datadog: its time series API, v1 as Kayenta asks it, and v2 with formulas.

mod answer;
mod library;
mod query;

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;

use super::asking::{Asking, Service};
use super::bounded::at_most;
use super::http::{Call, Client, Credentials, Endpoint, Sent, Unanswered};
use super::range::Range;
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest};
use crate::budget::{Held, Share};
use crate::canary::Attributes;
use crate::clock::Clock;
use crate::config::{Config, DatadogAccount, Limits};
use crate::error::{FetchError, Result};

pub use query::DatadogQuery;
use query::{Asked, KIND};

/// How far back a metric must have reported to be named, in seconds.
const NAMES_FROM: i64 = 3_600;
/// Of a list of names.
const MOST_NAMES: usize = 1_000_000;

pub struct Datadog {
    client: Client,
    limits: Limits,
    clock: Clock,
    /// Where people look at metrics.
    app_url: String,
}

/// A source for an account.
///
/// # Errors
/// `Invalid` for an address, a key or a certificate that cannot be used.
pub fn open(
    name: &str,
    account: &DatadogAccount,
    config: &Config,
    clock: Clock,
) -> Result<Asking<Datadog>> {
    let keys = [
        ("dd-api-key", &account.api_key),
        ("dd-application-key", &account.application_key),
    ];
    let keys = keys.into_iter();
    let endpoint = Endpoint {
        account: name,
        base_url: &account.base_url,
        headers: keys
            .filter_map(|(header, key)| Some((header, key.clone()?)))
            .collect(),
        credentials: Credentials::None,
        ca_file: account.http.ca_file.as_deref(),
        compression: account.http.compression,
    };
    let settings = &config.sources.datadog;
    let service = Datadog {
        client: Client::open(KIND, endpoint, settings.query_deadline, config)?,
        limits: config.limits,
        clock,
        app_url: account.app_url.clone(),
    };
    let at_once = account.http.max_concurrent_queries;
    let longest = config.limits.query_text;
    Ok(Asking::new(
        service,
        at_once,
        longest,
        settings.metadata_caching_interval,
    ))
}

impl Datadog {
    fn call(asked: &Asked) -> Call<'_> {
        let Range { start, end, .. } = asked.range;
        match &asked.body {
            Some(body) => Call {
                sent: Sent::Post("application/json", body.clone()),
                query: &asked.text,
                ..Call::get("/api/v2/query/timeseries")
            },
            None => Call {
                params: vec![
                    ("from", start.as_millis().div_euclid(1000).to_string()),
                    ("to", end.as_millis().div_euclid(1000).to_string()),
                    ("query", asked.text.clone()),
                ],
                query: &asked.text,
                ..Call::get("/api/v1/query")
            },
        }
    }
}

#[async_trait]
impl Service for Datadog {
    type Asked = Asked;

    fn language(&self) -> &'static dyn Language {
        &DatadogQuery
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
        let call = Self::call(asked);
        let deadline = self.client.deadline();
        let limits = self.limits;
        let range = asked.range;
        if asked.body.is_some() {
            let read =
                move |document, held: &mut Held| answer::formulas(document, &range, &limits, held);
            self.client.read(&call, deadline, share, read).await
        } else {
            let read =
                move |document, held: &mut Held| answer::series(document, &range, &limits, held);
            self.client.read(&call, deadline, share, read).await
        }
    }

    fn attributes(&self, asked: &Asked, answer: &Answered) -> Attributes {
        let Range { start, end, .. } = asked.range;
        let link = format!(
            "{}/metric/explorer?start={}&end={}&paused=true",
            self.app_url,
            start.as_millis(),
            end.as_millis()
        );
        answer
            .told()
            .chain([("link", link), ("query", asked.text.clone())])
            .collect()
    }

    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        #[derive(Deserialize)]
        struct Names {
            #[serde(deserialize_with = "at_most::<MOST_NAMES, _, _>")]
            metrics: Vec<String>,
        }
        let from = self.clock.now_millis().div_euclid(1000) - NAMES_FROM;
        let call = Call {
            params: vec![("from", from.to_string())],
            ..Call::get("/api/v1/metrics")
        };
        let Names { metrics } = self.client.aside_json(&call).await?;
        Ok(metrics.into_iter().map(Descriptor::named).collect())
    }

    async fn health(&self) -> Result<(), FetchError> {
        self.client
            .aside(&Call::get("/api/v1/validate"))
            .await
            .map(drop)
    }

    /// The key for health is not that of an application, which queries need as well.
    async fn probe(&self) -> Result<(), FetchError> {
        let now = self.clock.now_millis() / 1000;
        let call = Call {
            params: vec![
                ("from", (now - 60).to_string()),
                ("to", now.to_string()),
                ("query", "avg:datadog.agent.running{*}".to_owned()),
            ],
            ..Call::get("/api/v1/query")
        };
        self.client.aside(&call).await.map(drop)
    }
}
