//! The paths of Spinnaker's Gate, for its clients where there is no Spinnaker.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::canary::iso_from_millis;
use crate::clock::Clock;

/// A refusal is short.
const MOST_BYTES: usize = 1 << 16;

/// On a request for a path of Gate.
#[derive(Clone, Copy, Debug)]
struct OfGate;

/// What clients of Gate ask for first of all.
pub async fn version() -> Json<Value> {
    Json(json!({"version": env!("CARGO_PKG_VERSION")}))
}

/// Answers as Gate does where it answers otherwise than Kayenta: terraform providers read the
/// `timestamp` of an error unasked, and the spin CLI wants 200 of what is deleted.
pub async fn answer_as_gate(request: axum::extract::Request, next: Next) -> Response {
    let is_of_gate = request.extensions().get::<OfGate>().is_some();
    let mut response = next.run(request).await;
    let status = response.status();
    if !is_of_gate {
        return response;
    }
    if status == StatusCode::NO_CONTENT {
        *response.status_mut() = StatusCode::OK;
    }
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, MOST_BYTES).await.unwrap_or_default();
    let mut told: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
    let reason = status.canonical_reason().unwrap_or("Error");
    told.entry("message").or_insert(reason.into());
    told.insert("error".to_owned(), reason.into());
    told.insert("status".to_owned(), status.as_u16().into());
    let now = iso_from_millis(Clock::System.now_millis());
    told.insert("timestamp".to_owned(), now.into());
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    (parts, Json(told)).into_response()
}

/// Turns a path of Gate into the one that Gate itself would call; leaves every other as it is.
pub fn without_gate(mut request: Request<Body>) -> Request<Body> {
    if request.uri().path().starts_with("/v2/") {
        request.extensions_mut().insert(OfGate);
    }
    let uri = request.uri();
    if let Some(direct) = direct(uri.path(), uri.query().unwrap_or_default())
        && let Ok(direct) = direct.parse::<Uri>()
    {
        *request.uri_mut() = direct;
    }
    request
}

fn direct(path: &str, query: &str) -> Option<String> {
    let parts: Vec<&str> = path.strip_prefix("/v2/")?.split('/').collect();
    let to = |path: String| Some(with_query(path, query));
    match parts[..] {
        ["canaryConfig"] => to("/canaryConfig".to_owned()),
        ["canaryConfig", id] => to(format!("/canaryConfig/{id}")),
        ["canaries", list @ ("credentials" | "judges")] => to(format!("/{list}")),
        ["canaries", "metadata", "metricsService"] => to("/metadata/metricsService".to_owned()),
        ["canaries", "metricSetPairList", id] => Some(with_query(
            format!("/metricSetPairList/{id}"),
            &renamed(query, "storageAccountName", "accountName"),
        )),
        ["canaries", application, "executions"] => {
            let application = as_query_value(application);
            let rest = if query.is_empty() { "" } else { "&" };
            Some(format!(
                "/canary/executions?application={application}{rest}{query}"
            ))
        }
        ["canaries", "canary"] => to("/canary".to_owned()),
        // The second is deprecated; it tells the config, which nobody needs to find the execution.
        ["canaries", "canary", id] | ["canaries", "canary", _, id] => to(format!("/canary/{id}")),
        _ => None,
    }
}

fn with_query(path: String, query: &str) -> String {
    if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    }
}

/// The query with another name for one of its parameters; all else stays as it was escaped.
fn renamed(query: &str, from: &str, to: &str) -> String {
    let parameters = query.split('&').map(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if name == from {
            format!("{to}={value}")
        } else {
            parameter.to_owned()
        }
    });
    parameters.collect::<Vec<_>>().join("&")
}

/// What stands for itself in a path and means more in a query.
fn as_query_value(segment: &str) -> String {
    segment
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_gate_becomes_the_one_that_gate_calls() {
        let cases = [
            (
                "/v2/canaryConfig?application=web",
                "/canaryConfig?application=web",
            ),
            ("/v2/canaryConfig/a.b%20c", "/canaryConfig/a.b%20c"),
            ("/v2/canaries/credentials", "/credentials"),
            ("/v2/canaries/judges", "/judges"),
            (
                "/v2/canaries/metadata/metricsService?filter=cpu&metricsAccountName=p",
                "/metadata/metricsService?filter=cpu&metricsAccountName=p",
            ),
            ("/v2/canaries/canary", "/canary"),
            (
                "/v2/canaries/canary/c?application=web",
                "/canary/c?application=web",
            ),
            (
                "/v2/canaries/canary/c/e?storageAccountName=s",
                "/canary/e?storageAccountName=s",
            ),
            (
                "/v2/canaries/my%20app+a&b/executions?limit=20&page=1",
                "/canary/executions?application=my%20app%2Ba%26b&limit=20&page=1",
            ),
            // An application may have the name of a path; an execution is never named so.
            (
                "/v2/canaries/canary/executions",
                "/canary/executions?application=canary",
            ),
            (
                "/v2/canaries/metricSetPairList/l?storageAccountName=a%2Fb&x",
                "/metricSetPairList/l?accountName=a%2Fb&x",
            ),
            // What Gate does not have stays.
            ("/v2/canaries/judges/judge", "/v2/canaries/judges/judge"),
            ("/v2/canaries", "/v2/canaries"),
            ("/canary/v2", "/canary/v2"),
        ];
        for (given, expected) in cases {
            let request = Request::builder().uri(given).body(Body::empty()).unwrap();
            assert_eq!(without_gate(request).uri(), expected, "{given}");
        }
    }
}
