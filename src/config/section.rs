//! Reading one mapping strictly: every key is asked for by name, and a key nobody asked for is a mistake.

mod values;

use ::config::{Map as Table, Value, ValueKind};
use indexmap::IndexMap;
use serde_json::{Map, Value as Json};

use super::context::{Context, origin, warn_unserved};
use super::layers::COMPILED_IN;
use super::scalar::{nearest, relax};
use super::{Error, Result};

/// One mapping, and what has been read of it.
pub struct Section<'a> {
    context: &'a Context<'a>,
    path: String,
    /// By relaxed key: the key as it is spelled, and its value.
    given: IndexMap<String, (&'a str, &'a Value)>,
    known: Vec<&'static str>,
    /// What is in force, secrets masked, in the order of reading.
    pub effective: Map<String, Json>,
}

impl<'a> Section<'a> {
    pub fn new(
        context: &'a Context<'a>,
        path: &str,
        table: Option<&'a Table<String, Value>>,
    ) -> Result<Self> {
        let mut given = IndexMap::new();
        for (key, value) in table.into_iter().flatten() {
            if let Some((other, _)) = given.insert(relax(key), (key.as_str(), value)) {
                return Err(Error(format!(
                    "{path}: '{key}' and '{other}' are the same key"
                )));
            }
        }
        Ok(Self {
            context,
            path: path.to_owned(),
            given,
            known: Vec::new(),
            effective: Map::new(),
        })
    }

    /// Nothing may be left that nobody asked for.
    pub fn finish(self) -> Result<Map<String, Json>> {
        let Some((key, value)) = self.given.values().next() else {
            return Ok(self.effective);
        };
        let path = self.path_of(key);
        let origin = origin(value);
        let advice = match nearest(key, &self.known) {
            Some(known) => format!("did you mean '{known}'?"),
            None => format!("known here: {}", self.known.join(", ")),
        };
        Err(Error(format!(
            "unknown key '{path}' (in {origin}); {advice}"
        )))
    }

    pub fn context(&self) -> &'a Context<'a> {
        self.context
    }

    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// Keys that mean nothing to serin and need no word.
    pub fn ignore(&mut self, keys: &[&str]) {
        for key in keys {
            self.remove(key);
        }
    }

    /// Keys of Kayenta or Spring that serin does not serve.
    pub fn unserved(&mut self, keys: &[&str]) {
        for key in keys {
            if let Some(value) = self.remove(key) {
                warn_unserved(self.context, &self.path_of(key), value);
            }
        }
    }

    /// What nobody has asked for yet.
    pub fn take_rest(&mut self) -> Vec<(&'a str, &'a Value)> {
        std::mem::take(&mut self.given).into_values().collect()
    }

    pub fn is_default(&self, key: &str) -> bool {
        self.given
            .get(&relax(key))
            .is_none_or(|(_, value)| value.origin() == Some(COMPILED_IN))
    }

    pub fn is_given(&self, key: &str) -> bool {
        self.given.contains_key(&relax(key))
    }

    /// Whether all that was given has been asked for.
    pub fn is_empty(&self) -> bool {
        self.given.is_empty()
    }

    /// From where a value is.
    pub fn origin_of(&self, key: &str) -> &str {
        let value = self.given.get(&relax(key));
        value.map_or(COMPILED_IN, |(_, value)| origin(value))
    }

    pub fn has_items(&self, key: &str) -> bool {
        let value = self.given.get(&relax(key)).map(|(_, value)| &value.kind);
        matches!(value, Some(ValueKind::Array(items)) if !items.is_empty())
    }

    /// A mapping below; one that is absent is read as an empty one.
    pub fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'a>) -> Result<T>,
    ) -> Result<T> {
        let path = self.path_of(key);
        let table = match self.take(key) {
            None => None,
            Some(value) => Some(table_of(&path, value)?),
        };
        let mut section = Section::new(self.context, &path, table)?;
        let result = read(&mut section)?;
        self.effective
            .insert(key.to_owned(), section.finish()?.into());
        Ok(result)
    }

    /// A mapping below, if there is one.
    pub fn section_if_given<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'a>) -> Result<T>,
    ) -> Result<Option<T>> {
        let given = self.given.get(&relax(key));
        if given.is_some_and(|(_, value)| !matches!(value.kind, ValueKind::Nil)) {
            return self.section(key, read).map(Some);
        }
        self.take(key);
        self.effective.insert(key.to_owned(), Json::Null);
        Ok(None)
    }

    /// A list of mappings; what is read as `None` is left out.
    pub fn list<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'a>) -> Result<Option<T>>,
    ) -> Result<Vec<T>> {
        let path = self.path_of(key);
        let items = match self.take(key) {
            None => &[][..],
            Some(value) => {
                let ValueKind::Array(items) = &value.kind else {
                    let origin = origin(value);
                    return Err(Error(format!("{path} (in {origin}) must be a list")));
                };
                items
            }
        };
        let mut read_items = Vec::new();
        let mut effective = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let mut section = Section::new(self.context, &path, Some(table_of(&path, item)?))?;
            let item = read(&mut section)?;
            let shown = section.finish()?;
            if let Some(item) = item {
                read_items.push(item);
                effective.push(Json::Object(shown));
            }
        }
        self.effective.insert(key.to_owned(), effective.into());
        Ok(read_items)
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.remove(key)
    }

    fn remove(&mut self, key: &str) -> Option<&'a Value> {
        self.given
            .shift_remove(&relax(key))
            .map(|(_, value)| value)
            .filter(|value| !matches!(value.kind, ValueKind::Nil))
    }
}

fn table_of<'a>(path: &str, value: &'a Value) -> Result<&'a Table<String, Value>> {
    match &value.kind {
        ValueKind::Table(table) => Ok(table),
        _ => Err(Error(format!(
            "{path} (in {}) must be a mapping of keys to values",
            origin(value)
        ))),
    }
}
