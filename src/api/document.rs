//! The document of the API: what it has of every operation, whether its door says it or not, and its text.

use std::io;
use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use flate2::read::GzDecoder;
use serde_json::Value;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

use super::security;

/// `openapi/serin.json`, packed by `build.rs`.
const PACKED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/serin.json.gz"));

/// The document that was compiled in, which a test holds to the code.
pub fn document() -> Value {
    let text = io::read_to_string(GzDecoder::new(PACKED)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

pub async fn show() -> impl IntoResponse {
    static TEXT: LazyLock<String> = LazyLock::new(|| document().to_string());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str())
}

/// With what every operation has.
pub fn completed(mut document: OpenApi) -> OpenApi {
    security::add_schemes(&mut document);
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        security::add_refusals(operation);
        describe_answers(operation);
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
    ];
    all.into_iter().flatten()
}

/// OpenAPI asks for a description of every answer.
fn describe_answers(operation: &mut Operation) {
    for (status, answer) in &mut operation.responses.responses {
        if let RefOr::T(answer) = answer
            && answer.description.is_empty()
        {
            meaning(status).clone_into(&mut answer.description);
        }
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "what was asked for",
        "202" => "accepted, and goes on by itself",
        "204" => "done",
        "400" => "the request is wrong; `message` says what, and where",
        "404" => "there is none, or none that who asks may see",
        "409" => "it is not as the request takes it to be",
        "501" => "serin does not have it",
        "503" => "serin cannot do it now; the same call may go through later",
        _ => "",
    }
}
