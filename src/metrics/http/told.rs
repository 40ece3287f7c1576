//! The error that a service put into the body of its answer.

use serde::Deserialize;
use serde_json::Value;

use crate::aws;

/// In the service's own words, whichever of the common forms it has: `{"errorType", "error"}`,
/// `{"errors": […]}`, `{"error": {"message", "status"}}`, `{"message"}`, `{"errorType", "errorMessage"}`,
/// `{"status": {"message"}}`.
pub fn error_text(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Told {
        #[serde(rename = "errorType")]
        kind: Option<Value>,
        error: Option<Value>,
        errors: Option<Vec<Value>>,
        message: Option<Value>,
        #[serde(rename = "errorMessage")]
        error_message: Option<Value>,
        status: Option<Value>,
        #[serde(rename = "__type")]
        code: Option<Value>,
        #[serde(rename = "Message")]
        of_aws: Option<Value>,
    }
    let told: Told = serde_json::from_slice(body).ok()?;
    let text = |value: Option<Value>| match value? {
        Value::String(text) if !text.trim().is_empty() => Some(text),
        _ => None,
    };
    if let (None, Some(status @ Value::Object(_))) = (&told.error, &told.status)
        && let Some(text) = error_text(status.to_string().as_bytes())
    {
        return Some(text);
    }
    if let Some(error @ Value::Object(_)) = &told.error {
        return error_text(error.to_string().as_bytes());
    }
    let errors = told.errors.unwrap_or_default().into_iter();
    let errors = errors.filter_map(|error| match error {
        Value::Object(_) => error_text(error.to_string().as_bytes()),
        error => text(Some(error)),
    });
    let errors: Vec<String> = errors.collect();
    let errors = (!errors.is_empty()).then(|| errors.join("; "));
    let said = text(told.error)
        .or(errors)
        .or_else(|| text(told.error_message));
    // AWS's, as com.amazon.coral#ThrottlingException.
    let code = text(told.code).and_then(|code| aws::name(&code));
    let kind = text(told.kind).or(code);
    let message = text(told.message).or_else(|| text(told.of_aws));
    match (kind, said.or(message)) {
        (Some(kind), Some(said)) => Some(format!("{kind}: {said}")),
        (None, Some(said)) => Some(match text(told.status) {
            // Google's, as PERMISSION_DENIED.
            Some(status) if status.chars().all(|c| c.is_ascii_uppercase() || c == '_') => {
                format!("{status}: {said}")
            }
            _ => said,
        }),
        (kind, None) => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_told_in_the_words_of_the_service() {
        let cases = [
            (
                r#"{"status":"error","errorType":"bad_data","error":"no"}"#,
                Some("bad_data: no"),
            ),
            (
                r#"{"errors":["Forbidden", "no key"]}"#,
                Some("Forbidden; no key"),
            ),
            (
                r#"{"status":"error","error":"Rule failed"}"#,
                Some("Rule failed"),
            ),
            (
                r#"{"error":{"code":403,"message":"The caller may not","status":"PERMISSION_DENIED"}}"#,
                Some("PERMISSION_DENIED: The caller may not"),
            ),
            (
                r#"{"code":401,"message":"Unauthorized"}"#,
                Some("Unauthorized"),
            ),
            (r#"{"errorType":"timeout"}"#, Some("timeout")),
            (
                r#"{"errorType":"QuerySyntaxError","errorMessage":"bad"}"#,
                Some("QuerySyntaxError: bad"),
            ),
            (
                r#"{"status":{"result":"ERROR","message":"no such token","code":403}}"#,
                Some("no such token"),
            ),
            (r#"{"status":{"status":{"message":"deep"}}}"#, Some("deep")),
            (
                r#"{"__type":"com.amazon#ThrottlingException","Message":"Rate exceeded"}"#,
                Some("ThrottlingException: Rate exceeded"),
            ),
            (r#"{"errors":[{"detail":1}],"error":""}"#, None),
            (r#"{"data":[]}"#, None),
            ("[1]", None),
            ("<html>", None),
        ];
        for (body, expected) in cases {
            assert_eq!(error_text(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }
}
