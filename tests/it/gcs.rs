//! Cloud Storage: its store against a stand-in, and the flows that were recorded with a Kayenta.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod faults;
mod recorded;
mod serving;
mod store;

use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Client;
use serde_json::{Value, json};
use serin::config::{GcsAccount, GoogleAccount};

const BUCKET: &str = "my-kayenta-bucket";

/// An account on a bucket of its own.
pub fn account(url: &str, bucket: &str) -> GcsAccount {
    GcsAccount {
        google: GoogleAccount {
            project: Some("my-project".to_owned()),
            json_path: None,
            endpoint: Some(url.to_owned()),
        },
        bucket: bucket.to_owned(),
        bucket_location: None,
        root_folder: "kayenta".to_owned(),
        url: url.to_owned(),
        timeout: Duration::from_secs(45),
    }
}

fn client() -> Client {
    serin::http::client().build().unwrap()
}

/// Takes a bucket away, with all that is in it.
pub async fn remove(url: &str, bucket: &str) {
    let (client, bucket) = (client(), format!("{url}/storage/v1/b/{bucket}"));
    for name in keys(&bucket).await {
        let name = utf8_percent_encode(&name, NON_ALPHANUMERIC);
        let object = format!("{bucket}/o/{name}");
        client
            .delete(object)
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
    }
    client
        .delete(bucket)
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
}

/// The names of the objects in a bucket at that address.
async fn keys(bucket: &str) -> Vec<String> {
    let listed: Value = client()
        .get(format!("{bucket}/o"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let items = listed["items"].as_array().into_iter().flatten();
    items
        .map(|item| item["name"].as_str().unwrap().to_owned())
        .collect()
}

pub async fn create(url: &str, bucket: &str) {
    let asked = client()
        .post(format!("{url}/storage/v1/b"))
        .json(&json!({"name": bucket}));
    asked.send().await.unwrap().error_for_status().unwrap();
}
