//! PromQL for one metric of one side.

use crate::canary::{CanaryMetricSetQueryConfig, CanaryScope};
use crate::error::{Error, Result};
use crate::metrics::quoted::{self, Quoting};
use crate::metrics::template::{self, Expansion};
use crate::metrics::{MetricRequest, promql};

const QUOTING: Quoting = Quoting {
    quotes: "\"'`",
    comment: Some('#'),
    has_braces: false,
    never: "\"\\`",
    way_back: Some("kayenta.prometheus.rawValues"),
};

/// Refuses a query in which a value of the scope could end the quotes around it.
///
/// # Errors
/// `Invalid` with the names of the metric and the variable.
pub fn check(request: &MetricRequest<'_>) -> Result<()> {
    let template = template::of(request.config, request.metric)?.unwrap_or_default();
    if !template.is_empty() {
        return quoted::check_template(request, &template, &QUOTING);
    }
    // The matchers of a resource type have these between double quotes.
    let expansion = Expansion::of(request);
    for name in ["scope", "location", "project"] {
        if let Some(value) = expansion.value(name) {
            quoted::check_value(request, name, &value, '"', &QUOTING)?;
        }
    }
    Ok(())
}

/// What is sent for a metric: the text after `PromQL:` or `LogQL:`, an average over label matchers, or, without
/// the name of a metric to put them at, the whole template.
///
/// Values are put in as they are, as Kayenta does; `quoted` has looked at those between quotes.
pub fn build(request: &MetricRequest<'_>, scope_label: &str) -> Result<String> {
    let query = promql::query_of(request)?;
    let filter = template::custom_filter(request)?;
    if let Some(whole) = promql::whole(&filter) {
        return Ok(whole.to_owned());
    }
    let Some(name) = query.text("metricName").filter(|name| !name.is_empty()) else {
        // Kayenta refuses both; `promql:up` would be the name of a metric, which is never there.
        return if filter.trim().is_empty() || promql::prefix_in_other_letters(&filter).is_some() {
            invalid("Metric Name is required when query type is Default.")
        } else {
            Ok(filter)
        };
    };
    let matchers = matchers(query, request.scope, &filter, scope_label)?.join(",");
    let selector = if matchers.is_empty() {
        name
    } else {
        format!("{name}{{{matchers}}}")
    };
    let labels = query.texts("groupByFields");
    Ok(if labels.is_empty() {
        format!("avg({selector})")
    } else {
        format!("avg({selector}) by ({})", labels.join(","))
    })
}

fn matchers(
    query: &CanaryMetricSetQueryConfig,
    scope: &CanaryScope,
    filter: &str,
    scope_label: &str,
) -> Result<Vec<String>> {
    let bindings = query.texts("labelBindings");
    if !filter.is_empty() {
        // Kayenta splits at commas and joins again: only the trailing ones are lost.
        let filter = filter.trim_end_matches(',');
        let filter = (!filter.is_empty()).then(|| filter.to_owned());
        return Ok(filter.into_iter().chain(bindings).collect());
    }

    let own = query.text("resourceType");
    let own = own.filter(|kind| !kind.trim().is_empty());
    let resource_type = own.or_else(|| param(scope, "resourceType"));
    let resource = match resource_type.as_deref() {
        Some(kind @ "gce_instance") => {
            let location = location(scope, kind)?;
            let zone = match param(scope, "project") {
                Some(project) => format!("zone=~\".+/projects/{project}/zones/{location}-.{{1}}\""),
                None => format!("zone=~\".+/zones/{location}-.{{1}}\""),
            };
            let instance = named(scope).map(|name| format!("{scope_label}=~\"{name}-.{{4}}\""));
            instance.into_iter().chain([zone])
        }
        Some(kind @ "aws_ec2_instance") => {
            let zone = format!("zone=~\"{}.{{1}}\"", location(scope, kind)?);
            let group = named(scope).map(|name| format!("asg_groupName=\"{name}\""));
            group.into_iter().chain([zone])
        }
        Some(kind) if !kind.trim().is_empty() => {
            return invalid(&format!(
                "There is no explicit support for resourceType '{kind}'. You may build whatever \
                 query makes sense for your environment via label bindings and custom filter \
                 templates."
            ));
        }
        _ => return invalid("Either a resource type or a custom filter is required."),
    };
    Ok(bindings.into_iter().chain(resource).collect())
}

fn named(scope: &CanaryScope) -> Option<&str> {
    scope.scope.as_deref().filter(|name| !name.is_empty())
}

fn location<'a>(scope: &'a CanaryScope, kind: &str) -> Result<&'a str> {
    let location = scope.location.as_deref();
    location.filter(|text| !text.is_empty()).ok_or_else(|| {
        Error::Invalid(format!(
            "Location (i.e. region) is required when resourceType is '{kind}'."
        ))
    })
}

fn param(scope: &CanaryScope, name: &str) -> Option<String> {
    let value = scope.extended_scope_params.as_ref()?.get(name)?;
    Some(value.clone()).filter(|value| !value.is_empty())
}

fn invalid<T>(message: &str) -> Result<T> {
    Err(Error::Invalid(message.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::canary::{CanaryConfig, CanaryMetricConfig};

    /// The query, or the message of the error.
    fn built(query: &Value, scope: &Value) -> String {
        let mut query = query.clone();
        query["type"] = "prometheus".into();
        let metric: CanaryMetricConfig =
            serde_json::from_value(json!({"name": "m", "query": query})).unwrap();
        let config: CanaryConfig =
            serde_json::from_value(json!({"templates": {"named": "version=\"${scope}\""}}))
                .unwrap();
        let scope: CanaryScope = serde_json::from_value(scope.clone()).unwrap();
        let request = MetricRequest {
            config: &config,
            metric: &metric,
            scope: &scope,
            longest: 1000,
            is_reused: true,
        };
        build(&request, "instance").unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn queries_are_those_of_kayenta() {
        let group = json!({"scope": "some-server-group", "location": "us-central1"});
        let in_project = json!({"scope": "web", "location": "eu",
            "extendedScopeParams": {"project": "shop", "resourceType": "gce_instance"}});
        let cases = [
            (
                json!({"metricName": "some-metric-name", "labelBindings": ["a=b"], "resourceType": "gce_instance"}),
                &group,
                r#"avg(some-metric-name{a=b,instance=~"some-server-group-.{4}",zone=~".+/zones/us-central1-.{1}"})"#,
            ),
            (
                json!({"metricName": "some-metric-name", "labelBindings": ["a=b"], "resourceType": "aws_ec2_instance"}),
                &group,
                r#"avg(some-metric-name{a=b,asg_groupName="some-server-group",zone=~"us-central1.{1}"})"#,
            ),
            (
                json!({"metricName": "m", "resourceType": " "}),
                &in_project,
                r#"avg(m{instance=~"web-.{4}",zone=~".+/projects/shop/zones/eu-.{1}"})"#,
            ),
            (
                json!({"metricName": "m", "resourceType": "aws_ec2_instance", "groupByFields": ["zone", "x"]}),
                &json!({"location": "eu"}),
                r#"avg(m{zone=~"eu.{1}"}) by (zone,x)"#,
            ),
            (
                json!({"metricName": "some-metric-name", "labelBindings": ["a=b"], "customInlineTemplate": "some-label=${scope}"}),
                &json!({"scope": "some-app-canary"}),
                "avg(some-metric-name{some-label=some-app-canary,a=b})",
            ),
            (
                json!({"metricName": "some-metric-name", "labelBindings": ["a=b"], "resourceType": "anything",
                    "customInlineTemplate": "customFilter=something,andSomething=else"}),
                &group,
                "avg(some-metric-name{customFilter=something,andSomething=else,a=b})",
            ),
            (
                json!({"customInlineTemplate": "PromQL:histogram_quantile(${quantile}, x{handler=\"${scope}\"})"}),
                &json!({"scope": "/graph", "extendedScopeParams": {"quantile": "0.99"}}),
                r#"histogram_quantile(0.99, x{handler="/graph"})"#,
            ),
            (
                json!({"metricName": "m", "customInlineTemplate": "LogQL:sum(rate({app=\"${scope}\"} |= `x` [1m]))"}),
                &group,
                r#"sum(rate({app="some-server-group"} |= `x` [1m]))"#,
            ),
            (
                json!({"customInlineTemplate": "PromQL: up "}),
                &group,
                " up ",
            ),
            (
                json!({"metricName": "m", "customInlineTemplate": "a=~\"x{1,2}\",,b=c,,", "labelBindings": ["d=e"]}),
                &group,
                r#"avg(m{a=~"x{1,2}",,b=c,d=e})"#,
            ),
            (
                json!({"metricName": "m", "customInlineTemplate": ","}),
                &group,
                "avg(m)",
            ),
            (
                json!({"metricName": "m", "customFilterTemplate": "named"}),
                &group,
                r#"avg(m{version="some-server-group"})"#,
            ),
            (
                json!({"metricName": "m", "customInlineTemplate": "a=\"$\\{location}\"", "customFilterTemplate": "nosuch"}),
                &group,
                r#"avg(m{a="us-central1"})"#,
            ),
            (
                json!({"customInlineTemplate": "PromQL:${resourceType} ${scope}", "resourceType": "own"}),
                &json!({"scope": "a", "extendedScopeParams": {"scope": "b"}}),
                "own b",
            ),
        ];
        for (query, scope, expected) in cases {
            assert_eq!(built(&query, scope), expected, "{query}");
        }
    }

    #[test]
    fn what_cannot_be_built_is_told_in_kayentas_words() {
        let cases = [
            (
                json!({"metricName": "m", "customFilter": ""}),
                "CanaryMetricSetQueryConfig.customFilter is deprecated, use CanaryMetricSetQueryConfig.customInlineTemplate instead.",
            ),
            (
                json!({"metricName": "m", "customFilterTemplate": "nosuch"}),
                "Custom filter template 'nosuch' was not found.",
            ),
            (
                json!({"metricName": "m", "customInlineTemplate": "a=\"$\\{nosuch}\""}),
                "Problem evaluating custom filter template: a=\"${nosuch}\"",
            ),
            (
                json!({"customInlineTemplate": "promql:up"}),
                "Metric Name is required when query type is Default.",
            ),
            (
                json!({"metricName": "m"}),
                "Either a resource type or a custom filter is required.",
            ),
            (
                json!({"metricName": "m", "resourceType": "k8s_pod"}),
                "There is no explicit support for resourceType 'k8s_pod'. You may build whatever query makes sense for your environment via label bindings and custom filter templates.",
            ),
            (
                json!({"metricName": "m", "resourceType": "gce_instance"}),
                "Location (i.e. region) is required when resourceType is 'gce_instance'.",
            ),
            (
                json!({"metricName": "m", "resourceType": "aws_ec2_instance"}),
                "Location (i.e. region) is required when resourceType is 'aws_ec2_instance'.",
            ),
        ];
        for (query, expected) in cases {
            assert_eq!(built(&query, &json!({"scope": "s"})), expected, "{query}");
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
            longest: 1000,
            is_reused: true,
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
