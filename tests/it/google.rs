//! Tokens of Google Cloud, from a stand-in for each of the services that give them.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use serin::google::Tokens;
use tempfile::TempDir;

/// What a request asked for: its path, who asked, and its form or JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    path: String,
    bearer: String,
    members: BTreeMap<String, String>,
}

type Script = dyn Fn(&Asked, usize) -> (u16, Value) + Send + Sync;

#[derive(Clone)]
struct Desk {
    script: Arc<Script>,
    /// Whether everybody is refused from now on.
    refuses: Arc<AtomicBool>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// Google, and a folder for the files of those who ask it.
pub struct Google {
    pub url: String,
    desk: Desk,
    folder: TempDir,
}

impl Google {
    pub async fn start(
        script: impl Fn(&Asked, usize) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let desk = Desk {
            script: Arc::new(script),
            refuses: Arc::default(),
            asked: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let folder = tempfile::tempdir().unwrap();
        Self { url, desk, folder }
    }

    pub fn refuse(&self) {
        self.desk.refuses.store(true, Ordering::SeqCst);
    }

    fn asked(&self) -> Vec<Asked> {
        self.desk.asked.lock().unwrap().clone()
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A file with credentials, opened.
    fn tokens(&self, credentials: &Value) -> Result<Tokens, String> {
        let file = self.write("credentials.json", credentials.to_string());
        Tokens::open(Some(&file), &BTreeMap::new())
    }

    /// An RSA key as Google hands it out, and the file of its other half.
    fn key(&self) -> (String, PathBuf) {
        let (key, public) = (
            self.folder.path().join("key.pem"),
            self.folder.path().join("public.pem"),
        );
        openssl(&["genpkey", "-algorithm", "RSA", "-out", shown(&key)]);
        openssl(&[
            "pkey",
            "-in",
            shown(&key),
            "-pubout",
            "-out",
            shown(&public),
        ]);
        (std::fs::read_to_string(key).unwrap(), public)
    }
}

async fn answer(State(desk): State<Desk>, request: Request) -> (StatusCode, Json<Value>) {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let bearer = parts.headers.get("authorization");
    let bearer = bearer.map_or("", |value| value.to_str().unwrap());
    let members = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(members)) => members
            .into_iter()
            .map(|(name, value)| (name, value.to_string()))
            .collect(),
        _ => url::form_urlencoded::parse(&body).into_owned().collect(),
    };
    let asked = Asked {
        path: parts.uri.path().to_owned(),
        bearer: bearer.to_owned(),
        members,
    };
    if desk.refuses.load(Ordering::SeqCst) {
        return (
            StatusCode::BAD_REQUEST,
            Json(json!({"error": "invalid_grant"})),
        );
    }
    let mut all = desk.asked.lock().unwrap();
    let (status, body) = (desk.script)(&asked, all.len());
    all.push(asked);
    (StatusCode::from_u16(status).unwrap(), Json(body))
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn openssl(arguments: &[&str]) {
    let ended = Command::new("openssl").args(arguments).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

pub fn token(bearer: &str) -> (u16, Value) {
    (
        200,
        json!({"access_token": bearer, "expires_in": 3600, "token_type": "Bearer"}),
    )
}

async fn bearer(tokens: &Tokens) -> String {
    tokens.bearer().await.unwrap().expose_secret().to_owned()
}

#[tokio::test]
async fn a_service_account_signs_for_its_token_and_keeps_it() {
    let google = Google::start(|_, earlier| token(&format!("token-{earlier}"))).await;
    let (key, public) = google.key();
    let url = format!("{}/token", google.url);
    let tokens = google.tokens(&json!({
        "type": "service_account", "project_id": "p", "private_key_id": "id-of-key",
        "private_key": key, "client_email": "serin@p.iam.gserviceaccount.com", "token_uri": url,
    }));
    let tokens = tokens.unwrap();
    assert_eq!(bearer(&tokens).await, "token-0");
    assert_eq!(bearer(&tokens).await, "token-0", "it is kept");

    let asked = google.asked();
    assert_eq!(asked.len(), 1);
    let grant = &asked[0].members["grant_type"];
    assert_eq!(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let assertion: Vec<&str> = asked[0].members["assertion"].split('.').collect();
    let part = |at: usize| BASE64_URL_SAFE_NO_PAD.decode(assertion[at]).unwrap();
    let header: Value = serde_json::from_slice(&part(0)).unwrap();
    assert_eq!(
        header,
        json!({"alg": "RS256", "typ": "JWT", "kid": "id-of-key"})
    );
    let claims: Value = serde_json::from_slice(&part(1)).unwrap();
    assert_eq!(claims["iss"], "serin@p.iam.gserviceaccount.com");
    assert_eq!(claims["aud"], url);
    assert_eq!(
        claims["scope"],
        "https://www.googleapis.com/auth/cloud-platform"
    );
    let (issued, ends) = (
        claims["iat"].as_i64().unwrap(),
        claims["exp"].as_i64().unwrap(),
    );
    assert_eq!(ends - issued, 3600);
    let signed = google.write("signed", format!("{}.{}", assertion[0], assertion[1]));
    let signature = google.write("signature", part(2));
    let (public, signature) = (shown(&public), shown(&signature));
    openssl(&[
        "dgst",
        "-sha256",
        "-verify",
        public,
        "-signature",
        signature,
        shown(&signed),
    ]);
}

#[tokio::test]
async fn a_workload_of_another_cloud_exchanges_its_identity() {
    let google = Google::start(|asked, _| match asked.path.as_str() {
        "/identity" => (200, json!({"value": "of-provider"})),
        "/sts" => token("federated"),
        _ => (
            200,
            json!({"accessToken": "of-account", "expireTime": "2100-01-01T00:00:00Z"}),
        ),
    })
    .await;
    let url = &google.url;
    let file = google.write("identity", "of-provider\n");
    let identity = format!("{url}/identity");
    let sources = [
        json!({"file": file}),
        json!({"url": identity, "headers": {"authorization": "me"}, "format": {"type": "json", "subject_token_field_name": "value"}}),
    ];
    for source in sources {
        let mut credentials = json!({
            "type": "external_account", "audience": "//iam.googleapis.com/pool/provider",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": format!("{url}/sts"), "credential_source": source,
        });
        let tokens = google.tokens(&credentials).unwrap();
        assert_eq!(bearer(&tokens).await, "federated", "{source}");
        let asked = google.asked();
        let exchanged = &asked.last().unwrap().members;
        assert_eq!(exchanged["subject_token"], "of-provider");
        assert_eq!(exchanged["audience"], "//iam.googleapis.com/pool/provider");

        credentials["service_account_impersonation_url"] = format!("{url}/act").into();
        let tokens = google.tokens(&credentials).unwrap();
        assert_eq!(bearer(&tokens).await, "of-account", "{source}");
        assert_eq!(google.asked().last().unwrap().bearer, "Bearer federated");
    }
    let of_provider = google
        .asked()
        .into_iter()
        .find(|asked| asked.path == "/identity");
    assert_eq!(of_provider.unwrap().bearer, "me");
}

#[tokio::test]
async fn who_is_logged_in_may_act_as_a_service_account() {
    let google = Google::start(|asked, _| match asked.path.as_str() {
        "/token" => token("of-person"),
        _ => (
            200,
            json!({"accessToken": "of-account", "expireTime": "2100-01-01T00:00:00Z"}),
        ),
    })
    .await;
    let person = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "client-secret",
        "refresh_token": "refresh-token", "token_uri": format!("{}/token", google.url),
    });
    assert_eq!(bearer(&google.tokens(&person).unwrap()).await, "of-person");
    assert_eq!(google.asked()[0].members["refresh_token"], "refresh-token");
    let acting = json!({
        "type": "impersonated_service_account", "delegates": [], "source_credentials": person,
        "service_account_impersonation_url": format!("{}/act", google.url),
    });
    assert_eq!(bearer(&google.tokens(&acting).unwrap()).await, "of-account");
}

#[tokio::test]
async fn without_a_file_those_are_taken_that_googles_tools_would_find() {
    let google = Google::start(|asked, _| token(&asked.path)).await;
    let host = google.url.trim_start_matches("http://").to_owned();
    let person = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "s", "refresh_token": "r",
        "token_uri": format!("{}/gcloud", google.url),
    });
    let home = google.folder.path().join("home");
    std::fs::create_dir_all(home.join(".config/gcloud")).unwrap();
    let of_gcloud = home.join(".config/gcloud/application_default_credentials.json");
    std::fs::write(of_gcloud, person.to_string()).unwrap();
    let named = person.to_string().replace("/gcloud", "/named");
    let named = google.write("named.json", named);
    let machine = "/computeMetadata/v1/instance/service-accounts/default/token";
    let cases = [
        (shown(&named), shown(&home), "/named"),
        ("", shown(&home), "/gcloud"),
        ("", "", machine),
    ];
    for (named, home, expected) in cases {
        let environment = [
            ("GOOGLE_APPLICATION_CREDENTIALS", named),
            ("HOME", home),
            ("GCE_METADATA_HOST", host.as_str()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let tokens = Tokens::open(None, &BTreeMap::from(environment)).unwrap();
        assert_eq!(bearer(&tokens).await, expected);
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_a_failure_costs_no_good_one() {
    let google = Google::start(|_, earlier| match earlier {
        0 => (200, json!({"access_token": "first", "expires_in": 4})),
        1..=3 => (503, json!({"error": "unavailable"})),
        _ => token("second"),
    })
    .await;
    let host = google.url.trim_start_matches("http://").to_owned();
    let environment = BTreeMap::from([("GCE_METADATA_HOST".to_owned(), host)]);
    let tokens = Tokens::open(None, &environment).unwrap();
    assert_eq!(bearer(&tokens).await, "first");
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(
        bearer(&tokens).await,
        "first",
        "it is good yet, and none can be had"
    );
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(bearer(&tokens).await, "second");
}

#[tokio::test]
async fn what_keeps_a_token_from_being_had_is_told_without_what_is_secret() {
    let said = json!({"error": "invalid_grant", "error_description": "refresh-token was revoked"});
    let google = Google::start(move |_, _| (400, said.clone())).await;
    let person = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "client-secret",
        "refresh_token": "refresh-token", "token_uri": google.url,
    });
    let failed = google.tokens(&person).unwrap().bearer().await.unwrap_err();
    assert_eq!(
        failed.why,
        "127.0.0.1 answers 400 Bad Request: … was revoked"
    );
    assert!(!failed.may_pass);
    assert_eq!(google.asked().len(), 1, "it is not asked again");

    let away = json!({
        "type": "authorized_user", "client_id": "id", "client_secret": "s", "refresh_token": "r",
        "token_uri": "http://127.0.0.1:9",
    });
    let failed = google.tokens(&away).unwrap().bearer().await.unwrap_err();
    assert!(
        failed.may_pass && failed.why.contains("Connection refused"),
        "{failed:?}"
    );

    let refused = [
        (
            json!({"type": "gdch_service_account", "private_key": "hunter22"}),
            "no credentials of a type",
        ),
        (json!("hunter22"), "no credentials of a type"),
        (
            json!({"type": "service_account", "client_email": "a", "private_key": "hunter22", "token_uri": "b"}),
            "its private_key is no key",
        ),
        (
            json!({"type": "external_account", "audience": "a", "subject_token_type": "b", "token_url": "c",
                "credential_source": {"environment_id": "aws1"}}),
            "its credential_source must be a file or a url",
        ),
    ];
    for (credentials, expected) in refused {
        let told = google.tokens(&credentials).err().unwrap();
        assert!(
            told.contains(expected) && !told.contains("hunter22"),
            "{told}"
        );
    }
    let told = Tokens::open(Some(Path::new("/nosuch.json")), &BTreeMap::new())
        .err()
        .unwrap();
    assert!(told.contains("cannot read '/nosuch.json'"), "{told}");
}
