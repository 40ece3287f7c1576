//! The text of a config, and where its values stand in it.

use std::fmt;

use saphyr::{LoadableYamlNode, MarkedYamlOwned};
use serde_json::Value;

use super::{Code, Finding};
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

pub struct Text {
    json: String,
    marks: Marks,
}

/// What tells where a value stands.
enum Marks {
    /// The text itself.
    Json,
    Yaml(Option<MarkedYamlOwned>),
}

impl Text {
    pub fn read(written: &str, format: Format) -> Result<Self, Finding> {
        let written = written.trim_start_matches('\u{feff}');
        if format == Format::Json {
            return Ok(Self {
                json: written.to_owned(),
                marks: Marks::Json,
            });
        }
        let value = value(written)?;
        // Whoever comes here has no aliases that grow without end: they have been expanded.
        let marked = MarkedYamlOwned::load_from_str(written).unwrap_or_default();
        Ok(Self {
            json: value.to_string(),
            marks: Marks::Yaml(marked.into_iter().next()),
        })
    }

    pub fn json(&self) -> &str {
        &self.json
    }

    /// Whether positions in `json` are those of the text.
    pub fn is_json(&self) -> bool {
        matches!(self.marks, Marks::Json)
    }

    /// Where a value, or in YAML its member, begins; where it is missing, what should hold it.
    pub fn position(&self, path: &Path) -> Option<Position> {
        let yaml = match &self.marks {
            Marks::Json => return path.position(&self.json),
            Marks::Yaml(yaml) => yaml.as_ref()?,
        };
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
        Some(Position {
            line: start.line(),
            column: start.col() + 1,
        })
    }
}

fn value(yaml: &str) -> Result<Value, Finding> {
    let wrong = |error: yaml_serde::Error| unreadable(error.location().as_ref(), &error);
    let mut value: yaml_serde::Value = yaml_serde::from_str(yaml).map_err(wrong)?;
    value.apply_merge().map_err(wrong)?;
    serde_json::to_value(value).map_err(|error| unreadable(None, &error))
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
