//! HTTP to one metric source: credentials, retries, limits, and errors that tell what happened.

mod again;
mod aside;
mod attempt;
mod body;
mod call;
mod came;
mod connect;
mod limits;
mod oauth2;
mod told;
mod wrong;

use std::sync::Arc;
use std::time::Duration;

use backon::Retryable;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::counts::Counts;
use super::series::Answered;
use super::too_large;
use crate::budget::{Held, Refused, Share};
use crate::config::{CertificateFiles, Config, Retry};
use crate::error::{FetchError, Result};
use crate::http::{Again, Rotating, Secrets, cut};

use again::backoff;
pub use aside::Aside;
pub use body::{Body, Exchange, Read, Room, document};
use call::is_long;
pub use call::{Call, Fault, Sent, Wanted};
pub use connect::{Credentials, Endpoint};
pub use oauth2::ClientCredentials;
pub use told::error_text;
pub use wrong::Wrong;

/// What is read of all answers to one query.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;
/// What is read of a body takes more than its text: a point of six letters becomes 24 bytes.
const READ_COPIES: usize = 8;
/// What a service says beside its series: as many texts are kept of a kind, and as much of each.
const MOST_REMARKS: usize = 40;
const REMARK_BYTES: usize = 1 << 10;
/// What a service says is wrong.
const TOLD_BYTES: usize = 4 << 10;
/// A reason may have any text of the answer in it.
const REASON_BYTES: usize = 200;

#[derive(Clone)]
pub struct Client {
    kind: &'static str,
    account: Arc<str>,
    pub counts: Counts,
    http: Arc<Rotating>,
    base: Url,
    credentials: Credentials,
    /// Sent with every request, beside what the credentials send.
    secrets: Secrets,
    retry: Retry,
    query_deadline: Duration,
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
        Self::open_showing(kind, endpoint, None, deadline, config)
    }

    /// The same, with a certificate of its own.
    ///
    /// # Errors
    /// `Invalid`, too, for one that cannot be used.
    pub fn open_showing(
        kind: &'static str,
        endpoint: Endpoint<'_>,
        own: Option<&CertificateFiles>,
        deadline: Duration,
        config: &Config,
    ) -> Result<Self> {
        let base = endpoint.base_url()?;
        Ok(Self {
            kind,
            http: Arc::new(endpoint.client(&base, own)?),
            secrets: Secrets::of(&endpoint.headers()?),
            base,
            counts: Counts::of(endpoint.account, kind),
            account: endpoint.account.into(),
            credentials: endpoint.credentials,
            retry: config.retry.clone(),
            query_deadline: deadline,
        })
    }

    /// The same, asked at another address.
    #[must_use]
    pub fn at(&self, base: Url) -> Self {
        Self {
            base,
            ..self.clone()
        }
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
            .when(|failure: &Failure| failure.again.may_be())
            .adjust(|failure, backoff| failure.again.wait(backoff, deadline))
            .notify(|failure, wait| {
                let Unanswered::Failed(error) = &failure.why else {
                    return;
                };
                if let Some(share) = room.share {
                    share.spend(&self.account, |cost| cost.repeated += 1);
                }
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
        F: FnOnce(T, &mut Held) -> Result<Answered, Wrong> + Send + 'static,
    {
        let kind = self.kind;
        let read = move |body: &[u8], held: &mut Held| read(document(kind, body)?, held);
        self.read_body(call, deadline, share, read).await
    }

    /// What a service answers to a query.
    pub async fn read_body<F>(
        &self,
        call: &Call<'_>,
        deadline: Instant,
        share: &Arc<Share>,
        read: F,
    ) -> Result<Answered, Unanswered>
    where
        F: FnOnce(&[u8], &mut Held) -> Result<Answered, Wrong> + Send + 'static,
    {
        let reading = self.read_as(call, deadline, share, MAX_ANSWER_BYTES, read);
        let answered = self.counted(async {
            let Read {
                what: mut answered,
                exchange,
                ..
            } = reading.await?;
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

    /// What is read of an answer of at most so many bytes. Memory is paid for before anything is read;
    /// what becomes more than its text is paid for by the reader.
    pub async fn read_as<R, F>(
        &self,
        call: &Call<'_>,
        deadline: Instant,
        share: &Arc<Share>,
        most: usize,
        read: F,
    ) -> Result<Read<R>, Unanswered>
    where
        R: Send + 'static,
        F: FnOnce(&[u8], &mut Held) -> Result<R, Wrong> + Send + 'static,
    {
        let room = Room {
            bytes: most,
            share: Some(share),
        };
        let body = Box::pin(self.send(call, deadline, &room)).await?;
        let bytes = body.bytes.len();
        let held = share.hold(bytes * READ_COPIES);
        let mut held = held.map_err(|refused| self.refused(call, refused))?;
        let read = move |body: &[u8]| Ok((read(body, &mut held)?, held));
        let (read, exchange) = body.read(read).await;
        let (what, held) = read.map_err(|wrong| self.unreadable(call, &exchange, wrong))?;
        Ok(Read {
            what,
            exchange,
            bytes,
            held,
        })
    }

    /// Takes what was sent with a request out of what is told of its answer, of which no more is kept
    /// than somebody reads.
    pub fn keep_secrets(&self, exchange: &Exchange, answered: &mut Answered) {
        for told in [&mut answered.partial, &mut answered.remarks] {
            told.truncate(MOST_REMARKS);
            for text in told {
                *text = self.without_secrets(&exchange.sent, std::mem::take(text));
                cut(text, REMARK_BYTES);
            }
        }
    }

    /// An answer that is none.
    pub fn wrong(&self, call: &Call<'_>, exchange: &Exchange, wrong: Wrong) -> FetchError {
        let message = self.told(exchange, wrong);
        self.error(call, Some(StatusCode::OK.as_u16()), message)
    }

    /// An answer to a query that is none, or for which there is no memory.
    pub fn unreadable(&self, call: &Call<'_>, exchange: &Exchange, wrong: Wrong) -> Unanswered {
        match wrong {
            Wrong::NoMemory(refused) => self.refused(call, refused),
            wrong => self.wrong(call, exchange, wrong).into(),
        }
    }

    /// What is wrong with an answer: in the words of its server, else with what came instead.
    fn told(&self, exchange: &Exchange, wrong: Wrong) -> String {
        match wrong {
            Wrong::NoMemory(_) => "there is no memory for what it holds".to_owned(),
            Wrong::Told(told) => self.in_words_of_service(&exchange.sent, told),
            Wrong::Other { why, beginning } => {
                let came = exchange
                    .came
                    .no_answer(&self.readable(&exchange.sent, &beginning));
                let mut why = self.without_secrets(&exchange.sent, why);
                cut(&mut why, REASON_BYTES);
                format!("{came}: {why}")
            }
        }
    }

    fn in_words_of_service(&self, sent: &HeaderMap, told: String) -> String {
        let mut told = self.without_secrets(sent, told);
        cut(&mut told, TOLD_BYTES);
        told
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
