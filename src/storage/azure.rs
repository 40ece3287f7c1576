//! Objects in a container of Azure Blob Storage, over its REST API.

mod answer;
mod identity;
mod sign;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap};
use reqwest::{Client, Method, Request, RequestBuilder, StatusCode};

use super::guarded::{Backend, Failure, Guarded};
use super::objects::{ObjectEntry, below};
use super::over_http::{Clients, MOST_BYTES, Missed, collect, lost, patiently, wrong};
use super::paged;
use crate::clock::Clock;
use crate::config::AzureAccount;
use crate::http::{self, Again};
use answer::{Blob, Page, Refusal};
use sign::Signer;

pub type AzureStore = Guarded<Container>;

/// Blobs of a page, which is read whole before any of it is told.
const PAGE: &str = "1000";

/// The container of one account.
pub struct Container {
    account: AzureAccount,
    clients: Clients,
    signer: Signer,
}

type Result<T, E = Failure> = std::result::Result<T, E>;

/// What a request came to, with its answer read.
enum Answer {
    Done(HeaderMap, Bytes),
    /// The blob is not there, and the container is.
    Missing,
}

impl AzureStore {
    /// # Errors
    /// Why its credentials can never do.
    pub fn open(account: &AzureAccount) -> Result<Self, String> {
        Ok(Self::around(Container {
            clients: Clients::of(&account.url, account.timeout)?,
            signer: Signer::open(account)?,
            account: account.clone(),
        }))
    }
}

impl Container {
    /// The name in the container.
    fn full(&self, key: &str) -> String {
        below(&self.account.root_folder, key)
    }

    fn url(&self) -> String {
        let container = http::escaped(&self.account.container);
        format!("{}/{container}", self.account.url)
    }

    /// No id is one that an address takes for a step up.
    fn blob(&self, key: &str) -> String {
        let name = self.full(key);
        let parts = name
            .split('/')
            .map(|part| format!("/{}", http::escaped(part)));
        parts.fold(self.url(), |url, part| url + &part)
    }

    /// Of the container itself.
    fn whole(&self, client: &Client, method: Method, query: &[(&str, &str)]) -> RequestBuilder {
        // A plus sign for a blank is not understood by all who read a query.
        let query = query.iter().map(|(name, value)| Pair(name, value));
        let query = query.map(|pair| pair.to_string());
        let url = format!(
            "{}?restype=container{}",
            self.url(),
            query.collect::<String>()
        );
        client.request(method, url)
    }

    /// Sends a request until it is answered; at most so many bytes of an answer are read.
    async fn send(&self, request: RequestBuilder, most: u64) -> Result<Answer> {
        let (client, request) = request.build_split();
        let request = request.map_err(|cause| wrong(&http::in_words(&cause.without_url())))?;
        let was_refused = AtomicBool::new(false);
        let attempt = || self.attempt(&client, &request, most, &was_refused);
        patiently(self.account.timeout, attempt).await
    }

    /// What is said of blobs, which is never long.
    async fn told(&self, request: RequestBuilder) -> Result<Answer> {
        let told = self.send(request, MOST_BYTES).await;
        told.map_err(|failure| match failure {
            Failure::TooLarge(_) => wrong("an answer that is longer than Azure gives"),
            other => other,
        })
    }

    async fn attempt(
        &self,
        client: &Client,
        request: &Request,
        most: u64,
        was_refused: &AtomicBool,
    ) -> Result<Answer, Missed> {
        let request = request.try_clone();
        let mut request = request.ok_or_else(|| wrong("a request cannot be repeated"))?;
        let asked_at = Clock::System.now_millis();
        let signed = self.signer.sign(&mut request, asked_at).await?;
        let mut answer = client.execute(request).await.map_err(lost)?;
        let status = answer.status();
        let headers = answer.headers().clone();
        if status.is_success() {
            return Ok(Answer::Done(headers, collect(answer, most).await?));
        }
        let body = http::beginning(&mut answer).await;
        let mut refusal = Refusal::read(status, &headers, &body, &signed.secrets);
        match (status.as_u16(), refusal.code.as_str()) {
            (404, "BlobNotFound") => return Ok(Answer::Missing),
            // Somebody else made it meanwhile.
            (409, "ContainerAlreadyExists") => return Ok(Answer::Done(headers, Bytes::new())),
            (404, "ContainerNotFound") => {
                return Err(Failure::Gone("the container does not exist".to_owned()).into());
            }
            (409, "ContainerBeingDeleted") => {
                return Err(Failure::Gone("the container is being deleted".to_owned()).into());
            }
            (403, "AuthenticationFailed") if self.signer.tells_the_time() => {
                refusal.skew = answer::skew(&headers, asked_at);
            }
            _ => {}
        }
        // Whoever took the token back may give another one.
        let mut may_pass = may_pass(status);
        if status.as_u16() == 401 && self.signer.forget(&signed) {
            may_pass = !was_refused.swap(true, Ordering::Relaxed);
        }
        let (why, cause) = (refusal.to_string(), refusal.cause());
        Err(if may_pass {
            Missed {
                failure: Failure::Away { why, cause },
                again: Again::after(&headers),
            }
        } else {
            Failure::Wrong { why, cause }.into()
        })
    }

    async fn page(&self, prefix: &str, after: Option<String>) -> paged::Page {
        let prefix = self.full(prefix);
        let mut query = vec![("comp", "list"), ("prefix", &prefix), ("maxresults", PAGE)];
        query.extend(after.as_deref().map(|marker| ("marker", marker)));
        let asked = self.whole(&self.clients.asking, Method::GET, &query);
        let Answer::Done(_, body) = self.told(asked).await? else {
            return Err(wrong("a listing that is a blob"));
        };
        let page = Page::read(&body).map_err(|cause| Failure::Wrong {
            why: "a listing that Azure does not give".to_owned(),
            cause,
        })?;
        let root = self.full("");
        let entries = page.blobs.into_iter().filter_map(|blob| entry(blob, &root));
        Ok((entries.collect(), page.next))
    }
}

/// `&name=value`
struct Pair<'a>(&'a str, &'a str);

impl fmt::Display for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "&{}={}", http::escaped(self.0), http::escaped(self.1))
    }
}

#[async_trait]
impl Backend for Container {
    async fn get(&self, key: &str, most: u64) -> Result<Option<Bytes>> {
        match self
            .send(self.clients.asking.get(self.blob(key)), most)
            .await?
        {
            Answer::Done(_, body) => Ok(Some(body)),
            Answer::Missing => Ok(None),
        }
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<String> {
        let uploads = &self.clients.uploads;
        let asked = uploads
            .put(self.blob(key))
            .header(CONTENT_LENGTH, body.len())
            .header("x-ms-blob-type", "BlockBlob")
            .header("content-type", "application/json")
            .body(body);
        match self.told(asked).await? {
            Answer::Done(headers, _) => {
                let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok());
                Ok(answer::version(tag.unwrap_or_default()))
            }
            Answer::Missing => Err(wrong("a blob that is missing where it is written")),
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let asked = self.clients.asking.delete(self.blob(key));
        self.told(asked).await.map(|_| ())
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> BoxStream<'a, Result<Vec<ObjectEntry>>> {
        paged::pages(move |after| self.page(prefix, after))
    }

    async fn create(&self) -> Result<()> {
        let asked = self.whole(&self.clients.uploads, Method::PUT, &[]);
        // It is not sent by itself where it is zero, and Azure wants it.
        let asked = asked.header(CONTENT_LENGTH, 0);
        match self.told(asked).await {
            Ok(_) => Ok(()),
            // One of its name is made no sooner than the old one is gone, which takes a while.
            Err(Failure::Gone(why)) => {
                let cause = why.clone();
                Err(Failure::Away { why, cause })
            }
            Err(failure) => Err(failure),
        }
    }

    fn place(&self, key: &str) -> String {
        let container = &self.account.container;
        match key {
            "" => format!("azure container '{container}'"),
            key => format!("'{}' in azure container '{container}'", self.full(key)),
        }
    }

    fn limit(&self) -> Option<Duration> {
        Some(self.account.timeout)
    }
}

fn entry(blob: Blob, root: &str) -> Option<ObjectEntry> {
    Some(ObjectEntry {
        key: blob.name.strip_prefix(root)?.to_owned(),
        updated_millis: blob.updated_millis,
        version: blob.version,
        bytes: blob.bytes,
    })
}

/// Whether the same request may well be answered later.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || [408, 429].contains(&status.as_u16())
}
