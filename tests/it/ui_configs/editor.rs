//! The editor of canary configs.

use serde_json::{Value, json};

use super::{Browser, config, has, store};
use crate::harness::Serin;

/// The text of the editor, as a browser would show it.
fn edited(page: &str) -> String {
    let (_, area) = page.split_once("<textarea id=\"config\"").unwrap();
    let (_, text) = area.split_once(">\n").unwrap();
    let (text, _) = text.split_once("</textarea>").unwrap();
    [
        ("&#34;", "\""),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#39;", "'"),
        ("&#38;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (escaped, plain)| {
        text.replace(escaped, plain)
    })
}

#[tokio::test]
async fn a_config_is_made_changed_copied_and_deleted_by_forms() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let (_, page) = browser.page("/ui/configs/new").await;
    has(&page, &["Nothing is wrong with it."]);
    let place = browser
        .sent_to(
            "/ui/configs/new",
            &[("config", &edited(&page).replace('\n', "\r\n"))],
        )
        .await;
    let (_, page) = browser.page(&place).await;
    has(
        &page,
        &["my-service", "http_errors_total", "Judge the last hour"],
    );

    let (_, page) = browser.page(&format!("{place}/edit")).await;
    let text = edited(&page);
    assert!(
        !text.contains("Timestamp") && !text.contains("serviceType"),
        "{text}"
    );
    let id = place.rsplit('/').next().unwrap();
    let stored = serin.client.get(&format!("/canaryConfig/{id}")).await.1;
    let seen = stored["updatedTimestamp"].to_string();
    let renamed = text.replace("my-service", "renamed");
    let save = [("config", renamed.as_str()), ("seen", &seen)];
    assert_eq!(
        browser.sent_to(&format!("{place}/edit"), &save).await,
        place
    );
    let changed = serin.client.get(&format!("/canaryConfig/{id}")).await.1;
    assert_eq!(changed["name"], "renamed");
    assert_eq!(changed["id"], id);
    assert_eq!(changed["createdTimestamp"], stored["createdTimestamp"]);

    let (_, page) = browser.page(&format!("{place}/copy")).await;
    has(&page, &["renamed-copy", "action=\"/ui/configs/new\""]);
    let copy = browser
        .sent_to("/ui/configs/new", &[("config", &edited(&page))])
        .await;
    assert_ne!(copy, place);

    let (_, page) = browser.page(&format!("{copy}/delete")).await;
    has(&page, &["Delete the config renamed-copy?"]);
    assert_eq!(
        browser.sent_to(&format!("{copy}/delete"), &[]).await,
        "/ui/configs"
    );
    assert_eq!(browser.page(&copy).await.0, 404);
}

#[tokio::test]
async fn a_bad_config_comes_back_with_its_text_and_the_message() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    store(&serin, &config("taken")).await;
    let broken = "{\"name\": \"kept text\",";
    let (status, page) = browser.send("/ui/configs/new", &[("config", broken)]).await;
    assert_eq!(status, 422);
    has(&page, &["It cannot be stored like this.", "line 1", "EOF"]);
    assert_eq!(edited(&page), broken);

    let taken = config("taken").to_string();
    let (status, page) = browser.send("/ui/configs/new", &[("config", &taken)]).await;
    assert_eq!(status, 400);
    has(
        &page,
        &[
            "Not stored:",
            "already exists in the scope of applications [web]",
        ],
    );
    assert_eq!(edited(&page), taken);
}

#[tokio::test]
async fn what_somebody_else_stored_is_not_overwritten_unseen() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let id = store(&serin, &config("shared")).await;
    let path = format!("/canaryConfig/{id}");
    let seen = serin.client.get(&path).await.1["updatedTimestamp"].to_string();
    let mut theirs = config("shared");
    theirs["description"] = json!("theirs");
    assert_eq!(serin.client.put(&path, &theirs).await.0, 200);

    let mut mine = config("shared");
    mine["description"] = json!("mine");
    let mine = mine.to_string();
    let edit = format!("/ui/configs/{id}/edit");
    let save = [("config", mine.as_str()), ("seen", &seen)];
    let (status, page) = browser.send(&edit, &save).await;
    assert_eq!(status, 409);
    has(
        &page,
        &[
            "somebody else changed the canary config",
            "Overwrite it with mine",
        ],
    );
    assert_eq!(edited(&page), mine);
    let stored = serin.client.get(&path).await.1;
    assert_eq!(stored["description"], "theirs");

    let now = stored["updatedTimestamp"].to_string();
    assert!(
        page.contains(&format!("name=\"overwrite\" value=\"{now}\"")),
        "{page}"
    );
    let save = [save[0], save[1], ("overwrite", &now)];
    browser.sent_to(&edit, &save).await;
    assert_eq!(serin.client.get(&path).await.1["description"], "mine");
}

#[tokio::test]
async fn a_text_is_checked_as_it_is_typed() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let cases = [
        // text, severity, path, line, column, part of the message
        ("{\n\"name\": \"a\",\n}", "error", "", 3, "trailing comma"),
        (
            "{\n\"name\": 5,\n\"applications\": 5}",
            "error",
            "applications",
            3,
            "invalid type",
        ),
        ("", "error", "", 0, "JSON is wanted"),
        ("{} {}", "error", "", 1, "nothing may follow"),
        (
            "{\"name\": \"a\", \"applications\": [\"b\"], \"metrics\": [\n{\"name\": \"m\",\n\"query\": {\"type\": 5}}]}",
            "error",
            "metrics[0].query",
            3,
            "needs a 'type'",
        ),
        (
            "{\"name\": \"a\", \"applications\": [\"b\"], \"metrics\": [\n{\"name\": \"m\",\n\"query\": {}}]}",
            "error",
            "metrics[0].query",
            3,
            "needs a 'type'",
        ),
        (
            "{\"name\": \"a\", \"applications\": [\"b\"],\n\"metrics\": [{\"name\": \"l\", \"query\": {\"type\": \"prometheus\"}, \"scopeName\": \"s\"},\n{\"name\": \"m\"}],\n\"classifier\": {\"groupWeights\": {}}}",
            "warning",
            "metrics[1].query",
            3,
            "Metric 'm' has no query.",
        ),
        (
            "{\"classifier\": {\"groupWeights\": {\"g\": 5,\n\"h\": \"much\"}}}",
            "error",
            "classifier.groupWeights.h",
            2,
            "'much' is not a number",
        ),
        (
            "{\"applications\": [\"b\"],\n\"name\": \"a b\", \"metrics\": []}",
            "error",
            "name",
            2,
            "Canary config cannot be named 'a b'.",
        ),
        (
            "{\"name\": \"a\", \"applications\": [\"b\"], \"metrics\": [{\"name\": \"m\", \"analysisConfigurations\": {\"canary\": {\n\"effectSize\": {\n\"allowedIncrease\": \"1.2\"}}}}]}",
            "error",
            "metrics[0].analysisConfigurations.canary.effectSize.allowedIncrease",
            3,
            "a number is wanted",
        ),
    ];
    for (text, severity, path, line, message) in cases {
        let (status, answer) = browser.send("/ui/configs/check", &[("config", text)]).await;
        assert_eq!(status, 200);
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let first = &answer["findings"][0];
        let expected_line = if line == 0 { Value::Null } else { json!(line) };
        assert_eq!(
            (&first["severity"], &first["path"], &first["line"]),
            (&json!(severity), &json!(path), &expected_line),
            "{text}: {answer}"
        );
        let told = first["message"].as_str().unwrap();
        assert!(told.contains(message), "{text}: {told}");
        assert!(!told.contains(" at line "), "{told}");
    }
    let many = r#"{"metrics": [{"name": ""}, {"name": "m"}, {"name": "m"}]}"#;
    let (_, answer) = browser.send("/ui/configs/check", &[("config", many)]).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let errors = answer["findings"].as_array().unwrap().iter();
    let paths: Vec<_> = errors
        .filter(|f| f["severity"] == "error")
        .map(|f| &f["path"])
        .collect();
    assert_eq!(
        paths,
        ["name", "applications", "metrics[0].name", "metrics[2].name"]
    );

    let (_, answer) = browser
        .send(
            "/ui/configs/check",
            &[("config", &config("fine").to_string())],
        )
        .await;
    assert_eq!(answer, r#"{"findings":[]}"#);
}

/// The part of the page that tells what a query of a kind can say.
fn help<'a>(page: &'a str, kind: &str) -> &'a str {
    let begin = format!("<details class=\"help kind\" data-kind=\"{kind}\"");
    let (_, rest) = page.split_once(&begin).unwrap();
    rest.split_once("</details>").unwrap().0
}

#[tokio::test]
async fn the_editor_tells_the_members_of_every_kind_and_opens_those_that_are_asked() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let mut mixed = config("mixed");
    mixed["metrics"][0]["query"] =
        json!({"type": "stackdriver", "metricType": "m", "resourceType": "global", "unknown": [1]});
    let id = store(&serin, &mixed).await;
    let (_, page) = browser.page(&format!("/ui/configs/{id}/edit")).await;
    for language in serin::metrics::LANGUAGES {
        let help = help(&page, language.kind());
        for member in language.members() {
            let told = format!(">{}</code></dt><dd>", member.name);
            assert!(help.contains(&told), "{}: {help}", member.name);
            let blank = serde_json::from_str::<Value>(member.blank());
            assert!(blank.is_ok(), "{}", member.name);
        }
        let is_open = help.starts_with(" open>");
        assert_eq!(is_open, language.kind() == "stackdriver", "{help}");
    }

    let text = edited(&page).replace("\"mixed\"", "\"kept\"");
    let place = browser
        .sent_to("/ui/configs/new", &[("config", &text)])
        .await;
    let path = place.replace("/ui/configs", "/canaryConfig");
    let kept = serin.client.get(&path).await.1;
    assert_eq!(kept["metrics"][0]["query"]["unknown"], json!([1]));
}

#[tokio::test]
async fn a_new_config_begins_with_queries_of_a_kind_and_nothing_is_wrong_with_it() {
    let file = "kayenta: {signalfx: {accounts: [{name: s, accessToken: t}]}}";
    let serin = Serin::start_with("", &[], Some(file)).await;
    let browser = Browser::of(&serin);
    let (_, first) = browser.page("/ui/configs/new").await;
    let mut begun = vec![];
    for kind in serin::metrics::kinds() {
        let place = format!("/ui/configs/new?type={kind}");
        has(&first, &[&format!("href=\"{place}\"")]);
        let (status, page) = browser.page(&place).await;
        assert_eq!(status, 200);
        has(&page, &["Nothing is wrong with it."]);
        let text = edited(&page);
        let config: Value = serde_json::from_str(&text).unwrap();
        for metric in config["metrics"].as_array().unwrap() {
            assert_eq!(metric["query"]["type"], kind, "{metric}");
        }
        begun.push(text);
    }
    // The only account answers it.
    assert_eq!(edited(&first), begun[2]);

    let (status, page) = browser.page("/ui/configs/new?type=dynatrace").await;
    assert_eq!(status, 400);
    has(&page, &["is no type of queries"]);
}

#[tokio::test]
async fn a_fault_of_a_query_stands_at_its_member() {
    let serin = Serin::start("").await;
    let browser = Browser::of(&serin);
    let cases = [
        // the query, the member, part of the message
        (
            json!({"type": "datadog", "metricName": "avg:m", "apiVersion": "v3"}),
            "apiVersion",
            "is 'v1' or 'v2'",
        ),
        (
            json!({"type": "datadog", "metricName": "avg:m", "formula": "a / b"}),
            "formula",
            "needs \"apiVersion\": \"v2\"",
        ),
        (
            json!({"type": "signalfx", "metricName": "m", "queryPairs": "x"}),
            "queryPairs",
            "must be a list of pairs",
        ),
        (json!({"type": "signalfx"}), "metricName", "is missing"),
        (
            json!({"type": "stackdriver", "metricType": "m", "resourceType": "a b"}),
            "resourceType",
            "holds ' '",
        ),
        (
            json!({"type": "stackdriver", "metricType": "m", "resourceTyp": "global"}),
            "resourceTyp",
            "is no member here",
        ),
    ];
    for (query, member, message) in cases {
        let mut wrong = config("wrong");
        wrong["templates"] = json!({});
        wrong["metrics"][0]["query"] = query.clone();
        let text = serde_json::to_string_pretty(&wrong).unwrap();
        let (_, answer) = browser
            .send("/ui/configs/check", &[("config", &text)])
            .await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let findings = answer["findings"].as_array().unwrap();
        let path = format!("metrics[0].query.{member}");
        let found = findings.iter().find(|found| found["path"] == path.as_str());
        let found = found.unwrap_or_else(|| panic!("{query}: {answer}"));
        assert!(
            found["message"].as_str().unwrap().contains(message),
            "{query}: {found}"
        );
        let written = format!("\"{member}\"");
        let member = text.lines().position(|line| line.contains(&written));
        if let Some(line) = member {
            assert_eq!(found["line"], line + 1, "{query}: {found}");
        }
    }
}
