//! How often a service may be asked, as it tells beside its answers.

use jiff::fmt::rfc2822;
use reqwest::Response;
use reqwest::header::{DATE, HeaderMap};

use super::{Client, Room};
use crate::canary::RateLimit;
use crate::http::retry_after;

/// Datadog and most others; the first drafts of a standard; some more.
const PREFIXES: [&str; 3] = ["x-ratelimit-", "ratelimit-", "x-rate-limit-"];
/// What is more seconds from now is a date.
const EPOCH_SECONDS: u64 = 1_000_000_000;
const EPOCH_MILLIS: u64 = 1_000_000_000_000;

impl Client {
    /// A request is sent. It counts whether it is waited for to its end or not.
    pub fn asks(&self, room: &Room<'_>) {
        if let Some(share) = room.share {
            share.spend(&self.account, |cost| cost.calls += 1);
        }
    }

    /// A request was answered, or cannot be.
    pub fn answered(&self, response: Option<&Response>, room: &Room<'_>) {
        let status = response.map(|response| response.status().as_u16());
        let limit = response.and_then(|response| limit_of(response.headers()));
        self.counts.call(status, limit);
        let Some(share) = room.share else { return };
        share.spend(&self.account, |cost| {
            cost.refused += u64::from(status == Some(429));
            let wait = response.and_then(|response| retry_after(response.headers()));
            let wait = wait.map(|wait| wait.as_secs());
            cost.retry_after_seconds = cost.retry_after_seconds.max(wait);
            if let Some(limit) = limit {
                cost.hear(limit);
            }
        });
    }
}

/// The nearest of what the headers of an answer tell.
fn limit_of(headers: &HeaderMap) -> Option<RateLimit> {
    of_one_header(headers).or_else(|| {
        let mut prefixes = PREFIXES.into_iter();
        prefixes.find_map(|prefix| of_several_headers(headers, prefix))
    })
}

/// `X-RateLimit-Remaining` and its like.
fn of_several_headers(headers: &HeaderMap, prefix: &str) -> Option<RateLimit> {
    let told = |name: &str| number(text(headers, &format!("{prefix}{name}"))?);
    Some(RateLimit {
        limit: told("limit"),
        remaining: told("remaining")?,
        period_seconds: told("period"),
        reset_seconds: told("reset").and_then(|reset| seconds_until(reset, headers)),
    })
}

/// `RateLimit`, as newer drafts have it: `limit=100, remaining=50, reset=5`, then `"default";r=50;t=5` with
/// `"default";q=100;w=60` in `RateLimit-Policy`.
fn of_one_header(headers: &HeaderMap) -> Option<RateLimit> {
    let status = text(headers, "ratelimit")?;
    let policies = text(headers, "ratelimit-policy").unwrap_or_default();
    if let Some(remaining) = member(&status.replace(',', ";"), "remaining") {
        let status = status.replace(',', ";");
        return Some(RateLimit {
            limit: member(&status, "limit"),
            remaining,
            period_seconds: member(policies, "w"),
            reset_seconds: member(&status, "reset"),
        });
    }
    let limits = status.split(',').filter_map(|status| {
        let policy = policies.split(',').find(|it| name(it) == name(status));
        let policy = policy.unwrap_or_default();
        Some(RateLimit {
            limit: member(policy, "q"),
            remaining: member(status, "r")?,
            period_seconds: member(policy, "w"),
            reset_seconds: member(status, "t"),
        })
    });
    limits.min_by_key(|limit| limit.remaining)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Of an item of a list.
fn name(item: &str) -> &str {
    item.split(';').next().unwrap_or_default().trim()
}

fn member(item: &str, name: &str) -> Option<u64> {
    let mut members = item.split(';').filter_map(|member| member.split_once('='));
    let found = members.find(|(key, _)| key.trim() == name);
    found.and_then(|(_, value)| number(value))
}

/// The first one: a policy may stand behind it, as in `100, 100;w=60`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is no count becomes the nearest"
)]
fn number(text: &str) -> Option<u64> {
    let first = text.split([',', ';']).next().unwrap_or_default().trim();
    let of_fraction = || {
        let number: f64 = first.parse().ok()?;
        number.is_finite().then(|| number.max(0.0).ceil() as u64)
    };
    first.parse().ok().or_else(of_fraction)
}

/// Seconds, or a date: counted from that of the answer, so that clocks need not agree.
fn seconds_until(reset: u64, headers: &HeaderMap) -> Option<u64> {
    let at = match reset {
        EPOCH_MILLIS.. => reset / 1000,
        EPOCH_SECONDS.. => reset,
        _ => return Some(reset),
    };
    let now = rfc2822::parse(headers.get(DATE)?.to_str().ok()?).ok()?;
    let now = u64::try_from(now.timestamp().as_second()).ok()?;
    Some(at.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn every_form_is_read() {
        type Told = Option<(Option<u64>, u64, Option<u64>, Option<u64>)>;
        let date = ("date", "Tue, 04 Mar 2025 10:00:00 GMT");
        let cases: [(&[(&str, &str)], Told); 12] = [
            (&[], None),
            (&[("x-ratelimit-limit", "300")], None),
            (
                &[
                    ("x-ratelimit-limit", "300"),
                    ("x-ratelimit-remaining", "58"),
                    ("x-ratelimit-period", "3600"),
                    ("x-ratelimit-reset", "14"),
                    ("x-ratelimit-name", "metric_query"),
                ],
                Some((Some(300), 58, Some(3600), Some(14))),
            ),
            (
                &[
                    date,
                    ("x-ratelimit-remaining", "1"),
                    ("x-ratelimit-reset", "1741082430"),
                ],
                Some((None, 1, None, Some(30))),
            ),
            (
                &[
                    date,
                    ("x-rate-limit-remaining", "1"),
                    ("x-rate-limit-reset", "1741082430000"),
                ],
                Some((None, 1, None, Some(30))),
            ),
            (
                &[
                    ("x-ratelimit-remaining", "1"),
                    ("x-ratelimit-reset", "1741082430"),
                ],
                Some((None, 1, None, None)),
            ),
            (
                &[
                    ("ratelimit-limit", "100, 100;w=60"),
                    ("ratelimit-remaining", "50"),
                    ("ratelimit-reset", "4.2"),
                ],
                Some((Some(100), 50, None, Some(5))),
            ),
            (
                &[
                    ("ratelimit", "limit=100, remaining=80, reset=54"),
                    ("ratelimit-policy", "100;w=60"),
                ],
                Some((Some(100), 80, Some(60), Some(54))),
            ),
            (
                &[
                    ("ratelimit", "\"day\";r=500;t=9000, \"minute\";r=7;t=30"),
                    (
                        "ratelimit-policy",
                        "\"minute\";q=60;w=60, \"day\";q=1000;w=86400",
                    ),
                ],
                Some((Some(60), 7, Some(60), Some(30))),
            ),
            (
                &[("ratelimit", "\"default\";r=7")],
                Some((None, 7, None, None)),
            ),
            (
                &[("ratelimit", "nonsense"), ("ratelimit-remaining", "3")],
                Some((None, 3, None, None)),
            ),
            (&[("x-ratelimit-remaining", "many")], None),
        ];
        for (headers, expected) in cases {
            let pairs = headers.iter().map(|(name, value)| {
                let name: HeaderName = name.parse().unwrap();
                (name, HeaderValue::from_str(value).unwrap())
            });
            let told = limit_of(&pairs.collect());
            let told = told.map(|it| (it.limit, it.remaining, it.period_seconds, it.reset_seconds));
            assert_eq!(told, expected, "{headers:?}");
        }
    }
}
