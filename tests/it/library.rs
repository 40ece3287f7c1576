//! The library of templates, against the series that exporters really have.

use std::collections::BTreeMap;

use serde_json::json;
use serin::metrics::library;
use serin::metrics::promql::KIND;

use crate::command::{serin, text};
use crate::harness::service;
use crate::prometheus_source::{Asking, account, config, source};

/// What each gives for the sides of `tests/golden/exporters.om.gz`: of ten requests a second, the
/// control fails 0.5 and takes 100 ms, half of them less than that and the others less than 200; the
/// experiment fails 2 and takes 300 ms, all between 200 and 500.
const EXPECTED: [(&str, f64, f64); 6] = [
    ("error-ratio", 0.05, 0.2),
    ("latency", 198.0, 497.0),
    ("saturation", 1.0, 3.0),
    ("cpu-saturation", 0.25, 0.75),
    ("cpu-throttling", 0.1, 0.4),
    ("memory-saturation", 0.25, 0.75),
];

#[tokio::test]
async fn every_template_gives_what_its_exporter_measured() {
    let Some(url) = service("SERIN_TEST_PROMETHEUS_URL") else {
        return;
    };
    let source = source(&config(vec![("real", account(&url))]));
    let expected: BTreeMap<&str, (f64, f64)> = EXPECTED
        .into_iter()
        .map(|(signal, control, experiment)| (signal, (control, experiment)))
        .collect();
    let mut templates = library::all();
    templates.retain(|template| template.kind == KIND);
    assert_eq!(templates.len(), 18);
    for template in templates {
        let (_, signal) = template.name.rsplit_once('/').unwrap();
        let metric = json!({"name": "m", "query": {"type": "prometheus", "customFilterTemplate": template.name}});
        let (control, experiment) = expected[signal];
        for (side, wanted) in [("control", control), ("experiment", experiment)] {
            // Pods have names of their own behind that of their workload.
            let scope = json!({
                "scope": format!("checkout-{side}.*"), "location": "shop", "step": 60,
                "start": "2024-07-01T03:05:00Z", "end": "2024-07-01T03:08:00Z",
            });
            let sets = Asking::of(&json!({}), &metric, &scope)
                .fetch(&source)
                .await
                .unwrap();
            assert_eq!(sets.len(), 1, "{} {side}", template.name);
            assert_eq!(sets[0].values.len(), 4, "{} {side}", template.name);
            let in_seconds = template.says.ends_with(" seconds");
            let wanted = if in_seconds { wanted / 1000.0 } else { wanted };
            for value in &sets[0].values {
                let is_close = (value - wanted).abs() <= 1e-6 * wanted;
                assert!(is_close, "{} {side}: {value}, not {wanted}", template.name);
            }
        }
    }
}

#[tokio::test]
async fn a_side_without_failures_has_a_ratio_of_zero_and_one_without_requests_has_none() {
    let Some(url) = service("SERIN_TEST_PROMETHEUS_URL") else {
        return;
    };
    let source = source(&config(vec![("real", account(&url))]));
    let metric = json!({"name": "m", "query": {"type": "prometheus", "customFilterTemplate": "serin:http/error-ratio"}});
    let of = async |params: serde_json::Value| {
        let scope = json!({
            "scope": "checkout-control", "step": 60, "extendedScopeParams": params,
            "start": "2024-07-01T03:05:00Z", "end": "2024-07-01T03:05:00Z",
        });
        let sets = Asking::of(&json!({}), &metric, &scope)
            .fetch(&source)
            .await
            .unwrap();
        sets[0].values.clone()
    };
    assert_eq!(of(json!({"status_label": "nosuch"})).await, [0.0]);
    assert_eq!(of(json!({"scope_label": "nosuch"})).await, [] as [f64; 0]);
}

#[test]
fn a_template_of_the_config_comes_before_one_of_the_library() {
    let name = "serin:http/latency";
    let query = |templates| {
        let config: serin::canary::CanaryConfig = serde_json::from_value(json!({
            "templates": templates,
            "metrics": [{"name": "m", "query": {"type": "prometheus", "customFilterTemplate": name}}],
        }))
        .unwrap();
        let metric = &config.metrics.as_ref().unwrap()[0];
        serin::metrics::template_of(&config, metric)
            .unwrap()
            .unwrap()
    };
    assert!(query(json!({})).starts_with("PromQL:histogram_quantile("));
    assert_eq!(query(json!({name: "PromQL:up"})), "PromQL:up");
}

#[test]
fn the_command_lists_them_and_prints_one() {
    let all = serin(&["templates"], "");
    let (kinds, listed): (Vec<String>, Vec<String>) = text(&all.stdout)
        .lines()
        .map(str::to_owned)
        .partition(|line| line.starts_with("# "));
    assert_eq!(
        kinds,
        [
            "# prometheus",
            "# datadog",
            "# signalfx",
            "# stackdriver",
            "# newrelic",
            "# cloudwatch",
            "# clickhouse"
        ]
    );
    assert_eq!(listed.len(), library::all().len());
    for name in ["serin:istio/latency", "istio/latency"] {
        let one = text(&serin(&["templates", name], "").stdout);
        assert!(
            one.starts_with(
                "# serin:istio/latency: a quantile of the duration of requests, in milliseconds\n"
            ) && one.contains("\n# ${quantile}: which quantile, 0 to 1; without it '0.99'\n")
                && one.contains("\nhistogram_quantile(${quantile:-0.99}, "),
            "{one}"
        );
    }
    let filter = text(&serin(&["templates", "cloud-run/errors"], "").stdout);
    for line in [
        "# needs services of Cloud Run, whose metrics are always there",
        "# ${scope_label}: the label that tells the sides apart; without it 'revision_name'",
        "# perSeriesAligner: ALIGN_RATE",
        "resource.labels.${scope_label:-revision_name}=\"${scope}\" AND metric.labels.response_code_class=\"5xx\"",
    ] {
        assert!(filter.lines().any(|told| told == line), "{line}: {filter}");
    }
    let unknown = serin(&["templates", "istio/latncy"], "");
    assert_eq!(unknown.status.code(), Some(64));
    assert!(text(&unknown.stderr).contains("did you mean 'serin:istio/latency'?"));
}

#[test]
fn the_document_lists_every_template_and_every_variable() {
    let document = include_str!("../../docs/templates.md");
    let listed: Vec<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| `serin:"))
        .filter_map(|rest| rest.split('`').next())
        .collect();
    let all = library::all();
    let names: Vec<&str> = all
        .iter()
        .map(|template| template.name.strip_prefix("serin:").unwrap())
        .collect();
    assert_eq!(listed, names);
    for variable in all.iter().flat_map(library::Template::variables) {
        assert!(
            document.contains(&format!("`{}`", variable.name)),
            "{variable:?}"
        );
    }
}

/// A config of one metric.
fn of_metric(metric: &serde_json::Value) -> serin::canary::CanaryConfig {
    let weights = json!({metric["groups"][0].as_str().unwrap_or_default(): 100});
    serde_json::from_value(json!({
        "name": "c", "applications": ["a"], "metrics": [metric], "classifier": {"groupWeights": weights},
    }))
    .unwrap()
}

#[test]
fn a_printed_metric_asks_what_its_name_asks() {
    let own = serin::config::load_from(&serin::config::LoadOptions::default(), &BTreeMap::new());
    let own = own.unwrap().config;
    for template in library::all() {
        let printed = serin(&["templates", &template.name, "--format", "metric"], "");
        let printed: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
        let named = json!({"name": "m", "scopeName": "default", "groups": ["g"],
            "query": {"type": template.kind, "customFilterTemplate": template.name}});
        let asked = [printed, named].map(|metric| {
            let config = of_metric(&metric);
            let text = serde_json::to_string(&config).unwrap();
            let findings = serin::lint::doubts(
                &own,
                &serin::lint::Text::config(&text),
                &serin::lint::Given::default(),
            );
            assert_eq!(findings, [], "{text}");
            let metric = &config.metrics.as_ref().unwrap()[0];
            serin::metrics::shown_query(&own, &config, metric).unwrap()
        });
        assert_eq!(asked[0], asked[1], "{}", template.name);
        assert!(asked[0].contains("${scope}"), "{}", asked[0]);
    }
}

#[test]
fn a_member_of_the_query_comes_before_that_of_the_library() {
    let own = serin::config::load_from(&serin::config::LoadOptions::default(), &BTreeMap::new());
    let own = own.unwrap().config;
    let query = |members: &serde_json::Value| {
        let mut query =
            json!({"type": "stackdriver", "customFilterTemplate": "serin:cloud-run/traffic"});
        for (name, value) in members.as_object().unwrap() {
            query[name] = value.clone();
        }
        let config = of_metric(&json!({"name": "m", "groups": ["g"], "query": query}));
        let metric = &config.metrics.as_ref().unwrap()[0];
        serin::metrics::shown_query(&own, &config, metric).unwrap()
    };
    assert!(query(&json!({})).starts_with("metric.type=\"run.googleapis.com/request_count\" AND"));
    assert!(query(&json!({"metricType": "m"})).starts_with("metric.type=\"m\" AND"));
}
