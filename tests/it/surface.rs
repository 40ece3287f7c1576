//! What Kayenta's and Gate's clients can call beside canaries: comparisons, Gate's paths, headers.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::executions::{request, series};
use crate::harness::{Client, Serin, answer};
use crate::scripted_prometheus::ScriptedPrometheus;

async fn post_empty(client: &Client, path: &str) -> (u16, Value) {
    answer(client.http.post(format!("{}{path}", client.url))).await
}

/// The id of a stored list of one pair for the metric `m`.
async fn store_pairs(client: &Client) -> String {
    let pairs = json!([{"name": "m", "id": "i", "tags": {}, "values": {"control": [1, 2], "experiment": [1, 2]}}]);
    let (_, stored) = client.post("/metricSetPairList", &pairs).await;
    stored["metricSetPairListId"].as_str().unwrap().to_owned()
}

pub async fn store_config(client: &Client, id: &str, judge: &Value) {
    let mut config = json!({"id": id, "name": id, "applications": ["web"], "metrics": [{"name": "m", "groups": ["g"]}], "classifier": {"groupWeights": {}}});
    if !judge.is_null() {
        config["judge"] = judge.clone();
    }
    let (status, body) = client.post("/canaryConfig", &config).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn two_judges_are_compared_and_their_results_kept() {
    let serin = Serin::start("").await;
    let client = &serin.client;
    store_config(
        client,
        "named",
        &json!({"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}}),
    )
    .await;
    store_config(client, "unnamed", &Value::Null).await;
    let list = store_pairs(client).await;
    let compare = async |config: &str, list: &str, two: &str| {
        let path = format!(
            "/judges/comparison?canaryConfigId={config}&metricSetPairListId={list}&passThreshold=95&marginalThreshold=75&overrideCanaryJudge1=&overrideCanaryJudge2={two}"
        );
        let (status, body) = post_empty(client, &path).await;
        assert_eq!(status, 200, "{body}");
        body["canaryExecutionId"].as_str().unwrap().to_owned()
    };
    let found = async |id: &str| client.get(&format!("/judges/comparison/{id}")).await;

    let id = compare("named", &list, "dredd-v1.0").await;
    let (status, body) = found(&id).await;
    assert_eq!(status, 200);
    let results = &body["comparisonResult"];
    assert_eq!(results["judge1Result"]["judgeName"], "NetflixACAJudge-v1.0");
    assert_eq!(results["judge1Result"]["score"]["score"], 100.0);
    assert_eq!(results["judge2Result"]["judgeName"], "dredd-v1.0");
    assert_eq!(
        client.get(&format!("/canary/{id}")).await,
        (
            400,
            problem(
                400,
                &format!("Unable to find StageExecution 'mixMetrics' in pipeline ID '{id}'")
            )
        )
    );
    let (_, pipeline) = client.get(&format!("/pipelines/{id}")).await;
    assert_eq!(pipeline["status"], "SUCCEEDED");
    assert_eq!(pipeline["stages"].as_array().unwrap().len(), 3);

    // Without a judge in the config there is nothing to override.
    let id = compare("unnamed", &list, "dredd-v1.0").await;
    let (_, body) = found(&id).await;
    assert_eq!(
        body["comparisonResult"]["judge2Result"]["judgeName"],
        "NetflixACAJudge-v1.0"
    );

    let id = compare("named", &list, "nosuch").await;
    let (_, body) = found(&id).await;
    assert!(body.get("comparisonResult").is_none(), "{body}");
    let exception = &body["exceptions"]["Perform Analysis with Judge 2"];
    assert_eq!(
        exception["details"]["errors"],
        json!(["Unable to resolve canary judge 'nosuch'."])
    );
    let id = compare("named", "nosuch", "").await;
    assert_eq!(
        found(&id).await.1["exceptions"].as_object().unwrap().len(),
        2
    );

    assert_eq!(
        found("nosuch").await,
        (404, problem(404, "No pipeline found for nosuch"))
    );
    assert_eq!(
        post_empty(client, "/judges/comparison?canaryConfigId=nosuch&metricSetPairListId=l&passThreshold=95&marginalThreshold=75").await.0,
        404
    );
}

pub fn problem(status: u16, message: &str) -> Value {
    let title = StatusCode::from_u16(status).unwrap().canonical_reason();
    json!({"message": message, "title": title, "status": status, "detail": message})
}

#[tokio::test]
async fn gates_paths_lead_to_kayentas() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start_with(&prometheus.url, &[], None).await;
    let client = &serin.client;
    let mut config = crate::executions::config(&["errors"]);
    config["id"] = json!("spin-cfg");
    config["name"] = json!("spin-config");
    config["applications"] = json!(["my app"]);
    assert_eq!(client.get("/v2/canaryConfig/spin-cfg").await.0, 404);
    assert_eq!(
        client.post("/v2/canaryConfig", &config).await,
        (200, json!({"canaryConfigId": "spin-cfg"}))
    );
    assert_eq!(
        client.put("/v2/canaryConfig/spin-cfg", &config).await.0,
        200
    );
    let (_, list) = client.get("/v2/canaryConfig?application=my%20app").await;
    assert_eq!(list[0]["name"], "spin-config");
    for (path, name) in [
        ("/v2/canaries/credentials", "prometheus"),
        ("/v2/canaries/judges", "NetflixACAJudge-v1.0"),
    ] {
        assert_eq!(client.get(path).await.1[0]["name"], name, "{path}");
    }

    let retro = "/v2/canaries/canary?application=my%20app&metricsAccountName=prometheus&storageAccountName=local";
    let id = client
        .start_canary(
            retro,
            &json!({"canaryConfig": config, "executionRequest": request()}),
        )
        .await;
    let done = client.poll(&id).await;
    let stored = client
        .start_canary(
            "/v2/canaries/canary/spin-cfg?application=my%20app&configurationAccountName=local",
            &request(),
        )
        .await;
    assert_eq!(client.poll(&stored).await["canaryConfigId"], "spin-cfg");
    for path in [
        format!("/v2/canaries/canary/{id}"),
        format!("/v2/canaries/canary/ad-hoc/{id}?storageAccountName=local"),
    ] {
        assert_eq!(client.get(&path).await, (200, done.clone()), "{path}");
    }
    let (_, runs) = client
        .get(
            "/v2/canaries/my%20app/executions?limit=20&statuses=SUCCEEDED&storageAccountName=local",
        )
        .await;
    assert_eq!(runs.as_array().unwrap().len(), 2);
    let pairs = done["metricSetPairListId"].as_str().unwrap();
    let (status, list) = client
        .get(&format!(
            "/v2/canaries/metricSetPairList/{pairs}?storageAccountName=local"
        ))
        .await;
    assert_eq!((status, &list[0]["name"]), (200, &json!("errors")));
    assert_eq!(
        client
            .get(&format!(
                "/v2/canaries/metricSetPairList/{pairs}?storageAccountName=nosuch"
            ))
            .await
            .0,
        400
    );
    assert_eq!(client.delete("/canaryConfig/spin-cfg").await.0, 204);

    let off = Serin::start_with("", &[("server.gateAliases", "false")], None).await;
    assert_eq!(off.client.get("/v2/canaries/judges").await.0, 404);
    assert_eq!(off.client.get("/version").await.0, 404);
}

/// jgramoll's terraform provider reads `timestamp` unasked, and the number of `status`.
#[tokio::test]
async fn refusals_on_gates_paths_are_those_of_gate() {
    let serin = Serin::start("http://127.0.0.1:9").await;
    let client = &serin.client;
    let config = json!({"id": "one", "name": "one", "applications": ["a"]});
    assert_eq!(client.post("/v2/canaryConfig", &config).await.0, 200);
    let url = |path: &str| format!("{}{path}", client.url);
    let http = &client.http;
    let cases = [
        (
            http.get(url("/v2/canaryConfig/nosuch")),
            404,
            "No such object named nosuch",
        ),
        (
            http.delete(url("/v2/canaryConfig/nosuch")),
            400,
            "Does not exist",
        ),
        (
            http.put(url("/v2/canaryConfig/nosuch")).json(&config),
            400,
            "Canary config 'nosuch' does not exist.",
        ),
        (
            http.post(url("/v2/canaryConfig")).json(&config),
            400,
            "Canary config 'one' already exists.",
        ),
        (http.post(url("/v2/canaryConfig")).body("{"), 400, ""),
        (
            http.post(url("/v2/canaryConfig"))
                .header("content-type", "text/plain")
                .body("{}"),
            415,
            "",
        ),
        (
            http.patch(url("/v2/canaryConfig")),
            405,
            "PATCH is not allowed here",
        ),
        (http.get(url("/v2/canaryConfig/a%2Fb")), 400, ""),
        (http.get(url("/v2/canaries/canary/nosuch/nosuch")), 404, ""),
        (
            http.post(url("/v2/canaries/canary/nosuch"))
                .json(&json!({})),
            404,
            "",
        ),
        (http.get(url("/v2/nosuch")), 404, "No message available"),
        // A page of another site.
        (
            http.post(url("/v2/canaryConfig"))
                .header("origin", "http://example.com")
                .json(&config),
            403,
            "",
        ),
    ];
    for (request, expected, message) in cases {
        let (status, body) = answer(request).await;
        assert_eq!(status, expected, "{body}");
        assert_eq!(body["status"], expected, "{body}");
        let error = StatusCode::from_u16(status).unwrap().canonical_reason();
        assert_eq!(body["error"].as_str(), error, "{body}");
        let timestamp = body["timestamp"].as_str().unwrap();
        assert!(timestamp.parse::<jiff::Timestamp>().is_ok(), "{body}");
        let told = body["message"].as_str().unwrap();
        assert!(
            !told.is_empty() && (message.is_empty() || told == message),
            "{body}"
        );
    }
    // Kayenta's own paths answer as Kayenta does.
    let (_, body) = client.get("/canaryConfig/nosuch").await;
    assert_eq!(body, problem(404, "No such object named nosuch"));
}

#[tokio::test]
async fn every_answer_tells_browsers_to_be_careful() {
    let serin = Serin::start("").await;
    let get = async |path: &str| {
        let url = format!("{}{path}", serin.client.url);
        serin.client.http.get(url).send().await.unwrap()
    };
    for path in ["/judges", "/nosuch", "/swagger-ui/index.html"] {
        let response = get(path).await;
        let headers = response.headers();
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["referrer-policy"], "same-origin", "{path}");
        assert!(!headers.contains_key("access-control-allow-origin"));
    }
    assert_eq!(get("/judges").await.headers()["cache-control"], "no-store");

    let initializer = get("/swagger-ui/swagger-initializer.js").await;
    let text = initializer.text().await.unwrap();
    assert!(
        text.contains("/v3/api-docs") && text.contains("\"validatorUrl\": \"none\""),
        "{text}"
    );

    // The policy of the page allows scripts of files only; the page has no other.
    let page = get("/swagger-ui/index.html").await;
    let policy = page.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    let text = page.text().await.unwrap();
    assert_eq!(
        text.matches("<script").count(),
        text.matches("<script src=\"./").count()
    );
    assert!(
        !text.contains(" onload=") && !text.contains("<style"),
        "{text}"
    );
}

/// Everything in the query string, lists as one text, numbers as a language model writes them.
#[tokio::test]
async fn a_query_of_spinnakers_mcp_server_is_tried() {
    let prometheus = ScriptedPrometheus::start(|_| series(1.0)).await;
    let serin = Serin::start_with(&prometheus.url, &[], None).await;
    let client = &serin.client;
    let parameters = [
        ("metricsAccountName", "prometheus"),
        ("storageAccountName", "local"),
        ("metricSetName", "requests"),
        ("metricName", "http_requests"),
        ("scope", "v2"),
        ("start", "2024-06-01T01:00:00Z"),
        ("end", "2024-06-01T02:00:00Z"),
        ("step", "60.0"),
        ("groupByFields", "[zone, pod]"),
        ("customFilter", "version=\"${scope}\""),
    ];
    let url = format!("{}/fetch/prometheus/query", client.url);
    let (status, body) = answer(client.http.post(url).query(&parameters)).await;
    assert_eq!(status, 200, "{body}");
    assert!(body["metricSetListId"].is_string(), "{body}");
    let asked = prometheus.asked();
    let params = &asked.last().unwrap().params;
    let expected = "avg(http_requests{version=\"v2\"}) by (zone,pod)";
    assert_eq!(
        (params["query"].as_str(), params["step"].as_str()),
        (expected, "60")
    );
}

#[tokio::test]
async fn a_dry_run_shows_no_query_that_the_fetch_would_refuse() {
    let serin = Serin::start("http://127.0.0.1:9").await;
    let long = "a".repeat(17 << 10);
    let cases = [
        ("PromQL:m{v=\"${scope}\"}", "a|b", None),
        (
            "PromQL:m{v=\"${scope}\"}",
            "x\"}) or vector(1) #",
            Some("'scope' holds a \""),
        ),
        ("PromQL:m{v=\"${scope}\"}", &long, Some("limits.queryText")),
    ];
    for (template, scope, expected) in cases {
        let told = async |dry: &str| {
            let asked = serin
                .client
                .http
                .post(format!("{}/fetch/prometheus/query", serin.client.url));
            let asked = asked.query(&[
                ("metricSetName", "m"),
                ("metricName", "m"),
                ("step", "60"),
                ("dryRun", dry),
                ("start", "2024-06-01T01:00:00Z"),
                ("end", "2024-06-01T01:05:00Z"),
                ("customFilter", template),
                ("scope", scope),
            ]);
            answer(asked).await
        };
        let (status, dry) = told("true").await;
        match expected {
            None => assert_eq!((status, &dry["query"]), (200, &json!("m{v=\"a|b\"}"))),
            Some(expected) => {
                assert_eq!(status, 400, "{dry}");
                assert!(dry["message"].as_str().unwrap().contains(expected), "{dry}");
                assert_eq!(told("false").await, (status, dry));
            }
        }
    }
}
