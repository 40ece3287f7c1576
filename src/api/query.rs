//! Query parameters as structs, which are read of an address and stand in the document of the API.

use std::convert::Infallible;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use indexmap::IndexMap;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::config::nearest;
use crate::error::{Error, Result};

/// What is read of the query: of a parameter that stands several times the first, and of others nothing.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Parameters::of(parts).parsed().map(Self)
    }
}

/// All parameters as they came, for whoever learns only later what to read. An empty value is as good as none.
pub struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

impl Parameters {
    fn of(parts: &Parts) -> Self {
        Self::read(parts.uri.query().unwrap_or_default().as_bytes())
    }

    /// Of an address, or of a form.
    pub fn read(text: &[u8]) -> Self {
        let pairs = url::form_urlencoded::parse(text).into_owned();
        Self(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// With what is given there, unless it is given here.
    #[must_use]
    pub fn or(mut self, mut other: Self) -> Self {
        self.0.append(&mut other.0);
        self
    }

    /// # Errors
    /// `Invalid` when a parameter is missing, or no number where one is wanted.
    pub fn parsed<T: DeserializeOwned>(&self) -> Result<T> {
        let given = self.by_name().into_iter();
        let given = given.map(|(name, values)| (name, Given { name, values }));
        T::deserialize(MapDeserializer::new(given))
    }

    fn by_name(&self) -> IndexMap<&str, Vec<&str>> {
        let mut given = IndexMap::<&str, Vec<&str>>::new();
        for (name, value) in &self.0 {
            given.entry(name).or_default().push(value);
        }
        given
    }

    /// # Errors
    /// `Invalid` when another parameter is there, for whoever lets none pass.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        let mut names = self.0.iter().map(|(name, _)| name.as_str());
        let Some(unknown) = names.find(|name| !known.contains(name)) else {
            return Ok(());
        };
        let meant = match nearest(unknown, known) {
            Some(meant) => format!("'{meant}' is meant"),
            None => format!("there are {}", known.join(", ")),
        };
        Err(Error::Invalid(format!(
            "the parameter '{unknown}' is not read: {meant}"
        )))
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let given = self.0.iter().filter(move |(key, _)| key == name);
        given.map(|(_, value)| value.as_str())
    }

    /// # Errors
    /// `Invalid` when the parameter is not there.
    pub fn required(&self, name: &str) -> Result<&str> {
        self.text(name).ok_or_else(|| missing(name))
    }

    /// As `list` reads it.
    pub fn list(&self, name: &str) -> Vec<String> {
        names(&self.all(name).map(str::to_owned).collect::<Vec<_>>())
    }
}

/// Names: the parameter may stand several times, or hold a list with commas, which may stand in brackets, as
/// Spinnaker's MCP server sends it.
pub fn list<'de, D: Deserializer<'de>>(given: D) -> Result<Vec<String>, D::Error> {
    Vec::<String>::deserialize(given).map(|given| names(&given))
}

/// A single value is split at its commas; repeated ones stand for themselves.
fn names(given: &[String]) -> Vec<String> {
    let mut given: Vec<&str> = given.iter().map(String::as_str).collect();
    if let [single] = given[..] {
        let inner = single.trim().strip_prefix('[');
        let inner = inner.and_then(|inner| inner.strip_suffix(']'));
        given = inner.unwrap_or(single).split(',').collect();
    }
    let names = given.into_iter().map(str::trim);
    let names = names.filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// # Errors
/// `Invalid` when the text is no number of that type.
pub fn number<T: FromStr>(name: &str, text: &str) -> Result<T> {
    let text = text.trim();
    let number = text.parse().or_else(|_| whole(text).parse());
    number.map_err(|_| {
        Error::Invalid(format!(
            "'{text}' is no value for '{name}', which wants a number"
        ))
    })
}

/// A whole number without the zeros after its point: a language model writes 60 as `60.0`.
fn whole(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|digit| digit == b'0') => whole,
        _ => text,
    }
}

fn missing(name: &str) -> Error {
    Error::Invalid(format!("the query parameter '{name}' must be given"))
}

impl de::Error for Error {
    fn custom<T: Display>(told: T) -> Self {
        Self::Invalid(told.to_string())
    }

    fn missing_field(name: &'static str) -> Self {
        missing(name)
    }
}

/// A parameter with its values, of which there is one at least.
struct Given<'a> {
    name: &'a str,
    values: Vec<&'a str>,
}

impl Given<'_> {
    fn text(&self) -> &str {
        self.values.first().copied().unwrap_or_default()
    }

    fn number<T: FromStr>(&self) -> Result<T> {
        number(self.name, self.text())
    }

    fn is_true(&self) -> bool {
        let text = self.text().to_ascii_lowercase();
        ["true", "1", "yes", "on"].contains(&text.as_str())
    }
}

impl IntoDeserializer<'_, Error> for Given<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Given<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_str(self.text())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_seq(SeqDeserializer::new(self.values.into_iter()))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_bool(self.is_true())
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_i64(self.number()?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_u64(self.number()?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_f64(self.number()?)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 u8 u16 u32 f32 char str string bytes byte_buf unit unit_struct newtype_struct tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Asked {
        n: Option<i64>,
        #[serde(deserialize_with = "list")]
        l: Vec<String>,
        each: Vec<String>,
        t: bool,
    }

    fn asked(text: &str) -> Result<Asked> {
        Parameters::read(text.as_bytes()).parsed()
    }

    #[test]
    fn parameters_are_read_as_careless_clients_write_them() {
        let numbers = [
            ("n=60", Some(60)),
            ("n=60.0", Some(60)),
            ("n=%2060.00", Some(60)),
            ("n=60&n=x", Some(60)),
            ("n=&n=60", Some(60)),
            ("n=&other=1", None),
        ];
        for (text, expected) in numbers {
            assert_eq!(asked(text).unwrap().n, expected, "{text}");
        }
        let lists: [(&str, &[&str], &[&str]); 7] = [
            ("l=a,b", &["a", "b"], &[]),
            ("l=a&l=b,c", &["a", "b,c"], &[]),
            ("l=[a=b,%20c=d]", &["a=b", "c=d"], &[]),
            ("l=[a]", &["a"], &[]),
            ("l=[]", &[], &[]),
            ("l=[a", &["[a"], &[]),
            ("each=a,b&each=", &[], &["a,b"]),
        ];
        for (text, list, each) in lists {
            let asked = asked(text).unwrap();
            assert_eq!(
                (&*asked.l, &*asked.each),
                (&*owned(list), &*owned(each)),
                "{text}"
            );
        }
        for (text, expected) in [("t=Yes", true), ("t=1", true), ("t=x", false), ("", false)] {
            assert_eq!(asked(text).unwrap().t, expected, "{text}");
        }
    }

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_wrong_is_told_with_its_name() {
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[expect(dead_code, reason = "it is never there")]
        struct Needed {
            of_all: String,
        }

        for (text, part) in [("n=60.5", "60.5"), ("n=x", "x"), ("n=%20.0", ".0")] {
            let told = asked(text).unwrap_err().to_string();
            let expected = format!("'{part}' is no value for 'n', which wants a number");
            assert_eq!(told, expected);
        }
        let told = Parameters::read(b"ofAll=").parsed::<Needed>().unwrap_err();
        let expected = "the query parameter 'ofAll' must be given";
        assert_eq!(told.to_string(), expected);
    }
}
