//! Who sent it, and that it came as it was sent.

use std::fmt::Write;

use axum::http::{HeaderName, HeaderValue};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;

use super::{Failed, reveal};
use crate::config::Given;

/// `t=<seconds>,v1=<HMAC-SHA256 of "<t>.<body>", in hexadecimal>`
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-serin-signature");

/// What [`SIGNATURE`] says of a body that is sent at that time.
pub async fn signature(secret: &Given, seconds: i64, body: &str) -> Result<HeaderValue, Failed> {
    let secret = reveal(secret).await?;
    let signature = signed(secret.expose_secret(), seconds, body);
    HeaderValue::try_from(signature)
        .map_err(|_| Failed::never("the signature cannot be sent".to_owned()))
}

fn signed(secret: &str, seconds: i64, body: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length will do");
    mac.update(format!("{seconds}.{body}").as_bytes());
    let mut signature = format!("t={seconds},v1=");
    for byte in mac.finalize().into_bytes() {
        let _ = write!(signature, "{byte:02x}");
    }
    signature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_time_and_the_body() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac secret
        let expected =
            "t=1700000000,v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163";
        assert_eq!(signed("secret", 1_700_000_000, "{}"), expected);
    }
}
