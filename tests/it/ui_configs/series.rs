//! What a metric of a text would have fetched of late.

use serde_json::{Value, json};
use serin::canary::Instant;

use super::{Browser, config};
use crate::harness::Serin;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

/// An experiment that is four times as high; `broken` is refused.
fn script(asked: &Asked) -> Reply {
    let Some(query) = asked.params.get("query") else {
        return Reply::matrix(&json!([]));
    };
    if query.contains("broken") {
        let told = r#"{"status": "error", "errorType": "bad_data", "error": "no such thing"}"#;
        return Reply::text(400, told);
    }
    let seconds = |name: &str| Instant::parse(&asked.params[name]).unwrap().as_millis() / 1000;
    let level = if query.contains("v2") { 4.0 } else { 1.0 };
    let (mut time, end) = (seconds("start"), seconds("end"));
    let mut values = vec![];
    while time <= end {
        let wave = f64::from(u8::try_from(time / 60 % 7).unwrap()) / 100.0;
        values.push(json!([time, (level + wave).to_string()]));
        time += 60;
    }
    Reply::matrix(&json!([{"metric": {}, "values": values}]))
}

#[tokio::test]
async fn both_sides_are_drawn_with_their_judgement_and_nothing_is_kept() {
    let prometheus = ScriptedPrometheus::start(script).await;
    let serin = Serin::start(&prometheus.url).await;
    let browser = Browser::of(&serin);
    let mut text = config("");
    // What keeps it from being stored does not keep it from being looked at.
    text["classifier"] = Value::Null;
    let mut second = text["metrics"][0].clone();
    second["name"] = json!("second");
    text["metrics"].as_array_mut().unwrap().push(second);
    let text = text.to_string();
    let fields = [
        ("config", text.as_str()),
        ("metric", "1"),
        ("account", "prometheus"),
        ("control", "v1"),
        ("experiment", "v2"),
        ("minutes", "60"),
        ("parameters", "zone=a"),
    ];
    let (status, answer) = browser.send("/ui/configs/series", &fields).await;
    assert_eq!(status, 200, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let shown = answer["series"].as_array().unwrap();
    assert_eq!((shown.len(), &answer["more"]), (1, &json!(0)), "{answer}");
    assert_eq!(shown[0]["label"], "High", "{answer}");
    let svg = shown[0]["svg"].as_str().unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("second"), "{svg}");
    let asked = prometheus.asked();
    let queries = asked.iter().filter_map(|asked| asked.params.get("query"));
    assert_eq!(queries.count(), 2, "{asked:?}");
    assert_eq!(serin.client.get("/canary/executions").await.1, json!([]));

    let cases = [
        // the field, its value, the status, part of the message
        ("metric", "2", 400, "the config has 2 metrics"),
        ("minutes", "0", 400, "from 1 to 1440"),
        ("minutes", "1441", 400, "from 1 to 1440"),
        ("parameters", "zone", 400, "name=value is wanted"),
        (
            "account",
            "nosuch",
            400,
            "Unable to resolve account nosuch.",
        ),
        ("config", "{\"metrics\": 1}", 400, "invalid type"),
        ("experiment", "broken", 400, "no such thing"),
    ];
    for (field, value, expected, message) in cases {
        let mut fields = fields;
        for (name, given) in &mut fields {
            if *name == field {
                *given = value;
            }
        }
        let (status, answer) = browser.send("/ui/configs/series", &fields).await;
        assert_eq!(status, expected, "{field}={value}: {answer}");
        assert!(answer.contains(message), "{field}={value}: {answer}");
    }
}

#[tokio::test]
async fn labels_of_a_metric_are_offered_as_its_source_tells_them() {
    let prometheus = ScriptedPrometheus::start(|asked| {
        let of_metric = asked.params.get("match[]").map(String::as_str);
        let names = match (asked.path.as_str(), of_metric) {
            ("/api/v1/labels", Some("{__name__=\"up\"}")) => json!(["job", "version"]),
            ("/api/v1/labels", None) => json!(["job", "version", "zone"]),
            ("/api/v1/label/version/values", Some("{__name__=\"up\"}")) => json!(["v1", "v2"]),
            _ => return Reply::text(404, "no such page"),
        };
        Reply::text(200, json!({"status": "success", "data": names}).to_string())
    })
    .await;
    let serin = Serin::start(&prometheus.url).await;
    let browser = Browser::of(&serin);
    let cases = [
        // the address, its answer
        ("metric=up", json!(["job", "version"])),
        ("", json!(["job", "version", "zone"])),
        ("metric=up&label=version", json!(["v1", "v2"])),
        // What does not answer has none, and what is no plain label is not asked for.
        ("metric=up&label=nosuch", json!([])),
        ("metric=up&label=..%2Fadmin", json!([])),
    ];
    for (address, expected) in cases {
        let path = format!("/ui/configs/labels?account=prometheus&{address}");
        let (status, answer) = browser.page(&path).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            serde_json::from_str::<Value>(&answer).unwrap(),
            expected,
            "{address}"
        );
    }
    let is_escape = |asked: &Asked| asked.path.contains("admin");
    assert!(!prometheus.asked().iter().any(is_escape));
    assert_eq!(
        browser.page("/ui/configs/labels?account=nosuch").await.0,
        400
    );
}
