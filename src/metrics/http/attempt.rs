//! One attempt at a call: where it leads, with which token, and what came of it.

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Response, StatusCode};
use url::Url;

use super::again::again_after;
use super::body::{self, Body, Exchange, Room};
use super::call::{Call, Fault, Sent, is_long};
use super::came::Came;
use super::connect::{self, Heard};
use super::{Client, Failure, MAX_ANSWER_BYTES, aside, wrong};
use crate::http::{Again, Unread, beginning, in_words};
use crate::telemetry::traces;

const FORM: &str = "application/x-www-form-urlencoded";

impl Client {
    pub(super) async fn attempt(&self, call: &Call<'_>, room: &Room<'_>) -> Result<Body, Failure> {
        let (response, sent) = self.exchange(call, room).await?;
        if response.status().is_success() {
            return self.answer(call, room, response, sent).await;
        }
        Err(self.refusal(call, response, &sent).await)
    }

    /// What answers in the end, and the headers that it was asked with.
    async fn exchange(
        &self,
        call: &Call<'_>,
        room: &Room<'_>,
    ) -> Result<(Response, HeaderMap), Failure> {
        let mut url = call.url(&self.base);
        let form = form_of(call, &mut url);
        let http = self.http.client().await;
        let mut redirects = 0;
        let mut is_renewed = false;
        loop {
            let request = match &form {
                Some((kind, text)) => {
                    let request = http.post(url.clone()).body(text.clone());
                    request.header(CONTENT_TYPE, *kind)
                }
                None => http.get(url.clone()),
            };
            let headers = call.headers.iter();
            let request = headers.fold(request, |request, (name, value)| {
                request.header(*name, *value)
            });
            let request = self.credentials.authorize(request).await;
            let request = request.map_err(|failed| {
                self.failure(call, None, failed.why, Again::if_it(failed.may_pass))
            })?;
            let mut request = request.build().map_err(|error| self.broken(call, error))?;
            let sent = request.headers().clone();
            traces::send_on(request.headers_mut());
            self.asks(room);
            let response = http.execute(request).await;
            self.answered(response.as_ref().ok(), room);
            let response = response.map_err(|error| self.broken(call, error))?;
            // Another token is had once: a new one is not refused for its age.
            if response.status() == StatusCode::UNAUTHORIZED
                && !is_renewed
                && self.credentials.forget(&sent)
            {
                is_renewed = true;
                continue;
            }
            // What that leads to is another thing, and no place for a query in a body.
            let is_elsewhere = form.is_some() && response.status() == StatusCode::SEE_OTHER;
            match connect::redirected_within(&response, &self.base) {
                Some(there) if redirects < connect::MAX_REDIRECTS && !is_elsewhere => {
                    (redirects, url) = (redirects + 1, there);
                }
                _ => return Ok((response, sent)),
            }
        }
    }

    async fn answer(
        &self,
        call: &Call<'_>,
        room: &Room<'_>,
        mut response: Response,
        sent: HeaderMap,
    ) -> Result<Body, Failure> {
        let status = Some(response.status());
        let read = body::read(&mut response, room).await;
        let (bytes, held) = read.map_err(|unread| match unread {
            Unread::Broken(error) => self.broken(call, error),
            Unread::TooLong(_) => {
                let message = if room.share.is_none() {
                    aside::too_large()
                } else {
                    format!(
                        "the answers to the query are larger than {} MiB: a larger step, a shorter \
                         range or fewer series are wanted",
                        MAX_ANSWER_BYTES >> 20
                    )
                };
                self.failure(call, status, message, Again::Never)
            }
            Unread::Refused(refused) => Failure {
                why: self.refused(call, refused),
                again: Again::Never,
            },
        })?;
        self.counts.bytes.increment(bytes.len() as u64);
        if let Some(fault) = self.fault(call, response.headers(), &bytes, &sent) {
            let again = fault.again();
            return Err(self.failure(call, status, fault.told, again));
        }
        let came = Came::of(&response);
        if !came.is_wanted(call.wanted, &bytes) {
            let message = came.no_answer(&self.readable(&sent, wrong::beginning(&bytes)));
            return Err(self.failure(call, status, message, Again::Never));
        }
        Ok(Body {
            bytes,
            exchange: Exchange { sent, came },
            held,
        })
    }

    /// What an answer says that is an error.
    async fn refusal(&self, call: &Call<'_>, mut response: Response, sent: &HeaderMap) -> Failure {
        let (status, headers) = (response.status(), response.headers().clone());
        let redirect = connect::redirected_to(&response);
        let bytes = beginning(&mut response).await;
        let again = match self.credentials.heard(&headers, &bytes, sent) {
            Some(Heard::Renewed) => Again::Later,
            Some(Heard::TooSoon) => {
                again_after(StatusCode::TOO_MANY_REQUESTS, &headers, &self.retry)
            }
            None => again_after(status, &headers, &self.retry),
        };
        let fault = self.fault(call, &headers, &bytes, sent);
        let again = match &fault {
            Some(fault) if !fault.may_pass => Again::Never,
            _ => again,
        };
        let message = redirect.or(fault.map(|fault| fault.told));
        let message = message.unwrap_or_else(|| {
            Came::of(&response).error(call.wanted, &self.readable(sent, &bytes))
        });
        self.failure(call, Some(status), message, again)
    }

    /// What its service says is wrong, in a way of its own.
    fn fault(
        &self,
        call: &Call<'_>,
        headers: &HeaderMap,
        body: &[u8],
        sent: &HeaderMap,
    ) -> Option<Fault> {
        let fault = call.fault_of(headers, body)?;
        Some(Fault {
            told: self.in_words_of_service(sent, fault.told),
            ..fault
        })
    }

    fn failure(
        &self,
        call: &Call<'_>,
        status: Option<StatusCode>,
        message: String,
        again: Again,
    ) -> Failure {
        let status = status.map(|status| status.as_u16());
        Failure {
            why: self.error(call, status, message).into(),
            again,
        }
    }

    fn broken(&self, call: &Call<'_>, error: reqwest::Error) -> Failure {
        let told = in_words(&error.without_url());
        let place = connect::place(&call.url(&self.base));
        self.failure(call, None, format!("{told}, at '{place}'"), Again::Later)
    }
}

/// The body of a request and its type; what goes there of an address that is too long leaves it.
fn form_of<'a>(call: &'a Call<'_>, url: &mut Url) -> Option<(&'a str, String)> {
    match &call.sent {
        Sent::Post(kind, body) => Some((*kind, body.clone())),
        Sent::GetOrForm if is_long(url) => {
            let form = url.query().unwrap_or_default().to_owned();
            url.set_query(None);
            Some((FORM, form))
        }
        Sent::Get | Sent::GetOrForm => None,
    }
}
