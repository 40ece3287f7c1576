//! What the document of the API says of credentials: which there are, and how a door refuses.

use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::Ref;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, RefOr, ResponseBuilder};

/// Nobody is asked there who it is.
const OPEN: [&str; 6] = [
    "liveness",
    "readiness",
    "start_pipeline",
    "tell_build",
    "describe_metrics",
    "list_rules",
];

pub fn add_schemes(document: &mut OpenApi) {
    let http = |scheme| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).build());
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("bearer", http(HttpAuthScheme::Bearer));
    components.add_security_scheme("basic", http(HttpAuthScheme::Basic));
    // None, where the configuration does not say who may what.
    let requirement = |name| SecurityRequirement::new::<_, [&str; 0], &str>(name, []);
    let none = SecurityRequirement::default();
    document.security = Some(vec![requirement("bearer"), requirement("basic"), none]);
}

/// What every door that is not for everybody may answer.
pub fn add_refusals(operation: &mut Operation) {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    if OPEN.contains(&id) {
        return;
    }
    let wrong = operation.responses.responses.get("400");
    // Others are refused in the words of whom they stand in for.
    let is_problem = match wrong {
        Some(RefOr::T(wrong)) => wrong.content.contains_key("application/json"),
        _ => true,
    };
    let refusals = [
        ("401", "serin does not know who asks"),
        ("403", "who asks may not"),
    ];
    for (status, told) in refusals {
        let mut response = ResponseBuilder::new().description(told);
        if is_problem {
            let problem = Ref::from_schema_name("Problem");
            let content = ContentBuilder::new().schema(Some(problem)).build();
            response = response.content("application/json", content);
        }
        let responses = &mut operation.responses.responses;
        let refusal = RefOr::T(response.build());
        responses.entry(status.to_owned()).or_insert(refusal);
    }
}
