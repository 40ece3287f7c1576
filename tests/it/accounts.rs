//! Accounts: how a call finds its own, and what one that is broken does to the others.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::harness::{ALL_MAY_ALL, Serin};
use crate::surface::{problem, store_config};

const STORES: &str = "
kayenta:
  memory:
    enabled: true
    accounts:
      - {name: objects, supportedTypes: [OBJECT_STORE]}
      - {name: configs, supportedTypes: [CONFIGURATION_STORE]}
      - {name: both, supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]}
  prometheus:
    enabled: true
    accounts:
      - {name: first, endpoint: {baseUrl: 'http://127.0.0.1:9'}}
      - {name: second, endpoint: {baseUrl: 'http://127.0.0.1:9'}}
";

#[tokio::test]
async fn an_account_is_found_by_name_alone_else_the_first_of_its_type() {
    let serin = Serin::start_with("", &[], Some(&format!("{STORES}{ALL_MAY_ALL}"))).await;
    let client = &serin.client;
    store_config(client, "default", &Value::Null).await;
    let listed = async |query: &str| {
        let (status, list) = client.get(&format!("/canaryConfig?{query}")).await;
        assert_eq!(status, 200, "{query}: {list}");
        list.as_array().unwrap().len()
    };
    assert_eq!(listed("configurationAccountName=configs").await, 1);
    assert_eq!(listed("configurationAccountName=both").await, 0);
    // Argo gives the storage account's name, which may be of the other type, and empty values.
    let of_argo = "application=web&configurationAccountName=objects";
    assert_eq!(listed(of_argo).await, 1, "that of the first account");
    let other = "application=nosuch&configurationAccountName=objects";
    assert_eq!(listed(other).await, 0);
    assert_eq!(listed("application=&configurationAccountName=").await, 1);
    let config = json!({"id": "argo", "name": "argo", "applications": ["web"], "metrics": []});
    assert_eq!(
        client
            .post("/canaryConfig?configurationAccountName=objects", &config)
            .await
            .0,
        200
    );
    let (_, list) = client.get(&format!("/canaryConfig?{of_argo}")).await;
    assert_eq!(
        list[0]["id"], "argo",
        "it has one of its own by now: {list}"
    );
    assert_eq!(listed(other).await, 0);

    let refused = [
        (
            "/canaryConfig?configurationAccountName=nosuch",
            "Unable to resolve account nosuch.",
        ),
        (
            "/canaryConfig?configurationAccountName=first",
            "Unable to resolve storage service first.",
        ),
        (
            "/metricSetList?accountName=nosuch",
            "Unable to resolve account nosuch.",
        ),
        (
            "/metadata/metricsService?metricsAccountName=objects",
            "Unable to resolve metrics service objects.",
        ),
    ];
    for (path, message) in refused {
        assert_eq!(
            client.get(path).await,
            (400, problem(400, message)),
            "{path}"
        );
    }

    // The default moves on when an account is removed.
    assert_eq!(client.delete("/credentials/configs").await.0, 200);
    assert_eq!(listed("").await, 0);
    client.delete("/credentials/both").await;
    assert_eq!(
        client.get("/canaryConfig").await,
        (
            400,
            problem(
                400,
                "Unable to resolve account of type CONFIGURATION_STORE."
            )
        )
    );
}

const BROKEN: &str = "
kayenta:
  memory:
    enabled: true
    accounts: [{name: works, supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]}]
  aws:
    enabled: true
    accounts:
      - name: broken
        bucket: b
        region: eu-central-1
        endpoint: http://127.0.0.1:9
        explicitCredentials: {accessKey: a, secretKey: s}
        supportedTypes: [OBJECT_STORE, CONFIGURATION_STORE]
  s3: {enabled: true}
";

#[tokio::test]
async fn a_broken_account_fails_its_own_calls_only_and_shows_in_the_health() {
    // Accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    let serin = Serin::start_with(&silent, &[], Some(BROKEN)).await;
    let client = &serin.client;
    let start = Instant::now();
    let (status, health) = client.get("/health").await;
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
    assert_eq!((status, &health["status"]), (200, &json!("UP")), "{health}");
    let stores = &health["components"]["storage"];
    assert_eq!(stores["status"], "UP");
    assert_eq!(stores["details"]["works"], json!({"status": "UP"}));
    assert_eq!(stores["details"]["broken"]["status"], "DOWN");
    let metrics = &health["components"]["prometheus"]["details"]["prometheus"];
    assert_eq!(metrics["status"], "DOWN");

    store_config(client, "c", &Value::Null).await;
    assert_eq!(client.get("/canaryConfig/c").await.0, 200);
    let (status, body) = client
        .get("/canaryConfig/c?configurationAccountName=broken")
        .await;
    assert!(status >= 500, "{body}");
    assert!(body["message"].is_string(), "{body}");
}
