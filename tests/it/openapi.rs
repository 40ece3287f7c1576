//! The committed document is what the code says, and no endpoint of Kayenta is missing unsaid.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use serin::judge::policy::{MEMBERS, WORDS};
use serin::judge::sequential::settings::OF_METRIC;

#[test]
fn the_committed_document_is_current() {
    let current = serin::api::openapi().to_pretty_json().unwrap();
    let committed = include_str!("../../openapi/serin.json");
    assert!(
        committed.trim() == current.trim(),
        "openapi/serin.json is old: cargo run -- openapi > openapi/serin.json"
    );
    let compiled_in = serin::api::document();
    assert!(compiled_in == serde_json::from_str::<Value>(committed).unwrap());
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
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let told = answer["description"].as_str().unwrap_or_default();
                assert!(!told.is_empty(), "{method} {path}: {status}");
            }
        }
    }
    assert!(names.len() > 30);
}

#[test]
fn the_document_has_what_judges_read_of_a_metric() {
    let document = serde_json::to_value(serin::api::openapi()).unwrap();
    let policy = "CanaryAnalysisConfiguration";
    let members_of = |part: &str| match part {
        "" => members(&document, policy),
        part => members(&document, &referred(&members(&document, policy)[part])),
    };
    let names =
        |known: &[&str]| -> BTreeSet<String> { known.iter().map(ToString::to_string).collect() };
    for (part, known) in MEMBERS {
        let own: &[&str] = if part.is_empty() { &OF_METRIC } else { &[] };
        let told: BTreeSet<String> = members_of(part).keys().cloned().collect();
        assert_eq!(told, names(&[known, own].concat()), "{part}");
    }
    for (path, words) in WORDS {
        let (part, member) = path.split_once('.').unwrap_or(("", path));
        let kind = referred(&members_of(part)[member]);
        let told = document["components"]["schemas"][kind]["enum"].clone();
        let told: BTreeSet<String> = serde_json::from_value(told).unwrap();
        assert_eq!(told, names(words), "{path}");
    }
}

fn members(document: &Value, schema: &str) -> Map<String, Value> {
    let members = &document["components"]["schemas"][schema]["properties"];
    members.as_object().unwrap().clone()
}

/// The schema that a member is of.
fn referred(member: &Value) -> String {
    let choices = member["oneOf"].as_array().into_iter().flatten();
    let mut schemas = choices.chain([member]);
    let place = schemas.find_map(|schema| schema["$ref"].as_str());
    place.unwrap().rsplit('/').next().unwrap().to_owned()
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
