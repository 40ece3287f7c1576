//! Series from Amazon CloudWatch: `GetMetricData` in the JSON protocol, signed as AWS wants it.

mod answer;
mod doubts;
mod expression;
mod library;
mod period;
mod query;
mod stat;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::asking::{Asking, Service};
use super::bounded::at_most;
use super::http::{
    Aside, Call, Client, Credentials, Endpoint, MAX_ANSWER_BYTES, Sent, Unanswered, document,
};
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest};
use crate::aws::Signer;
use crate::budget::{Held, Share};
use crate::canary::Attributes;
use crate::clock::Clock;
use crate::config::{CloudWatchAccount, Config, Limits};
use crate::error::{FetchError, Result};

use answer::{Page, Pages};
pub use query::CloudWatchQuery;
use query::{Asked, KIND};

/// A list that goes on longer is more likely a mistake than wanted.
const MOST_PAGES: usize = 100;
/// What a page of metrics has at most is 500.
const MOST_METRICS: usize = 10_000;
/// What CloudWatch is called in a signature.
const SERVICE: &str = "monitoring";
const JSON: &str = "application/x-amz-json-1.0";
const DATA: &[(&str, &str)] = &[(
    "x-amz-target",
    "GraniteServiceVersion20100801.GetMetricData",
)];
const LIST: &[(&str, &str)] = &[("x-amz-target", "GraniteServiceVersion20100801.ListMetrics")];

pub struct CloudWatch {
    client: Client,
    limits: Limits,
    clock: Clock,
    region: String,
}

/// A source for an account.
///
/// # Errors
/// `Invalid` for an address or a certificate that cannot be used.
pub fn open(
    name: &str,
    account: &CloudWatchAccount,
    config: &Config,
    clock: Clock,
) -> Result<Asking<CloudWatch>> {
    let settings = &config.sources.cloudwatch;
    let signer = Signer::new(account.identity.clone(), SERVICE);
    let endpoint = Endpoint {
        account: name,
        base_url: &account.base_url,
        headers: Vec::new(),
        credentials: Credentials::Aws(Arc::new(signer)),
        ca_file: account.http.ca_file.as_deref(),
        compression: account.http.compression,
    };
    let service = CloudWatch {
        client: Client::open(KIND, endpoint, settings.query_deadline, config)?,
        limits: config.limits,
        clock,
        region: account.identity.region.clone(),
    };
    let (at_once, longest) = (
        account.http.max_concurrent_queries,
        config.limits.query_text,
    );
    let names = settings.metadata_caching_interval;
    Ok(Asking::new(service, at_once, longest, names))
}

fn call<'a>(
    headers: &'static [(&'static str, &'static str)],
    body: String,
    query: &'a str,
) -> Call<'a> {
    Call {
        headers,
        sent: Sent::Post(JSON, body),
        query,
        fault: Some(answer::fault),
        ..Call::get("/")
    }
}

impl CloudWatch {
    /// Of all pages.
    async fn pages(&self, asked: &Asked, share: &Arc<Share>) -> Result<Answered, Unanswered> {
        let deadline = self.client.deadline();
        let mut pages = Pages::default();
        let mut next: Option<String> = None;
        let mut left = MAX_ANSWER_BYTES;
        let first = call(DATA, asked.body(None), &asked.text);
        // For what is kept of pages that were read.
        let nothing = share.hold(0);
        let mut held = nothing.map_err(|it| self.client.refused(&first, it))?;
        for _ in 0..MOST_PAGES {
            let call = call(DATA, asked.body(next.as_deref()), &asked.text);
            let read = |body: &[u8], _: &mut Held| document::<Page>(KIND, body);
            let reading = self.client.read_as(&call, deadline, share, left, read);
            let mut read = reading.await?;
            left -= read.bytes;
            next = read.what.next_token.take();
            next = next.filter(|token| !token.is_empty());
            let added = pages.add(read.what, &self.limits, &mut held);
            let unreadable = |wrong| self.client.unreadable(&call, &read.exchange, wrong);
            added.map_err(unreadable)?;
            drop(read.held);
            if next.is_none() {
                let answered = pages.into_answered(asked, &self.limits, &mut held);
                let mut answered = answered.map_err(unreadable)?;
                self.client.keep_secrets(&read.exchange, &mut answered);
                return Ok(answered);
            }
        }
        let told = "a longer period, a shorter window or fewer series are wanted";
        Err(self.beyond(&first, &format!(": {told}")).into())
    }

    fn beyond(&self, call: &Call<'_>, what_to_do: &str) -> FetchError {
        let told = format!("the answer has more than {MOST_PAGES} pages{what_to_do}");
        self.client.error(call, Some(200), told)
    }
}

#[async_trait]
impl Service for CloudWatch {
    type Asked = Asked;

    fn language(&self) -> &'static dyn Language {
        &CloudWatchQuery
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        query::text(request)
    }

    fn asked(&self, request: &MetricRequest<'_>) -> Result<Asked> {
        query::asked(request, self.clock.now_millis())
    }

    fn text(asked: &Asked) -> &str {
        &asked.text
    }

    fn length(asked: &Asked) -> usize {
        asked.text.len() + asked.queries.len()
    }

    async fn answer(&self, asked: &Asked, share: &Arc<Share>) -> Result<Answered, Unanswered> {
        self.client.counted(self.pages(asked, share)).await
    }

    fn attributes(&self, asked: &Asked, answer: &Answered) -> Attributes {
        let own = [
            ("region", self.region.clone()),
            ("query", asked.text.clone()),
        ];
        answer.told().chain(own).collect()
    }

    /// Those that had points in the last three hours, each with the dimensions that tell its series apart.
    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        let mut found = BTreeSet::new();
        let mut left = Aside::begun();
        let mut next: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut body = json!({"RecentlyActive": "PT3H"});
            if let Some(token) = next {
                body["NextToken"] = token.into();
            }
            let call = call(LIST, body.to_string(), "");
            let page: Listed = self.client.aside_page(&call, &mut left).await?;
            found.extend(page.metrics.into_iter().map(|metric| {
                let mut dimensions: Vec<String> = metric
                    .dimensions
                    .into_iter()
                    .map(|dimension| dimension.name)
                    .collect();
                dimensions.sort();
                (metric.namespace, metric.metric_name, dimensions)
            }));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(described(found));
            }
        }
        Err(self.beyond(&call(LIST, String::new(), ""), ""))
    }

    async fn health(&self) -> Result<(), FetchError> {
        // Of one metric that every account may ask for: a list of all is long.
        let body =
            json!({"Namespace": "AWS/Usage", "MetricName": "CallCount", "RecentlyActive": "PT3H"});
        let call = call(LIST, body.to_string(), "");
        self.client.aside(&call).await.map(drop)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    #[serde(default, deserialize_with = "at_most::<MOST_METRICS, _, _>")]
    metrics: Vec<ListedMetric>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedMetric {
    namespace: String,
    metric_name: String,
    #[serde(default, deserialize_with = "at_most::<100, _, _>")]
    dimensions: Vec<Dimension>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Dimension {
    name: String,
}

/// One for each metric, with each set of dimensions that it has.
fn described(found: BTreeSet<(String, String, Vec<String>)>) -> Vec<Descriptor> {
    let mut all: Vec<Descriptor> = Vec::new();
    for (namespace, metric, dimensions) in found {
        let name = format!("{namespace}/{metric}");
        let dimensions = Value::from(dimensions);
        match all.last_mut() {
            Some(last) if last.name == name => {
                if let Some(Value::Array(sets)) = last.details.get_mut("dimensions") {
                    sets.push(dimensions);
                }
            }
            _ => {
                let mut details = Map::new();
                details.insert("namespace".to_owned(), namespace.into());
                details.insert("metricName".to_owned(), metric.into());
                details.insert("dimensions".to_owned(), vec![dimensions].into());
                all.push(Descriptor { name, details });
            }
        }
    }
    all
}
