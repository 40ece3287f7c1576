//! The layers of a configuration, each a tree of its own, and their sum.

use std::collections::BTreeMap;

use ::config::{Config, ConfigError, Map, Source, Value, ValueKind};
use yaml_serde::Value as Yaml;

use super::scalar::relax;
use super::{Error, Result};

/// Where the values of the compiled-in file come from.
pub const COMPILED_IN: &str = "the defaults";

/// Environment variables of this prefix are keys: `SERIN__SERVER__PORT`.
const PREFIX: &str = "SERIN__";

/// As every program that sends traces is told where to; not where ours says it.
const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// One layer: a mapping whose values know where they come from.
#[derive(Clone, Debug, Default)]
pub struct Layer(pub Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.0.clone())
    }
}

impl Layer {
    /// A YAML document; `origin` names it in messages.
    pub fn from_yaml(text: &str, origin: &str) -> Result<Self> {
        match value_from_yaml(text, origin)?.kind {
            ValueKind::Nil => Ok(Self::default()),
            ValueKind::Table(table) => Ok(Self(table)),
            _ => Err(Error(format!(
                "{origin}: must be a mapping of keys to values at its top"
            ))),
        }
    }

    /// All variables of our prefix; a value that begins as a YAML list or mapping is read as one.
    pub fn from_environment(environment: &BTreeMap<String, String>) -> Result<Self> {
        let mut table = Map::new();
        for (name, text) in environment {
            let path = match name.strip_prefix(PREFIX) {
                Some(path) => path,
                None if name == COLLECTOR && !text.is_empty() => "traces__endpoint",
                None => continue,
            };
            let value = if text.starts_with(['[', '{']) {
                value_from_yaml(text, name)?
            } else {
                Value::new(Some(name), text.clone())
            };
            let path: Vec<String> = path.split("__").map(str::to_lowercase).collect();
            if !insert(&mut table, &path, &value) {
                return Err(Error(format!(
                    "{name}: sets a key below a value that another variable sets"
                )));
            }
        }
        Ok(Self(table))
    }

    /// Dotted keys with their values.
    pub fn from_pairs(pairs: &[(String, String)], origin: &str) -> Self {
        let mut table = Map::new();
        for (path, text) in pairs {
            let path: Vec<String> = path.split('.').map(str::to_owned).collect();
            let value = Value::new(Some(&origin.to_owned()), text.clone());
            insert(&mut table, &path, &value);
        }
        Self(table)
    }

    /// The sum with a stronger layer: mappings are merged, everything else is replaced.
    /// Keys take the spelling of the weaker layer; a key without a value is as if it were not there.
    pub fn overlay(self, stronger: Self) -> Result<Self> {
        let stronger = align(stronger.0, &self.0, "")?;
        let sum = Config::builder()
            .add_source(self)
            .add_source(Self(stronger))
            .build()
            .and_then(|config| config.collect())
            .map_err(|cause| Error(cause.to_string()))?;
        Ok(Self(sum))
    }

    /// The keys of a mapping in it, in their order.
    pub fn keys_of(&self, section: &str) -> Vec<String> {
        match self.0.get(section).map(|value| &value.kind) {
            Some(ValueKind::Table(table)) => table.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }
}

fn value_from_yaml(text: &str, origin: &str) -> Result<Value> {
    // The message of the parser ends with line and column.
    let wrong = |cause: yaml_serde::Error| Error(format!("{origin}: {cause}"));
    let mut yaml: Yaml = yaml_serde::from_str(text).map_err(wrong)?;
    yaml.apply_merge().map_err(wrong)?;
    Ok(convert(yaml, &origin.to_owned()))
}

fn convert(yaml: Yaml, origin: &String) -> Value {
    let kind = match yaml {
        Yaml::Null => ValueKind::Nil,
        Yaml::Bool(flag) => ValueKind::Boolean(flag),
        Yaml::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => ValueKind::I64(number),
            (None, Some(number), _) => ValueKind::U64(number),
            (None, None, number) => ValueKind::Float(number.unwrap_or(f64::NAN)),
        },
        Yaml::String(text) => ValueKind::String(text),
        Yaml::Sequence(items) => ValueKind::Array(
            items
                .into_iter()
                .map(|item| convert(item, origin))
                .collect(),
        ),
        Yaml::Tagged(tagged) => return convert(tagged.value, origin),
        Yaml::Mapping(mapping) => {
            let mut table = Map::new();
            for (key, value) in mapping {
                let key = key_text(&key);
                let value = convert(value, origin);
                let path: Vec<String> = key.split('.').map(str::to_owned).collect();
                // Spring reads `a.b: 1` as a mapping in a mapping. Where that cannot be, as with the names of
                // loggers, the key stays whole.
                if !insert(&mut table, &path, &value) {
                    table.insert(key, value);
                }
            }
            ValueKind::Table(table)
        }
    };
    Value::new(Some(origin), kind)
}

fn key_text(key: &Yaml) -> String {
    match key {
        Yaml::String(text) => text.clone(),
        Yaml::Bool(flag) => flag.to_string(),
        Yaml::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// Puts a value under a path of keys, unless something else already stands there or on the way.
fn insert(table: &mut Map<String, Value>, path: &[String], value: &Value) -> bool {
    match path {
        [] => false,
        [key] => match (table.get_mut(key).map(|old| &mut old.kind), &value.kind) {
            (None, _) => {
                table.insert(key.clone(), value.clone());
                true
            }
            (Some(ValueKind::Table(old)), ValueKind::Table(new)) => new
                .iter()
                .all(|(key, value)| insert(old, std::slice::from_ref(key), value)),
            (Some(_), _) => false,
        },
        [key, rest @ ..] => {
            let below = table
                .entry(key.clone())
                .or_insert_with(|| Value::new(None, ValueKind::Table(Map::new())));
            match &mut below.kind {
                ValueKind::Table(below) => insert(below, rest, value),
                _ => false,
            }
        }
    }
}

fn align(
    layer: Map<String, Value>,
    onto: &Map<String, Value>,
    path: &str,
) -> Result<Map<String, Value>> {
    let mut aligned = Map::new();
    for (key, value) in layer {
        if matches!(value.kind, ValueKind::Nil) {
            continue;
        }
        let relaxed = relax(&key);
        let counterpart = onto.iter().find(|(other, _)| relax(other) == relaxed);
        let name = counterpart.map_or(&key, |(name, _)| name).clone();
        let origin = value.origin().map(str::to_owned);
        let kind = match (value.kind, counterpart.map(|(_, value)| &value.kind)) {
            (ValueKind::Table(below), onto) => {
                let nothing = Map::new();
                let onto = match onto {
                    Some(ValueKind::Table(onto)) => onto,
                    _ => &nothing,
                };
                ValueKind::Table(align(below, onto, &format!("{path}{name}."))?)
            }
            (kind, _) => kind,
        };
        if aligned.contains_key(&name) {
            return Err(Error(format!(
                "{}: '{path}{key}' and '{path}{name}' are the same key",
                origin.unwrap_or_default()
            )));
        }
        aligned.insert(name, Value::new(origin.as_ref(), kind));
    }
    Ok(aligned)
}
