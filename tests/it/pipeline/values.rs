//! Where each value comes from, and which is the stronger.

use super::*;

#[tokio::test]
async fn every_value_comes_from_the_file_the_environment_or_a_flag_the_flag_first() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("canary.yml");
    std::fs::write(
        &plan,
        r#"
application: of the file
metrics: {good: 'good{version="${scope}",zone="${zone}"}'}
control: {scope: v1, location: eu}
experiment: v2
start: 2024-06-01T01:00:00Z
end: 2024-06-01T01:05:00Z
step: 30
params: {zone: a}
thresholds: {pass: 80, marginal: 50}
"#,
    )
    .unwrap();
    let json = folder.path().join("canary.json");
    let report = format!("json={}", json.display());
    let environment = [
        ("SERIN_RUN_FILE", plan.to_str().unwrap()),
        ("SERIN_PROMETHEUS_URL", &prometheus.url),
        ("SERIN_RUN_APPLICATION", "of the environment"),
        ("SERIN_RUN_STEP", "15"),
        ("SERIN_RUN_REPORT", &report),
        // What a pipeline hands on and nobody has set.
        ("SERIN_SERVER", ""),
        ("SERIN_TOKEN", ""),
        ("SERIN_TOKEN_FILE", ""),
        ("SERIN_RUN_PASS", ""),
        ("SERIN_RUN_METRIC", ""),
    ];
    let flags = [
        "--step",
        "60",
        "--experiment-location",
        "us",
        "--param",
        "zone=b",
        "--set",
        "siteLocal.team=blue",
    ];
    let (exit, told) = run(&flags, &environment, "").await;
    assert_eq!(exit, 0, "{told}");
    let document: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(document["application"], "of the environment");
    let request = &document["canaryExecutionRequest"];
    let side = |scope: &str, location: Value| {
        let mut side = json!({"scope": scope, "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T01:05:00Z",
            "step": 60, "extendedScopeParams": {"zone": "b"}});
        if !location.is_null() {
            side["location"] = location;
        }
        side
    };
    let scopes = &request["scopes"]["default"];
    assert_eq!(scopes["controlScope"], side("v1", json!("eu")));
    assert_eq!(scopes["experimentScope"], side("v2", json!("us")));
    assert_eq!(
        request["thresholds"],
        json!({"pass": 80.0, "marginal": 50.0})
    );
    assert_eq!(request["siteLocal"], json!({"team": "blue"}));
}

#[tokio::test]
async fn what_is_typed_takes_the_place_of_variables_and_keys_that_it_excludes() {
    let prometheus = ScriptedPrometheus::start(as_named).await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let mut plan = plan(&[("bad", json!({"direction": "increase"}))]);
    let config = plan["canaryConfig"].take();
    plan.as_object_mut().unwrap().remove("canaryConfig");
    plan["canaryConfigFile"] = json!("config.json");
    std::fs::write(path("canary.json"), plan.to_string()).unwrap();
    std::fs::write(path("config.json"), config.to_string()).unwrap();
    let file = path("canary.json");
    let beside = ["-f", &file, "--prometheus", &prometheus.url];
    let environment = [
        ("SERIN_SERVER", "http://127.0.0.1:1"),
        ("SERIN_PATIENCE", ""),
    ];
    let (exit, told) = run(&beside, &environment, "").await;
    assert_eq!(exit, 1, "{told}");

    // A flag names a file as the shell does, not as the plan does.
    let config = path("config.json");
    let flag = [&beside[..], &["--canary-config", &config]].concat();
    let (exit, told) = run(&flag, &[], "").await;
    assert_eq!(exit, 1, "{told}");

    let long = "good=good{version=\"${scope}\"}\n  or\n  good{version=\"none\"}";
    let typed = [&beside[..], &["--metric", long]].concat();
    let variables = [
        ("SERIN_RUN_CONFIG_ID", "other"),
        ("SERIN_RUN_METRIC", "bad=bad"),
    ];
    let (exit, told) = run(&typed, &variables, "").await;
    assert_eq!(exit, 0, "{told}");

    let variables = [(
        "SERIN_RUN_METRIC",
        "good=good{version=\"${scope}\"}\nbad=bad{version=\"${scope}\"}",
    )];
    let (exit, told) = run(&beside, &variables, "").await;
    assert_eq!(exit, 1, "{told}");
    assert!(told.contains("│ good"), "{told}");
}
