//! Queries of every source: its library, and faults at their members.

use super::*;

#[test]
fn nothing_is_wrong_with_the_library() {
    for template in serin::metrics::library::all() {
        let mut config: Value = serde_json::from_str(&whole()).unwrap();
        config["metrics"][0]["query"] =
            json!({"type": template.kind, "customFilterTemplate": template.name});
        let findings = linted(&config.to_string(), &usual());
        assert_eq!(findings, [], "{}", template.name);
    }
}

#[test]
fn what_is_wrong_with_a_query_is_told_at_its_member() {
    let cases = [
        // the query, the code, the member, part of the sentence
        (
            json!({"type": "datadog", "apiVersion": "v2", "queries": {"a": "sum:m{v:${scop}}"}}),
            Code::MisspeltVariable,
            "queries",
            "a letter from ${scope}",
        ),
        (
            json!({"type": "datadog", "apiVersion": "v2", "queries": {"a": "sum:m{v:${scope},e:${env}}"}}),
            Code::UnknownVariable,
            "queries",
            "${env} has a value only where",
        ),
        (
            json!({"type": "datadog", "metricName": "avg:m", "apiVersion": "v3"}),
            Code::UnbuildableQuery,
            "apiVersion",
            "is 'v1' or 'v2', not 'v3'",
        ),
        (
            json!({"type": "stackdriver", "metricType": "run.googleapis.com/request_latencies", "resourceType": "x",
                "customInlineTemplate": "v=\"${scope}\"", "crossSeriesReducer": "REDUCE_PERCENTILE_99"}),
            Code::DoubtfulQuery,
            "perSeriesAligner",
            "a metric of distributions",
        ),
        (
            json!({"type": "datadog", "customFilterTemplate": "serin:istio/latency"}),
            Code::UnknownTemplate,
            "customFilterTemplate",
            "is for queries of type 'prometheus'",
        ),
        (
            json!({"type": "stackdriver", "metricType": "m", "customFilter": "v=\"${scope}\""}),
            Code::DeprecatedFilter,
            "customFilter",
            "is refused",
        ),
        (
            json!({"type": "prometheus", "metricName": "m", "customFilter": ""}),
            Code::DeprecatedFilter,
            "customFilter",
            "is refused",
        ),
        (
            json!({"type": "signalfx", "metricName": "m", "aggregationMethod": ""}),
            Code::BrokenQuery,
            "aggregationMethod",
            "without a name",
        ),
        (
            json!({"type": "influxdb", "metricName": "m", "fields": ["v"], "customFilterTemplate": "nosuch"}),
            Code::DoubtfulQuery,
            "customFilterTemplate",
            "are not read where InfluxDB is asked",
        ),
        (
            json!({"type": "signalfx", "customFilterTemplate": "serin:splunk-apm/latncy"}),
            Code::UnknownTemplate,
            "customFilterTemplate",
            "neither in the config nor in serin's library",
        ),
    ];
    for (query, code, member, sentence) in cases {
        told_at(&query, code, member, sentence);
    }
}

#[test]
fn what_is_wrong_with_a_query_of_cloudwatch_is_told_at_its_member() {
    let cases = [
        // the query, the code, the member, part of the sentence
        (
            json!({"type": "cloudwatch", "namespace": "AWS/Lambda", "metricName": "Duration", "stat": "Sum",
                "dimensions": {"Resource": "f:${scope}"}}),
            Code::DoubtfulQuery,
            "stat",
            "a Sum of 'Duration' grows with the traffic",
        ),
        (
            json!({"type": "cloudwatch", "expression": "100 * e / 7", "queries": {"e": {"namespace": "AWS/ApplicationELB",
                "metricName": "HTTPCode_Target_5XX_Count", "dimensions": {"TargetGroup": "${scope}"}}}}),
            Code::DoubtfulQuery,
            "queries",
            "'HTTPCode_Target_5XX_Count' counts, and its Average",
        ),
        (
            json!({"type": "cloudwatch", "namespace": "N", "metricName": "m", "stat": "average",
                "dimensions": {"v": "${scope}"}}),
            Code::UnbuildableQuery,
            "stat",
            "did you mean 'Average'?",
        ),
        (
            json!({"type": "cloudwatch", "namespace": "AWS/X", "metricName": "m", "period": 10,
                "dimensions": {"v": "${scope}"}}),
            Code::DoubtfulQuery,
            "period",
            "a point a minute at best",
        ),
        (
            json!({"type": "cloudwatch", "namespace": "N", "metricName": "m", "dimensions": {"v": "${scop}", "w": "${scope}"}}),
            Code::MisspeltVariable,
            "dimensions",
            "a letter from ${scope}",
        ),
        (
            json!({"type": "cloudwatch", "expression": "SELECT AVG(m) FROM N WHERE v = '${scope}' GROUP BY zone"}),
            Code::DoubtfulQuery,
            "expression",
            "GROUP BY gives a series for each",
        ),
        (
            json!({"type": "cloudwatch", "customInlineTemplate": "SEARCH('{N,v} m v=\"${scope}\"', 'Sum', ${step})"}),
            Code::DoubtfulQuery,
            "customInlineTemplate",
            "a SEARCH that nothing makes one series of",
        ),
        (
            json!({"type": "cloudwatch", "expression": "SELECT PERCENTILE(m, 99) FROM N WHERE v = '${scope}'"}),
            Code::BrokenQuery,
            "expression",
            "Metrics Insights has no percentiles",
        ),
    ];
    for (query, code, member, sentence) in cases {
        told_at(&query, code, member, sentence);
    }
}

/// One finding, of a config with that query.
fn told_at(query: &Value, code: Code, member: &str, sentence: &str) {
    let mut config: Value = serde_json::from_str(&whole()).unwrap();
    config["metrics"][0]["query"] = query.clone();
    let findings = linted(&config.to_string(), &usual());
    let [found] = findings.as_slice() else {
        panic!("{query}: {findings:#?}");
    };
    assert_eq!(found.code, code, "{query}");
    assert_eq!(found.path, format!("metrics[0].query.{member}"));
    assert!(found.sentence.contains(sentence), "{query}: {found:?}");
}

#[test]
fn a_language_says_itself_how_grave_a_doubt_is_and_what_to_do() {
    let cases = [
        // the query, the code, the severity, the fix
        (
            json!({"type": "prometheus", "customInlineTemplate": "PromQL:sum(x)"}),
            Code::EqualQueries,
            Severity::Warning,
            "select the side by a label, as in version=\"${scope}\"",
        ),
        (
            json!({"type": "datadog", "customInlineTemplate": "avg:m{*}"}),
            Code::EqualQueries,
            Severity::Warning,
            "select the side by ${scope}",
        ),
        (
            json!({"type": "prometheus", "metricName": "x", "resourceType": "y"}),
            Code::UnbuildableQuery,
            Severity::Error,
            "give the query what is missing, or a template that begins with 'PromQL:'",
        ),
        (
            json!({"type": "prometheus", "customInlineTemplate": "sum(x{v=\"${scope}\"})"}),
            Code::NoPromqlPrefix,
            Severity::Warning,
            "begin it with 'PromQL:'",
        ),
        (
            json!({"type": "prometheus", "metricName": "x", "customInlineTemplate": "sum(x{v=\"${scope}\"})"}),
            Code::NoPromqlPrefix,
            Severity::Error,
            "begin it with 'PromQL:'",
        ),
    ];
    for (query, code, severity, fix) in cases {
        let mut config: Value = serde_json::from_str(&whole()).unwrap();
        config["metrics"][0]["query"] = query.clone();
        let findings = linted(&config.to_string(), &usual());
        let [found] = findings.as_slice() else {
            panic!("{query}: {findings:#?}");
        };
        let told = (found.code, found.severity, found.fix.as_str());
        assert_eq!(told, (code, severity, fix), "{query}");
    }
}
