//! HTTP to one metric source: credentials, retries, limits, and errors that tell what happened.

mod came;
mod connect;
mod told;
mod wrong;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use url::{Position, Url};

use super::counts::Counts;
use super::series::Answered;
use super::too_large;
use crate::budget::{Held, Refused, Share};
use crate::config::{Config, Retry};
use crate::error::{FetchError, Result};
use crate::http::{Secrets, in_words};

use came::Came;
pub use connect::{Credentials, Endpoint};
pub use told::error_text;
pub use wrong::Wrong;

/// What is read of all answers to one query.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;
/// What is read of a list of names.
const MAX_ASIDE_BYTES: usize = 16 << 20;
/// What a body takes while it is read and moved as it grows, for each byte.
const GROWTH: usize = 2;
/// What is read of a body takes more than its text: a point of six letters becomes 24 bytes.
const READ_COPIES: usize = 8;
/// Reading more than this takes long enough to be in the way of others.
const LARGE_BODY: usize = 1 << 20;
/// Servers and proxies on the way commonly take at least this much.
const MAX_URL_BYTES: usize = 2_000;
/// What is reserved for an answer because it says how long it is.
const LARGEST_RESERVED: usize = 64 << 10;

const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What is read of an answer that is an error.
const MAX_ERROR_BYTES: usize = 64 << 10;
/// The longest wait between two attempts, unless the server names a time.
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// What a service says beside its series: as many texts are kept of a kind, and as much of each.
const MOST_REMARKS: usize = 40;
const REMARK_BYTES: usize = 1 << 10;
const FORM: &str = "application/x-www-form-urlencoded";
/// Somebody waits in front of a form for these.
const ASIDE_DEADLINE: Duration = Duration::from_secs(10);

pub struct Client {
    kind: &'static str,
    account: Arc<str>,
    pub counts: Counts,
    http: reqwest::Client,
    base: Url,
    credentials: Credentials,
    /// Sent with every request, beside what the credentials send.
    secrets: Secrets,
    retry: Retry,
    query_deadline: Duration,
}

/// What is asked for.
pub struct Call<'a> {
    /// Below the base URL.
    pub path: Cow<'a, str>,
    pub params: Vec<(&'static str, String)>,
    pub sent: Sent,
    /// What is told of it.
    pub query: &'a str,
    pub wanted: Wanted,
}

/// How parameters are sent.
#[derive(Clone, Debug)]
pub enum Sent {
    /// In the address.
    Get,
    /// In the address, or as a form where that would be too long.
    GetOrForm,
    /// In the address, beside a body of that content type.
    Post(&'static str, String),
}

/// What an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Json,
    /// A stream of server-sent events.
    Events,
    Anything,
}

/// An attempt that failed.
struct Failure {
    why: Unanswered,
    again: Again,
}

/// Why a query has no answer. Shared by all who asked.
#[derive(Clone)]
pub enum Unanswered {
    Failed(Box<FetchError>),
    /// Who asked first may not have the memory that it takes.
    TooLarge(Box<FetchError>),
    /// Others have it now.
    Later {
        wanted: usize,
    },
}

impl From<FetchError> for Unanswered {
    fn from(error: FetchError) -> Self {
        Self::Failed(Box::new(error))
    }
}

enum Again {
    Never,
    Later,
    After(Duration),
}

impl Client {
    /// `deadline` is that of a query with all its attempts.
    ///
    /// # Errors
    /// `Invalid` for an address, a header or a certificate that cannot be used.
    pub fn open(
        kind: &'static str,
        endpoint: Endpoint<'_>,
        deadline: Duration,
        config: &Config,
    ) -> Result<Self> {
        let base = endpoint.base_url()?;
        Ok(Self {
            kind,
            http: endpoint.client(&base)?,
            secrets: Secrets::of(&endpoint.headers()?),
            base,
            counts: Counts::of(endpoint.account, kind),
            account: endpoint.account.into(),
            credentials: endpoint.credentials,
            retry: config.retry.clone(),
            query_deadline: deadline,
        })
    }

    pub fn account(&self) -> &Arc<str> {
        &self.account
    }

    /// When a query that starts now is given up.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.query_deadline
    }

    /// The body of the answer, of at most `room` bytes; failures that may pass are tried again.
    pub async fn send(
        &self,
        call: &Call<'_>,
        deadline: Instant,
        room: &Room<'_>,
    ) -> Result<Body, Unanswered> {
        let mut last = None;
        let attempts = (|| self.attempt(call, room))
            .retry(backoff(&self.retry))
            .when(|failure: &Failure| !matches!(failure.again, Again::Never))
            .adjust(|failure, backoff| {
                let wait = match failure.again {
                    Again::After(wait) => backoff.map(|_| wait),
                    Again::Never | Again::Later => backoff.map(|wait| wait.min(MAX_BACKOFF)),
                };
                wait.filter(|wait| *wait < deadline.saturating_duration_since(Instant::now()))
            })
            .notify(|failure, wait| {
                let Unanswered::Failed(error) = &failure.why else {
                    return;
                };
                let message = &error.message;
                tracing::warn!(
                    account = &*self.account,
                    wait_ms = wait.as_millis(),
                    "a query failed and is sent again: {message}"
                );
                last = Some(message.clone());
            });
        match timeout_at(deadline, attempts).await {
            Ok(answer) => answer.map_err(|failure| failure.why),
            Err(_) => Err(self.too_late(call, self.query_deadline, last).into()),
        }
    }

    /// What a service answers to a query, read from the JSON of its body.
    pub async fn read<T, F>(
        &self,
        call: &Call<'_>,
        deadline: Instant,
        share: &Arc<Share>,
        read: F,
    ) -> Result<Answered, Unanswered>
    where
        T: DeserializeOwned,
        F: FnOnce(T) -> Result<Answered, Wrong> + Send + 'static,
    {
        let kind = self.kind;
        let read = move |body: &[u8]| read(document(kind, body)?);
        self.read_body(call, deadline, share, read).await
    }

    /// What a service answers to a query. Memory is paid for before anything is read.
    pub async fn read_body<F>(
        &self,
        call: &Call<'_>,
        deadline: Instant,
        share: &Arc<Share>,
        read: F,
    ) -> Result<Answered, Unanswered>
    where
        F: FnOnce(&[u8]) -> Result<Answered, Wrong> + Send + 'static,
    {
        let answered = self.read_as(call, deadline, share, MAX_ANSWER_BYTES, read);
        let answered = self.counted(async {
            let (mut answered, exchange, _) = answered.await?;
            self.keep_secrets(&exchange, &mut answered);
            Ok(answered)
        });
        answered.await
    }

    /// Counts a query, and what it was answered with.
    pub async fn counted(
        &self,
        answer: impl Future<Output = Result<Answered, Unanswered>>,
    ) -> Result<Answered, Unanswered> {
        let started = Instant::now();
        let answer = answer.await;
        if let Ok(answered) = &answer {
            let samples = answered.series.iter();
            let samples = samples.map(|series| series.samples.len() as u64);
            self.counts.fetched.increment(samples.sum());
        }
        // What waits for memory is asked once more.
        if !matches!(answer, Err(Unanswered::Later { .. })) {
            self.counts.query(started.elapsed(), answer.is_ok());
        }
        answer
    }

    /// What is read of an answer of at most so many bytes, and how many there were.
    pub async fn read_as<R, F>(
        &self,
        call: &Call<'_>,
        deadline: Instant,
        share: &Arc<Share>,
        most: usize,
        read: F,
    ) -> Result<(R, Exchange, usize), Unanswered>
    where
        R: Send + 'static,
        F: FnOnce(&[u8]) -> Result<R, Wrong> + Send + 'static,
    {
        let room = Room {
            bytes: most,
            share: Some(share),
        };
        let body = Box::pin(self.send(call, deadline, &room)).await?;
        let bytes = body.bytes.len();
        let held = share.hold(bytes * READ_COPIES);
        let _held = held.map_err(|refused| self.refused(call, refused))?;
        let (answered, exchange) = body.read(read).await;
        let answered = answered.map_err(|wrong| self.wrong(call, &exchange, wrong))?;
        Ok((answered, exchange, bytes))
    }

    /// Takes what was sent with a request out of what is told of its answer, of which no more is kept
    /// than somebody reads.
    pub fn keep_secrets(&self, exchange: &Exchange, answered: &mut Answered) {
        for told in [&mut answered.partial, &mut answered.remarks] {
            told.truncate(MOST_REMARKS);
            for text in told {
                *text = self.without_secrets(&exchange.sent, std::mem::take(text));
                if REMARK_BYTES < text.len() {
                    text.truncate(text.floor_char_boundary(REMARK_BYTES));
                    text.push('…');
                }
            }
        }
    }

    /// The JSON of what is asked beside the queries.
    pub async fn aside_json<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, FetchError> {
        let body = self.aside(call).await?;
        let document = document(self.kind, &body.bytes);
        document.map_err(|wrong| self.wrong(call, &body.exchange, wrong))
    }

    /// An answer that is none.
    pub fn wrong(&self, call: &Call<'_>, exchange: &Exchange, wrong: Wrong) -> FetchError {
        let message = self.told(exchange, wrong);
        self.error(call, Some(StatusCode::OK.as_u16()), message)
    }

    /// Beside the queries: answered at once or not at all.
    pub async fn aside(&self, call: &Call<'_>) -> Result<Body, FetchError> {
        let room = Room {
            bytes: MAX_ASIDE_BYTES,
            share: None,
        };
        let attempt = self.attempt(call, &room);
        match tokio::time::timeout(ASIDE_DEADLINE, attempt).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => Err(match failure.why {
                Unanswered::Failed(error) | Unanswered::TooLarge(error) => *error,
                // Nothing was taken.
                Unanswered::Later { .. } => self.error(call, None, "no memory".to_owned()),
            }),
            Err(_) => Err(self.too_late(call, ASIDE_DEADLINE, None)),
        }
    }

    async fn attempt(&self, call: &Call<'_>, room: &Room<'_>) -> Result<Body, Failure> {
        let failure = |status, message, again| Failure {
            why: self.error(call, status, message).into(),
            again,
        };
        let mut url = call.url(&self.base);
        let broken = |error: reqwest::Error| {
            let (told, place) = (
                in_words(&error.without_url()),
                connect::place(&call.url(&self.base)),
            );
            failure(None, format!("{told}, at '{place}'"), Again::Later)
        };
        let body = match &call.sent {
            Sent::Post(kind, body) => Some((*kind, body.clone())),
            Sent::GetOrForm if is_long(&url) => {
                let form = url.query().unwrap_or_default().to_owned();
                url.set_query(None);
                Some((FORM, form))
            }
            Sent::Get | Sent::GetOrForm => None,
        };
        let mut redirects = 0;
        let mut sent;
        let mut response = loop {
            let request = match &body {
                Some((kind, body)) => {
                    let request = self.http.post(url).body(body.clone());
                    request.header(CONTENT_TYPE, *kind)
                }
                None => self.http.get(url),
            };
            let request = self.credentials.authorize(request).await;
            let request = request.map_err(|failed| {
                let again = if failed.may_pass {
                    Again::Later
                } else {
                    Again::Never
                };
                failure(None, failed.why, again)
            })?;
            let request = request.build().map_err(broken)?;
            sent = request.headers().clone();
            let response = self.http.execute(request).await.map_err(broken)?;
            // What that leads to is another thing, and no place for a query in a body.
            let is_elsewhere = body.is_some() && response.status() == StatusCode::SEE_OTHER;
            match connect::redirected_within(&response, &self.base) {
                Some(there) if redirects < connect::MAX_REDIRECTS && !is_elsewhere => {
                    (redirects, url) = (redirects + 1, there);
                }
                _ => break response,
            }
        };

        let status = response.status();
        if !status.is_success() {
            let again = self.again(&response);
            let redirect = connect::redirected_to(&response);
            let bytes = beginning(&mut response).await;
            let bytes = self.readable(&sent, &bytes);
            let message = redirect.unwrap_or_else(|| Came::of(&response).error(&bytes));
            return Err(failure(Some(status.as_u16()), message, again));
        }
        let body = match read(&mut response, room).await {
            Ok(body) => body,
            Err(Unread::Broken(error)) => return Err(broken(error)),
            Err(Unread::Cut) => {
                let message = if room.share.is_none() {
                    format!("the answer is larger than {} MiB", room.bytes >> 20)
                } else {
                    format!(
                        "the answers to the query are larger than {} MiB: a larger step, a shorter \
                         range or fewer series are wanted",
                        MAX_ANSWER_BYTES >> 20
                    )
                };
                return Err(failure(Some(status.as_u16()), message, Again::Never));
            }
            Err(Unread::Refused(refused)) => {
                return Err(Failure {
                    why: self.refused(call, refused),
                    again: Again::Never,
                });
            }
        };
        let (bytes, held) = body;
        self.counts.bytes.increment(bytes.len() as u64);
        let came = Came::of(&response);
        if !came.is_wanted(call.wanted, &bytes) {
            let message = came.no_answer(&self.readable(&sent, wrong::beginning(&bytes)));
            return Err(failure(Some(status.as_u16()), message, Again::Never));
        }
        Ok(Body {
            bytes,
            exchange: Exchange { sent, came },
            held,
        })
    }

    /// What is wrong with an answer: in the words of its server, else with what came instead.
    pub fn told(&self, exchange: &Exchange, wrong: Wrong) -> String {
        match wrong {
            Wrong::Told(told) => self.without_secrets(&exchange.sent, told),
            Wrong::Other { why, beginning } => {
                let came = exchange
                    .came
                    .no_answer(&self.readable(&exchange.sent, &beginning));
                format!("{came}: {}", self.without_secrets(&exchange.sent, why))
            }
        }
    }

    /// Before it is cut: of a secret, a part would be left.
    fn readable(&self, sent: &HeaderMap, body: &[u8]) -> Vec<u8> {
        let text = String::from_utf8_lossy(body).into_owned();
        self.without_secrets(sent, text).into_bytes()
    }

    /// What is told of an answer, without what was sent with its request. Its series are no telling:
    /// a tenant or a password may well be a label or a number there.
    pub fn without_secrets(&self, sent: &HeaderMap, told: String) -> String {
        let secrets = Secrets::of(sent).and(&self.secrets);
        secrets.taken_out_of(told)
    }

    /// Memory for an answer was not given.
    pub fn refused(&self, call: &Call<'_>, refused: Refused) -> Unanswered {
        match refused {
            Refused::Later { wanted } => Unanswered::Later { wanted },
            Refused::TooMany { most } => {
                let message = too_large(most).to_string();
                Unanswered::TooLarge(Box::new(self.error(call, None, message)))
            }
        }
    }

    fn again(&self, response: &Response) -> Again {
        let status = response.status().as_u16();
        if !self.retry.statuses.contains(&status) && !self.retry.series.contains(&(status / 100)) {
            return Again::Never;
        }
        retry_after(response.headers()).map_or(Again::Later, Again::After)
    }

    pub fn error(&self, call: &Call<'_>, status: Option<u16>, message: String) -> FetchError {
        let mut url = connect::without_credentials(call.url(&self.base));
        let method = match call.sent {
            Sent::Post(..) => "POST",
            Sent::GetOrForm if is_long(&url) => {
                url.set_query(None);
                "POST"
            }
            Sent::Get | Sent::GetOrForm => "GET",
        };
        FetchError {
            message,
            status,
            method: method.to_owned(),
            url: url.into(),
            query: call.query.to_owned(),
            account: self.account.to_string(),
            metric: None,
        }
    }

    fn too_late(&self, call: &Call<'_>, limit: Duration, last: Option<String>) -> FetchError {
        let before = last.map_or_else(String::new, |last| format!("; before that: {last}"));
        let seconds = limit.as_secs_f64();
        self.error(call, None, format!("no answer within {seconds} s{before}"))
    }
}

impl<'a> Call<'a> {
    /// A GET whose answer is JSON.
    pub fn get(path: impl Into<Cow<'a, str>>) -> Self {
        Self {
            path: path.into(),
            params: Vec::new(),
            sent: Sent::Get,
            query: "",
            wanted: Wanted::Json,
        }
    }

    fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        let path = format!("{}{}", base.path().trim_end_matches('/'), self.path);
        url.set_path(&path);
        if !self.params.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.params);
        }
        url
    }
}

fn is_long(url: &Url) -> bool {
    MAX_URL_BYTES < url[Position::BeforePath..].len()
}

/// What a body of JSON holds.
pub fn document<T: DeserializeOwned>(kind: &str, body: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(body)
        .map_err(|cause| Wrong::other(body, &format!("it is not what {kind} sends: {cause}")))
}

/// Where a body may be read to.
pub struct Room<'a> {
    pub bytes: usize,
    /// What pays for it.
    pub share: Option<&'a Arc<Share>>,
}

/// A body, what it answers, and the memory that was taken for it.
pub struct Body {
    pub bytes: Vec<u8>,
    pub exchange: Exchange,
    pub held: Option<Held>,
}

/// What is told of an answer beside its body.
pub struct Exchange {
    /// The headers of the request.
    pub sent: HeaderMap,
    came: Came,
}

impl Body {
    /// Off the async threads, where that takes long enough to be in the way of others.
    pub async fn read<R, F>(self, read: F) -> (Result<R, Wrong>, Exchange)
    where
        R: Send + 'static,
        F: FnOnce(&[u8]) -> Result<R, Wrong> + Send + 'static,
    {
        let Self {
            bytes,
            exchange,
            held,
        } = self;
        if bytes.len() < LARGE_BODY {
            return (read(&bytes), exchange);
        }
        let reading = tokio::task::spawn_blocking(move || {
            let answered = read(&bytes);
            drop((bytes, held));
            answered
        });
        let given_up = |_| Err(Wrong::Told("reading the answer was given up".to_owned()));
        (reading.await.unwrap_or_else(given_up), exchange)
    }
}

enum Unread {
    Broken(reqwest::Error),
    /// There is more than may be read.
    Cut,
    Refused(Refused),
}

async fn read(response: &mut Response, room: &Room<'_>) -> Result<(Vec<u8>, Option<Held>), Unread> {
    let told = response.content_length().unwrap_or(0);
    let told = usize::try_from(told).unwrap_or(room.bytes);
    let mut bytes = Vec::with_capacity(told.min(room.bytes).min(LARGEST_RESERVED));
    let held = room
        .share
        .map(|share| share.hold(bytes.capacity() * GROWTH));
    let mut held = held.transpose().map_err(Unread::Refused)?;
    let mut paid = bytes.capacity();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if room.bytes - bytes.len() < chunk.len() {
            return Err(Unread::Cut);
        }
        let needed = bytes.len() + chunk.len();
        if let Some(held) = &mut held
            && paid < needed
        {
            let more = held.grow((needed - paid) * GROWTH);
            more.map_err(Unread::Refused)?;
            paid = needed;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, held))
}

/// As much as there is of an answer that is an error.
async fn beginning(response: &mut Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if MAX_ERROR_BYTES - bytes.len() < chunk.len() {
            break;
        }
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

fn backoff(retry: &Retry) -> ExponentialBuilder {
    // The wait is doubled at most by the jitter, which keeps queries that failed together apart.
    let longest = MAX_BACKOFF / 2;
    let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    ExponentialBuilder::new()
        .with_min_delay(retry.backoff.min(longest))
        .with_max_delay(longest)
        .with_max_times(retry.attempts.saturating_sub(1))
        .with_jitter()
        .with_jitter_seed(seed)
}

/// Seconds, or a date: counted from that of the answer, so that clocks need not agree. Datadog says
/// in how many seconds its limit is as it was.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let reset = || text(RATE_LIMIT_RESET)?.trim().parse().ok();
    if !headers.contains_key(RETRY_AFTER) {
        return reset().map(Duration::from_secs);
    }
    let wanted = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = wanted.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wanted = rfc2822::parse(wanted).ok()?;
    let now = rfc2822::parse(text(DATE)?).ok()?;
    Some(Duration::try_from(wanted.duration_since(&now)).unwrap_or_default())
}
