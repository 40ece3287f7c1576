//! What others wrote for Kayenta is understood: configs and requests from public repositories.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::{Client, answer};
use crate::lenient::{config, request, start, start_with};

/// The folder with configs and requests from public repositories, which are no part of serin.
pub fn shared(part: &str) -> Option<Vec<(String, Value)>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests are told by the environment"
    )]
    let folder = std::env::var("SERIN_TEST_SHARED").ok();
    let Some(folder) = folder.map(|folder| PathBuf::from(folder).join(part)) else {
        println!("skipped: SERIN_TEST_SHARED is not set; it names a folder with {part}");
        return None;
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name != "MANIFEST.json" {
            let text = std::fs::read_to_string(&path).unwrap();
            files.push((name, serde_json::from_str(&text).unwrap()));
        }
    }
    files.sort_by(|one, other| one.0.cmp(&other.0));
    Some(files)
}

#[tokio::test]
async fn configs_of_others_are_stored_and_come_back_with_nothing_lost() {
    let Some(configs) = shared("configs") else {
        return;
    };
    let (serin, _stores) = start().await;
    let (mut stored, mut refused) = (0, 0);
    for (file, config) in &configs {
        let (status, body) = serin.client.post("/canaryConfig", config).await;
        let is_empty = |member: &str| match &config[member] {
            Value::String(text) => text.is_empty(),
            Value::Array(list) => list.is_empty(),
            other => other.is_null(),
        };
        let reason = match (is_empty("name"), is_empty("applications")) {
            (true, _) => "Canary config must specify a name.",
            (false, true) => "Canary config must specify at least one application.",
            (false, false) => {
                assert_eq!(status, 200, "{file}: {body}");
                let id = body["canaryConfigId"].as_str().unwrap();
                let path = format!("/canaryConfig/{id}");
                let (_, told) = serin.client.get(&path).await;
                let mut lost = Vec::new();
                compare(config, &told, "", &mut lost);
                assert!(lost.is_empty(), "{file}: {lost:#?}");
                // Some have one name in one application.
                assert_eq!(serin.client.delete(&path).await.0, 204);
                stored += 1;
                continue;
            }
        };
        assert_eq!(
            (status, body["message"].as_str()),
            (400, Some(reason)),
            "{file}"
        );
        refused += 1;
    }
    // One more than `applications` tells has none.
    assert_eq!((stored, refused), (31, 12));
    serin.service.stop().await;
}

/// What of `sent` is not in `told`, up to Kayenta's conventions: no nulls, numbers in members that
/// are text and the reverse, an id and the times where they are not given.
fn compare(sent: &Value, told: &Value, path: &str, lost: &mut Vec<String>) {
    let is_same = match (sent, told) {
        (Value::Null, _) => true,
        (Value::Object(sent), Value::Object(told)) => {
            for (name, value) in sent {
                let told = told.get(name).unwrap_or(&Value::Null);
                compare(value, told, &format!("{path}/{name}"), lost);
            }
            return;
        }
        (Value::Array(sent), Value::Array(told)) if sent.len() == told.len() => {
            for (index, (sent, told)) in sent.iter().zip(told).enumerate() {
                compare(sent, told, &format!("{path}/{index}"), lost);
            }
            return;
        }
        (Value::Number(sent), Value::Number(told)) => sent.as_f64() == told.as_f64(),
        (Value::Number(sent), Value::String(told)) => sent.to_string() == *told,
        (Value::String(sent), Value::Number(told)) => sent.parse() == Ok(told.as_f64().unwrap()),
        (Value::String(sent), Value::String(_)) if sent.is_empty() && path == "/id" => true,
        // Kayenta writes the texts anew from the milliseconds.
        (Value::String(_), Value::String(_)) if path.ends_with("TimestampIso") => true,
        (sent, told) => sent == told,
    };
    if !is_same {
        lost.push(format!("{path}: {sent} became {told}"));
    }
}

#[tokio::test]
async fn configs_of_others_are_accepted_in_requests_unless_kayenta_refuses_them_too() {
    let Some(configs) = shared("configs") else {
        return;
    };
    let (serin, _stores) = start().await;
    let pair = request()["scopes"]["default"].clone();
    let mut accepted = 0;
    for (file, config) in &configs {
        let mut request = request();
        for name in ["exported_instance", "service", "job"] {
            request["scopes"][name] = pair.clone();
        }
        let body = json!({"canaryConfig": config, "executionRequest": request});
        let (status, told) = serin.client.post("/canary?application=others", &body).await;
        let metrics = config["metrics"].as_array().unwrap();
        let refused = metrics.iter().find_map(|metric| {
            let kind = metric["query"]["type"].as_str().unwrap();
            let name = metric["name"].as_str().unwrap();
            match (kind, &metric["scopeName"]) {
                ("prometheus", Value::String(_)) => None,
                ("prometheus", _) => {
                    Some(format!("Canary scope for metric named '{name}' is null."))
                }
                (kind, _) if serin::metrics::supports(kind) => Some(format!(
                    "metric '{name}': its query is of type '{kind}', and no account answers that. The \
                     metrics accounts are 'prom' (prometheus)."
                )),
                (kind, _) => Some(serin::metrics::other_source(name, kind)),
            }
        });
        let weights = config.pointer("/classifier/groupWeights");
        let (wanted, message) = match (refused, weights) {
            (Some(message), _) => (400, message),
            // Kayenta's judge would fail at the end; `docs/kayenta.md` has it among the differences.
            (None, None) => (
                400,
                "The canary config must specify a classifier with groupWeights, {} at least."
                    .to_owned(),
            ),
            (None, Some(_)) => (200, String::new()),
        };
        assert_eq!(status, wanted, "{file}: {told}");
        assert_eq!(told["message"].as_str().unwrap_or(""), message, "{file}");
        accepted += usize::from(status == 200);
    }
    println!("{accepted} of {} configs run", configs.len());
    serin.service.stop().await;
}

#[tokio::test]
async fn recorded_requests_of_others_are_understood() {
    let Some(requests) = shared("requests") else {
        return;
    };
    assert_eq!(requests.len(), 13);
    let (serin, _stores) = start_with(&["prom", "canary-prometheus"]).await;
    let Client { http, url } = &serin.client;
    let path = "/canary/cfg-1?metricsAccountName=prom";
    let started = serin.client.start_canary(path, &request()).await;
    // One request names its scope otherwise.
    let mut other = config();
    other["id"] = json!("cfg-2");
    other["name"] = json!("other-scope");
    for metric in other["metrics"].as_array_mut().unwrap() {
        metric["scopeName"] = json!("exported_instance");
    }
    assert_eq!(serin.client.post("/canaryConfig", &other).await.0, 200);
    for (file, recorded) in requests {
        let path = recorded["path"].as_str().unwrap();
        let (wanted, path) = match file.as_str() {
            "orca-cancel.json" => (202, format!("/pipelines/{started}/cancel")),
            "orca-get.json" => (200, format!("/canary/{started}")),
            // The test's own gate, not an endpoint of Kayenta.
            "flagger-rollout-webhook.json" => (404, path.to_owned()),
            "swagger-ui-standalone.json" => (200, path.replace("CONFIG_ID", "cfg-2")),
            _ => (200, path.replace("CONFIG_ID", "cfg-1")),
        };
        // Two were noted without their config or body.
        let whole = json!({"canaryConfig": config(), "executionRequest": request()});
        let body = match recorded["body"].as_str() {
            None => {
                let mut whole = whole;
                whole["executionRequest"]["metadata"] =
                    json!([{"name": "ticket", "value": "A-1", "hidden": true}]);
                whole["executionRequest"]["siteLocal"] =
                    json!({"applicationMetadata": {"name": "a"}});
                whole.to_string()
            }
            Some(body) => body.replace("\"<see configs: Mule Jenkins>\"", &config().to_string()),
        };
        let method = recorded["method"].as_str().unwrap().parse().unwrap();
        let query = recorded["rawQuery"].as_str().unwrap_or("");
        // Of two accounts, one must be named.
        let query = if query.contains("metricsAccountName=") {
            query.to_owned()
        } else {
            format!("{query}&metricsAccountName=prom")
        };
        let mut request = http
            .request(method, format!("{url}{path}?{query}"))
            .body(body);
        for (name, value) in recorded["headers"].as_object().into_iter().flatten() {
            if name != "Connection" {
                request = request.header(name, value.as_str().unwrap());
            }
        }
        let (status, told) = answer(request).await;
        assert_eq!(status, wanted, "{file}: {told}");
    }
    serin.service.stop().await;
}
