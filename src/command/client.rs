//! Speaks to a serin, or a Kayenta, as any client does.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use backon::{ExponentialBuilder, Retryable};
use clap::builder::{OsStringValueParser, TypedValueParser};
use reqwest::{Certificate, Identity, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::exit::Usage;
use super::tell;
use crate::{config, escape, http};

const NO_CLIENT: &str = "cannot make an HTTP client";

const DEADLINE: Duration = Duration::from_mins(1);

/// How long a server may be away, if nobody says so.
const PATIENCE: Duration = Duration::from_mins(2);

const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A server that is there already.
#[derive(clap::Args, Clone, Debug)]
pub struct Remote {
    /// The server to speak to, such as <https://serin.example.com>.
    #[arg(long, env = "SERIN_SERVER", hide_env_values = true, value_name = "URL")]
    pub server: Option<String>,
    /// Sent as `Authorization: Bearer`, for the server or a proxy before it.
    #[arg(
        long,
        env = "SERIN_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: Option<SecretString>,
    /// A file that holds the token, if none is given; read for every request, as tokens of clusters and CI systems
    /// are renewed there.
    #[arg(long, env = "SERIN_TOKEN_FILE", value_name = "FILE", value_parser = path())]
    pub token_file: Option<PathBuf>,
    /// PEM certificates to trust beside the system's.
    #[arg(long, env = "SERIN_CA_FILE", value_name = "FILE", value_parser = path())]
    pub ca_file: Option<PathBuf>,
    /// PEM: the certificate that is shown to the server.
    #[arg(long, env = "SERIN_CLIENT_CERTIFICATE", value_name = "FILE", value_parser = path())]
    pub client_certificate: Option<PathBuf>,
    /// PEM: its key.
    #[arg(long, env = "SERIN_CLIENT_KEY", value_name = "FILE", value_parser = path())]
    pub client_key: Option<PathBuf>,
    /// How long the server may be away; 2m, if nobody says so. Without a server, how long the metric source may.
    #[arg(long, env = "SERIN_PATIENCE", value_name = "DURATION")]
    pub patience: Option<String>,
}

impl Remote {
    /// # Errors
    /// `Usage` when there is no server, or a file cannot be used.
    pub fn client(&self) -> anyhow::Result<Client> {
        let url = self.server.as_deref().filter(|url| !url.is_empty());
        let url = url.ok_or_else(|| {
            Usage("which server? --server URL or SERIN_SERVER says it".to_owned())
        })?;
        // A variable that is empty says nothing.
        let token = self.token.as_ref();
        let token = token.filter(|token| !token.expose_secret().is_empty());
        let token = match (token, filled(self.token_file.as_ref())) {
            (Some(token), _) => Some(Token::Here(token.clone())),
            (None, Some(file)) => {
                let token = SecretString::from(read(file)?.trim());
                Some(Token::File(file.clone(), token))
            }
            (None, None) => None,
        };
        let patience = self.patience()?.unwrap_or(PATIENCE);
        let client = Client::new(url, token, filled(self.ca_file.as_ref()), self.own()?)?;
        Ok(Client { patience, ..client })
    }

    /// How long what is asked may be away, if somebody said so.
    ///
    /// # Errors
    /// When it is no duration.
    pub fn patience(&self) -> Result<Option<Duration>, Usage> {
        let given = self.patience.as_deref().filter(|text| !text.is_empty());
        let read = |text| {
            config::duration(text).map_err(|wrong| Usage(format!("--patience '{text}' {wrong}")))
        };
        given.map(read).transpose()
    }

    fn own(&self) -> Result<Option<Identity>, Usage> {
        let certificate = filled(self.client_certificate.as_ref());
        let (certificate, key) = match (certificate, filled(self.client_key.as_ref())) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => return Ok(None),
            _ => {
                let wrong = "--client-certificate and --client-key go together: give both or none";
                return Err(Usage(wrong.to_owned()));
            }
        };
        let pem = format!("{}\n{}", read(key)?, read(certificate)?);
        let own = Identity::from_pem(pem.as_bytes()).map_err(|cause| {
            let cause = http::in_words(&cause);
            Usage(format!(
                "--client-certificate and --client-key are no certificate with its key: {cause}"
            ))
        })?;
        Ok(Some(own))
    }
}

/// What the server is shown.
#[derive(Clone)]
enum Token {
    Here(SecretString),
    /// With what the file held at first, should it be away.
    File(PathBuf, SecretString),
}

impl Token {
    fn now(&self) -> SecretString {
        match self {
            Self::Here(token) => token.clone(),
            Self::File(file, first) => match read(file) {
                Ok(token) if !token.trim().is_empty() => token.trim().into(),
                _ => first.clone(),
            },
        }
    }
}

/// One that may be empty, as variables are that a pipeline hands on.
pub fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Standard input or output, by its usual name.
pub fn is_standard(file: &Path) -> bool {
    file == Path::new("-")
}

pub fn filled(file: Option<&PathBuf>) -> Option<&PathBuf> {
    file.filter(|file| !file.as_os_str().is_empty())
}

fn read(file: &Path) -> Result<String, Usage> {
    let wrong = |cause| Usage(format!("cannot read '{}': {cause}", file.display()));
    config::text::read(file).map_err(wrong)
}

/// Whether a request may be sent as often as one likes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    AsOften,
    WithKey,
}

/// A request that failed; one within this process is nobody's business.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{}", refused(request, *status, message))]
    Refused {
        request: String,
        status: StatusCode,
        message: String,
    },
    #[error("{}", of(request, "no answer"))]
    Unreachable {
        request: String,
        #[source]
        cause: reqwest::Error,
    },
    #[error("{}", of(request, "the answer is neither serin's nor Kayenta's"))]
    Foreign {
        request: String,
        #[source]
        cause: serde_json::Error,
    },
}

/// What is wrong first: the rest is for who looks for it.
fn refused(request: &str, status: StatusCode, message: &str) -> String {
    match (request, message) {
        ("", "") => status.to_string(),
        ("", message) => message.to_owned(),
        (request, "") => format!("{request}: {status}"),
        (request, message) => format!("{message} ({request}: {status})"),
    }
}

fn of(request: &str, wrong: &str) -> String {
    if request.is_empty() {
        return wrong.to_owned();
    }
    format!("{request}: {wrong}")
}

impl Failure {
    /// There is nothing at that path.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.as_u16() == 404)
    }

    /// What is at that path is no such thing.
    pub fn is_of_another_kind(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if status.as_u16() == 400)
    }

    /// Another try might do. Of a start, 408 and 500 do not say whether it was taken.
    fn may_pass(&self, sent: Sent) -> bool {
        match self {
            Self::Refused { status, .. } => match status.as_u16() {
                429 | 502 | 503 | 504 => true,
                408 | 500 => sent == Sent::AsOften,
                _ => false,
            },
            Self::Unreachable { cause, .. } => !cause.is_builder(),
            Self::Foreign { .. } => false,
        }
    }

    pub fn is_clients_fault(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                status.is_client_error() && !matches!(status.as_u16(), 408 | 429)
            }
            Self::Unreachable { cause, .. } => cause.is_builder(),
            Self::Foreign { .. } => false,
        }
    }
}

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// Without a slash at its end.
    pub url: String,
    /// The same without a password, for messages; empty for one in this process.
    pub shown: String,
    token: Option<Token>,
    patience: Duration,
}

impl Client {
    /// Of a serin in this process: no proxy stands between, and nothing has to be waited for.
    ///
    /// # Errors
    /// When no client can be made.
    pub fn local(url: &str) -> anyhow::Result<Self> {
        let http = http::trusting(builder().no_proxy(), "http", Vec::new());
        Ok(Self {
            http: http.build().context(NO_CLIENT)?,
            url: url.to_owned(),
            shown: String::new(),
            token: None,
            patience: Duration::ZERO,
        })
    }

    fn new(
        url: &str,
        token: Option<Token>,
        ca_file: Option<&PathBuf>,
        own: Option<Identity>,
    ) -> anyhow::Result<Self> {
        let is_web = url.starts_with("http://") || url.starts_with("https://");
        let Some(mut shown) = url::Url::parse(url).ok().filter(|_| is_web) else {
            // It may hold a password, in some place or other.
            let given = if url.contains('@') { "this" } else { url };
            let wrong = format!("'{given}' is no server; https://serin.example.com would be one");
            return Err(Usage(wrong).into());
        };
        // Only addresses without a host cannot.
        let _ = shown.set_password(None);
        let _ = shown.set_username("");
        let mut certificates = Vec::new();
        if let Some(file) = ca_file {
            let wrong = |cause| {
                Usage(format!(
                    "'{}' holds no certificates: {cause}",
                    file.display()
                ))
            };
            let pem = read(file)?;
            certificates = Certificate::from_pem_bundle(pem.as_bytes()).map_err(wrong)?;
        }
        let http = http::trusting(builder(), shown.scheme(), certificates);
        let http = match own {
            Some(own) => http.identity(own),
            None => http,
        };
        Ok(Self {
            http: http.build().context(NO_CLIENT)?,
            url: url.trim_end_matches('/').to_owned(),
            shown: shown.as_str().trim_end_matches('/').to_owned(),
            token,
            patience: PATIENCE,
        })
    }

    pub async fn get(&self, path: &str) -> Result<Value, Failure> {
        let bytes = self.bytes(path).await?;
        read_json(&bytes, || self.told(&Method::GET, path))
    }

    /// What lies there, whatever it is.
    pub async fn bytes(&self, path: &str) -> Result<Vec<u8>, Failure> {
        self.patiently(Sent::AsOften, || self.send(Method::GET, path, None, None))
            .await
    }

    /// A request that starts nothing, and can be sent as often as one likes.
    pub async fn read_only(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let bytes = self
            .patiently(Sent::AsOften, || {
                self.send(Method::POST, path, Some(body), None)
            })
            .await?;
        read_json(&bytes, || self.told(&Method::POST, path))
    }

    /// Sent again when it may not have arrived: `key` keeps it one and the same to serin.
    pub async fn start(&self, path: &str, body: &Value, key: &str) -> Result<Value, Failure> {
        let bytes = self
            .patiently(Sent::WithKey, || {
                self.send(Method::POST, path, Some(body), Some(key))
            })
            .await?;
        read_json(&bytes, || self.told(&Method::POST, path))
    }

    /// Asked until it is taken, as long as the server has patience.
    pub async fn cancel(&self, id: &str) -> Result<(), Failure> {
        let path = format!("/pipelines/{id}/cancel");
        self.patiently(Sent::AsOften, || self.send(Method::PUT, &path, None, None))
            .await
            .map(drop)
    }

    /// Once; the answer may be empty, which is null.
    pub async fn once(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let bytes = self.send(method.clone(), path, body, None).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        read_json(&bytes, || self.told(&method, path))
    }

    async fn patiently<F: Future<Output = Result<Vec<u8>, Failure>>>(
        &self,
        sent: Sent,
        request: impl FnMut() -> F,
    ) -> Result<Vec<u8>, Failure> {
        let waits = ExponentialBuilder::default()
            .with_jitter()
            .with_max_delay(LONGEST_WAIT)
            .with_total_delay(Some(self.patience))
            .without_max_times();
        request
            .retry(waits)
            .when(|failure| failure.may_pass(sent))
            .notify(|failure, wait| {
                let wait = wait.as_secs_f64();
                tell::note(&format!("{failure}; once more in {wait:.0} s"));
            })
            .await
    }

    fn told(&self, method: &Method, path: &str) -> String {
        match self.shown.as_str() {
            "" => String::new(),
            shown => format!("{method} {shown}{path}"),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Vec<u8>, Failure> {
        let request = || self.told(&method, path);
        // The address has been told already, and may hold a password.
        let unreachable = |cause: reqwest::Error| Failure::Unreachable {
            request: request(),
            cause: cause.without_url(),
        };
        let mut sent = self
            .http
            .request(method.clone(), format!("{}{path}", self.url));
        if let Some(body) = body {
            sent = sent.json(body);
        }
        if let Some(key) = key {
            sent = sent.header("Idempotency-Key", key);
        }
        if let Some(token) = &self.token {
            sent = sent.bearer_auth(token.now().expose_secret());
        }
        let answer = sent.send().await.map_err(unreachable)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(unreachable)?.to_vec();
        if status.is_success() {
            return Ok(bytes);
        }
        Err(Failure::Refused {
            request: request(),
            status,
            message: message(&bytes),
        })
    }
}

fn builder() -> reqwest::ClientBuilder {
    http::client().timeout(DEADLINE)
}

fn read_json(bytes: &[u8], request: impl FnOnce() -> String) -> Result<Value, Failure> {
    serde_json::from_slice(bytes).map_err(|cause| Failure::Foreign {
        request: request(),
        cause,
    })
}

/// What an answer says of its failure.
fn message(body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(message) = json["message"].as_str() {
        return escape::line(message).into_owned();
    }
    let text = String::from_utf8_lossy(body);
    let line = text.lines().next().unwrap_or_default();
    let line: String = line.chars().take(200).collect();
    escape::line(&line).into_owned()
}
