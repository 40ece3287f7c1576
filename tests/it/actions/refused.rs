//! What may not be called, and is told before anything starts.

use super::*;

#[tokio::test]
async fn what_may_not_be_called_is_refused_before_anything_starts() {
    let gateway = Gateway::start().await;
    let file = hosts(&gateway, ", paths: [/allowed]");
    let serin = Serin::start_with("http://127.0.0.1:9", &[], Some(&file)).await;
    let none = Serin::start("http://127.0.0.1:9").await;
    let here = format!("http://{}/allowed", gateway.host);
    let cases = [
        (
            json!({"pass": {"url": "http://elsewhere:80/x"}}),
            "actions.pass[0].url: must lead to where actions may go: actions.hosts of serin's configuration does not allow 'elsewhere/x'",
        ),
        (
            json!({"pass": {"url": "http://169.254.169.254/latest"}}),
            "does not allow '169.254.169.254/latest'",
        ),
        (
            json!({"pass": {"url": format!("http://{}/other", gateway.host)}}),
            "does not allow '127.0.0.1:",
        ),
        (
            json!({"pass": {"url": format!("{here}/../other")}}),
            "does not allow",
        ),
        (
            json!({"pass": {"url": here.replace("http://", "http://u:p@")}}),
            "must not hold credentials",
        ),
        (
            json!({"pass": {"url": here.replace("http://", "ftp://")}}),
            "must begin with 'http://' or 'https://'",
        ),
        (
            json!({"pass": {"url": "{{ experiment }}"}}),
            "actions.pass[0].url: must be a URL",
        ),
        (
            json!({"fail": [{"url": here}, {"url": here, "body": "{{ nosuch }}"}]}),
            "actions.fail[1].body: its template cannot be written: undefined value",
        ),
        (
            json!({"fail": {"url": here, "mergepatch": {}}}),
            "the actions of the request cannot be taken: actions.fail.mergepatch: unknown field",
        ),
        (
            json!({"fail": {"url": here, "headers": {"authorization": "Bearer x"}}}),
            "actions.fail[0].headers.authorization: 'authorization' is set by serin",
        ),
        (
            json!([]),
            "the actions of the request cannot be taken: actions: actions by their event",
        ),
    ];
    for (actions, expected) in cases {
        let (status, answer) = serin.client.post("/canary", &canary(&actions)).await;
        let message = answer["message"].as_str().unwrap();
        assert!(
            status == 400 && message.contains(expected),
            "{actions}: {status} {message}"
        );
        assert!(!message.contains("u:p"), "{message}");
    }
    let mut analysis = retrospective(20);
    analysis["canaryConfig"]["actions"] =
        json!({"interval": {"url": here, "body": "{{ [1, 2][number - 1] }}"}});
    let (status, answer) = serin
        .client
        .post("/standalone_canary_analysis", &analysis)
        .await;
    let message = answer["message"].as_str().unwrap();
    assert!(
        status == 400 && message.contains("(tried with number 3)"),
        "{message}"
    );
    let (status, answer) = none
        .client
        .post("/canary", &canary(&json!({"pass": {"url": here}})))
        .await;
    assert!(
        status == 400
            && answer["message"]
                .as_str()
                .unwrap()
                .contains("actions.hosts"),
        "{answer}"
    );
    assert_eq!(
        serin.client.get("/canary/executions").await,
        (200, json!([]))
    );
    assert!(gateway.calls().is_empty());
}

#[tokio::test]
async fn a_token_goes_by_https_unless_http_is_named_and_a_verdict_has_a_score() {
    let gateway = Gateway::start().await;
    let file = hosts(&gateway, &format!(", token: {KEY}"));
    let url = format!("http://{}/x", gateway.host);
    let rounded = json!({"url": url, "body": "{{ score | round }}"});
    let cases = [
        (
            file.clone(),
            json!({"pass": {"url": url}}),
            Some("actions.pass[0].url: must not begin with 'http://'"),
        ),
        (
            in_the_clear(&file),
            json!({"fail": rounded}),
            Some("(tried at 'error')"),
        ),
        (
            in_the_clear(&file),
            json!({"pass": rounded, "fail": rounded, "error": []}),
            None,
        ),
    ];
    for (file, actions, expected) in cases {
        let serin = Serin::start_with("http://127.0.0.1:9", &[], Some(&file)).await;
        let (status, answer) = serin.client.post("/canary", &canary(&actions)).await;
        let message = answer["message"].as_str().unwrap_or_default();
        match expected {
            Some(expected) => assert!(status == 400 && message.contains(expected), "{message}"),
            None => assert_eq!(status, 200, "{message}"),
        }
    }
}

#[tokio::test]
async fn a_stored_config_is_kept_as_it_came_and_its_editor_is_told() {
    let gateway = Gateway::start().await;
    let serin = Serin::start_with("", &[], Some(&hosts(&gateway, ""))).await;
    let mut config = crate::executions::config(&["latency"]);
    config["id"] = json!("checkout");
    config["name"] = json!("checkout");
    config["applications"] = json!(["web"]);
    config["actions"] = json!({
        "start": {"url": format!("http://{}/x", gateway.host), "mergePatch": {"a": null}},
        "pass": {"url": "http://elsewhere/x", "body": {"a": "{{ 1 + }}"}},
    });
    assert_eq!(serin.client.post("/canaryConfig", &config).await.0, 200);
    let (_, stored) = serin.client.get("/canaryConfig/checkout").await;
    assert_eq!(stored["actions"], config["actions"]);
    let own = &serin.service.app.config;
    let (_, found) = serin::run::configs::examine(own, &config.to_string());
    let found: Vec<String> = found
        .iter()
        .map(|finding| finding.fault.path.to_string())
        .collect();
    assert_eq!(found, ["actions.pass[0].body.a", "actions.pass[0].url"]);
}
