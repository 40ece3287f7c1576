//! Objects in Google Cloud Storage, over its JSON API.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder, Response};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::guarded::{Backend, Failure, Guarded};
use super::objects::ObjectEntry;
use crate::config::{self, GcsAccount};
use crate::google::{self, Tokens};
use crate::http::{self, Again, Secrets, Unread};

pub type GcsStore = Guarded<Bucket>;

/// All attempts of one request, the first included.
const ATTEMPTS: usize = 8;

/// The most that the pause before the second attempt takes; it doubles from there.
const PAUSE: Duration = Duration::from_millis(100);

/// What is read of all that is no object: a page of a listing is the longest.
const MOST_BYTES: u64 = 16 << 20;

/// The bucket of one account.
pub struct Bucket {
    account: GcsAccount,
    client: Client,
    /// Nothing comes while a body is sent, so that only the time of the whole call counts.
    uploads: Client,
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

/// One attempt that did not work, and when there may be another one.
struct Missed {
    failure: Failure,
    again: Again,
}

/// How far a listing is.
enum Place {
    Start,
    After(String),
    End,
}

impl GcsStore {
    /// # Errors
    /// Why its credentials can never do.
    pub fn open(account: &GcsAccount) -> Result<Self, String> {
        let tokens = account.google.is_asked_with_tokens(&account.url).then(|| {
            let file = account.google.json_path.as_deref();
            Tokens::open(file, &config::environment())
        });
        let scheme = account.url.split(':').next().unwrap_or_default();
        let client = || {
            http::trusting(http::client(), scheme, Vec::new())
                .redirect(reqwest::redirect::Policy::none())
        };
        // An answer may be long; what counts is that it comes on.
        let asking = client().read_timeout(stall(account));
        Ok(Self::around(Bucket {
            client: asking.build().map_err(|cause| http::in_words(&cause))?,
            uploads: client().build().map_err(|cause| http::in_words(&cause))?,
            tokens: tokens.transpose()?,
            account: account.clone(),
        }))
    }
}

/// How long an answer may stand still.
fn stall(account: &GcsAccount) -> Duration {
    account.timeout / 3
}

impl Bucket {
    /// The name in the bucket; a root folder may have slashes around it, or be empty.
    fn full(&self, key: &str) -> String {
        let root = self.account.root_folder.trim_matches('/');
        match root {
            "" => key.to_owned(),
            root => format!("{root}/{key}"),
        }
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
        self.client.request(method, url).query(query)
    }

    /// Sends a request until it is answered; at most so many bytes of an answer are read.
    async fn send(&self, request: RequestBuilder, most: u64) -> Result<Answer> {
        // What the server says in the end is worth more than that its time is over.
        let latest = Instant::now() + self.account.timeout - stall(&self.account);
        let was_refused = AtomicBool::new(false);
        let pauses = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(PAUSE)
            .with_max_times(ATTEMPTS - 1);
        let answer = (|| self.attempt(&request, most, &was_refused))
            .retry(pauses)
            .when(|missed: &Missed| missed.again.may_be())
            .adjust(|missed, backoff| missed.again.wait(backoff, latest))
            .await;
        answer.map_err(|missed| missed.failure)
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
        let mut answer = answer.map_err(|cause| lost(&cause))?;
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

    async fn page(&self, prefix: &str, place: Place) -> Result<Option<(Vec<ObjectEntry>, Place)>> {
        let after = match place {
            Place::Start => None,
            Place::After(token) => Some(token),
            Place::End => return Ok(None),
        };
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
        let next = match page.next_page_token.filter(|token| !token.is_empty()) {
            None => Place::End,
            Some(token) if Some(&token) == after.as_ref() => {
                return Err(wrong(
                    "the listing is cut short, and the server does not tell how to go on",
                ));
            }
            Some(token) => Place::After(token),
        };
        let root = self.full("");
        let entries = page.items.iter().filter_map(|object| entry(object, &root));
        Ok(Some((entries.collect(), next)))
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
        let asked = self
            .uploads
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
        stream::try_unfold(Place::Start, move |place| self.page(prefix, place)).boxed()
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

async fn collect(mut answer: Response, most: u64) -> Result<Bytes> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let body = http::read(&mut answer, most).await;
    let body = body.map_err(|unread| match unread {
        Unread::TooLong(bytes) => Failure::TooLarge(bytes),
        Unread::Broken(cause) => Failure::Away {
            why: "it breaks off".to_owned(),
            cause: http::in_words(&cause),
        },
    })?;
    Ok(body.into())
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

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        let again = match failure {
            Failure::Away { .. } => Again::Later,
            _ => Again::Never,
        };
        Self { failure, again }
    }
}

fn gone() -> Failure {
    Failure::Gone("the bucket does not exist".to_owned())
}

fn wrong(why: &str) -> Failure {
    let (why, cause) = (why.to_owned(), why.to_owned());
    Failure::Wrong { why, cause }
}

fn lost(cause: &reqwest::Error) -> Failure {
    let words = http::in_words(cause);
    let why = if cause.is_timeout() {
        "no answer in time".to_owned()
    } else {
        words.rsplit(": ").next().unwrap_or_default().to_owned()
    };
    Failure::Away { why, cause: words }
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
