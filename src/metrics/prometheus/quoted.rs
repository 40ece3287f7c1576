//! What a scope may put between the quotes of a query: nothing that ends them.

use crate::error::{Error, Result};
use crate::metrics::{MetricRequest, template};

/// Refuses a query whose values could make another one of it: whoever may name a version could
/// make its metric a constant.
///
/// # Errors
/// `Invalid` with the names of the metric and the variable.
pub fn check(request: &MetricRequest<'_>) -> Result<()> {
    let bindings = template::bindings(request);
    let template = template::of(request.config, request.metric)?.unwrap_or_default();
    if template.is_empty() {
        // The matchers of a resource type have these between double quotes.
        for name in ["scope", "location", "project"] {
            check_value(request, name, bindings.get(name).map(String::as_str), '"')?;
        }
        return Ok(());
    }
    for (name, quote) in quoted(&template) {
        if bindings.contains_key(name) {
            // Values may hold variables themselves.
            let value = template::expand(&format!("${{{name}}}"), &bindings)?;
            check_value(request, name, Some(&value), quote)?;
        }
    }
    Ok(())
}

fn check_value(
    request: &MetricRequest<'_>,
    name: &str,
    value: Option<&str>,
    quote: char,
) -> Result<()> {
    let ends = |character: char| {
        matches!(character, '\n' | '\r')
            || quote != OF_A_COMMENT
                && (character == quote || matches!(character, '"' | '\\' | '`'))
    };
    let Some(found) = value.and_then(|value| value.chars().find(|found| ends(*found))) else {
        return Ok(());
    };
    let metric = request.metric.name.as_deref().unwrap_or_default();
    let what = match found {
        '\n' | '\r' => "a line break".to_owned(),
        found => format!("a {found}"),
    };
    Err(Error::Invalid(format!(
        "metric '{metric}': the value of '{name}' holds {what}, and its query has it between \
         quotes or in a comment, which that could end; kayenta.prometheus.rawValues takes such values as they are"
    )))
}

/// What ends a comment.
const OF_A_COMMENT: char = '\n';

/// The variables of a template that stand within a string of PromQL, and its quote, or in a comment.
fn quoted(template: &str) -> Vec<(&str, char)> {
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
            if let Some(quote) = within.or(is_comment.then_some(OF_A_COMMENT)) {
                found.push((template::name_and_default(expression).0, quote));
            }
            rest = tail;
            continue;
        }
        rest = &rest[character.len_utf8()..];
        match (within, character) {
            (_, '\n') => is_comment = false,
            _ if is_comment => {}
            (None, '#') => is_comment = true,
            (None, '"' | '\'' | '`') => within = Some(character),
            // What follows is escaped, but for a variable.
            (Some('"' | '\''), '\\') if !rest.starts_with("${") => {
                let escaped = rest.chars().next().map_or(0, char::len_utf8);
                rest = &rest[escaped..];
            }
            (Some(quote), character) if character == quote => within = None,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::canary::{CanaryConfig, CanaryMetricConfig, CanaryScope};

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
            assert_eq!(quoted(template), expected, "{template}");
        }
    }

    fn checked(query: &Value, scope: &Value) -> Option<String> {
        let mut query = query.clone();
        query["type"] = "prometheus".into();
        let metric: CanaryMetricConfig =
            serde_json::from_value(json!({"name": "errors", "query": query})).unwrap();
        let scope: CanaryScope = serde_json::from_value(scope.clone()).unwrap();
        let request = MetricRequest {
            config: &CanaryConfig::default(),
            metric: &metric,
            scope: &scope,
        };
        check(&request).err().map(|error| error.to_string())
    }

    #[test]
    fn a_value_ends_no_quotes() {
        let query = json!({"customInlineTemplate": "PromQL:m{a=\"${scope}\",b='${zone}'} ${raw}"});
        let cases = [
            (
                json!({"scope": "a|b.*", "extendedScopeParams": {"zone": "x"}}),
                None,
            ),
            (json!({"scope": "it's"}), None),
            (
                json!({"scope": "x\"}) or vector(1) #"}),
                Some("'scope' holds a \""),
            ),
            (json!({"scope": "x\\"}), Some("'scope' holds a \\")),
            (json!({"scope": "x`"}), Some("'scope' holds a `")),
            (json!({"scope": "x\ny"}), Some("'scope' holds a line break")),
            (
                json!({"scope": "x", "extendedScopeParams": {"zone": "it's"}}),
                Some("'zone' holds a '"),
            ),
            (
                json!({"scope": "${q}", "extendedScopeParams": {"q": "\""}}),
                Some("'scope' holds a \""),
            ),
            (
                json!({"scope": "x", "extendedScopeParams": {"zone": "z", "raw": "\""}}),
                None,
            ),
        ];
        for (scope, expected) in cases {
            let told = checked(&query, &scope);
            match expected {
                None => assert_eq!(told, None, "{scope}"),
                Some(expected) => {
                    let told = told.unwrap();
                    assert!(
                        told.contains(expected) && told.contains("'errors'"),
                        "{scope}: {told}"
                    );
                }
            }
        }
        let query = json!({"metricName": "m", "resourceType": "gce_instance"});
        let scope = json!({"scope": "v", "location": "eu\"", "extendedScopeParams": {}});
        assert!(
            checked(&query, &scope)
                .unwrap()
                .contains("'location' holds a \"")
        );
    }
}
