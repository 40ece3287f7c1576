//! The commands and the endpoint that lint.

use super::*;

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
            "{error}:16:33: error[no-promql-prefix]: metrics[0].query.customInlineTemplate: "
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
async fn configs_are_linted_where_they_are_taken_to() {
    let folder = tempfile::tempdir().unwrap();
    let broken: Value = serde_json::from_str(&broken("prefix-missing")).unwrap();
    let good: Value = serde_json::from_str(&whole()).unwrap();
    let request =
        |config: &Value| json!({"canaryConfig": config, "executionRequest": {"scopes": []}});
    let argo = |body: &Value| {
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "spec": {"metrics": [
            {"name": "m", "provider": {"web": {"url": "u", "jsonBody": body}}}]}})
    };
    let mut of_argo = good.clone();
    of_argo["metrics"][0]["query"]["customInlineTemplate"] =
        json!("PromQL:sum(x{hash=\"{{args.canary-hash}}\",version=\"${scope}\"})");
    let named = "apiVersion: flagger.app/v1beta1\nkind: Canary\nspec:\n  analysis:\n    webhooks:\n    \
                 - metadata: {canaryConfigName: podinfo}\n";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {
        "good.json": good.to_string(), "broken.json": broken.to_string()}});
    let documents = format!(
        "---\n{named}---\n{}\n",
        yaml_serde::to_string(&request(&broken)).unwrap()
    );
    let at = "error[no-promql-prefix]";
    let cases = [
        // file, text, exit code, what is told
        ("a.json", request(&good).to_string(), 0, ""),
        (
            "b.json",
            request(&broken).to_string(),
            1,
            "canaryConfig.metrics[0].query.customInlineTemplate: PromQL",
        ),
        (
            "c.yml",
            yaml_serde::to_string(&request(&broken)).unwrap(),
            1,
            at,
        ),
        ("d.yml", documents, 1, at),
        ("e.json", argo(&request(&of_argo)).to_string(), 0, ""),
        (
            "f.json",
            argo(&request(&broken)).to_string(),
            1,
            "spec.metrics[0].provider.web.jsonBody.canaryConfig.",
        ),
        (
            "g.json",
            map.to_string(),
            1,
            "data.broken.json.metrics[0].query",
        ),
        (
            "h.yml",
            named.to_owned(),
            1,
            "a manifest of kind 'Canary' that names the canary config 'podinfo'",
        ),
        (
            "i.json",
            json!({"type": "kayentaCanary", "canaryConfig": {"canaryConfigId": "x"}}).to_string(),
            1,
            "a stage of a pipeline",
        ),
        (
            "j.json",
            json!({"executionRequest": {}}).to_string(),
            1,
            "a request, and there is no canary config in it",
        ),
    ];
    for (name, written, code, part) in cases {
        let path = folder.path().join(name);
        std::fs::write(&path, &written).unwrap();
        let ended = serin(&["canary-config", "lint", path.to_str().unwrap()], "");
        let told = text(&ended.stdout);
        assert_eq!(ended.status.code(), Some(code), "{name}: {told}");
        assert!(told.contains(part), "{name}: {told}");
        assert!(
            !told.contains("no-metrics") && !told.contains("unknown-member"),
            "{name}: {told}"
        );
    }
    let server = Serin::start("").await;
    let (status, told) = server
        .client
        .post("/canaryConfig/lint", &request(&broken))
        .await;
    assert_eq!((status, &told["errors"]), (200, &json!(1)), "{told}");
    assert_eq!(
        told["findings"][0]["path"],
        "canaryConfig.metrics[0].query.customInlineTemplate"
    );
    server.service.stop().await;
}

#[test]
fn a_source_that_is_named_is_asked_for_two_sides() {
    let whole = folder().join("whole.json").display().to_string();
    for source in [
        ["--prometheus", "http://127.0.0.1:9"],
        ["--datadog", "datadoghq.eu"],
        ["--signalfx", "eu0"],
        ["--google", "my-project"],
    ] {
        let lint = ["canary-config", "lint", &whole, source[0], source[1]];
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_serin"))
            .args(lint)
            .env_remove("SERIN_CONFIG")
            .envs([
                ("DD_API_KEY", "k"),
                ("DD_APP_KEY", "k"),
                ("SFX_AUTH_TOKEN", "t"),
            ])
            .output()
            .unwrap();
        let told = text(&command.stderr);
        assert_eq!(command.status.code(), Some(64), "{source:?}: {told}");
        assert!(
            told.contains("--control and --experiment say it"),
            "{source:?}: {told}"
        );
    }
}
