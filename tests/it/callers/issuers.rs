//! Tokens that an issuer signed, with keys made here.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::{Json, Router, routing::get};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA384, RsaEncoding,
    RsaKeyPair,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use serin::callers::Sessions;
use serin::clock::Clock;

use super::{ask, start};
use crate::harness::Serin;

/// An issuer on a port of its own.
#[derive(Clone)]
struct Issuer {
    url: String,
    keys: Arc<Mutex<Option<Value>>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(keys: &[&Key]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let issuer = Self {
            url: url.clone(),
            keys: Arc::default(),
            asked: Arc::default(),
        };
        issuer.publish(Some(keys));
        let (published, asked) = (Arc::clone(&issuer.keys), Arc::clone(&issuer.asked));
        let keys = get(move || async move {
            asked.fetch_add(1, Ordering::SeqCst);
            let keys = published.lock().unwrap().clone();
            keys.map(Json).ok_or(StatusCode::SERVICE_UNAVAILABLE)
        });
        let document = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let discovery = get(async move || Json(document));
        let routes = Router::new()
            .route("/keys", keys)
            .route("/.well-known/openid-configuration", discovery);
        tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        issuer
    }

    /// None: it is away.
    fn publish(&self, keys: Option<&[&Key]>) {
        let listed = keys.map(|keys| keys.iter().map(|key| key.public.clone()).collect());
        *self.keys.lock().unwrap() = listed.map(|keys: Vec<Value>| json!({"keys": keys}));
    }

    fn access(&self, keys: &str) -> String {
        format!(
            "access:
  issuers:
  - {{name: hub, issuer: '{}', audience: [serin, other-serin], groupsClaim: groups{keys}}}
  rules:
  - {{who: {{issuer: hub, claims: {{repository: 'org/*', kubernetes.io.namespace: shop}}}}, may: [read]}}
  - {{who: {{anonymous: true}}, may: [read]}}
",
            self.url
        )
    }

    fn claims(&self) -> Value {
        let now = Clock::System.now_millis() / 1000;
        json!({
            "iss": self.url, "aud": "serin", "sub": "repo:org/checkout", "exp": now + 300, "nbf": now - 5,
            "repository": "org/checkout", "groups": ["sre", 7, {}], "other": "secret",
            "kubernetes.io": {"namespace": "shop"},
        })
    }
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

pub struct Key {
    id: &'static str,
    algorithm: &'static str,
    pub public: Value,
    sign: Sign,
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64.encode(bytes)
}

impl Key {
    pub fn curve(id: &'static str) -> Self {
        Self::of_curve(id, "ES256", "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    fn of_curve(
        id: &'static str,
        algorithm: &'static str,
        curve: &str,
        by: &'static EcdsaSigningAlgorithm,
    ) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(by, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(by, pkcs8.as_ref(), &random).unwrap();
        let point = pair.public_key().as_ref()[1..].to_vec();
        let (x, y) = point.split_at(point.len() / 2);
        Self {
            id,
            algorithm,
            public: json!({
                "kty": "EC", "crv": curve, "kid": id, "use": "sig", "x": encoded(x), "y": encoded(y),
            }),
            sign: Box::new(move |text| pair.sign(&random, text).unwrap().as_ref().to_vec()),
        }
    }

    fn edwards(id: &'static str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let x = encoded(pair.public_key());
        Self {
            id,
            algorithm: "EdDSA",
            public: json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "alg": "EdDSA", "x": x}),
            sign: Box::new(move |text| pair.sign(text).as_ref().to_vec()),
        }
    }

    fn rsa(id: &'static str, algorithm: &'static str, by: &'static dyn RsaEncoding) -> Self {
        let made = Command::new("openssl")
            .args(["genpkey", "-algorithm", "RSA"])
            .output()
            .unwrap();
        let key = PrivatePkcs8KeyDer::from_pem_slice(&made.stdout).unwrap();
        let pair = RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
        let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
        // Some write a zero before it.
        let n = [vec![0], n].concat();
        Self {
            id,
            algorithm,
            public: json!({"kty": "RSA", "kid": id, "n": encoded(n), "e": encoded(e)}),
            sign: Box::new(move |text| {
                let mut signature = vec![0; pair.public().modulus_len()];
                let random = SystemRandom::new();
                pair.sign(by, &random, text, &mut signature).unwrap();
                signature
            }),
        }
    }

    pub fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm, "kid": self.id, "typ": "JWT"});
        self.signed(&header, &claims.to_string())
    }

    fn signed(&self, header: &Value, claims: &str) -> String {
        let text = format!("{}.{}", encoded(header.to_string()), encoded(claims));
        format!("{text}.{}", encoded((self.sign)(text.as_bytes())))
    }
}

async fn shown(serin: &Serin, token: &str) -> (u16, String) {
    let url = format!("{}/judges", serin.client.url);
    let (status, _, told) = ask(serin.client.http.get(url).bearer_auth(token)).await;
    (status, told)
}

/// The claims with others.
pub fn with(claims: &Value, others: &Value) -> Value {
    let mut claims = claims.clone();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in others.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    claims
}

#[tokio::test]
async fn every_algorithm_of_a_key_pair_is_checked() {
    let keys = [
        Key::curve("a"),
        Key::of_curve("b", "ES384", "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
        Key::edwards("c"),
        Key::rsa("d", "RS256", &RSA_PKCS1_SHA256),
        Key::rsa("e", "PS384", &RSA_PSS_SHA384),
    ];
    let issuer = Issuer::start(&keys.iter().collect::<Vec<_>>()).await;
    let serin = start(&issuer.access("")).await;
    for key in &keys {
        let token = key.token(&issuer.claims());
        assert_eq!(shown(&serin, &token).await.0, 200, "{}", key.algorithm);
        // The last letter has bits that mean nothing.
        let at = token.len() - 5;
        let other = if token.as_bytes()[at] == b'A' {
            "B"
        } else {
            "A"
        };
        let forged = format!("{}{other}{}", &token[..at], &token[at + 1..]);
        assert_eq!(shown(&serin, &forged).await.0, 401, "{}", key.algorithm);
    }
    // A client that wants Basic names the issuer.
    let url = format!("{}/judges", serin.client.url);
    let token = keys[0].token(&issuer.claims());
    for (user, status) in [("hub", 200), ("repo:org/checkout", 401)] {
        let request = serin.client.http.get(&url).basic_auth(user, Some(&token));
        assert_eq!(ask(request).await.0, status, "{user}");
    }
}

#[tokio::test]
async fn what_does_not_hold_is_told() {
    let key = Key::curve("a");
    let issuer = Issuer::start(&[&key]).await;
    let serin = start(&issuer.access("")).await;
    let claims = issuer.claims();
    let now = Clock::System.now_millis() / 1000;
    let expired = "the token has expired";
    let early = "the token does not hold yet";
    let none = "the token is no JWT as serin knows them";
    let audience = "the token is for another audience (aud) than serin's";
    let cases = [
        (json!({}), 200, ""),
        (json!({"aud": ["x", "other-serin"]}), 200, ""),
        (json!({"aud": "else"}), 401, audience),
        (json!({"aud": ["else"]}), 401, audience),
        (json!({"aud": null}), 401, "the token has no claim 'aud'"),
        (json!({"sub": null}), 401, "the token has no claim 'sub'"),
        (json!({"exp": null}), 401, "the token has no claim 'exp'"),
        (json!({"sub": ""}), 401, none),
        (json!({"sub": "repo:org/a\u{0}"}), 401, none),
        (
            json!({"exp": "9999999999"}),
            401,
            "the token has no claim 'exp'",
        ),
        (
            json!({"nbf": "soon"}),
            401,
            "the token has no time as 'nbf'",
        ),
        (json!({"exp": now - 61}), 401, expired),
        (json!({"exp": now - 30}), 200, ""),
        (json!({"exp": 0}), 401, expired),
        (json!({"exp": 1e300}), 401, "the token has no claim 'exp'"),
        (json!({"nbf": now + 90}), 401, early),
        (json!({"nbf": now + 30}), 200, ""),
        (
            json!({"iss": "https://else"}),
            401,
            "the issuer of the token is not one that serin knows",
        ),
        (json!({"iss": [issuer.url]}), 401, none),
    ];
    for (others, status, told) in cases {
        let token = key.token(&with(&claims, &others));
        let found = shown(&serin, &token).await;
        assert_eq!(found, (status, told.to_owned()), "{others}");
    }
}

#[tokio::test]
async fn what_is_forged_is_refused() {
    let (key, strange) = (Key::curve("a"), Key::curve("a"));
    let rsa = Key::rsa("r", "RS256", &RSA_PKCS1_SHA256);
    let issuer = Issuer::start(&[&key, &rsa]).await;
    let serin = start(&issuer.access(", algorithms: [ES256]")).await;
    let claims = issuer.claims();
    let none = "the token is no JWT as serin knows them";
    let text = claims.to_string();
    let no_key = "the issuer of the token has no key that signed it";
    let algorithm = "the token is signed by an algorithm that serin does not take of its issuer";
    // By the public key, as a secret that both have.
    let hmac = {
        let text = format!(
            "{}.{}",
            encoded(r#"{"alg":"HS256","kid":"r"}"#),
            encoded(&text)
        );
        let public = rsa.public["n"].as_str().unwrap();
        let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, public.as_bytes());
        let signature = ring::hmac::sign(&secret, text.as_bytes());
        format!("{text}.{}", encoded(signature))
    };
    let good = key.token(&claims);
    let (unsigned, _) = good.rsplit_once('.').unwrap();
    let cases = [
        (strange.token(&claims), no_key),
        (
            key.signed(&json!({"alg": "ES256", "kid": "else"}), &text),
            no_key,
        ),
        (rsa.token(&claims), algorithm),
        (hmac, algorithm),
        (
            format!("{}.{}.", encoded(r#"{"alg":"none"}"#), encoded(&text)),
            none,
        ),
        (format!("{unsigned}."), no_key),
        (key.signed(&json!({"kid": "a"}), &text), none),
        (
            key.signed(&json!({"alg": "ES256", "kid": "a", "crit": ["x"]}), &text),
            "the token is not as serin wants it",
        ),
        (key.signed(&json!({"alg": "ES256", "kid": "a"}), "[]"), none),
        (
            key.signed(&json!({"alg": "ES256", "kid": "a"}), "no JSON"),
            none,
        ),
        ("..aaaaaaaaaaaaaaaaaaaaaa".to_owned(), none),
        ("eyJhbGciOiJFUzI1NiJ9.e.e".to_owned(), none),
        (format!("a.{}.b", "[".repeat(10_000)), none),
        (format!("{good}.{good}"), "nobody has this token"),
        (
            key.token(&with(&claims, &json!({"pad": "a".repeat(20_000)}))),
            "the token has more than 16384 characters",
        ),
    ];
    for (token, told) in cases {
        let found = shown(&serin, &token).await;
        assert_eq!(
            found,
            (401, told.to_owned()),
            "{}",
            &token[..token.len().min(200)]
        );
    }
    // A key without a name in the header is looked for among all.
    let token = key.signed(&json!({"alg": "ES256"}), &text);
    assert_eq!(shown(&serin, &token).await.0, 200);
}

#[tokio::test]
async fn a_subject_has_the_claims_that_rules_ask_for_and_its_groups() {
    let key = Key::curve("a");
    let issuer = Issuer::start(&[&key]).await;
    let serin = start(&issuer.access("")).await;
    let mut headers = HeaderMap::new();
    let token = format!("Bearer {}", key.token(&issuer.claims()));
    headers.insert(AUTHORIZATION, token.parse().unwrap());
    // The second time it is remembered.
    for _ in 0..2 {
        let caller = serin
            .service
            .app
            .callers
            .learn(&headers, None, Sessions::DoNot)
            .await;
        let caller = caller.unwrap();
        assert_eq!(caller.name(), "hub:repo:org/checkout");
        let identity = caller.identity();
        assert_eq!(identity.groups, ["sre", "7"]);
        let claims = serde_json::to_value(&identity.claims).unwrap();
        let expected = json!({"kubernetes.io.namespace": ["shop"], "repository": ["org/checkout"]});
        assert_eq!(claims, expected);
    }
}

#[tokio::test]
async fn keys_are_rotated_and_nobody_hammers_the_issuer() {
    let (old, new) = (Key::curve("old"), Key::curve("new"));
    let issuer = Issuer::start(&[&old]).await;
    let serin = start(&issuer.access("")).await;
    let fresh =
        |key: &Key, number: i32| key.token(&with(&issuer.claims(), &json!({"jti": number})));
    assert_eq!(shown(&serin, &fresh(&old, 1)).await.0, 200);
    issuer.publish(Some(&[&new]));
    let made_up = Key::curve("made-up");
    let made_up: Vec<String> = (0..50).map(|number| fresh(&made_up, number)).collect();
    for token in &made_up {
        assert_eq!(shown(&serin, token).await.0, 401);
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
    let since = Instant::now();
    while shown(&serin, &fresh(&new, 2)).await.0 != 200 {
        assert!(since.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 2);
    assert_eq!(shown(&serin, &fresh(&old, 3)).await.0, 401);
    // Once it is away, what is known holds on.
    issuer.publish(None);
    assert_eq!(shown(&serin, &fresh(&new, 4)).await.0, 200);
}

#[tokio::test]
async fn what_cannot_be_checked_is_not_called_wrong() {
    let key = Key::curve("a");
    let issuer = Issuer::start(&[&key]).await;
    issuer.publish(None);
    let serin = start(&issuer.access("")).await;
    let (status, told) = shown(&serin, &key.token(&issuer.claims())).await;
    assert_eq!(status, 503, "{told}");
    assert!(
        told.starts_with("the keys of the issuer 'hub' cannot be read"),
        "{told}"
    );
}
