//! What is wrong with a canary config is found before anything is judged by it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use serin::canary::CanaryClassifierThresholdsConfig;
use serin::config::Config;
use serin::lint::{Code, Finding, Format, Given, Severity, lint};

use crate::command::{serin, text};
use crate::harness::{Serin, service};
use crate::lenient::{request, start};
use crate::others::shared;
use crate::prometheus_source::config;

/// Each broken config, and what is to be found in it.
const BROKEN: [(&str, Code); 37] = [
    ("bracket-not-closed", Code::BrokenQuery),
    ("classifier-misspelt", Code::MisspeltMember),
    ("comma-too-many", Code::Unreadable),
    ("counter-without-rate", Code::CounterWithoutRate),
    ("critical-as-text", Code::BadPolicy),
    ("critical-limit-of-what-is-not-critical", Code::IdleLimit),
    ("critical-misspelt", Code::MisspeltMember),
    ("direction-that-means-nothing", Code::UnknownValue),
    ("direction-the-wrong-way", Code::DoubtfulDirection),
    ("everything-muted", Code::ScoreAlwaysZero),
    ("filter-of-old", Code::DeprecatedFilter),
    ("five-percent-as-0.05", Code::IdleLimit),
    ("group-misspelt", Code::GroupWithoutMetrics),
    ("interval-of-grafana", Code::ForeignVariable),
    ("judge-that-is-not-there", Code::UnknownJudge),
    ("labels-that-differ", Code::UnpairedSeries),
    ("member-of-a-metric-misspelt", Code::MisspeltMember),
    ("metric-name-missing", Code::UnbuildableQuery),
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
    ("source-misspelt", Code::Unreadable),
    ("template-that-is-not-there", Code::UnknownTemplate),
    ("variable-of-argo", Code::ForeignVariable),
    ("variable-that-nobody-gives", Code::UnknownVariable),
    ("weights-above-100-for-others", Code::NegativeWeight),
    ("weights-sum-to-90", Code::WeightsSum),
];

/// Each can be judged by, whatever may be doubtful in it.
const VALID: [&str; 37] = [
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
    assert_eq!(BROKEN.len() - missed.len(), 35);

    let files = std::fs::read_dir(folder().join("broken")).unwrap();
    assert_eq!(files.count(), BROKEN.len(), "each file stands in the table");
}

#[test]
fn nothing_is_an_error_that_can_be_judged_by() {
    for query in VALID {
        let mut config: Value = serde_json::from_str(&whole()).unwrap();
        config["metrics"][0]["query"] =
            json!({"type": "prometheus", "metricName": "x", "customInlineTemplate": query});
        let findings = linted(&config.to_string(), &usual());
        let errors = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error);
        assert_eq!(errors.count(), 0, "{query}: {findings:#?}");
    }
}

#[test]
fn a_finding_tells_where_it_is_and_what_to_do() {
    let cases = [
        (
            "critical-misspelt",
            "metrics[0].analysisConfigurations.canary.critcal",
            (20, 22),
            "'critcal' is no member here, so it is not read",
            "write 'critical'",
        ),
        (
            "group-misspelt",
            "classifier.groupWeights.Error",
            (46, 16),
            "no metric that is judged is in group 'Error', so its 60 points are lost",
            "write 'Errors'",
        ),
        (
            "template-that-is-not-there",
            "metrics[0].query.customFilterTemplate",
            (16, 33),
            "there is no template 'by-version', neither in the config nor in serin's library",
            "write 'by-verison'",
        ),
        (
            "rate-over-ten-minutes",
            "metrics[0].query.customInlineTemplate",
            (15, 33),
            "the query looks 10 min back at every point, and the points lie 60 s apart: neighbours \
             share data, so differences look surer than they are",
            "let the range be no longer than the step of the canary",
        ),
        (
            "pass-out-of-reach",
            "classifier.groupWeights",
            (26, 21),
            "no canary can reach pass 95 or marginal 75: the best score is 60",
            "let the weights of groups with metrics sum to 100, and the thresholds be less",
        ),
    ];
    for (name, path, (line, column), sentence, fix) in cases {
        let findings = linted(&broken(name), &usual());
        let found = findings.iter().find(|finding| finding.sentence == sentence);
        let found = found.unwrap_or_else(|| panic!("{name}: {findings:#?}"));
        let told = (
            found.path.as_str(),
            found.line,
            found.column,
            found.fix.as_str(),
        );
        assert_eq!(told, (path, Some(line), Some(column), fix), "{name}");
    }
}

#[test]
fn what_is_not_known_of_a_canary_is_not_held_against_its_config() {
    let few = |given: &Given| {
        let findings = linted(&whole(), given);
        findings
            .iter()
            .any(|finding| finding.code == Code::FewPoints)
    };
    let cases = [
        (None, 60, false),
        (Some(48), 60, true),
        (Some(49), 60, false),
        (Some(9), 10, false),
    ];
    for (duration_minutes, step, expected) in cases {
        let given = Given {
            duration_minutes,
            step,
            ..Given::default()
        };
        assert_eq!(few(&given), expected, "{duration_minutes:?} {step}");
    }
}

#[test]
fn a_config_in_yaml_has_its_own_lines() {
    let yaml = "\
name: checkout
applications: [checkout]
metrics:
  - name: latency
    scopeName: default
    groups: [Latency]
    query: {type: prometheus, customFilterTemplate: 'serin:istio/latency'}
    analysisConfigurations:
      canary:
        directoin: increase
classifier:
  groupWeights:
    Latency: 90
";
    let told = |text: &str| -> Vec<(Code, Option<usize>, Option<usize>)> {
        lint(&own(), text, Format::Yaml, &usual())
            .iter()
            .map(|finding| (finding.code, finding.line, finding.column))
            .collect()
    };
    assert_eq!(
        told(yaml),
        [
            (Code::MisspeltMember, Some(10), Some(9)),
            (Code::UnreachableThreshold, Some(12), Some(3)),
            (Code::WeightsSum, Some(12), Some(3)),
        ]
    );
    assert_eq!(told("name: [a\n"), [(Code::Unreadable, Some(2), Some(1))]);
    assert_eq!(
        told("metrics: 1\n")[0],
        (Code::Unreadable, Some(1), Some(1))
    );

    let merged = yaml.replace(
        "    groups:",
        "    <<: &more {scopeName: default}\n    groups:",
    );
    assert_eq!(told(&merged).len(), 3, "merged members are read");
    let begin = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    let bomb = (1..40).fold(begin, |bomb, i| {
        let aliases = vec![format!("*a{}", i - 1); 9].join(", ");
        format!("{bomb}a{i}: &a{i} [{aliases}]\n")
    });
    assert_eq!(told(&bomb)[0].0, Code::Unreadable);
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
        let is_for_others = findings
            .iter()
            .any(|finding| finding.code == Code::OtherSource);
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

#[test]
fn the_command_exits_by_what_it_finds() {
    let whole = folder().join("whole.json").display().to_string();
    let broken = |name: &str| {
        folder()
            .join(format!("broken/{name}.json"))
            .display()
            .to_string()
    };
    let (error, warning) = (broken("prefix-missing"), broken("weights-sum-to-90"));
    let cases: [(&[&str], i32); 11] = [
        (&[&whole], 0),
        (&[&error], 1),
        (&[&whole, &error], 1),
        (&[&warning], 0),
        (&[&warning, "--strict"], 1),
        (&[&warning, "--strict", "--allow", "weights-sum"], 0),
        (&[&warning, "--pass", "95"], 1),
        (&["nosuch.json"], 69),
        (&[&whole, "--step", "0"], 64),
        (&[], 64),
        (
            &[
                &whole,
                "--control",
                "a",
                "--experiment",
                "b",
                "--prometheus",
                "http://127.0.0.1:9",
            ],
            69,
        ),
    ];
    for (arguments, code) in cases {
        let mut all = vec!["canary-config", "lint"];
        all.extend(arguments);
        let ended = serin(&all, "");
        assert_eq!(
            ended.status.code(),
            Some(code),
            "{arguments:?}: {}",
            text(&ended.stderr)
        );
    }

    let told = text(&serin(&["canary-config", "lint", &error], "").stdout);
    assert!(
        told.starts_with(&format!(
            "{error}:15:33: error[no-promql-prefix]: metrics[0].query.customInlineTemplate: "
        )),
        "{told}"
    );
    assert!(
        told.contains("\n  fix: begin it with 'PromQL:'\n"),
        "{told}"
    );

    let json = serin(
        &["canary-config", "lint", "-", "--format", "json"],
        &std::fs::read_to_string(&warning).unwrap(),
    );
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["errors"], &json["warnings"]), (&json!(0), &json!(1)));
    assert_eq!(json["findings"][0]["code"], "weights-sum");
    assert_eq!(json["findings"][0]["file"], "-");
}

#[tokio::test]
async fn the_api_lints_what_the_command_does() {
    let serin = Serin::start("").await;
    let config: Value = serde_json::from_str(&broken("weights-sum-to-90")).unwrap();
    let bodies = [
        (config.clone(), 0, 1),
        (json!({"canaryConfig": config}), 0, 1),
        (json!({"text": broken("weights-sum-to-90")}), 0, 1),
        (json!({"text": "name: a\nmetrics: 5\n"}), 1, 0),
        (
            json!({"canaryConfig": config, "thresholds": {"pass": 95, "marginal": 75}}),
            1,
            1,
        ),
        (
            json!({"canaryConfig": config, "step": 30, "durationMinutes": 10}),
            0,
            4,
        ),
        (json!([]), 1, 0),
    ];
    for (body, errors, warnings) in bodies {
        let (status, told) = serin.client.post("/canaryConfig/lint", &body).await;
        assert_eq!(status, 200, "{told}");
        let counts = (told["errors"].as_u64(), told["warnings"].as_u64());
        assert_eq!(counts, (Some(errors), Some(warnings)), "{told:#}");
    }
    let refused = [
        (
            json!({"text": "{}", "stepp": 60}),
            "",
            "unknown field `stepp`",
        ),
        (
            json!({"text": "{}", "step": 0}),
            "",
            "a number of seconds from 1 is wanted",
        ),
        (
            json!({"text": "{}", "canaryConfig": {}}),
            "",
            "and not both",
        ),
        (
            json!({"text": "{}"}),
            "?metricsAccountName=nosuch",
            "scopes with controlScope",
        ),
    ];
    for (body, query, message) in refused {
        let path = format!("/canaryConfig/lint{query}");
        let (status, told) = serin.client.post(&path, &body).await;
        assert_eq!(status, 400, "{body}");
        assert!(
            told["message"].as_str().unwrap().contains(message),
            "{told}"
        );
    }
    serin.service.stop().await;
}

#[tokio::test]
async fn a_prometheus_is_asked_whether_each_side_has_series() {
    let Some(prometheus) = service("SERIN_TEST_PROMETHEUS_URL") else {
        return;
    };
    let serin = Serin::start(&prometheus).await;
    // What is there now is nothing: the history of the tests ended long ago.
    let scopes = json!({"controlScope": {"scope": "prod"}, "experimentScope": {"scope": "canary"}});
    let of = async |promql: &str| {
        let mut config: Value = serde_json::from_str(&whole()).unwrap();
        config["metrics"].as_array_mut().unwrap().truncate(1);
        config["metrics"][0]["query"]["customInlineTemplate"] = format!("PromQL:{promql}").into();
        let body = json!({"canaryConfig": config, "scopes": scopes});
        let path = "/canaryConfig/lint?metricsAccountName=prometheus";
        let (status, told) = serin.client.post(path, &body).await;
        assert_eq!(status, 200, "{told}");
        let findings = told["findings"].as_array().unwrap();
        let of_query = findings.iter().filter(|finding| {
            let path = finding["path"].as_str().unwrap();
            path == "metrics[0].query"
        });
        of_query
            .map(|finding| finding["code"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of("sum(cpu_usage{version=\"${scope}\"} @ 1717203600)").await,
        [] as [&str; 0]
    );
    assert_eq!(
        of("cpu_usage{version=\"${scope}\"} @ 1717203600").await,
        ["unpaired-series"]
    );
    assert_eq!(
        of("cpu_usage{version=\"${scope}\"}").await,
        ["no-series", "no-series"]
    );
    assert_eq!(
        of("sum(cpu_usage{version=\"${scope}\"} +)").await,
        ["broken-query"]
    );
    serin.service.stop().await;
}

#[tokio::test]
async fn put_stores_what_is_allowed_and_can_be_read() {
    let server = Serin::start("").await;
    let cases = [
        // file              allowed             code  told
        (
            "prefix-missing",
            "broken-query",
            1,
            "error[no-promql-prefix]",
        ),
        ("prefix-missing", "no-promql-prefix", 0, ""),
        ("comma-too-many", "unreadable", 1, "error[unreadable]"),
    ];
    for (name, allowed, code, expected) in cases {
        let url = server.client.url.clone();
        let file = folder().join(format!("broken/{name}.json"));
        let put = move || {
            let file = file.display().to_string();
            let put = ["canary-config", "put", &file, "--allow", allowed];
            serin(&[&put[..], &["--server", &url]].concat(), "")
        };
        let ended = tokio::task::spawn_blocking(put).await.unwrap();
        let told = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(code), "{name}: {told}");
        assert!(told.contains(expected), "{name}: {told}");
        assert_eq!(told.is_empty(), expected.is_empty(), "{name}: {told}");
    }
    server.service.stop().await;
}

/// Exit code, standard output and standard error of a command.
async fn ended(arguments: Vec<String>) -> (Option<i32>, String, String) {
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        serin(&arguments, "")
    };
    let ended = tokio::task::spawn_blocking(run).await.unwrap();
    (
        ended.status.code(),
        text(&ended.stdout),
        text(&ended.stderr),
    )
}

#[tokio::test]
async fn configs_are_kept_as_code() {
    let server = Serin::start("").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkout.json");
    let path = file.display().to_string();
    let run = |arguments: &[&str]| {
        let server = ["--server", server.client.url.as_str()];
        let all = [&["canary-config"], arguments, &server].concat();
        ended(all.into_iter().map(str::to_owned).collect())
    };

    std::fs::write(&file, whole()).unwrap();
    let (code, told, _) = run(&["put", &path, "--dry-run"]).await;
    assert_eq!(
        (code, told.as_str()),
        (Some(0), "would be created: a new id (checkout)\n")
    );
    let (code, told, stderr) = run(&["put", &path]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let id = told.strip_prefix("created ").unwrap();
    let id = id.strip_suffix(" (checkout)\n").unwrap().to_owned();
    assert_eq!(
        run(&["put", &path]).await.1,
        format!("unchanged {id} (checkout)\n")
    );

    std::fs::write(&file, whole().replace("\"Errors\": 60", "\"Errors\": 60.0")).unwrap();
    assert_eq!(
        run(&["put", &path]).await.1,
        format!("unchanged {id} (checkout)\n")
    );
    std::fs::write(&file, whole().replace("0.99", "0.9")).unwrap();
    assert_eq!(
        run(&["put", &path]).await.1,
        format!("updated {id} (checkout)\n")
    );

    // As YAML, by its id, what was got is what is stored.
    let (code, yaml, _) = run(&["get", &id, "--format", "yaml"]).await;
    assert_eq!(code, Some(0));
    assert!(yaml.contains("histogram_quantile(0.9,"), "{yaml}");
    let file = folder.path().join("checkout.yml");
    std::fs::write(&file, &yaml).unwrap();
    let put = run(&["put", &file.display().to_string()]).await;
    assert_eq!(put.1, format!("unchanged {id} (checkout)\n"), "{}", put.2);

    let (_, list, _) = run(&["list"]).await;
    assert!(
        list.starts_with(&format!("{id}  checkout  [checkout]  ")),
        "{list}"
    );
    assert_eq!(run(&["list", "--application", "other"]).await.1, "");

    // Errors keep it from being stored, unless that is wanted, and the server takes it.
    let broken = self::folder()
        .join("broken/prefix-missing.json")
        .display()
        .to_string();
    let (code, _, stderr) = run(&["put", &broken]).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("error[no-promql-prefix]"), "{stderr}");
    let other = ["put", &broken, "--allow", "broken-query"];
    assert_eq!(run(&other).await.0, Some(1));
    let allowed = ["put", &broken, "--allow", "no-promql-prefix"];
    let (code, told, stderr) = run(&allowed).await;
    assert_eq!(told, format!("updated {id} (checkout)\n"), "{stderr}");
    assert_eq!(
        (code, stderr.contains("no-promql-prefix")),
        (Some(0), false)
    );
    assert_eq!(
        run(&["put", &broken, "--no-lint"]).await.1,
        format!("unchanged {id} (checkout)\n")
    );
    let unreadable = self::folder()
        .join("broken/comma-too-many.json")
        .display()
        .to_string();
    let (code, _, stderr) = run(&["put", &unreadable, "--allow", "unreadable"]).await;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("error[unreadable]"), "{stderr}");

    assert_eq!(run(&["delete", &id]).await.1, format!("deleted {id}\n"));
    let (code, _, stderr) = run(&["get", &id]).await;
    assert_eq!(code, Some(64), "{stderr}");
    assert!(stderr.contains("404"), "{stderr}");
    server.service.stop().await;

    let away = serin(
        &[
            "canary-config",
            "delete",
            "a",
            "--server",
            "http://127.0.0.1:9",
        ],
        "",
    );
    assert_eq!(away.status.code(), Some(69));
    let nowhere = serin(&["canary-config", "list"], "");
    assert_eq!(nowhere.status.code(), Some(64), "{}", text(&nowhere.stderr));
}
