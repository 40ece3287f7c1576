//! Who calls a running serin, by what it shows.

mod commands;
mod issuers;
mod login;

use std::path::Path;
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::http::Request;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderMap, WWW_AUTHENTICATE};
use serin::access::{Caller, On, Peer, Role};
use serin::callers::Sessions;
use serin::config::TokenHash;

use crate::harness::Serin;

const CI: &str = "serin_dG9rZW4tb2YtY2ktZm9yLXRoZS10ZXN0cw";
const OLD: &str = "serin_b2xkLXRva2VuLWZvci10aGUtdGVzdHM";
const GLASS: &str = "serin_Z2xhc3MtdG9rZW4tZm9yLXRoZS10ZXN0cw";
const LATER: &str = "serin_bGF0ZXItdG9rZW4tZm9yLXRoZS10ZXN0cw";

/// As `sha256sum` writes it.
pub fn hash(token: &str) -> String {
    TokenHash::of(token).in_digits()
}

fn access() -> String {
    format!(
        "access:
  tokens:
  - {{name: ci, sha256: {}}}
  - {{name: old, sha256: {}, expires: 2020-01-01}}
  breakGlassToken: {GLASS}
  rules:
  - {{who: {{token: '*'}}, may: [read, start]}}
  - {{who: {{anonymous: true}}, may: [read]}}
",
        hash(CI),
        hash(OLD)
    )
}

async fn start(access: &str) -> Serin {
    Serin::start_with("", &[], Some(access)).await
}

/// The status, what is wanted to be shown, and what is said.
async fn ask(request: RequestBuilder) -> (u16, Vec<String>, String) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let wanted = response.headers().get_all(WWW_AUTHENTICATE).iter();
    let wanted = wanted.map(|value| value.to_str().unwrap().to_owned());
    let wanted = wanted.collect();
    let body = response.text().await.unwrap();
    let told = serde_json::from_str::<serde_json::Value>(&body).unwrap_or_default();
    (
        status,
        wanted,
        told["message"].as_str().unwrap_or("").to_owned(),
    )
}

#[tokio::test]
async fn a_credential_that_does_not_hold_is_never_taken_for_none() {
    let serin = start(&access()).await;
    let get = || {
        serin
            .client
            .http
            .get(format!("{}/judges", serin.client.url))
    };
    let basic = |user: &str, token: &str| get().basic_auth(user, Some(token));
    let shown = |value: &str| get().header(AUTHORIZATION, value);
    let long = format!("serin_{}", "a".repeat(20_000));
    let cases = [
        ("nobody", get(), 200, ""),
        ("bearer", get().bearer_auth(CI), 200, ""),
        ("in small letters", shown(&format!("bearer {CI}")), 200, ""),
        ("basic", basic("ci", CI), 200, ""),
        ("break glass", get().bearer_auth(GLASS), 200, ""),
        ("break glass, basic", basic("break-glass", GLASS), 200, ""),
        (
            "unknown",
            get().bearer_auth(LATER),
            401,
            "nobody has this token",
        ),
        (
            "expired",
            get().bearer_auth(OLD),
            401,
            "the token 'old' has expired",
        ),
        (
            "another's name",
            basic("old", CI),
            401,
            "the token is not that of the user that is named, but of 'ci'",
        ),
        (
            "no name",
            basic("", CI),
            401,
            "the token is not that of the user that is named, but of 'ci'",
        ),
        (
            "a word",
            get().bearer_auth("hunter2"),
            401,
            "the token has fewer than 20 characters, and so is none",
        ),
        (
            "nothing",
            shown("Bearer "),
            401,
            "the token has fewer than 20 characters, and so is none",
        ),
        (
            "huge",
            get().bearer_auth(long),
            401,
            "the token has more than 16384 characters",
        ),
        (
            "no base64",
            shown("Basic ???"),
            401,
            "the header 'Authorization' is not Basic with a name and a token",
        ),
        (
            "another scheme",
            shown("Negotiate abc"),
            401,
            "the header 'Authorization' must be 'Bearer <token>', or Basic with the token as password",
        ),
        (
            "two",
            get().bearer_auth(CI).header(AUTHORIZATION, "Bearer x"),
            401,
            "the request has two headers 'Authorization'",
        ),
    ];
    for (name, request, expected, told) in cases {
        let (status, wanted, message) = ask(request).await;
        assert_eq!((status, message.as_str()), (expected, told), "{name}");
        let challenges: &[&str] = match expected {
            401 => &["Bearer", "Basic realm=\"serin\""],
            _ => &[],
        };
        assert_eq!(wanted, challenges, "{name}");
    }
    let metrics = get_text(&serin, "/metrics").await;
    let counted = r#"serin_access_refused_total{reason="expired"}"#;
    assert!(metrics.contains(counted), "{metrics}");
}

async fn get_text(serin: &Serin, path: &str) -> String {
    let url = format!("{}{path}", serin.client.url);
    let request = serin.client.http.get(url).bearer_auth(GLASS);
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn without_anything_configured_nobody_is_asked() {
    let serin = start("").await;
    let get = || {
        serin
            .client
            .http
            .get(format!("{}/judges", serin.client.url))
    };
    for request in [
        get(),
        get().bearer_auth("for-a-proxy"),
        get().header(AUTHORIZATION, "Negotiate abc"),
    ] {
        assert_eq!(ask(request).await.0, 200);
    }
}

#[tokio::test]
async fn a_file_of_tokens_is_read_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.yml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    let list =
        |name: &str, token: &str| format!("tokens: [{{name: {name}, sha256: {}}}]", hash(token));
    write(&list("ci", CI));
    let serin = start(&of_file(&file)).await;
    let status = async |token: &str| {
        let url = format!("{}/judges", serin.client.url);
        ask(serin.client.http.get(url).bearer_auth(token)).await.0
    };
    assert_eq!((status(CI).await, status(LATER).await), (200, 401));
    write(&list("later", LATER));
    let since = Instant::now();
    while status(LATER).await != 200 {
        assert!(since.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status(CI).await, 401);
    // What cannot be read changes nothing.
    write("tokens: [{name: ci}]");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(status(LATER).await, 200);
    std::fs::remove_file(&file).unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!((status(LATER).await, status(CI).await), (200, 401));
}

fn of_file(file: &Path) -> String {
    format!(
        "access: {{tokensFile: '{}', rules: [{{who: {{token: '*'}}, may: [read]}}]}}",
        file.display()
    )
}

#[tokio::test]
async fn a_proxy_is_believed_where_it_is_known() {
    let serin = start(
        "access:
  proxies: [{addresses: [10.0.7.12], userHeader: X-Forwarded-User, groupsHeader: X-Forwarded-Groups}]
  rules: [{who: {group: sre}, may: [admin]}, {who: {addresses: 192.0.2.0/24}, may: [read]}]
",
    )
    .await;
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-forwarded-user", "ada"),
        ("x-forwarded-groups", "web,sre"),
        ("x-forwarded-for", "192.0.2.7"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    let cases = [
        ("10.0.7.12", "user:ada", true, true),
        ("10.0.7.13", "anonymous", false, false),
        ("192.0.2.9", "anonymous", false, true),
    ];
    for (address, name, rules, reads) in cases {
        let peer = Peer {
            address: address.parse().unwrap(),
            certificate: None,
        };
        let caller = serin
            .service
            .app
            .callers
            .learn(&headers, Some(&peer), Sessions::DoNot)
            .await;
        let caller = caller.unwrap();
        let may = |role| caller.can(role, On::NOTHING);
        let found = (caller.name(), may(Role::Admin), may(Role::Read));
        assert_eq!(found, (name, rules, reads), "{address}");
    }
}

#[tokio::test]
async fn without_the_layer_nobody_is_known_and_the_rules_hold() {
    for (access, may) in [(access(), false), (String::new(), true)] {
        let serin = start(&access).await;
        let (mut parts, ()) = Request::new(()).into_parts();
        let caller = Caller::from_request_parts(&mut parts, &serin.service.app).await;
        let caller = caller.unwrap();
        assert_eq!(caller.name(), "anonymous");
        assert_eq!(caller.can(Role::Config, On::EVERYTHING), may);
    }
}
