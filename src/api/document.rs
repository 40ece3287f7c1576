//! What the document of the API has of every operation, whether its door says it or not.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

use super::security;

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
