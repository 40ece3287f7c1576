//! The spin CLI as it talks to a serin without Gate: its requests, and its strict reader.

use serde_json::{Value, json};

use crate::executions::{config, request, series};
use crate::harness::Serin;
use crate::scripted_prometheus::ScriptedPrometheus;

/// Runs its commands as the CLI does: each begins with `GET /version`, reads JSON only where the
/// answer says that it is JSON, and takes a status from 300 on for an error.
struct Spin {
    http: reqwest::Client,
    url: String,
}

/// What the generated client gives: an error says the status.
type Answer = Result<(u16, Value), u16>;

impl Spin {
    async fn command(serin: &Serin) -> Self {
        let spin = Self {
            http: serin.client.http.clone(),
            url: serin.client.url.clone(),
        };
        let (_, version) = spin.get("/version").await.unwrap();
        assert!(version["version"].is_string(), "{version}");
        spin
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(self.http.get(format!("{}{path}", self.url)))
            .await
    }

    async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        let url = format!("{}{path}", self.url);
        let request = self.http.request(method.parse().unwrap(), url);
        self.call(request.json(body)).await
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> Answer {
        let request = request.header("accept", "*/*, application/json");
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        if 300 <= status {
            return Err(status);
        }
        let kind = response.headers().get("content-type");
        let is_json = kind.is_some_and(|kind| kind.to_str().unwrap().contains("application/json"));
        let body = response.bytes().await.unwrap();
        let read = is_json.then(|| serde_json::from_slice(&body).unwrap());
        Ok((status, read.unwrap_or_default()))
    }

    /// `canary-config save`: a GET tells whether there is one; 404, and nothing else, means no.
    async fn save(&self, config: &Value) -> Answer {
        let id = config["id"].as_str().unwrap();
        match self.get(&format!("/v2/canaryConfig/{id}")).await {
            Ok((200, _)) => {
                self.send("PUT", &format!("/v2/canaryConfig/{id}"), config)
                    .await
            }
            Err(404) => self.send("POST", "/v2/canaryConfig", config).await,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn its_commands_work_without_gate() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start_with(&prometheus.url, &[], None).await;
    let mut config = config(&["errors"]);
    config["id"] = json!("spin-cfg");
    config["name"] = json!("spin-config");
    config["applications"] = json!(["web"]);
    let path = "/v2/canaryConfig/spin-cfg";

    for description in ["created", "updated"] {
        config["description"] = json!(description);
        let saved = Spin::command(&serin).await.save(&config).await;
        assert_eq!(saved, Ok((200, json!({"canaryConfigId": "spin-cfg"}))));
        let (_, got) = Spin::command(&serin).await.get(path).await.unwrap();
        assert_eq!(got["description"], description);
    }
    // Without --application the parameter is left out, or empty.
    for query in ["", "?application=", "?application=web"] {
        let spin = Spin::command(&serin).await;
        let (_, list) = spin.get(&format!("/v2/canaryConfig{query}")).await.unwrap();
        assert_eq!(list[0]["id"], "spin-cfg", "{query}");
    }

    let spin = Spin::command(&serin).await;
    let (_, whole) = spin.get(path).await.unwrap();
    let asked = json!({"canaryConfig": whole, "executionRequest": request()});
    let started = spin.send(
        "POST",
        "/v2/canaries/canary?metricsAccountName=prometheus&storageAccountName=local",
        &asked,
    );
    let (_, started) = started.await.unwrap();
    let id = started["canaryExecutionId"].as_str().unwrap();
    let done = loop {
        let path = format!("/v2/canaries/canary/spin-cfg/{id}?storageAccountName=local");
        let (_, run) = spin.get(&path).await.unwrap();
        // It panics at anything else.
        if run["complete"].as_bool().unwrap() {
            break run;
        }
    };
    let score = &done["result"]["judgeResult"]["score"];
    assert!(score["classification"].is_string(), "{done}");

    // Exactly 200: for every other status it tells of an error.
    let spin = Spin::command(&serin).await;
    let deleted = spin
        .call(spin.http.delete(format!("{}{path}", spin.url)))
        .await;
    assert_eq!(deleted, Ok((200, Value::Null)));
    assert_eq!(spin.get(path).await, Err(404));
    assert_eq!(
        spin.call(spin.http.delete(format!("{}{path}", spin.url)))
            .await,
        Err(400)
    );
}
