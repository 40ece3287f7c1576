//! Who asks, said with each request: by a signature with the account's key, by a shared access
//! signature in its address, or by a token.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::identity::Identity;
use crate::config::{AzureAccount, AzureCredentials};
use crate::http::ask::Failed;
use crate::http::{self, Secrets, Tokens};
use crate::storage::guarded::Failure;
use crate::storage::over_http::wrong;

/// The first that tells names which XML cannot say.
const VERSION: &str = "2021-12-02";

/// What Shared Key signs of a request beside its length and what is Azure's own, in this order.
const SIGNED: [&str; 8] = [
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

pub enum Signer {
    Key {
        account: String,
        mac: Box<Hmac<Sha256>>,
    },
    Sas(SecretString),
    Identity(Box<Tokens<Identity>>),
}

/// What a request was sent with.
pub struct Signed {
    /// Taken out of what the server says.
    pub secrets: Secrets,
    bearer: Option<SecretString>,
}

impl Signer {
    /// # Errors
    /// Why the credentials can never do.
    pub fn open(account: &AzureAccount) -> Result<Self, String> {
        match &account.credentials {
            AzureCredentials::Key { account, key } => {
                let key = BASE64_STANDARD.decode(key.expose_secret().trim());
                let key = key.ok().filter(|key| !key.is_empty());
                let key = key.ok_or("its accountAccessKey is no key of Azure: base64 is wanted")?;
                let mac = Hmac::new_from_slice(&key).expect("a key of any length will do");
                Ok(Self::Key {
                    account: account.clone(),
                    mac: Box::new(mac),
                })
            }
            AzureCredentials::Sas(token) => {
                let has_signature = sas_signature(token.expose_secret()).is_some();
                let none = "its sasToken is no shared access signature: it has no 'sig'";
                has_signature.then_some(()).ok_or(none)?;
                Ok(Self::Sas(token.clone()))
            }
            AzureCredentials::Identity(_) if !http::is_safe(&account.url) => Err(format!(
                "'{}' is asked without TLS, and a token is not sent there; give an accountAccessKey",
                account.url
            )),
            AzureCredentials::Identity(identity) => Ok(Self::Identity(Box::new(Tokens::of(
                Identity::open(identity)?,
            )))),
        }
    }

    /// # Errors
    /// Why it cannot be signed.
    pub async fn sign(&self, request: &mut Request, now_millis: i64) -> Result<Signed, Failure> {
        let date = date(now_millis).ok_or_else(|| wrong("the clock shows no time"))?;
        let headers = request.headers_mut();
        headers.insert("x-ms-version", HeaderValue::from_static(VERSION));
        headers.insert("x-ms-date", date);
        match self {
            Self::Key { account, mac } => {
                let mut mac = (**mac).clone();
                mac.update(text(account, request).as_bytes());
                let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
                let who = format!("SharedKey {account}:{signature}");
                let who = HeaderValue::try_from(who);
                let mut who =
                    who.map_err(|_| wrong("the account has a name that Azure does not give"))?;
                who.set_sensitive(true);
                request.headers_mut().insert(AUTHORIZATION, who);
                Ok(Signed {
                    secrets: Secrets::new([signature.trim_end_matches('=')]),
                    bearer: None,
                })
            }
            Self::Sas(token) => {
                let token = token.expose_secret();
                let query = match request.url().query() {
                    Some(query) => format!("{query}&{token}"),
                    None => token.to_owned(),
                };
                request.url_mut().set_query(Some(&query));
                let signature = sas_signature(token).unwrap_or_default();
                Ok(Signed {
                    secrets: Secrets::new([signature.trim_end_matches('='), token]),
                    bearer: None,
                })
            }
            Self::Identity(tokens) => {
                let bearer = tokens.bearer().await.map_err(without_token)?;
                let who = HeaderValue::try_from(format!("Bearer {}", bearer.expose_secret()));
                let mut who = who.map_err(|_| wrong("a token that cannot be sent"))?;
                who.set_sensitive(true);
                request.headers_mut().insert(AUTHORIZATION, who);
                Ok(Signed {
                    secrets: Secrets::new([bearer.expose_secret()]),
                    bearer: Some(bearer),
                })
            }
        }
    }

    /// Whether a request is refused for the time that it tells.
    pub const fn tells_the_time(&self) -> bool {
        matches!(self, Self::Key { .. })
    }

    /// Whether another attempt will be sent with something else.
    pub fn forget(&self, signed: &Signed) -> bool {
        match (self, &signed.bearer) {
            (Self::Identity(tokens), Some(bearer)) => {
                tokens.forget(bearer);
                true
            }
            _ => false,
        }
    }
}

fn without_token(failed: Failed) -> Failure {
    let why = format!("there is no token for it: {failed}");
    let cause = failed.why;
    if failed.may_pass {
        Failure::Away { why, cause }
    } else {
        Failure::Wrong { why, cause }
    }
}

fn date(millis: i64) -> Option<HeaderValue> {
    let time = Timestamp::from_millisecond(millis).ok()?;
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&time);
    HeaderValue::try_from(date.ok()?).ok()
}

fn sas_signature(token: &str) -> Option<String> {
    let mut pairs = url::form_urlencoded::parse(token.as_bytes());
    let signature = pairs.find(|(name, _)| name == "sig");
    signature.map(|(_, value)| value.into_owned())
}

/// What is signed: the method, some headers, those of Azure, and what is asked for.
fn text(account: &str, request: &Request) -> String {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    };
    let body = request.body().and_then(|body| body.as_bytes());
    let length = match body.map_or(0, <[u8]>::len) {
        0 => String::new(),
        length => length.to_string(),
    };
    let mut lines = vec![
        request.method().to_string(),
        header("content-encoding").to_owned(),
        header("content-language").to_owned(),
        length,
    ];
    lines.extend(SIGNED.map(|name| header(name).to_owned()));

    let names = request.headers().keys().map(AsRef::<str>::as_ref);
    let mut own: Vec<&str> = names.filter(|name| name.starts_with("x-ms-")).collect();
    own.sort_unstable();
    let own = own.into_iter();
    lines.extend(own.map(|name| format!("{name}:{}", header(name).trim())));

    lines.push(format!("/{account}{}", request.url().path()));
    let mut query: Vec<(String, String)> = request.url().query_pairs().into_owned().collect();
    query.sort();
    let query = query.into_iter();
    lines.extend(query.map(|(name, value)| format!("{}:{value}", name.to_lowercase())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::Method;

    use super::*;
    use crate::config::{AzureGiver, AzureIdentity};

    const KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    fn signer(credentials: &AzureCredentials) -> Signer {
        Signer::open(&account(credentials, "https://h")).unwrap()
    }

    fn account(credentials: &AzureCredentials, url: &str) -> AzureAccount {
        AzureAccount {
            container: "c".to_owned(),
            root_folder: String::new(),
            url: url.to_owned(),
            credentials: credentials.clone(),
            timeout: Duration::from_secs(1),
        }
    }

    fn by_key() -> Signer {
        signer(&AzureCredentials::Key {
            account: "devstoreaccount1".to_owned(),
            key: KEY.into(),
        })
    }

    #[tokio::test]
    async fn what_is_signed_is_what_azure_documents() {
        let cases = [
            (
                http::client()
                    .build()
                    .unwrap()
                    .put("https://h/kayenta/a%20b/c.json")
                    .header("x-ms-blob-type", "BlockBlob")
                    .header("content-type", "application/json")
                    .body("[]"),
                "PUT\n\n\n2\n\napplication/json\n\n\n\n\n\n\nx-ms-blob-type:BlockBlob\n\
                 x-ms-date:Sat, 28 Nov 2026 13:10:34 GMT\nx-ms-version:2021-12-02\n\
                 /devstoreaccount1/kayenta/a%20b/c.json",
            ),
            (
                http::client()
                    .build()
                    .unwrap()
                    .get("https://h/kayenta?restype=container&comp=list&prefix=a%2Fb%20c"),
                "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Sat, 28 Nov 2026 13:10:34 GMT\n\
                 x-ms-version:2021-12-02\n/devstoreaccount1/kayenta\ncomp:list\nprefix:a/b c\n\
                 restype:container",
            ),
            (
                http::client()
                    .build()
                    .unwrap()
                    .put("http://h/devstoreaccount1/kayenta?restype=container")
                    .body(""),
                "PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Sat, 28 Nov 2026 13:10:34 GMT\n\
                 x-ms-version:2021-12-02\n/devstoreaccount1/devstoreaccount1/kayenta\n\
                 restype:container",
            ),
        ];
        for (request, expected) in cases {
            let mut request = request.build().unwrap();
            by_key()
                .sign(&mut request, 1_795_871_434_000)
                .await
                .unwrap();
            assert_eq!(text("devstoreaccount1", &request), expected);
            let key = BASE64_STANDARD.decode(KEY).unwrap();
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(expected.as_bytes());
            let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
            let sent = &request.headers()[AUTHORIZATION];
            assert_eq!(
                sent.to_str().unwrap(),
                format!("SharedKey devstoreaccount1:{signature}")
            );
            assert!(sent.is_sensitive());
        }
    }

    #[tokio::test]
    async fn a_shared_access_signature_stands_in_the_address_and_nowhere_else() {
        let sas = signer(&AzureCredentials::Sas(
            "sv=2022-11-02&sig=a%2Bbcde%3D".into(),
        ));
        for (url, expected) in [
            ("https://h/c/b", "sv=2022-11-02&sig=a%2Bbcde%3D"),
            (
                "https://h/c?comp=list",
                "comp=list&sv=2022-11-02&sig=a%2Bbcde%3D",
            ),
        ] {
            let mut request = Request::new(Method::GET, url.parse().unwrap());
            let signed = sas.sign(&mut request, 0).await.unwrap();
            assert_eq!(request.url().query(), Some(expected));
            assert!(!request.headers().contains_key(AUTHORIZATION));
            assert!(signed.secrets.are_in("sig=a%2Bbcde%3D"));
        }
    }

    #[test]
    fn credentials_that_can_never_do_are_told_without_them() {
        let cases = [
            AzureCredentials::Key {
                account: "a".to_owned(),
                key: "no base 64!".into(),
            },
            AzureCredentials::Sas("sv=2022&se=2027".into()),
        ];
        for credentials in cases {
            let why = Signer::open(&account(&credentials, "https://h"))
                .err()
                .unwrap();
            assert!(why.contains("is no"), "{why}");
            assert!(!why.contains("base 64!") && !why.contains("2027"), "{why}");
        }
    }

    #[test]
    fn a_token_goes_by_tls_or_stays_on_the_machine() {
        let machine = AzureCredentials::Identity(AzureIdentity {
            client_id: None,
            giver: AzureGiver::Machine {
                url: "http://169.254.169.254".to_owned(),
            },
        });
        for (url, is_sent) in [
            ("https://canaries.blob.core.windows.net", true),
            ("http://127.0.0.1:10000/a", true),
            ("http://azurite:10000/a", false),
        ] {
            assert_eq!(
                Signer::open(&account(&machine, url)).is_ok(),
                is_sent,
                "{url}"
            );
        }
    }
}
