//! Tokens for who has no key, from a stand-in for each of those who give some.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};
use serin::clock::Clock;
use serin::config::{AzureAccount, AzureCredentials, AzureGiver, AzureIdentity, AzureProof};
use serin::error::Error;
use serin::storage::azure::AzureStore;
use serin::storage::objects::ObjectStore;

use super::account;
use crate::front::{Front, fault};

/// What is asked for, with query and form as one, and the header that says who may ask.
type Asked = (String, BTreeMap<String, String>, String);

#[derive(Clone)]
struct Desk {
    /// Of what the how-manieth token is, as an answer.
    answer: Arc<dyn Fn(usize) -> (u16, Value) + Send + Sync>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

async fn start(answer: impl Fn(usize) -> (u16, Value) + Send + Sync + 'static) -> (Desk, String) {
    let desk = Desk {
        answer: Arc::new(answer),
        asked: Arc::default(),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(give).with_state(desk.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (desk, url)
}

async fn give(State(desk): State<Desk>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let query = parts.uri.query().unwrap_or_default();
    let pairs =
        [query.as_bytes(), &body].map(|text| url::form_urlencoded::parse(text).into_owned());
    let header = ["metadata", "x-identity-header"].iter();
    let header = header.filter_map(|name| parts.headers.get(*name));
    let header = header
        .map(|value| value.to_str().unwrap().to_owned())
        .collect();
    let asked = (
        parts.uri.path().to_owned(),
        pairs.into_iter().flatten().collect(),
        header,
    );
    let (status, body) = {
        let mut all = desk.asked.lock().unwrap();
        all.push(asked);
        (desk.answer)(all.len() - 1)
    };
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

/// A store of that identity, and what is in front of it.
async fn store(client_id: Option<&str>, giver: AzureGiver) -> (AzureStore, Front) {
    let (front, url) = Front::of("http://127.0.0.1:9").await;
    let page = "<EnumerationResults><Blobs/><NextMarker/></EnumerationResults>";
    front.fail(vec![fault(Method::GET, "/box", 200, page)]);
    let account = AzureAccount {
        credentials: AzureCredentials::Identity(AzureIdentity {
            client_id: client_id.map(str::to_owned),
            giver,
        }),
        ..account(&url, "box")
    };
    (AzureStore::open(&account).unwrap(), front)
}

fn members<'a>(pairs: &[(&'a str, &'a str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn each_identity_gets_its_token_as_azure_gives_it() {
    let soon = Clock::System.now_millis() / 1000 + 3600;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "of-the-pod\n").unwrap();
    let (desk, url) = start(move |_| {
        // Machines write numbers as texts, and apps tell the end.
        let token = json!({"access_token": "a-token", "expires_in": "3600", "expires_on": soon.to_string()});
        (200, token)
    })
    .await;
    let cases = [
        (
            Some("id"),
            AzureGiver::Directory {
                authority: url.clone(),
                tenant: "my tenant".to_owned(),
                proof: AzureProof::File(file),
            },
            (
                "/my%20tenant/oauth2/v2.0/token".to_owned(),
                members(&[
                    ("grant_type", "client_credentials"),
                    ("client_id", "id"),
                    ("scope", "https://storage.azure.com/.default"),
                    (
                        "client_assertion_type",
                        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                    ),
                    ("client_assertion", "of-the-pod"),
                ]),
                String::new(),
            ),
        ),
        (
            Some("id"),
            AzureGiver::Directory {
                authority: url.clone(),
                tenant: "t".to_owned(),
                proof: AzureProof::Secret("of-the-registration".into()),
            },
            (
                "/t/oauth2/v2.0/token".to_owned(),
                members(&[
                    ("grant_type", "client_credentials"),
                    ("client_id", "id"),
                    ("scope", "https://storage.azure.com/.default"),
                    ("client_secret", "of-the-registration"),
                ]),
                String::new(),
            ),
        ),
        (
            None,
            AzureGiver::App {
                endpoint: format!("{url}/msi/token"),
                header: "of-the-app".into(),
            },
            (
                "/msi/token".to_owned(),
                members(&[
                    ("api-version", "2019-08-01"),
                    ("resource", "https://storage.azure.com/"),
                ]),
                "of-the-app".to_owned(),
            ),
        ),
        (
            Some("second"),
            AzureGiver::Machine {
                url: format!("{url}/metadata/identity/oauth2/token"),
            },
            (
                "/metadata/identity/oauth2/token".to_owned(),
                members(&[
                    ("api-version", "2018-02-01"),
                    ("resource", "https://storage.azure.com/"),
                    ("client_id", "second"),
                ]),
                "true".to_owned(),
            ),
        ),
    ];
    for (client_id, giver, expected) in cases {
        let (store, front) = store(client_id, giver).await;
        for _ in 0..3 {
            assert_eq!(store.list("g/").await.unwrap(), []);
        }
        assert_eq!(*front.bearers.lock().unwrap(), ["Bearer a-token"; 3]);
        // One token does for all.
        assert_eq!(std::mem::take(&mut *desk.asked.lock().unwrap()), [expected]);
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_got_anew_once_and_what_gives_none_is_told() {
    let (_, url) = start(|earlier| {
        let token = format!("token-{earlier}");
        (200, json!({"access_token": token, "expires_in": 3600}))
    })
    .await;
    let machine = |url: &str| AzureGiver::Machine {
        url: url.to_owned(),
    };
    let (refused, front) = store(None, machine(&url)).await;
    "Bearer token-0".clone_into(&mut front.refused.lock().unwrap());
    assert_eq!(refused.list("g/").await.unwrap(), []);
    let sent = ["Bearer token-0", "Bearer token-1"];
    assert_eq!(*front.bearers.lock().unwrap(), sent);

    let words = "Identity not found";
    let (_, url) = start(move |_| {
        let told = json!({"error": "invalid_request", "error_description": words});
        (400, told)
    })
    .await;
    let (without, _) = store(None, machine(&url)).await;
    let error = without.list("g/").await.unwrap_err();
    assert!(matches!(error, Error::Storage { .. }), "{error:?}");
    let told = error.to_string();
    assert!(
        told.contains("there is no token for it: no credentials are given") && told.contains(words),
        "{told}"
    );
    let (away, _) = store(None, machine("http://127.0.0.1:9/")).await;
    let error = away.list("g/").await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
}
