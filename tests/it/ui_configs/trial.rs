//! A config tried over a time that has passed.

use serde_json::json;

use super::{Browser, ESCAPED, HOSTILE, config, has, store};
use crate::executions::series;
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;

#[tokio::test]
async fn trying_a_config_starts_a_run_over_the_past() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let browser = Browser::of(&serin);
    let mut tried = config("tried");
    // Nowhere may actions go, and a trial takes none.
    tried["actions"] = json!({"pass": {"url": "http://gateway/weight"}});
    let id = store(&serin, &tried).await;
    let path = format!("/ui/configs/{id}/try");
    let (status, page) = browser.page(&path).await;
    assert_eq!(status, 200);
    has(
        &page,
        &[
            "scopes.0.control.start",
            "scopes.0.experiment.scope",
            "value=\"95\"",
            ">prometheus<",
            ">local<",
        ],
    );

    let fields = [
        ("scopes.0.control.scope", "v1"),
        ("scopes.0.control.location", "eu"),
        ("scopes.0.control.start", "2024-05-01 10:00"),
        ("scopes.0.control.end", "2024-05-01T11:00:00Z"),
        ("scopes.0.control.parameters", "quantile=0.99\r\n"),
        ("scopes.0.experiment.scope", "v2"),
        ("scopes.0.experiment.start", "2024-05-01T12:00:00+02:00"),
        ("scopes.0.experiment.end", "2024-05-01T11:00:00Z"),
        ("scopes.0.step", "60"),
        ("marginal", "75"),
        ("pass", "95"),
        ("application", "web"),
        ("metricsAccountName", "prometheus"),
        ("storageAccountName", "local"),
    ];
    let place = browser.sent_to(&path, &fields).await;
    let run = place.strip_prefix("/ui/runs/").unwrap();
    let run = serin.client.poll(run).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(run["application"], "web");
    assert_eq!(run["canaryConfigId"], id.as_str());
    assert_eq!(run["config"].get("actions"), None);
    let scopes = &run["canaryExecutionRequest"]["scopes"]["default"];
    assert_eq!(
        scopes["controlScope"]["extendedScopeParams"]["quantile"],
        "0.99"
    );
    assert_eq!(scopes["experimentScope"]["start"], "2024-05-01T10:00:00Z");
    assert_eq!(scopes["experimentScope"]["scope"], "v2");

    let mut wrong = fields;
    wrong[3].1 = "2024-05-01T09:00:00Z";
    wrong[8].1 = HOSTILE;
    wrong[4].1 = "no parameter";
    let (status, page) = browser.send(&path, &wrong).await;
    assert_eq!(status, 422);
    has(
        &page,
        &[
            "Not started:",
            "the end must be after the start",
            "is no step",
            "name=value is wanted",
            "value=\"v1\"",
            ESCAPED,
        ],
    );

    let mut wrong = fields;
    wrong[12].1 = "nosuch";
    let (status, page) = browser.send(&path, &wrong).await;
    assert_eq!(status, 400);
    has(
        &page,
        &["Unable to resolve account nosuch.", "value=\"v1\""],
    );
}

#[tokio::test]
async fn the_account_that_is_offered_first_answers_the_config() {
    let file = "kayenta:
  prometheus: {enabled: true, accounts: [{name: p, locations: [of-p], endpoint: {baseUrl: 'http://127.0.0.1:1'}}]}
  datadog: {enabled: true, accounts: [{name: d, locations: [of-d], apiKey: k, applicationKey: k}]}
  signalfx: {enabled: true, accounts: [{name: s, accessToken: t}]}
";
    let serin = Serin::start_with("", &[], Some(file)).await;
    let browser = Browser::of(&serin);
    let cases = [
        // the types of the queries, the account
        (vec!["prometheus"], "p"),
        (vec!["datadog", "prometheus"], "d"),
        (vec!["signalfx"], "s"),
        // Nobody answers the first.
        (vec!["stackdriver", "datadog"], "d"),
        (vec!["dynatrace"], "p"),
        (vec![], "p"),
    ];
    for (at, (kinds, account)) in cases.into_iter().enumerate() {
        let mut tried = config(&format!("tried-{at}"));
        let metric =
            |kind: &&str| json!({"name": kind, "query": {"type": kind}, "scopeName": "default"});
        tried["metrics"] = kinds.iter().map(metric).collect();
        let id = store(&serin, &tried).await;
        let (_, page) = browser.page(&format!("/ui/configs/{id}/try")).await;
        let selected = format!("<option selected>{account}</option>");
        assert!(page.contains(&selected), "{kinds:?}: {page}");
        if account != "s" {
            has(&page, &[&format!("<option>of-{account}</option>")]);
        }
    }
}
