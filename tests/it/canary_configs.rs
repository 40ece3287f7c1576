//! `/canaryConfig`, as its clients use it.

use serde_json::{Value, json};

use crate::harness::{Client, Serin, answer};

fn config(name: &str) -> Value {
    json!({
        "name": name, "applications": ["web"], "configVersion": 1.0,
        "metrics": [{
            "name": "cpu", "scopeName": "default", "groups": ["g"],
            "query": {"type": "prometheus", "metricName": "cpu", "queryType": "DEFAULT"},
            "analysisConfigurations": {"canary": {"direction": "increase", "critical": null}},
        }],
        "classifier": {"groupWeights": {"g": 100}},
    })
}

fn with(mut config: Value, pointer: &str, value: Value) -> Value {
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    config.pointer_mut(parent).unwrap()[member] = value;
    config
}

async fn store(client: &Client, config: &Value) -> String {
    let (status, body) = client.post("/canaryConfig", config).await;
    assert_eq!(status, 200, "{body}");
    body["canaryConfigId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_config_comes_back_with_nothing_lost() {
    let serin = Serin::start("").await;
    let sent = with(config("kept"), "/isNew", json!(true));
    let sent = with(sent, "/metrics/0/extra", json!({"deep": [1, null]}));
    let id = store(&serin.client, &sent).await;

    let (status, got) = serin.client.get(&format!("/canaryConfig/{id}")).await;
    assert_eq!(status, 200);
    assert_eq!(got["id"], id.as_str());
    assert_eq!(got["isNew"], true);
    assert_eq!(got["configVersion"], "1.0");
    assert_eq!(got["metrics"][0]["extra"], json!({"deep": [1, null]}));
    assert_eq!(got["metrics"][0]["query"]["queryType"], "DEFAULT");
    assert_eq!(got["metrics"][0]["query"]["serviceType"], "prometheus");
    assert_eq!(
        got["metrics"][0]["analysisConfigurations"],
        json!({"canary": {"direction": "increase"}})
    );
    assert_eq!(got["classifier"]["groupWeights"]["g"].to_string(), "100.0");
    assert_eq!(got["createdTimestamp"], got["updatedTimestamp"]);
    assert!(got["createdTimestampIso"].as_str().unwrap().ends_with('Z'));

    let (_, listed) = serin.client.get("/canaryConfig?application=web").await;
    assert_eq!(listed[0]["name"], "kept");
    assert_eq!(listed[0]["applications"], json!(["web"]));
    assert_eq!(listed[0]["updatedTimestamp"], got["updatedTimestamp"]);
    assert_eq!(
        serin.client.get("/canaryConfig?application=other").await.1,
        json!([])
    );
    assert_eq!(
        serin
            .client
            .get("/canaryConfig?application=")
            .await
            .1
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let file = serin
        .data()
        .join("kayenta/canary_config")
        .join(&id)
        .join("kept.json");
    assert!(file.exists(), "{}", file.display());
}

/// Those of Kayenta's own types come back as Kayenta writes them, any other byte for byte.
#[tokio::test]
async fn a_config_for_other_sources_is_kept_as_it_is() {
    const OF_KAYENTA: [&str; 10] = [
        "atlas",
        "clickhouse",
        "datadog",
        "graphite",
        "influxdb",
        "newrelic",
        "prometheus",
        "signalfx",
        "stackdriver",
        "wavefront",
    ];
    let serin = Serin::start("").await;
    let text = "SELECT v FROM m WHERE s = '${scope}' AND l = '$\\{location}'";
    let query = |kind: &str| {
        json!({"type": kind, "customInlineTemplate": text, "template": text, "resourceType": "r",
            "own": {"deep": [1.5, "x"]}})
    };
    let others = ["cloudwatch", "dynatrace", "one to come"];
    for (at, kind) in OF_KAYENTA.into_iter().chain(others).enumerate() {
        let mut sent = with(config(&format!("c{at}")), "/metrics/0/query", query(kind));
        let mut expected = query(kind);
        if OF_KAYENTA.contains(&kind) {
            expected["serviceType"] = kind.into();
        } else {
            // What is not known is not tidied up either.
            for query in [&mut sent["metrics"][0]["query"], &mut expected] {
                query["fields"] = json!("no list");
                query["nothing"] = Value::Null;
            }
        }
        let id = store(&serin.client, &sent).await;
        let path = format!("/canaryConfig/{id}");
        let (status, read) = serin.client.get(&path).await;
        let (before, after) = (expected.to_string(), &read["metrics"][0]["query"]);
        assert_eq!((status, after.to_string()), (200, before.clone()), "{kind}");
        assert_eq!(serin.client.put(&path, &read).await.0, 200, "{kind}");
        let (_, again) = serin.client.get(&path).await;
        assert_eq!(again["metrics"][0]["query"].to_string(), before, "{kind}");
    }
    let (_, listed) = serin.client.get("/canaryConfig?application=web").await;
    assert_eq!(listed.as_array().unwrap().len(), 13);
}

#[tokio::test]
async fn a_config_is_replaced_renamed_and_deleted() {
    let serin = Serin::start("").await;
    let client = &serin.client;
    let id = store(client, &with(config("one"), "/id", json!("my.id-1"))).await;
    assert_eq!(id, "my.id-1");
    let path = format!("/canaryConfig/{id}");

    let (_, first) = client.get(&path).await;

    let (status, body) = client.put(&path, &config("two")).await;
    assert_eq!((status, body), (200, json!({"canaryConfigId": "my.id-1"})));
    let (_, second) = client.get(&path).await;
    assert_eq!(second["createdTimestamp"], first["createdTimestamp"]);
    assert_eq!(second["createdTimestampIso"], first["createdTimestampIso"]);
    assert_eq!(client.get(&path).await.1["name"], "two");
    let folder = serin.data().join("kayenta/canary_config").join(&id);
    let files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().file_name())
        .collect();
    assert_eq!(files, ["two.json"]);

    assert_eq!(client.delete(&path).await.0, 204);
    assert_eq!(client.delete(&path).await, problem(400, "Does not exist"));
    assert_eq!(
        client.get(&path).await,
        problem(404, "No such object named my.id-1")
    );
    assert_eq!(
        client.put(&path, &config("three")).await,
        problem(400, "Canary config 'my.id-1' does not exist.")
    );
    assert_eq!(client.get("/canaryConfig").await.1, json!([]));
}

#[tokio::test]
async fn what_kayenta_refuses_is_refused_in_its_words() {
    let serin = Serin::start("").await;
    let client = &serin.client;
    store(client, &with(config("taken"), "/id", json!("taken"))).await;
    let metric = json!({"name": "cpu", "query": {"type": "prometheus"}});
    let cases = [
        (
            with(config("a"), "/name", json!("")),
            "Canary config must specify a name.",
        ),
        (
            with(config("a"), "/name", Value::Null),
            "Canary config must specify a name.",
        ),
        (
            with(config("a"), "/applications", json!([])),
            "Canary config must specify at least one application.",
        ),
        (
            config("bad name"),
            "Canary config cannot be named 'bad name'. Names must contain only letters, numbers, dashes (-) and underscores (_).",
        ),
        (
            with(config("a"), "/metrics", json!([metric, metric])),
            "Metric config name must be unique. 'cpu' is duplicated.",
        ),
        (
            with(config("a"), "/metrics/0/name", json!("")),
            "Metric config must specify a name.",
        ),
        (
            with(config("b"), "/id", json!("taken")),
            "Canary config 'taken' already exists.",
        ),
        (
            config("taken"),
            "Canary config with name 'taken' already exists in the scope of applications [web].",
        ),
    ];
    for (sent, message) in cases {
        assert_eq!(
            client.post("/canaryConfig", &sent).await,
            problem(400, message)
        );
    }
}

#[tokio::test]
async fn what_would_fail_in_the_judge_is_refused_when_it_is_stored() {
    let serin = Serin::start("").await;
    let cases = [
        (json!({"critical": "true"}), "critical"),
        (json!({"mustHaveData": 1}), "mustHaveData"),
        (json!({"muted": "no"}), "muted"),
        (
            json!({"effectSize": {"allowedIncrease": "1.2"}}),
            "allowedIncrease",
        ),
        (
            json!({"outliers": {"strategy": "remove", "outlierFactor": 0}}),
            "outlierFactor",
        ),
        (json!([]), "canary"),
    ];
    for (canary, member) in cases {
        let sent = with(
            config("judged"),
            "/metrics/0/analysisConfigurations/canary",
            canary,
        );
        let (status, body) = serin.client.post("/canaryConfig", &sent).await;
        assert_eq!(status, 400, "{member}");
        let message = body["message"].as_str().unwrap();
        assert!(
            message.contains("cpu") && message.contains(member),
            "{message}"
        );
    }
    let accepted = json!({"critical": null, "effectSize": {"allowedIncrease": 3_000_000_000_u64}, "outliers": {"strategy": "keep", "outlierFactor": 0}});
    store(
        &serin.client,
        &with(
            config("judged"),
            "/metrics/0/analysisConfigurations/canary",
            accepted,
        ),
    )
    .await;
}

#[tokio::test]
async fn nonsense_gets_an_answer_that_says_what_is_wrong() {
    let serin = Serin::start("").await;
    let post = |body: &'static str, kind: &'static str| {
        let request = serin
            .client
            .http
            .post(format!("{}/canaryConfig", serin.client.url));
        answer(request.header("content-type", kind).body(body))
    };
    for (body, kind, status, part) in [
        ("{", "application/json", 400, "cannot be read"),
        ("", "application/json", 400, "empty"),
        ("[]", "application/json", 400, "cannot be read"),
        (
            r#"{"metrics": 5}"#,
            "application/json;charset=UTF-8",
            400,
            "metrics",
        ),
        (
            r#"{"metrics": [{"query": {"type": 5}}]}"#,
            "application/json",
            400,
            "such as prometheus",
        ),
        (
            r#"{"metrics": [{"query": {}}]}"#,
            "application/json",
            400,
            "metrics[0].query",
        ),
        ("{}", "text/plain", 415, "application/json"),
    ] {
        let (got, answer) = post(body, kind).await;
        assert_eq!(got, status, "{body}");
        assert!(
            answer["message"].as_str().unwrap().contains(part),
            "{answer}"
        );
    }
    let (status, body) = serin.client.get("/canaryConfig/a%2Fb").await;
    assert_eq!(status, 400, "{body}");
    let (status, _) = serin.client.get("/canaryConfig/%2e%2e").await;
    assert!(status == 400 || status == 404 || status == 200, "{status}");
    assert_eq!(serin.client.get("/nosuch").await.0, 404);
    assert_eq!(serin.client.put("/canaryConfig", &json!({})).await.0, 405);
    assert_eq!(
        serin
            .client
            .get("/canaryConfig?configurationAccountName=nosuch")
            .await,
        problem(400, "Unable to resolve account nosuch.")
    );
}

#[tokio::test]
async fn twenty_that_want_one_name_find_one_winner() {
    let serin = Serin::start("").await;
    let posts = (0..20).map(|_| {
        let client = serin.client.clone();
        async move { client.post("/canaryConfig", &config("wanted")).await.0 }
    });
    let mut statuses = futures::future::join_all(posts).await;
    statuses.sort_unstable();
    assert_eq!(statuses[0], 200);
    assert!(
        statuses[1..].iter().all(|status| *status == 400),
        "{statuses:?}"
    );
}

fn problem(status: u16, message: &str) -> (u16, Value) {
    let title = match status {
        400 => "Bad Request",
        _ => "Not Found",
    };
    (
        status,
        json!({"message": message, "title": title, "status": status, "detail": message}),
    )
}
