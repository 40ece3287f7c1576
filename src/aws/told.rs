//! What AWS says is wrong, by its name.

use reqwest::header::HeaderMap;
use serde_json::Value;

const TYPE: &str = "x-amzn-errortype";

/// `ThrottlingException`, wherever an answer has it.
pub fn code(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    let header = headers.get(TYPE).and_then(|value| value.to_str().ok());
    let header = header.map(str::to_owned);
    header.or_else(|| in_json(body)).as_deref().and_then(name)
}

fn in_json(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let code = body.get("__type").or_else(|| body.get("code"))?;
    code.as_str().map(str::to_owned)
}

/// `com.amazon.coral#Name` and `Name:http://internal.amazon.com/…` are `Name`.
pub fn name(code: &str) -> Option<String> {
    let code = code.split(':').next().unwrap_or_default();
    let code = code.rsplit('#').next().unwrap_or_default().trim();
    (!code.is_empty()).then(|| code.to_owned())
}

/// Whether a request came too soon, with whatever status.
pub fn is_throttled(code: &str) -> bool {
    let others = [
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "SlowDown",
    ];
    code.contains("Throttl") || others.contains(&code)
}

/// Whether the credentials are not taken any more: they ended, or were taken back.
pub fn is_of_credentials(code: &str) -> bool {
    [
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
    ]
    .contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_its_name_in_a_header_or_in_the_body() {
        let cases = [
            (
                Some("ThrottlingException:http://internal.amazon.com/coral/"),
                "",
                Some("ThrottlingException"),
            ),
            (
                None,
                r#"{"__type": "com.amazon.coral.service#ExpiredTokenException"}"#,
                Some("ExpiredTokenException"),
            ),
            (
                None,
                r#"{"code": "Throttling", "message": "slower"}"#,
                Some("Throttling"),
            ),
            (None, r#"{"message": "no"}"#, None),
            (None, "<html>", None),
            (Some(""), "", None),
        ];
        for (header, body, expected) in cases {
            let header = header.map(|text| (TYPE.parse().unwrap(), text.parse().unwrap()));
            let headers: HeaderMap = header.into_iter().collect();
            assert_eq!(
                code(&headers, body.as_bytes()).as_deref(),
                expected,
                "{body}"
            );
        }
    }

    #[test]
    fn what_is_heard_of_a_code() {
        assert!(is_throttled("ThrottlingException") && is_throttled("RequestLimitExceeded"));
        assert!(!is_throttled("ValidationError"));
        assert!(is_of_credentials("ExpiredToken"));
        assert!(!is_of_credentials("AccessDenied") && !is_of_credentials("SignatureDoesNotMatch"));
    }
}
