//! What is told in the same words everywhere.

use crate::canary::Instant;

/// A point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    pub iso: String,
    /// `2026-11-21 16:00:00`, in UTC.
    pub text: String,
}

impl Moment {
    pub fn of_millis(millis: i64) -> Option<Self> {
        Instant::from_millis(millis).map(Self::of)
    }

    pub fn of(instant: Instant) -> Self {
        Self {
            iso: instant.to_string(),
            text: instant.0.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        }
    }
}

/// A name with what it stands for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fact {
    pub name: String,
    pub value: String,
}

pub fn fact(name: &str, value: &str) -> Fact {
    Fact {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// From start to end: `1.2 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(start: Option<i64>, end: Option<i64>) -> Option<String> {
    let millis = end?.checked_sub(start?)?;
    let seconds = millis / 1_000;
    Some(match seconds {
        0 => format!("{millis} ms"),
        1..10 => format!("{seconds}.{} s", millis % 1_000 / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    })
}

pub fn hundredth(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
