//! When a request that failed is sent again.

use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use tokio::time::Instant;

#[derive(Debug, PartialEq, Eq)]
pub enum Again {
    Never,
    Later,
    /// As the server says.
    After(Duration),
}

impl Again {
    /// What may be answered later, when its answer says that it may.
    pub fn after(answer: &HeaderMap) -> Self {
        retry_after(answer).map_or(Self::Later, Self::After)
    }

    /// Where nobody says when.
    pub const fn if_it(may_pass: bool) -> Self {
        if may_pass { Self::Later } else { Self::Never }
    }

    pub const fn may_be(&self) -> bool {
        !matches!(self, Self::Never)
    }

    /// How long to wait, where there are attempts left and the next one begins in time.
    pub fn wait(&self, backoff: Option<Duration>, latest: Instant) -> Option<Duration> {
        let wait = match self {
            Self::Never => None,
            Self::Later => backoff,
            Self::After(wait) => backoff.map(|_| *wait),
        };
        wait.filter(|wait| *wait < latest.saturating_duration_since(Instant::now()))
    }
}

/// Seconds, or a date: counted from that of the answer, so that clocks need not agree.
pub fn retry_after(answer: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| Some(answer.get(name)?.to_str().ok()?.trim());
    let wanted = text(RETRY_AFTER)?;
    if let Ok(seconds) = wanted.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wanted = rfc2822::parse(wanted).ok()?;
    let now = rfc2822::parse(text(DATE)?).ok()?;
    Some(Duration::try_from(wanted.duration_since(&now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_says_when_to_come_again() {
        let date = "Tue, 04 Mar 2025 10:00:00 GMT";
        let cases = [
            (" 7 ", Again::After(Duration::from_secs(7))),
            (
                "Tue, 04 Mar 2025 10:00:09 GMT",
                Again::After(Duration::from_secs(9)),
            ),
            (
                "Tue, 04 Mar 2025 09:00:00 GMT",
                Again::After(Duration::ZERO),
            ),
            ("soon", Again::Later),
            ("-1", Again::Later),
        ];
        for (wanted, expected) in cases {
            let headers = [(RETRY_AFTER, wanted), (DATE, date)];
            let headers = headers.map(|(name, value)| (name, value.parse().unwrap()));
            assert_eq!(
                Again::after(&headers.into_iter().collect()),
                expected,
                "{wanted}"
            );
        }
        assert_eq!(Again::after(&HeaderMap::new()), Again::Later);
    }

    #[test]
    fn nobody_waits_for_what_begins_too_late() {
        let latest = Instant::now() + Duration::from_secs(5);
        let (short, long) = (Duration::from_secs(1), Duration::from_secs(6));
        let cases = [
            (Again::Later, Some(short), Some(short)),
            (Again::Later, Some(long), None),
            (Again::Later, None, None),
            (Again::After(short), Some(long), Some(short)),
            (Again::After(long), Some(short), None),
            (Again::After(short), None, None),
            (Again::Never, Some(short), None),
        ];
        for (again, backoff, expected) in cases {
            assert_eq!(
                again.wait(backoff, latest),
                expected,
                "{again:?} {backoff:?}"
            );
        }
    }
}
