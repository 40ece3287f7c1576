//! Signature Version 4 of one request, in its headers.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SigningInstructions, SigningSettings, sign as signed,
};
use aws_sigv4::sign::v4;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::http::{escaped, in_words};

/// Headers that are signed if they are there, beside those that a signature adds: what stands on the
/// way may change others.
const OURS: &str = "x-amz-";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");

pub fn sign(
    request: &mut Request,
    credentials: Credentials,
    region: &str,
    service: &str,
    now: SystemTime,
) -> Result<(), String> {
    write_query(request.url_mut());
    let instructions = instructions(request, credentials, region, service, now)?;
    for (name, value) in instructions.headers() {
        let name = name.parse::<HeaderName>();
        let name = name.map_err(|cause| in_words(&cause))?;
        let mut value = HeaderValue::from_str(value).map_err(|cause| in_words(&cause))?;
        value.set_sensitive(name != DATE);
        request.headers_mut().insert(name, value);
    }
    Ok(())
}

fn instructions(
    request: &Request,
    credentials: Credentials,
    region: &str,
    service: &str,
    now: SystemTime,
) -> Result<SigningInstructions, String> {
    let body = match request.body() {
        None => &[][..],
        Some(body) => body
            .as_bytes()
            .ok_or("what is sent piece by piece cannot be signed")?,
    };
    let is_signed = |name: &HeaderName| *name == CONTENT_TYPE || name.as_str().starts_with(OURS);
    let headers = request.headers().iter();
    let headers = headers.filter(|(name, _)| is_signed(name));
    let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|cause| in_words(&cause))?
        .into();
    let signable = SignableRequest::new(
        request.method().as_str(),
        request.url().as_str(),
        headers,
        SignableBody::Bytes(body),
    );
    let signed = signable.and_then(|signable| signed(signable, &parameters));
    let (instructions, _) = signed.map_err(|cause| in_words(&cause))?.into_parts();
    Ok(instructions)
}

/// As a signature has it: elsewhere a blank may be a plus, which AWS takes for one.
fn write_query(url: &mut Url) {
    if url.query().is_none_or(str::is_empty) {
        url.set_query(None);
        return;
    }
    let pairs = url.query_pairs();
    let pairs = pairs.map(|(name, value)| format!("{}={}", escaped(&name), escaped(&value)));
    let query = pairs.collect::<Vec<_>>().join("&");
    url.set_query(Some(&query));
}

/// Whether headers have the signature of that key.
pub fn is_by(sent: &HeaderMap, key: &str) -> bool {
    let signature = sent
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let signature = signature.and_then(|signature| signature.split_once("Credential="));
    signature.is_some_and(|(_, credential)| credential.split('/').next() == Some(key))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use reqwest::Method;

    use super::*;

    const KEY: &str = "AKIDEXAMPLE";
    /// 2015-08-30T12:36:00Z
    const THEN: u64 = 1_440_938_160;

    /// The vectors that AWS publishes for its signature, as far as their headers are those of serin.
    #[test]
    fn signatures_are_those_of_the_published_vectors() {
        let cases = [
            // name, method, address, token, signed headers, signature
            (
                "get-vanilla-query-order-key-case",
                Method::GET,
                "/?Param2=value2&Param1=value1",
                None,
                "host;x-amz-date",
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            ),
            (
                "get-vanilla-with-session-token",
                Method::GET,
                "/",
                Some("6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267"),
                "host;x-amz-date;x-amz-security-token",
                "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
            ),
            (
                "get-vanilla-utf8-query",
                Method::GET,
                "/?\u{1234}=bar",
                None,
                "host;x-amz-date",
                "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
            ),
            (
                "post-vanilla-query",
                Method::POST,
                "/?Param1=value1",
                None,
                "host;x-amz-date",
                "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
            ),
            (
                "get-unreserved",
                Method::GET,
                "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
                None,
                "host;x-amz-date",
                "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
            ),
        ];
        for (name, method, address, token, headers, signature) in cases {
            let address = format!("https://example.amazonaws.com{address}");
            let mut request = Request::new(method, address.parse().unwrap());
            let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
            let token = token.map(str::to_owned);
            let credentials = Credentials::new(KEY, secret, token, None, "test");
            let then = UNIX_EPOCH + Duration::from_secs(THEN);
            sign(&mut request, credentials, "us-east-1", "service", then).unwrap();
            let sent = request.headers();
            assert_eq!(sent[DATE], "20150830T123600Z", "{name}");
            let expected = format!(
                "AWS4-HMAC-SHA256 Credential={KEY}/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders={headers}, Signature={signature}"
            );
            assert_eq!(sent[AUTHORIZATION].to_str().unwrap(), expected, "{name}");
            assert!(is_by(sent, KEY) && !is_by(sent, "AKID"), "{name}");
        }
    }

    #[test]
    fn an_address_is_sent_as_it_is_signed() {
        let cases = [
            (
                "http://h/p?q=a+b%20c*d&e=%C3%A4%2B~",
                "http://h/p?q=a%20b%20c%2Ad&e=%C3%A4%2B~",
            ),
            ("http://h/p?", "http://h/p"),
            ("http://h/p", "http://h/p"),
        ];
        for (given, expected) in cases {
            let mut url = given.parse().unwrap();
            write_query(&mut url);
            assert_eq!(url.as_str(), expected);
        }
    }
}
