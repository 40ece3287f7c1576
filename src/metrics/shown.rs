//! The query of a metric for those who read its config: variables stand where a scope fills them in.

use super::stand_in::filled;
use super::template::{self, variables};
use super::{MetricRequest, text_of};
use crate::canary::{CanaryConfig, CanaryMetricConfig};
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
    let text = template::of(canary, metric)?.unwrap_or_default();
    let variables = variables(&text).map(|variable| variable.name);
    let scope = filled(variables, stands_for_itself);
    let request = MetricRequest {
        config: canary,
        metric,
        scope: &scope,
    };
    let text = text_of(config, &request)?;
    // Outside of templates nothing has taken the escape away.
    Ok(text.replace("$${", "${"))
}

fn stands_for_itself(variable: &str) -> String {
    format!("$${{{variable}}}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::{LoadOptions, load_from};

    fn shown(query: Value) -> String {
        let loaded = load_from(&LoadOptions::default(), &BTreeMap::new()).unwrap();
        let mut query = query;
        query["type"] = "prometheus".into();
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
}
