//! An answer as JSON, paid for part by part: a list of numbers is thirty times its text.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::budget::{Held, Refused};
use crate::metrics::http::Wrong;

/// A part in a list that grows, and in what paths find.
const PART: usize = 2 * size_of::<Value>() + 4 * size_of::<&Value>();
/// A member beside its part and its name: both in an entry and its place in a table.
const MEMBER: usize = 128;
/// Paid for at once.
const STEP: usize = 64 << 10;

/// # Errors
/// When it is no JSON, or larger than there is memory for.
pub fn read(body: &[u8], held: &mut Held) -> Result<Value, Wrong> {
    let mut counter = Counter {
        held,
        due: 0,
        refused: None,
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = Part(&mut counter).deserialize(&mut json);
    let read = read.and_then(|value| json.end().map(|()| value));
    match (read, counter.refused) {
        (_, Some(refused)) => Err(refused.into()),
        (Ok(value), None) => Ok(value),
        (Err(cause), None) => Err(Wrong::other(body, format!("it is no JSON: {cause}"))),
    }
}

struct Counter<'h> {
    held: &'h mut Held,
    due: usize,
    refused: Option<Refused>,
}

impl Counter<'_> {
    fn pay<E: Error>(&mut self, bytes: usize) -> Result<(), E> {
        self.due += bytes;
        if self.due < STEP {
            return Ok(());
        }
        self.held
            .grow(std::mem::take(&mut self.due))
            .map_err(|refused| {
                self.refused = Some(refused);
                E::custom("there is no memory for it")
            })
    }
}

/// One part, with all that is in it.
struct Part<'c, 'h>(&'c mut Counter<'h>);

impl<'de> DeserializeSeed<'de> for Part<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.pay(PART)?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        self.0.pay(text.len())?;
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element_seed(Part(&mut *self.0))? {
            parts.push(part);
        }
        Ok(Value::Array(parts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            self.0.pay(MEMBER + name.len())?;
            let part = object.next_value_seed(Part(&mut *self.0))?;
            members.insert(name, part);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    fn read_with(most: usize, body: &str) -> Result<Value, Wrong> {
        let share = Budget::new(Some(64 << 20), most).share();
        let mut held = share.hold(0).unwrap();
        read(body.as_bytes(), &mut held)
    }

    #[test]
    fn an_answer_is_read_as_it_is() {
        let body =
            r#"{"a": [1, -2, 1.5, "x\n", null, true, {}], "b": 18446744073709551615, "a": 1}"#;
        let expected: Value = serde_json::from_str(body).unwrap();
        assert_eq!(read_with(1 << 20, body), Ok(expected));
        let deep = "[".repeat(1_000_000);
        for body in ["", "{", "[1] 2", "nan", &deep] {
            let wrong = read_with(1 << 20, body).unwrap_err();
            assert!(matches!(wrong, Wrong::Other { .. }), "{wrong:?}");
        }
    }

    #[test]
    fn parts_are_paid_for_before_they_are_kept() {
        let list = |many: usize| format!("[{}0]", "0,".repeat(many));
        let objects = |many: usize| format!("[{}0]", "{\"\":0},".repeat(many));
        let most = 4 << 20;
        assert!(read_with(most, &list(10_000)).is_ok());
        // Each of these is smaller than what there is, as a text.
        for body in [list(1_000_000), objects(100_000)] {
            assert!(body.len() < most);
            let refused = Wrong::NoMemory(Refused::TooMany { most });
            assert_eq!(read_with(most, &body), Err(refused));
        }
    }
}
