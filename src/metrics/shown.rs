//! The query of a metric for those who read its config: variables stand where a scope fills them in.

use super::stand_in::marked_by;
use super::template::{MAX_BYTES, variables};
use super::{MetricRequest, language, of_other_source, query_of};
use crate::canary::{CanaryConfig, CanaryMetricConfig, CanaryScope};
use crate::config::Config;
use crate::error::Result;

/// The text that would be sent, with `${scope}`, `${location}` and the like left in it.
///
/// # Errors
/// Why nothing would be sent.
pub fn shown_query(
    config: &Config,
    canary: &CanaryConfig,
    metric: &CanaryMetricConfig,
) -> Result<String> {
    let mut request = MetricRequest {
        config: canary,
        metric,
        scope: &CanaryScope::default(),
        longest: MAX_BYTES,
        is_reused: true,
    };
    let kind = query_of(&request)?.kind();
    let language = language(kind).ok_or_else(|| of_other_source(&request, kind))?;
    let written = language.written(&request)?;
    let variables = written.iter().flat_map(|(_, text)| variables(text));
    // A letter ends no quotes and no braces, as `${scope}` would.
    let (scope, marks) = marked_by(variables.map(|variable| variable.name));
    request.scope = &scope;
    let text = language.text(config, &request)?;
    // Outside of templates nothing has taken the escape away.
    Ok(marks.named(&text.replace("$${", "${")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::{LoadOptions, load_from};

    fn shown(query: Value) -> String {
        shown_of("prometheus", query)
    }

    fn shown_of(kind: &str, query: Value) -> String {
        let loaded = load_from(&LoadOptions::default(), &BTreeMap::new()).unwrap();
        let mut query = query;
        query["type"] = kind.into();
        let canary: CanaryConfig = serde_json::from_value(json!({
            "templates": {"version": "version=\"${scope}\",zone=\"${zone:-a}\""},
            "metrics": [{"name": "m", "query": query}],
        }))
        .unwrap();
        let metric = &canary.metrics.as_ref().unwrap()[0];
        shown_query(&loaded.config, &canary, metric).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn variables_stay_in_a_query_that_is_shown() {
        let cases = [
            (
                json!({"metricName": "m", "customFilterTemplate": "version"}),
                "avg(m{version=\"${scope}\",zone=\"${zone}\"})",
            ),
            (
                json!({"customInlineTemplate": "PromQL:rate(x{a=\"$\\{location}\"}[${window}]) > ${scope}"}),
                "rate(x{a=\"${location}\"}[${window}]) > ${scope}",
            ),
            (
                json!({"metricName": "m", "resourceType": "gce_instance"}),
                "avg(m{instance=~\"${scope}-.{4}\",zone=~\".+/zones/${location}-.{1}\"})",
            ),
            (
                json!({"metricName": "m"}),
                "Either a resource type or a custom filter is required.",
            ),
        ];
        for (query, expected) in cases {
            assert_eq!(shown(query.clone()), expected, "{query}");
        }
    }

    #[test]
    fn variables_stay_where_a_value_could_end_what_is_around_them() {
        let cases = [
            (
                "datadog",
                json!({"customInlineTemplate": "sum:a{v:${scope},e:${env:-*}}.as_rate()"}),
                "sum:a{v:${scope},e:${env}}.as_rate()",
            ),
            ("datadog", json!({"metricName": "avg:m"}), "avg:m{${scope}}"),
            (
                "datadog",
                json!({"apiVersion": "v2", "formula": "a / 2", "queries": {"a": "sum:a{v:${scope},e:${env}}"}}),
                "a / 2; a = sum:a{v:${scope},e:${env}}",
            ),
            (
                "signalfx",
                json!({"metricName": "m"}),
                "data('m', filter=filter('scope', '${scope}')).mean(by=['scope']).publish()",
            ),
            (
                "stackdriver",
                json!({"metricType": "m", "resourceType": "gae_app"}),
                "metric.type=\"m\" AND resource.type=gae_app AND project= AND resource.labels.version_id=${scope}",
            ),
        ];
        for (kind, query, expected) in cases {
            assert_eq!(shown_of(kind, query.clone()), expected, "{query}");
        }
    }
}
