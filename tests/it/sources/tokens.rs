//! Tokens of Google go with what is asked of it.

use serde_json::json;

use super::{open, reply};
use crate::google::{Google, token};
use crate::prometheus_source::Asking;
use crate::stand_in::StandIn;

#[tokio::test(flavor = "multi_thread")]
async fn googles_tokens_go_with_queries_and_are_had_anew_once_when_they_are_refused() {
    let google = Google::start(|_, asked| token(&format!("token-{asked}"))).await;
    let person = json!({
        "type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r",
        "token_uri": format!("{}/token", google.url),
    });
    let file = google.write("person.json", person.to_string());
    let stand_in = StandIn::start().await;
    let accounts = format!(
        "stackdriver: {{enabled: true}}\n  google: {{enabled: true, accounts: [{{name: stackdriver, project: p, \
         jsonPath: '{file}', supportedTypes: [METRICS_STORE], endpoint: {{baseUrl: '{url}'}}}}]}}\n  \
         prometheus: {{enabled: true, accounts: [{{name: prometheus, auth: google, jsonPath: '{file}', \
         endpoint: {{baseUrl: '{url}/v1/projects/p/location/global/prometheus'}}}}]}}",
        file = file.display(),
        url = stand_in.url,
    );
    let sources = open(&accounts);
    let queries = [
        json!({"type": "stackdriver", "metricType": "m", "resourceType": "global"}),
        json!({"type": "prometheus", "customInlineTemplate": "PromQL:up"}),
    ];
    for query in queries {
        let source = &sources[query["type"].as_str().unwrap()];
        let body = r#"{"status": "success", "data": {"resultType": "matrix", "result": []}}"#;
        let refused = r#"{"error": {"message": "no token-0 here", "status": "UNAUTHENTICATED"}}"#;
        let json = "application/json";
        let refusal = json!({"status": 401, "headers": {"content-type": json}, "body": refused});
        stand_in.play(vec![
            reply(json, body),
            refusal.clone(),
            reply(json, body),
            refusal,
        ]);
        // Other days, as what is known would not be asked for again.
        let on = |day: &str| {
            let time = |hour: &str| format!("2024-06-{day}T{hour}:00:00Z");
            let scope = json!({"scope": "a", "start": time("00"), "end": time("01"), "step": 60});
            Asking::of(&json!({}), &json!({"name": "m", "query": query}), &scope)
        };
        for day in ["01", "02"] {
            on(day).fetch(source).await.unwrap();
        }
        let told = on("03").fetch(source).await.unwrap_err().to_string();
        assert!(told.contains("UNAUTHENTICATED: no "), "{told}");
        let asked = stand_in.asked();
        let bearers: Vec<&str> = asked
            .iter()
            .map(|it| it.headers["authorization"].as_str())
            .collect();
        assert_eq!(bearers.len(), 5, "another one is had once: {bearers:?}");
        assert_eq!(bearers[0], bearers[1]);
        assert_ne!(bearers[1], bearers[2]);
        assert_eq!(bearers[2], bearers[3]);
        assert_ne!(bearers[3], bearers[4]);
    }
}
