//! Scalars as Kayenta's JSON mapper reads and writes them: numbers as strings and back, `""` for
//! absent, NaN and infinities as text.

use std::fmt;
use std::marker::PhantomData;

use indexmap::IndexMap;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

/// An object that may be absent. A list of its members in their order, which serde takes for a
/// struct as well, is none.
pub fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Wanted<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Wanted<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_unit<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Option<T>, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members)).map(Some)
        }
    }

    deserializer.deserialize_any(Wanted(PhantomData))
}

/// How a number is written, as Jackson does: what is none in JSON is a text.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Double {
    Number(f64),
    Word(NoNumber),
}

/// What JSON has no number for.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub enum NoNumber {
    #[serde(rename = "NaN")]
    Nan,
    Infinity,
    #[serde(rename = "-Infinity")]
    MinusInfinity,
}

/// `f64` that may be absent.
pub mod number {
    use super::{Deserialize, Deserializer, Serializer, Value, parse_double, write_double};

    #[expect(
        clippy::ref_option,
        reason = "serde calls it with a reference to the field"
    )]
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => write_double(*value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<f64>, D::Error> {
        parse_double(&Value::deserialize(deserializer)?)
    }
}

/// `f64` that is always there.
pub mod double {
    use serde::de::Error as _;

    use super::{Deserialize, Deserializer, Serializer, Value, parse_double, write_double};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        write_double(*value, serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        parse_double(&Value::deserialize(deserializer)?)?
            .ok_or_else(|| D::Error::custom("a number is wanted"))
    }
}

/// A series: `null` and `""` are read as 0.0, as Kayenta's judge reads them.
pub mod doubles {
    use std::fmt;

    use serde::Serialize;
    use serde::de::{Error as _, SeqAccess, Visitor};
    use serde::ser::SerializeSeq;

    use super::{Deserialize, Deserializer, Serializer, parse_text, write_double};

    pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(values.len()))?;
        for value in values {
            list.serialize_element(&Element(*value))?;
        }
        list.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Ok(Series::deserialize(deserializer)?.values)
    }

    /// A series that still knows which of its values were `null`.
    pub struct Series {
        pub values: Vec<f64>,
        /// Their places, in order.
        pub nulls: Vec<usize>,
    }

    impl<'de> Deserialize<'de> for Series {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct List;
            impl<'de> Visitor<'de> for List {
                type Value = Series;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a list of numbers")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Series, A::Error> {
                    let mut values = Vec::with_capacity(list.size_hint().unwrap_or(0));
                    let mut nulls = Vec::new();
                    while let Some(Read(value)) = list.next_element()? {
                        if value.is_none() {
                            nulls.push(values.len());
                        }
                        values.push(value.unwrap_or(0.0));
                    }
                    Ok(Series { values, nulls })
                }
            }
            deserializer.deserialize_seq(List)
        }
    }

    /// One number of a list.
    pub struct Element(pub f64);

    impl Serialize for Element {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            write_double(self.0, serializer)
        }
    }

    /// An element as it is read: `null` and `""` are none.
    struct Read(Option<f64>);

    impl<'de> Deserialize<'de> for Read {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Number;
            impl Visitor<'_> for Number {
                type Value = Read;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
                }
                fn visit_unit<E>(self) -> Result<Read, E> {
                    Ok(Read(None))
                }
                fn visit_f64<E>(self, value: f64) -> Result<Read, E> {
                    Ok(Read(Some(value)))
                }
                #[expect(clippy::cast_precision_loss, reason = "JSON integers become doubles")]
                fn visit_i64<E>(self, value: i64) -> Result<Read, E> {
                    Ok(Read(Some(value as f64)))
                }
                #[expect(clippy::cast_precision_loss, reason = "JSON integers become doubles")]
                fn visit_u64<E>(self, value: u64) -> Result<Read, E> {
                    Ok(Read(Some(value as f64)))
                }
                fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Read, E> {
                    if text.trim().is_empty() {
                        return Ok(Read(None));
                    }
                    parse_text(text)
                        .map(|value| Read(Some(value)))
                        .ok_or_else(|| E::custom(format!("'{text}' is not a number")))
                }
            }
            deserializer
                .deserialize_any(Number)
                .map_err(D::Error::custom)
        }
    }
}

/// A pair of series, written.
pub mod doubles_pair {
    use serde::{Serialize, Serializer};

    use crate::canary::Pair;

    #[derive(Serialize)]
    struct Series<'a>(#[serde(serialize_with = "super::doubles::serialize")] &'a [f64]);

    pub fn serialize<S: Serializer>(
        pair: &Pair<Vec<f64>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        pair.as_ref()
            .map(|values| Series(values))
            .serialize(serializer)
    }
}

/// A map of names to numbers; entries without a number go.
pub mod double_map {
    use indexmap::IndexMap;
    use serde::ser::SerializeMap;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::doubles::Element;

    pub type Weights = Option<IndexMap<String, f64>>;

    pub fn serialize<S: Serializer>(map: &Weights, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(map) = map else {
            return serializer.serialize_none();
        };
        let mut out = serializer.serialize_map(Some(map.len()))?;
        for (name, value) in map {
            out.serialize_entry(name, &Element(*value))?;
        }
        out.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Weights, D::Error> {
        // Each value is read in its place, so that an error can say which one it is.
        #[derive(Deserialize)]
        struct Weight(#[serde(deserialize_with = "super::number::deserialize")] Option<f64>);

        let map = Option::<IndexMap<String, Weight>>::deserialize(deserializer)?;
        let entry = |(name, Weight(value))| Some((name, value?));
        Ok(map.map(|map| map.into_iter().filter_map(entry).collect()))
    }
}

/// A whole number; decimals are cut, text is parsed, `""` is absent.
pub mod integer {
    use super::{Deserialize, Deserializer, Value, parse_integer};

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<i64>, D::Error> {
        parse_integer(&Value::deserialize(deserializer)?)
    }

    /// What is absent is 0.
    pub fn or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        Ok(deserialize(deserializer)?.unwrap_or_default())
    }
}

/// A switch; text and numbers are understood, what is absent is off.
pub fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(false),
        Value::Bool(flag) => Ok(flag),
        Value::Number(number) => Ok(number.as_f64() != Some(0.0)),
        Value::String(text) if text.trim().is_empty() => Ok(false),
        Value::String(text) if text.trim().eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.trim().eq_ignore_ascii_case("false") => Ok(false),
        other => Err(D::Error::custom(format!("{other} is not true or false"))),
    }
}

/// Text; numbers and booleans become their text.
pub mod text {
    use serde::de::Error as _;

    use super::{Deserialize, Deserializer, Value, parse_string};

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<String>, D::Error> {
        parse_string(Value::deserialize(deserializer)?)
    }

    /// Empty text is absent.
    pub fn filled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        Ok(deserialize(deserializer)?.filter(|text| !text.trim().is_empty()))
    }

    /// Text that must be there.
    pub fn required<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        deserialize(deserializer)?.ok_or_else(|| D::Error::custom("text is wanted"))
    }

    /// What is absent is empty.
    pub fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Ok(deserialize(deserializer)?.unwrap_or_default())
    }
}

/// A list of texts; `null` is absent.
pub mod texts {
    use super::{Deserialize, Deserializer, Value, parse_string};

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Vec<String>>, D::Error> {
        let Some(list) = Option::<Vec<Value>>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let mut texts = Vec::with_capacity(list.len());
        for element in list {
            texts.extend(parse_string(element)?);
        }
        Ok(Some(texts))
    }
}

/// A map of texts; members without a value go, `null` is absent.
pub mod text_map {
    use indexmap::IndexMap;

    use super::{Deserialize, Deserializer, Value, parse_string};

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<IndexMap<String, String>>, D::Error> {
        let Some(raw) = Option::<IndexMap<String, Value>>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let mut map = IndexMap::with_capacity(raw.len());
        for (name, value) in raw {
            if let Some(value) = parse_string(value)? {
                map.insert(name, value);
            }
        }
        Ok(Some(map))
    }

    /// What is absent is empty.
    pub fn or_empty<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<IndexMap<String, String>, D::Error> {
        Ok(deserialize(deserializer)?.unwrap_or_default())
    }
}

/// A map without its members that are `null`; `null` is absent.
pub fn without_nulls<'de, T, D>(deserializer: D) -> Result<Option<IndexMap<String, T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let map = Option::<IndexMap<String, Option<T>>>::deserialize(deserializer)?;
    let member = |(name, value): (String, Option<T>)| value.map(|value| (name, value));
    Ok(map.map(|map| map.into_iter().filter_map(member).collect()))
}

/// As [`without_nulls`]; what is absent is empty.
pub fn without_nulls_or_empty<'de, T, D>(deserializer: D) -> Result<IndexMap<String, T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Ok(without_nulls(deserializer)?.unwrap_or_default())
}

/// `null` is the default.
pub fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// What another version, or somebody else, wrote in another way is left out.
pub fn if_readable<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: serde::de::DeserializeOwned,
    D: Deserializer<'de>,
{
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

fn write_double<S: Serializer>(value: f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_nan() {
        serializer.serialize_str("NaN")
    } else if value.is_infinite() {
        serializer.serialize_str(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        serializer.serialize_f64(value)
    }
}

fn parse_double<E: serde::de::Error>(value: &Value) -> Result<Option<f64>, E> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => Ok(number.as_f64()),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => parse_text(text)
            .map(Some)
            .ok_or_else(|| E::custom(format!("'{text}' is not a number"))),
        other => Err(E::custom(format!("{other} is not a number"))),
    }
}

/// Numbers as text: Java's spellings of what is not finite, else decimal.
fn parse_text(text: &str) -> Option<f64> {
    match text.trim() {
        "NaN" => Some(f64::NAN),
        "Infinity" | "INF" | "+Infinity" | "+INF" => Some(f64::INFINITY),
        "-Infinity" | "-INF" => Some(f64::NEG_INFINITY),
        plain => plain
            .parse()
            .ok()
            .filter(|value: &f64| value.is_finite() && !plain.contains(['n', 'N', 'i', 'I'])),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "decimals are cut, as Kayenta does"
)]
fn parse_integer<E: serde::de::Error>(value: &Value) -> Result<Option<i64>, E> {
    match value {
        Value::Null => Ok(None),
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().map(|number| number as i64))
            .map(Some)
            .ok_or_else(|| E::custom(format!("{number} is not a whole number"))),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| E::custom(format!("'{text}' is not a whole number"))),
        other => Err(E::custom(format!("{other} is not a whole number"))),
    }
}

fn parse_string<E: serde::de::Error>(value: Value) -> Result<Option<String>, E> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(flag) => Ok(Some(flag.to_string())),
        other => Err(E::custom(format!("{other} is not text"))),
    }
}
