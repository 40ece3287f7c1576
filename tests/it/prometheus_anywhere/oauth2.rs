//! Tokens: of an authorization server, of Entra ID, of a file.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};

use super::{answer, ask_all, asking, nothing, opened, source};
use crate::prometheus_tls;
use crate::scripted_prometheus::{Asked, Reply, ScriptedPrometheus};

fn token(bearer: &str, seconds: u64) -> Reply {
    let body = json!({"access_token": bearer, "token_type": "bearer", "expires_in": seconds});
    Reply::text(200, body.to_string()).with("content-type", "application/json")
}

/// Gives `token-0`, `token-1` …, each for so long.
async fn server(seconds: u64) -> ScriptedPrometheus {
    let next = Mutex::new(0);
    ScriptedPrometheus::start(move |_| {
        let mut next = next.lock().unwrap();
        *next += 1;
        token(&format!("token-{}", *next - 1), seconds).after(Duration::from_millis(30))
    })
    .await
}

fn keys(prometheus: &ScriptedPrometheus, server: &ScriptedPrometheus) -> Value {
    json!({
        "endpoint": {"baseUrl": prometheus.url},
        "oauth2": {
            "tokenUrl": format!("{}/token", server.url), "clientId": "serin", "clientSecret": "s3cret:/&ü",
            "scopes": ["metrics.read", "openid"], "audience": "prometheus",
            "endpointParams": {"resource": "https://prometheus.example.com"},
        },
    })
}

fn bearers(prometheus: &ScriptedPrometheus) -> Vec<String> {
    let asked = prometheus.asked();
    let bearers = asked
        .iter()
        .map(|asked| asked.header("authorization").unwrap_or("none"));
    bearers.map(str::to_owned).collect()
}

#[tokio::test]
async fn one_token_is_had_for_all_who_wait() {
    let (prometheus, server) = (ScriptedPrometheus::start(answer).await, server(3600).await);
    let source = source(&keys(&prometheus, &server));
    join_all((1..12).map(|number| {
        let source = source.clone();
        async move { asking(number).fetch(&source).await.unwrap() }
    }))
    .await;
    ask_all(&source).await;
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((&*asked[0].method, &*asked[0].path), ("POST", "/token"));
    // serin:s3cret%3A%2F%26%C3%BC
    let basic = "Basic c2VyaW46czNjcmV0JTNBJTJGJTI2JUMzJUJD";
    assert_eq!(asked[0].header("authorization"), Some(basic));
    let form = json!({
        "grant_type": "client_credentials", "scope": "metrics.read openid", "audience": "prometheus",
        "resource": "https://prometheus.example.com",
    });
    assert_eq!(json!(asked[0].params), form);
    assert_eq!(bearers(&prometheus), vec!["Bearer token-0"; 14]);
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let (prometheus, server) = (ScriptedPrometheus::start(answer).await, server(4).await);
    let source = source(&keys(&prometheus, &server));
    for (number, wait) in [(1, 0), (2, 700), (3, 2_500)] {
        tokio::time::sleep(Duration::from_millis(wait)).await;
        asking(number).fetch(&source).await.unwrap();
    }
    let expected = ["Bearer token-0", "Bearer token-0", "Bearer token-1"];
    assert_eq!(bearers(&prometheus), expected);
}

#[tokio::test]
async fn a_token_that_is_refused_is_had_anew_once() {
    let is_strict = Arc::new(AtomicBool::new(false));
    let strict = Arc::clone(&is_strict);
    let prometheus = ScriptedPrometheus::start(move |asked| {
        let bearer = asked.header("authorization").unwrap_or_default();
        if bearer == "Bearer token-0" || strict.load(Ordering::SeqCst) {
            return Reply::text(401, format!("{{\"error\": \"not with {bearer}\"}}"));
        }
        answer(asked)
    })
    .await;
    let server = server(3600).await;
    let source = source(&keys(&prometheus, &server));
    ask_all(&source).await;
    let mut expected = vec!["Bearer token-0", "Bearer token-1"];
    expected.extend(["Bearer token-1"; 2]);
    assert_eq!(bearers(&prometheus), expected);

    is_strict.store(true, Ordering::SeqCst);
    let error = asking(7).fails(&source).await;
    assert_eq!(error.status, Some(401));
    assert_eq!(error.message, "not with …");
    assert_eq!(
        bearers(&prometheus)[4..],
        ["Bearer token-1", "Bearer token-2"]
    );
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_server_may_want_the_secret_in_the_form() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let server = ScriptedPrometheus::start(|asked| {
        if !asked.params.contains_key("client_secret") {
            return Reply::text(400, r#"{"error": "invalid_request"}"#);
        }
        token("t", 1)
    })
    .await;
    let source = source(&keys(&prometheus, &server));
    asking(1).fetch(&source).await.unwrap();
    tokio::time::sleep(Duration::from_millis(900)).await;
    asking(2).fetch(&source).await.unwrap();
    let asked = server.asked();
    let secrets: Vec<_> = asked
        .iter()
        .map(|asked| asked.params.get("client_secret").map(String::as_str))
        .collect();
    assert_eq!(secrets, [None, Some("s3cret:/&ü"), Some("s3cret:/&ü")]);
    assert!(asked[2].header("authorization").is_none());
    assert_eq!(asked[2].params["client_id"], "serin");
}

type Script = Box<dyn Fn(&Asked) -> Reply + Send + Sync>;

#[tokio::test]
async fn why_there_is_no_token_is_told_without_what_is_secret() {
    let say = |status, body: &'static str| move |_: &Asked| Reply::text(status, body);
    let cases: [(Script, &str); 6] = [
        (
            Box::new(say(
                401,
                r#"{"error": "invalid_client", "error_description": "no s3cret:/&ü, nor s3cret%3A%2F%26%C3%BC"}"#,
            )),
            "no token of oauth2: 127.0.0.1 answers 401 Unauthorized: no …, nor …",
        ),
        (
            Box::new(|asked| match asked.params.get("client_id") {
                None => Reply::text(401, r#"{"error": "invalid_client"}"#),
                Some(_) => Reply::text(400, r#"{"error": "invalid_scope"}"#),
            }),
            "no token of oauth2: 127.0.0.1 answers 401 Unauthorized: invalid_client; with the secret in the form: 127.0.0.1 answers 400 Bad Request: invalid_scope",
        ),
        (
            Box::new(say(200, "<html>")),
            "no token of oauth2: an answer that is no JSON",
        ),
        (
            Box::new(say(200, r#"{"token": "x"}"#)),
            "no token of oauth2: an answer without a token",
        ),
        (
            Box::new(say(200, r#"{"access_token": "x", "token_type": "mac"}"#)),
            "no token of oauth2: a token that is no bearer's",
        ),
        (
            Box::new(say(302, "")),
            "no token of oauth2: 127.0.0.1 answers 302 Found",
        ),
    ];
    for (script, expected) in cases {
        let prometheus = ScriptedPrometheus::start(answer).await;
        let server = ScriptedPrometheus::start(script).await;
        let source = source(&keys(&prometheus, &server));
        let error = asking(1).fails(&source).await;
        assert_eq!(error.message, expected);
        assert!(prometheus.asked().is_empty());
    }
}

#[tokio::test]
async fn a_workload_in_azure_is_known_by_its_environment() {
    let prometheus = ScriptedPrometheus::start(|asked| match asked.header("authorization") {
        Some("Bearer token-0") => Reply::text(401, ""),
        _ => nothing(),
    })
    .await;
    let server = server(3600).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "first.signed.statement\n").unwrap();
    let variables = [
        ("AZURE_AUTHORITY_HOST", &*format!("{}/", server.url)),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "workload"),
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
        ("AZURE_CLIENT_SECRET", "not needed"),
    ];
    let keys = json!({"endpoint": {"baseUrl": prometheus.url}, "auth": "azure"});
    let azure = opened(&keys, &variables).unwrap();
    std::fs::write(&file, "second.signed.statement\n").unwrap();
    asking(1).fetch(&azure).await.unwrap();
    std::fs::write(&file, "third.signed.statement\n").unwrap();
    asking(2).fetch(&azure).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].path, "/tenant/oauth2/v2.0/token");
    assert_eq!(
        json!(asked[0].params),
        json!({
            "grant_type": "client_credentials", "client_id": "workload",
            "scope": "https://prometheus.monitor.azure.com/.default",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": "second.signed.statement",
        })
    );
    assert!(asked[0].header("authorization").is_none());

    // With a secret of the environment, and what the account says itself.
    let variables = &variables[..3];
    let variables = [variables, &[("AZURE_CLIENT_SECRET", "hush-hush")]].concat();
    let keys = json!({
        "endpoint": {"baseUrl": prometheus.url}, "auth": "azure",
        "oauth2": {"clientId": "own", "scopes": ["https://prometheus.monitor.azure.us/.default"]},
    });
    let azure = opened(&keys, &variables).unwrap();
    asking(3).fetch(&azure).await.unwrap();
    let last = server.asked().pop().unwrap();
    // own:hush-hush
    assert_eq!(
        last.header("authorization"),
        Some("Basic b3duOmh1c2gtaHVzaA==")
    );
    assert_eq!(
        last.params["scope"],
        "https://prometheus.monitor.azure.us/.default"
    );
}

#[tokio::test]
async fn files_with_tokens_and_secrets_rotate() {
    let (prometheus, server) = (ScriptedPrometheus::start(answer).await, server(1).await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "one\n").unwrap();
    let endpoint = json!({"baseUrl": prometheus.url});

    let bearer = source(&json!({"endpoint": endpoint, "bearerTokenFile": file}));
    ask_all(&bearer).await;
    std::fs::write(&file, "two\n").unwrap();
    asking(1).fetch(&bearer).await.unwrap();
    let expected = ["Bearer one", "Bearer one", "Bearer one", "Bearer two"];
    assert_eq!(bearers(&prometheus), expected);
    std::fs::write(&file, "\n").unwrap();
    let told = asking(2).fails(&bearer).await.message;
    assert!(
        told.starts_with("bearerTokenFile '") && told.ends_with("' is empty"),
        "{told}"
    );

    let oauth2 = source(&json!({
        "endpoint": endpoint,
        "oauth2": {"tokenUrl": server.url, "clientId": "c", "clientSecretFile": file},
    }));
    for (number, secret) in [(3, "three"), (4, "four")] {
        std::fs::write(&file, secret).unwrap();
        asking(number).fetch(&oauth2).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1_050)).await;
    }
    let asked = server.asked();
    let heads: Vec<_> = asked
        .iter()
        .map(|asked| asked.header("authorization").unwrap())
        .collect();
    // c:three, c:four
    assert_eq!(heads, ["Basic Yzp0aHJlZQ==", "Basic Yzpmb3Vy"]);
    std::fs::remove_file(&file).unwrap();
    let told = asking(5).fails(&oauth2).await.message;
    let expected = "no token of oauth2: cannot read oauth2.clientSecretFile '";
    assert!(told.starts_with(expected), "{told}");
}

#[tokio::test]
async fn the_certificate_of_the_server_is_looked_at() {
    let prometheus = ScriptedPrometheus::start(answer).await;
    let body = r#"{"access_token": "over-tls", "expires_in": "3600"}"#;
    let url = format!("https://localhost:{}", prometheus_tls::serve_with(body));
    let mut keys = json!({
        "endpoint": {"baseUrl": prometheus.url},
        "oauth2": {"tokenUrl": url, "clientId": "c", "clientSecret": "secret"},
    });
    let told = asking(1).fails(&source(&keys)).await.message;
    assert!(told.contains("certificate"), "{told}");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    keys["oauth2"]["caFile"] = json!(folder.join("tests/it/prometheus_tls/ca.pem"));
    asking(1).fetch(&source(&keys)).await.unwrap();
    assert_eq!(bearers(&prometheus), ["Bearer over-tls"]);
}
