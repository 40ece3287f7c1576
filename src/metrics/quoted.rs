//! What a scope may put between the quotes of a query: nothing that ends them.

use super::MetricRequest;
use super::template::{self, Expansion};
use crate::error::{Error, Result};

/// Where a language keeps values apart from the rest of a query.
pub struct Quoting {
    pub quotes: &'static str,
    /// What begins a comment, which a line break ends.
    pub comment: Option<char>,
    /// Whether a value between braces may not end them.
    pub has_braces: bool,
    /// What no value may hold there, beside what ends it.
    pub never: &'static str,
    /// The key that takes values as they are.
    pub way_back: Option<&'static str>,
}

/// Refuses a query whose values could make another one of it: whoever may name a version could
/// make its metric a constant.
///
/// # Errors
/// `Invalid` with the names of the metric and the variable.
pub fn check_template(
    request: &MetricRequest<'_>,
    template: &str,
    quoting: &Quoting,
) -> Result<()> {
    let mut expansion = Expansion::of(request);
    for (name, end) in quoted(template, quoting) {
        if expansion.value(name).is_some() {
            // Values may hold variables themselves.
            let value = expansion.expand(&format!("${{{name}}}"))?;
            check_value(request, name, &value, end, quoting)?;
        }
    }
    Ok(())
}

/// Refuses a value that holds `end`, or what else could end where it stands.
///
/// # Errors
/// `Invalid` with the names of the metric and the variable.
pub fn check_value(
    request: &MetricRequest<'_>,
    name: &str,
    value: &str,
    end: char,
    quoting: &Quoting,
) -> Result<()> {
    let ends = |character: char| {
        matches!(character, '\n' | '\r')
            || end != OF_A_COMMENT && (character == end || quoting.never.contains(character))
    };
    let Some(found) = value.chars().find(|found| ends(*found)) else {
        return Ok(());
    };
    let metric = request.metric.name.as_deref().unwrap_or_default();
    let what = match found {
        '\n' | '\r' => "a line break".to_owned(),
        found => format!("a {found}"),
    };
    let place = if end == '}' {
        "between braces"
    } else {
        "between quotes or in a comment"
    };
    let way_back = quoting.way_back.map_or_else(String::new, |key| {
        format!("; {key} takes such values as they are")
    });
    Err(Error::Invalid(format!(
        "metric '{metric}': the value of '{name}' holds {what}, and its query has it {place}, which that \
         could end{way_back}"
    )))
}

/// What ends a comment.
const OF_A_COMMENT: char = '\n';

/// The variables of a template that stand within a string, braces or a comment, and what ends these.
fn quoted<'t>(template: &'t str, quoting: &Quoting) -> Vec<(&'t str, char)> {
    let mut found = Vec::new();
    let mut within: Option<char> = None;
    let mut is_comment = false;
    let mut rest = template;
    while let Some(character) = rest.chars().next() {
        if let Some(tail) = rest.strip_prefix("$${") {
            rest = tail;
            continue;
        }
        if let Some((expression, tail)) = rest.strip_prefix("${").and_then(|it| it.split_once('}'))
        {
            if let Some(end) = within.or(is_comment.then_some(OF_A_COMMENT)) {
                found.push((template::name_and_default(expression).0, end));
            }
            rest = tail;
            continue;
        }
        rest = &rest[character.len_utf8()..];
        match (within, character) {
            (_, '\n') => is_comment = false,
            _ if is_comment => {}
            (None, character) if Some(character) == quoting.comment => is_comment = true,
            (None, '{') if quoting.has_braces => within = Some('}'),
            (None, character) if quoting.quotes.contains(character) => within = Some(character),
            // What follows is escaped, but for a variable.
            (Some('"' | '\''), '\\') if !rest.starts_with("${") => {
                let escaped = rest.chars().next().map_or(0, char::len_utf8);
                rest = &rest[escaped..];
            }
            (Some(end), character) if character == end => within = None,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::{CanaryConfig, CanaryMetricConfig, CanaryScope};

    const PROMQL: Quoting = Quoting {
        quotes: "\"'`",
        comment: Some('#'),
        has_braces: false,
        never: "",
        way_back: None,
    };

    #[test]
    fn no_more_is_looked_at_than_a_query_may_hold() {
        let scope = CanaryScope {
            scope: Some("x".repeat(100)),
            ..CanaryScope::default()
        };
        let request = MetricRequest {
            config: &CanaryConfig::default(),
            metric: &CanaryMetricConfig::default(),
            scope: &scope,
            longest: 1000,
            is_reused: true,
        };
        let checked = |times: usize| {
            let template = "v=\"${scope}\",".repeat(times);
            check_template(&request, &template, &PROMQL).map_err(|error| error.to_string())
        };
        assert_eq!(checked(10), Ok(()));
        assert_eq!(checked(11), Err(template::too_long(1000)));
    }

    #[test]
    fn variables_between_quotes_are_found() {
        let cases: [(&str, &[(&str, char)]); 9] = [
            (r#"m{v="${scope}"}"#, &[("scope", '"')]),
            (
                r#"m{v=~'a-${scope:-x}.*',w="b"}[${step}]"#,
                &[("scope", '\'')],
            ),
            (r#"m{v="a\"${scope}"}"#, &[("scope", '"')]),
            (r#"m{v="a\\\\"} + ${scope}"#, &[]),
            ("m{v=`a\\`} + ${scope}", &[]),
            ("# don't\nm{v=\"${scope}\"}", &[("scope", '"')]),
            ("m # ${scope}\n + ${step}", &[("scope", '\n')]),
            (r#"m{v="$${scope}${location}"}"#, &[("location", '"')]),
            ("${scope}", &[]),
        ];
        for (template, expected) in cases {
            assert_eq!(quoted(template, &PROMQL), expected, "{template}");
        }
        let braces = Quoting {
            has_braces: true,
            ..PROMQL
        };
        let found = quoted("avg:m{a:${scope}} by {${b}}.${c}", &braces);
        assert_eq!(found, [("scope", '}'), ("b", '}')]);
    }
}
