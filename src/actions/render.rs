//! From an action to the call that is sent: its templates are written with what is known.

mod limits;

use std::sync::LazyLock;

use indexmap::IndexMap;
use minijinja::value::Serde;
use minijinja::{Environment, ErrorKind, Value as Known};
use serde::Serialize;
use serde_json::{Map, Value};

pub use limits::Budget;

use limits::{admit, frugal};

use super::Happened;
use crate::app::App;
use crate::canary::{
    Action, ActionCall, CanaryClassifierThresholdsConfig, Event, Fault, Path, Told, iso_from_millis,
};
use crate::http::escaped;
use crate::outbox::TEMPLATE;

/// How long a body may be.
const MOST_BYTES: usize = 256 * 1024;

/// How many templates an action may have.
const MOST_TEMPLATES: usize = 100;

/// How long all templates may be together that are tried for a client.
const MOST_TRIED: usize = 256 * 1024;

/// How long may be what they know.
const MOST_KNOWN: usize = 8 * 1024;

/// What templates know, by these names.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Variables {
    event: Event,
    /// Of the interval that passed.
    number: Option<u32>,
    /// The last one.
    pub score: Option<f64>,
    /// `canary` or `analysis`.
    kind: &'static str,
    execution_id: String,
    application: String,
    canary_config_id: String,
    canary_config_name: Option<String>,
    control: Option<String>,
    experiment: Option<String>,
    location: Option<String>,
    /// The `extendedScopeParams` of the experiment.
    parameters: IndexMap<String, String>,
    thresholds: Option<CanaryClassifierThresholdsConfig>,
    time: String,
    /// To the report.
    link: Option<String>,
}

impl Variables {
    pub fn of(app: &App, told: &Told<'_>, happened: &Happened) -> Self {
        let passed = happened.judgement.map(|judgement| judgement.score);
        let text = |text: Option<&str>| text.map(str::to_owned);
        let public_url = app.config.server.public_url.as_deref();
        Self {
            event: happened.event,
            number: happened.number(),
            score: passed.or(told.score),
            kind: told.kind.as_str(),
            execution_id: told.id.to_owned(),
            application: told.application.to_owned(),
            canary_config_id: told.config_id.to_owned(),
            canary_config_name: told.config.and_then(|config| config.name.clone()),
            control: text(told.sides.control.scope),
            experiment: text(told.sides.experiment.scope),
            location: text(told.sides.experiment.location),
            parameters: told.parameters.cloned().unwrap_or_default(),
            thresholds: told.thresholds,
            time: iso_from_millis(app.clock.now_millis()),
            link: public_url.map(|url| format!("{url}{}/{}", told.kind.page(), told.id)),
        }
    }
}

/// What may be spent on the templates of one request.
pub const fn budget() -> Budget {
    Budget::of("the templates that are to be tried", MOST_TRIED)
}

/// # Errors
/// Templates would have to carry more than they may.
pub fn known(action: &Action, variables: &Variables) -> Result<(), Fault> {
    let mut has_templates = false;
    each_text(action, &mut |_, text| has_templates |= is_template(text));
    let known = || serde_json::to_string(variables).map_or(0, |text| text.len());
    if has_templates && MOST_KNOWN < known() {
        let told = format!(
            "what templates know is longer than {MOST_KNOWN} bytes: shorten the scopes and their extendedScopeParams"
        );
        return Err(Fault::new(Path::default(), told));
    }
    Ok(())
}

/// # Errors
/// What cannot be written, with its place in the action.
pub fn call(action: &Action, variables: &Variables, tried: &Budget) -> Result<ActionCall, Fault> {
    let mut templates = 0;
    each_text(action, &mut |_, text| {
        templates += usize::from(is_template(text));
    });
    if MOST_TEMPLATES < templates {
        let told =
            format!("{templates} templates are too many: an action may have {MOST_TEMPLATES}");
        return Err(Fault::new(Path::default(), told));
    }
    let pen = Pen {
        variables,
        tried,
        written: Budget::of("the texts of its templates", MOST_BYTES),
    };
    let url = pen.write(&URLS, &action.url).map_err(at(Path::of("url")))?;
    let mut headers = IndexMap::new();
    for (name, template) in &action.headers {
        let path = || Path::of("headers").member(name);
        let value = pen.write(&TEXTS, template).map_err(at(path()))?;
        if value.chars().any(char::is_control) {
            return Err(Fault::new(path(), "a header is one line of text"));
        }
        headers.insert(name.clone(), value);
    }
    let (body, kind) = match (&action.merge_patch, &action.body) {
        (Some(patch), _) => (
            Some(pen.json(patch, Path::of("mergePatch"), Nulls::Refused)?),
            "application/merge-patch+json",
        ),
        (None, Some(Value::String(template))) => {
            let text = pen.write(&TEXTS, template).map_err(at(Path::of("body")))?;
            (Some(Value::String(text)), "text/plain; charset=utf-8")
        }
        (None, Some(body)) => (
            Some(pen.json(body, Path::of("body"), Nulls::Kept)?),
            "application/json",
        ),
        (None, None) => (None, ""),
    };
    let says_kind = |name: &String| name.eq_ignore_ascii_case("content-type");
    if body.is_some() && !headers.keys().any(says_kind) {
        headers.insert("Content-Type".to_owned(), kind.to_owned());
    }
    let call = ActionCall {
        method: action.method(),
        url,
        headers,
        body,
    };
    if MOST_BYTES < text(&call).len() {
        let told = format!("it is longer than {MOST_BYTES} bytes");
        return Err(Fault::new(Path::of("body"), told));
    }
    Ok(call)
}

/// The body as it is sent.
pub fn text(call: &ActionCall) -> String {
    match &call.body {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(json) => json.to_string(),
    }
}

fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}

/// What can be said of templates before anything is known.
pub fn faults(action: &Action) -> Vec<Fault> {
    let mut faults = Vec::new();
    each_text(action, &mut |path, template| {
        let compiled = || match expression(template) {
            Some(expression) => TEXTS.compile_expression(expression).map(|_| ()),
            None => TEXTS
                .template_from_named_str(TEMPLATE, template)
                .map(|_| ()),
        };
        if is_template(template)
            && let Err(cause) = admit(template).and_then(|()| compiled())
        {
            faults.push(at(path)(cause));
        }
    });
    faults
}

/// Everything that may be a template, with its place.
fn each_text(action: &Action, look: &mut impl FnMut(Path, &str)) {
    look(Path::of("url"), &action.url);
    for (name, template) in &action.headers {
        look(Path::of("headers").member(name), template);
    }
    for (member, body) in [("body", &action.body), ("mergePatch", &action.merge_patch)] {
        if let Some(body) = body {
            each_text_in(body, Path::of(member), look);
        }
    }
}

fn each_text_in(value: &Value, path: Path, look: &mut impl FnMut(Path, &str)) {
    match value {
        Value::String(template) => look(path, template),
        Value::Array(elements) => {
            for (at, element) in elements.iter().enumerate() {
                each_text_in(element, path.clone().nth(at), look);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                each_text_in(member, path.clone().member(name), look);
            }
        }
        _ => {}
    }
}

static TEXTS: LazyLock<Environment<'static>> = LazyLock::new(frugal);

/// A value is one part of the URL, whatever it holds.
static URLS: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut urls = frugal();
    urls.set_formatter(|out, _, value| {
        let text = if value.is_none() {
            "null".to_owned()
        } else {
            value.to_string()
        };
        if value.is_none() || matches!(text.as_str(), "." | "..") {
            // They would lead to something else than what is meant.
            let told = format!("'{text}' cannot be a part of a URL");
            return Err(minijinja::Error::new(ErrorKind::InvalidOperation, told));
        }
        Ok(write!(out, "{}", escaped(&text))?)
    });
    urls
});

/// What becomes of an expression without a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Kept,
    Refused,
}

/// Writes the texts of one call.
struct Pen<'a> {
    variables: &'a Variables,
    /// The templates of all calls.
    tried: &'a Budget,
    written: Budget,
}

impl Pen<'_> {
    fn write(
        &self,
        environment: &Environment<'static>,
        template: &str,
    ) -> Result<String, minijinja::Error> {
        if !is_template(template) {
            return Ok(template.to_owned());
        }
        self.admit(template)?;
        let template = environment.template_from_named_str(TEMPLATE, template)?;
        let text = template.render(Serde(self.variables))?;
        self.written.spend(text.len())?;
        Ok(text)
    }

    fn admit(&self, template: &str) -> Result<(), minijinja::Error> {
        admit(template)?;
        self.tried.spend(template.len())
    }

    /// The same JSON with its texts written.
    fn json(&self, value: &Value, path: Path, nulls: Nulls) -> Result<Value, Fault> {
        match value {
            Value::String(template) => match expression(template) {
                Some(expression) => self
                    .evaluated(template, expression, nulls)
                    .map_err(at(path)),
                None => self
                    .write(&TEXTS, template)
                    .map(Value::String)
                    .map_err(at(path)),
            },
            Value::Array(elements) => {
                let elements = elements.iter().enumerate();
                let written = elements.map(|(at, one)| self.json(one, path.clone().nth(at), nulls));
                written.collect::<Result<_, _>>().map(Value::Array)
            }
            Value::Object(members) => {
                let mut written = Map::new();
                for (name, member) in members {
                    let member = self.json(member, path.clone().member(name), nulls)?;
                    written.insert(name.clone(), member);
                }
                Ok(Value::Object(written))
            }
            value => Ok(value.clone()),
        }
    }

    fn evaluated(
        &self,
        template: &str,
        expression: &str,
        nulls: Nulls,
    ) -> Result<Value, minijinja::Error> {
        self.admit(template)?;
        let value: Known = TEXTS
            .compile_expression(expression)?
            .eval(Serde(self.variables))?;
        if value.is_undefined() {
            let told = format!("'{}' has no value", expression.trim());
            return Err(minijinja::Error::new(ErrorKind::UndefinedError, told));
        }
        let value = serde_json::to_value(&value).map_err(|cause| {
            minijinja::Error::new(ErrorKind::BadSerialization, "its value is no JSON")
                .with_source(cause)
        })?;
        if nulls == Nulls::Refused && holds_null(&value) {
            let told = format!(
                "'{}' is null, which would remove the member: only a null that is written removes it",
                expression.trim()
            );
            return Err(minijinja::Error::new(ErrorKind::InvalidOperation, told));
        }
        self.written.spend(value.to_string().len())?;
        Ok(value)
    }
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.iter().any(holds_null),
        Value::Object(members) => members.values().any(holds_null),
        _ => false,
    }
}

/// What stands in a text that is one expression and nothing else: its value is not made a text.
fn expression(template: &str) -> Option<&str> {
    let inner = template.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let is_one = !["{{", "}}", "{%", "{#"]
        .iter()
        .any(|mark| inner.contains(mark));
    let inner = inner.strip_prefix('-').unwrap_or(inner);
    is_one.then(|| inner.strip_suffix('-').unwrap_or(inner))
}

fn at(path: Path) -> impl Fn(minijinja::Error) -> Fault {
    move |cause| {
        Fault::new(
            path.clone(),
            format!("its template cannot be written: {cause}"),
        )
    }
}

#[cfg(test)]
mod tests;
