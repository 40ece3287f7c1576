//! Google's, Azure's, Thanos, Mimir, and what all of them answer.

use serde_json::json;

use super::{answer, ask_all, asking, nothing, source};
use crate::google::{Google, token};
use crate::scripted_prometheus::{Reply, ScriptedPrometheus};

#[tokio::test]
async fn google_is_told_who_pays() {
    let google = Google::start(|_, _| token("of-google")).await;
    let person = json!({
        "type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r",
        "token_uri": format!("{}/token", google.url),
    });
    let file = google.write("person.json", person.to_string());
    let managed = ScriptedPrometheus::start(answer).await;
    let base = "/v1/projects/p/location/global/prometheus";
    ask_all(&source(&json!({
        "endpoint": {"baseUrl": format!("{}{base}", managed.url)}, "auth": "google", "jsonPath": file,
        "quotaProject": "payer",
    })))
    .await;
    let asked = managed.asked();
    let paths: Vec<_> = asked
        .iter()
        .map(|asked| asked.path.strip_prefix(base).unwrap())
        .collect();
    let expected = [
        "/api/v1/query_range",
        "/api/v1/label/__name__/values",
        "/api/v1/query",
    ];
    assert_eq!(paths, expected);
    for asked in asked {
        assert_eq!(asked.header("authorization"), Some("Bearer of-google"));
        assert_eq!(asked.header("x-goog-user-project"), Some("payer"));
    }
}

#[tokio::test]
async fn thanos_is_told_what_an_account_says() {
    let thanos = ScriptedPrometheus::start(answer).await;
    let endpoint = json!({"baseUrl": thanos.url});
    ask_all(&source(&json!({
        "endpoint": endpoint, "partialResponse": false, "dedup": true, "maxSourceResolution": "5m",
    })))
    .await;
    ask_all(&source(
        &json!({"endpoint": endpoint, "max_source_resolution": "auto"}),
    ))
    .await;
    let told: Vec<_> = thanos
        .asked()
        .into_iter()
        .map(|asked| {
            let names = ["partial_response", "dedup", "max_source_resolution"];
            names
                .map(|name| asked.params.get(name).cloned().unwrap_or_default())
                .join(" ")
        })
        .collect();
    // A query, names, and health, which no store answers.
    assert_eq!(
        told,
        ["false true 5m", "false  ", "  ", "  auto", "  ", "  "]
    );
}

#[tokio::test]
async fn where_there_is_no_page_for_health_a_query_tells() {
    let api_only = ScriptedPrometheus::start(|asked| match asked.path.as_str() {
        "/prometheus/api/v1/query" if asked.params["query"] == "vector(1)" => nothing(),
        _ => Reply::text(404, "404 page not found"),
    });
    let api_only = api_only.await;
    let url = |path: &str| json!({"endpoint": {"baseUrl": format!("{}{path}", api_only.url)}});
    source(&url("/prometheus")).health().await.unwrap();
    let elsewhere = source(&url("/elsewhere"))
        .health()
        .await
        .unwrap_err()
        .to_string();
    assert!(elsewhere.starts_with("Not Found: "), "{elsewhere}");

    let refuses = ScriptedPrometheus::start(|_| Reply::text(403, "no")).await;
    let closed = source(&json!({"endpoint": {"baseUrl": refuses.url}}));
    assert!(closed.health().await.is_err());
    assert_eq!(refuses.asked().len(), 1);
}

#[tokio::test]
async fn a_tenant_goes_with_everything_and_is_told_to_nobody() {
    let mimir = ScriptedPrometheus::start(|asked| match asked.header("x-scope-orgid") {
        Some("team-a|team-b") => answer(asked),
        Some(other) => Reply::text(422, format!("{{\"error\": \"no tenant {other}\"}}")),
        None => Reply::text(401, "no org id"),
    })
    .await;
    let keys = |tenant: &str| json!({"endpoint": {"baseUrl": format!("{}/prometheus", mimir.url)}, "headers": {"X-Scope-OrgID": tenant}});
    ask_all(&source(&keys("team-a|team-b"))).await;
    let error = asking(1).fails(&source(&keys("team-secret"))).await;
    assert_eq!(error.message, "no tenant …");
}

#[tokio::test]
async fn native_histograms_are_told_with_what_to_write() {
    let histogram =
        json!([{"metric": {}, "histograms": [[1_717_203_600, {"count": "10", "sum": "2.5"}]]}]);
    let prometheus = ScriptedPrometheus::replying(vec![Reply::matrix(&histogram)]).await;
    let source = source(&json!({"endpoint": {"baseUrl": prometheus.url}}));
    let told = asking(1).fails(&source).await.message;
    assert!(
        told.contains("write what makes numbers of them, as in PromQL:histogram_quantile(0.95, "),
        "{told}"
    );
}
