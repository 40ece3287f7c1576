//! The committed document is what the code says.

#[test]
fn the_committed_document_is_current() {
    let current = serin::api::openapi().to_pretty_json().unwrap();
    let committed = include_str!("../../openapi/serin.json");
    assert!(
        committed.trim() == current.trim(),
        "openapi/serin.json is old: cargo run -- openapi > openapi/serin.json"
    );
}

#[test]
fn every_operation_has_a_name_a_tag_and_a_summary() {
    let document = serde_json::to_value(serin::api::openapi()).unwrap();
    let mut names = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let name = operation["operationId"].as_str().unwrap_or("");
            assert!(
                !name.is_empty() && !names.contains(&name),
                "{method} {path}"
            );
            names.push(name);
            assert!(operation["tags"][0].is_string(), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
        }
    }
    assert!(names.len() > 30);
}
