//! The expression for one metric of one side, and where it is to be asked.

use super::backends::Place;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::metrics::keyed::invalid;
use crate::metrics::library::{Signal, Template};
use crate::metrics::range::Range;
use crate::metrics::{Doubt, Draft, Language, Member, MetricRequest, query_of_kind, template};

pub const KIND: &str = "atlas";

const Q: &str = "q";

const MEMBERS: &[Member] = &[Member::text(
    Q,
    "the expression without the scope, as in name,requests.latency,:eq,:avg",
)];

/// Parameters of a scope that say where it is asked for, and what it is the name of.
const TYPE: &str = "type";
const DEPLOYMENT: &str = "deployment";
const DATASET: &str = "dataset";
const ENVIRONMENT: &str = "environment";
const ACCOUNT_ID: &str = "accountId";

/// Atlas's stack language.
pub struct AtlasStack;

impl Language for AtlasStack {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn members(&self) -> &'static [Member] {
        MEMBERS
    }

    fn template(&self) -> &'static str {
        "nothing that is read: the scope is put behind q"
    }

    fn examples(&self) -> Vec<Template> {
        type Members = &'static [(&'static str, &'static str)];
        const ERRORS: Members = &[(
            Q,
            "name,server.requests,:eq,status,5xx,:eq,:and,:sum,name,server.requests,:eq,:sum,:div",
        )];
        const LATENCY: Members = &[(Q, "name,server.latency,:eq,:dist-avg")];
        const CPU: Members = &[(Q, "name,cpu.utilization,:eq,:avg")];
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

    fn scope_params(&self) -> &'static [&'static str] {
        &[TYPE, DEPLOYMENT, DATASET, ENVIRONMENT, ACCOUNT_ID]
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        if draft.template().is_none() {
            return Vec::new();
        }
        vec![Doubt::doubtful(
            "",
            "templates are not read where Atlas is asked",
            "write the expression as q; the scope is put behind it",
        )]
    }
}

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    pub text: String,
    pub place: Place,
    range: Range,
    /// Seconds.
    step: i64,
}

impl Asked {
    pub fn params(&self) -> Vec<(&'static str, String)> {
        let Range { start, end, .. } = self.range;
        vec![
            (Q, self.text.clone()),
            ("s", start.as_millis().to_string()),
            ("e", end.as_millis().to_string()),
            ("step", duration(self.step)),
        ]
    }
}

pub fn asked(request: &MetricRequest<'_>) -> Result<Asked> {
    let range = Range::of(request.scope)?;
    let step = range.step.filter(|step| 0 < *step);
    let step = step.ok_or_else(|| {
        let why = "Atlas is asked for a step: the scope wants one of at least a second";
        invalid(request, why)
    })?;
    let or = |name: &str, usual: &str| param(request, name).unwrap_or(usual).to_owned();
    Ok(Asked {
        text: text(request)?,
        place: Place {
            location: request.scope.location.clone(),
            account_id: param(request, ACCOUNT_ID).map(str::to_owned),
            deployment: or(DEPLOYMENT, "main"),
            dataset: or(DATASET, "regional"),
            environment: or(ENVIRONMENT, "test"),
        },
        range,
        step,
    })
}

pub fn text(request: &MetricRequest<'_>) -> Result<String> {
    let query = query_of_kind(request, KIND)?;
    let q = query.text(Q).filter(|q| !q.trim().is_empty());
    let q = q.ok_or_else(|| invalid(request, "'q' is missing: the expression"))?;
    let scope = request.scope.scope.as_deref();
    let scope = scope.ok_or_else(|| invalid(request, "the request has no scope"))?;
    let (filter, wrong) = match param(request, TYPE).unwrap_or("cluster") {
        "cluster" => (format!("nf.cluster,{scope},:eq"), no_word(scope)),
        "asg" => (format!("nf.asg,{scope},:eq"), no_word(scope)),
        "query" => (scope.to_owned(), opens_or_closes(scope)),
        other => {
            let why = format!(
                "Scope type '{other}' is unknown: scope={scope}; there are cluster, asg and query"
            );
            return Err(invalid(request, &why));
        }
    };
    if let Some(why) = wrong {
        return Err(invalid(request, &format!("the value of scope {why}")));
    }
    let text = format!("{q},:list,(,{filter},:cq,),:each");
    if request.longest < text.len() {
        return Err(Error::Invalid(template::too_long(request.longest)));
    }
    Ok(text)
}

fn param<'a>(request: &MetricRequest<'a>, name: &str) -> Option<&'a str> {
    let mut params = request.scope.extended_scope_params.iter().flatten();
    let found = params.find(|(key, _)| *key == name);
    found.map(|(_, value)| value.as_str())
}

/// Why a name is more than one: a comma ends it, and what begins with a colon is a command.
fn no_word(scope: &str) -> Option<&'static str> {
    let word = scope.trim();
    if scope.contains(',') {
        Some(
            "holds ',', which would end it: an expression wants the parameter 'type' to be 'query'",
        )
    } else if word.starts_with(':') || matches!(word, "(" | ")") {
        Some("is a command of Atlas, and no name")
    } else {
        None
    }
}

/// What of an expression would end the list that it stands in.
fn opens_or_closes(scope: &str) -> Option<&'static str> {
    let mut depth = 0_usize;
    for word in scope.split(',').map(str::trim) {
        match word {
            "(" => depth += 1,
            ")" if depth == 0 => {
                return Some("holds a ')' that would end the list that it stands in");
            }
            ")" => depth -= 1,
            _ => {}
        }
    }
    (0 < depth).then_some("holds a '(' that nothing closes")
}

/// As Java writes it: `PT1M30S`, `PT24H`.
fn duration(seconds: i64) -> String {
    let parts = [
        (seconds / 3600, 'H'),
        (seconds / 60 % 60, 'M'),
        (seconds % 60, 'S'),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count != 0);
    parts.fold("PT".to_owned(), |text, (count, unit)| {
        format!("{text}{count}{unit}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_written_as_java_does() {
        let cases = [
            (1, "PT1S"),
            (60, "PT1M"),
            (90, "PT1M30S"),
            (3_600, "PT1H"),
            (3_661, "PT1H1M1S"),
            (86_400, "PT24H"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn a_scope_stays_in_its_place() {
        let cases = [
            ("app-v1", None, None),
            ("app,foo,:eq,:and", Some("holds ','"), None),
            ("(,a,),:in", Some("holds ','"), None),
            (":true", Some("is a command"), None),
            ("),:each", Some("holds ','"), Some("holds a ')'")),
            ("(,a", Some("holds ','"), Some("holds a '('")),
        ];
        for (scope, of_word, of_expression) in cases {
            let starts = |told: Option<&str>, wanted: Option<&str>| match (told, wanted) {
                (Some(told), Some(wanted)) => told.starts_with(wanted),
                (told, wanted) => told == wanted,
            };
            assert!(starts(no_word(scope), of_word), "{scope}");
            assert!(starts(opens_or_closes(scope), of_expression), "{scope}");
        }
    }
}
