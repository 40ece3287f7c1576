//! The page that judges past runs once more, as a browser without scripts uses it.

use serde_json::json;

use super::twice_the_errors;
use crate::executions::adhoc;
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;
use crate::ui::page;

async fn form(serin: &Serin, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
    let url = format!("{}{path}", serin.client.url);
    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish();
    let sent = serin.client.http.post(url).body(body);
    let sent = sent.header("content-type", "application/x-www-form-urlencoded");
    let answer = sent.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_page_shows_what_would_change_and_leads_to_the_editor() {
    let prometheus = ScriptedPrometheus::start(twice_the_errors).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let mut config = adhoc(&["latency", "errors"])["canaryConfig"].clone();
    for (member, value) in [
        ("id", json!("shop")),
        ("name", json!("shop")),
        ("applications", json!(["shop"])),
    ] {
        config[member] = value;
    }
    let (status, answer) = client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200, "{answer}");
    let request = &adhoc(&[])["executionRequest"];
    let id = client
        .start_canary("/canary/shop?application=shop", request)
        .await;
    client.poll(&id).await;

    let (_, run) = page(&serin, &format!("/ui/runs/{id}")).await;
    assert!(run.contains(&format!("/ui/replay?runs={id}")), "{run}");
    let (_, shown) = page(&serin, "/ui/configs/shop").await;
    assert!(shown.contains("/ui/replay?config=shop"), "{shown}");
    for path in [
        format!("/ui/replay?runs={id}"),
        "/ui/replay?config=shop".to_owned(),
    ] {
        let (status, asked) = page(&serin, &path).await;
        assert!(
            status == 200 && asked.contains("customInlineTemplate"),
            "{asked}"
        );
    }

    let (status, told) = form(
        &serin,
        "/ui/replay",
        &[("config", "shop"), ("pass", "50"), ("marginal", "40")],
    )
    .await;
    assert_eq!(status, 200, "{told}");
    for part in [
        "1 run judged once more: 1 with another verdict",
        "pass instead of fail: 1 run",
        "50 is held against",
        "stand in no config",
    ] {
        assert!(told.contains(part), "no '{part}' in {told}");
    }
    assert!(!told.contains("/propose"), "thresholds stand in no config");

    config["metrics"][1]["analysisConfigurations"] =
        json!({"canary": {"effectSize": {"allowedIncrease": 3.0}}});
    let text = serde_json::to_string_pretty(&config).unwrap();
    let fields = [("runs", id.as_str()), ("by", "text"), ("text", &text)];
    let (status, told) = form(&serin, "/ui/replay", &fields).await;
    assert_eq!(status, 200, "{told}");
    assert!(told.contains("errors is Pass instead of High"), "{told}");
    assert!(told.contains("/ui/configs/shop/propose"), "{told}");

    let (status, editor) = form(&serin, "/ui/configs/shop/propose", &[("config", &text)]).await;
    assert_eq!(status, 200, "{editor}");
    assert!(
        editor.contains("<ins>+ ") && editor.contains("allowedIncrease"),
        "{editor}"
    );
    assert!(editor.contains("name=\"seen\""), "{editor}");
    let (_, stored) = client.get("/canaryConfig/shop").await;
    assert_eq!(
        stored["metrics"][1].get("analysisConfigurations"),
        None,
        "a proposal stores nothing"
    );

    for (fields, expected) in [
        (vec![], "which runs?"),
        (vec![("config", "shop"), ("margin", "much")], "is no number"),
        (
            vec![("config", "shop"), ("by", "text"), ("text", "{")],
            "cannot be read",
        ),
    ] {
        let (status, told) = form(&serin, "/ui/replay", &fields).await;
        assert!(
            (400..500).contains(&status) && told.contains(expected),
            "{status} {told}"
        );
    }
}
