//! `${variable}` expansion, shared by every source.

use std::borrow::Cow;

use super::MetricRequest;
use super::{library, promql};
use crate::canary::{CanaryConfig, CanaryMetricConfig};
use crate::error::{Error, Result};

/// Of a template, and of all values that one query puts in: they can refer to each other, and double with
/// every step. No query needs this much, whatever the configuration says.
pub const MAX_BYTES: usize = 1 << 20;

/// How often a query puts a value in, and how many values lie within each other.
const MAX_VALUES: usize = 10_000;
const MAX_DEPTH: usize = 100;

/// What the request gives without being asked to.
pub const IMPLICIT: [&str; 4] = ["scope", "location", "resourceType", "project"];

/// The expanded template of a metric, inline or named; empty without one.
pub fn custom_filter(request: &MetricRequest<'_>) -> Result<String> {
    match of(request.config, request.metric)? {
        Some(template) => Expansion::of(request).expand(&template),
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
    if MAX_BYTES < template.len() {
        return Err(Error::Invalid(format!(
            "the template of a query is longer than {MAX_BYTES} bytes"
        )));
    }
    Ok(Some(unescaped(&template)))
}

/// Kayenta's engine wants `${` escaped in what it stores, so both spellings come in.
pub fn unescaped(template: &str) -> String {
    template.replace("$\\{", "${")
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

/// What the variables of one query stand for, and how much of that may still be put in.
pub struct Expansion<'a> {
    request: MetricRequest<'a>,
    /// What the language of the query gives itself; it comes before all others.
    own: Vec<(&'static str, Cow<'a, str>)>,
    left: Left,
}

struct Left {
    /// Of what is made.
    text: usize,
    /// Of the values on the way to that.
    bytes: usize,
    values: usize,
}

impl<'a> Expansion<'a> {
    /// Parameters of a scope come first. Its `project` and `resourceType` are such.
    pub fn of(request: &MetricRequest<'a>) -> Self {
        Self {
            request: *request,
            own: Vec::new(),
            left: Left {
                text: request.longest + promql::PREFIX.len(),
                bytes: MAX_BYTES,
                values: MAX_VALUES,
            },
        }
    }

    /// With a value that comes before all others.
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'a, str>>) -> Self {
        self.own.push((name, value.into()));
        self
    }

    pub fn value(&self, name: &str) -> Option<Cow<'a, str>> {
        let scope = self.request.scope;
        if let Some((_, value)) = self.own.iter().find(|(own, _)| *own == name) {
            return Some(value.clone());
        }
        let params = scope.extended_scope_params.as_ref();
        if let Some(value) = params.and_then(|params| params.get(name)) {
            return Some(value.into());
        }
        let own = match name {
            "scope" => scope.scope.as_deref().map(Cow::Borrowed),
            "location" => scope.location.as_deref().map(Cow::Borrowed),
            "resourceType" => {
                let query = self.request.metric.query.as_ref()?;
                query.text("resourceType").map(Cow::Owned)
            }
            _ => None,
        };
        own.filter(|value| !value.is_empty())
    }

    /// Replaces `${name}` and `${name:-default}`; `$${` stands for `${`.
    ///
    /// # Errors
    /// `Invalid` when a variable stands for nothing or contains itself, or when too much would be put in, all
    /// templates of the query together.
    pub fn expand(&mut self, template: &str) -> Result<String> {
        let expanded = self.substitute(template, &mut Vec::new());
        let expanded = expanded.map_err(|why| {
            Error::Invalid(match why {
                Stopped::Unknown => {
                    format!("Problem evaluating custom filter template: {template}")
                }
                Stopped::TooLong => too_long(self.request.longest),
            })
        })?;
        self.left.text -= expanded.len();
        Ok(expanded)
    }

    /// `open` are the variables whose values are being expanded; one that comes again is a cycle.
    fn substitute(&mut self, text: &str, open: &mut Vec<String>) -> Result<String, Stopped> {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            self.push(&mut expanded, &rest[..at])?;
            let tail = &rest[at + 2..];
            if expanded.ends_with('$') {
                expanded.pop();
                self.push(&mut expanded, "${")?;
                rest = tail;
                continue;
            }
            let Some(end) = tail.find('}') else {
                rest = &rest[at..];
                break;
            };
            let value = self.expanded_value(&tail[..end], open)?;
            self.push(&mut expanded, &value)?;
            rest = &tail[end + 1..];
        }
        self.push(&mut expanded, rest)?;
        Ok(expanded)
    }

    fn push(&self, expanded: &mut String, text: &str) -> Result<(), Stopped> {
        if self.left.text < expanded.len() + text.len() {
            return Err(Stopped::TooLong);
        }
        expanded.push_str(text);
        Ok(())
    }

    fn expanded_value(
        &mut self,
        expression: &str,
        open: &mut Vec<String>,
    ) -> Result<String, Stopped> {
        let (name, default) = name_and_default(expression);
        if open.len() == MAX_DEPTH || open.iter().any(|open| open == name) {
            return Err(Stopped::Unknown);
        }
        let value = self.value(name).or(default.map(Cow::Borrowed));
        let value = value.ok_or(Stopped::Unknown)?;
        let left = &mut self.left;
        let bytes = left.bytes.checked_sub(value.len());
        left.bytes = bytes.ok_or(Stopped::TooLong)?;
        left.values = left.values.checked_sub(1).ok_or(Stopped::TooLong)?;
        open.push(name.to_owned());
        let expanded = self.substitute(&value, open)?;
        open.pop();
        Ok(expanded)
    }
}

/// Why a template is not expanded.
enum Stopped {
    /// A variable is undefined or contains itself.
    Unknown,
    TooLong,
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
    use crate::canary::CanaryScope;

    const LONGEST: usize = 20_000;

    /// With a scope `web` in `eu` that has these parameters.
    fn expanded_with(template: &str, params: Vec<(String, String)>) -> Result<String> {
        let scope = CanaryScope {
            scope: Some("web".to_owned()),
            location: Some("eu".to_owned()),
            extended_scope_params: Some(params.into_iter().collect()),
            ..CanaryScope::default()
        };
        let request = MetricRequest {
            config: &CanaryConfig::default(),
            metric: &CanaryMetricConfig::default(),
            scope: &scope,
            longest: LONGEST,
            is_reused: true,
        };
        Expansion::of(&request).expand(template)
    }

    fn expanded(template: &str) -> Option<String> {
        let params = [
            ("empty", ""),
            ("indirect", "<${scope}>"),
            ("escaping", "$${scope}"),
            ("dollar", "a$"),
            ("self", "${self}"),
            ("ping", "${pong}"),
            ("pong", "${ping}"),
        ];
        let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
        expanded_with(template, params.into()).ok()
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
    fn no_values_make_much_of_little() {
        let doubling = |last: &str| {
            let doubled = (0..40).map(|i| (format!("v{i}"), format!("${{v{0}}}${{v{0}}}", i + 1)));
            let last = ("v40".to_owned(), last.to_owned());
            doubled.chain([last]).collect::<Vec<_>>()
        };
        let chained = |length: usize| {
            let chained = (1..length).map(|i| (format!("v{i}"), format!("${{v{}}}", i + 1)));
            let ends = [("v0", "${v1}".to_owned()), ("end", "x".to_owned())];
            let ends = ends.map(|(name, value)| (name.to_owned(), value));
            let last = (format!("v{length}"), "x".to_owned());
            ends.into_iter()
                .chain(chained)
                .chain([last])
                .collect::<Vec<_>>()
        };
        let of = |value: String| vec![("v0".to_owned(), value)];
        let cases = [
            ("doubled", "${v0}".to_owned(), doubling("x"), false),
            (
                "doubled to nothing",
                "${v0}".to_owned(),
                doubling(""),
                false,
            ),
            (
                "within each other",
                "${v0}".to_owned(),
                chained(MAX_DEPTH - 1),
                true,
            ),
            ("too deep", "${v0}".to_owned(), chained(MAX_DEPTH), false),
            ("far too deep", "${v0}".to_owned(), chained(100_000), false),
            (
                "as long as may be",
                "${v0}".to_owned(),
                of("x".repeat(LONGEST)),
                true,
            ),
            (
                "too long",
                "${v0}${v0}".to_owned(),
                of("x".repeat(LONGEST)),
                false,
            ),
            ("often", "${v0}".repeat(MAX_VALUES), of(String::new()), true),
            (
                "too often",
                "${v0}".repeat(MAX_VALUES + 1),
                of(String::new()),
                false,
            ),
        ];
        for (name, template, params, is_taken) in cases {
            let expanded = expanded_with(&template, params);
            assert_eq!(expanded.is_ok(), is_taken, "{name}");
        }
    }
}
