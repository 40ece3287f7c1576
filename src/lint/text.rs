//! The text of a config, and where its values stand in it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use saphyr::{LoadableYamlNode, MarkedYamlOwned};
use serde::Deserialize;
use serde_json::Value;

use super::wrapped::{self, Document, Wrapper};
use super::{Code, Finding, Given};
use crate::canary::fault::Step;
use crate::canary::{Path, Position};

/// How a config is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
}

impl Format {
    /// Of a text that does not come from a file whose name says it.
    pub fn of(written: &str) -> Self {
        match written.trim_start_matches('\u{feff}').trim_start() {
            text if text.is_empty() || text.starts_with(['{', '[', '"']) => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// A config, and the text that it stands in.
pub struct Text {
    json: String,
    /// Where in the text.
    root: Path,
    is_quoted: bool,
    /// What surrounds it asks for a canary so often, in minutes.
    interval: Option<i64>,
    marks: Marks,
}

/// What tells where a value stands.
#[derive(Clone)]
enum Marks {
    Json(Arc<str>),
    Yaml(Option<Arc<MarkedYamlOwned>>),
}

impl Text {
    /// The configs of a text, which may be a request, a stage or a manifest.
    pub fn read(written: &str, format: Format) -> Result<Vec<Self>, Finding> {
        let written = written.trim_start_matches('\u{feff}');
        if format == Format::Json {
            return match serde_json::from_str(written) {
                Ok(value) => Self::within(&value, &Marks::Json(written.into())),
                // Its reader tells what is wrong.
                Err(_) => Ok(vec![Self::config(written)]),
            };
        }
        let values = values(written)?;
        // Whoever comes here has no aliases that grow without end: they have been expanded.
        let marked = MarkedYamlOwned::load_from_str(written).unwrap_or_default();
        let mut marked = marked.into_iter();
        let (mut texts, mut without) = (Vec::new(), None);
        let is_one = values.len() == 1;
        for value in values {
            let marks = Marks::Yaml(marked.next().map(Arc::new));
            if value.is_null() && !is_one {
                continue;
            }
            match Self::within(&value, &marks) {
                Ok(found) => texts.extend(found),
                Err(finding) => without = without.or(Some(finding)),
            }
        }
        match without {
            Some(finding) if texts.is_empty() => Err(finding),
            _ => Ok(texts),
        }
    }

    /// A text in JSON that is nothing else.
    pub fn config(json: &str) -> Self {
        Self {
            json: json.to_owned(),
            root: Path::default(),
            is_quoted: false,
            interval: None,
            marks: Marks::Json(json.into()),
        }
    }

    fn within(value: &Value, marks: &Marks) -> Result<Vec<Self>, Finding> {
        let text = |json, root, is_quoted| Self {
            json,
            root,
            is_quoted,
            interval: None,
            marks: marks.clone(),
        };
        let wrapper = match (wrapped::document(value), marks) {
            (Document::Config, Marks::Json(written)) => return Ok(vec![Self::config(written)]),
            (Document::Config, Marks::Yaml(_)) => {
                return Ok(vec![text(value.to_string(), Path::default(), false)]);
            }
            (Document::Wrapper(wrapper), _) => wrapper,
        };
        if wrapper.configs.is_empty() {
            let place = text(String::new(), Path::default(), false).position(&Path::default());
            return Err(without_config(&wrapper, place));
        }
        let configs = wrapper.configs.into_iter();
        let configs = configs.map(|found| Self {
            interval: found.interval,
            ..text(found.config.to_string(), found.path, found.is_quoted)
        });
        Ok(configs.collect())
    }

    /// With what the text says of its canaries itself.
    pub fn given<'a>(&self, given: &'a Given) -> Cow<'a, Given> {
        match self.interval {
            Some(interval) if given.interval_minutes.is_none() => Cow::Owned(Given {
                interval_minutes: Some(interval),
                ..given.clone()
            }),
            _ => Cow::Borrowed(given),
        }
    }

    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether positions in `json` are those of the text.
    pub fn is_json(&self) -> bool {
        matches!(self.marks, Marks::Json(_)) && self.root == Path::default()
    }

    /// The way to a value from the beginning of the text.
    pub fn path(&self, path: &Path) -> Path {
        self.root.clone().then(path)
    }

    /// Where that character, from 0, of a text stands that is a value; in JSON only, where escapes tell.
    pub fn position_within(&self, path: &Path, at: usize) -> Option<Position> {
        let Marks::Json(written) = &self.marks else {
            return None;
        };
        if self.is_quoted {
            return None;
        }
        let Position { line, column } = self.position(path)?;
        let text = written.lines().nth(line - 1)?;
        let start = text.char_indices().nth(column - 1)?.0;
        let before = written_before(&text[start..], at)?;
        Some(Position {
            line,
            column: column + before,
        })
    }

    /// Where a value, or in YAML its member, begins; where it is missing, what should hold it.
    pub fn position(&self, path: &Path) -> Option<Position> {
        let path = if self.is_quoted {
            self.root.clone()
        } else {
            self.path(path)
        };
        match &self.marks {
            Marks::Json(written) => path.position(written),
            Marks::Yaml(yaml) => yaml.as_deref().map(|yaml| marked(yaml, &path)),
        }
    }
}

/// Where a member of a text in YAML begins, which must have been read before; where it is missing,
/// what should hold it.
pub fn position_in_yaml(written: &str, path: &Path) -> Option<Position> {
    let documents = MarkedYamlOwned::load_from_str(written).ok()?;
    Some(marked(documents.first()?, path))
}

fn marked(yaml: &MarkedYamlOwned, path: &Path) -> Position {
    let (mut node, mut start) = (yaml, yaml.span.start);
    for step in path.steps() {
        let inner = match step {
            Step::Member(name) => node.data.as_mapping().and_then(|members| {
                let is_meant = |key: &MarkedYamlOwned| key.data.as_str() == Some(name);
                let (key, value) = members.iter().find(|(key, _)| is_meant(key))?;
                Some((value, key.span.start))
            }),
            Step::Element(at) => node.data.as_sequence().and_then(|elements| {
                let element = elements.get(*at)?;
                Some((element, element.span.start))
            }),
        };
        let Some(inner) = inner else { break };
        (node, start) = inner;
    }
    Position {
        line: start.line(),
        column: start.col() + 1,
    }
}

/// How many characters of JSON come before that one of a text, with its quote; none beyond its end.
fn written_before(json: &str, at: usize) -> Option<usize> {
    let mut letters = json.strip_prefix('"')?.chars();
    let mut count = 1;
    for _ in 0..at {
        count += match letters.next()? {
            '"' => return None,
            '\\' if letters.clone().next()? == 'u' => {
                let code: String = letters.by_ref().skip(1).take(4).collect();
                // Two of them are one letter.
                match u32::from_str_radix(&code, 16) {
                    Ok(0xD800..=0xDBFF) => 6 + letters.by_ref().take(6).count(),
                    _ => 6,
                }
            }
            '\\' => 1 + letters.by_ref().take(1).count(),
            _ => 1,
        };
    }
    Some(count)
}

/// Of every document; an empty text is one.
fn values(yaml: &str) -> Result<Vec<Value>, Finding> {
    let wrong = |error: yaml_serde::Error| unreadable(error.location().as_ref(), &error);
    let mut values = Vec::new();
    for document in yaml_serde::Deserializer::from_str(yaml) {
        let mut value = yaml_serde::Value::deserialize(document).map_err(wrong)?;
        value.apply_merge().map_err(wrong)?;
        values.push(serde_json::to_value(value).map_err(|error| unreadable(None, &error))?);
    }
    if values.iter().any(|value| !value.is_null()) {
        return Ok(values);
    }
    Ok(vec![Value::Null])
}

fn without_config(wrapper: &Wrapper, place: Option<Position>) -> Finding {
    let what = &wrapper.what;
    let (sentence, fix) = match &wrapper.named {
        Some(name) => (
            format!("this is {what} that names the canary config '{name}', and has none in it"),
            format!("lint the config: serin canary-config get {name} --server URL > config.json"),
        ),
        None => (
            format!("this is {what}, and there is no canary config in it"),
            "lint the file of the config".to_owned(),
        ),
    };
    Finding {
        code: Code::NoConfig,
        severity: Code::NoConfig.severity(),
        path: String::new(),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        sentence,
        fix,
    }
}

fn unreadable(location: Option<&yaml_serde::Location>, error: &dyn fmt::Display) -> Finding {
    Finding {
        code: Code::Unreadable,
        severity: Code::Unreadable.severity(),
        path: String::new(),
        line: location.map(yaml_serde::Location::line),
        column: location.map(yaml_serde::Location::column),
        sentence: format!("this is no canary config in YAML: {error}"),
        fix: "correct it there, or write JSON into a file that ends in '.json'".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_text_is_counted_as_it_is_written() {
        let cases = [
            // JSON, the character, what is written before it
            (r#""abc""#, 0, Some(1)),
            (r#""abc""#, 2, Some(3)),
            (r#""a\"b", 1"#, 2, Some(4)),
            (r#""\u00e9\ud83d\ude00x""#, 2, Some(19)),
            (r#""äb""#, 1, Some(2)),
            (r#""ab""#, 3, None),
            ("12", 0, None),
        ];
        for (json, at, expected) in cases {
            assert_eq!(written_before(json, at), expected, "{json} {at}");
        }
    }
}
