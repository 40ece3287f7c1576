//! The target for one metric of one side.

use crate::config::Config;
use crate::error::Result;
use crate::metrics::keyed::invalid;
use crate::metrics::library::{Signal, Template};
use crate::metrics::range::Range;
use crate::metrics::{Doubt, Draft, Language, Member, MetricRequest, query_of_kind};

pub const KIND: &str = "graphite";

/// What a target has where scope and location go.
pub const PLACEHOLDERS: [&str; 2] = ["$scope", "$location"];

const NAME: &str = "metricName";

/// Of an example.
type Targets = &'static [(&'static str, &'static str)];

const MEMBERS: &[Member] = &[Member::text(
    NAME,
    "the target, with $scope and $location in it, as in averageSeries(stats.$location.$scope.*.latency)",
)];

/// Targets of Graphite.
pub struct GraphiteTarget;

impl Language for GraphiteTarget {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn members(&self) -> &'static [Member] {
        MEMBERS
    }

    fn template(&self) -> &'static str {
        "nothing that is read: Graphite's target is the metricName"
    }

    fn examples(&self) -> Vec<Template> {
        const ERRORS: Targets = &[(
            NAME,
            "divideSeries(sumSeries(stats.$location.$scope.*.errors),sumSeries(stats.$location.$scope.*.requests))",
        )];
        const LATENCY: Targets = &[(NAME, "averageSeries(stats.$location.$scope.*.latency.p99)")];
        const CPU: Targets = &[(NAME, "averageSeries(stats.$location.$scope.*.cpu)")];
        let examples = [
            (Signal::Errors, "errors", ERRORS),
            (Signal::Latency, "latency", LATENCY),
            (Signal::Saturation, "cpu", CPU),
        ];
        let examples = examples.into_iter();
        let examples = examples.map(|(signal, name, members)| {
            Template::example(KIND, signal, name, members, String::new())
        });
        examples.collect()
    }

    fn text(&self, _: &Config, request: &MetricRequest<'_>) -> Result<String> {
        text(request)
    }

    /// A target has variables of its own.
    fn written(&self, _: &MetricRequest<'_>) -> Result<Vec<(&'static str, String)>> {
        Ok(Vec::new())
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        let target = draft.text("metricName").unwrap_or_default();
        let mut doubts = Vec::new();
        if let Some(name) = ["${scope}", "${location}"]
            .into_iter()
            .find(|name| target.contains(name))
        {
            doubts.push(Doubt::broken(
                "metricName",
                format!("{name} is not filled in in a target of Graphite"),
                format!("write {}", name.replace(['{', '}'], "")),
            ));
        } else if !target.is_empty() && !target.contains("$scope") {
            doubts.push(Doubt::doubtful(
                "metricName",
                "without $scope both sides are asked for the same series",
                "put $scope where the name of the version or cluster goes",
            ));
        }
        let is_glob = target.contains(['*', '?', '[', '{']);
        if is_glob && !target.contains('(') {
            doubts.push(Doubt::doubtful(
                "metricName",
                "a glob may give several series, and each is judged by itself",
                "aggregate them, as in averageSeries(…)",
            ));
        }
        if draft.template().is_some() {
            doubts.push(Doubt::doubtful(
                "",
                "templates are not read where Graphite is asked",
                "write the target as metricName",
            ));
        }
        doubts
    }
}

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    pub target: String,
    pub range: Range,
}

impl Asked {
    /// Of the render API.
    pub fn params(&self, format: &str) -> Vec<(&'static str, String)> {
        let Range { start, end, .. } = self.range;
        vec![
            ("target", self.target.clone()),
            ("from", start.as_millis().div_euclid(1000).to_string()),
            ("until", end.as_millis().div_euclid(1000).to_string()),
            ("format", format.to_owned()),
        ]
    }
}

pub fn asked(request: &MetricRequest<'_>) -> Result<Asked> {
    Ok(Asked {
        range: Range::of(request.scope)?,
        target: text(request)?,
    })
}

/// The scope goes in first, so that it may have `$location` in it.
pub fn text(request: &MetricRequest<'_>) -> Result<String> {
    let query = query_of_kind(request, KIND)?;
    let Some(mut text) = query.text("metricName").filter(|name| !name.is_empty()) else {
        return Err(invalid(request, "'metricName' is missing: the target"));
    };
    let scope = request.scope;
    let values = [&scope.scope, &scope.location];
    for (name, value) in PLACEHOLDERS.into_iter().zip(values) {
        if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
            text = filled(request, &text, name, value)?;
        }
    }
    Ok(text)
}

/// Refuses a value that could end the path or the string that it stands in.
fn filled(request: &MetricRequest<'_>, text: &str, name: &str, value: &str) -> Result<String> {
    let mut filled = String::with_capacity(text.len() + value.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(name) {
        filled.push_str(before);
        let end = match quote_of(&filled) {
            Some(quote) => value
                .chars()
                .find(|letter| *letter == quote || *letter == '\\' || letter.is_control()),
            None => end_of_path(value),
        };
        if let Some(end) = end {
            let place = if quote_of(&filled).is_some() {
                "string"
            } else {
                "path"
            };
            let told = format!(
                "the value of {} holds {:?}, which could end the {place} that it stands in",
                name.trim_start_matches('$'),
                end
            );
            return Err(invalid(request, &told));
        }
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The quote that is open at the end of a text.
fn quote_of(text: &str) -> Option<char> {
    text.chars()
        .fold(None, |open, letter| match (open, letter) {
            (None, '"' | '\'') => Some(letter),
            (Some(quote), letter) if quote == letter => None,
            (open, _) => open,
        })
}

/// Braces may hold a comma: they are a part of a glob.
fn end_of_path(value: &str) -> Option<char> {
    let mut depth = 0_i32;
    value.chars().find(|letter| {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        let ends = "()'\"\\".contains(*letter) || letter.is_whitespace() || letter.is_control();
        ends || depth < 0 || *letter == ',' && depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_end_a_path_is_found() {
        let cases = [
            ("web-1.eu", None),
            ("web-*", None),
            ("{a,b}", None),
            ("$location", None),
            ("a,b", Some(',')),
            ("a}b", Some('}')),
            ("a),constantLine(0", Some(')')),
            ("a b", Some(' ')),
            ("a'", Some('\'')),
        ];
        for (value, end) in cases {
            assert_eq!(end_of_path(value), end, "{value}");
        }
        assert_eq!(quote_of("seriesByTag('name=cpu','version="), Some('\''));
        assert_eq!(quote_of("alias(a.b, \"it's\")"), None);
    }
}
