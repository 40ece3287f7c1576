//! Series from New Relic: NRQL by the Insights query API, as Kayenta asks it, or by NerdGraph.

mod answer;
mod library;
mod query;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::asking::{Asking, Service};
use super::http::{
    Call, Client, Credentials, Endpoint, MAX_ANSWER_BYTES, Sent, Unanswered, document,
};
use super::keyed::Keys;
use super::range::Range;
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest};
use crate::budget::{Held, Share};
use crate::canary::Attributes;
use crate::config::{Config, Limits, NewRelicAccount, NewRelicKey};
use crate::error::{FetchError, Result};

use answer::{Insights, NerdGraph, Parts};
pub use query::Nrql;
use query::{Asked, KIND, keys_of};

/// Kept as long as the list of names, of which there is none here.
const NAMES_KEPT: Duration = Duration::from_mins(1);
/// Seconds that NerdGraph may work on a query: without a word it is 5.
const NERDGRAPH_SECONDS: u32 = 60;
const NERDGRAPH: &str = "/graphql";

pub struct NewRelic {
    client: Client,
    limits: Limits,
    account_id: u64,
    is_nerdgraph: bool,
    keys: Keys,
    app_url: Option<String>,
}

/// A source for an account.
///
/// # Errors
/// `Invalid` for an address, a key or a certificate that cannot be used.
pub fn open(name: &str, account: &NewRelicAccount, config: &Config) -> Result<Asking<NewRelic>> {
    let header = account.key.as_ref().map(|key| match key {
        NewRelicKey::Query(key) => ("x-query-key", key.clone()),
        NewRelicKey::User(key) => ("api-key", key.clone()),
    });
    let endpoint = Endpoint {
        account: name,
        base_url: &account.base_url,
        headers: header.into_iter().collect(),
        credentials: Credentials::None,
        ca_file: account.http.ca_file.as_deref(),
        compression: account.http.compression,
    };
    let deadline = config.sources.newrelic.query_deadline;
    let service = NewRelic {
        client: Client::open(KIND, endpoint, deadline, config)?,
        limits: config.limits,
        account_id: account.account_id,
        is_nerdgraph: matches!(account.key, Some(NewRelicKey::User(_))),
        keys: keys_of(account),
        app_url: account.app_url.clone(),
    };
    let at_once = account.http.max_concurrent_queries;
    let longest = config.limits.query_text;
    Ok(Asking::new(service, at_once, longest, NAMES_KEPT))
}

impl NewRelic {
    fn call<'a>(&self, nrql: &'a str) -> Call<'a> {
        if !self.is_nerdgraph {
            return Call {
                params: vec![("nrql", nrql.to_owned())],
                query: nrql,
                ..Call::get(format!("/v1/accounts/{}/query", self.account_id))
            };
        }
        // A string of GraphQL is one of JSON.
        let text = Value::from(nrql);
        let asked = format!(
            "{{ actor {{ account(id: {}) {{ nrql(query: {text}, timeout: {NERDGRAPH_SECONDS}) {{ results }} }} }} }}",
            self.account_id
        );
        Call {
            sent: Sent::Post("application/json", json!({"query": asked}).to_string()),
            query: nrql,
            ..Call::get(NERDGRAPH)
        }
    }

    async fn parts(&self, asked: &Asked, share: &Arc<Share>) -> Result<Answered, Unanswered> {
        let deadline = self.client.deadline();
        let mut parts = Parts::default();
        let mut left = MAX_ANSWER_BYTES;
        // For what is kept of answers that were read.
        let nothing = share.hold(0);
        let mut held = nothing.map_err(|it| self.client.refused(&self.call(&asked.text), it))?;
        for piece in &asked.pieces {
            let call = self.call(piece);
            if self.is_nerdgraph {
                let read = |body: &[u8], _: &mut Held| document::<NerdGraph>(KIND, body);
                let read = self.client.read_as(&call, deadline, share, left, read);
                let read = read.await?;
                left -= read.bytes;
                let added = parts.add_nerdgraph(read.what, &self.limits, &mut held);
                added.map_err(|wrong| self.client.unreadable(&call, &read.exchange, wrong))?;
            } else {
                let read = |body: &[u8], _: &mut Held| document::<Insights>(KIND, body);
                let read = self.client.read_as(&call, deadline, share, left, read);
                let read = read.await?;
                left -= read.bytes;
                let added = parts.add_insights(read.what, &self.limits, &mut held);
                added.map_err(|wrong| self.client.unreadable(&call, &read.exchange, wrong))?;
            }
        }
        Ok(parts.into_answered(asked))
    }
}

#[async_trait]
impl Service for NewRelic {
    type Asked = Asked;

    fn language(&self) -> &'static dyn Language {
        &Nrql
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        query::text(request, &self.keys)
    }

    fn asked(&self, request: &MetricRequest<'_>) -> Result<Asked> {
        query::asked(request, &self.keys)
    }

    fn text(asked: &Asked) -> &str {
        &asked.text
    }

    fn length(asked: &Asked) -> usize {
        let pieces = asked.pieces.iter().map(String::len);
        asked.text.len() + pieces.sum::<usize>()
    }

    async fn answer(&self, asked: &Asked, share: &Arc<Share>) -> Result<Answered, Unanswered> {
        self.client.counted(self.parts(asked, share)).await
    }

    fn attributes(&self, asked: &Asked, answer: &Answered) -> Attributes {
        let Range { start, end, .. } = asked.range;
        let (begin, account) = (start.as_millis(), self.account_id);
        let duration = end.as_millis().saturating_sub(begin);
        let link = self.app_url.as_ref().map(|url| {
            let url = format!("{url}/data-exploration/query-builder?account={account}&begin={begin}&duration={duration}");
            ("link", url)
        });
        let query = ("query", asked.text.clone());
        answer.told().chain(link).chain([query]).collect()
    }

    /// Kayenta lists none, and no form asks for them.
    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        Ok(Vec::new())
    }

    async fn health(&self) -> Result<(), FetchError> {
        let call = self.call("SELECT count(*) FROM Transaction SINCE 1 minute ago");
        let body = self.client.aside(&call).await?;
        let answer = document::<NerdGraph>(KIND, &body.bytes);
        let told = answer.and_then(|answer| {
            if self.is_nerdgraph {
                answer.check()
            } else {
                Ok(())
            }
        });
        told.map_err(|wrong| self.client.wrong(&call, &body.exchange, wrong))
    }
}
