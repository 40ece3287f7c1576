//! What a tool takes, as the document of the API says it of an operation, and the call that it makes of that.

use std::sync::Arc;

use axum::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};
use url::form_urlencoded::Serializer;

use super::Call;
use super::offers::Offer;

/// How deep a body is described: deeper, a sentence does. Agents pay for every word.
const DEPTH: usize = 3;

/// A tool, and how it calls.
pub struct Offered {
    pub tool: Tool,
    pub told: fn(&Value) -> Value,
    method: Method,
    path: String,
    /// Names of parameters.
    in_path: Vec<String>,
    in_query: Vec<String>,
    has_body: bool,
}

impl Offered {
    /// None, if there is no such operation.
    pub fn of(offer: &Offer, document: &Value) -> Option<Self> {
        let (path, method, operation) = operation(document, offer.operation)?;
        let (mut properties, mut required) = (Map::new(), Vec::new());
        let parameters = operation.get("parameters").and_then(Value::as_array);
        let parameters: Vec<&Value> = parameters.into_iter().flatten().collect();
        let named = |place: &str| -> Vec<String> {
            let there = parameters
                .iter()
                .filter(|parameter| parameter["in"] == place);
            there.map(|parameter| text(&parameter["name"])).collect()
        };
        let (in_path, in_query) = (named("path"), named("query"));
        for parameter in &parameters {
            let name = text(&parameter["name"]);
            if !in_path.contains(&name) && !in_query.contains(&name) {
                continue;
            }
            let mut schema = expanded(&parameter["schema"], document, DEPTH);
            if let Some(about) = parameter.get("description") {
                schema["description"] = about.clone();
            }
            if parameter["required"] == true {
                required.push(name.clone());
            }
            properties.insert(name, schema);
        }
        let body = operation.pointer("/requestBody/content/application~1json/schema");
        if let Some(body) = body {
            properties.insert("body".to_owned(), expanded(body, document, DEPTH));
            required.push("body".to_owned());
        }
        let input = json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false,
        });
        let about = ["summary", "description"].map(|part| text(&operation[part]));
        let about = about.join("\n\n").trim().to_owned();
        let input = input.as_object().cloned().unwrap_or_default();
        let tool = Tool::new(offer.name, about, Arc::new(input));
        Some(Self {
            tool: tool.with_annotations(ToolAnnotations::new().read_only(!offer.changes)),
            told: offer.told,
            method,
            path,
            in_path,
            in_query,
            has_body: body.is_some(),
        })
    }

    pub fn is(&self, name: &str) -> bool {
        self.tool.name == name
    }

    /// # Errors
    /// In words for the agent: what is missing, or what there is none of.
    pub fn call(&self, mut given: Map<String, Value>) -> Result<Call, String> {
        given.retain(|_, value| !value.is_null());
        let mut path = self.path.clone();
        for name in &self.in_path {
            let value = given.remove(name).map(|value| written(&value));
            // Dots would lead elsewhere.
            let value = value.filter(|value| !["", ".", ".."].contains(&value.as_str()));
            let value = value.ok_or_else(|| format!("'{name}' must be given"))?;
            let escaped = utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string();
            path = path.replace(&format!("{{{name}}}"), &escaped);
        }
        let mut query = Serializer::new(String::new());
        for name in &self.in_query {
            match given.remove(name) {
                Some(Value::Array(values)) => {
                    let values = values.iter().map(|value| (name, written(value)));
                    query.extend_pairs(values);
                }
                Some(value) => {
                    query.append_pair(name, &written(&value));
                }
                None => {}
            }
        }
        let query = query.finish();
        if !query.is_empty() {
            path = format!("{path}?{query}");
        }
        let body = if self.has_body {
            let body = given.remove("body");
            Some(body.ok_or_else(|| "'body' must be given".to_owned())?)
        } else {
            None
        };
        if let Some(unknown) = given.keys().next() {
            let known = self.tool.input_schema.get("properties");
            let known = known.and_then(Value::as_object).into_iter();
            let known: Vec<&str> = known.flat_map(Map::keys).map(String::as_str).collect();
            let known = known.join(", ");
            return Err(format!("'{unknown}' is not taken here: there are {known}"));
        }
        Ok(Call {
            method: self.method.clone(),
            path,
            body,
        })
    }
}

fn operation<'a>(document: &'a Value, id: &str) -> Option<(String, Method, &'a Value)> {
    let paths = document.get("paths")?.as_object()?;
    paths.iter().find_map(|(path, methods)| {
        let mut methods = methods.as_object()?.iter();
        let (method, operation) = methods.find(|(_, found)| found["operationId"] == id)?;
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).ok()?;
        Some((path.clone(), method, operation))
    })
}

/// Without references: what they lead to stands there, down to that depth. Agents know nothing else of the document.
fn expanded(schema: &Value, document: &Value, depth: usize) -> Value {
    match schema {
        Value::Object(members) => {
            let place = members.get("$ref").and_then(Value::as_str);
            let mut told = Map::new();
            let meant = place.and_then(|place| document.pointer(place.trim_start_matches('#')));
            if let Some(Value::Object(meant)) = meant {
                told = if 0 < depth || meant.contains_key("enum") {
                    let meant = meant.iter();
                    let depth = depth.saturating_sub(1);
                    meant
                        .map(|(name, of)| (name.clone(), expanded(of, document, depth)))
                        .collect()
                } else {
                    let kept = ["type", "description"].into_iter();
                    let kept =
                        kept.filter_map(|name| Some((name.to_owned(), meant.get(name)?.clone())));
                    kept.collect()
                };
                told.remove("example");
            }
            let own = members.iter();
            let own = own.filter(|(name, _)| !["$ref", "example"].contains(&name.as_str()));
            told.extend(own.map(|(name, own)| (name.clone(), expanded(own, document, depth))));
            Value::Object(told)
        }
        Value::Array(all) => {
            let all = all.iter().map(|schema| expanded(schema, document, depth));
            all.collect()
        }
        other => other.clone(),
    }
}

/// As an address has it.
fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::offers::OFFERS;
    use super::*;

    fn tool(name: &str) -> Offered {
        let document = crate::api::document();
        let offer = OFFERS.iter().find(|offer| offer.name == name).unwrap();
        Offered::of(offer, &document).unwrap()
    }

    #[test]
    fn arguments_become_a_call_or_are_refused_in_words() {
        let cases = [
            (
                "read_config",
                json!({"canaryConfigId": "a/../b?c"}),
                "GET /canaryConfig/a%2F%2E%2E%2Fb%3Fc",
            ),
            (
                "list_canaries",
                json!({"application": "a b", "limit": 5, "outcome": ["pass", "fail"], "page": null}),
                "GET /canary/executions?application=a+b&limit=5&outcome=pass&outcome=fail",
            ),
            (
                "lint_config",
                json!({"body": {}}),
                "POST /canaryConfig/lint {}",
            ),
            ("read_config", json!({}), "'canaryConfigId' must be given"),
            ("lint_config", json!({}), "'body' must be given"),
            (
                "cancel",
                json!({"executionId": "x", "id": "y"}),
                "'id' is not taken here: there are executionId",
            ),
        ];
        for (name, arguments, expected) in cases {
            let call = tool(name).call(arguments.as_object().unwrap().clone());
            let told = call.map_or_else(
                |wrong| wrong,
                |call| {
                    let body = call
                        .body
                        .map_or_else(String::new, |body| format!(" {body}"));
                    format!("{} {}{body}", call.method, call.path)
                },
            );
            assert_eq!(told, expected);
        }
    }

    #[test]
    fn a_schema_stands_alone_and_has_words_down_to_its_depth() {
        for offer in &OFFERS {
            let schema = serde_json::to_string(&*tool(offer.name).tool.input_schema).unwrap();
            assert!(!schema.contains("$ref"), "{}: {schema}", offer.name);
        }
        let body = tool("lint_config").tool.input_schema["properties"]["body"].clone();
        assert!(body.to_string().contains("scopeName"), "{body}");
    }
}
