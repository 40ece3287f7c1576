//! What is to be judged: a file, with flags and the environment above it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use super::Run;
use super::margins;
use super::own::Own;
pub use super::side::{Side, Sides};
use crate::canary::near::near;
use crate::canary::{self, Learned};
use crate::command::canary_config::standard_input;
use crate::command::client::is_standard;
use crate::command::exit::Usage;
use crate::config::{self, Shorthands};
use crate::lint;
use crate::metrics::promql;

/// What is judged, said in one of these ways.
const WHAT: [&str; 5] = [
    "canaryConfig",
    "canaryConfigFile",
    "canaryConfigId",
    "canaryConfigName",
    "metrics",
];

/// When it begins.
const WHEN: [&str; 2] = ["window", "start"];

/// `canary.yml`, whole.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Plan {
    pub application: Option<String>,
    pub canary_config: Option<Value>,
    /// Beside the file that names it.
    pub canary_config_file: Option<PathBuf>,
    pub canary_config_id: Option<String>,
    pub canary_config_name: Option<String>,
    /// Name and query, for a config of the simplest kind.
    pub metrics: IndexMap<String, String>,
    pub control: Option<Side>,
    pub experiment: Option<Side>,
    /// Of several named scopes; `control` and `experiment` are those of one, `default`.
    pub scopes: IndexMap<String, Sides>,
    pub location: Option<String>,
    /// `last 30m`.
    pub window: Option<String>,
    pub start: Option<String>,
    pub end: Option<String>,
    /// Seconds between two points.
    pub step: Option<i64>,
    /// Variables for templates, of both sides.
    pub params: IndexMap<String, String>,
    pub thresholds: Thresholds,
    pub analysis: Option<Analysis>,
    /// What `serin calibrate --output` wrote, for runs without a server; beside the file that names it.
    pub calibration: Option<PathBuf>,
    pub accounts: Accounts,
    /// Handed on as they are.
    pub site_local: Option<Value>,
    pub actions: Option<Value>,
    pub server: Option<String>,
    pub prometheus: Option<String>,
    pub datadog: Option<String>,
    pub signalfx: Option<String>,
    pub google: Option<String>,
    #[serde(deserialize_with = "duration")]
    pub timeout: Option<Duration>,
    pub report: IndexMap<String, PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Thresholds {
    pub pass: Option<f64>,
    pub marginal: Option<f64>,
}

/// Canaries over one window after the other, while the traffic flows.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Analysis {
    #[serde(deserialize_with = "duration")]
    pub lifetime: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub interval: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub begin_after: Option<Duration>,
    #[serde(deserialize_with = "duration")]
    pub lookback: Option<Duration>,
    /// How far back the control lies.
    #[serde(deserialize_with = "duration")]
    pub control_offset: Option<Duration>,
}

/// Names of the server's accounts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Accounts {
    pub metrics: Option<String>,
    pub storage: Option<String>,
    pub configuration: Option<String>,
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    let parsed = text.map(|text| {
        config::duration(&text).map_err(|wrong| de::Error::custom(format!("'{text}' {wrong}")))
    });
    parsed.transpose()
}

/// Where one key is near, the list of all of them is no help.
fn briefly(wrong: &str) -> String {
    let unknown = wrong.strip_prefix("unknown field `");
    let parts = unknown.and_then(|rest| rest.split_once("`, expected "));
    let near = parts.and_then(|(key, known)| {
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        Some((key, near(key, &known)?))
    });
    match near {
        Some((key, near)) => format!("unknown field `{key}`; did you mean '{near}'?"),
        None => wrong.to_owned(),
    }
}

impl Plan {
    /// The sources that the file names.
    pub fn shorthands(&self) -> Shorthands {
        Shorthands {
            prometheus: self.prometheus.clone(),
            datadog: self.datadog.clone(),
            signalfx: self.signalfx.clone(),
            google: self.google.clone(),
        }
    }

    /// The file with the flags above it.
    pub fn of(run: &Run) -> anyhow::Result<Self> {
        let file = run.file();
        let text = file.map(read_text).transpose()?.unwrap_or_default();
        let mut tree = match file {
            Some(file) => with_files_beside(read_tree(&text, file)?, file),
            None => Value::Object(Map::new()),
        };
        let overrides = run.flags.overrides()?;
        make_way(&mut tree, &overrides);
        let mut typed = Vec::new();
        for (path, value) in overrides {
            put(&mut tree, &path, value)?;
            typed.push(path);
        }
        let plan: Self = serde_path_to_error::deserialize(tree).map_err(|wrong| {
            let path = canary::Path::from(wrong.path());
            let told = briefly(&wrong.inner().to_string());
            let of = match file.filter(|_| !is_typed(&path, &typed)) {
                Some(file) => place(file, &text, &path),
                None => "the flags".to_owned(),
            };
            match path.to_string().as_str() {
                "" => Usage(format!("{of}: {told}")),
                path => Usage(format!("{of}: {path}: {told}")),
            }
        })?;
        Ok(plan)
    }

    /// The margins of the file that the run names.
    pub fn margins(&self) -> anyhow::Result<Option<Learned>> {
        let file = self.calibration.as_deref();
        let read = |file| margins::of(&read_text(file)?, file);
        file.map(read).transpose()
    }

    /// The canary config that comes with the run, if it is not one that the server has. Queries that are
    /// given by themselves are of that type.
    pub fn own_config(
        &self,
        kind: &str,
        margins: Option<&Learned>,
    ) -> anyhow::Result<Option<Value>> {
        let is_given = [
            self.canary_config.is_some(),
            self.canary_config_file.is_some(),
            self.canary_config_id.is_some(),
            self.canary_config_name.is_some(),
            !self.metrics.is_empty(),
        ];
        let given = WHAT.into_iter().zip(is_given);
        let given: Vec<&str> = given.filter(|(_, is)| *is).map(|(name, _)| name).collect();
        match given.as_slice() {
            [] => Err(Usage(
                "what is to be judged? A config is named by --canary-config FILE, --config-id or --config-name; \
                 one metric by --metric 'errors=rate(http_errors_total{version=\"${scope}\"}[5m])'"
                    .to_owned(),
            )
            .into()),
            [_] => self.one_config(kind, margins),
            several => Err(Usage(format!("only one of {} can say what is judged", several.join(", "))).into()),
        }
    }

    fn one_config(&self, kind: &str, margins: Option<&Learned>) -> anyhow::Result<Option<Value>> {
        let own = if let Some(config) = &self.canary_config {
            Own::of_value(config)
        } else if let Some(file) = &self.canary_config_file {
            Own::of_file(read_text(file)?, file)
        } else if self.metrics.is_empty() {
            return Ok(None);
        } else {
            Own::of_value(&simplest(&self.metrics, kind))
        };
        own.value(self, margins).map(Some)
    }
}

/// Whether a flag says what stands there, or part of it.
fn is_typed(path: &canary::Path, typed: &[String]) -> bool {
    let path = path.to_string();
    let within = format!("{path}.");
    let mut typed = typed.iter().map(|typed| typed.replace('\n', "."));
    typed.any(|typed| typed == path || typed.starts_with(&within))
}

/// As compilers print it: `file:line:column`.
fn place(file: &Path, text: &str, path: &canary::Path) -> String {
    let file = file.display();
    match lint::position_in_yaml(text, path) {
        Some(position) => format!("{file}:{}:{}", position.line, position.column),
        None => format!("'{file}'"),
    }
}

/// Each metric by its query, all in one group, and any clear change fails.
fn simplest(metrics: &IndexMap<String, String>, kind: &str) -> Value {
    let metric = |(name, query): (&String, &String)| {
        let is_whole = kind != promql::KIND || promql::whole(query).is_some();
        let inline = if is_whole {
            query.clone()
        } else {
            format!("{}{query}", promql::PREFIX)
        };
        serde_json::json!({
            "name": name,
            "query": {"type": kind, "serviceType": kind, "customInlineTemplate": inline},
            "groups": ["metrics"],
            "analysisConfigurations": {"canary": {"direction": "either"}},
            "scopeName": "default",
        })
    };
    serde_json::json!({
        "name": "serin-run",
        "configVersion": "1",
        "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {}},
        "metrics": metrics.iter().map(metric).collect::<Vec<_>>(),
        "classifier": {"groupWeights": {"metrics": 100}},
    })
}

/// `-` is standard input.
fn read_text(file: &Path) -> anyhow::Result<String> {
    if is_standard(file) {
        return standard_input();
    }
    let text = config::text::read(file);
    Ok(text.map_err(|cause| Usage(format!("cannot read '{}': {cause}", file.display())))?)
}

/// YAML, of which JSON is a part.
fn read_tree(text: &str, file: &Path) -> anyhow::Result<Value> {
    let wrong = |cause: yaml_serde::Error| Usage(format!("'{}': {cause}", file.display()));
    let mut yaml: yaml_serde::Value = yaml_serde::from_str(text).map_err(wrong)?;
    yaml.apply_merge().map_err(wrong)?;
    let tree = serde_json::to_value(yaml)
        .map_err(|cause| Usage(format!("'{}': {cause}", file.display())))?;
    match tree {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(_) => Ok(tree),
        _ => Err(Usage(format!(
            "'{}' must be a mapping of keys to values",
            file.display()
        ))
        .into()),
    }
}

/// What the file names lies beside it, unlike what a flag names.
fn with_files_beside(mut tree: Value, file: &Path) -> Value {
    for key in ["canaryConfigFile", "calibration"] {
        if let (Some(Value::String(named)), Some(folder)) = (tree.get_mut(key), file.parent()) {
            *named = folder.join(&*named).display().to_string();
        }
    }
    tree
}

/// Of keys that exclude each other, what is stronger takes the place of all.
fn make_way(tree: &mut Value, overrides: &[(String, Value)]) {
    let Some(members) = tree.as_object_mut() else {
        return;
    };
    for alternatives in [&WHAT[..], &WHEN] {
        let is_one = |path: &str| alternatives.contains(&path.split('\n').next().unwrap_or(path));
        if overrides.iter().any(|(path, _)| is_one(path)) {
            members.retain(|key, _| !alternatives.contains(&key.as_str()));
        }
    }
}

/// Puts a value under a path of keys, with dots or, where a key may hold dots, lines between; a text on the way, such as `control: v1`, is its `scope`.
fn put(tree: &mut Value, path: &str, value: Value) -> Result<(), Usage> {
    let mut at = tree;
    let between = if path.contains('\n') { '\n' } else { '.' };
    let mut keys = path.split(between).peekable();
    while let Some(key) = keys.next() {
        if let Value::String(scope) = at {
            *at = serde_json::json!({"scope": scope});
        }
        if at.is_null() {
            *at = Value::Object(Map::new());
        }
        let Value::Object(members) = at else {
            return Err(Usage(format!(
                "'{path}' lies below something that has no members"
            )));
        };
        if keys.peek().is_none() {
            members.insert(key.to_owned(), value);
            return Ok(());
        }
        at = members.entry(key).or_insert(Value::Null);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_stronger_takes_the_place_of_what_it_excludes() {
        let file = json!({"canaryConfigId": "a", "window": "last 1h", "end": "now", "step": 60});
        let cases = [
            ("step", file.clone()),
            (
                "canaryConfigFile",
                json!({"window": "last 1h", "end": "now", "step": 60}),
            ),
            (
                "metrics\nerrors",
                json!({"window": "last 1h", "end": "now", "step": 60}),
            ),
            (
                "start",
                json!({"canaryConfigId": "a", "end": "now", "step": 60}),
            ),
        ];
        for (path, expected) in cases {
            let mut tree = file.clone();
            make_way(&mut tree, &[(path.to_owned(), json!(1))]);
            assert_eq!(tree, expected, "{path}");
        }
    }

    #[test]
    fn a_path_is_put_wherever_it_leads() {
        let cases = [
            (json!({}), "a.b", json!({"a": {"b": 1}})),
            (json!({"a": null}), "a.b", json!({"a": {"b": 1}})),
            (
                json!({"a": {"c": 2}}),
                "a.b",
                json!({"a": {"c": 2, "b": 1}}),
            ),
            (json!({"a": {"b": 2}}), "a.b", json!({"a": {"b": 1}})),
            (
                json!({"control": "v1"}),
                "control.location",
                json!({"control": {"scope": "v1", "location": 1}}),
            ),
        ];
        for (mut tree, path, expected) in cases {
            put(&mut tree, path, json!(1)).unwrap();
            assert_eq!(tree, expected);
        }
        assert!(put(&mut json!({"a": [1]}), "a.b", json!(1)).is_err());
    }
}
