//! Objects in Google Cloud Storage, over its JSON API.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use reqwest::{Method, RequestBuilder};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::guarded::{Backend, Failure, Guarded};
use super::objects::{ObjectEntry, below};
use super::over_http::{Clients, MOST_BYTES, Missed, collect, lost, patiently, wrong};
use super::paged;
use crate::config::{self, GcsAccount};
use crate::google::{self, Tokens};
use crate::http::{self, Again, Secrets};

pub type GcsStore = Guarded<Bucket>;

/// The bucket of one account.
pub struct Bucket {
    account: GcsAccount,
    clients: Clients,
    /// None for a stand-in that wants none.
    tokens: Option<Tokens>,
}

type Result<T, E = Failure> = std::result::Result<T, E>;

/// What a request came to, with its answer read.
enum Answer {
    Done(Bytes),
    /// The object or the bucket is not there.
    Missing,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Page {
    items: Vec<Object>,
    next_page_token: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Object {
    name: String,
    updated: Option<Timestamp>,
    /// Differs for each time that it is written.
    generation: String,
    size: String,
}

impl GcsStore {
    /// # Errors
    /// Why its credentials can never do.
    pub fn open(account: &GcsAccount) -> Result<Self, String> {
        let tokens = account.google.is_asked_with_tokens(&account.url).then(|| {
            let file = account.google.json_path.as_deref();
            Tokens::open(file, &config::environment())
        });
        Ok(Self::around(Bucket {
            clients: Clients::of(&account.url, account.timeout)?,
            tokens: tokens.transpose()?,
            account: account.clone(),
        }))
    }
}

impl Bucket {
    /// The name in the bucket.
    fn full(&self, key: &str) -> String {
        below(&self.account.root_folder, key)
    }

    /// Where the objects of the bucket are, below the address of an API.
    fn objects(&self, api: &str) -> String {
        let bucket = http::escaped(&self.account.bucket);
        format!("{}{api}/b/{bucket}/o", self.account.url)
    }

    fn object(&self, key: &str) -> String {
        let name = self.full(key);
        let name = http::escaped(&name);
        format!("{}/{name}", self.objects("/storage/v1"))
    }

    fn request(&self, method: Method, url: String, query: &[(&str, &str)]) -> RequestBuilder {
        self.clients.asking.request(method, url).query(query)
    }

    /// Sends a request until it is answered; at most so many bytes of an answer are read.
    async fn send(&self, request: RequestBuilder, most: u64) -> Result<Answer> {
        let was_refused = AtomicBool::new(false);
        let attempt = || self.attempt(&request, most, &was_refused);
        patiently(self.account.timeout, attempt).await
    }

    /// What is said of objects, which is never long.
    async fn told(&self, request: RequestBuilder) -> Result<Answer> {
        let told = self.send(request, MOST_BYTES).await;
        told.map_err(|failure| match failure {
            Failure::TooLarge(_) => wrong("an answer that is longer than Cloud Storage gives"),
            other => other,
        })
    }

    async fn attempt(
        &self,
        request: &RequestBuilder,
        most: u64,
        was_refused: &AtomicBool,
    ) -> Result<Answer, Missed> {
        let request = request.try_clone();
        let mut request = request.ok_or_else(|| wrong("a request cannot be repeated"))?;
        let bearer = match &self.tokens {
            Some(tokens) => Some((tokens, tokens.bearer().await.map_err(without_token)?)),
            None => None,
        };
        if let Some((_, bearer)) = &bearer {
            request = request.bearer_auth(bearer.expose_secret());
        }
        let (client, request) = request.build_split();
        let request = request.map_err(|cause| wrong(&http::in_words(&cause)))?;
        let secrets = Secrets::of(request.headers());
        let answer = client.execute(request).await;
        let mut answer = answer.map_err(lost)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(Answer::Done(collect(answer, most).await?));
        }
        if status.as_u16() == 404 {
            return Ok(Answer::Missing);
        }
        let body = http::beginning(&mut answer).await;
        let why = match google::told(&body, &secrets) {
            Some(told) => format!("{status}: {told}"),
            None => format!("an answer with status {status}"),
        };
        let cause = why.clone();
        // Whoever took the token back may give another one.
        let mut may_pass = google::may_pass(status);
        if let Some((tokens, bearer)) = &bearer
            && status.as_u16() == 401
        {
            tokens.forget(bearer);
            may_pass = !was_refused.swap(true, Ordering::Relaxed);
        }
        Err(if may_pass {
            Missed {
                failure: Failure::Away { why, cause },
                again: Again::after(answer.headers()),
            }
        } else {
            Failure::Wrong { why, cause }.into()
        })
    }

    /// Tells an object that is missing from a bucket that is: both are 404.
    async fn is_there(&self) -> Result<()> {
        let url = self.objects("/storage/v1");
        let query = [("maxResults", "1"), ("fields", "nextPageToken")];
        let asked = self.request(Method::GET, url, &query);
        match self.told(asked).await? {
            Answer::Done(_) => Ok(()),
            Answer::Missing => Err(gone()),
        }
    }

    async fn page(&self, prefix: &str, after: Option<String>) -> paged::Page {
        let prefix = self.full(prefix);
        let mut query = vec![
            ("prefix", prefix.as_str()),
            (
                "fields",
                "items(name,updated,generation,size),nextPageToken",
            ),
        ];
        query.extend(after.as_deref().map(|token| ("pageToken", token)));
        let asked = self.request(Method::GET, self.objects("/storage/v1"), &query);
        let Answer::Done(body) = self.told(asked).await? else {
            return Err(gone());
        };
        let page: Page = read(&body)?;
        let root = self.full("");
        let entries = page.items.iter().filter_map(|object| entry(object, &root));
        Ok((entries.collect(), page.next_page_token))
    }
}

#[async_trait]
impl Backend for Bucket {
    async fn get(&self, key: &str, most: u64) -> Result<Option<Bytes>> {
        let asked = self.request(Method::GET, self.object(key), &[("alt", "media")]);
        match self.send(asked, most).await? {
            Answer::Done(body) => Ok(Some(body)),
            Answer::Missing => self.is_there().await.map(|()| None),
        }
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<String> {
        let name = self.full(key);
        let query = [
            ("uploadType", "media"),
            ("name", &name),
            ("fields", "generation"),
        ];
        let uploads = &self.clients.uploads;
        let asked = uploads
            .post(self.objects("/upload/storage/v1"))
            .query(&query)
            .header("content-type", "application/json")
            .body(body);
        match self.told(asked).await? {
            Answer::Done(body) => Ok(read::<Object>(&body)?.generation),
            Answer::Missing => Err(gone()),
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let asked = self.request(Method::DELETE, self.object(key), &[]);
        match self.told(asked).await? {
            Answer::Done(_) => Ok(()),
            Answer::Missing => self.is_there().await,
        }
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> BoxStream<'a, Result<Vec<ObjectEntry>>> {
        paged::pages(move |after| self.page(prefix, after))
    }

    /// As Kayenta makes it: with versions of what is overwritten.
    async fn create(&self) -> Result<()> {
        let Some(project) = &self.account.google.project else {
            return Err(wrong(
                "it is not there, and without a 'project' it cannot be made",
            ));
        };
        let mut bucket = json!({"name": self.account.bucket, "versioning": {"enabled": true}});
        if let Some(location) = &self.account.bucket_location {
            bucket["location"] = location.as_str().into();
        }
        let url = format!("{}/storage/v1/b", self.account.url);
        let query = [("project", project.as_str())];
        let asked = self.request(Method::POST, url, &query).json(&bucket);
        match self.told(asked).await {
            Ok(Answer::Done(_)) => Ok(()),
            Ok(Answer::Missing) => Err(wrong(&format!("there is no project '{project}'"))),
            // Somebody may have made it meanwhile.
            Err(failure) => self.is_there().await.map_err(|_| failure),
        }
    }

    fn place(&self, key: &str) -> String {
        let bucket = &self.account.bucket;
        match key {
            "" => format!("gcs bucket '{bucket}'"),
            key => format!("'{}' in gcs bucket '{bucket}'", self.full(key)),
        }
    }

    fn limit(&self) -> Option<Duration> {
        Some(self.account.timeout)
    }
}

fn entry(object: &Object, root: &str) -> Option<ObjectEntry> {
    Some(ObjectEntry {
        key: object.name.strip_prefix(root)?.to_owned(),
        updated_millis: object.updated.map_or(0, Timestamp::as_millisecond),
        version: object.generation.clone(),
        bytes: object.size.parse().unwrap_or(0),
    })
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|cause| Failure::Wrong {
        why: "an answer that Cloud Storage does not give".to_owned(),
        cause: cause.to_string(),
    })
}

fn gone() -> Failure {
    Failure::Gone("the bucket does not exist".to_owned())
}

fn without_token(failed: google::Failed) -> Failure {
    let why = format!("there is no token for it: {failed}");
    let cause = failed.why;
    if failed.may_pass {
        Failure::Away { why, cause }
    } else {
        Failure::Wrong { why, cause }
    }
}
