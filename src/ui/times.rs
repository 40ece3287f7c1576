//! Times as people write them.

use crate::canary::Instant;
use crate::run::asked;

/// `now`, `now-1h`, or a date with or without its clock: in UTC where nothing else is said.
pub fn instant(text: &str, now: i64) -> Option<Instant> {
    let text = text.trim();
    if let Some(instant) = asked::instant(text, now) {
        return Some(instant);
    }
    let (date, clock) = text.split_once(['T', 't', ' ']).unwrap_or((text, "00:00"));
    // A '+' in an address is a blank.
    let clock = clock.replace(' ', "+");
    let zone = clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len());
    let (wall, zone) = clock.split_at(zone);
    let seconds = if wall.matches(':').count() == 1 {
        ":00"
    } else {
        ""
    };
    let zone = if zone.is_empty() { "Z" } else { zone };
    Instant::parse(&format!("{date}T{wall}{seconds}{zone}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_utc_unless_they_say_otherwise() {
        let cases = [
            ("2024-05-01T10:00:30Z", Some("2024-05-01T10:00:30Z")),
            ("2024-05-01T10:00:30", Some("2024-05-01T10:00:30Z")),
            ("2024-05-01 10:00:30", Some("2024-05-01T10:00:30Z")),
            ("2024-05-01 10:00", Some("2024-05-01T10:00:00Z")),
            ("2024-05-01T10:00Z", Some("2024-05-01T10:00:00Z")),
            ("2024-05-01T12:00:00+02:00", Some("2024-05-01T10:00:00Z")),
            ("2024-05-01T12:00+02:00", Some("2024-05-01T10:00:00Z")),
            ("2024-05-01T12:00 02:00", Some("2024-05-01T10:00:00Z")),
            ("2024-05-01", Some("2024-05-01T00:00:00Z")),
            ("now", Some("2024-06-01T02:00:00Z")),
            (" now - 1h ", Some("2024-06-01T01:00:00Z")),
            ("now-1d", Some("2024-05-31T02:00:00Z")),
            ("now+1h", None),
            ("now-1", None),
            ("yesterday", None),
            ("2024-05-01T", None),
            ("1714557600", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let read = instant(text, 1_717_207_200_000).map(|instant| instant.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
