//! What pages show of what one may do, and of who looks at them.

use crate::executions::adhoc;
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;

use super::things::{self, Things};
use super::{access, client};

#[tokio::test]
async fn a_button_stands_where_it_may_be_pressed() {
    let prometheus = ScriptedPrometheus::start(things::answer).await;
    let serin = Serin::start_with(&prometheus.url, &[], Some(&access())).await;
    let url = &serin.client.url;
    let made = Things::make(&client(url, Some("root")), "acme").await;
    let of_config = ["/try\"", "/calibrate\"", "/edit\"", "/copy\"", "/delete\""];
    let of_list = ["New config", "/try\"", "/edit\""];
    let cases = [
        ("/ui/configs/<config>", &of_config[..]),
        ("/ui/configs", &of_list),
        (
            "/ui/runs/<run>",
            &["/again\"", "/like\"", "/pin\"", "/delete\""],
        ),
        ("/ui/analyses/<analysis>", &["/pin\"", "/delete\""]),
        ("/ui/calibrations/<calibration>", &["Keep these margins"]),
    ];
    for (path, buttons) in cases {
        for (name, has) in [("acme-read", false), ("acme-all", true)] {
            let http = client(url, Some(name)).http;
            let asked = http.get(format!("{url}{}", made.fill(path)));
            let text = asked.send().await.unwrap().text().await.unwrap();
            let who = format!("<div class=\"who\">token {name}</div>");
            assert!(text.contains(&who), "{path} {name}: {text}");
            for button in buttons {
                assert_eq!(text.contains(button), has, "{path} {name} {button}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn a_run_is_compared_with_what_is_seen_only() {
    let prometheus = ScriptedPrometheus::start(things::answer).await;
    let serin = Serin::start_with(&prometheus.url, &[], Some(&access())).await;
    let url = &serin.client.url;
    let root = client(url, Some("root"));
    let mut runs = Vec::new();
    for tenant in ["acme", "quasar"] {
        let path = format!("/canary?application={tenant}");
        let id = root.start_canary(&path, &adhoc(&["latency"])).await;
        root.poll(&id).await;
        runs.push(id);
    }
    let [own, others] = [&runs[0], &runs[1]];
    let reader = client(url, Some("acme-read")).http;
    let unknown = "none-of-that-name".to_owned();
    for (id, with, expected) in [
        (own, own, 200),
        (own, others, 404),
        (others, own, 404),
        (own, &unknown, 404),
    ] {
        let asked = reader.get(format!("{url}/ui/runs/{id}/compare?with={with}"));
        let answer = asked.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, expected, "{id} {with}: {text}");
        let is_unknown = text.contains("no run with id");
        assert_eq!(is_unknown, expected == 404, "{id} {with}: {text}");
    }
}

#[tokio::test]
async fn an_empty_list_leads_to_a_new_config_whoever_may_write_one() {
    let serin = Serin::start_with("", &[], Some(&access())).await;
    let url = &serin.client.url;
    for (name, has) in [("acme-read", false), ("acme-all", true)] {
        let asked = client(url, Some(name)).http.get(format!("{url}/ui"));
        let text = asked.send().await.unwrap().text().await.unwrap();
        assert!(
            text.contains("Nothing has been judged yet"),
            "{name}: {text}"
        );
        assert_eq!(text.contains("/ui/configs/new"), has, "{name}: {text}");
    }
}

#[tokio::test]
async fn who_is_not_known_is_told_how_to_be() {
    let serin = Serin::start_with("", &[], Some(&access())).await;
    let url = &serin.client.url;
    let cases = [
        // who, the page, the status, what it says, what the record does
        (
            None,
            "/ui",
            401,
            "Load the page again: the browser asks",
            "does not know who asks",
        ),
        (
            Some("acme-start"),
            "/ui",
            403,
            "says by its rules who may do this",
            "does not have the role 'read'",
        ),
        (
            Some("stranger"),
            "/ui/configs",
            401,
            "Load the page again: the browser asks",
            "nobody has this token",
        ),
    ];
    for (name, path, status, advice, _) in cases {
        let asked = client(url, name).http.get(format!("{url}{path}"));
        let response = asked.send().await.unwrap();
        assert_eq!(response.status(), status, "{name:?}");
        let asks = response.headers().contains_key("www-authenticate");
        assert_eq!(asks, status == 401, "{name:?}");
        let text = response.text().await.unwrap();
        assert!(text.contains(advice), "{name:?}: {text}");
        assert!(text.starts_with("<!doctype html>"), "{name:?}: {text}");
    }
    let root = client(url, Some("root"));
    let (_, record) = root.get("/audit?deed=refused").await;
    let record = record.to_string();
    for (name, .., told) in cases {
        assert!(record.contains(told), "{name:?}: {record}");
    }
    // A script is told as it asks.
    let asked = client(url, Some("stranger")).http.get(format!("{url}/ui"));
    let asked = asked.header("accept", "application/json");
    let told = asked.send().await.unwrap().text().await.unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["message"], "nobody has this token");
}
