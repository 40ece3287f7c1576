//! What stands for one key: a value, a list of them, or values by name.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use ::config::{Map as Table, Value, ValueKind};
use indexmap::IndexMap;
use secrecy::SecretString;
use serde_json::{Map, Value as Json};

use super::{Section, table_of};
use crate::config::context::{Revealed, origin, plain};
use crate::config::placeholder::Unresolved;
use crate::config::scalar::{self, MASK, mask, relax};
use crate::config::{Error, Result};

/// A text that was given for a key, and from where.
struct Given {
    text: String,
    place: String,
    /// What stood there, if the text is a secret that lies elsewhere.
    reference: Option<String>,
}

impl Given {
    /// A reference says where a secret lies, and serin can read it again.
    fn shown(&self) -> String {
        self.reference.clone().unwrap_or_else(|| mask(&self.text))
    }

    fn masked(&self) -> String {
        self.reference.clone().unwrap_or_else(|| MASK.to_owned())
    }
}

impl Section<'_> {
    pub fn text(&mut self, key: &'static str) -> Result<Option<String>> {
        let given = self.take_text(key)?;
        let shown = given.as_ref().map(Given::shown);
        self.effective.insert(key.to_owned(), shown.into());
        Ok(given.map(|given| given.text))
    }

    pub fn text_or(&mut self, key: &'static str, default: &str) -> Result<String> {
        self.parsed_or(key, Some(default), |text| Ok(text.to_owned()))
    }

    pub fn secret(&mut self, key: &'static str) -> Result<Option<SecretString>> {
        let given = self.take_text(key)?;
        let shown = given.as_ref().map(Given::masked);
        self.effective.insert(key.to_owned(), shown.into());
        Ok(given.map(|given| SecretString::from(given.text)))
    }

    pub fn secrets_by_name(&mut self, key: &'static str) -> Result<IndexMap<String, SecretString>> {
        let secrets = self.by_name(key, Given::masked)?;
        let secrets = secrets.into_iter();
        Ok(secrets
            .map(|(name, secret)| (name, SecretString::from(secret)))
            .collect())
    }

    pub fn texts_by_name(&mut self, key: &'static str) -> Result<IndexMap<String, String>> {
        self.by_name(key, Given::shown)
    }

    /// By names that may hold dots, which a file has as mappings below.
    pub fn texts_by_path(&mut self, key: &'static str) -> Result<IndexMap<String, String>> {
        let mut texts = IndexMap::new();
        if let Some(value) = self.take(key) {
            let path = self.path_of(key);
            self.texts_below(&path, &path, table_of(&path, value)?, &mut texts)?;
        }
        let shown = texts.iter();
        let shown = shown.map(|(name, given)| (name.clone(), given.shown().into()));
        let shown: Map<String, Json> = shown.collect();
        self.effective.insert(key.to_owned(), shown.into());
        let texts = texts.into_iter().map(|(name, given)| (name, given.text));
        Ok(texts.collect())
    }

    fn texts_below(
        &self,
        root: &str,
        path: &str,
        table: &Table<String, Value>,
        texts: &mut IndexMap<String, Given>,
    ) -> Result<()> {
        for (name, value) in table {
            let path = format!("{path}.{name}");
            if let ValueKind::Table(below) = &value.kind {
                self.texts_below(root, &path, below, texts)?;
            } else if let Some(given) = self.text_of(&path, value)? {
                texts.insert(path[root.len() + 1..].to_owned(), given);
            }
        }
        Ok(())
    }

    fn by_name(
        &mut self,
        key: &'static str,
        shown: fn(&Given) -> String,
    ) -> Result<IndexMap<String, String>> {
        let names: Vec<&str> = match self.given.get(&relax(key)).map(|(_, value)| &value.kind) {
            Some(ValueKind::Table(table)) => table.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        self.section(key, |section| {
            let mut texts = IndexMap::new();
            for name in names {
                let (_, value) = section
                    .given
                    .shift_remove(&relax(name))
                    .expect("the name was taken from this mapping");
                let path = section.path_of(name);
                let given = section.text_of(&path, value)?;
                let shown = given.as_ref().map_or_else(String::new, shown);
                section.effective.insert(name.to_owned(), shown.into());
                let text = given.map(|given| given.text).unwrap_or_default();
                texts.insert(name.to_owned(), text);
            }
            Ok(texts)
        })
    }

    pub fn flag(&mut self, key: &'static str) -> Result<bool> {
        self.flag_or_else(key, None)
    }

    pub fn flag_or(&mut self, key: &'static str, default: bool) -> Result<bool> {
        self.flag_or_else(key, Some(&default.to_string()))
    }

    fn flag_or_else(&mut self, key: &'static str, default: Option<&str>) -> Result<bool> {
        let flag = self.parsed_or(key, default, scalar::flag)?;
        self.effective.insert(key.to_owned(), flag.into());
        Ok(flag)
    }

    pub fn integer<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Result<T>
    where
        T: FromStr + PartialOrd + Display + Copy + Into<Json>,
    {
        self.integer_or_else(key, None, range)
    }

    pub fn integer_or<T>(
        &mut self,
        key: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> Result<T>
    where
        T: FromStr + PartialOrd + Display + Copy + Into<Json>,
    {
        self.integer_or_else(key, Some(&default.to_string()), range)
    }

    fn integer_or_else<T>(
        &mut self,
        key: &'static str,
        default: Option<&str>,
        range: RangeInclusive<T>,
    ) -> Result<T>
    where
        T: FromStr + PartialOrd + Display + Copy + Into<Json>,
    {
        let number = self.parsed_or(key, default, |text| {
            let number = text.parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| {
                format!(
                    "must be a whole number from {} to {}",
                    range.start(),
                    range.end()
                )
            })
        })?;
        self.effective.insert(key.to_owned(), number.into());
        Ok(number)
    }

    pub fn duration(&mut self, key: &'static str, least: Duration) -> Result<Duration> {
        self.parsed(key, scalar::duration_from(least))
    }

    /// Bytes.
    pub fn size(&mut self, key: &'static str, least: usize) -> Result<usize> {
        self.parsed(key, scalar::size_from(least))
    }

    pub fn duration_or(
        &mut self,
        key: &'static str,
        default: &str,
        least: Duration,
    ) -> Result<Duration> {
        self.parsed_or(key, Some(default), scalar::duration_from(least))
    }

    pub fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T> {
        self.parsed_or(key, None, parse)
    }

    /// A value that must be there, if it has no default.
    pub fn parsed_or<T>(
        &mut self,
        key: &'static str,
        default: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T> {
        let given = match (self.take_text(key)?, default) {
            (Some(given), _) => given,
            (None, Some(default)) => Given {
                text: default.to_owned(),
                place: self.path_of(key),
                reference: None,
            },
            (None, None) => return Err(Error(format!("{} must be given", self.path_of(key)))),
        };
        self.effective.insert(key.to_owned(), given.shown().into());
        parse_given(&given, parse)
    }

    /// A value that may be absent.
    pub fn parsed_if_given<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>> {
        let given = self.take_text(key)?;
        let shown = given.as_ref().map(Given::shown);
        self.effective.insert(key.to_owned(), shown.into());
        given.map(|given| parse_given(&given, parse)).transpose()
    }

    /// A list of texts, or one text with commas.
    pub fn texts(&mut self, key: &'static str) -> Result<Vec<String>> {
        self.each(key, |text| Ok(text.to_owned()))
    }

    /// `texts`, each of them parsed.
    pub fn each<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>> {
        let given = match self.take(key) {
            None => Vec::new(),
            Some(value) => self.texts_of(&self.path_of(key), value)?,
        };
        let shown = given.iter().map(|given| {
            let reference = given.reference.as_ref();
            reference.unwrap_or(&given.text).as_str()
        });
        let shown: Vec<&str> = shown.collect();
        self.effective.insert(key.to_owned(), shown.into());
        given
            .iter()
            .map(|given| parse_given(given, &parse))
            .collect()
    }

    fn take_text(&mut self, key: &'static str) -> Result<Option<Given>> {
        match self.take(key) {
            None => Ok(None),
            Some(value) => self.text_of(&self.path_of(key), value),
        }
    }

    /// An empty text is none: that is how `${TOKEN:}` says that there is nothing.
    fn text_of(&self, path: &str, value: &Value) -> Result<Option<Given>> {
        let origin = origin(value);
        let place = format!("{path} (in {origin})");
        let text = plain(value).ok_or_else(|| Error(format!("{place} must be a single value")))?;
        let text = match self.context.file {
            Some(file) if file == origin => self
                .context
                .resolve(&text)
                .map_err(|unresolved| without_value(&place, &unresolved))?,
            _ => text,
        };
        let given = self.revealed(path, text, place)?;
        Ok(Some(given).filter(|given| !given.text.is_empty()))
    }

    /// A text, or the secret that it refers to: the reference is never taken for the value.
    fn revealed(&self, path: &str, text: String, place: String) -> Result<Given> {
        match self.context.reveal(path, &text) {
            Ok(None) => Ok(Given {
                text,
                place,
                reference: None,
            }),
            Ok(Some(Revealed { value, reference })) => Ok(Given {
                text: value,
                place,
                reference: Some(reference.to_string()),
            }),
            Err(why) => Err(Error(format!("{place}: {why}"))),
        }
    }

    fn texts_of(&self, path: &str, value: &Value) -> Result<Vec<Given>> {
        let ValueKind::Array(items) = &value.kind else {
            let given = self.text_of(path, value)?;
            let parts = given.iter().flat_map(|given| {
                given.text.split(',').map(|part| Given {
                    text: part.trim().to_owned(),
                    place: given.place.clone(),
                    reference: given.reference.clone(),
                })
            });
            return Ok(parts.filter(|part| !part.text.is_empty()).collect());
        };
        let mut texts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            texts.extend(self.text_of(&format!("{path}[{index}]"), item)?);
        }
        Ok(texts)
    }
}

fn parse_given<T>(given: &Given, parse: impl Fn(&str) -> Result<T, String>) -> Result<T> {
    parse(&given.text).map_err(|why| {
        let reference = given.reference.clone();
        let shown = reference.unwrap_or_else(|| scalar::mask_refused(&given.text));
        Error(format!("{} is '{shown}': {why}", given.place))
    })
}

fn without_value(place: &str, Unresolved(name): &Unresolved) -> Error {
    Error(format!(
        "{place}: '${{{name}}}' has no value; set the environment variable, or write '${{{name}:default}}'"
    ))
}
