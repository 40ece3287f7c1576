//! The expression for one metric of one side.

use crate::config::Config;
use crate::error::{Error, Result};
use crate::metrics::keyed::invalid;
use crate::metrics::library::{Signal, Template};
use crate::metrics::range::Range;
use crate::metrics::{Doubt, Draft, Language, Member, MetricRequest, query_of_kind, template};

pub const KIND: &str = "wavefront";

const NAME: &str = "metricName";
const AGGREGATE: &str = "aggregate";
const SUMMARIZATION: &str = "summarization";

const MEMBERS: &[Member] = &[
    Member::text(NAME, "the metric, as in requests.latency"),
    Member::text(
        AGGREGATE,
        "the function around it, as avg or sum; without one every series is judged",
    ),
    Member::text(
        SUMMARIZATION,
        "how points of one step become one: MEAN, MEDIAN, MIN, MAX, SUM, COUNT, FIRST or LAST",
    ),
];

/// Steps that Wavefront has a letter for, longest first.
const GRANULARITIES: [(i64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")];

/// Wavefront's query language.
pub struct WavefrontQuery;

impl Language for WavefrontQuery {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn members(&self) -> &'static [Member] {
        MEMBERS
    }

    fn template(&self) -> &'static str {
        "nothing that is read: the scope is the filter, as in env=prod and version=v2"
    }

    fn examples(&self) -> Vec<Template> {
        type Members = &'static [(&'static str, &'static str)];
        const ERRORS: Members = &[(NAME, "requests.errors"), (AGGREGATE, "sum")];
        const LATENCY: Members = &[(NAME, "requests.latency.p99"), (AGGREGATE, "avg")];
        const CPU: Members = &[(NAME, "system.cpu.user"), (AGGREGATE, "avg")];
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

    /// It has no variables.
    fn written(&self, _: &MetricRequest<'_>) -> Result<Vec<(&'static str, String)>> {
        Ok(Vec::new())
    }

    fn fixed(&self) -> &'static [(&'static str, &'static str)] {
        &[(SUMMARIZATION, "MEAN")]
    }

    /// Kayenta's `/fetch` wants the letter of a granularity.
    fn step(&self, text: &str) -> Option<i64> {
        let mut known = GRANULARITIES.into_iter();
        known
            .find(|(_, letter)| *letter == text)
            .map(|(step, _)| step)
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        let aggregate = draft.text(AGGREGATE);
        if aggregate.is_some_and(|function| function.contains(['(', ','])) {
            doubts.push(Doubt::doubtful(
                AGGREGATE,
                "what stands before the series is put in front of '(', so a function cannot have other arguments",
                "name a function of one argument, as avg",
            ));
        }
        if draft.template().is_some() {
            doubts.push(Doubt::doubtful(
                "",
                "templates are not read where Wavefront is asked",
                "put the filter into the scope of the request",
            ));
        }
        doubts
    }
}

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    pub text: String,
    pub summarization: Option<String>,
    pub range: Range,
    /// Seconds.
    pub step: i64,
}

impl Asked {
    /// Of the chart API.
    pub fn params(&self) -> Vec<(&'static str, String)> {
        let Range { start, end, .. } = self.range;
        let summarization = self.summarization.clone();
        let mut params = vec![
            ("n", "Kayenta-Query".to_owned()),
            ("q", self.text.clone()),
            ("s", start.as_millis().to_string()),
            ("e", end.as_millis().to_string()),
            ("g", granularity(self.step).to_owned()),
        ];
        params.extend(summarization.map(|how| (SUMMARIZATION, how)));
        let usual = ["listMode", "strict", "sorted"];
        params.extend(usual.map(|name| (name, "true".to_owned())));
        params
    }
}

/// The largest one that divides a step.
fn granularity(step: i64) -> &'static str {
    let mut known = GRANULARITIES.into_iter();
    let found = known.find(|(seconds, _)| step % seconds == 0);
    found.map_or("s", |(_, letter)| letter)
}

pub fn asked(request: &MetricRequest<'_>) -> Result<Asked> {
    let range = Range::of(request.scope)?;
    let step = range.step.filter(|step| 0 < *step);
    let step = step.ok_or_else(|| {
        let why = "Wavefront is asked for a step: the scope wants one of at least a second";
        invalid(request, why)
    })?;
    Ok(Asked {
        text: text(request)?,
        summarization: query_of_kind(request, KIND)?.text(SUMMARIZATION),
        range,
        step,
    })
}

pub fn text(request: &MetricRequest<'_>) -> Result<String> {
    let query = query_of_kind(request, KIND)?;
    let name = query.text(NAME).filter(|name| !name.trim().is_empty());
    let name = name.ok_or_else(|| invalid(request, "'metricName' is missing"))?;
    let scope = request.scope.scope.as_deref();
    let series = match scope.filter(|scope| !scope.is_empty()) {
        Some(scope) => {
            if let Some(why) = opens_or_closes(scope) {
                return Err(invalid(request, &format!("the value of scope {why}")));
            }
            format!("ts({name}, {scope})")
        }
        None => format!("ts({name})"),
    };
    let aggregate = query.text(AGGREGATE).filter(|name| !name.is_empty());
    let text = aggregate.map_or_else(|| series.clone(), |name| format!("{name}({series})"));
    if request.longest < text.len() {
        return Err(Error::Invalid(template::too_long(request.longest)));
    }
    Ok(text)
}

/// What of a filter would end the `ts(…)` that it stands in.
fn opens_or_closes(filter: &str) -> Option<&'static str> {
    let (mut depth, mut quote) = (0_usize, None);
    for letter in filter.chars() {
        match (quote, letter) {
            (_, letter) if letter.is_control() => return Some("holds a line break or its like"),
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), '\\') => return Some("holds a '\\' within quotes"),
            (None, '"' | '\'') => quote = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') if depth == 0 => {
                return Some("holds a ')' that would end the series that it is the filter of");
            }
            (None, ')') => depth -= 1,
            _ => {}
        }
    }
    match (quote, depth) {
        (Some(_), _) => Some("holds a quote that nothing closes"),
        (None, 1..) => Some("holds a '(' that nothing closes"),
        (None, 0) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_stays_within_its_series() {
        let cases = [
            ("app-v1", None),
            ("env=prod and version=\"v2\"", None),
            ("(a=1 or b=\"x)\") and not c=2", None),
            ("app), ts(other", Some("holds a ')'")),
            ("(app", Some("holds a '('")),
            ("a\"b", Some("holds a quote")),
            ("a=\"x\\\"), ts(\"", Some("holds a '\\'")),
            ("a\nb", Some("holds a line break")),
        ];
        for (filter, expected) in cases {
            let told = opens_or_closes(filter);
            let is_told = match (told, expected) {
                (Some(told), Some(expected)) => told.starts_with(expected),
                (told, expected) => told == expected,
            };
            assert!(is_told, "{filter}: {told:?}");
        }
    }
}
