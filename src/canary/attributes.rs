//! What is told of a query beside its points.

use std::sync::Arc;

use indexmap::IndexMap;
use serde::{Deserialize, Deserializer, Serialize};

use super::lenient;

/// Texts by name, there once in memory: all series of a query share them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Attributes(Arc<IndexMap<String, Arc<str>>>);

impl Attributes {
    pub fn get(&self, name: &str) -> Option<&Arc<str>> {
        self.0.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, text)| (name.as_str(), &**text))
    }

    /// Whether both share their texts.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// For this one alone; the texts of the others are shared on.
    pub fn insert(&mut self, name: &str, text: impl Into<Arc<str>>) {
        Arc::make_mut(&mut self.0).insert(name.to_owned(), text.into());
    }

    pub fn remove(&mut self, name: &str) {
        if self.0.contains_key(name) {
            Arc::make_mut(&mut self.0).shift_remove(name);
        }
    }
}

impl<N: Into<String>, T: Into<Arc<str>>> FromIterator<(N, T)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(texts: I) -> Self {
        let texts = texts.into_iter();
        let texts = texts.map(|(name, text)| (name.into(), text.into()));
        Self(Arc::new(texts.collect()))
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(lenient::text_map::or_empty(deserializer)?
            .into_iter()
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_series_adds_leaves_the_texts_shared() {
        let all: Attributes = [("query", "up"), ("dropped", "1 of 2")]
            .into_iter()
            .collect();
        let mut one = all.clone();
        one.insert("warnings", "late");
        one.remove("dropped");
        one.remove("nothing");
        let text = |of: &Attributes| serde_json::to_string(of).unwrap();
        assert_eq!(text(&all), r#"{"query":"up","dropped":"1 of 2"}"#);
        assert_eq!(text(&one), r#"{"query":"up","warnings":"late"}"#);
        assert!(Arc::ptr_eq(
            all.get("query").unwrap(),
            one.get("query").unwrap()
        ));
        let read = r#"{"query":1,"none":null}"#;
        let read: Attributes = serde_json::from_str(read).unwrap();
        assert_eq!(text(&read), r#"{"query":"1"}"#);
    }
}
