//! `serin canary-config schema`

use std::collections::BTreeSet;

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::api;
use crate::command::exit::Exit;
use crate::command::tell;

const ROOT: &str = "CanaryConfig";

const SCHEMAS: &str = "#/components/schemas/";

/// As the document of the API has it; editors check and complete by it.
pub fn run() -> anyhow::Result<Exit> {
    let document = api::document();
    let schema = schema(&document["components"]["schemas"])?;
    tell::result(&serde_json::to_string_pretty(&schema)?)?;
    Ok(Exit::Pass)
}

/// The schema of a config, with all that it refers to.
fn schema(known: &Value) -> anyhow::Result<Value> {
    let mut definitions = Map::new();
    let mut wanted = BTreeSet::from([ROOT.to_owned()]);
    while let Some(name) = wanted.pop_first() {
        if definitions.contains_key(&name) {
            continue;
        }
        let mut definition = known[name.as_str()].clone();
        if definition.is_null() {
            let missing = || format!("the document of the API has no schema '{name}'");
            return None.with_context(missing);
        }
        move_references(&mut definition, &mut wanted);
        definitions.insert(name, definition);
    }
    Ok(json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Canary config of serin",
        "$ref": format!("#/$defs/{ROOT}"),
        "$defs": definitions,
    }))
}

/// References lead to what stands beside, and tell what is wanted there.
fn move_references(value: &mut Value, wanted: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get_mut("$ref")
                && let Some(name) = reference.strip_prefix(SCHEMAS)
            {
                wanted.insert(name.to_owned());
                *reference = format!("#/$defs/{name}");
            }
            for member in members.values_mut() {
                move_references(member, wanted);
            }
        }
        Value::Array(items) => {
            for item in items {
                move_references(item, wanted);
            }
        }
        _ => {}
    }
}
