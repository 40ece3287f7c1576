//! `/flagger/{hook}`: the webhooks of Flagger, which start an analysis of a canary and ask for its
//! verdict. `docs/flagger.md` has the table of answers.

mod hook;
mod metadata;

use std::fmt;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::examples;
use super::problem::Problem;
use super::refusal::{About, Logged};
use super::request::parse;
use super::sentence::short;
use super::stored_config;
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    CanaryAnalysisExecutionRequest, CanaryAnalysisExecutionStatusResponse, Execution,
};
use crate::config::AccountType::{ConfigurationStore, ObjectStore};
use crate::config::nearest;
use crate::error::{Error, Result};
use crate::run::{Admission, ForFlagger, asked, cancel_unasked, check_analysis, start};
use crate::storage::{FlaggerKey, FlaggerRun, FlaggerState};
use hook::{Answer, Deed, Hook, Standing, decide};
use metadata::{CLUSTER, Described, Target};

/// How long `rollback` keeps its answer, should Flagger not have heard it.
const ROLLED_BACK_FOR: i64 = 10 * 60 * 1000;

/// A name in Kubernetes has 253 characters at most.
const LONGEST_NAME: usize = 253;

/// What Flagger sends.
#[derive(Debug, Deserialize, ToSchema)]
pub struct FlaggerPayload {
    #[serde(default)]
    #[schema(example = "podinfo")]
    name: String,
    #[serde(default)]
    #[schema(example = "test")]
    namespace: String,
    /// Tells one revision of the canary from the next.
    #[serde(default)]
    checksum: String,
    /// Describe the analysis; all values are texts.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    metadata: Option<IndexMap<String, Value>>,
}

/// Answer a webhook of Flagger
///
/// The first one of a revision starts the analysis that its metadata describe. 200: it may go on;
/// for `rollback`: roll back. 403: it may not, and the body is the sentence that says why.
#[utoipa::path(post, path = "/flagger/{hook}", tag = "delivery",
    params(("hook" = String, Path, description = "`confirm-rollout`, `pre-rollout`, `rollout`, `confirm-traffic-increase`, `confirm-promotion`, `rollback`, `post-rollout` or `event`")),
    request_body(content = FlaggerPayload, example = json!(examples::flagger_payload())),
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 400, body = String, content_type = "text/plain", description = "the metadata are wrong"),
        (status = 403, body = String, content_type = "text/plain", description = "it may not go on, or who asks may not; the body says why"),
        (status = 404, body = String, content_type = "text/plain", description = "no such hook, or no such canary config"),
        (status = 503, body = String, content_type = "text/plain", description = "the database is away, or too many wait"),
    ))]
pub async fn answer_flagger_hook(
    State(app): State<App>,
    caller: Caller,
    Path(name): Path<String>,
    about: About,
    body: Bytes,
) -> Response {
    match answer(&app, &caller, &name, &about, &body).await {
        Ok((Answer::Yes, told)) => (StatusCode::OK, told).into_response(),
        Ok((Answer::No, told)) => (StatusCode::FORBIDDEN, Extension(Logged), told).into_response(),
        Err(error) => in_words(error),
    }
}

/// Flagger shows the body of a refusal as it is.
fn in_words(error: Error) -> Response {
    let problem = Problem::from(error);
    let told = short(&problem.message);
    let mut response = problem.into_response();
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.map(|_| told.into())
}

async fn answer(
    app: &App,
    caller: &Caller,
    name: &str,
    about: &About,
    body: &[u8],
) -> Result<(Answer, String)> {
    app.seen_by(caller).may_judge()?;
    let hook = Hook::parse(name).ok_or_else(|| Error::NotFound(unknown(name)))?;
    if hook == Hook::Event {
        return Ok((Answer::Yes, "Noted".to_owned()));
    }
    let payload: FlaggerPayload = parse(body)?;
    about.tell(&format!("{}/{}", payload.namespace, payload.name));
    let metadata = texts(&payload)?;
    let revision = Revision {
        key: key(caller, &payload, &metadata)?,
        caller,
        target: Target {
            namespace: &payload.namespace,
            name: &payload.name,
        },
    };
    let mut seen = match hook {
        Hook::ConfirmRollout => Seen::none(None),
        _ => look(app, &revision).await?,
    };
    // What closes a run is heard whatever its metadata say.
    if hook.describes() {
        let described = Described::read(&metadata, revision.target, app.clock.now_millis())?;
        if matches!(seen.standing, Standing::None | Standing::RolledBack) {
            seen = begin(app, hook, &revision, described, seen).await?;
        }
    }
    let (answer, deed) = decide(hook, seen.standing);
    if let Some(run) = &seen.run {
        let close = async |state| {
            let seen = app.seen_by(caller);
            seen.close_flagger_run(&revision.key, run, state).await?;
            cancel_unasked(app, &caller.into(), &run.id).await
        };
        match deed {
            Deed::Nothing => {}
            Deed::Close => close(FlaggerState::Closed).await?,
            Deed::RollBack => close(FlaggerState::RolledBack).await?,
        }
    }
    let told = seen.sentence(app);
    tracing::info!(
        hook = hook.as_str(),
        canary = revision.to_string(),
        ?answer,
        told,
        "answered Flagger"
    );
    Ok((answer, told))
}

/// One revision of a canary.
struct Revision<'a> {
    key: FlaggerKey,
    caller: &'a Caller,
    target: Target<'a>,
}

/// As pages show it.
impl fmt::Display for Revision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FlaggerKey {
            namespace,
            name,
            checksum,
        } = &self.key;
        let own = of_caller(self.caller);
        let namespace = namespace.strip_prefix(&own).unwrap_or(namespace);
        write!(f, "flagger:{namespace}/{name}@{checksum}")
    }
}

/// What is known of a revision.
struct Seen {
    standing: Standing,
    /// Why.
    told: String,
    run: Option<FlaggerRun>,
}

impl Seen {
    fn none(run: Option<FlaggerRun>) -> Self {
        Self {
            standing: Standing::None,
            told: "No analysis was started for this revision".to_owned(),
            run,
        }
    }

    fn sentence(&self, app: &App) -> String {
        let Self { told, run, .. } = self;
        match (run, &app.config.server.public_url) {
            (None, _) => told.clone(),
            (Some(run), None) => format!("{told} (analysis {})", run.id),
            (Some(run), Some(serin)) => format!("{told} ({serin}/ui/analyses/{})", run.id),
        }
    }
}

async fn look(app: &App, revision: &Revision<'_>) -> Result<Seen> {
    let seen = app.seen_by(revision.caller);
    let Some(run) = seen.flagger_run(&revision.key).await? else {
        return Ok(Seen::none(None));
    };
    match run.state {
        FlaggerState::Closed => return Ok(Seen::none(None)),
        FlaggerState::RolledBack => {
            let closed_at = run.closed_at.unwrap_or(0);
            if closed_at + ROLLED_BACK_FOR < app.clock.now_millis() {
                return Ok(Seen::none(None));
            }
            return Ok(Seen {
                standing: Standing::RolledBack,
                told: "The analysis failed, and was rolled back".to_owned(),
                run: Some(run),
            });
        }
        FlaggerState::Open => {}
    }
    let found = seen
        .started::<CanaryAnalysisExecutionStatusResponse>(&run.storage_account, &run.id)
        .await;
    let found = match found {
        // Somebody deleted it, or retention did.
        Err(Error::NotFound(_)) => {
            return Ok(Seen {
                told: "The analysis was deleted".to_owned(),
                ..Seen::none(Some(run))
            });
        }
        found => found?,
    };
    seen.may_start(Some(&*found.application), [])?;
    let analysis: CanaryAnalysisExecutionStatusResponse = serde_json::from_slice(&found.body)
        .map_err(|cause| Error::Internal(format!("an analysis cannot be read: {cause}")))?;
    let told = analysis.told();
    let accepted = told.by_hand.accepted;
    let reason = match accepted {
        Some(accepted) => format!("{} ({})", accepted.sentence(), told.reason()),
        None => told.reason(),
    };
    Ok(Seen {
        standing: Standing::of(told.outcome, accepted.is_some()),
        told: short(&reason),
        run: Some(run),
    })
}

/// Starts the analysis that metadata describe, if this hook is to start it.
async fn begin(
    app: &App,
    hook: Hook,
    revision: &Revision<'_>,
    described: Option<Described>,
    seen: Seen,
) -> Result<Seen> {
    let Some(described) = described else {
        if hook.must_describe() {
            return Err(Error::Invalid(
                "the metadata must name a canary config: canaryConfigName or canaryConfigId"
                    .to_owned(),
            ));
        }
        return Ok(seen);
    };
    let (first, mut admission) = (described.start, admission(app, revision, described).await?);
    if hook < first {
        // Better now than when traffic flows.
        check_analysis(app, admission)?;
        let told = format!("The hook {} starts the analysis", first.as_str());
        return Ok(Seen {
            told,
            run: None,
            ..seen
        });
    }
    let storage_account = admission.storage_account.clone();
    let gone = seen.run.map(|run| run.id);
    let key = revision.key.clone();
    admission.flagger = Some(ForFlagger { key, gone });
    let admitted = start(app, admission).await?;
    Ok(Seen {
        standing: Standing::Running,
        told: "The analysis has begun".to_owned(),
        run: Some(FlaggerRun {
            id: admitted.id,
            storage_account,
            state: FlaggerState::Open,
            closed_at: None,
        }),
    })
}

async fn admission(
    app: &App,
    revision: &Revision<'_>,
    described: Described,
) -> Result<Admission<CanaryAnalysisExecutionRequest>> {
    let application = described.application.as_deref();
    let application = application.unwrap_or(revision.target.name);
    let mut admission = Admission::asked_by(app, revision.caller, Some(application.to_owned()))?;
    let storage = app.store(described.storage_account.as_deref(), ObjectStore)?;
    let configs = described.configuration_account.as_deref();
    let configs = app.store(configs, ConfigurationStore)?;
    let seen = app.seen_by(revision.caller);
    let (id, config) = stored_config::find(seen, configs, &described.config, application).await?;
    let notes = asked::of_config(&config);
    if !notes.is_empty() {
        return Err(Error::Invalid(notes.join("; ")));
    }
    admission.user = Some("flagger".to_owned());
    admission.parent_pipeline_execution_id = Some(revision.to_string());
    admission.canary_config_id = Some(id.to_string());
    admission.request = described.request(&config);
    admission.config = config;
    storage.clone_into(&mut admission.storage_account);
    admission.metrics_account = described.metrics_account;
    Ok(admission)
}

/// Flagger sends texts; who tries by hand may send numbers.
fn texts(payload: &FlaggerPayload) -> Result<IndexMap<String, String>> {
    let metadata = payload.metadata.iter().flatten();
    let texts = metadata.map(|(key, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => {
                return Err(Error::Invalid(format!(
                    "the value of the metadata key '{key}' must be a text"
                )));
            }
        };
        Ok((key.clone(), text))
    });
    texts.collect()
}

fn key(
    caller: &Caller,
    payload: &FlaggerPayload,
    metadata: &IndexMap<String, String>,
) -> Result<FlaggerKey> {
    let parts = [
        ("name", &payload.name),
        ("namespace", &payload.namespace),
        ("checksum", &payload.checksum),
    ];
    for (part, text) in parts {
        if text.is_empty() || LONGEST_NAME < text.len() {
            return Err(Error::Invalid(format!(
                "the member '{part}' must be a text of 1 to {LONGEST_NAME} bytes; \
                 with name, namespace and checksum Flagger tells which revision it asks for"
            )));
        }
    }
    // A namespace has no '/', so that none is taken for another.
    let namespace = match metadata.get(CLUSTER) {
        Some(cluster) if !cluster.is_empty() => {
            format!("{}/{}", short(cluster), payload.namespace)
        }
        _ => payload.namespace.clone(),
    };
    Ok(FlaggerKey {
        namespace: of_caller(caller) + &namespace,
        name: payload.name.clone(),
        checksum: payload.checksum.clone(),
    })
}

/// Before a namespace, so that nobody meets the runs of another who guesses its names.
fn of_caller(caller: &Caller) -> String {
    if !caller.is_ruled() {
        return String::new();
    }
    let own = Uuid::new_v5(&Uuid::NAMESPACE_OID, caller.name().as_bytes());
    format!("{own}/")
}

fn unknown(name: &str) -> String {
    let known = Hook::ALL.map(Hook::as_str);
    match nearest(name, &known) {
        Some(meant) => format!("there is no hook '{name}'; is '{meant}' meant?"),
        None => format!("there is no hook '{name}'; there are {}", known.join(", ")),
    }
}
