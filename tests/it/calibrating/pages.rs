//! The pages, as a browser without scripts uses them.

use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::json;
use url::form_urlencoded::Serializer;

use super::{END, answer, config, ended};
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;

async fn send(http: &Client, url: &str, fields: &[(&str, &str)]) -> Response {
    let body = Serializer::new(String::new()).extend_pairs(fields).finish();
    let post = http
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded");
    post.header("sec-fetch-site", "same-origin")
        .body(body)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_config_is_calibrated_by_its_page() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let serin = Serin::start(&prometheus.url).await;
    let client = &serin.client;
    let http = Client::builder().redirect(Policy::none()).build().unwrap();
    let page = async |path: &str| {
        let answer = http
            .get(format!("{}{path}", client.url))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    };
    assert!(
        page("/ui/calibrations")
            .await
            .contains("Nothing has been calibrated yet")
    );
    let config = config(&json!({"name": "sequential-v1", "judgeConfigurations": {}}));
    let (status, stored) = client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200, "{stored}");
    let id = stored["canaryConfigId"].as_str().unwrap();
    let told = page(&format!("/ui/configs/{id}")).await;
    assert!(
        told.contains("How often would this config cry wolf?"),
        "{told}"
    );
    assert!(told.contains("names no calibration"), "{told}");

    let form = format!("{}/ui/configs/{id}/calibrate", client.url);
    assert!(
        page(&format!("/ui/configs/{id}/calibrate"))
            .await
            .contains("Windows, end to end back from now")
    );
    let mut fields = vec![
        ("control", "a"),
        ("against", "b, c"),
        ("window", "60"),
        ("interval", "x"),
        ("windows", "12"),
        ("step", "60"),
        ("marginal", "75"),
        ("pass", "95"),
        ("write", ""),
    ];
    let refused = send(&http, &form, &fields).await;
    assert_eq!(refused.status(), 422);
    assert!(
        refused
            .text()
            .await
            .unwrap()
            .contains("&#39;x&#39; is no whole number")
    );
    fields[3].1 = "30";
    let begun = send(&http, &form, &fields).await;
    assert_eq!(begun.status(), 303);
    let place = begun.headers()["location"].to_str().unwrap().to_owned();
    let made = place.rsplit('/').next().unwrap().to_owned();
    let document = ended(client, &made).await;
    assert_eq!(document["status"], "succeeded", "{document}");
    assert!(END * 1000 < document["report"]["toMillis"].as_i64().unwrap());

    let shown = page(&place).await;
    assert!(shown.contains("12 hours without a release"), "{shown}");
    assert!(shown.contains("12 windows are few"), "{shown}");
    assert!(
        !shown.contains("style=") && !shown.contains("http-equiv"),
        "{shown}"
    );
    let slid = [&fields[..], &[("lookback", "20")]].concat();
    let begun = send(&http, &form, &slid).await;
    assert_eq!(begun.status(), 303);
    let slid = begun.headers()["location"].to_str().unwrap();
    let document = ended(client, slid.rsplit('/').next().unwrap()).await;
    assert_eq!(document["request"]["lookbackMins"], 20, "{document}");
    assert!(page(slid).await.contains("looking 20 back"));
    let kept = send(
        &http,
        &format!("{}{place}/keep", client.url),
        &[("id", "checkout")],
    )
    .await;
    assert_eq!(kept.status(), 303);
    let list = page("/ui/calibrations").await;
    assert!(
        list.contains("/learnedMargins/checkout") && list.contains(&place),
        "{list}"
    );
}

#[tokio::test]
async fn a_text_is_calibrated_as_it_stands_in_the_editor() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let serin = Serin::start(&prometheus.url).await;
    let http = Client::builder().redirect(Policy::none()).build().unwrap();
    let editor = format!("{}/ui/configs/new", serin.client.url);
    let editor = http.get(editor).send().await.unwrap().text().await.unwrap();
    assert!(
        editor.contains("formaction=\"/ui/configs/new/calibrate\""),
        "{editor}"
    );

    let form = format!("{}/ui/configs/new/calibrate", serin.client.url);
    let refused = send(&http, &form, &[("config", "{\"metrics\": 5}")]).await;
    assert_eq!(refused.status(), 422);
    let told = refused.text().await.unwrap();
    assert!(
        told.contains("Not started:") && told.contains("metrics"),
        "{told}"
    );

    let text = config(&json!({"name": "sequential-v1", "judgeConfigurations": {}})).to_string();
    let asked = send(&http, &form, &[("config", &text)]).await;
    assert_eq!(asked.status(), 200);
    let asked = asked.text().await.unwrap();
    for part in [
        "How often would checkout cry wolf?",
        "nothing of it is stored",
        "name=\"config\"",
    ] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    let fields = [
        ("config", text.as_str()),
        ("control", "a"),
        ("against", "b"),
        ("window", "60"),
        ("interval", "30"),
        ("windows", "10"),
        ("step", "60"),
        ("marginal", "75"),
        ("pass", "95"),
    ];
    let begun = send(&http, &form, &fields).await;
    assert_eq!(begun.status(), 303);
    let place = begun.headers()["location"].to_str().unwrap();
    let document = ended(&serin.client, place.rsplit('/').next().unwrap()).await;
    assert_eq!(document["status"], "succeeded", "{document}");
    assert_eq!(document["configName"], "checkout");
    let (_, stored) = serin.client.get("/canaryConfig").await;
    assert_eq!(stored, json!([]));
}
