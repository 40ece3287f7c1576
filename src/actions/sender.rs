//! Sends what executions call.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{host_of, render};
use crate::app::App;
use crate::canary::{ActionCall, ActionOutcome};
use crate::config::ActionHost;
use crate::error::{Error, Result};
use crate::outbox::{
    self, Answer, Failed, Http, SIGNATURE, Sender, idempotency, reveal, signature, wait_after,
};
use crate::storage::{Attempted, DueAction, action_id};

/// How long one attempt may take; so long may a later event have to wait for it.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long an action waits for a process that is not heard of.
const LEASE: Duration = Duration::from_secs(15);

/// How much of the lease must be left for an attempt to end within it.
const ROOM: Duration = DEADLINE.saturating_add(Duration::from_secs(1));

/// How much later than its patience an action may still be sent: others may have kept it waiting,
/// and what is older is about a canary that nobody thinks of any more.
const LATEST: Duration = Duration::from_hours(24);

/// The longest wait before another attempt.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How much of an answer is told.
const TOLD_CHARACTERS: usize = 300;

#[derive(Clone)]
pub struct Actor {
    app: App,
    /// One for every host of the configuration.
    https: Arc<Vec<Http>>,
}

impl Actor {
    /// # Errors
    /// `Invalid` when the certificates of a host cannot be read.
    pub fn open(app: &App) -> Result<Self> {
        let http = |host: &ActionHost| match &host.ca_file {
            None => Ok(Http::default()),
            Some(file) => Http::trusting(file).map_err(|error| {
                Error::Invalid(format!("actions.hosts, '{}': {error}", host.name))
            }),
        };
        let https: Result<Vec<Http>> = app.config.action_hosts.iter().map(http).collect();
        Ok(Self {
            app: app.clone(),
            https: Arc::new(https?),
        })
    }

    /// Calls what is due until `shutdown`.
    pub async fn work(self, shutdown: CancellationToken) {
        if self.https.is_empty() {
            shutdown.cancelled().await;
        } else {
            outbox::work(self, shutdown).await;
        }
    }

    /// Takes an action, and notes what came of it.
    async fn take(&self, action: &DueAction) {
        let Some((next, attempted)) = self.attempt(action).await else {
            return;
        };
        ::metrics::counter!(
            "serin_actions_total",
            "event" => action.event.as_str(),
            "outcome" => next.word(),
        )
        .increment(1);
        let storage = &self.app.storage;
        let noted = || async {
            match next {
                Next::Again(wait) => storage.put_off_action(action, &attempted, wait).await,
                Next::Settle(outcome) => storage.settle_action(action, outcome, &attempted).await,
            }
        };
        outbox::note(noted).await;
        // The next one of the execution may be due.
        storage.turned.notify_one();
    }

    /// `None` when nothing was sent, and the row is left to its lease.
    async fn attempt(&self, action: &DueAction) -> Option<(Next, Attempted)> {
        let settled = |outcome, status, message| {
            let attempted = Attempted { status, message };
            Some((Next::Settle(outcome), attempted))
        };
        if action.is_superseded {
            let told = "a later event came before it could be tried again".to_owned();
            return settled(ActionOutcome::Superseded, None, Some(told));
        }
        let now = self.app.clock.now_millis();
        if is_too_old(action, now) {
            let told = "nobody could send it in time".to_owned();
            tracing::error!(why = told, "given up");
            return settled(ActionOutcome::Failed, None, Some(told));
        }
        // Another one may send it, or what comes after it, as soon as the lease is over.
        if !has_room(action, now) {
            tracing::warn!("claimed too late to be sent within its lease");
            return None;
        }
        let sent = tokio::time::timeout(DEADLINE, self.send(action)).await;
        let too_slow = || Failed::later(format!("it was not answered within {DEADLINE:?}"));
        let (status, failed) = match sent.unwrap_or_else(|_| Err((None, too_slow()))) {
            Ok(status) => {
                tracing::info!(status, "called");
                return settled(ActionOutcome::Done, Some(status), None);
            }
            Err(failed) => failed,
        };
        let (why, attempt) = (failed.why, action.attempt);
        let wait = failed.wait.unwrap_or_else(|| wait_after(attempt));
        let wait = wait.min(LONGEST_WAIT);
        if failed.again && self.has_patience(action, wait) {
            tracing::warn!(why, attempt, ?wait, "a call was not taken; trying again");
            let message = Some(why);
            return Some((Next::Again(wait), Attempted { status, message }));
        }
        tracing::error!(why, attempt, "a call was not taken; given up");
        settled(ActionOutcome::Failed, status, Some(why))
    }

    /// Whether there is time for another attempt after `wait`.
    fn has_patience(&self, action: &DueAction, wait: Duration) -> bool {
        let now = self.app.clock.now_millis();
        let tried = now - action.begun_at.unwrap_or(now);
        let tried = Duration::from_millis(u64::try_from(tried).unwrap_or(0));
        tried + wait < action.patience
    }

    /// The status of an answer that is a yes.
    async fn send(&self, action: &DueAction) -> Result<u16, (Option<u16>, Failed)> {
        let before = |failed| (None, failed);
        let Some(call) = &action.call else {
            let why = "it cannot be read; another version of serin wrote it";
            return Err(before(Failed::later(why.to_owned())));
        };
        let hosts = &self.app.config.action_hosts;
        // A replica with another configuration may allow it.
        let (url, host) = host_of(hosts, &call.url)
            .map_err(|why| before(Failed::later(format!("its URL {why}"))))?;
        let at = hosts.iter().position(|other| std::ptr::eq(other, host));
        let http = at.and_then(|at| self.https.get(at));
        let http = http.ok_or_else(|| before(Failed::later("it has no host".to_owned())))?;
        let id = action_id(&action.execution_id, action.place);
        let body = render::text(call);
        let token = match &host.token {
            None => None,
            Some(token) => Some(reveal(token).await.map_err(before)?),
        };
        let mut headers = headers(call, host, token.as_ref()).map_err(before)?;
        headers.extend(idempotency(&id));
        if let Some(secret) = &host.secret {
            let seconds = self.app.clock.now_millis() / 1_000;
            let signature = signature(secret, seconds, &body).await.map_err(before)?;
            headers.insert(SIGNATURE, signature);
        }
        let method = Method::from_bytes(call.method.as_str().as_bytes())
            .map_err(|_| before(Failed::never("it has no method".to_owned())))?;
        let answer = http
            .exchange(method, &url, headers, body)
            .await
            .map_err(before)?;
        let status = answer.status;
        match failed(&answer) {
            None => Ok(status),
            Some(failed) => Err((Some(status), failed)),
        }
    }
}

#[derive(Clone, Copy)]
enum Next {
    Again(Duration),
    Settle(ActionOutcome),
}

impl Next {
    const fn word(self) -> &'static str {
        match self {
            Self::Again(_) => "retried",
            Self::Settle(outcome) => outcome.as_str(),
        }
    }
}

fn is_too_old(action: &DueAction, now: i64) -> bool {
    let age = now.saturating_sub(action.created_at);
    let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
    LATEST + action.patience < age
}

fn has_room(action: &DueAction, now: i64) -> bool {
    let left = action.leased_until.saturating_sub(now);
    ROOM <= Duration::from_millis(u64::try_from(left).unwrap_or(0))
}

/// The headers of the call, and the token of the host.
fn headers(
    call: &ActionCall,
    host: &ActionHost,
    token: Option<&SecretString>,
) -> Result<HeaderMap, Failed> {
    let mut headers = HeaderMap::new();
    for (name, value) in &call.headers {
        let wrong = || Failed::never(format!("the header '{name}' cannot be sent"));
        let value = HeaderValue::try_from(value).map_err(|_| wrong())?;
        headers.insert(HeaderName::try_from(name).map_err(|_| wrong())?, value);
    }
    if let Some(token) = token {
        let (name, value) = match &host.header {
            Some(name) => (HeaderName::try_from(name), token.expose_secret().to_owned()),
            None => (
                Ok(header::AUTHORIZATION),
                format!("Bearer {}", token.expose_secret()),
            ),
        };
        // Both may be put right while it waits.
        let wrong = || Failed::later("the token of its host cannot be sent".to_owned());
        let mut value = HeaderValue::try_from(value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(name.map_err(|_| wrong())?, value);
    }
    Ok(headers)
}

/// Whether an answer is a no, and for how long.
fn failed(answer: &Answer) -> Option<Failed> {
    if (200..300).contains(&answer.status) {
        return None;
    }
    let text = answer.text.replace(char::is_control, " ");
    let text: String = text.trim().chars().take(TOLD_CHARACTERS).collect();
    let text = if text.is_empty() {
        text
    } else {
        format!(": {text}")
    };
    let why = format!("it was answered with {}{text}", answer.status);
    Some(match answer.status {
        300..400 => Failed::never(format!("{why}; a redirect is not followed")),
        408 | 425 | 429 | 500.. => Failed {
            wait: answer.wait,
            ..Failed::later(why)
        },
        _ => Failed::never(why),
    })
}

impl Sender for Actor {
    type Due = DueAction;

    fn app(&self) -> &App {
        &self.app
    }

    fn woken(&self) -> &Notify {
        &self.app.storage.turned
    }

    async fn claim(&self, most: usize) -> Result<Vec<DueAction>> {
        self.app.storage.claim_actions(LEASE, most).await
    }

    async fn deliver(&self, action: DueAction) {
        let span = tracing::info_span!(
            "action",
            execution.id = action.execution_id,
            event = action.event.as_str(),
            place = action.place,
        );
        self.take(&action).instrument(span).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::Event;

    fn due(leased_until: i64) -> DueAction {
        DueAction {
            execution_id: "run".to_owned(),
            place: 0,
            event: Event::Fail,
            call: None,
            patience: Duration::from_mins(10),
            created_at: 0,
            begun_at: None,
            leased_until,
            attempt: 1,
            is_superseded: false,
        }
    }

    #[test]
    fn an_attempt_ends_within_its_lease() {
        let action = due(15_000);
        for (now, expected) in [(0, true), (4_000, true), (4_001, false), (20_000, false)] {
            assert_eq!(has_room(&action, now), expected, "{now}");
        }
    }

    #[test]
    fn what_is_a_day_older_than_its_patience_is_too_old() {
        let latest = (24 * 60 + 10) * 60_000;
        for (now, expected) in [(-1, false), (0, false), (latest, false), (latest + 1, true)] {
            assert_eq!(is_too_old(&due(0), now), expected, "{now}");
        }
    }

    #[test]
    fn an_answer_is_told_without_what_steers_a_terminal_or_breaks_a_database() {
        let answer = Answer {
            status: 400,
            wait: None,
            text: "\0no\u{1b}[31m\r\nroute".to_owned(),
        };
        let failed = failed(&answer).unwrap();
        assert_eq!(failed.why, "it was answered with 400: no [31m  route");
    }
}
