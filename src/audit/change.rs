//! What changed of a config, in its record.

use json_patch::{Patch, PatchOperation, patch};
use serde::Deserialize;
use serde_json::Value;

/// One place of a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As in `/metrics/0/name`.
    pub place: String,
    /// As JSON; none, where there was nothing.
    pub before: Option<String>,
    pub after: Option<String>,
}

#[derive(Deserialize)]
struct Details {
    before: Value,
    diff: Patch,
}

/// Of the details of a change of a config; of others there are none.
pub fn changes(details: &str) -> Vec<Change> {
    let Ok(Details { mut before, diff }) = serde_json::from_str(details) else {
        return Vec::new();
    };
    let mut changes = Vec::new();
    for operation in diff.0 {
        let place = operation.path().to_string();
        let was = match &operation {
            // Something is put before it.
            PatchOperation::Add(_) => None,
            _ => text_at(&before, &place),
        };
        if patch(&mut before, std::slice::from_ref(&operation)).is_err() {
            return changes;
        }
        let is = match operation {
            PatchOperation::Remove(_) => None,
            _ => text_at(&before, &place),
        };
        changes.push(Change {
            place,
            before: was,
            after: is,
        });
    }
    changes
}

fn text_at(document: &Value, place: &str) -> Option<String> {
    let value = document.pointer(place).filter(|value| !value.is_null())?;
    Some(value.to_string())
}
