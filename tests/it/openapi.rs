//! The committed document is what the code says, and no endpoint of Kayenta is missing unsaid.

use std::collections::BTreeSet;

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

#[test]
fn every_endpoint_of_kayenta_is_there_or_said_to_be_missing() {
    let document = serde_json::to_value(serin::api::openapi()).unwrap();
    let mut known: BTreeSet<String> = missing_endpoints().collect();
    assert!(known.len() > 10, "the table was not read: {known:?}");
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            known.insert(format!("{} {}", method.to_uppercase(), without_names(path)));
        }
    }
    let wanted = include_str!("../golden/kayenta-paths.txt");
    assert!(wanted.lines().count() > 40);
    let unexplained: Vec<&str> = wanted
        .lines()
        .filter(|endpoint| !known.contains(*endpoint))
        .collect();
    assert!(unexplained.is_empty(), "{unexplained:#?}");
}

/// The first column of the table in `docs/kayenta.md`: `GET /one`, `POST /two`.
fn missing_endpoints() -> impl Iterator<Item = String> {
    include_str!("../../docs/kayenta.md")
        .split("\n## ")
        .find_map(|section| section.strip_prefix("Endpoints that serin does not have\n"))
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| `"))
        .flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .map(without_names)
}

/// The path with `{}` for every parameter.
fn without_names(path: &str) -> String {
    let mut parts = path.split('{');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str("{}");
        plain.push_str(part.split_once('}').unwrap().1);
    }
    plain
}
