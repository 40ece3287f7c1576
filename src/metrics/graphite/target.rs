//! The target for one metric of one side.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::metrics::keyed::invalid;
use crate::metrics::library::{Signal, Template};
use crate::metrics::range::Range;
use crate::metrics::template;
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

/// Refuses a value that could end the path or the string that it stands in, and what becomes too long: a value
/// is put in as often as its name is there.
fn filled(request: &MetricRequest<'_>, text: &str, name: &str, value: &str) -> Result<String> {
    let mut filled = String::new();
    let mut push = |part: &str| {
        if request.longest < filled.len() + part.len() {
            return Err(Error::Invalid(template::too_long(request.longest)));
        }
        filled.push_str(part);
        Ok(())
    };
    let (mut rest, mut quote) = (text, None);
    while let Some((before, after)) = rest.split_once(name) {
        push(before)?;
        // No value that is taken opens or closes one.
        quote = quote_after(quote, before);
        let (place, end) = match quote {
            Some(quote) => ("string", end_of_string(value, quote)),
            None => ("path", end_of_path(value)),
        };
        if let Some(end) = end {
            let told = format!(
                "the value of {} holds {end:?}, which could end the {place} that it stands in",
                name.trim_start_matches('$')
            );
            return Err(invalid(request, &told));
        }
        push(value)?;
        rest = after;
    }
    push(rest)?;
    Ok(filled)
}

/// The quote that is open after a text, before which that one was.
fn quote_after(open: Option<char>, text: &str) -> Option<char> {
    text.chars()
        .fold(open, |open, letter| match (open, letter) {
            (None, '"' | '\'') => Some(letter),
            (Some(quote), letter) if quote == letter => None,
            (open, _) => open,
        })
}

fn end_of_string(value: &str, quote: char) -> Option<char> {
    value
        .chars()
        .find(|letter| *letter == quote || *letter == '\\' || letter.is_control())
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
    use serde_json::json;

    use super::*;
    use crate::canary::{CanaryConfig, CanaryScope};

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
        let quote_of = |text| quote_after(None, text);
        assert_eq!(quote_of("seriesByTag('name=cpu','version="), Some('\''));
        assert_eq!(quote_of("alias(a.b, \"it's\")"), None);
        assert_eq!(quote_after(Some('"'), "it's\", '"), Some('\''));
    }

    #[test]
    fn values_make_no_target_that_is_longer_than_may_be() {
        let scope = CanaryScope {
            scope: Some("$location$location".to_owned()),
            location: Some("x".repeat(50)),
            ..CanaryScope::default()
        };
        let made = |times: usize| {
            let query = json!({"type": KIND, "metricName": "$scope".repeat(times)});
            let metric = serde_json::from_value(json!({"name": "m", "query": query}));
            let request = MetricRequest {
                config: &CanaryConfig::default(),
                metric: &metric.unwrap(),
                scope: &scope,
                longest: 1000,
                is_reused: true,
            };
            text(&request).map_err(|error| error.to_string())
        };
        assert_eq!(made(10), Ok("x".repeat(1000)));
        assert_eq!(made(11), Err(template::too_long(1000)));
    }
}
