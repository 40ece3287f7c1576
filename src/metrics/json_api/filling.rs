//! What a scope puts into a request: into one part of the path, one value of a parameter, one string of a
//! body, and nothing beside them.

use serde::de::IgnoredAny;
use serde_json::Value;
use url::form_urlencoded;

use crate::canary::Instant;
use crate::config::leads_elsewhere;
use crate::error::Result;
use crate::http::escaped;
use crate::metrics::MetricRequest;
use crate::metrics::keyed::invalid;
use crate::metrics::quoted::{self, Quoting};
use crate::metrics::range::Range;
use crate::metrics::template::{self, Expansion, variables};

/// What begins the window, what ends it, and what parts it.
pub const STARTS: [&str; 5] = [
    "startEpochSeconds",
    "startEpochMillis",
    "startEpochMicros",
    "startEpochNanos",
    "startIso",
];
pub const ENDS: [&str; 5] = [
    "endEpochSeconds",
    "endEpochMillis",
    "endEpochMicros",
    "endEpochNanos",
    "endIso",
];
const STEPS: [&str; 3] = ["step", "stepMillis", "stepMinutes"];
pub const OWN: [&str; 13] = [
    STARTS[0], STARTS[1], STARTS[2], STARTS[3], STARTS[4], ENDS[0], ENDS[1], ENDS[2], ENDS[3],
    ENDS[4], STEPS[0], STEPS[1], STEPS[2],
];

/// Of the query languages that go into a string.
const QUOTING: Quoting = Quoting {
    quotes: "'\"`",
    comment: None,
    has_braces: false,
    never: "\\",
    way_back: None,
};

/// Whose values these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    Given,
    /// Nobody's: a config is only looked at.
    MadeUp,
}

pub struct Filling<'a> {
    request: MetricRequest<'a>,
    range: Range,
    values: Values,
    expansion: Expansion<'a>,
}

impl<'a> Filling<'a> {
    pub fn of(request: &MetricRequest<'a>, range: &Range, values: Values) -> Self {
        let mut expansion = Expansion::of(request);
        for (names, at) in [(STARTS, range.start), (ENDS, range.end)] {
            for (name, text) in names.into_iter().zip(written(at)) {
                expansion = expansion.with(name, text);
            }
        }
        if let Some(step) = range.step.filter(|step| 0 < *step) {
            expansion = expansion
                .with(STEPS[0], step.to_string())
                .with(STEPS[1], step.saturating_mul(1000).to_string());
            if step % 60 == 0 {
                expansion = expansion.with(STEPS[2], (step / 60).to_string());
            }
        }
        Self {
            request: *request,
            range: *range,
            values,
            expansion,
        }
    }

    /// What is sent and what is shown of it.
    pub fn path(&mut self, template: &str) -> Result<(String, String)> {
        self.check_steps(template)?;
        let (mut sent, mut shown) = (String::new(), String::new());
        let mut rest = template;
        while let Some((before, (expression, after))) = rest
            .split_once("${")
            .and_then(|(before, after)| Some((before, after.split_once('}')?)))
        {
            let value = self.expansion.expand(&format!("${{{expression}}}"))?;
            if value.is_empty() {
                let (name, _) = template::name_and_default(expression);
                let why =
                    format!("the value of '{name}' is empty, and would be a part of the 'path'");
                return Err(self.invalid(&why));
            }
            sent.push_str(before);
            sent.extend(escaped(&value));
            shown.push_str(before);
            shown.push_str(&value);
            rest = after;
        }
        sent.push_str(rest);
        shown.push_str(rest);
        match leads_elsewhere(&sent) {
            Some(why) => Err(self.invalid(&format!("'path' is '{sent}', which {why}"))),
            None => Ok((sent, shown)),
        }
    }

    /// Where values stand in quotes, they do not end them.
    pub fn text(&mut self, template: &str) -> Result<String> {
        self.check_steps(template)?;
        let text = self.expansion.expand(template)?;
        quoted::check_template(&self.request, template, &QUOTING)?;
        Ok(text)
    }

    /// Values within strings become a part of the string; what stands outside of them is a number.
    pub fn json(&mut self, template: &str) -> Result<String> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some(at) = rest.find(['"', '$']) {
            filled.push_str(&rest[..at]);
            rest = &rest[at..];
            if rest.starts_with('"') {
                let (string, after) = rest.split_at(end_of_string(rest));
                // One that is none stays as it is, and makes the whole no JSON.
                match serde_json::from_str::<String>(string) {
                    Ok(text) => {
                        let text = self.text(&template::unescaped(&text))?;
                        filled.push_str(&Value::from(text).to_string());
                    }
                    Err(_) => filled.push_str(string),
                }
                rest = after;
            } else if let Some((expression, after)) =
                rest.strip_prefix("${").and_then(|it| it.split_once('}'))
            {
                filled.push_str(&self.scalar(expression)?);
                rest = after;
            } else {
                filled.push('$');
                rest = &rest[1..];
            }
        }
        filled.push_str(rest);
        match serde_json::from_str::<IgnoredAny>(&filled) {
            Ok(_) => Ok(filled),
            Err(cause) => Err(self.invalid(&format!(
                "'body' is no JSON, which its 'contentType' says: {cause}"
            ))),
        }
    }

    /// Each value is one of the form.
    pub fn form(&mut self, body: &Value) -> Result<String> {
        let pairs: Vec<(String, String)> = match body {
            Value::String(text) => form_urlencoded::parse(text.as_bytes())
                .into_owned()
                .collect(),
            Value::Object(members) => {
                let texts = members.iter();
                let texts = texts.map(|(name, value)| Some((name.clone(), scalar_text(value)?)));
                let texts: Option<Vec<_>> = texts.collect();
                texts.ok_or_else(|| self.invalid("'body' has a value that is no text"))?
            }
            _ => return Err(self.invalid("'body' of a form is an object of texts by name")),
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in pairs {
            form.append_pair(&name, &self.text(&template::unescaped(&value))?);
        }
        Ok(form.finish())
    }

    /// A number, `true`, `false` or `null`.
    fn scalar(&mut self, expression: &str) -> Result<String> {
        let template = format!("${{{expression}}}");
        self.check_steps(&template)?;
        let value = self.expansion.expand(&template)?;
        let is_scalar = serde_json::from_str::<Value>(&value)
            .is_ok_and(|value| !value.is_string() && !value.is_array() && !value.is_object());
        match (is_scalar, self.values) {
            (true, _) => Ok(value),
            (false, Values::MadeUp) => Ok(Value::from(value).to_string()),
            (false, Values::Given) => {
                let (name, _) = template::name_and_default(expression);
                Err(self.invalid(&format!(
                    "the value of '{name}' is no number, and 'body' has it outside of quotes"
                )))
            }
        }
    }

    fn check_steps(&self, template: &str) -> Result<()> {
        let mut variables = variables(template);
        let missing = variables.find(|variable| {
            STEPS.contains(&variable.name)
                && variable.default.is_none()
                && self.expansion.value(variable.name).is_none()
        });
        let Some(missing) = missing else {
            return Ok(());
        };
        let name = missing.name;
        Err(self.invalid(&match self.range.step {
            Some(step) if 0 < step => {
                format!("${{{name}}} is a number of whole minutes, and the step is {step} s")
            }
            _ => format!("the scope has no 'step', which ${{{name}}} is made of"),
        }))
    }

    fn invalid(&self, why: &str) -> crate::error::Error {
        invalid(&self.request, why)
    }
}

/// As the names say.
fn written(at: Instant) -> [String; 5] {
    let millis = at.as_millis();
    [
        millis.div_euclid(1000).to_string(),
        millis.to_string(),
        millis.saturating_mul(1_000).to_string(),
        millis.saturating_mul(1_000_000).to_string(),
        at.to_string(),
    ]
}

/// Of a string of JSON that begins a text, behind its closing quote.
fn end_of_string(text: &str) -> usize {
    let mut letters = text.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return at + 1,
            '\\' => drop(letters.next()),
            _ => {}
        }
    }
    text.len()
}

/// As a template.
pub fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::canary::{CanaryConfig, CanaryMetricConfig, CanaryScope};

    /// With a scope of that name, and whatever fills.
    fn filled<T>(scope: &str, fill: impl Fn(&mut Filling<'_>) -> Result<T>) -> Result<T, String> {
        let scope: CanaryScope = serde_json::from_value(json!({
            "scope": scope, "location": "eu", "start": "2024-06-01T00:00:00Z", "end": "2024-06-01T01:00:00Z",
            "step": 90, "extendedScopeParams": {"least": "5", "many": "1, \"x\": 2", "empty": "", "two": "${scope}"},
        }))
        .unwrap();
        let request = MetricRequest {
            config: &CanaryConfig::default(),
            metric: &CanaryMetricConfig::default(),
            scope: &scope,
            longest: 1000,
            is_reused: true,
        };
        let range = Range::of(&scope).unwrap();
        let mut filling = Filling::of(&request, &range, Values::Given);
        fill(&mut filling).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_is_one_part_of_a_path() {
        let path = |template: &str, scope: &str| {
            filled(scope, |filling| filling.path(template)).map(|(sent, _)| sent)
        };
        let fine = [
            ("/a/${scope}/b", "v2", "/a/v2/b"),
            ("/a-${scope}", "x/y", "/a-x%2Fy"),
            ("/${scope}", "//evil", "/%2F%2Fevil"),
            ("/${scope}", "http://evil?a#b", "/http%3A%2F%2Fevil%3Fa%23b"),
            ("/${scope}", "@evil", "/%40evil"),
            ("/${two}/${location}", "v2", "/v2/eu"),
            ("/${startEpochSeconds}/x", "", "/1717200000/x"),
        ];
        for (template, scope, expected) in fine {
            assert_eq!(path(template, scope).as_deref(), Ok(expected), "{scope}");
        }
        let refused = [
            ("/${scope}/x", "..", "could lead elsewhere"),
            ("/.${scope}/x", ".", "could lead elsewhere"),
            ("/${scope}", "../x", "could lead elsewhere"),
            ("/${scope}", "%2e%2e", "could lead elsewhere"),
            ("/${scope}", "..\\x", "could lead elsewhere"),
            ("/${scope}", "a\r\nHost: evil", "could lead elsewhere"),
            ("${scope}", "http://evil", "must begin with '/'"),
            ("/a/${empty}/b", "v2", "the value of 'empty' is empty"),
            ("/a?x=${scope}", "v2", "holds '?'"),
            (
                "/${stepMinutes}",
                "v2",
                "whole minutes, and the step is 90 s",
            ),
        ];
        for (template, scope, expected) in refused {
            let told = path(template, scope).unwrap_err();
            assert!(told.contains(expected), "{template} {scope}: {told}");
        }
    }

    #[test]
    fn a_value_is_one_string_of_a_body() {
        let json = |template: &str, scope: &str| filled(scope, |it| it.json(template));
        let fine = [
            (r#"{"v": "${scope}"}"#, "v2", r#"{"v": "v2"}"#),
            (
                r#"{"v": "a ${scope}"}"#,
                r#"x", "y": "\"#,
                r#"{"v": "a x\", \"y\": \"\\"}"#,
            ),
            (r#"{"${scope}": 1}"#, "a\"b", r#"{"a\"b": 1}"#),
            (r#"{"a\"${scope}": [1]}"#, "v", r#"{"a\"v": [1]}"#),
            (
                r#"{"from": ${startEpochSeconds}, "n": ${least:-1}, "m": ${most:-null}}"#,
                "",
                r#"{"from": 1717200000, "n": 5, "m": null}"#,
            ),
            (
                r#"{"q": "v = '${scope}' $$"}"#,
                "v2",
                r#"{"q": "v = 'v2' $$"}"#,
            ),
        ];
        for (template, scope, expected) in fine {
            assert_eq!(json(template, scope).as_deref(), Ok(expected), "{template}");
        }
        let refused = [
            (r#"{"v": ${scope}}"#, "v2", "'scope' is no number"),
            (r#"{"v": ${many}}"#, "v2", "'many' is no number"),
            (r#"{"v": ${scope}}"#, r#""v2""#, "'scope' is no number"),
            (r#"{"v": "${scope}"#, "v2", "'body' is no JSON"),
            (r#"{"v": '${least}'}"#, "v2", "'body' is no JSON"),
            (r#"{"v": 1} {}"#, "v2", "'body' is no JSON"),
            (r#"{"q": "v = '${scope}'"}"#, "' OR ''='", "holds a '"),
            (r#"{"q": "v:\"${scope}\""}"#, "\" OR \"", "holds a \""),
            (r#"{"q": "v:\"${scope}\""}"#, "\\", "holds a \\"),
        ];
        for (template, scope, expected) in refused {
            let told = json(template, scope).unwrap_err();
            assert!(told.contains(expected), "{template} {scope}: {told}");
        }
    }

    #[test]
    fn a_value_is_one_of_a_form() {
        let body = [
            json!({"query": "a ${scope}", "start": "${startIso}", "n": 1}),
            json!("query=a+${scope}&start=${startIso}&n=1"),
        ];
        for body in body {
            let form = filled("x&y=1", |filling| filling.form(&body));
            let expected = "query=a+x%26y%3D1&start=2024-06-01T00%3A00%3A00Z&n=1";
            assert_eq!(form.as_deref(), Ok(expected));
        }
        let told = filled("v2", |filling| filling.form(&json!({"a": [1]}))).unwrap_err();
        assert!(told.contains("no text"), "{told}");
    }
}
