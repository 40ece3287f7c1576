//! Queries for the golden signals of what commonly stands before a service, by name: a metric whose
//! `customFilterTemplate` is `serin:istio/error-ratio` needs no query of its own.

use serde_json::{Map, Value, json};

use super::promql;
use super::template::{Variable, variables};
use super::{LANGUAGES, Language, MetricRequest};
use crate::config;
use crate::error::{Error, Result};

/// What the names begin with. Kayenta refuses a name that the config has no template of, so no
/// config means something else by these.
pub const PREFIX: &str = "serin:";

/// A query with `${…}` where a scope fills it in.
#[derive(Clone, Debug)]
pub struct Template {
    pub name: String,
    /// The type of the queries that can name it.
    pub kind: &'static str,
    pub signal: Signal,
    pub says: String,
    /// What must be there for it; empty where its name says that.
    pub needs: &'static str,
    /// As a config would hold it.
    pub text: String,
    /// What its query has beside the text.
    pub members: &'static [(&'static str, &'static str)],
    /// What its variables mean.
    pub meanings: &'static [(&'static str, &'static str)],
}

/// What a template tells of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Errors,
    Latency,
    Traffic,
    Saturation,
}

impl Template {
    /// A metric to begin with, which is no part of the library.
    pub fn example(
        kind: &'static str,
        signal: Signal,
        name: &str,
        members: &'static [(&'static str, &'static str)],
        text: String,
    ) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            signal,
            says: String::new(),
            needs: "",
            text,
            members,
            meanings: &[],
        }
    }

    /// Each once, in the order of the query.
    pub fn variables(&self) -> Vec<Variable<'_>> {
        let mut all: Vec<Variable<'_>> = Vec::new();
        for variable in variables(&self.text) {
            if !all.contains(&variable) {
                all.push(variable);
            }
        }
        all
    }

    pub fn meaning(&self, variable: &str) -> &'static str {
        let mut meanings = self.meanings.iter();
        let found = meanings.find(|(name, _)| *name == variable);
        found.map_or("", |(_, meaning)| meaning)
    }

    /// The text without what tells a config how to take it.
    pub fn query(&self) -> &str {
        self.text.strip_prefix(promql::PREFIX).unwrap_or(&self.text)
    }

    /// A whole metric of a config, which needs neither the library nor serin.
    pub fn metric(&self) -> Value {
        let mut query = Map::new();
        query.insert("type".to_owned(), self.kind.into());
        for (member, text) in self.members {
            query.insert((*member).to_owned(), (*text).into());
        }
        if !self.text.is_empty() {
            query.insert("customInlineTemplate".to_owned(), self.text.clone().into());
        }
        let (group, canary) = match self.signal {
            // Where nothing failed, most sources have no series of failures.
            Signal::Errors => (
                "Errors",
                json!({"direction": "increase", "nanStrategy": "replace"}),
            ),
            Signal::Latency => ("Latency", json!({"direction": "increase"})),
            Signal::Traffic => ("Traffic", json!({"direction": "either"})),
            Signal::Saturation => ("Saturation", json!({"direction": "increase"})),
        };
        let (_, name) = self.name.rsplit_once('/').unwrap_or(("", &self.name));
        json!({
            "name": name, "query": query, "groups": [group],
            "analysisConfigurations": {"canary": canary}, "scopeName": "default",
        })
    }
}

/// Templates of one thing that is measured.
pub struct Group {
    pub name: &'static str,
    /// Selects one side; it stands for `<side>` in their texts.
    pub side: &'static str,
    pub needs: &'static str,
    pub shapes: &'static [Shape],
}

pub struct Shape {
    pub signal: Signal,
    pub name: &'static str,
    pub says: &'static str,
    pub text: &'static str,
    pub members: &'static [(&'static str, &'static str)],
}

/// The templates of groups, in their order.
pub fn of_groups(
    kind: &'static str,
    groups: &'static [Group],
    meanings: &'static [(&'static str, &'static str)],
) -> Vec<Template> {
    let of_group = |group: &'static Group| {
        let shapes = group.shapes.iter();
        shapes.map(move |shape| Template {
            name: format!("{PREFIX}{}/{}", group.name, shape.name),
            kind,
            signal: shape.signal,
            says: shape.says.to_owned(),
            needs: group.needs,
            text: filled(shape.text, &[("side", group.side)]),
            members: shape.members,
            meanings,
        })
    };
    groups.iter().flat_map(of_group).collect()
}

/// All of them, by the kind of their queries.
pub fn all() -> Vec<Template> {
    LANGUAGES
        .into_iter()
        .flat_map(Language::templates)
        .collect()
}

/// The text of the template that a query names.
///
/// # Errors
/// `Invalid` when there is none, or when it is one for queries of another type.
pub fn text(kind: &str, name: &str) -> Result<String> {
    let all = all();
    let of_name = all.iter().find(|template| template.name == name);
    let advice = match of_name {
        Some(template) if template.kind == kind => return Ok(template.text.clone()),
        Some(template) => format!(
            "that of this name is for queries of type '{}'",
            template.kind
        ),
        None => {
            let of_kind = all.iter().filter(|template| template.kind == kind);
            let names: Vec<&str> = of_kind.map(|template| template.name.as_str()).collect();
            config::nearest(name, &names).map_or_else(
                || "'serin templates' lists them".to_owned(),
                |near| format!("did you mean '{near}'?"),
            )
        }
    };
    Err(Error::Invalid(format!(
        "there is no template '{name}' for queries of type '{kind}' in serin's library; {advice}"
    )))
}

/// What the template that a query names gives to another of its members.
pub fn member(request: &MetricRequest<'_>, member: &str) -> Option<&'static str> {
    let query = request.metric.query.as_ref()?;
    let name = query.text("customFilterTemplate")?;
    let own = request.config.templates.as_ref();
    let is_own = own.is_some_and(|templates| templates.contains_key(&name));
    if is_own || !name.starts_with(PREFIX) || query.inline_template().is_some() {
        return None;
    }
    let templates = super::language(query.kind())?.templates().into_iter();
    let template = templates.into_iter().find(|it| it.name == name)?;
    let mut members = template.members.iter();
    let (_, text) = members.find(|(known, _)| *known == member)?;
    Some(text)
}

/// The shape with `<name>` replaced by its part.
pub fn filled(shape: &str, parts: &[(&str, &str)]) -> String {
    let mut text = shape.to_owned();
    for (name, part) in parts {
        text = text.replace(&format!("<{name}>"), part);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn every_variable_has_a_meaning_and_one_default() {
        for template in all() {
            let mut defaults = BTreeMap::new();
            for variable in template.variables() {
                let meaning = template.meaning(variable.name);
                assert_ne!(meaning, "", "{} {variable:?}", template.name);
                let before = defaults.insert(variable.name, variable.default);
                assert_eq!(before, None, "{} {variable:?}", template.name);
            }
            assert_eq!(defaults.get("scope"), Some(&None), "{}", template.name);
            // What is to be filled in, which no comparison is.
            let mut parts = template.text.split('<').skip(1);
            let is_filled = parts.all(|part| !part.starts_with(|it: char| it.is_ascii_lowercase()));
            assert!(is_filled, "{}", template.text);
        }
    }

    #[test]
    fn every_kind_has_each_golden_signal_and_every_name_is_there_once() {
        let names: BTreeSet<String> = all().into_iter().map(|template| template.name).collect();
        assert_eq!(names.len(), all().len());
        // Their queries name no template.
        let without = ["graphite", "influxdb", "wavefront", "atlas", "http"];
        let naming = LANGUAGES.into_iter();
        for language in naming.filter(|language| !without.contains(&language.kind())) {
            let signals = [Signal::Errors, Signal::Latency, Signal::Saturation];
            for signal in signals {
                let mut templates = language.templates().into_iter();
                let found = templates.any(|it| it.signal == signal && it.kind == language.kind());
                assert!(found, "{} {signal:?}", language.kind());
            }
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest_of_its_kind() {
        let cases = [
            (
                "prometheus",
                "serin:istio/latncy",
                "did you mean 'serin:istio/latency'?",
            ),
            (
                "prometheus",
                "serin:envoy/errors",
                "'serin templates' lists them",
            ),
            (
                "stackdriver",
                "serin:istio/latency",
                "that of this name is for queries of type 'prometheus'",
            ),
        ];
        for (kind, name, advice) in cases {
            let told = text(kind, name).unwrap_err().to_string();
            assert!(told.ends_with(advice), "{told}");
        }
    }
}
