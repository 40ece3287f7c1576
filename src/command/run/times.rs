//! When: `last 30m`, an instant, or `now`.

use std::time::Duration;

use crate::canary::{Instant, iso_from_millis};
use crate::command::exit::Usage;
use crate::config;
use crate::run::asked;

/// How far clocks may differ.
const TOLERANCE: Duration = Duration::from_mins(1);

/// What a run looks back on if nobody says so.
const DEFAULT: Duration = Duration::from_hours(1);

/// A window in epoch milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start: i64,
    pub end: i64,
}

impl Window {
    pub fn start_iso(self) -> String {
        iso_from_millis(self.start)
    }

    pub fn end_iso(self) -> String {
        iso_from_millis(self.end)
    }
}

/// The window that these words mean at `now`.
pub fn window(
    window: Option<&str>,
    start: Option<&str>,
    end: Option<&str>,
    now: i64,
) -> Result<Window, Usage> {
    // Whole seconds, so that points lie where people look for them.
    let now = now - now.rem_euclid(1000);
    let end = end.map_or(Ok(now), |text| instant("end", text, now))?;
    let start = match (window, start) {
        (Some(_), Some(_)) => {
            return Err(Usage(
                "window and start both say when it begins; give one".to_owned(),
            ));
        }
        (None, Some(text)) => instant("start", text, now)?,
        (Some(text), None) => end.saturating_sub(millis(length(text)?)),
        (None, None) => end.saturating_sub(millis(DEFAULT)),
    };
    if end <= start {
        return Err(Usage(format!(
            "the window ends at {}, which is not after its start at {}",
            iso_from_millis(end),
            iso_from_millis(start)
        )));
    }
    if now.saturating_add(millis(TOLERANCE)) < end {
        return Err(Usage(format!(
            "the window ends at {}, which is still to come; an analysis (--lifetime 30m) waits for what comes",
            iso_from_millis(end)
        )));
    }
    Ok(Window { start, end })
}

/// `last 30m` or `30m`.
fn length(text: &str) -> Result<Duration, Usage> {
    let length = text.trim().strip_prefix("last").unwrap_or(text).trim();
    let length = config::duration(length);
    length
        .ok()
        .filter(|length| !length.is_zero())
        .ok_or_else(|| {
            Usage(format!(
                "'{text}' is no window; 'last 30m' and 'last 2h' are"
            ))
        })
}

/// `now`, `now-30m`, or RFC 3339.
pub fn instant(name: &str, text: &str, now: i64) -> Result<i64, Usage> {
    asked::instant(text, now)
        .map(Instant::as_millis)
        .ok_or_else(|| {
            Usage(format!(
                "{name}: '{text}' is no time; '2026-05-01T10:00:00Z' with its zone, 'now' and \
                 'now-30m' are"
            ))
        })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-05-01T10:00:00Z.
    const NOW: i64 = 1_777_629_600_000;
    const MINUTE: i64 = 60_000;

    #[test]
    fn words_are_windows() {
        let cases = [
            (None, None, None, (-60, 0)),
            (Some("last 30m"), None, None, (-30, 0)),
            (Some("2h"), None, None, (-120, 0)),
            (Some("last 30m"), None, Some("now-10m"), (-40, -10)),
            (None, Some("now - 45m"), Some("now"), (-45, 0)),
            (None, Some("2026-05-01T09:00:00Z"), None, (-60, 0)),
            (
                None,
                Some("2026-05-01T11:00:00+02:00"),
                Some("2026-05-01T09:30:00Z"),
                (-60, -30),
            ),
        ];
        for (last, start, end, (from, until)) in cases {
            let found = window(last, start, end, NOW).unwrap();
            let expected = Window {
                start: NOW + from * MINUTE,
                end: NOW + until * MINUTE,
            };
            assert_eq!(found, expected, "{last:?} {start:?} {end:?}");
        }
    }

    #[test]
    fn what_is_no_window_is_told() {
        let cases = [
            (Some("last 30"), None, None, "'last 30m'"),
            (Some("last 0m"), None, None, "'last 30m'"),
            (Some("30m"), Some("now"), None, "both"),
            (None, Some("yesterday"), None, "'now-30m'"),
            (None, Some("now"), Some("now"), "not after"),
            (None, None, Some("2026-05-01T10:05:00Z"), "still to come"),
        ];
        for (last, start, end, part) in cases {
            let wrong = window(last, start, end, NOW).unwrap_err().to_string();
            assert!(wrong.contains(part), "{wrong}");
        }
    }
}
