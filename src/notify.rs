//! Tells channels outside of serin what became of executions.
//!
//! What is to be told is a row that is written with what happened. Whoever claims it sends it; it
//! is sent again until it was taken, so that it arrives at least once, and always with the same id.

mod email;
mod message;
mod post;
mod slack;
mod teams;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Method, header};
use indexmap::IndexMap;
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use message::{Chart, Message, chart_of};
use webhook::Hook;

use crate::app::App;
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Event, Execution, Id,
    Kind,
};
use crate::config::{Channel, ChannelKind, Email, Given};
use crate::error::{Error, Result};
use crate::outbox::{self, Failed, Http, Sender, idempotency, wait_after};
use crate::storage::{Claim, DueNotice, Notice};

/// How long one attempt may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// How long a notice waits for a process that is not heard of.
const LEASE: Duration = Duration::from_secs(30);

/// The longest wait before another attempt.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// How old a notice may become before it is given up.
const PATIENCE: Duration = Duration::from_hours(24);

/// Whom an event of an execution is to be told.
pub fn of<E: Execution>(app: &App, claim: &Claim, document: &E, event: Event) -> Vec<Notice> {
    let channels = &app.config.channels;
    // Of the canaries of an analysis, the analysis tells.
    if channels.is_empty() || claim.parent.is_some() {
        return Vec::new();
    }
    let at = app.clock.now_millis();
    let told = chosen(channels, document.application(), document.told().site_local)
        .into_iter()
        .filter(|channel| channel.on.contains(&event))
        .map(|channel| Notice {
            channel: channel.name.clone(),
            event,
            at,
        });
    told.collect()
}

/// The channels that the client chose, else those of the application.
fn chosen<'a>(
    channels: &'a [Channel],
    application: &str,
    site_local: Option<&Map<String, Value>>,
) -> Vec<&'a Channel> {
    if let Some(names) = site_local.and_then(named_channels) {
        let find = |name: &&str| channels.iter().find(|channel| channel.name == *name);
        let unknown: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| find(name).is_none())
            .collect();
        let mut known: Vec<&Channel> = names.iter().filter_map(find).collect();
        known.dedup_by_key(|channel| &channel.name);
        if !unknown.is_empty() {
            tracing::warn!(?unknown, "siteLocal names channels that are not configured");
        }
        // One mistyped name must not silence those who would have been told without it.
        if !known.is_empty() || names.is_empty() {
            return known;
        }
    }
    let is_for = |channel: &&Channel| {
        let applications = &channel.applications;
        applications.is_empty() || applications.iter().any(|name| name == application)
    };
    channels.iter().filter(is_for).collect()
}

/// `{"serin": {"channels": ["a", "b"]}}`, else the `notificationChannel` that Kayenta's clients send.
fn named_channels(site_local: &Map<String, Value>) -> Option<Vec<&str>> {
    let ours = site_local
        .get("serin")
        .and_then(|serin| serin.get("channels"));
    if let Some(names) = ours.and_then(Value::as_array) {
        return Some(names.iter().filter_map(Value::as_str).collect());
    }
    let name = site_local.get("notificationChannel")?.as_str()?;
    Some(vec![name.trim_start_matches('#')])
}

/// Sends what is due.
#[derive(Clone)]
pub struct Notifier {
    app: App,
    doors: Arc<IndexMap<String, Door>>,
    http: Arc<Http>,
}

/// A channel that can be told.
enum Door {
    Slack(Given),
    Teams(Given),
    Webhook(Box<Hook>),
    Email(Email),
}

impl Notifier {
    /// # Errors
    /// `Invalid` when a channel could never be told: its template writes no JSON, for example.
    pub fn open(app: &App) -> Result<Self> {
        let mut doors = IndexMap::new();
        for channel in &app.config.channels {
            let door = match &channel.kind {
                ChannelKind::Slack(url) => Door::Slack(url.clone()),
                ChannelKind::Teams(url) => Door::Teams(url.clone()),
                ChannelKind::Webhook(webhook) => {
                    Door::Webhook(Box::new(Hook::new(channel, webhook)?))
                }
                ChannelKind::Email(email) => Door::Email(email.clone()),
            };
            doors.insert(channel.name.clone(), door);
        }
        Ok(Self {
            app: app.clone(),
            doors: Arc::new(doors),
            http: Arc::default(),
        })
    }

    /// Tells what is due until `shutdown`.
    pub async fn work(self, shutdown: CancellationToken) {
        if self.doors.is_empty() {
            shutdown.cancelled().await;
        } else {
            outbox::work(self, shutdown).await;
        }
    }

    async fn tell(&self, notice: &DueNotice) {
        let sent = tokio::time::timeout(DEADLINE, self.send(notice)).await;
        let sent = sent.unwrap_or_else(|_| {
            Err(Failed::later(format!(
                "it was not taken within {DEADLINE:?}"
            )))
        });
        let age = self.app.clock.now_millis() - notice.created_at;
        let is_old = PATIENCE.as_millis() < u128::try_from(age).unwrap_or(0);
        let (outcome, wait) = match sent {
            Ok(()) => {
                tracing::info!("told");
                ("delivered", None)
            }
            Err(failed) if failed.again && !is_old => {
                let wait = failed
                    .wait
                    .unwrap_or_else(|| wait_after(notice.attempt).min(LONGEST_WAIT));
                let (why, attempt) = (failed.why, notice.attempt);
                tracing::warn!(why, attempt, ?wait, "cannot tell a channel; trying again");
                ("retried", Some(wait))
            }
            Err(failed) => {
                tracing::error!(why = failed.why, "cannot tell a channel; given up");
                ("given_up", None)
            }
        };
        ::metrics::counter!(
            "serin_notifications_total",
            "channel" => notice.channel.clone(),
            "outcome" => outcome,
        )
        .increment(1);
        let storage = &self.app.storage;
        let noted = || async {
            match wait {
                Some(wait) => storage.put_off_notice(notice, wait).await,
                None => storage.settle_notice(notice).await,
            }
        };
        outbox::note(noted).await;
    }

    async fn send(&self, notice: &DueNotice) -> Result<(), Failed> {
        let Some(door) = self.doors.get(&notice.channel) else {
            // A replica with another configuration may have it.
            let why = "no channel of that name is configured here";
            return Err(Failed::later(why.to_owned()));
        };
        let message = match notice.kind {
            Kind::Canary => {
                self.message::<CanaryExecutionStatusResponse>(notice)
                    .await?
            }
            Kind::Analysis => {
                self.message::<CanaryAnalysisExecutionStatusResponse>(notice)
                    .await?
            }
            Kind::Comparison => return Ok(()),
        };
        match door {
            Door::Slack(url) => self.tell_slack(url, message).await,
            Door::Teams(url) => self.post(url, &message, &teams::body(&message)).await,
            Door::Webhook(hook) => {
                let seconds = self.app.clock.now_millis() / 1_000;
                hook.send(&self.http, &message, seconds).await
            }
            Door::Email(email) => email::send(email, &message, notice.created_at).await,
        }
    }

    /// Everything that is told of an execution, as it stands now.
    async fn message<E: Execution>(&self, notice: &DueNotice) -> Result<Message> {
        let storage = &self.app.storage;
        let id = Id::parse(&notice.execution_id)?;
        let found = storage.execution::<E>(&notice.storage_account, &id).await?;
        let document: E = serde_json::from_slice(&found.body)
            .map_err(|cause| Error::Internal(format!("cannot read an execution: {cause}")))?;
        let public_url = self.app.config.server.public_url.as_deref();
        let told = document.told();
        let mut message = Message::of(notice, &told, public_url);
        if let (Some(url), Some((chart, title))) = (public_url, chart_of(notice, &told)) {
            let token = storage.chart_token(&chart).await?;
            let url = format!("{url}/ui/charts/{token}.png");
            message.chart = Some(Chart { url, title });
        }
        Ok(message)
    }

    /// Slack fetches the chart first, and refuses a message whose chart it cannot reach.
    async fn tell_slack(&self, url: &Given, mut message: Message) -> Result<(), Failed> {
        let sent = self.post(url, &message, &slack::body(&message)).await;
        match sent {
            Err(failed) if !failed.again && message.chart.take().is_some() => {
                tracing::warn!(
                    why = failed.why,
                    "Slack refuses; telling it without a chart"
                );
                self.post(url, &message, &slack::body(&message)).await
            }
            sent => sent,
        }
    }

    async fn post(&self, url: &Given, message: &Message, body: &Value) -> Result<(), Failed> {
        let mut headers = idempotency(&message.id);
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        post::send(&self.http, Method::POST, url, headers, body.to_string()).await
    }
}

impl Sender for Notifier {
    type Due = DueNotice;

    fn app(&self) -> &App {
        &self.app
    }

    fn woken(&self) -> &Notify {
        &self.app.storage.noticed
    }

    async fn claim(&self, most: usize) -> Result<Vec<DueNotice>> {
        self.app.storage.claim_notices(LEASE, most).await
    }

    async fn deliver(&self, notice: DueNotice) {
        let span = tracing::info_span!(
            "notification",
            execution.id = notice.execution_id,
            channel = notice.channel,
            event = notice.event.as_str(),
        );
        self.tell(&notice).instrument(span).await;
    }
}
