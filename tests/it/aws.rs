//! Requests to AWS: a stand-in reckons their signatures from what came over the wire, and credentials are
//! found where AWS's own tools find them.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod chain;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use serin::metrics::MetricSource;
use sha2::{Digest, Sha256};

use crate::prometheus_source::Asking;
use crate::sources::open;
use crate::stand_in::{Asked, StandIn};

pub const KEY: &str = "AKIDOFSERIN";
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+of+serin";
const TOKEN: &str = "to/ken+of==serin";

/// Who signed what came, for which region and service; an error where the signature is not that of these
/// bytes.
pub fn signed(asked: &Asked, secret: &str) -> Result<[String; 3], String> {
    let header = |name: &str| asked.headers.get(name).map(String::as_str);
    let authorization = header("authorization").ok_or("there is no signature")?;
    let parts = authorization
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or("it is no signature")?;
    let parts = parts.split(", ").filter_map(|part| part.split_once('='));
    let parts: BTreeMap<&str, &str> = parts.collect();
    let credential: Vec<&str> = parts["Credential"].split('/').collect();
    let [key, day, region, service, end] = credential[..] else {
        return Err(format!("the credential has {} parts", credential.len()));
    };
    let names: Vec<&str> = parts["SignedHeaders"].split(';').collect();
    for name in ["host", "x-amz-date", "x-amz-security-token", "x-amz-target"] {
        if header(name).is_some() && !names.contains(&name) {
            return Err(format!("'{name}' is not signed"));
        }
    }
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let mut pairs: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    let headers = names.iter().fold(String::new(), |mut text, name| {
        let _ = writeln!(text, "{name}:{}", header(name).unwrap_or_default());
        text
    });
    let canonical = [
        asked.method.clone(),
        path.replace('%', "%25"),
        pairs.join("&"),
        headers,
        names.join(";"),
        hex(&Sha256::digest(asked.body.as_bytes())),
    ];
    let canonical = hex(&Sha256::digest(canonical.join("\n").as_bytes()));
    let date = header("x-amz-date").unwrap_or_default();
    let scope = [day, region, service, end].join("/");
    let text = ["AWS4-HMAC-SHA256", date, &scope, &canonical].join("\n");
    let mut derived = format!("AWS4{secret}").into_bytes();
    for part in [day, region, service, end, &text] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&derived).unwrap();
        mac.update(part.as_bytes());
        derived = mac.finalize().into_bytes().to_vec();
    }
    if hex(&derived) != parts["Signature"] {
        return Err("the signature does not match what came".to_owned());
    }
    Ok([key, region, service].map(str::to_owned))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub fn reply(status: u16, body: &Value) -> Value {
    json!({"status": status, "headers": {"content-type": "application/json"}, "body": body.to_string()})
}

fn matrix() -> Value {
    let result = json!([{"metric": {}, "values": [[1_717_200_000, "7"]]}]);
    reply(
        200,
        &json!({"status": "success", "data": {"resultType": "matrix", "result": result}}),
    )
}

/// A Prometheus of AWS that wants that signature, and an account with that secret.
async fn managed(secret: &str) -> (StandIn, Arc<dyn MetricSource>) {
    let stand_in = StandIn::start().await;
    stand_in.answer(|asked| match signed(asked, SECRET) {
        Ok(_) => matrix(),
        Err(why) => reply(403, &json!({"message": why})),
    });
    let keys = format!("accessKey: {KEY}, secretKey: {secret}, sessionToken: '{TOKEN}'");
    let accounts = format!(
        "prometheus: {{enabled: true, accounts: [{{name: p, endpoint: {{baseUrl: '{}/workspaces/ws%201'}}, \
         sigv4: {{region: eu-central-1, explicitCredentials: {{{keys}}}}}}}]}}",
        stand_in.url
    );
    let source = Arc::clone(&open(&accounts)["p"]);
    (stand_in, source)
}

fn asking(query: &str) -> Asking {
    Asking::promql(query, "2024-06-01T00:00:00Z", "2024-06-01T00:30:00Z", 60)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_to_a_prometheus_of_aws_is_what_is_signed() {
    let (stand_in, source) = managed(SECRET).await;
    let long = format!("m{{v=\"{}\"}}", "ä b+c*d%20".repeat(300));
    let cases = [
        ("m{v=\"a b+c*d%20(e)|ä'~\", w!=\"&=/?#\"}", "GET"),
        (&long, "POST"),
    ];
    for (query, method) in cases {
        let sets = asking(query).fetch(&source).await.unwrap();
        assert_eq!(sets[0].values, [7.0], "{method}");
        let asked = stand_in.asked().pop().unwrap();
        assert_eq!(asked.method, method);
        let form: Vec<(String, String)> = match method {
            "GET" => asked.query.clone(),
            _ => url::form_urlencoded::parse(asked.body.as_bytes())
                .into_owned()
                .collect(),
        };
        let sent = form.iter().find(|(name, _)| name == "query");
        assert_eq!(sent.unwrap().1, query, "{method}");
        let [key, region, service] = signed(&asked, SECRET).unwrap();
        assert_eq!(
            [key.as_str(), &region, &service],
            [KEY, "eu-central-1", "aps"]
        );
        assert_eq!(asked.headers["x-amz-security-token"], TOKEN);
        assert!(asked.path.starts_with("/workspaces/ws%201/api/v1/"));
        let mut other = asked;
        other.body.push(' ');
        assert!(signed(&other, SECRET).is_err(), "the body is signed");
    }
    source.health().await.unwrap();
    let asked = stand_in.asked().pop().unwrap();
    assert_eq!(
        asked.target,
        "/workspaces/ws%201/api/v1/query?query=vector%281%29"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_has_a_signature_of_its_own() {
    let (stand_in, source) = managed(SECRET).await;
    let (before, delays) = (AtomicUsize::new(0), json!(1.1));
    stand_in.answer(move |asked| match signed(asked, SECRET) {
        Err(why) => reply(403, &json!({"message": why})),
        Ok(_) if before.fetch_add(1, Ordering::SeqCst) == 0 => {
            let mut busy = reply(503, &json!({"message": "busy"}));
            busy["delay"] = delays.clone();
            busy
        }
        Ok(_) => matrix(),
    });
    let sets = asking("up").fetch(&source).await.unwrap();
    assert_eq!(sets[0].values, [7.0]);
    let [first, second] = &stand_in.asked()[..] else {
        panic!("it is asked twice");
    };
    assert_ne!(first.headers["x-amz-date"], second.headers["x-amz-date"]);
    assert_ne!(
        first.headers["authorization"],
        second.headers["authorization"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused_and_not_told() {
    let (stand_in, source) = managed("another-secret-of-serin").await;
    let told = asking("up").fetch(&source).await.unwrap_err().to_string();
    assert!(told.contains("the signature does not match"), "{told}");
    assert_eq!(stand_in.asked().len(), 1);

    stand_in.answer(|asked| {
        let authorization = &asked.headers["authorization"];
        let token = &asked.headers["x-amz-security-token"];
        let told = json!({"__type": "x#AccessDeniedException", "Message": format!("no {token} {authorization}")});
        reply(403, &told)
    });
    let told = asking("up").fetch(&source).await.unwrap_err().to_string();
    assert!(told.contains("AccessDeniedException: no … …"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_too_soon_is_sent_again_whatever_its_status() {
    let (stand_in, source) = managed(SECRET).await;
    let slower = json!({"__type": "com.amazon#ThrottlingException", "message": "Rate exceeded"});
    let mut by_header = reply(400, &json!({"message": "Rate exceeded"}));
    by_header["headers"]["x-amzn-errortype"] = "ThrottlingException:http://internal/".into();
    let cases = [
        (vec![reply(400, &slower), matrix()], None, 2),
        (vec![by_header, matrix()], None, 2),
        (
            vec![reply(400, &slower)],
            Some("ThrottlingException: Rate exceeded"),
            3,
        ),
        (
            vec![reply(
                400,
                &json!({"__type": "ValidationException", "message": "no"}),
            )],
            Some("ValidationException: no"),
            1,
        ),
    ];
    for (at, (replies, expected, times)) in cases.into_iter().enumerate() {
        stand_in.play(replies);
        let query = format!("up{{n=\"{at}\"}}");
        let fetched = asking(&query).fetch(&source).await;
        let told = fetched.err().map(|error| error.to_string());
        match expected {
            None => assert_eq!(told, None),
            Some(part) => assert!(told.clone().unwrap().contains(part), "{told:?}"),
        }
        assert_eq!(stand_in.asked().len(), times, "{told:?}");
    }
}
