//! `/ui/configs/new`, `/ui/configs/{id}/edit`, `copy` and `propose`: one editor, which checks as one types.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Form, Json};
use serde::Serialize;
use serde_json::{Map, Value};

use super::diff::{self, Line};
use super::{Store, applications, check_change, check_create, check_start, example, text};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{CanaryConfig, Id};
use crate::error::{Error, Result};
use crate::lint::{self, Format};
use crate::run::configs::{self, Finding, Severity};
use crate::run::learned;
use crate::ui::forms::Fields;
use crate::ui::page::Page;
use crate::ui::shell::Shell;

#[derive(Template)]
#[template(path = "config_edit.html", config = "src/ui/askama.toml")]
pub struct Editor {
    shell: Shell,
    may_start: bool,
    store: Store,
    task: Task,
    text: String,
    /// When the config was stored that the text was made from.
    seen: Option<i64>,
    findings: Vec<Told>,
    /// What is stored, where the text is a proposal of something else.
    stored: Option<String>,
    /// Of the queries in the text.
    kinds: Vec<String>,
    /// Why it was not stored, though nothing is wrong with the text.
    refusal: Option<Refusal>,
}

enum Task {
    New,
    Copy(Id),
    Edit(Id),
}

struct Refusal {
    message: String,
    /// What is stored by now, where somebody else was faster.
    stored: Option<i64>,
}

/// A finding as a page or its script shows it.
#[derive(Debug, Serialize)]
pub struct Told {
    severity: &'static str,
    path: String,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
}

impl From<Finding> for Told {
    fn from(finding: Finding) -> Self {
        Self {
            severity: match finding.severity {
                Severity::Refused => "error",
                Severity::Unusable => "warning",
            },
            path: finding.fault.path.to_string(),
            line: finding.position.map(|position| position.line),
            column: finding.position.map(|position| position.column),
            message: finding.fault.words(),
        }
    }
}

impl From<lint::Finding> for Told {
    fn from(finding: lint::Finding) -> Self {
        Self {
            severity: match finding.severity {
                lint::Severity::Error => "warning",
                lint::Severity::Warning => "note",
            },
            path: finding.path,
            line: finding.line,
            column: finding.column,
            message: format!("{} — {}", finding.sentence, finding.fix),
        }
    }
}

/// The config of a text, and what keeps it from being stored or judged by, then what else should be
/// known of it.
async fn examined(app: &App, caller: &Caller, written: &str) -> (Option<CanaryConfig>, Vec<Told>) {
    let format = Format::of(written);
    let Some(text) = lint::one(written, format) else {
        return (None, unreadable(app, written));
    };
    let (config, mut refusals) = configs::examine(&app.config, text.json());
    if format == Format::Yaml {
        for refusal in &mut refusals {
            refusal.position = text.position(&refusal.fault.path);
        }
    }
    let mut given = lint::Given::default();
    if let Some(config) = &config {
        given.calibrated = learned::look_up(app, caller, config).await;
    }
    let doubts = lint::doubts(&app.config, &text, &given);
    let refusals = refusals.into_iter().map(Told::from);
    let findings = refusals.chain(doubts.into_iter().map(Told::from)).collect();
    (config, findings)
}

/// Why a text in YAML has no config, or not one alone.
fn unreadable(app: &App, yaml: &str) -> Vec<Told> {
    let found = lint::lint(&app.config, yaml, Format::Yaml, &lint::Given::default());
    let told = found.into_iter().map(|finding| Told {
        severity: "error",
        ..finding.into()
    });
    let mut told: Vec<Told> = told.collect();
    if told.is_empty() {
        told.push(Told {
            severity: "error",
            path: String::new(),
            line: None,
            column: None,
            message: "there are several configs in it; one is wanted".to_owned(),
        });
    }
    told
}

pub async fn begin(
    State(app): State<App>,
    caller: Caller,
    Query(address): Query<Fields>,
) -> Result<Page<Editor>> {
    let store = Store::of(&app, &address)?;
    check_create(&caller)?;
    let text = example::of(&app, address.given("type"))?;
    Ok(Page(
        Editor::new(&app, &caller, store, Task::New, text).await,
    ))
}

pub async fn copy(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
) -> Result<Page<Editor>> {
    let (store, id) = (Store::of(&app, &address)?, Id::parse(&id)?);
    check_create(&caller)?;
    let mut config = app.seen_by(&caller).canary_config(&store.name, &id).await?;
    config.name = Some(format!("{}-copy", config.name.unwrap_or_default()));
    let text = editable(&config)?;
    Ok(Page(
        Editor::new(&app, &caller, store, Task::Copy(id), text).await,
    ))
}

pub async fn open(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
) -> Result<Page<Editor>> {
    let (store, id) = (Store::of(&app, &address)?, Id::parse(&id)?);
    let config = app.seen_by(&caller).canary_config(&store.name, &id).await?;
    check_change(&app, &caller, applications(&config))?;
    let mut editor = Editor::new(&app, &caller, store, Task::Edit(id), editable(&config)?).await;
    editor.seen = config.updated_timestamp;
    Ok(Page(editor))
}

/// A text that somebody may want to save, with what would change.
pub async fn propose(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
    Form(fields): Form<Fields>,
) -> Result<Page<Editor>> {
    let (store, id) = (Store::of(&app, &address)?, Id::parse(&id)?);
    let stored = app.seen_by(&caller).canary_config(&store.name, &id).await?;
    check_change(&app, &caller, applications(&stored))?;
    let text = fields.lines("config").trim_end().to_owned();
    let text = text::turned(&text, Format::Json).unwrap_or(text);
    let mut editor = Editor::new(&app, &caller, store, Task::Edit(id), text).await;
    editor.seen = stored.updated_timestamp;
    editor.stored = Some(editable(&stored)?);
    Ok(Page(editor))
}

pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Query(address): Query<Fields>,
    Form(fields): Form<Fields>,
) -> Result<Response> {
    let store = Store::of(&app, &address)?;
    check_create(&caller)?;
    let text = fields.lines("config");
    let Ok(config) = configs::read(&app.config, &text::json(&text)) else {
        return Ok(Editor::new(&app, &caller, store, Task::New, text)
            .await
            .come_back());
    };
    match configs::create(&app, &caller, &store.name, config).await {
        Ok(id) => Ok(Redirect::to(&store.address(id.as_str())).into_response()),
        Err(error) => Editor::new(&app, &caller, store, Task::New, text)
            .await
            .refuse(error, None),
    }
}

pub async fn save(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
    Form(fields): Form<Fields>,
) -> Result<Response> {
    let (store, id) = (Store::of(&app, &address)?, Id::parse(&id)?);
    app.seen_by(&caller).may_change_configs()?;
    let text = fields.lines("config");
    let seen = fields.given("overwrite").or(fields.given("seen"));
    let seen = seen.and_then(|millis| millis.parse().ok());
    let read = configs::read(&app.config, &text::json(&text));
    let mut editor = Editor::new(&app, &caller, store, Task::Edit(id.clone()), text).await;
    editor.seen = seen;
    let Ok(mut config) = read else {
        return Ok(editor.come_back());
    };
    // The address says which one it is.
    config.id = Some(id.to_string());
    let account = &editor.store.name;
    match configs::replace_known(&app, &caller, account, &id, config, seen).await {
        Ok(()) => Ok(Redirect::to(&editor.store.address(id.as_str())).into_response()),
        Err(error @ Error::Changed(_)) => {
            let stored = app.seen_by(&caller).canary_config(account, &id).await?;
            editor.refuse(error, stored.updated_timestamp)
        }
        Err(error) => editor.refuse(error, None),
    }
}

/// What is to be said of the text of an editor.
#[derive(Debug, Serialize)]
pub struct Checked {
    findings: Vec<Told>,
    /// The same config in the format that was asked for, if it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

pub async fn check(
    State(app): State<App>,
    caller: Caller,
    Form(fields): Form<Fields>,
) -> Json<Checked> {
    let written = fields.lines("config");
    let turned = match fields.text("into") {
        "json" => text::turned(&written, Format::Json),
        "yaml" => text::turned(&written, Format::Yaml),
        _ => None,
    };
    Json(Checked {
        findings: examined(&app, &caller, &written).await.1,
        text: turned,
    })
}

impl Editor {
    async fn new(app: &App, caller: &Caller, store: Store, task: Task, text: String) -> Self {
        let (config, findings) = examined(app, caller, &text).await;
        let metrics = config
            .iter()
            .flat_map(|config| config.metrics.iter().flatten());
        let queries = metrics.filter_map(|metric| metric.query.as_ref());
        Self {
            shell: Shell::of(caller),
            may_start: check_start(caller, &[]).is_ok(),
            kinds: queries.map(|query| query.kind().to_owned()).collect(),
            findings,
            store,
            task,
            text,
            seen: None,
            refusal: None,
            stored: None,
        }
    }

    /// With what is wrong with the text.
    fn come_back(self) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, Page(self)).into_response()
    }

    /// With why the store did not take it. Nothing that was written is lost.
    fn refuse(mut self, error: Error, stored: Option<i64>) -> Result<Response> {
        if let Error::Internal(_) = error {
            return Err(error);
        }
        let message = error.to_string();
        let status = error.into_response().status();
        self.refusal = Some(Refusal { message, stored });
        Ok((status, Page(self)).into_response())
    }

    /// A new config with queries of that kind.
    fn begin(&self, kind: &str) -> String {
        let more = if self.store.query.is_empty() {
            '?'
        } else {
            '&'
        };
        format!("/ui/configs/new{}{more}type={kind}", self.store.query)
    }

    /// Whether a query of the text is of that kind.
    fn asks(&self, kind: &str) -> bool {
        self.kinds.iter().any(|own| own == kind)
    }

    /// What the text would change of what is stored.
    fn changes(&self) -> Option<Vec<Line<'_>>> {
        let stored = self.stored.as_deref()?;
        Some(diff::of(stored, &self.text))
    }

    /// The worst of what is told.
    fn state(&self) -> &'static str {
        let told = |severity: &&str| self.findings.iter().any(|told| told.severity == *severity);
        let worst = ["error", "warning", "note"].into_iter().find(told);
        worst.unwrap_or("fine")
    }
}

/// A config without what serin writes itself.
pub fn editable(config: &CanaryConfig) -> Result<String> {
    let unwritable = |cause| Error::storage("a canary config cannot be written", cause);
    let mut document = serde_json::to_value(config).map_err(unwritable)?;
    if let Some(members) = document.as_object_mut() {
        for own in [
            "id",
            "createdTimestamp",
            "updatedTimestamp",
            "createdTimestampIso",
            "updatedTimestampIso",
        ] {
            members.shift_remove(own);
        }
    }
    let metrics = document.get_mut("metrics").and_then(Value::as_array_mut);
    for metric in metrics.into_iter().flatten() {
        let query = metric.get_mut("query").and_then(Value::as_object_mut);
        query.and_then(|query: &mut Map<_, _>| query.shift_remove("serviceType"));
    }
    serde_json::to_string_pretty(&document).map_err(unwritable)
}
