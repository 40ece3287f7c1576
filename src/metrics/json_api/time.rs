//! Times and numbers, in the ways in which services write them.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

/// What times of an answer are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    Iso,
    /// By how large a number is, which leaves no doubt from 1973 to 5138; a text that is no number is ISO.
    Guessed,
}

impl Unit {
    pub const NAMES: [(&'static str, Self); 5] = [
        ("seconds", Self::Seconds),
        ("milliseconds", Self::Milliseconds),
        ("microseconds", Self::Microseconds),
        ("nanoseconds", Self::Nanoseconds),
        ("iso", Self::Iso),
    ];

    /// Milliseconds since the epoch.
    ///
    /// # Errors
    /// Why it is no time, in words that follow it.
    pub fn millis(self, time: &Value) -> Result<i64, String> {
        let millis = match time {
            Value::Number(number) if self != Self::Iso => match number.as_i64() {
                Some(whole) => self.of_whole(whole),
                None => self.of_number(number.as_f64().unwrap_or(f64::NAN)),
            },
            Value::String(text) if self == Self::Iso => iso(text),
            Value::String(text) => match (text.trim().parse(), text.trim().parse()) {
                (Ok(whole), _) => self.of_whole(whole),
                (_, Ok(number)) => self.of_number(number),
                _ if self == Self::Guessed => iso(text),
                _ => None,
            },
            _ => None,
        };
        let is_time = |millis: &i64| Timestamp::from_millisecond(*millis).is_ok();
        millis.filter(is_time).ok_or_else(|| {
            let wanted = match self {
                Self::Iso => "a time such as 2026-01-01T00:00:00Z",
                Self::Guessed => "a time since 1970, or one such as 2026-01-01T00:00:00Z",
                _ => "a time since 1970, in the 'timeUnit'",
            };
            format!("is {}, where {wanted} is wanted", shown(time))
        })
    }

    fn of_whole(self, time: i64) -> Option<i64> {
        match self {
            Self::Seconds => time.checked_mul(1_000),
            Self::Milliseconds => Some(time),
            Self::Microseconds => Some(time.div_euclid(1_000)),
            Self::Nanoseconds => Some(time.div_euclid(1_000_000)),
            Self::Iso => None,
            Self::Guessed => match time.unsigned_abs() {
                0..100_000_000_000 => Self::Seconds,
                100_000_000_000..100_000_000_000_000 => Self::Milliseconds,
                100_000_000_000_000..100_000_000_000_000_000 => Self::Microseconds,
                _ => Self::Nanoseconds,
            }
            .of_whole(time),
        }
    }

    /// With a fraction.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is no time becomes the nearest number, which is none either"
    )]
    fn of_number(self, time: f64) -> Option<i64> {
        if !time.is_finite() {
            return None;
        }
        let times = match self {
            Self::Seconds => 1e3,
            Self::Milliseconds => 1.0,
            Self::Microseconds => 1e-3,
            Self::Nanoseconds => 1e-6,
            Self::Iso => return None,
            Self::Guessed => match time.abs() {
                size if size < 1e11 => 1e3,
                size if size < 1e14 => 1.0,
                size if size < 1e17 => 1e-3,
                _ => 1e-6,
            },
        };
        Some((time * times).round() as i64)
    }
}

/// Without a zone it is UTC.
fn iso(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_millisecond());
    }
    let civil: DateTime = text.parse().ok()?;
    let time = civil.to_zoned(TimeZone::UTC).ok()?;
    Some(time.timestamp().as_millisecond())
}

/// What is missing is NaN.
///
/// # Errors
/// Why it is no number, in words that follow it.
pub fn number(value: Option<&Value>) -> Result<f64, String> {
    match value {
        None | Some(Value::Null) => Ok(f64::NAN),
        Some(Value::Number(number)) => Ok(number.as_f64().unwrap_or(f64::NAN)),
        Some(other) => {
            let number = other.as_str().and_then(|text| text.trim().parse().ok());
            number.ok_or_else(|| format!("is {}, where a number is wanted", shown(other)))
        }
    }
}

/// What is no more than a line of it.
pub fn shown(value: &Value) -> String {
    const LONGEST: usize = 60;
    match value {
        Value::Array(list) => format!("a list of {}", list.len()),
        Value::Object(members) => format!("an object of {} members", members.len()),
        Value::String(text) if LONGEST < text.len() => {
            let beginning = &text[..text.floor_char_boundary(LONGEST)];
            format!("a text that begins {beginning:?}")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_as_services_write_them() {
        const NOON: i64 = 1_717_243_200_000;
        let cases = [
            (json!(1_717_243_200), Unit::Guessed, Some(NOON)),
            (json!(NOON), Unit::Guessed, Some(NOON)),
            (json!(NOON * 1_000), Unit::Guessed, Some(NOON)),
            (json!(NOON * 1_000_000 + 999_999), Unit::Guessed, Some(NOON)),
            (json!(1_717_243_200.25), Unit::Guessed, Some(NOON + 250)),
            (json!("1717243200"), Unit::Guessed, Some(NOON)),
            (json!("1717243200000000000"), Unit::Guessed, Some(NOON)),
            (json!("1.7172432e9"), Unit::Guessed, Some(NOON)),
            (json!("2024-06-01T12:00:00Z"), Unit::Guessed, Some(NOON)),
            (
                json!("2024-06-01T14:00:00.000+02:00"),
                Unit::Iso,
                Some(NOON),
            ),
            (json!("2024-06-01T12:00:00"), Unit::Iso, Some(NOON)),
            (json!("2024-06-01 12:00:00"), Unit::Iso, Some(NOON)),
            (json!(5), Unit::Milliseconds, Some(5)),
            (json!(5), Unit::Seconds, Some(5_000)),
            (json!("5500"), Unit::Microseconds, Some(5)),
            (json!(5_500_000), Unit::Nanoseconds, Some(5)),
            (json!(NOON), Unit::Seconds, None),
            (json!(NOON), Unit::Iso, None),
            (json!("noon"), Unit::Guessed, None),
            (json!("2024-06-01T12:00:00Z"), Unit::Seconds, None),
            (json!("NaN"), Unit::Guessed, None),
            (json!(1e300), Unit::Milliseconds, None),
            (json!(i64::MAX), Unit::Seconds, None),
            (json!(null), Unit::Guessed, None),
            (json!([1]), Unit::Guessed, None),
        ];
        for (time, unit, expected) in cases {
            assert_eq!(unit.millis(&time).ok(), expected, "{time} {unit:?}");
        }
    }

    #[test]
    fn numbers_may_be_texts_and_what_is_missing_is_no_number() {
        let cases = [
            (Some(json!(1.5)), Ok(1.5)),
            (Some(json!("1.5")), Ok(1.5)),
            (Some(json!("+Inf")), Ok(f64::INFINITY)),
            (Some(json!("NaN")), Ok(f64::NAN)),
            (Some(json!(null)), Ok(f64::NAN)),
            (None, Ok(f64::NAN)),
            (Some(json!("many")), Err("is \"many\", where")),
            (Some(json!("")), Err("is \"\", where")),
            (Some(json!(true)), Err("is true, where")),
            (Some(json!([1, 2])), Err("is a list of 2, where")),
            (Some(json!("x".repeat(100))), Err("is a text that begins")),
        ];
        for (value, expected) in cases {
            match (number(value.as_ref()), expected) {
                (Ok(read), Ok(expected)) => {
                    assert_eq!(read.to_bits(), expected.to_bits(), "{value:?}");
                }
                (Err(told), Err(part)) => assert!(told.starts_with(part), "{told}"),
                (read, _) => panic!("{value:?}: {read:?}"),
            }
        }
    }
}
