//! Times as they are asked of a Prometheus.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::canary::Instant;
use crate::config::duration;
use crate::error::{Error, Result};
use crate::run::asked;

/// As many points as a Prometheus gives.
const MOST_STEPS: i64 = 11_000;

/// How far the clock of who asks may differ: what ended a moment ago must not be taken for what is to
/// come, and the score of an older release be told.
const TOLERANCE_MILLIS: i64 = 60_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Span {
    /// seconds or RFC 3339
    start: String,
    end: String,
    /// seconds, or a duration
    step: String,
}

/// Milliseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub start: i64,
    pub end: i64,
    step: i64,
}

impl Times {
    pub fn read(asked: &Span, now: i64) -> Result<Self> {
        let millis = |text: &str| millis(text, now);
        let times = Self {
            start: required("start", &asked.start, millis)?,
            end: required("end", &asked.end, millis)?,
            step: required("step", &asked.step, step)?,
        };
        if times.end < times.start {
            return invalid("'end' lies before 'start'");
        }
        if MOST_STEPS < (times.end - times.start) / times.step {
            return invalid(&format!(
                "more than {MOST_STEPS} points a series are asked for: let 'step' be longer"
            ));
        }
        Ok(times)
    }

    pub fn iter(&self) -> impl Iterator<Item = i64> + use<> {
        let Self { start, end, step } = *self;
        let steps = (end - start) / step;
        (0..=steps).map(move |number| start + number * step)
    }
}

/// The time that is asked for, and that by which canaries must have ended.
pub fn instant(name: &str, text: Option<&str>, now: i64) -> Result<(i64, i64)> {
    let Some(time) = optional(name, text, now)? else {
        return Ok((now, now));
    };
    let is_now = (now - time).abs() <= TOLERANCE_MILLIS;
    Ok((time, if is_now { now.max(time) } else { time }))
}

pub fn optional(name: &str, text: Option<&str>, now: i64) -> Result<Option<i64>> {
    let time = text.map(|text| match millis(text, now) {
        Some(time) => Ok(time),
        None => wrong(name, text),
    });
    time.transpose()
}

fn required(name: &str, text: &str, read: impl Fn(&str) -> Option<i64>) -> Result<i64> {
    read(text).map_or_else(|| wrong(name, text), Ok)
}

fn wrong<T>(name: &str, text: &str) -> Result<T> {
    invalid(&format!(
        "'{text}' is no value for '{name}', which wants seconds, as in 1714561200{}",
        match name {
            "step" => ", or a duration, as in 5m",
            _ => ", or a time, as in 2024-05-01T11:00:00Z or now-1h",
        }
    ))
}

fn invalid<T>(message: &str) -> Result<T> {
    Err(Error::Invalid(message.to_owned()))
}

/// Seconds, RFC 3339, or `now-1h`.
fn millis(text: &str, now: i64) -> Option<i64> {
    match seconds(text) {
        Some(millis) => Some(millis),
        // A '+' in a query is a blank.
        None => asked::instant(&text.replace(' ', "+"), now).map(Instant::as_millis),
    }
}

fn step(text: &str) -> Option<i64> {
    let step = seconds(text).or_else(|| i64::try_from(duration(text).ok()?.as_millis()).ok());
    step.filter(|step| 0 < *step)
}

#[expect(clippy::cast_possible_truncation, reason = "it is within the bounds")]
fn seconds(text: &str) -> Option<i64> {
    /// The end of the year 9999.
    const LAST: f64 = 253_402_300_799.0;
    let seconds: f64 = text.parse().ok()?;
    (-LAST..=LAST)
        .contains(&seconds)
        .then(|| (seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::query::Parameters;

    #[test]
    fn times_are_read_as_prometheus_reads_them() {
        let cases = [
            ("1714561200", Some(1_714_561_200_000)),
            ("1714561200.5", Some(1_714_561_200_500)),
            ("1.7145612e9", Some(1_714_561_200_000)),
            ("2024-05-01T11:00:00Z", Some(1_714_561_200_000)),
            ("2024-05-01T13:00:00 02:00", Some(1_714_561_200_000)),
            ("now-1h", Some(1_714_557_600_000)),
            ("NaN", None),
            ("inf", None),
            ("1e300", None),
            ("yesterday", None),
        ];
        for (text, expected) in cases {
            assert_eq!(millis(text, 1_714_561_200_000), expected, "{text}");
        }
        let steps = [
            ("15", Some(15_000)),
            ("0.5", Some(500)),
            ("1m", Some(60_000)),
            ("0", None),
            ("-1", None),
            ("x", None),
        ];
        for (text, expected) in steps {
            assert_eq!(step(text), expected, "{text}");
        }
    }

    #[test]
    fn a_range_has_both_its_ends_and_an_end() {
        let read = |text: &str| Times::read(&Parameters::read(text.as_bytes()).parsed()?, 0);
        let times = read("start=10&end=12&step=1").unwrap();
        assert_eq!(times.iter().collect::<Vec<_>>(), [10_000, 11_000, 12_000]);
        let times = read("start=10&end=11.9&step=1").unwrap();
        assert_eq!(times.iter().count(), 2);
        for (text, part) in [
            ("start=10&end=9&step=1", "'end' lies before 'start'"),
            ("start=10&end=9", "the query parameter 'step' must be given"),
            ("start=0&end=11001&step=1", "more than 11000 points"),
            ("start=x&end=9&step=1", "'x' is no value for 'start'"),
            ("start=1&end=9&step=0", "'0' is no value for 'step'"),
        ] {
            match read(text) {
                Ok(_) => assert_eq!(text, "start=10&end=9"),
                Err(error) => assert!(error.to_string().contains(part), "{text}: {error}"),
            }
        }
    }

    #[test]
    fn a_clock_may_differ_a_little() {
        let now = 1_714_561_200_000;
        let cases = [
            (None, (now, now)),
            (Some("1714561170"), (now - 30_000, now)),
            (Some("1714561230"), (now + 30_000, now + 30_000)),
            (Some("1714561100"), (now - 100_000, now - 100_000)),
        ];
        for (text, expected) in cases {
            assert_eq!(instant("time", text, now).unwrap(), expected, "{text:?}");
        }
    }
}
