//! Series from any HTTP API that answers in JSON.

mod answer;
mod filling;
mod language;
mod place;
mod places;
mod query;
mod time;
mod tree;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::asking::{Asking, Service};
use super::http::{Call, Client, Credentials, Endpoint, Sent, Unanswered, Wanted};
use super::keyed::invalid;
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest};
use crate::budget::{Held, Share};
use crate::canary::Attributes;
use crate::config::{Config, JsonApiAccount, Limits};
use crate::error::{FetchError, Result};

pub use language::JsonQuery;
use query::{Asked, KIND, Method};

/// Kept as long as the list of names, of which there is none here.
const NAMES_KEPT: Duration = Duration::from_mins(1);

pub struct JsonApi {
    client: Client,
    limits: Limits,
    account: JsonApiAccount,
}

/// A source for an account.
///
/// # Errors
/// `Invalid` for an address, a header or a certificate that cannot be used.
pub fn open(name: &str, account: &JsonApiAccount, config: &Config) -> Result<Asking<JsonApi>> {
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
    let deadline = config.sources.json_api.query_deadline;
    let service = JsonApi {
        client: Client::open(KIND, endpoint, deadline, config)?,
        limits: config.limits,
        account: account.clone(),
    };
    let at_once = account.http.max_concurrent_queries;
    let longest = config.limits.query_text;
    Ok(Asking::new(service, at_once, longest, NAMES_KEPT))
}

#[async_trait]
impl Service for JsonApi {
    type Asked = Asked;

    fn language(&self) -> &'static dyn Language {
        &JsonQuery
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        Ok(self.asked(request)?.text)
    }

    fn asked(&self, request: &MetricRequest<'_>) -> Result<Asked> {
        let asked = query::asked(request)?;
        if self.account.allows(&asked.path) {
            return Ok(asked);
        }
        let why = format!(
            "'path' is '{}', which the account '{}' does not let queries ask for; its 'paths' are {}",
            asked.path,
            self.client.account(),
            self.account.paths.join(", ")
        );
        Err(invalid(request, &why))
    }

    fn text(asked: &Asked) -> &str {
        &asked.text
    }

    /// Every text is there as it is shown, and as it is sent.
    fn length(asked: &Asked) -> usize {
        let body = match &asked.method {
            Method::Get => 0,
            Method::Post(_, body) => body.len(),
        };
        2 * asked.text.len() + asked.path.len() + body
    }

    async fn answer(&self, asked: &Asked, share: &Arc<Share>) -> Result<Answered, Unanswered> {
        let call = Call {
            named: Cow::Borrowed(&asked.parameters),
            sent: match &asked.method {
                Method::Get => Sent::Get,
                Method::Post(kind, body) => Sent::Post(kind, body.clone()),
            },
            query: &asked.text,
            ..Call::get(asked.path.as_str())
        };
        let (places, range, limits) = (asked.places.clone(), asked.range, self.limits);
        let read = move |body: &[u8], held: &mut Held| {
            let tree = tree::read(body, held)?;
            answer::series(&tree, &places, &range, &limits, held)
        };
        let deadline = self.client.deadline();
        self.client.read_body(&call, deadline, share, read).await
    }

    fn attributes(&self, asked: &Asked, answer: &Answered) -> Attributes {
        let query = ("query", asked.text.clone());
        answer.told().chain([query]).collect()
    }

    /// No API says in the same way as another what there is.
    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        Ok(Vec::new())
    }

    async fn health(&self) -> Result<(), FetchError> {
        let path = self.account.health_path.as_deref().unwrap_or("/");
        let call = Call {
            wanted: Wanted::Anything,
            ..Call::get(path)
        };
        self.client.aside(&call).await.map(drop)
    }
}
