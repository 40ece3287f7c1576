//! A template as an answer, and a failure as a page.

use askama::Template;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use super::shell::Shell;
use crate::access::Caller;
use crate::error::Error;

/// Scripts, styles and data come from serin alone, and none of them stands in a page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'",
);

/// No problem is longer.
const MOST_BYTES: usize = 1024 * 1024;

pub struct Page<T>(pub T);

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        match self.0.render() {
            Ok(text) => {
                let headers = [
                    (header::CONTENT_SECURITY_POLICY, POLICY),
                    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
                ];
                (headers, Html(text)).into_response()
            }
            Err(cause) => {
                Error::Internal(format!("a page cannot be written: {cause}")).into_response()
            }
        }
    }
}

#[derive(Template)]
#[template(path = "failure.html", config = "src/ui/askama.toml")]
struct Failure {
    shell: Shell,
    status: u16,
    title: &'static str,
    message: String,
    advice: &'static str,
}

/// What the API says of a failure.
#[derive(Deserialize)]
struct Problem {
    message: String,
}

/// On a failure that is a page: its message, for the log and the record.
#[derive(Clone)]
pub struct Told(pub String);

/// A failure has the status and the message that the API gives it; scripts, which ask for JSON,
/// get it as it is.
pub async fn tell_failure(request: Request, next: Next) -> Response {
    let is_for_people = !wants_json(request.headers());
    let caller = request.extensions().get::<Caller>().cloned();
    let response = next.run(request).await;
    if !is_for_people {
        return response;
    }
    told(caller.unwrap_or_else(Caller::anyone), response).await
}

/// The same of a request that is refused before a page is looked for.
pub async fn tell_refusal(headers: &HeaderMap, caller: Caller, response: Response) -> Response {
    if wants_json(headers) {
        return response;
    }
    told(caller, response).await
}

async fn told(caller: Caller, response: Response) -> Response {
    let status = response.status();
    let failed = status.is_client_error() || status.is_server_error();
    // A form that comes back says itself what is wrong with it.
    let is_page = response
        .headers()
        .contains_key(header::CONTENT_SECURITY_POLICY);
    if !failed || is_page {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, MOST_BYTES).await;
    let problem = body
        .ok()
        .and_then(|body| serde_json::from_slice(&body).ok());
    let title = status.canonical_reason().unwrap_or("Error");
    let message = problem.map_or_else(|| title.to_owned(), |Problem { message }| message);
    parts.extensions.insert(Told(message.clone()));
    let failure = Failure {
        shell: Shell::of(&caller),
        status: status.as_u16(),
        title,
        message,
        advice: advice(status),
    };
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    let mut page = Page(failure).into_response();
    *page.status_mut() = status;
    *page.extensions_mut() = parts.extensions;
    for (name, value) in &parts.headers {
        page.headers_mut().entry(name).or_insert(value.clone());
    }
    page
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT);
    let accepted = accepted.and_then(|value| value.to_str().ok());
    accepted.is_some_and(|kinds| kinds.starts_with("application/json"))
}

fn advice(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => {
            "Load the page again: the browser asks for a name and a password. The name of a token of \
             serin is the one, the token itself the other."
        }
        StatusCode::FORBIDDEN => "Who looks after serin says by its rules who may do this.",
        StatusCode::NOT_FOUND => "The address may be mistyped, or what it named has been deleted.",
        StatusCode::BAD_REQUEST => "The address holds something that cannot be understood.",
        StatusCode::SERVICE_UNAVAILABLE => "Nothing is lost. Load the page again in a few seconds.",
        _ => "The log of serin says more.",
    }
}
