//! Azure Blob Storage: its store against a stand-in, and the flows that were recorded with a Kayenta.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod faults;
mod recorded;
mod serving;
mod store;
mod tokens;

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use reqwest::{Method, Response};
use serin::clock::Clock;
use serin::config::{AzureAccount, AzureCredentials};
use sha2::Sha256;

/// What every Azurite has.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// An account on a container of its own.
pub fn account(url: &str, container: &str) -> AzureAccount {
    AzureAccount {
        container: container.to_owned(),
        root_folder: "kayenta".to_owned(),
        url: url.to_owned(),
        credentials: AzureCredentials::Key {
            account: ACCOUNT.to_owned(),
            key: KEY.into(),
        },
        timeout: Duration::from_secs(45),
    }
}

fn signature(text: &str) -> String {
    let key = BASE64_STANDARD.decode(KEY).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// Asks for a container itself; the query in the order of its names.
async fn ask(url: &str, container: &str, method: Method, query: &[(&str, &str)]) -> Response {
    let now = Timestamp::from_millisecond(Clock::System.now_millis()).unwrap();
    let date = DateTimePrinter::new();
    let date = date.timestamp_to_rfc9110_string(&now).unwrap();
    let mut text = format!(
        "{method}{}x-ms-date:{date}\nx-ms-version:2021-12-02\n/{ACCOUNT}/{ACCOUNT}/{container}",
        "\n".repeat(12)
    );
    for (name, value) in query {
        text.extend(["\n", name, ":", value]);
    }
    let asked = serin::http::client().build().unwrap();
    let asked = asked.request(method, format!("{url}/{container}"));
    let asked = asked.query(query).header("x-ms-date", date);
    let asked = asked.header("x-ms-version", "2021-12-02").header(
        "authorization",
        format!("SharedKey {ACCOUNT}:{}", signature(&text)),
    );
    let answer = asked.header("content-length", "0").send().await.unwrap();
    answer.error_for_status().unwrap()
}

/// Takes a container away, with all that is in it.
pub async fn remove(url: &str, container: &str) {
    let query = [("restype", "container")];
    ask(url, container, Method::DELETE, &query).await;
}

pub async fn create(url: &str, container: &str) {
    let query = [("restype", "container")];
    ask(url, container, Method::PUT, &query).await;
}

/// The names of the blobs in a container.
async fn names(url: &str, container: &str) -> Vec<String> {
    let query = [("comp", "list"), ("restype", "container")];
    let listed = ask(url, container, Method::GET, &query).await;
    let listed = listed.text().await.unwrap();
    let names = listed.split("<Name>").skip(1);
    names
        .map(|rest| rest.split("</Name>").next().unwrap().to_owned())
        .collect()
}
