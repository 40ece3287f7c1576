//! A request to an HTTP API for one metric of one side.

use std::fmt::Write;

use serde_json::Value;

use super::filling::{Filling, Values, scalar_text};
use super::places::Places;
use crate::canary::{CanaryMetricSetQueryConfig, CanaryScope, Instant};
use crate::error::Result;
use crate::metrics::keyed::invalid;
use crate::metrics::range::Range;
use crate::metrics::template;
use crate::metrics::{MetricRequest, query_of_kind};

pub const KIND: &str = "http";

const MOST_PARAMETERS: usize = 100;

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// As it is shown.
    pub text: String,
    pub path: String,
    pub parameters: Vec<(String, String)>,
    pub method: Method,
    pub places: Places,
    pub range: Range,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Get,
    /// A body of that content type.
    Post(&'static str, String),
}

pub fn asked(request: &MetricRequest<'_>) -> Result<Asked> {
    made(request, &Range::of(request.scope)?, Values::Given)
}

/// Where a config is only looked at, there is no time yet, and values are made up.
pub fn looked_at(request: &MetricRequest<'_>) -> Result<Asked> {
    let at = |seconds| Instant(jiff::Timestamp::from_second(seconds).unwrap_or_default());
    let CanaryScope {
        start, end, step, ..
    } = *request.scope;
    let range = Range {
        start: start.unwrap_or_else(|| at(0)),
        end: end.unwrap_or_else(|| at(3_600)),
        step: step.or(Some(60)),
    };
    made(request, &range, Values::MadeUp)
}

fn made(request: &MetricRequest<'_>, range: &Range, values: Values) -> Result<Asked> {
    let query = query_of_kind(request, KIND)?;
    let places = Places::of(query);
    let places = places.map_err(|(member, why)| invalid(request, &format!("'{member}' {why}")))?;
    let Some(path) = query.text("path").filter(|path| !path.is_empty()) else {
        let why = "'path' is missing: what is asked for, below the address of the account";
        return Err(invalid(request, why));
    };
    let mut filling = Filling::of(request, range, values);
    let (path, shown) = filling.path(&template::unescaped(&path))?;
    let mut parameters = Vec::new();
    for (name, value) in parameters_of(request, query)? {
        parameters.push((name, filling.text(&value)?));
    }
    let body = body_of(request)?;
    let method = match (query.text("method").as_deref(), body) {
        (None | Some("GET"), None) => Method::Get,
        (None | Some("POST"), Some((_, body))) => {
            let kind = content_type(request, query)?;
            let text = match kind {
                JSON => filling.json(&body_text(&body))?,
                FORM => filling.form(&body)?,
                _ => filling.text(&template::unescaped(&body_text(&body)))?,
            };
            Method::Post(kind, text)
        }
        (Some("POST"), None) => Method::Post(content_type(request, query)?, String::new()),
        (Some("GET"), Some(_)) => {
            return Err(invalid(request, "'method' is GET, which has no body"));
        }
        (Some(other), _) => {
            let why = format!("'method' is '{other}', and must be GET or POST");
            return Err(invalid(request, &why));
        }
    };
    Ok(Asked {
        text: text(&shown, &parameters, &method),
        path,
        parameters,
        method,
        places,
        range: *range,
    })
}

/// Line by line.
fn text(path: &str, parameters: &[(String, String)], method: &Method) -> String {
    let (word, body) = match method {
        Method::Get => ("GET", ""),
        Method::Post(_, body) => ("POST", body.as_str()),
    };
    let mut text = format!("{word} {path}");
    for (name, value) in parameters {
        let _ = write!(text, "\n{name}={value}");
    }
    if !body.is_empty() {
        let _ = write!(text, "\n\n{body}");
    }
    text
}

fn parameters_of(
    request: &MetricRequest<'_>,
    query: &CanaryMetricSetQueryConfig,
) -> Result<Vec<(String, String)>> {
    let wrong = |why: &str| Err(invalid(request, &format!("'parameters' {why}")));
    let members = match query.value("parameters") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(members)) if members.len() <= MOST_PARAMETERS => members,
        Some(Value::Object(_)) => return wrong(&format!("are more than {MOST_PARAMETERS}")),
        Some(_) => return wrong("must be an object of texts by name"),
    };
    let mut parameters = Vec::new();
    for (name, value) in members {
        match scalar_text(value) {
            Some(text) => parameters.push((name.clone(), template::unescaped(&text))),
            None => return wrong(&format!("have '{name}', which must be a text or a number")),
        }
    }
    Ok(parameters)
}

/// And the member where it stands; with none, that of the template.
pub fn body_of(request: &MetricRequest<'_>) -> Result<Option<(&'static str, Value)>> {
    let query = query_of_kind(request, KIND)?;
    match query.value("body") {
        None | Some(Value::Null) => {
            let template = template::of(request.config, request.metric)?;
            Ok(template.map(|text| ("", text.into())))
        }
        Some(body) => Ok(Some(("body", body.clone()))),
    }
}

pub fn body_text(body: &Value) -> String {
    match body {
        Value::String(text) => text.clone(),
        body => body.to_string(),
    }
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const CONTENT_TYPES: [&str; 3] = [JSON, FORM, "text/plain"];

fn content_type(
    request: &MetricRequest<'_>,
    query: &CanaryMetricSetQueryConfig,
) -> Result<&'static str> {
    let Some(given) = query.text("contentType").filter(|it| !it.is_empty()) else {
        return Ok(JSON);
    };
    let found = CONTENT_TYPES.into_iter().find(|known| *known == given);
    found.ok_or_else(|| {
        let known = CONTENT_TYPES.join("', '");
        let why = format!("'contentType' is '{given}', and must be one of '{known}'");
        invalid(request, &why)
    })
}
