//! A config tried over a time that has passed.

use serde_json::json;

use super::{Browser, ESCAPED, HOSTILE, config, has, store};
use crate::callers::hash;
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

#[tokio::test]
async fn an_account_that_one_may_not_ask_is_not_offered() {
    let token = "serin_token-of-one-who-tries-for-the-tests";
    let file = format!(
        "access:
  tokens: [{{name: narrow, sha256: {}}}]
  rules:
  - {{who: {{token: narrow}}, may: [read, config], applications: [web]}}
  - {{who: {{token: narrow}}, may: [start], applications: [web], accounts: [d]}}
kayenta:
  prometheus: {{enabled: true, accounts: [{{name: p, locations: [of-p], endpoint: {{baseUrl: 'http://127.0.0.1:1'}}}}]}}
  datadog: {{enabled: true, accounts: [{{name: d, locations: [of-d], apiKey: k, applicationKey: k}}]}}
",
        hash(token)
    );
    let mut serin = Serin::start_with("", &[], Some(&file)).await;
    serin.client = serin.client.with_token(token);
    let id = store(&serin, &config("tried")).await;
    let asked = serin
        .client
        .http
        .get(format!("{}/ui/configs/{id}/try", serin.client.url));
    let page = asked.send().await.unwrap().text().await.unwrap();
    has(
        &page,
        &["<option selected>d</option>", "<option>of-d</option>"],
    );
    assert!(!page.contains("of-p"), "{page}");
}

#[tokio::test]
async fn only_what_the_queries_have_is_asked_for_and_required() {
    let serin = Serin::start("http://127.0.0.1:1").await;
    let browser = Browser::of(&serin);
    let cases = [
        // the query, fields that are there, those of them that are required, fields that are not
        (
            "sum(x{a=\"${scope}\"})",
            vec!["scope"],
            vec!["scope"],
            vec!["location"],
        ),
        (
            "sum(x{a=\"${location}\"})",
            vec!["location"],
            vec!["location"],
            vec!["scope"],
        ),
        (
            "sum(x{a=\"${scope:-all}\",b=\"${zone}\",c=\"${tier:-web}\"})",
            vec!["scope", "parameters.zone", "parameters.tier"],
            vec!["parameters.zone"],
            vec!["location"],
        ),
    ];
    for (at, (query, there, required, absent)) in cases.into_iter().enumerate() {
        let mut tried = config(&format!("asks-{at}"));
        tried["templates"] = json!({});
        tried["metrics"][0]["query"] =
            json!({"type": "prometheus", "customInlineTemplate": format!("PromQL:{query}")});
        let text = tried.to_string();
        let place = "/ui/configs/new/try";
        let (status, page) = browser.send(place, &[("config", &text)]).await;
        assert_eq!(status, 200, "{page}");
        for name in &there {
            let field = format!("<input id=\"scopes.0.experiment.{name}\"");
            let (_, rest) = page
                .split_once(&field)
                .unwrap_or_else(|| panic!("{query}: {name}"));
            let (attributes, _) = rest.split_once('>').unwrap();
            let is_required = attributes.contains("required");
            assert_eq!(is_required, required.contains(name), "{query}: {name}");
        }
        for name in absent {
            assert!(
                !page.contains(&format!("scopes.0.control.{name}")),
                "{query}: {name}"
            );
        }

        let fields = [
            ("config", text.as_str()),
            ("scopes.0.control.start", "now-1h"),
            ("scopes.0.control.end", "now"),
            ("scopes.0.experiment.start", "now-1h"),
            ("scopes.0.experiment.end", "now"),
            ("scopes.0.step", "60"),
            ("marginal", "75"),
            ("pass", "95"),
        ];
        let (status, page) = browser.send(place, &fields).await;
        assert_eq!(status, 422, "{page}");
        for name in required {
            let name = name.strip_prefix("parameters.").unwrap_or(name);
            let told = format!("the queries have ${{{name}}}: say what it is");
            assert_eq!(page.matches(&told).count(), 2, "{query}: {page}");
        }
    }
}

#[tokio::test]
async fn a_text_is_tried_before_it_is_stored() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start(&prometheus.url).await;
    let browser = Browser::of(&serin);
    let text = config("draft").to_string();
    let fields = [
        ("config", text.as_str()),
        ("scopes.0.control.scope", "v1"),
        ("scopes.0.control.start", "2024-05-01T10:00:00Z"),
        ("scopes.0.control.end", "2024-05-01T11:00:00Z"),
        ("scopes.0.experiment.scope", "v2"),
        ("scopes.0.experiment.start", "2024-05-01T10:00:00Z"),
        ("scopes.0.experiment.end", "2024-05-01T11:00:00Z"),
        ("scopes.0.step", "60"),
        ("marginal", "75"),
        ("pass", "95"),
    ];
    let place = browser.sent_to("/ui/configs/new/try", &fields).await;
    let run = place.strip_prefix("/ui/runs/").unwrap();
    let run = serin.client.poll(run).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(run["config"]["name"], "draft");
    assert_eq!(run["canaryConfigId"], "ad-hoc", "{run}");
    assert_eq!(serin.client.get("/canaryConfig").await.1, json!([]));

    let (status, page) = browser
        .send("/ui/configs/new/try", &[("config", "{\"metrics\": 1}")])
        .await;
    assert_eq!(status, 422);
    has(&page, &["Not started:"]);
}
