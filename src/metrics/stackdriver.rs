//! Series from Google Cloud Monitoring, once Stackdriver: its lists of time series.

mod answer;
mod filter;
mod library;

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::asking::{Asking, Service};
use super::bounded::at_most;
use super::http::{
    Aside, Call, Client, Credentials, Endpoint, MAX_ANSWER_BYTES, Unanswered, document,
};
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest};
use crate::budget::{Held, Share};
use crate::canary::Attributes;
use crate::config::{Config, Limits, StackdriverAccount};
use crate::error::{FetchError, Result};
use crate::google::Tokens;

use answer::Page;
pub use filter::StackdriverFilter;
use filter::{Asked, KIND};

/// A list that goes on longer is more likely a mistake than wanted.
const MOST_PAGES: usize = 100;
/// Of all pages together.
const MOST_DESCRIPTORS: usize = 100_000;

pub struct Stackdriver {
    client: Client,
    limits: Limits,
    project: String,
}

/// A source for an account.
///
/// # Errors
/// `Invalid` for an address or a certificate that cannot be used.
pub fn open(
    name: &str,
    account: &StackdriverAccount,
    tokens: Option<Arc<Tokens>>,
    config: &Config,
) -> Result<Asking<Stackdriver>> {
    let settings = &config.sources.stackdriver;
    let endpoint = Endpoint {
        account: name,
        base_url: &account.url,
        headers: Vec::new(),
        credentials: tokens.map_or(Credentials::None, Credentials::Google),
        ca_file: account.http.ca_file.as_deref(),
        compression: account.http.compression,
    };
    let service = Stackdriver {
        client: Client::open(KIND, endpoint, settings.query_deadline, config)?,
        limits: config.limits,
        project: account.project.clone(),
    };
    let (at_once, longest) = (
        account.http.max_concurrent_queries,
        config.limits.query_text,
    );
    Ok(Asking::new(
        service,
        at_once,
        longest,
        settings.metadata_caching_interval,
    ))
}

impl Stackdriver {
    fn call<'a>(&self, asked: &'a Asked, page: Option<&str>) -> Call<'a> {
        let mut params = vec![
            ("filter", asked.filter.clone()),
            ("interval.startTime", asked.range.start.to_string()),
            ("interval.endTime", asked.range.end.to_string()),
            ("aggregation.alignmentPeriod", format!("{}s", asked.step())),
            ("aggregation.crossSeriesReducer", asked.reducer.clone()),
            ("aggregation.perSeriesAligner", asked.aligner.clone()),
        ];
        let fields = asked.group_by.iter();
        params.extend(fields.map(|field| ("aggregation.groupByFields", field.clone())));
        params.extend(page.map(|page| ("pageToken", page.to_owned())));
        Call {
            params,
            query: &asked.filter,
            ..Call::get(format!("/v3/projects/{}/timeSeries", self.project))
        }
    }

    /// Of all pages.
    async fn pages(&self, asked: &Asked, share: &Arc<Share>) -> Result<Answered, Unanswered> {
        let deadline = self.client.deadline();
        let mut pages = answer::Pages::default();
        let mut next: Option<String> = None;
        let mut left = MAX_ANSWER_BYTES;
        // For what is kept of pages that were read.
        let nothing = share.hold(0);
        let mut held = nothing.map_err(|it| self.client.refused(&self.call(asked, None), it))?;
        for _ in 0..MOST_PAGES {
            let call = self.call(asked, next.as_deref());
            let read = |body: &[u8], _: &mut Held| document::<Page>(KIND, body);
            let reading = self.client.read_as(&call, deadline, share, left, read);
            let mut read = reading.await?;
            left -= read.bytes;
            next = read.what.next_page_token.take();
            next = next.filter(|token| !token.is_empty());
            let added = pages.add(read.what, asked, &self.limits, &mut held);
            added.map_err(|wrong| self.client.unreadable(&call, &read.exchange, wrong))?;
            drop(read.held);
            if next.is_none() {
                let mut answered = pages.into_answered(asked);
                self.client.keep_secrets(&read.exchange, &mut answered);
                return Ok(answered);
            }
        }
        let call = self.call(asked, None);
        Err(self.beyond(&call, ": a narrower filter is wanted").into())
    }

    fn beyond(&self, call: &Call<'_>, what_to_do: &str) -> FetchError {
        let told = format!("the answer has more than {MOST_PAGES} pages{what_to_do}");
        self.client.error(call, Some(200), told)
    }
}

#[async_trait]
impl Service for Stackdriver {
    type Asked = Asked;

    fn language(&self) -> &'static dyn Language {
        &StackdriverFilter
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        filter::text(request, Some(&self.project))
    }

    fn asked(&self, request: &MetricRequest<'_>) -> Result<Asked> {
        filter::asked(request, &self.project)
    }

    fn text(asked: &Asked) -> &str {
        &asked.filter
    }

    async fn answer(&self, asked: &Asked, share: &Arc<Share>) -> Result<Answered, Unanswered> {
        self.client.counted(self.pages(asked, share)).await
    }

    fn attributes(&self, asked: &Asked, answer: &Answered) -> Attributes {
        let link = format!(
            "https://console.cloud.google.com/monitoring/metrics-explorer;startTime={};endTime={}?project={}",
            asked.range.start, asked.range.end, self.project
        );
        let own = [
            ("link", link),
            ("query", asked.filter.clone()),
            ("crossSeriesReducer", asked.reducer.clone()),
            ("perSeriesAligner", asked.aligner.clone()),
        ];
        answer.told().chain(own).collect()
    }

    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Descriptors {
            #[serde(default, deserialize_with = "at_most::<MOST_DESCRIPTORS, _, _>")]
            metric_descriptors: Vec<Map<String, Value>>,
            next_page_token: Option<String>,
        }
        let mut all = Vec::new();
        let path = format!("/v3/projects/{}/metricDescriptors", self.project);
        let names = |page: Option<String>| Call {
            params: page.map(|page| ("pageToken", page)).into_iter().collect(),
            ..Call::get(path.clone())
        };
        let mut left = Aside::begun();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let call = names(next);
            let page: Descriptors = self.client.aside_page(&call, &mut left).await?;
            if MOST_DESCRIPTORS < all.len() + page.metric_descriptors.len() {
                let told = format!("the list has more than {MOST_DESCRIPTORS} metrics");
                return Err(self.client.error(&call, Some(200), told));
            }
            let found = page.metric_descriptors.into_iter();
            all.extend(found.filter_map(|mut details| {
                let name = details.shift_remove("name")?.as_str()?.to_owned();
                Some(Descriptor { name, details })
            }));
            next = page.next_page_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(all);
            }
        }
        Err(self.beyond(&names(None), ""))
    }

    async fn health(&self) -> Result<(), FetchError> {
        let call = Call {
            params: vec![("pageSize", "1".to_owned())],
            ..Call::get(format!(
                "/v3/projects/{}/monitoredResourceDescriptors",
                self.project
            ))
        };
        self.client.aside(&call).await.map(drop)
    }
}
