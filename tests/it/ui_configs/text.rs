//! The text of the editor: where it is wrong, in JSON and in YAML, and what it may begin with.

use serde_json::{Value, json};

use super::{Browser, config, has};
use crate::harness::Serin;

/// What is told of a text.
async fn checked(browser: &Browser, text: &str, into: &str) -> Value {
    let fields = [("config", text), ("into", into)];
    let (status, answer) = browser.send("/ui/configs/check", &fields).await;
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

#[tokio::test]
async fn broken_promql_is_told_where_it_stands_in_the_text() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let cases = [
        // the query, what stands where it breaks, how that is told
        (
            "PromQL:sum(x{a=\"${scope}\"}) sum(y)",
            "sum(y)",
            "at letter 29, ",
        ),
        (
            "PromQL:sum(\n  x{a=\"${scope}\"}) sum(y)",
            "sum(y)",
            "at letter 20 of line 2, ",
        ),
    ];
    for (query, broken, told) in cases {
        let mut wrong = config("wrong");
        wrong["templates"] = json!({});
        wrong["metrics"][0]["query"] = json!({"type": "prometheus", "customInlineTemplate": query});
        let text = serde_json::to_string_pretty(&wrong).unwrap();
        let answer = checked(&browser, &text, "").await;
        let findings = answer["findings"].as_array().unwrap();
        let path = "metrics[0].query.customInlineTemplate";
        let found = findings.iter().find(|found| found["path"] == path);
        let found = found.unwrap_or_else(|| panic!("{query}: {answer}"));
        let message = found["message"].as_str().unwrap();
        assert!(message.contains(told), "{query}: {message}");
        let (line, place) = text
            .lines()
            .enumerate()
            .find_map(|(at, line)| Some((at + 1, line.find(broken)?)))
            .unwrap();
        assert_eq!(
            (&found["line"], &found["column"]),
            (&json!(line), &json!(place + 1)),
            "{query}: {found}"
        );
    }
}

#[tokio::test]
async fn a_config_is_written_in_yaml_as_well() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let config = config("in-yaml");
    let json = serde_json::to_string_pretty(&config).unwrap();
    let yaml = checked(&browser, &json, "yaml").await["text"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(yaml.starts_with("name: in-yaml\n"), "{yaml}");
    let back = checked(&browser, &yaml, "json").await;
    assert_eq!(back["findings"], json!([]), "{back}");
    assert_eq!(
        serde_json::from_str::<Value>(back["text"].as_str().unwrap()).unwrap(),
        config
    );

    let place = browser
        .sent_to("/ui/configs/new", &[("config", &yaml)])
        .await;
    let stored = serin
        .client
        .get(&place.replace("/ui/configs", "/canaryConfig"))
        .await
        .1;
    assert_eq!(stored["metrics"][0]["query"]["type"], "prometheus");

    let cases = [
        // the text, the line, part of the message
        (yaml.replace("in-yaml", "a b"), json!(1), "cannot be named"),
        ("name: [".to_owned(), json!(2), "no canary config in YAML"),
        (format!("{yaml}---\n{yaml}"), Value::Null, "one is wanted"),
    ];
    for (text, line, message) in cases {
        let answer = checked(&browser, &text, "json").await;
        let findings = answer["findings"].as_array().unwrap();
        let found = findings.iter().find(|found| found["severity"] == "error");
        let found = found.unwrap_or_else(|| panic!("{text}: {answer}"));
        assert!(
            found["message"].as_str().unwrap().contains(message),
            "{found}"
        );
        assert_eq!(found["line"], line, "{found}");
        let (status, _) = browser.send("/ui/configs/new", &[("config", &text)]).await;
        assert_eq!(status, 422, "{text}");
    }
}

#[tokio::test]
async fn templates_of_the_library_are_offered_by_the_kind_of_their_queries() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    for kind in serin::metrics::kinds() {
        let (status, answer) = browser
            .page(&format!("/ui/configs/templates?type={kind}"))
            .await;
        assert_eq!(status, 200, "{answer}");
        let offered: Vec<Value> = serde_json::from_str(&answer).unwrap();
        assert!(!offered.is_empty(), "{kind}");
        for one in &offered {
            assert_eq!(one["metric"]["query"]["type"], kind, "{one}");
        }
    }
    let (status, page) = browser.page("/ui/configs/templates?type=dynatrace").await;
    assert_eq!(status, 400);
    has(&page, &["is no type of queries"]);
}
