//! Logins at an issuer whose answers are made here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Form;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use serin::clock::Clock;
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use url::Url;

use super::issuers::{Key, with};
use crate::crash::free_port;
use crate::harness::Serin;

const SECRET: &str = "of + this/test";

/// What it answers, and what it was asked.
#[derive(Default)]
struct Script {
    id_token: String,
    /// Of the access token.
    person: Value,
    form: BTreeMap<String, String>,
    headers: HeaderMap,
}

struct Flow {
    serin: Serin,
    client: reqwest::Client,
    issuer: String,
    key: Key,
    script: Arc<Mutex<Script>>,
}

impl Flow {
    async fn start() -> Self {
        let key = Key::curve("login");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let script = Arc::<Mutex<Script>>::default();
        let routes = routes(&issuer, &key, &script);
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        let port = free_port();
        let file = format!(
            "access:
  login: {{issuer: '{issuer}', clientId: serin, clientSecret: '{SECRET}'}}
  rules:
  - {{who: {{group: 'sre*'}}, may: [read]}}
  - {{who: {{user: root@example.com}}, may: [admin]}}
"
        );
        let url = format!("http://127.0.0.1:{port}");
        let port = port.to_string();
        let keys = [("server.port", port.as_str()), ("server.publicUrl", &url)];
        let serin = Serin::start_with("", &keys, Some(&file)).await;
        let client = reqwest::Client::builder().redirect(Policy::none());
        let client = client.timeout(Duration::from_secs(10)).build().unwrap();
        Self {
            serin,
            client,
            issuer,
            key,
            script,
        }
    }

    fn claims(&self, nonce: &str) -> Value {
        let now = Clock::System.now_millis() / 1_000;
        json!({
            "iss": self.issuer, "aud": "serin", "sub": "7", "exp": now + 60, "iat": now, "nonce": nonce,
            "email": "ada@example.com", "email_verified": true, "groups": ["sre", "other"],
        })
    }

    /// The parameters that the issuer is asked with, and the cookie.
    async fn begin(&self, to: &str) -> (BTreeMap<String, String>, String) {
        let url = format!("{}/ui/login?to={to}", self.serin.client.url);
        let answer = self.client.get(url).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let location = answer.headers()[LOCATION].to_str().unwrap();
        let parameters = Url::parse(location).unwrap();
        let parameters = parameters.query_pairs().into_owned().collect();
        (parameters, cookie(answer.headers()))
    }

    async fn end(&self, state: &str, cookie: &str) -> (u16, HeaderMap, String) {
        let url = format!(
            "{}/ui/login/callback?code=c0de&state={state}",
            self.serin.client.url
        );
        let asked = self.client.get(url).header(COOKIE, cookie);
        let answer = asked.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, answer.text().await.unwrap())
    }
}

fn routes(issuer: &str, key: &Key, script: &Arc<Mutex<Script>>) -> Router {
    let document = json!({
        "issuer": issuer, "jwks_uri": format!("{issuer}/keys"),
        "authorization_endpoint": format!("{issuer}/auth?tenant=a"),
        "token_endpoint": format!("{issuer}/token"), "userinfo_endpoint": format!("{issuer}/me"),
    });
    let keys = json!({"keys": [key.public]});
    let (of_token, of_person) = (Arc::clone(script), Arc::clone(script));
    let token = move |headers: HeaderMap, Form(form): Form<BTreeMap<String, String>>| async move {
        let mut script = of_token.lock().unwrap();
        (script.headers, script.form) = (headers, form);
        Json(json!({"access_token": "acce55", "token_type": "Bearer", "id_token": script.id_token}))
    };
    let person = move || async move { Json(of_person.lock().unwrap().person.clone()) };
    Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(async move || Json(document)),
        )
        .route("/keys", get(async move || Json(keys)))
        .route("/token", post(token))
        .route("/me", get(person))
}

fn cookie(headers: &HeaderMap) -> String {
    let set = headers[SET_COOKIE].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_login_keeps_where_one_wanted_to_go() {
    let flow = Flow::start().await;
    let (asked, begun) = flow.begin("/ui/configs").await;
    let expected = [
        ("client_id", "serin"),
        ("code_challenge_method", "S256"),
        ("response_type", "code"),
        ("scope", "openid profile email"),
        ("tenant", "a"),
    ];
    for (name, value) in expected {
        assert_eq!(asked[name], value, "{name}");
    }
    let claims = flow.claims(&asked["nonce"]);
    flow.script.lock().unwrap().id_token = flow.key.token(&claims);
    let (status, headers, told) = flow.end(&asked["state"], &begun).await;
    assert_eq!(status, 303, "{told}");
    assert_eq!(headers[LOCATION], "/ui/configs");
    {
        let script = flow.script.lock().unwrap();
        let challenge = Sha256::digest(&script.form["code_verifier"]);
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(challenge);
        assert_eq!(challenge, asked["code_challenge"]);
        assert_eq!(script.form["redirect_uri"], asked["redirect_uri"]);
        let shown = script.headers[AUTHORIZATION].to_str().unwrap();
        let shown = BASE64_STANDARD.decode(&shown["Basic ".len()..]).unwrap();
        assert_eq!(shown, b"serin:of%20%2B%20this%2Ftest");
    }
    let page = format!("{}/ui/configs", flow.serin.client.url);
    let seen = flow.client.get(page).header(COOKIE, cookie(&headers));
    let seen = seen.send().await.unwrap();
    assert_eq!(seen.status(), 200);
    assert!(seen.text().await.unwrap().contains("ada@example.com"));
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn an_answer_that_does_not_hold_logs_nobody_in() {
    let flow = Flow::start().await;
    let long: Vec<String> = (0..400).map(|at| format!("sre-{at:08}")).collect();
    let none = Value::Null;
    let stranger = Key::curve("login");
    // What is signed, by whom, what the issuer says of the person, the status, what is told.
    let cases = [
        (
            json!({"nonce": "another"}),
            true,
            none.clone(),
            403,
            "another login",
        ),
        (
            json!({"nonce": null}),
            true,
            none.clone(),
            403,
            "another login",
        ),
        (json!({"aud": "other"}), true, none.clone(), 403, "audience"),
        (
            json!({"iss": "http://127.0.0.1:1"}),
            true,
            none.clone(),
            403,
            "does not hold",
        ),
        (json!({"exp": 1}), true, none.clone(), 403, "expired"),
        (
            json!({"azp": "other"}),
            true,
            none.clone(),
            403,
            "another client",
        ),
        (json!({}), false, none.clone(), 403, "no key that signed"),
        (
            json!({"email_verified": false}),
            true,
            none.clone(),
            403,
            "verified",
        ),
        (
            json!({"email_verified": "false"}),
            true,
            none.clone(),
            403,
            "verified",
        ),
        (json!({"email": null}), true, none.clone(), 403, "no claim"),
        (
            json!({"email": "a\nb"}),
            true,
            none.clone(),
            403,
            "no claim",
        ),
        (
            json!({"groups": long}),
            true,
            none.clone(),
            403,
            "too many of the groups",
        ),
        (
            json!({"email": null}),
            true,
            json!({"sub": "7", "email": "bob@example.com"}),
            303,
            "",
        ),
        (
            json!({"email": null}),
            true,
            json!({"sub": "8", "email": "bob@example.com"}),
            403,
            "no claim",
        ),
        (json!({"groups": null}), true, none.clone(), 303, ""),
        (
            json!({"aud": ["serin", "other"], "azp": "serin"}),
            true,
            none,
            303,
            "",
        ),
    ];
    for (claims, is_own, person, expected, part) in cases {
        let (asked, begun) = flow.begin("").await;
        let signed = with(&flow.claims(&asked["nonce"]), &claims);
        let key = if is_own { &flow.key } else { &stranger };
        {
            let mut script = flow.script.lock().unwrap();
            (script.id_token, script.person) = (key.token(&signed), person);
        }
        let (status, headers, told) = flow.end(&asked["state"], &begun).await;
        assert_eq!(status, expected, "{claims} {told}");
        assert!(told.contains(part), "{claims} {told}");
        assert_eq!(
            headers.contains_key(SET_COOKIE),
            expected == 303,
            "{claims}"
        );
    }
}
