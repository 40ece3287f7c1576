//! Series from Atlas: expressions of its stack language, answered by a stream of whichever cluster has them.

mod answer;
mod backends;
mod query;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use super::asking::{Asking, Service};
use super::http::{Call, Client, Credentials, Endpoint, Unanswered, Wanted};
use super::series::Answered;
use super::{Descriptor, Language, MetricRequest};
use crate::budget::{Held, Share};
use crate::canary::Attributes;
use crate::config::{AtlasAccount, Config, Limits};
use crate::error::{FetchError, Result};

use backends::Backends;
pub use query::AtlasStack;
use query::{Asked, KIND};

/// Kept as long as the list of names, of which there is none here.
const NAMES_KEPT: Duration = Duration::from_mins(1);
/// How long is believed where the clusters are, as in Kayenta.
const CLUSTERS_KEPT: Duration = Duration::from_mins(2);

pub struct Atlas {
    /// Tells where the clusters are.
    directory: Client,
    /// At whichever of them.
    clusters: Client,
    known: Mutex<Option<Known>>,
    fetch_id: Option<String>,
    limits: Limits,
}

#[derive(Clone)]
struct Known {
    backends: Arc<Backends>,
    since: Instant,
}

/// A source for an account.
///
/// # Errors
/// `Invalid` for an address or a certificate that cannot be used.
pub fn open(name: &str, account: &AtlasAccount, config: &Config) -> Result<Asking<Atlas>> {
    let deadline = config.sources.atlas.query_deadline;
    let client = |base_url: &str| {
        let endpoint = Endpoint {
            account: name,
            base_url,
            headers: Vec::new(),
            credentials: Credentials::None,
            ca_file: account.http.ca_file.as_deref(),
            compression: account.http.compression,
        };
        Client::open(KIND, endpoint, deadline, config)
    };
    let service = Atlas {
        directory: client(&account.backends_url)?,
        // It trusts what clusters are trusted by, which are asked by https.
        clusters: client("https://localhost")?,
        known: Mutex::new(None),
        fetch_id: account.fetch_id.clone(),
        limits: config.limits,
    };
    let at_once = account.http.max_concurrent_queries;
    let longest = config.limits.query_text;
    Ok(Asking::new(service, at_once, longest, NAMES_KEPT))
}

impl Atlas {
    /// Where the clusters are. What was known is better than nothing while it is not told anew.
    async fn backends(&self) -> Result<Arc<Backends>, FetchError> {
        let mut known = self.known.lock().await;
        let before = match &*known {
            Some(known) if known.since.elapsed() < CLUSTERS_KEPT => {
                return Ok(Arc::clone(&known.backends));
            }
            before => before.clone(),
        };
        let backends = match (self.told().await, before) {
            (Ok(backends), _) => Arc::new(backends),
            (Err(error), None) => return Err(error),
            (Err(error), Some(before)) => {
                let account = &**self.directory.account();
                tracing::warn!(account, "the clusters stay as they were known: {error}");
                before.backends
            }
        };
        *known = Some(Known {
            backends: Arc::clone(&backends),
            since: Instant::now(),
        });
        Ok(backends)
    }

    async fn told(&self) -> Result<Backends, FetchError> {
        let list = Call::get("/api/v1/atlas/backends.json");
        let listed = self.directory.aside_json(&list).await?;
        let storage = Call::get("/api/v1/atlas/storage.json");
        let storages = self.directory.aside_json(&storage).await?;
        Backends::of(listed, storages).map_err(|why| self.directory.error(&list, None, why))
    }
}

#[async_trait]
impl Service for Atlas {
    type Asked = Asked;

    fn language(&self) -> &'static dyn Language {
        &AtlasStack
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
        let mut params = asked.params();
        let id = self.fetch_id.clone();
        params.extend(id.map(|id| ("id", id)));
        params.push(("kayentaQueryUUID", Uuid::new_v4().to_string()));
        let call = Call {
            params,
            query: &asked.text,
            // What it is, is told by its lines.
            wanted: Wanted::Anything,
            fault: Some(answer::fault),
            ..Call::get("/api/v2/fetch")
        };
        let backends = self.backends().await?;
        let found = backends.find(&asked.place).and_then(|base| {
            let url = backends::address(&base)?;
            Ok((base, self.clusters.at(url)))
        });
        let (base, client) = found.map_err(|why| self.directory.error(&call, None, why))?;
        let limits = self.limits;
        let read = move |body: &[u8], held: &mut Held| {
            let mut answered = answer::read(body, &limits, held)?;
            answered.attributes.push(("baseURL", base));
            Ok(answered)
        };
        let deadline = client.deadline();
        client.read_body(&call, deadline, share, read).await
    }

    fn attributes(&self, asked: &Asked, answer: &Answered) -> Attributes {
        let query = ("query", asked.text.clone());
        answer.told().chain([query]).collect()
    }

    /// Kayenta lists none, and no form asks for them.
    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        Ok(Vec::new())
    }

    /// Whether it is told where the clusters are; which of them is asked, a scope says.
    async fn health(&self) -> Result<(), FetchError> {
        self.told().await.map(drop)
    }
}
