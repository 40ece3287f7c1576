//! Filters of Stackdriver, which its metrics have and those of Prometheus have not.

use regex_lite::Regex;

use crate::metrics::promql::bare;

/// Functions of its filters, and what of a label's value they ask for.
const FUNCTIONS: [&str; 5] = [
    "starts_with",
    "ends_with",
    "has_substring",
    "one_of",
    "monitoring.regex.full_match",
];

/// What is wrong with a template, and what to write.
#[derive(Debug, PartialEq)]
pub struct Foreign {
    pub sentence: String,
    pub fix: String,
}

pub fn foreign(template: &str) -> Option<Foreign> {
    let template = template.strip_prefix("PromQL:").unwrap_or(template);
    let code = bare(template);
    let names = r"\b(resource|metric|metadata|group|project)\.(labels?|type|id|user_labels|system_labels)\b";
    let is_of_stackdriver = FUNCTIONS
        .iter()
        .any(|name| code.contains(&format!("{name}(")))
        || Regex::new(names).is_ok_and(|names| names.is_match(&code));
    is_of_stackdriver.then(|| {
        let matchers = matchers(template);
        Foreign {
            sentence:
                "this is a filter of Stackdriver, and the metric is one of Prometheus, which \
                       wants label matchers"
                    .to_owned(),
            fix: if matchers.is_empty() {
                "write label matchers, as in pod=~\"${scope}.*\"".to_owned()
            } else {
                format!("write {matchers}")
            },
        }
    })
}

/// The same with the labels of the same names.
fn matchers(filter: &str) -> String {
    let comparison = r#"(?:resource|metric|metadata)\.(?:labels?|user_labels|system_labels)\."?(\w+)"?\s*(!=|=~|=|:)\s*(?:([a-z_.]+)\(\s*)?"([^"]*)""#;
    let Ok(comparison) = Regex::new(comparison) else {
        return String::new();
    };
    let all = comparison.captures_iter(filter).filter_map(|found| {
        let part = |number| found.get(number).map_or("", |part| part.as_str());
        let (label, value) = (part(1), part(4));
        let (is_pattern, value) = match (part(2), part(3)) {
            (_, "one_of") => return None,
            (_, "starts_with") => (true, format!("{value}.*")),
            (_, "ends_with") => (true, format!(".*{value}")),
            (_, "has_substring") | (":", _) => (true, format!(".*{value}.*")),
            (_, "monitoring.regex.full_match") | ("=~", _) => (true, value.to_owned()),
            _ => (false, value.to_owned()),
        };
        let operator = match (part(2) == "!=", is_pattern) {
            (false, false) => "=",
            (false, true) => "=~",
            (true, false) => "!=",
            (true, true) => "!~",
        };
        Some(format!("{label}{operator}\"{value}\""))
    });
    all.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_become_label_matchers() {
        let cases = [
            (
                "resource.label.pod_name = starts_with(\"${scope}\")",
                Some("write pod_name=~\"${scope}.*\""),
            ),
            (
                "resource.labels.pod_name=\"${scope}\" AND metric.label.code != \"200\"",
                Some("write pod_name=\"${scope}\",code!=\"200\""),
            ),
            (
                "metric.label.\"version\" = monitoring.regex.full_match(\"${scope}-.*\")",
                Some("write version=~\"${scope}-.*\""),
            ),
            (
                "metadata.user_labels.app:\"${scope}\"",
                Some("write app=~\".*${scope}.*\""),
            ),
            (
                "resource.type = \"gce_instance\"",
                Some("write label matchers"),
            ),
            (
                "resource.label.zone = one_of(\"a\", \"b\")",
                Some("write label matchers"),
            ),
            (
                "PromQL:resource.label.pod_name=ends_with(\"${scope}\")",
                Some("write pod_name=~\".*${scope}\""),
            ),
            ("group.id = ${scope}", Some("write label matchers")),
            ("version=\"${scope}\"", None),
            ("pod=~\"${scope}.*\",resource=\"resource.label.a\"", None),
            ("PromQL:sum(rate(resource_label_x[1m]))", None),
        ];
        for (template, fix) in cases {
            let found = foreign(template);
            let found = found.as_ref().map(|found| found.fix.as_str());
            assert_eq!(found.is_some(), fix.is_some(), "{template}: {found:?}");
            if let (Some(found), Some(fix)) = (found, fix) {
                assert!(found.starts_with(fix), "{template}: {found}");
            }
        }
    }
}
