//! Where a finding is, what it says to do, and what it is held against.

use super::*;

/// As somebody writes who has read of canaries, and never of Kayenta.
#[test]
fn of_many_mistakes_each_is_told() {
    let first = json!({
        "name": "checkout canary", "application": "checkout",
        "metrics": [
            {"name": "http errors", "query": {"type": "prometheus", "customInlineTemplate": "sum(rate(e[1m]))"},
                "analysisConfigurations": {"canary": {"direction": "decrease", "nanStrategy": "replace", "mustHaveData": true}}},
            {"name": "latency", "groups": ["Latency"], "scopeName": "default",
                "query": {"type": "prometheus", "customInlineTemplate": "PromQL:avg(l{version=\"${scope}\"})"},
                "analysisConfigurations": {"canary": {"direction": "increase", "effectSize": {"allowedIncrease": 0}}}},
        ],
        "classifier": {"groupWeights": {"Errors": 60, "Latency": 40}},
    });
    let codes: Vec<Code> = linted(&first.to_string(), &Given::default())
        .iter()
        .map(|finding| finding.code)
        .collect();
    for code in [
        Code::BadName,
        Code::NotStorable,
        Code::MisspeltMember,
        Code::NoScopeName,
        Code::EqualQueries,
        Code::MetricWithoutGroup,
        Code::DoubtfulDirection,
        Code::IdleMustHaveData,
        Code::IdleLimit,
        Code::GroupWithoutMetrics,
    ] {
        assert!(codes.contains(&code), "{code:?} is not in {codes:?}");
    }
}

#[test]
fn a_label_tells_apart_only_what_differs() {
    let given = |control: &str, experiment: &str| {
        let side = |scope: &str| CanaryScope {
            scope: Some(scope.to_owned()),
            location: Some("eu".to_owned()),
            ..CanaryScope::default()
        };
        let scopes = Pair {
            control: side(control),
            experiment: side(experiment),
        };
        Given {
            scopes: Some(scopes),
            ..usual()
        }
    };
    let query = "PromQL:x{version=\"${scope}\",zone=\"${location}\"}";
    let aggregated = "PromQL:sum by (zone) (x{version=\"${scope}\",zone=\"${location}\"})";
    let cases = [
        (query, given("v1", "v2"), true),
        // The sides are told apart by their times.
        (query, given("v1", "v1"), false),
        (aggregated, given("v1", "v2"), false),
        (aggregated, usual(), false),
    ];
    for (query, given, expected) in cases {
        let findings = of_query(query, &given);
        let is_told = findings
            .iter()
            .any(|finding| finding.code == Code::KeptLabel);
        assert_eq!(is_told, expected, "{query}: {findings:#?}");
    }
}

#[test]
fn limits_are_ratios_and_lie_in_their_order() {
    let cases = [
        // effectSize, path, fix
        (
            json!({"allowedIncrease": 10}),
            Some("write 1.1 if 10 % is meant"),
        ),
        (
            json!({"allowedIncrease": 50.0}),
            Some("write 1.5 if 50 % is meant"),
        ),
        (json!({"allowedIncrease": 2}), None),
        (json!({"allowedIncrease": 1.5, "criticalIncrease": 3}), None),
        (
            json!({"allowedIncrease": 1.5, "criticalIncrease": 1.2}),
            Some("let criticalIncrease lie beyond allowedIncrease, or take it out"),
        ),
        (json!({"criticalIncrease": 10}), None),
        (json!({"measure": "cles", "allowedIncrease": 0.6}), None),
    ];
    for (effect_size, fix) in cases {
        let mut config: Value = serde_json::from_str(&whole()).unwrap();
        config["metrics"][0]["analysisConfigurations"]["canary"]["effectSize"] =
            effect_size.clone();
        let findings = linted(&config.to_string(), &usual());
        let told = findings
            .iter()
            .find(|finding| finding.code == Code::DoubtfulLimit);
        assert_eq!(told.map(|told| told.fix.as_str()), fix, "{effect_size}");
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
