//! How a source is reached: address, certificates, headers, credentials.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Certificate, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::oauth2::ClientCredentials;
use crate::aws::{self, Signer};
use crate::config::{CertificateFiles, Login, text};
use crate::error::{Error, Result};
use crate::google::Tokens;
use crate::http::{self, Failed, OwnCertificate, Rotating};

pub const MAX_REDIRECTS: usize = 5;

/// Where an account is, and what is sent with every request to it.
pub struct Endpoint<'a> {
    pub account: &'a str,
    pub base_url: &'a str,
    pub headers: Vec<(&'a str, SecretString)>,
    pub credentials: Credentials,
    /// Certificates beside the system's, as PEM.
    pub ca_file: Option<&'a Path>,
    pub compression: bool,
}

impl Endpoint<'_> {
    /// Without a query, and without credentials where there are others.
    pub fn base_url(&self) -> Result<Url> {
        let base = Url::parse(self.base_url).ok();
        let base = base.filter(|url| matches!(url.scheme(), "http" | "https"));
        let mut base = base.ok_or_else(|| {
            self.refused("its baseUrl is not an address such as 'http://prometheus:9090'")
        })?;
        base.set_query(None);
        base.set_fragment(None);
        // The client would send both, these and those of the address.
        if !matches!(self.credentials, Credentials::None) {
            base = without_credentials(base);
        }
        Ok(base)
    }

    /// One that shows that certificate of its own.
    pub fn client(&self, base: &Url, own: Option<&CertificateFiles>) -> Result<Rotating> {
        let certificates = self.ca_file.map_or_else(|| Ok(Vec::new()), trusted);
        let certificates = certificates.map_err(|why| self.refused(&why))?;
        let (headers, compression) = (self.headers()?, self.compression);
        let scheme = base.scheme().to_owned();
        let builder = move || {
            let builder = http::client()
                .gzip(compression)
                .default_headers(headers.clone())
                // A client would make a GET without a body of a POST.
                .redirect(Policy::none())
                .referer(false);
            http::trusting(builder, &scheme, certificates.clone())
        };
        Rotating::open(own.map(own_of), builder).map_err(|why| self.refused(&why))
    }

    pub fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (header, value) in &self.headers {
            let invalid =
                |what| self.refused(&format!("the {what} of header '{header}' is not valid"));
            let key: HeaderName = header.parse().map_err(|_| invalid("name"))?;
            let mut value =
                HeaderValue::from_str(value.expose_secret()).map_err(|_| invalid("value"))?;
            value.set_sensitive(true);
            headers.append(key, value);
        }
        Ok(headers)
    }

    fn refused(&self, why: &str) -> Error {
        Error::Invalid(format!("account '{}': {why}", self.account))
    }
}

pub fn own_of(files: &CertificateFiles) -> OwnCertificate {
    OwnCertificate {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    }
}

/// The certificates of a caFile.
pub fn trusted(path: &Path) -> Result<Vec<Certificate>, String> {
    let shown = path.display();
    let read = std::fs::read(path).map_err(|cause| cause.to_string());
    let read = read.and_then(|pem| {
        let pem = text::without_mark(&pem);
        Certificate::from_pem_bundle(pem).map_err(|cause| cause.to_string())
    });
    let certificates = read.map_err(|cause| format!("cannot read caFile '{shown}': {cause}"))?;
    if certificates.is_empty() {
        return Err(format!("no certificate in caFile '{shown}'"));
    }
    Ok(certificates)
}

/// The address as it may be shown.
pub fn without_credentials(mut base: Url) -> Url {
    // Only addresses without a host refuse these.
    let _ = base.set_username("");
    let _ = base.set_password(None);
    base
}

/// Where something is asked for, or came from: without the query.
pub fn place(url: &Url) -> String {
    let mut place = without_credentials(url.clone());
    place.set_query(None);
    place.set_fragment(None);
    place.into()
}

/// Where the same is to be asked for on the same server: headers may be secrets, and they would go
/// with the request.
pub fn redirected_within(response: &Response, base: &Url) -> Option<Url> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let mut there = response.url().join(location).ok()?;
    if there.origin() != base.origin() {
        return None;
    }
    // Only addresses without a host refuse these.
    let _ = there.set_username(base.username());
    let _ = there.set_password(base.password());
    Some(there)
}

/// What to do about a redirect that was not followed.
pub fn redirected_to(response: &Response) -> Option<String> {
    if !response.status().is_redirection() {
        return None;
    }
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let location = response.url().join(location).ok()?;
    let mut there = location.origin().ascii_serialization();
    // Elsewhere, a path may be a secret.
    if location.origin() == response.url().origin() {
        there += location.path();
    }
    Some(format!(
        "'{}' redirected to '{there}', which is not followed: the account's baseUrl should lead there",
        place(response.url())
    ))
}

/// Sent with every request, unasked.
#[derive(Clone)]
pub enum Credentials {
    None,
    Basic {
        username: String,
        password: SecretString,
    },
    Bearer(SecretString),
    /// `user:password`, read for every request: it may change at any time.
    File(PathBuf),
    /// A token, read for every request: it may change at any time.
    BearerFile(PathBuf),
    Google(Arc<Tokens>),
    /// A signature of what is sent.
    Aws(Arc<Signer>),
    OAuth2(Arc<ClientCredentials>),
}

impl Credentials {
    /// A token wins over user and password.
    pub fn of(login: &Login) -> Self {
        if let Some(token) = &login.bearer_token {
            return Self::Bearer(token.clone());
        }
        if login.username.is_none() && login.password.is_none() {
            return Self::None;
        }
        Self::Basic {
            username: login.username.clone().unwrap_or_default(),
            password: login.password.clone().unwrap_or_default(),
        }
    }

    pub async fn authorize(&self, request: RequestBuilder) -> Result<RequestBuilder, Failed> {
        Ok(match self {
            Self::None => request,
            Self::Basic { username, password } => {
                request.basic_auth(username, Some(password.expose_secret()))
            }
            Self::Bearer(token) => request.bearer_auth(token.expose_secret()),
            Self::File(path) => {
                let content = content("usernamePasswordFile", path).await?;
                let (username, password) = content.trim().split_once(':').ok_or_else(|| {
                    let path = path.display();
                    Failed::for_good(format!(
                        "usernamePasswordFile '{path}' does not hold 'user:password'"
                    ))
                })?;
                request.basic_auth(username, Some(password))
            }
            Self::BearerFile(path) => {
                let content = content("bearerTokenFile", path).await?;
                let token = content.trim();
                if token.is_empty() {
                    let path = path.display();
                    return Err(Failed::for_good(format!(
                        "bearerTokenFile '{path}' is empty"
                    )));
                }
                request.bearer_auth(token)
            }
            Self::Google(tokens) => {
                let token = tokens.bearer().await?;
                request.bearer_auth(token.expose_secret())
            }
            Self::Aws(signer) => {
                let (client, request) = request.build_split();
                let request = request.map_err(|cause| http::in_words(&cause.without_url()));
                let mut request = request.map_err(Failed::for_good)?;
                signer.sign(&mut request).await?;
                RequestBuilder::from_parts(client, request)
            }
            Self::OAuth2(tokens) => {
                let token = tokens.bearer().await?;
                request.bearer_auth(token.expose_secret())
            }
        })
    }
}

/// What an answer that is an error says, whatever its status.
pub enum Heard {
    /// The request came too soon.
    TooSoon,
    /// The credentials are not taken any more, and others will be sent.
    Renewed,
}

impl Credentials {
    pub fn heard(&self, answer: &HeaderMap, body: &[u8], sent: &HeaderMap) -> Option<Heard> {
        let Self::Aws(signer) = self else { return None };
        let code = aws::code(answer, body)?;
        if aws::is_throttled(&code) {
            return Some(Heard::TooSoon);
        }
        let is_renewed = aws::is_of_credentials(&code) && signer.forget(sent);
        is_renewed.then_some(Heard::Renewed)
    }

    /// What was sent is not taken any more, as a token may end before its time: whether another one may be.
    pub fn forget(&self, sent: &HeaderMap) -> bool {
        let bearer = sent
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let Some(bearer) = bearer.and_then(|bearer| bearer.strip_prefix("Bearer ")) else {
            return false;
        };
        let bearer = bearer.to_owned().into();
        match self {
            Self::Google(tokens) => tokens.forget(&bearer),
            Self::OAuth2(tokens) => tokens.forget(&bearer),
            Self::None
            | Self::Basic { .. }
            | Self::Bearer(_)
            | Self::File(_)
            | Self::BearerFile(_)
            | Self::Aws(_) => return false,
        }
        true
    }
}

/// The text of the file of that key.
pub async fn content(key: &str, path: &Path) -> Result<String, Failed> {
    let content = tokio::fs::read(path).await.and_then(text::of);
    content.map_err(|cause| {
        Failed::for_good(format!("cannot read {key} '{}': {cause}", path.display()))
    })
}
