//! Variables of templates: what gives them a value, and what only looks like one.

use std::collections::BTreeSet;

use crate::canary::near::{near, slip};

use super::{Code, Found};
use crate::canary::{CanaryMetricConfig, CanaryScope, Pair, Path};
use crate::metrics::{IMPLICIT, Piece, Variable, is_of_word, pieces, variables};

/// Of a template that stands at `path`; `own` are the variables that its language fills in itself.
pub fn check(
    path: &Path,
    template: &str,
    own: &[&str],
    metric: &CanaryMetricConfig,
    scopes: Option<&Pair<CanaryScope>>,
) -> Vec<Found> {
    let mut found = Vec::from_iter(foreign(path, template));
    let mut seen: BTreeSet<&str> = own.iter().copied().collect();
    for variable in variables(template).filter(|variable| seen.insert(variable.name)) {
        found.extend(match scopes {
            None => unknown(path, variable),
            Some(scopes) => unset(path, variable, metric, scopes),
        });
    }
    found
}

fn unknown(path: &Path, variable: Variable<'_>) -> Option<Found> {
    let name = variable.name;
    if IMPLICIT.contains(&name) {
        return None;
    }
    let has_value = "has a value only where extendedScopeParams of the request have it";
    if let Some(meant) = slip(name, &IMPLICIT) {
        return Some(misspelt(
            path,
            format!("${{{name}}} {has_value}, and is a letter from ${{{meant}}}"),
            meant,
        ));
    }
    let meant = near(name, &IMPLICIT);
    variable.default.is_none().then(|| {
        Found::new(
            Code::UnknownVariable,
            path.clone(),
            format!("${{{name}}} {has_value}{}", question(meant)),
            format!("send it with every request, or write ${{{name}:-a default}}"),
        )
    })
}

fn unset(
    path: &Path,
    variable: Variable<'_>,
    metric: &CanaryMetricConfig,
    scopes: &Pair<CanaryScope>,
) -> Option<Found> {
    let name = variable.name;
    let sides = [
        ("control", &scopes.control),
        ("experiment", &scopes.experiment),
    ];
    let (side, given) = sides
        .into_iter()
        .map(|(side, scope)| (side, values(metric, scope)))
        .find(|(_, given)| !given.contains(&name))?;
    let no_value = format!("nothing gives ${{{name}}} a value on the {side} side");
    if let Some(meant) = slip(name, &given) {
        return Some(misspelt(
            path,
            format!("{no_value}, and it is a letter from ${{{meant}}}"),
            meant,
        ));
    }
    let meant = near(name, &given);
    variable.default.is_none().then(|| {
        Found::new(
            Code::UnsetVariable,
            path.clone(),
            format!("{no_value}{}", question(meant)),
            format!(
                "give it in the scope or its extendedScopeParams, or write ${{{name}:-a default}}"
            ),
        )
    })
}

fn question(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |meant| format!("; did you mean ${{{meant}}}?"))
}

fn values<'a>(metric: &CanaryMetricConfig, scope: &'a CanaryScope) -> Vec<&'a str> {
    let query = metric.query.as_ref();
    let resource_type = query.and_then(|query| query.text("resourceType"));
    let own = [
        ("scope", scope.scope.is_some()),
        ("location", scope.location.is_some()),
        ("resourceType", resource_type.is_some()),
    ];
    let own = own.into_iter().filter(|(_, is_given)| *is_given);
    let params = scope.extended_scope_params.iter().flatten();
    own.map(|(name, _)| name)
        .chain(params.map(|(name, _)| name.as_str()))
        .collect()
}

fn misspelt(path: &Path, sentence: String, meant: &str) -> Found {
    Found::new(
        Code::MisspeltVariable,
        path.clone(),
        sentence,
        format!("write ${{{meant}}}"),
    )
}

/// Variables as Grafana, Flagger and Argo write them.
fn foreign(path: &Path, template: &str) -> Option<Found> {
    // There, `$1` and `$name` are groups of a regular expression.
    let has_groups = template.contains("label_replace");
    let is_error = |piece: Piece<'_>, written: &str, name: &str| match piece {
        Piece::Code(_) => true,
        Piece::Text(_) if written.starts_with('$') => !has_groups && is_dollar_of_others(name),
        Piece::Text(_) => is_braced_of_others(written, name),
    };
    // A filter may have quotes, which would end a string of the query.
    let filtered = in_braces(template).find(|(written, name)| is_braced_of_others(written, name));
    let error = filtered.or_else(|| {
        pieces(template).find_map(|piece| {
            let (Piece::Code(text) | Piece::Text(text)) = piece;
            in_braces(text)
                .chain(after_dollar(text))
                .find(|(written, name)| is_error(piece, written, name))
        })
    });
    if let Some((written, name)) = error {
        let fix = match name {
            name if name.starts_with("__") => "write a duration, such as 1m".to_owned(),
            _ if written.contains('(') && !written.contains('|') => {
                "name a variable there, as in ${version}, and give it in extendedScopeParams"
                    .to_owned()
            }
            name => format!("write ${{{name}}}"),
        };
        return Some(Found::new(
            Code::ForeignVariable,
            path.clone(),
            format!("'{written}' is no variable, and stays in the query as it is"),
            fix,
        ));
    }
    let whole = |piece| match piece {
        Piece::Text(text) if !has_groups => {
            let mut all = in_braces(text).chain(after_dollar(text));
            all.find(|(written, _)| *written == text)
        }
        _ => None,
    };
    let (written, name) = pieces(template).find_map(whole)?;
    Some(Found::new(
        Code::UnknownVariable,
        path.clone(),
        format!("'{written}' stays in the query as it is; did you mean ${{{name}}}?"),
        format!("write ${{{name}}}, unless the label has this very value"),
    ))
}

/// In a string, a `$` may be a letter of a name, or the end of a regular expression.
fn is_dollar_of_others(name: &str) -> bool {
    name.starts_with("__") || matches!(name, "scope" | "location")
}

/// In a string, braces may be those of a path, as in `/users/{{id}}`.
fn is_braced_of_others(written: &str, name: &str) -> bool {
    let inside = inside_braces(written);
    let is_expression = inside.starts_with(['.', '$', '=']) || inside.contains(['|', '(']);
    match inside.split_once('.') {
        _ if is_expression => true,
        Some((of, _)) => OF_WORKFLOWS.contains(&of),
        None => matches!(
            name,
            "scope" | "location" | "namespace" | "target" | "interval"
        ),
    }
}

/// What comes before the name of a value in templates of Argo and of CI.
const OF_WORKFLOWS: [&str; 8] = [
    "args",
    "inputs",
    "variables",
    "workflow",
    "steps",
    "env",
    "parameters",
    "templates",
];

/// Without dashes that eat blanks, and blanks.
fn inside_braces(written: &str) -> &str {
    let inside = written.strip_prefix("{{").unwrap_or(written);
    let inside = inside.strip_suffix("}}").unwrap_or(inside);
    inside.trim_matches('-').trim()
}

/// `{{scope}}`, `{{ args.canary-hash }}`, `{{ .Values.ns | default "a" }}`, with the name of what
/// is meant.
fn in_braces(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices("{{").filter_map(|(at, _)| {
        let end = at + text[at..].find("}}")? + 2;
        let written = &text[at..end];
        let named = inside_braces(written).trim_start_matches(['.', '$', '=', ' ']);
        let is_of_name = |letter: char| is_of_word(letter) || letter == '-';
        let name_end = named.find(|letter| !is_of_name(letter));
        let name = named[..name_end.unwrap_or(named.len())]
            .rsplit('.')
            .next()?;
        let is_one = !written[2..].contains('{') && name.starts_with(char::is_alphabetic);
        is_one.then_some((written, name))
    })
}

/// `$scope`, `$__rate_interval`
fn after_dollar(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices('$').filter_map(|(at, _)| {
        let after = &text[at + 1..];
        let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let end = after
            .find(|letter| !is_of_name(letter))
            .unwrap_or(after.len());
        let name = &after[..end];
        let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
        begins.then_some((&text[at..=at + end], name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slip_of_the_finger_is_an_error() {
        let cases = [
            ("${scope}", None),
            ("${scpoe}", Some(Code::MisspeltVariable)),
            ("${scpoe:-a}", Some(Code::MisspeltVariable)),
            ("${project_id}", Some(Code::UnknownVariable)),
            ("${projectId}", Some(Code::UnknownVariable)),
            ("${projects}", Some(Code::UnknownVariable)),
            ("${resource_type}", Some(Code::UnknownVariable)),
            ("${allocation}", Some(Code::UnknownVariable)),
            ("${scope2}", Some(Code::UnknownVariable)),
            ("${scopes}", Some(Code::UnknownVariable)),
            ("${scopes:-a}", None),
            ("${tenant}", Some(Code::UnknownVariable)),
        ];
        let metric = CanaryMetricConfig::default();
        for (template, expected) in cases {
            let found = check(&Path::default(), template, &[], &metric, None);
            let codes: Vec<Code> = found.iter().map(|found| found.code).collect();
            assert_eq!(codes, Vec::from_iter(expected), "{template}");
        }
        let found = check(&Path::default(), "${projectId}", &[], &metric, None);
        let sentence = "${projectId} has a value only where extendedScopeParams of the request \
                        have it; did you mean ${project}?";
        assert_eq!(found[0].sentence, sentence);
    }

    #[test]
    fn what_scopes_give_is_known() {
        let params = ["zone", "tenant"].map(|name| (name.to_owned(), "a".to_owned()));
        let side = CanaryScope {
            scope: Some("a".to_owned()),
            extended_scope_params: Some(params.into_iter().collect()),
            ..CanaryScope::default()
        };
        let scopes = Pair {
            control: side.clone(),
            experiment: side,
        };
        let cases = [
            ("${zone}${tenant}${scope}", None),
            ("${tennant}", Some(Code::MisspeltVariable)),
            ("${tenatn:-a}", Some(Code::MisspeltVariable)),
            ("${zones}", Some(Code::UnsetVariable)),
            ("${zones:-a}", None),
            ("${location}", Some(Code::UnsetVariable)),
        ];
        let metric = CanaryMetricConfig::default();
        for (template, expected) in cases {
            let found = check(&Path::default(), template, &[], &metric, Some(&scopes));
            let codes: Vec<Code> = found.iter().map(|found| found.code).collect();
            assert_eq!(codes, Vec::from_iter(expected), "{template}");
        }
    }

    #[test]
    fn variables_of_others_are_told_from_regular_expressions() {
        let is_error = Some(Code::ForeignVariable);
        let is_warning = Some(Code::UnknownVariable);
        let cases = [
            ("v=\"{{scope}}\"", is_error),
            ("v=\"{{ args.canary-hash }}\"", is_error),
            ("v=\"{{args.canary-hash}}\",w=\"${scope}\"", is_error),
            ("v=\"{{- inputs.parameters.hash -}}\"", is_error),
            ("v=\"{{ ns | default('x') }}\"", is_error),
            ("v=\"{{ ns | default(\"x\") }}\"", is_error),
            ("v=\"{{ .Values.version }}\"", is_error),
            ("v=\"{{ $labels.version }}\"", is_error),
            ("v=\"{{=sprig.trim(args.a)}}\"", is_error),
            ("v=\"{{ steps.deploy.outputs.hash }}-canary\"", is_error),
            ("v=\"{{canary-hash}}\"", is_warning),
            ("rate(m[{{ args.window-length }}])", is_error),
            ("uri=\"/users/{{user-id}}/orders/{{id}}\"", None),
            ("uri=~\"/a{{2}}\"", None),
            ("v=\"{{ args.scope }}\"", is_error),
            ("namespace=\"{{ namespace }}\"", is_error),
            ("uri=\"/users/{{id}}\"", None),
            ("v=\"{{version}}\"", is_warning),
            ("v=~\"${scope}-.{4}\"", None),
            ("rate(m[$__rate_interval])", is_error),
            ("rate(m[$interval])", is_error),
            ("rate(m[{{ interval }}])", is_error),
            ("m{v='it\\'s'}[$interval]", is_error),
            ("m{v=~\"$scope\"}", is_error),
            ("m{v=~\"$location-.*\"}", is_error),
            ("m{v=~\"$namespace\"}", is_warning),
            ("class=\"Outer$Inner\"", None),
            ("uri=\"/$batch\"", None),
            ("uri=~\"(a$|/$batch)\"", None),
            ("uri='/$batch',v=`$scope`", is_error),
            ("m # costs $money\n+ 1", None),
            ("v=~\"a$\"", None),
            ("v=~\"a$|b\"", None),
            ("v=~\"^${scope}$\"", None),
            ("$${scope}", None),
            (
                "label_replace(m, \"a\", \"$x\", \"b\", \"(?P<x>.*)\")",
                None,
            ),
            (
                "label_replace(m, \"a\", \"$scope\", \"b\", \"(?P<scope>.*)\")",
                None,
            ),
            (
                "label_replace(rate(m[$__interval]), \"a\", \"$1\", \"b\", \"(.*)\")",
                is_error,
            ),
        ];
        for (template, expected) in cases {
            let found = foreign(&Path::default(), template);
            assert_eq!(found.map(|found| found.code), expected, "{template}");
        }
    }
}
