//! `${variable}` expansion, shared by every source.

use std::collections::HashMap;

use super::MetricRequest;
use super::{library, promql};
use crate::canary::{CanaryConfig, CanaryMetricConfig};
use crate::error::{Error, Result};

/// Values that refer to each other can double with every step; no filter needs this much, whatever the
/// configuration says.
const MAX_EXPANDED_BYTES: usize = 1 << 20;

/// What the request gives without being asked to.
pub const IMPLICIT: [&str; 4] = ["scope", "location", "resourceType", "project"];

/// The expanded template of a metric, inline or named; empty without one.
pub fn custom_filter(request: &MetricRequest<'_>) -> Result<String> {
    match of(request.config, request.metric)? {
        Some(template) => expand(&template, &bindings(request)),
        None => Ok(String::new()),
    }
}

/// The template of a metric, inline or named, with its variables in it.
///
/// # Errors
/// `Invalid` when the template that it names is not there.
pub fn of(config: &CanaryConfig, metric: &CanaryMetricConfig) -> Result<Option<String>> {
    let Some(query) = &metric.query else {
        return Ok(None);
    };
    let refuses = super::language(query.kind()).is_none_or(super::Language::refuses_custom_filter);
    if refuses && query.text("customFilter").is_some() {
        return Err(Error::Invalid(
            "CanaryMetricSetQueryConfig.customFilter is deprecated, use \
             CanaryMetricSetQueryConfig.customInlineTemplate instead."
                .to_owned(),
        ));
    }
    let name = query.text("customFilterTemplate");
    let template = match (query.inline_template(), name) {
        (Some((_, template)), _) => template,
        (None, Some(name)) if !name.is_empty() => named(config, query.kind(), &name)?,
        (None, _) => return Ok(None),
    };
    // Kayenta's engine wants `${` escaped in what it stores, so both spellings come in.
    Ok(Some(template.replace("$\\{", "${")))
}

/// The config's own templates come first: one may have the name of one of the library.
fn named(config: &CanaryConfig, kind: &str, name: &str) -> Result<String> {
    let templates = config.templates.as_ref();
    if let Some(template) = templates.and_then(|templates| templates.get(name)) {
        return Ok(template.clone());
    }
    if name.starts_with(library::PREFIX) {
        return library::text(kind, name);
    }
    Err(Error::Invalid(match templates {
        Some(templates) if !templates.is_empty() => {
            format!("Custom filter template '{name}' was not found.")
        }
        _ => format!(
            "Custom filter template '{name}' was referenced, but no templates were defined."
        ),
    }))
}

/// `${name}` or `${name:-default}` in a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable<'a> {
    pub name: &'a str,
    pub default: Option<&'a str>,
}

/// What a query whose text is longer than `limit` is told.
pub fn too_long(limit: usize) -> String {
    format!("the text of the query is longer than {limit} bytes (limits.queryText)")
}

/// At least as long is what a template expands to, whatever its variables stand for.
pub fn least_length(template: &str) -> usize {
    let variables = variables(template);
    let without = variables.fold(template.len(), |left, variable| {
        let default = variable.default.map_or(0, |default| 2 + default.len());
        left - "${}".len() - variable.name.len() - default
    });
    // `$${` stands for `${`, and the prefix is not sent.
    let escapes = template.matches("$${").count();
    without.saturating_sub(escapes + promql::PREFIX.len())
}

/// What a scope must give a value to, or may.
pub fn variables(template: &str) -> impl Iterator<Item = Variable<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find("${")?;
            let is_escaped = rest[..at].ends_with('$');
            rest = &rest[at + 2..];
            if is_escaped {
                continue;
            }
            let end = rest.find('}')?;
            let (name, default) = name_and_default(&rest[..end]);
            rest = &rest[end + 1..];
            return Some(Variable { name, default });
        }
    })
}

/// Later ones override earlier ones. `project` and `resourceType` of a scope are scope parameters.
pub fn bindings(request: &MetricRequest<'_>) -> HashMap<String, String> {
    let query = request.metric.query.as_ref();
    let resource_type = query.and_then(|query| query.text("resourceType"));
    let own = [
        ("scope", request.scope.scope.clone()),
        ("location", request.scope.location.clone()),
        ("resourceType", resource_type),
    ];
    let own = own.into_iter().filter_map(|(name, value)| {
        let value = value.filter(|value| !value.is_empty())?;
        Some((name.to_owned(), value))
    });
    let params = request.scope.extended_scope_params.iter().flatten();
    own.chain(params.map(|(name, value)| (name.clone(), value.clone())))
        .collect()
}

/// Replaces `${name}` and `${name:-default}`; `$${` stands for `${`.
pub fn expand(template: &str, bindings: &HashMap<String, String>) -> Result<String> {
    let mut expansion = Expansion {
        bindings,
        open: Vec::new(),
        budget: MAX_EXPANDED_BYTES,
    };
    expansion.substitute(template).ok_or_else(|| {
        Error::Invalid(format!(
            "Problem evaluating custom filter template: {template}"
        ))
    })
}

struct Expansion<'a> {
    bindings: &'a HashMap<String, String>,
    /// The variables whose values are being expanded; one that comes again is a cycle.
    open: Vec<String>,
    budget: usize,
}

impl Expansion<'_> {
    /// `None`: a variable is undefined or contains itself.
    fn substitute(&mut self, text: &str) -> Option<String> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            expanded.push_str(&rest[..at]);
            let tail = &rest[at + 2..];
            if expanded.ends_with('$') {
                expanded.pop();
                expanded.push_str("${");
                rest = tail;
                continue;
            }
            let Some(end) = tail.find('}') else {
                expanded.push_str(&rest[at..]);
                return Some(expanded);
            };
            expanded.push_str(&self.value(&tail[..end])?);
            rest = &tail[end + 1..];
        }
        expanded.push_str(rest);
        Some(expanded)
    }

    fn value(&mut self, expression: &str) -> Option<String> {
        let (name, default) = name_and_default(expression);
        if self.open.iter().any(|open| open == name) {
            return None;
        }
        let value = self.bindings.get(name).map(String::as_str).or(default)?;
        self.budget = self.budget.checked_sub(1 + value.len())?;
        self.open.push(name.to_owned());
        let expanded = self.substitute(value);
        self.open.pop();
        expanded
    }
}

/// A `${` before the delimiter makes all of it the name, which nothing is bound to.
pub fn name_and_default(expression: &str) -> (&str, Option<&str>) {
    match expression.split_once(":-") {
        Some((name, default)) if !name.contains("${") => (name, Some(default)),
        _ => (expression, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(template: &str) -> Option<String> {
        let bindings = [
            ("scope", "web"),
            ("location", "eu"),
            ("empty", ""),
            ("indirect", "<${scope}>"),
            ("escaping", "$${scope}"),
            ("dollar", "a$"),
            ("self", "${self}"),
            ("ping", "${pong}"),
            ("pong", "${ping}"),
        ];
        let bindings = bindings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        expand(template, &HashMap::from(bindings)).ok()
    }

    #[test]
    fn variables_expand_as_in_kayenta() {
        let cases = [
            ("", Some("")),
            ("version=\"${scope}\"", Some("version=\"web\"")),
            ("${scope}-${location}", Some("web-eu")),
            ("${nosuch}", None),
            ("${nosuch:-dflt}", Some("dflt")),
            ("${nosuch:-}", Some("")),
            ("${nosuch:-a:-b}", Some("a:-b")),
            ("${scope:-dflt}", Some("web")),
            ("${empty:-dflt}", Some("")),
            ("${indirect}", Some("<web>")),
            ("${self}", None),
            ("${ping}", None),
            ("$${scope}", Some("${scope}")),
            ("$$${scope}", Some("$${scope}")),
            ("$${scope} ${scope}", Some("${scope} web")),
            ("${escaping}", Some("${scope}")),
            // What a value ends with escapes what follows it, as it does in Kayenta's substitutor.
            ("${dollar}${scope}", Some("a${scope}")),
            ("${unclosed", Some("${unclosed")),
            ("${scope} ${unclosed", Some("web ${unclosed")),
            ("$scope", Some("$scope")),
            ("$$", Some("$$")),
            ("{{x}}", Some("{{x}}")),
            ("${ scope }", None),
            ("${}", None),
            ("${${scope}}", None),
            ("${${scope}:-x}", None),
            ("${x:-${scope}}", Some("${scope}")),
            ("ä${scope}ö", Some("äwebö")),
        ];
        for (template, expected) in cases {
            assert_eq!(expanded(template).as_deref(), expected, "{template}");
        }
    }

    #[test]
    fn variables_are_those_that_are_replaced() {
        let cases = [
            ("", vec![]),
            (
                "a{b=\"${scope}\"}[${w:-1m}]",
                vec![("scope", None), ("w", Some("1m"))],
            ),
            ("$${scope} ${ x }", vec![(" x ", None)]),
            ("${unclosed", vec![]),
        ];
        for (template, expected) in cases {
            let found: Vec<_> = variables(template)
                .map(|variable| (variable.name, variable.default))
                .collect();
            assert_eq!(found, expected, "{template}");
        }
    }

    #[test]
    fn a_template_is_at_least_as_long_as_what_stands_in_it() {
        let cases = [
            ("", 0),
            ("PromQL:up", 2),
            ("PromQL:up{a=\"${scope}\",b=\"${w:-1m}\"}", 13),
            ("PromQL:$${x}", 4),
        ];
        for (template, expected) in cases {
            assert_eq!(least_length(template), expected, "{template}");
            let sent = expanded(template);
            let sent = sent.as_deref().map_or(usize::MAX, |sent| {
                sent.len() - "PromQL:".len().min(sent.len())
            });
            assert!(expected <= sent, "{template}: {sent}");
        }
    }

    #[test]
    fn values_that_double_end_in_an_error() {
        let doubling = |last: &str| {
            let mut bindings: HashMap<String, String> = (0..40)
                .map(|i| (format!("v{i}"), format!("${{v{0}}}${{v{0}}}", i + 1)))
                .collect();
            bindings.insert("v40".to_owned(), last.to_owned());
            expand("${v0}", &bindings)
        };
        for last in ["", "x"] {
            assert!(doubling(last).is_err(), "{last:?}");
        }
    }
}
