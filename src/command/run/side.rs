//! One side of what is to be judged, as a file names it.

use std::fmt;

use indexmap::IndexMap;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// One side: the name of its scope, or all that can be said of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(
    remote = "Self",
    rename_all = "camelCase",
    default,
    deny_unknown_fields
)]
pub struct Side {
    pub scope: Option<String>,
    pub location: Option<String>,
    pub start: Option<String>,
    pub end: Option<String>,
    pub step: Option<i64>,
    pub params: IndexMap<String, String>,
}

impl<'de> Deserialize<'de> for Side {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SideForm)
    }
}

/// Unlike an untagged enum it says what is wrong within, and where.
struct SideForm;

impl<'de> Visitor<'de> for SideForm {
    type Value = Side;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a scope, in quotes where it may be a number, or a mapping with it")
    }

    fn visit_str<E: de::Error>(self, scope: &str) -> Result<Side, E> {
        Ok(Side {
            scope: Some(scope.to_owned()),
            ..Side::default()
        })
    }

    fn visit_i64<E: de::Error>(self, scope: i64) -> Result<Side, E> {
        self.visit_str(&scope.to_string())
    }

    fn visit_u64<E: de::Error>(self, scope: u64) -> Result<Side, E> {
        self.visit_str(&scope.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Side, A::Error> {
        Side::deserialize(MapAccessDeserializer::new(members))
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sides {
    pub control: Side,
    pub experiment: Side,
}
