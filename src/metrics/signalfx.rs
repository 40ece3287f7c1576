//! Series from SignalFx, which is Splunk Observability: a SignalFlow program, answered by server-sent events.

mod events;
mod library;
mod program;

use std::sync::Arc;

use async_trait::async_trait;

use super::asking::{Asking, Service};
use super::http::{Call, Client, Credentials, Endpoint, Sent, Unanswered, Wanted};
use super::keyed::Keys;
use super::range::Range;
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest};
use crate::budget::{Held, Share};
use crate::canary::Attributes;
use crate::config::{Config, Limits, SignalFxAccount};
use crate::error::{FetchError, Result};

pub use program::SignalFlow;
use program::{Asked, KIND, keys_of};

/// Kept as long as the list of names, of which there is none here.
const NAMES_KEPT: std::time::Duration = std::time::Duration::from_mins(1);

pub struct SignalFx {
    client: Client,
    limits: Limits,
    account: String,
    keys: Keys,
    app_url: Option<String>,
}

/// A source for an account.
///
/// # Errors
/// `Invalid` for an address, a token or a certificate that cannot be used.
pub fn open(name: &str, account: &SignalFxAccount, config: &Config) -> Result<Asking<SignalFx>> {
    let token = account.access_token.clone();
    let endpoint = Endpoint {
        account: name,
        base_url: &account.base_url,
        headers: token
            .map(|token| ("x-sf-token", token))
            .into_iter()
            .collect(),
        credentials: Credentials::None,
        ca_file: account.http.ca_file.as_deref(),
        compression: account.http.compression,
    };
    let service = SignalFx {
        client: Client::open(
            KIND,
            endpoint,
            config.sources.signalfx.query_deadline,
            config,
        )?,
        limits: config.limits,
        account: name.to_owned(),
        keys: keys_of(account),
        app_url: account.app_url.clone(),
    };
    let at_once = account.http.max_concurrent_queries;
    Ok(Asking::new(
        service,
        at_once,
        config.limits.query_text,
        NAMES_KEPT,
    ))
}

#[async_trait]
impl Service for SignalFx {
    type Asked = Asked;

    fn language(&self) -> &'static dyn Language {
        &SignalFlow
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        program::text(request, &self.keys)
    }

    fn asked(&self, request: &MetricRequest<'_>) -> Result<Asked> {
        program::asked(request, &self.keys)
    }

    fn text(asked: &Asked) -> &str {
        &asked.program
    }

    async fn answer(&self, asked: &Asked, share: &Arc<Share>) -> Result<Answered, Unanswered> {
        let Range { start, end, .. } = asked.range;
        let call = Call {
            params: vec![
                ("start", start.as_millis().to_string()),
                ("stop", end.as_millis().to_string()),
                ("resolution", asked.resolution().to_string()),
                ("maxDelay", "0".to_owned()),
                ("immediate", "true".to_owned()),
            ],
            sent: Sent::Post("text/plain; charset=UTF-8", asked.program.clone()),
            query: &asked.program,
            wanted: Wanted::Events,
            ..Call::get("/v2/signalflow/execute")
        };
        let (asked, limits) = (asked.clone(), self.limits);
        let read = move |body: &[u8], held: &mut Held| events::read(body, &asked, &limits, held);
        let deadline = self.client.deadline();
        self.client.read_body(&call, deadline, share, read).await
    }

    fn attributes(&self, asked: &Asked, answer: &Answered) -> Attributes {
        let Range { start, end, .. } = asked.range;
        let (start, end) = (start.as_millis(), end.as_millis());
        let link = self.app_url.as_ref().map(|url| {
            let url = format!("{url}/#/chart/v1/new?startTimeUTC={start}&endTimeUTC={end}");
            ("link", url)
        });
        let requested = [
            ("requested-start", start.to_string()),
            ("requested-end", end.to_string()),
            ("requested-step-milli", asked.resolution().to_string()),
            ("requested-max-delay", "0".to_owned()),
            ("requested-immediate", "true".to_owned()),
            ("requested-account", self.account.clone()),
            ("signal-flow-program", asked.program.clone()),
            ("query", asked.program.clone()),
        ];
        let told = answer.told().chain(link).chain(requested);
        told.collect()
    }

    /// Kayenta lists none, and no form asks for them.
    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        Ok(Vec::new())
    }

    /// Programs are posted, so this is refused, but only to who may ask. Where nothing is found, it is no
    /// SignalFx that answers.
    async fn health(&self) -> Result<(), FetchError> {
        let call = Call {
            wanted: Wanted::Anything,
            ..Call::get("/v2/signalflow/execute")
        };
        match self.client.aside(&call).await {
            // There is no such GET.
            Err(error) if matches!(error.status, Some(400 | 405)) => Ok(()),
            answered => answered.map(drop),
        }
    }
}
