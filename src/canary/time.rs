//! Instants and durations as they stand on the wire.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A point in time with nanoseconds; written in UTC with 0, 3, 6 or 9 fraction digits.
///
/// Read from ISO 8601 text with seconds and an offset, from whole epoch milliseconds, or from
/// decimal epoch seconds; numbers may be text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub Timestamp);

impl Instant {
    pub fn from_millis(millis: i64) -> Option<Self> {
        Timestamp::from_millisecond(millis).ok().map(Self)
    }

    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// `None` when the text is no instant: seconds and an offset (`Z`, `+02:00`) are mandatory.
    pub fn parse(text: &str) -> Option<Self> {
        let clock = text.split_once(['T', 't'])?.1;
        let wall = clock.split(['Z', 'z', '+', '-']).next()?;
        if wall.split(':').count() != 3 {
            return None;
        }
        text.parse().ok().map(Self)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.subsec_nanosecond();
        let digits = if nanos == 0 {
            0
        } else if nanos % 1_000_000 == 0 {
            3
        } else if nanos % 1_000 == 0 {
            6
        } else {
            9
        };
        write!(f, "{:.*}", digits, self.0)
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        optional(deserializer)?.ok_or_else(|| D::Error::custom("an instant is wanted"))
    }
}

/// An instant that may be absent: `null` and `""` are.
pub fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Instant>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let instant = match &value {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => match text.trim() {
            whole if whole.parse::<i64>().is_ok() => {
                whole.parse().ok().and_then(Instant::from_millis)
            }
            decimal if decimal.parse::<f64>().is_ok() => {
                decimal.parse().ok().and_then(from_seconds)
            }
            text => Instant::parse(text),
        },
        Value::Number(number) => match number.as_i64() {
            Some(millis) => Instant::from_millis(millis),
            None => number.as_f64().and_then(from_seconds),
        },
        _ => None,
    };
    instant.map(Some).ok_or_else(|| {
        D::Error::custom(format!(
            "{value} is not an instant: '2024-05-01T10:00:00Z' or epoch milliseconds are wanted"
        ))
    })
}

/// ISO 8601 text of epoch milliseconds; empty when out of the calendar.
pub fn iso_from_millis(millis: i64) -> String {
    Instant::from_millis(millis).map_or_else(String::new, |instant| instant.to_string())
}

/// A `java.util.Date` as Kayenta writes it: milliseconds always, and the offset in digits.
pub fn date_from_millis(millis: i64) -> String {
    Instant::from_millis(millis).map_or_else(String::new, |instant| {
        format!("{:.3}", instant.0).replace('Z', "+00:00")
    })
}

/// A duration as `PT1H30M`, hours being the largest unit.
pub fn iso_duration(duration: SignedDuration) -> String {
    if duration.is_zero() {
        return "PT0S".to_owned();
    }
    let (seconds, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::from("PT");
    for (count, unit) in [(hours, 'H'), (minutes, 'M')] {
        if count != 0 {
            text += &count.to_string();
            text.push(unit);
        }
    }
    if nanos != 0 {
        let sign = if nanos < 0 { "-" } else { "" };
        let digits = format!("{sign}{}.{:09}", rest.abs(), nanos.abs());
        text.push_str(digits.trim_end_matches('0'));
        text.push('S');
    } else if rest != 0 {
        text += &rest.to_string();
        text.push('S');
    }
    text
}

fn from_seconds(seconds: f64) -> Option<Instant> {
    let duration = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(duration).ok().map(Instant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_and_written_as_kayenta_does() {
        let cases = [
            (r#""2020-07-27T19:17:36Z""#, Some("2020-07-27T19:17:36Z")),
            (
                r#""2020-07-27T21:17:36+02:00""#,
                Some("2020-07-27T19:17:36Z"),
            ),
            (
                r#""2020-07-27T19:17:36.5Z""#,
                Some("2020-07-27T19:17:36.500Z"),
            ),
            (
                r#""2020-07-27T19:17:36.5404Z""#,
                Some("2020-07-27T19:17:36.540400Z"),
            ),
            (
                r#""2020-07-27T19:17:36.722025662Z""#,
                Some("2020-07-27T19:17:36.722025662Z"),
            ),
            ("1595877456000", Some("2020-07-27T19:17:36Z")),
            (r#""1595877456000""#, Some("2020-07-27T19:17:36Z")),
            ("1595877456.5", Some("2020-07-27T19:17:36.500Z")),
            (r#""1595877456.5""#, Some("2020-07-27T19:17:36.500Z")),
            (
                r#""2020-07-27T19:17:36+0000""#,
                Some("2020-07-27T19:17:36Z"),
            ),
            (r#""2020-07-27""#, None),
            (r#""2020-07-27T19:17Z""#, None),
            (r#""yesterday""#, None),
            ("true", None),
        ];
        for (text, expected) in cases {
            let read = serde_json::from_str::<Instant>(text).ok();
            assert_eq!(read.map(|i| i.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn durations_have_no_days() {
        let cases = [
            // seconds, nanoseconds
            (0, 0, "PT0S"),
            (3_600, 0, "PT1H"),
            (90_061, 0, "PT25H1M1S"),
            (1, 500_000_000, "PT1.5S"),
            (1_800, 376_544_001, "PT30M0.376544001S"),
            (-60, 0, "PT-1M"),
            (0, -500_000_000, "PT-0.5S"),
        ];
        for (seconds, nanos, expected) in cases {
            assert_eq!(iso_duration(SignedDuration::new(seconds, nanos)), expected);
        }
    }

    #[test]
    fn dates_carry_milliseconds_and_an_offset() {
        assert_eq!(date_from_millis(0), "1970-01-01T00:00:00.000+00:00");
    }
}
