//! The key of a service account: what it signs is exchanged for a token.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::Client;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::sign::SigningKey;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use super::SCOPE;
use super::file::address;
use crate::clock::Clock;
use crate::http::ask::{self, Failed, Token};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SECONDS: i64 = 3600;

#[derive(Deserialize)]
pub struct ServiceAccount {
    client_email: String,
    private_key_id: Option<String>,
    private_key: SecretString,
    token_uri: String,
}

impl ServiceAccount {
    pub fn check(&self) -> Result<(), String> {
        self.key()?;
        address("token_uri", Some(&self.token_uri))
    }

    pub async fn token(&self, client: &Client) -> Result<Token, Failed> {
        let assertion = self.signed().map_err(Failed::for_good)?;
        let members = [("grant_type", GRANT), ("assertion", assertion.as_str())];
        ask::token(ask::form(client, &self.token_uri, &members), &[&assertion]).await
    }

    /// RFC 7523: who asks, for what, for how long.
    fn signed(&self) -> Result<String, String> {
        let now = Clock::System.now_millis() / 1000;
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": self.private_key_id});
        let claims = json!({
            "iss": self.client_email, "scope": SCOPE, "aud": self.token_uri,
            "iat": now, "exp": now + SECONDS,
        });
        let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encode(&header), encode(&claims));
        let signer = self
            .key()?
            .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signer = signer.ok_or("its private_key is no RSA key")?;
        let signature = signer.sign(message.as_bytes());
        let signature =
            signature.map_err(|cause| format!("its private_key cannot sign: {cause}"))?;
        Ok(format!(
            "{message}.{}",
            BASE64_URL_SAFE_NO_PAD.encode(signature)
        ))
    }

    fn key(&self) -> Result<Arc<dyn SigningKey>, String> {
        // The words of the parser could quote what is secret.
        let key = PrivateKeyDer::from_pem_slice(self.private_key.expose_secret().as_bytes());
        let key = key.ok().and_then(|key| any_supported_type(&key).ok());
        key.ok_or_else(|| "its private_key is no key".to_owned())
    }
}
