//! What is wrong with a canary config is found before anything is judged by it.

mod commands;
mod findings;
mod kept;
mod sources;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use serin::canary::{CanaryClassifierThresholdsConfig, CanaryScope, Pair};
use serin::config::Config;
use serin::lint::{Code, Finding, Format, Given, Severity, lint};

use crate::command::{serin, text};
use crate::harness::{Serin, service};
use crate::lenient::{request, start};
use crate::others::shared;
use crate::prometheus_source::config;

/// Each broken config, and what is to be found in it.
const BROKEN: [(&str, Code); 39] = [
    ("bracket-not-closed", Code::BrokenQuery),
    ("classifier-misspelt", Code::MisspeltMember),
    ("comma-too-many", Code::Unreadable),
    ("counter-without-rate", Code::CounterWithoutRate),
    ("critical-as-text", Code::BadPolicy),
    ("critical-limit-of-what-is-not-critical", Code::IdleLimit),
    ("critical-misspelt", Code::MisspeltMember),
    ("direction-that-means-nothing", Code::UnknownValue),
    ("direction-the-wrong-way", Code::DoubtfulDirection),
    ("doubt-of-a-metric-misspelt", Code::UnknownValue),
    ("doubt-that-means-nothing", Code::UnknownValue),
    ("everything-muted", Code::ScoreAlwaysZero),
    ("filter-of-old", Code::DeprecatedFilter),
    ("five-percent-as-0.05", Code::IdleLimit),
    ("group-misspelt", Code::GroupWithoutMetrics),
    ("interval-of-grafana", Code::ForeignVariable),
    ("judge-that-is-not-there", Code::UnknownJudge),
    ("labels-that-differ", Code::UnpairedSeries),
    ("member-of-a-metric-misspelt", Code::MisspeltMember),
    ("metric-name-missing", Code::BrokenQuery),
    ("metric-that-is-not-there", Code::NoSeries),
    ("must-have-data-that-is-replaced", Code::IdleMustHaveData),
    ("name-twice", Code::DuplicateMetric),
    ("nan-strategy-in-upper-case", Code::UnknownValue),
    ("pass-out-of-reach", Code::UnreachableThreshold),
    ("prefix-in-lower-case", Code::NoPromqlPrefix),
    ("prefix-missing", Code::NoPromqlPrefix),
    ("quantile-without-le", Code::QuantileWithoutLe),
    ("query-member-misspelt", Code::MisspeltMember),
    ("rate-over-ten-minutes", Code::SharedData),
    ("scope-misspelt", Code::MisspeltVariable),
    ("scope-name-missing", Code::NoScopeName),
    ("scope-not-used", Code::EqualQueries),
    ("source-misspelt", Code::MisspeltSource),
    ("template-that-is-not-there", Code::UnknownTemplate),
    ("variable-of-argo", Code::ForeignVariable),
    ("variable-that-nobody-gives", Code::UnknownVariable),
    ("weights-above-100-for-others", Code::NegativeWeight),
    ("weights-sum-to-90", Code::WeightsSum),
];

/// Each can be judged by, whatever may be doubtful in it.
const VALID: [&str; 55] = [
    "PromQL:max(histogram_quantile(0.99, rate(x_bucket{version=\"${scope}\"}[1m])))",
    "PromQL:histogram_quantile(0.9, sum by (le, job) (rate(x_bucket{version=\"${scope}\"}[1m])))",
    "PromQL:histogram_quantile(0.9, sum(rate(x_bucket{version=\"${scope}\"}[1m])) by (le))",
    "PromQL:histogram_quantile(0.9, sum without (instance) (rate(x_bucket{version=\"${scope}\"}[1m])))",
    "PromQL:histogram_quantile(0.9, sum BY (le) (rate(x_bucket{version=\"${scope}\"}[1m]))) * 1000",
    "PromQL:histogram_quantile(0.9, sum by (${labels}) (rate(x_bucket{version=\"${scope}\"}[1m])))",
    "PromQL:histogram_quantile(0.9, sum(rate(x{version=\"${scope}\"}[1m])))",
    "PromQL:sum(rate(x_sum{version=\"${scope}\"}[1m])) / sum(rate(x_count{version=\"${scope}\"}[1m]))",
    "PromQL:sum without (instance) (rate(x_total{version=\"${scope}\"}[1m]))",
    "PromQL:label_replace(up{version=\"${scope}\"}, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
    "PromQL:label_replace(up{version=\"${scope}\"}, \"a\", \"$scope\", \"b\", \"(?P<scope>.*)\")",
    "PromQL:label_join(up{version=\"${scope}\"}, \"a\", \"-\", \"job\", \"instance\")",
    "PromQL:topk(5, sum by (route) (rate(x_total{version=\"${scope}\"}[1m])))",
    "PromQL:sum(rate(x_total{version=\"${scope}\"}[1m] offset 1d))",
    "PromQL:max_over_time(sum(rate(x_total{version=\"${scope}\"}[1m]))[10m:1m])",
    "PromQL:avg_over_time(x{version=\"${scope}\"}[1m] @ end())",
    "PromQL:quantile_over_time(0.95, x{version=\"${scope}\"}[1m])",
    "PromQL:sum(x{version=\"${scope}\"}) by (zone) / on (zone) group_left () max by (zone) (y)",
    "PromQL:sum(x{version=\"${scope}\"}) or vector(0)",
    "PromQL:absent(up{version=\"${scope}\"})",
    "PromQL:count(x{version=\"${scope}\"} > bool 0.5) # more than half",
    "PromQL:{__name__=\"x\", version=~'${scope}-[a-z0-9]{5}'}",
    "PromQL:sum(x{version=\"${scope}\",class=\"Outer$Inner\"})",
    "PromQL:sum(x{version=\"${scope}\",uri=\"/$batch\"})",
    "PromQL:sum(x{version=\"${scope}\",uri=~\"/api$|/$batch\"})",
    "PromQL:sum(x{version=\"${scope}\",uri=\"/users/{{id}}\"})",
    "PromQL:sum(x{version=~\"^${scope}$\"})",
    "PromQL:sum(x{version=\"${scope}\",project=\"${project_id}\"})",
    "PromQL:sum(x{version=\"${scope}\",project=\"${projectId}\"})",
    "PromQL:sum(x{version=\"${scope}\",project=~\"${projects}\"})",
    "PromQL:sum(x{version=\"${scope}\",type=\"${resource_type}\"})",
    "PromQL:sum(x{version=\"${scope}\",allocation=\"${allocation}\"})",
    "PromQL:sum(x{version=~\"${scope}|${scope2}\"})",
    "PromQL:sum(x{version=~\"${scopes}\"})",
    "PromQL:sum(x{version=~\"${scopes:-.*}\",zone=\"${location:-eu}\"})",
    "version=\"${scope}\",code=~\"5..\"",
    "version=\"${scope}\",uri!~\".*/(health|ready)$\"",
    "PromQL:sum by (\"service.name\") (rate({\"http.requests\",\"service.version\"=\"${scope}\"}[1m]))",
    "PromQL:sum(rate(x{version=\"${scope}\"}[${window}]))",
    "PromQL:sum by (${labels}) (${metric}{version=\"${scope}\"})",
    "PromQL:sum(x{${matchers},version=\"${scope}\"}) ${operator} 2",
    "PromQL:topk(${k}, sum by (route) (x{version=\"${scope}\"}))",
    "PromQL:${function}(x{version=\"${scope}\"}[1m])",
    "PromQL:rate(x{version=\"${scope}\"})",
    "PromQL:sum(x{version=\"${scope}\"}) default 0",
    "PromQL:sum(increase(x{version=\"${scope}\"}[1m])) keep_metric_names",
    "PromQL:range_quantile(0.9, x{version=\"${scope}\"})",
    "PromQL:sum(foo.bar{version=\"${scope}\"})",
    "PromQL:sum(x{version=\"${scope}\",text=\"“quoted” – dash\"})",
    "PromQL:sum(x{version=~\"${scope}-[[:alnum:]]{4}\"})",
    "LogQL:sum(rate({app=\"${scope}\"} |= \"error\" != \"debug\" [1m]))",
    "LogQL:sum(count_over_time({app=`${scope}`} |~ `a|b(` [1m])) / sum(count_over_time({app=`${scope}`}[1m]))",
    "LogQL:quantile_over_time(0.95, {app=\"${scope}\"} | json | unwrap duration(took) [1m]) by (zone)",
    "LogQL:sum by (zone) (bytes_rate({app=\"${scope}\"} | pattern `<_> <zone>` [1m]))",
    "PromQL:sum(rate({app=\"${scope}\"} |= \"error\" [1m]))",
];

/// Queries, of metrics that are else as they should be, and what is to be found.
const DOUBTFUL: [(&str, Code); 37] = [
    (
        "PromQL:sum(rate(x{version=“${scope}”}[1m]))",
        Code::BrokenQuery,
    ),
    (
        "PromQL:sum(rate(x{version=‘${scope}’}[1m]))",
        Code::BrokenQuery,
    ),
    ("version=”${scope}”", Code::BrokenQuery),
    (
        "PromQL:sum(rate(x{version=\"${scope}\"}[1m])) sum(y)",
        Code::BrokenQuery,
    ),
    (
        "PromQL:sum(x{version=\"${scope}\" zone=\"a\"})",
        Code::BrokenQuery,
    ),
    ("PromQL:sum(x{version=${scope}})", Code::BrokenQuery),
    ("PromQL:sum(x{version==\"${scope}\"})", Code::BrokenQuery),
    (
        "PromQL:sum(x{version=\"${scope}\"}) / / 2",
        Code::BrokenQuery,
    ),
    (
        "PromQL:sum(x{version=\"${scope}\"}) –\u{a0}1",
        Code::BrokenQuery,
    ),
    (
        "PromQL:raet(x{version=\"${scope}\"}[1m])",
        Code::BrokenQuery,
    ),
    (
        "PromQL:sum(x{version=~\"(?!${scope}).*\"})",
        Code::BrokenQuery,
    ),
    ("PromQL:", Code::BrokenQuery),
    ("version=\"${scope}\" AND code=\"500\"", Code::BrokenQuery),
    (
        "SELECT count(*) FROM x WHERE version = '${scope}'",
        Code::BrokenQuery,
    ),
    (
        "PromQL:sum(rate(x{version=\"${scope}\"}))",
        Code::DoubtfulQuery,
    ),
    (
        "PromQL:median(x{version=\"${scope}\"})",
        Code::DoubtfulQuery,
    ),
    (
        "PromQL:sum(rate({app=\"${scope}\"} |= \"error\" [1m]))",
        Code::DoubtfulQuery,
    ),
    ("LogQL:{app=\"${scope}\"} |= \"error\"", Code::BrokenQuery),
    (
        "LogQL:sum(rate({app=\"${scope}\"} |= \"error\" [1m])",
        Code::BrokenQuery,
    ),
    (
        "LogQL:sum(rate({app=\"${scope}\"} | json [10m]))",
        Code::SharedData,
    ),
    (
        "resource.label.pod_name = starts_with(\"${scope}\")",
        Code::ForeignFilter,
    ),
    ("resource.labels.pod_name=\"${scope}\"", Code::ForeignFilter),
    (
        "metric.label.version = one_of(\"${scope}\", \"b\")",
        Code::ForeignFilter,
    ),
    (
        "PromQL:sum(x{a=\"{{args.canary-hash}}\",v=\"${scope}\"})",
        Code::ForeignVariable,
    ),
    (
        "PromQL:sum(x{a=\"{{ ns | default('x') }}\",v=\"${scope}\"})",
        Code::ForeignVariable,
    ),
    (
        "PromQL:sum(x{a=\"{{ .Values.ns }}\",v=\"${scope}\"})",
        Code::ForeignVariable,
    ),
    ("PromQL:x{version=\"${scope}\"}", Code::KeptLabel),
    ("PromQL:rate(x{pod=~\"${scope}-.*\"}[1m])", Code::KeptLabel),
    (
        "PromQL:sum by (version) (x{version=\"${scope}\"})",
        Code::KeptLabel,
    ),
    (
        "PromQL:sum without (pod) (x{version=\"${scope}\"})",
        Code::KeptLabel,
    ),
    (
        "PromQL:sum by (zone, version) (x{version=\"${version}\"})",
        Code::KeptLabel,
    ),
    (
        "PromQL:histogram_quantile(95, sum by (le) (rate(x_bucket{v=\"${scope}\"}[1m])))",
        Code::QuantileOutOfRange,
    ),
    (
        "PromQL:quantile(99, x{version=\"${scope}\"})",
        Code::QuantileOutOfRange,
    ),
    (
        "PromQL:avg(quantile_over_time(50, x{version=\"${scope}\"}[1m]))",
        Code::QuantileOutOfRange,
    ),
    (
        "PromQL:sum(x_total{v=\"${scope}\"}) / sum(rate(y_total{v=\"${scope}\"}[1m]))",
        Code::CounterWithoutRate,
    ),
    (
        "PromQL:sum(x_sum{v=\"${scope}\"}) / sum(x_count{v=\"${scope}\"})",
        Code::CounterWithoutRate,
    ),
    (
        "PromQL:sum({__name__=\"x_total\",version=\"${scope}\"})",
        Code::CounterWithoutRate,
    ),
];

/// Only a Prometheus knows.
const MISSED_WITHOUT_PROMETHEUS: [&str; 2] = ["labels-that-differ", "metric-that-is-not-there"];

fn own() -> Config {
    config(Vec::new())
}

fn usual() -> Given {
    Given {
        duration_minutes: Some(60),
        thresholds: CanaryClassifierThresholdsConfig {
            pass: Some(95.0),
            marginal: Some(75.0),
        },
        ..Given::default()
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/lint")
}

fn whole() -> String {
    std::fs::read_to_string(folder().join("whole.json")).unwrap()
}

fn broken(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("broken/{name}.json"))).unwrap()
}

fn linted(text: &str, given: &Given) -> Vec<Finding> {
    lint(&own(), text, Format::Json, given)
}

#[test]
fn nothing_is_said_of_a_config_that_is_as_it_should_be() {
    assert_eq!(linted(&whole(), &usual()), []);
}

#[test]
fn broken_configs_are_told_by_what_is_wrong_with_them() {
    let mut missed = BTreeSet::new();
    for (name, code) in BROKEN {
        let findings = linted(&broken(name), &usual());
        let Some(found) = findings.iter().find(|finding| finding.code == code) else {
            missed.insert(name);
            continue;
        };
        assert!(found.line.is_some() && found.column.is_some(), "{name}");
        assert_ne!(found.fix, "", "{name}");
    }
    assert_eq!(missed, BTreeSet::from(MISSED_WITHOUT_PROMETHEUS));
    assert_eq!(BROKEN.len() - missed.len(), 37);

    let files = std::fs::read_dir(folder().join("broken")).unwrap();
    assert_eq!(files.count(), BROKEN.len(), "each file stands in the table");
}

#[test]
fn nothing_is_an_error_that_can_be_judged_by() {
    for query in VALID {
        let findings = of_query(query, &usual());
        let errors = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error);
        assert_eq!(errors.count(), 0, "{query}: {findings:#?}");
    }
}

fn of_query(query: &str, given: &Given) -> Vec<Finding> {
    let mut config: Value = serde_json::from_str(&whole()).unwrap();
    config["metrics"][0]["query"] =
        json!({"type": "prometheus", "metricName": "x", "customInlineTemplate": query});
    linted(&config.to_string(), given)
}

#[test]
fn queries_are_told_by_what_is_wrong_with_them() {
    for (query, code) in DOUBTFUL {
        let findings = of_query(query, &usual());
        let codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
        assert!(codes.contains(&code), "{query}: {findings:#?}");
        assert!(!codes.contains(&Code::NoPromqlPrefix), "{query}");
    }
    let told = of_query("PromQL:sum(x{a=\"${scope}\"}) sum(y)", &usual());
    assert_eq!(
        told[0].sentence,
        "this is no PromQL: at letter 29, 'sum' cannot follow 'sum(x{a=\"${scope}\"})'"
    );
    for query in [
        "sum(rate({app=\"${scope}\"} |= \"error\" [1m]))",
        "logql:sum(rate({app=\"${scope}\"}[1m]))",
    ] {
        let told = of_query(query, &usual());
        assert_eq!(told[0].code, Code::NoPromqlPrefix, "{told:#?}");
        assert_eq!(told[0].fix, "begin it with 'LogQL:'");
    }
    let told = of_query("resource.label.pod = starts_with(\"${scope}\")", &usual());
    assert_eq!(told[0].fix, "write pod=~\"${scope}.*\"");
}

#[test]
fn the_document_lists_every_code_with_its_severity() {
    use clap::ValueEnum;
    let document = include_str!("../../docs/lint.md");
    let (_, table) = document.split_once("\n## Codes\n").unwrap();
    let rows: Vec<(&str, &str)> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| {
            let mut cells = line.split('|').map(str::trim).skip(1);
            (
                cells.next().unwrap().trim_matches('`'),
                cells.next().unwrap(),
            )
        })
        .collect();
    let codes: Vec<(String, &str)> = Code::value_variants()
        .iter()
        .map(|code| {
            let severity = match code.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            (code.name(), severity)
        })
        .collect();
    let codes: Vec<(&str, &str)> = codes
        .iter()
        .map(|(code, of)| (code.as_str(), *of))
        .collect();
    assert_eq!(rows, codes);
}

/// Every error is true: no canary runs with such a config. Without errors, it does.
#[tokio::test]
async fn configs_of_others_have_no_false_error() {
    let Some(configs) = shared("configs") else {
        return;
    };
    assert_eq!(configs.len(), 43);
    let (serin, _stores) = start().await;
    let mut asked = request();
    let params = json!({"namespace": "n", "container_name": "c", "resourceType": "gce_instance"});
    for side in ["controlScope", "experimentScope"] {
        asked["scopes"]["default"][side]["extendedScopeParams"] = params.clone();
    }
    for name in ["exported_instance", "service", "job"] {
        asked["scopes"][name] = asked["scopes"]["default"].clone();
    }
    let mut wrong = Vec::new();
    for (file, config) in configs {
        let findings = linted(&config.to_string(), &Given::default());
        let errors: Vec<Code> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .map(|finding| finding.code)
            .collect();
        // This serin has an account of a Prometheus only.
        let metrics = config["metrics"].as_array().into_iter().flatten();
        let mut kinds = metrics.map(|metric| &metric["query"]["type"]);
        let is_for_others = kinds.any(|kind| kind != "prometheus");
        let body = json!({"canaryConfig": config, "executionRequest": asked});
        let (status, told) = serin.client.post("/canary", &body).await;
        let runs = if let Some(id) = told["canaryExecutionId"].as_str() {
            serin.client.poll(id).await["status"] == "succeeded"
        } else {
            assert_eq!(status, 400, "{file}: {told}");
            false
        };
        println!("{file}: runs {runs}, {errors:?}, for others {is_for_others}");
        if runs != errors.is_empty() && !(errors.is_empty() && is_for_others) {
            wrong.push((file, runs, errors));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    serin.service.stop().await;
}
