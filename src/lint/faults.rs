//! Why a config would be refused, under the names of the lint.

use super::text::Text;
use super::{Code, Found};
use crate::canary::fault::Step;
use crate::canary::near::slip;
use crate::canary::{CanaryConfig, Path};
use crate::metrics::kinds;
use crate::run::configs;

pub fn told(text: &Text, canary: Option<&CanaryConfig>, refusal: configs::Finding) -> Found {
    let fault = refusal.fault;
    let code = match canary {
        None => Code::Unreadable,
        Some(canary) => code(canary, &fault.path),
    };
    let position = refusal.position.filter(|_| text.is_json());
    Found {
        position,
        ..Found::new(code, fault.path.clone(), fault.words(), fix(code))
    }
}

/// A fault is known by where it stands.
fn code(canary: &CanaryConfig, path: &Path) -> Code {
    let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let mut at = None;
    let members: Vec<&str> = path
        .steps()
        .iter()
        .filter_map(|step| match step {
            Step::Member(name) => Some(name.as_str()),
            Step::Element(index) => {
                at = Some(*index);
                None
            }
        })
        .collect();
    let metric = || canary.metrics.as_ref()?.get(at?);
    match members[..] {
        ["name"] if is_given(&canary.name) => Code::BadName,
        ["name" | "applications"] => Code::NotStorable,
        ["metrics"]
            if canary
                .metrics
                .as_ref()
                .is_some_and(|metrics| !metrics.is_empty()) =>
        {
            Code::TooLarge
        }
        ["metrics"] => Code::NoMetrics,
        ["metrics", "name"] => match metric() {
            Some(metric) if is_given(&metric.name) => Code::DuplicateMetric,
            _ => Code::NoMetricName,
        },
        ["metrics", "query"] => match metric() {
            Some(metric) if metric.query.is_some() => Code::TooLarge,
            _ => Code::NoQuery,
        },
        ["metrics", "query", "type"] => {
            let query = metric().and_then(|metric| metric.query.as_ref());
            match query.and_then(|query| misspelt(query.kind())) {
                Some(_) => Code::MisspeltSource,
                None => Code::OtherSource,
            }
        }
        ["metrics", "scopeName"] => Code::NoScopeName,
        ["classifier"] => Code::NoWeights,
        ["judge", "name"] => Code::UnknownJudge,
        ["actions", ..] => Code::BadAction,
        _ => Code::BadPolicy,
    }
}

/// The source that was meant; a name that is merely alike is that of another one.
fn misspelt(kind: &str) -> Option<&'static str> {
    let is_meant = |known: &&str| known.eq_ignore_ascii_case(kind.trim());
    slip(kind, &kinds()).or_else(|| kinds().into_iter().find(is_meant))
}

fn fix(code: Code) -> String {
    let [first, second, ..] = kinds();
    match code {
        Code::NoQuery => format!("add a query, as in {{\"type\": \"{first}\", …}}"),
        Code::MisspeltSource => {
            format!("write the type of its source, as '{first}' or '{second}'")
        }
        code => usual_fix(code).to_owned(),
    }
}

fn usual_fix(code: Code) -> &'static str {
    match code {
        Code::Unreadable => "correct this value, or what stands just before it",
        Code::BadName => "use letters, digits, '-' and '_' only",
        Code::NotStorable => {
            "give it a name and applications, unless it is only sent with requests"
        }
        Code::NoMetrics => "add a metric with a name, a query and a group",
        Code::TooLarge => "make several canaries of it, or shorter queries; or raise the bound",
        Code::DuplicateMetric => "give each metric a name of its own",
        Code::NoMetricName => "give the metric a name",
        Code::OtherSource => "query what serin reads, or judge by this config elsewhere",
        Code::NoScopeName => "add \"scopeName\": \"default\"",
        Code::NoWeights => {
            "add \"classifier\": {\"groupWeights\": {…}} with a weight for each group"
        }
        Code::UnknownJudge => "use \"NetflixACAJudge-v1.0\"",
        Code::BadAction => "docs/actions.md tells the events and their members",
        _ => "write what is wanted",
    }
}
