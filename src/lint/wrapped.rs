//! Canary configs within something else: a request, a stage of a pipeline, a manifest.

use serde_json::{Map, Value};

use crate::canary::Path;
use crate::config::duration;

/// Deeper than this lies no config.
const DEEPEST: usize = 24;

/// What a document is.
pub enum Document {
    /// A config, or what was meant to be one.
    Config,
    Wrapper(Wrapper),
}

/// What has configs in it, or names one.
pub struct Wrapper {
    /// `a request`
    pub what: String,
    pub configs: Vec<Wrapped>,
    /// The id or the name of a config that lies elsewhere.
    pub named: Option<String>,
}

pub struct Wrapped {
    pub path: Path,
    pub config: Value,
    /// Within a string, whose letters have no places of their own.
    pub is_quoted: bool,
    /// In minutes, where Argo asks for a canary of it again and again.
    pub interval: Option<i64>,
}

pub fn document(value: &Value) -> Document {
    let Some(what) = value.as_object().and_then(what) else {
        return Document::Config;
    };
    let kind = value["kind"].as_str().unwrap_or_default();
    let mut search = Search {
        has_texts: kind == "ConfigMap",
        is_of_argo: value["apiVersion"]
            .as_str()
            .is_some_and(|version| version.starts_with("argoproj.io/")),
        interval: None,
        found: Vec::new(),
        named: None,
    };
    search.look(value, &Path::default(), false, DEEPEST);
    Document::Wrapper(Wrapper {
        what,
        configs: search.found,
        named: search.named,
    })
}

/// None for a config.
fn what(members: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let has = |name: &str| members.contains_key(name);
    if let (Some(_), Some(kind)) = (text("apiVersion"), text("kind")) {
        return Some(format!("a manifest of kind '{kind}'"));
    }
    if is_config(members) {
        return None;
    }
    if text("type") == Some("kayentaCanary") {
        return Some("a stage of a pipeline".to_owned());
    }
    if members.get("stages").is_some_and(Value::is_array) {
        return Some("a pipeline".to_owned());
    }
    let is_request = has("executionRequest")
        || has("canaryConfig")
        || (has("scopes") && (has("thresholds") || has("lifetimeDurationMins")));
    is_request.then(|| "a request".to_owned())
}

fn is_config(members: &Map<String, Value>) -> bool {
    members.get("metrics").is_some_and(Value::is_array) || members.contains_key("classifier")
}

struct Search {
    /// Texts are files, such as those of a `ConfigMap`.
    has_texts: bool,
    /// Argo puts in what stands in double braces.
    is_of_argo: bool,
    /// Of the measurements that Argo takes here.
    interval: Option<i64>,
    found: Vec<Wrapped>,
    named: Option<String>,
}

impl Search {
    fn look(&mut self, value: &Value, path: &Path, is_quoted: bool, deepest: usize) {
        let Some(deepest) = deepest.checked_sub(1) else {
            return;
        };
        match value {
            Value::Object(members) => {
                let outside = self.interval;
                if self.is_of_argo && members.contains_key("provider") {
                    self.interval = interval(members);
                } else if members.contains_key("key") {
                    // All ask for the same canary.
                    self.interval = None;
                }
                for (name, inner) in members {
                    let path = path.clone().member(name);
                    let is_name = ["canaryConfigId", "canaryConfigName"].contains(&name.as_str());
                    match inner {
                        Value::Object(config) if name == "canaryConfig" && is_config(config) => {
                            self.found(path, inner, is_quoted);
                        }
                        Value::String(named) if is_name && !named.is_empty() => {
                            self.named.get_or_insert_with(|| named.clone());
                        }
                        inner => self.look(inner, &path, is_quoted, deepest),
                    }
                }
                self.interval = outside;
            }
            Value::Array(elements) => {
                for (at, inner) in elements.iter().enumerate() {
                    self.look(inner, &path.clone().nth(at), is_quoted, deepest);
                }
            }
            Value::String(text) => self.look_into(text, path, deepest),
            _ => {}
        }
    }

    fn look_into(&mut self, text: &str, path: &Path, deepest: usize) {
        if !text.trim_start().starts_with('{') && !self.has_texts {
            return;
        }
        let text = if self.is_of_argo {
            filled(text)
        } else {
            text.to_owned()
        };
        match yaml_serde::from_str::<Value>(&text) {
            Ok(Value::Object(members)) if is_config(&members) => {
                self.found(path.clone(), &Value::Object(members), true);
            }
            Ok(inner @ Value::Object(_)) => self.look(&inner, path, true, deepest),
            _ => {}
        }
    }

    fn found(&mut self, path: Path, config: &Value, is_quoted: bool) {
        let config = if self.is_of_argo {
            filled_in(config)
        } else {
            config.clone()
        };
        self.found.push(Wrapped {
            path,
            config,
            is_quoted,
            interval: self.interval,
        });
    }
}

/// How often a metric of Argo is measured, in minutes; none where that is once.
fn interval(metric: &Map<String, Value>) -> Option<i64> {
    let text = metric.get("interval")?.as_str()?;
    let count = metric.get("count").map(|count| match count {
        Value::String(text) => text.parse().ok(),
        count => count.as_i64(),
    });
    // What Argo puts in is not known here, and may be one.
    if matches!(count, Some(None | Some(..=1))) {
        return None;
    }
    let seconds = duration(text).ok()?.as_secs();
    i64::try_from(seconds.div_ceil(60))
        .ok()
        .filter(|minutes| 0 < *minutes)
}

/// With a number for whatever Argo puts in.
fn filled(text: &str) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((_, after)) = after.split_once("}}") else {
            break;
        };
        filled += before;
        filled.push('1');
        rest = after;
    }
    filled + rest
}

fn filled_in(value: &Value) -> Value {
    match value {
        Value::String(text) => filled(text).into(),
        Value::Array(elements) => elements.iter().map(filled_in).collect(),
        Value::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, value)| (name.clone(), filled_in(value)));
            Value::Object(members.collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn configs_are_found_wherever_they_are_taken_to() {
        let config = json!({"name": "c", "metrics": [], "classifier": {}});
        let argo = |body: Value| {
            json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "spec": {
                "metrics": [{"name": "m", "provider": {"web": body}}]}})
        };
        let request =
            json!({"canaryConfig": config, "executionRequest": {"step": "{{args.step}}"}});
        let unquoted = request
            .to_string()
            .replace("\"{{args.step}}\"", "{{args.step}}");
        let cases = [
            // document, what it is, paths of configs, name of another
            (config.clone(), None, vec![], None),
            (json!({"metrics": 5}), None, vec![], None),
            (json!([]), None, vec![], None),
            (
                request.clone(),
                Some("a request"),
                vec!["canaryConfig"],
                None,
            ),
            (
                json!({"canaryConfig": {"canaryConfigId": "x"}}),
                Some("a request"),
                vec![],
                Some("x"),
            ),
            (
                json!({"executionRequest": {"scopes": []}}),
                Some("a request"),
                vec![],
                None,
            ),
            (
                json!({"type": "kayentaCanary", "canaryConfig": {"canaryConfigId": "x", "scopes": []}}),
                Some("a stage of a pipeline"),
                vec![],
                Some("x"),
            ),
            (
                json!({"stages": [{"type": "wait"}, {"type": "kayentaCanary", "canaryConfig": {"canaryConfigId": "x"}}]}),
                Some("a pipeline"),
                vec![],
                Some("x"),
            ),
            (
                argo(json!({"jsonBody": request})),
                Some("a manifest of kind 'AnalysisTemplate'"),
                vec!["spec.metrics[0].provider.web.jsonBody.canaryConfig"],
                None,
            ),
            (
                argo(json!({"body": unquoted})),
                Some("a manifest of kind 'AnalysisTemplate'"),
                vec!["spec.metrics[0].provider.web.body.canaryConfig"],
                None,
            ),
            (
                json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a.json": config.to_string(),
                    "b.yml": "metrics: []\nclassifier: {}\n", "c.txt": "text: [", "d": "plain"}}),
                Some("a manifest of kind 'ConfigMap'"),
                vec!["data.a.json", "data.b.yml"],
                None,
            ),
            (
                json!({"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "spec": {"analysis": {
                    "webhooks": [{"metadata": {"canaryConfigName": "podinfo"}}]}}}),
                Some("a manifest of kind 'Canary'"),
                vec![],
                Some("podinfo"),
            ),
        ];
        for (value, what, paths, named) in cases {
            let Document::Wrapper(wrapper) = document(&value) else {
                assert_eq!(what, None, "{value}");
                continue;
            };
            assert_eq!(Some(wrapper.what.as_str()), what, "{value}");
            let found = wrapper.configs.iter();
            let found: Vec<String> = found.map(|found| found.path.to_string()).collect();
            assert_eq!(found, paths, "{value}");
            assert_eq!(wrapper.named.as_deref(), named, "{value}");
        }
    }

    #[test]
    fn what_argo_measures_again_and_again_is_known() {
        let cases = [
            (json!({"interval": "5m", "count": 3}), json!({}), Some(5)),
            (json!({"interval": "30s", "count": "3"}), json!({}), Some(1)),
            (json!({"interval": "5m"}), json!({}), Some(5)),
            (json!({"interval": "5m", "count": 1}), json!({}), None),
            (
                json!({"interval": "5m", "count": "{{args.count}}"}),
                json!({}),
                None,
            ),
            (
                json!({"interval": "{{args.interval}}", "count": 3}),
                json!({}),
                None,
            ),
            (json!({"count": 3}), json!({}), None),
            // One canary, asked for until it is there.
            (
                json!({"interval": "1m", "count": 3}),
                json!({"key": "a"}),
                None,
            ),
        ];
        for (mut metric, mut body, expected) in cases {
            body["canaryConfig"] = json!({"metrics": [], "classifier": {}});
            metric["provider"] = json!({"web": {"jsonBody": body}});
            let template = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
                "spec": {"metrics": [metric, {"provider": {"web": {"jsonBody": {"canaryConfig": {"metrics": []}}}}}]}});
            let Document::Wrapper(wrapper) = document(&template) else {
                panic!("{template}")
            };
            let found: Vec<_> = wrapper.configs.iter().map(|found| found.interval).collect();
            assert_eq!(found, [expected, None], "{template}");
        }
    }

    #[test]
    fn what_argo_puts_in_is_no_variable_left() {
        assert_eq!(
            filled("v=\"{{args.canary-hash}}-{{ args.x }}\" {{"),
            "v=\"1-1\" {{"
        );
    }
}
