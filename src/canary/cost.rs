//! What a canary cost the services that it asked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// By the name of the account.
pub type Costs = BTreeMap<String, ServiceCost>;

/// Of one account. A query that several executions want is sent by one of them, and counts there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceCost {
    /// Requests that were sent, whatever came of them.
    pub calls: u64,
    /// How many of them repeated one that had failed.
    pub repeated: u64,
    /// How many were answered with 429: a limit of the service was met.
    pub refused: u64,
    /// The longest time that the service asked to be left alone for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
    /// How near to its limit the service said that it was, at the nearest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
}

/// What a service tells beside an answer of how often it may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests in a period, by all who ask with that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    pub remaining: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_seconds: Option<u64>,
    /// Until all are there again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_seconds: Option<u64>,
}

/// What several canaries cost together.
pub fn together<'c>(all: impl IntoIterator<Item = &'c Costs>) -> Costs {
    let mut costs = Costs::new();
    for (account, cost) in all.into_iter().flatten() {
        costs.entry(account.clone()).or_default().add(cost);
    }
    costs
}

impl ServiceCost {
    fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.repeated = self.repeated.saturating_add(other.repeated);
        self.refused = self.refused.saturating_add(other.refused);
        self.retry_after_seconds = self.retry_after_seconds.max(other.retry_after_seconds);
        if let Some(told) = other.rate_limit {
            self.hear(told);
        }
    }

    /// Keeps the nearest.
    pub fn hear(&mut self, told: RateLimit) {
        if self.rate_limit.is_none_or(|known| told.is_nearer(known)) {
            self.rate_limit = Some(told);
        }
    }

    /// Whether a canary or two more may be refused.
    pub fn is_near_its_limit(&self) -> bool {
        let is_near = |limit: RateLimit| {
            let is_tenth = |all| u128::from(limit.remaining) * 10 <= u128::from(all);
            limit.remaining == 0 || limit.limit.is_some_and(is_tenth)
        };
        0 < self.refused || self.rate_limit.is_some_and(is_near)
    }

    /// `24 calls, 1 of them repeated; 58 of 300 in 60 s were left`
    pub fn sentence(&self) -> String {
        let calls = match self.calls {
            1 => "1 call".to_owned(),
            calls => format!("{calls} calls"),
        };
        let told = [
            (self.repeated, "repeated"),
            (self.refused, "refused by a rate limit"),
        ];
        let told = told.into_iter().filter(|(count, _)| 0 < *count);
        let told = told.map(|(count, what)| format!(", {count} of them {what}"));
        let limit = self
            .rate_limit
            .map(|limit| format!("; {}", limit.sentence()));
        let parts = [calls].into_iter().chain(told).chain(limit);
        parts.collect()
    }
}

impl RateLimit {
    /// By the share that is left, where it is known.
    fn is_nearer(self, other: Self) -> bool {
        match (self.limit, other.limit) {
            (Some(own), Some(others)) => {
                u128::from(self.remaining) * u128::from(others)
                    < u128::from(other.remaining) * u128::from(own)
            }
            _ => self.remaining < other.remaining,
        }
    }

    fn sentence(self) -> String {
        let remaining = self.remaining;
        let of = self.limit.map(|limit| format!(" of {limit}"));
        let period = self
            .period_seconds
            .map(|seconds| format!(" in {seconds} s"));
        let (of, period) = (of.unwrap_or_default(), period.unwrap_or_default());
        format!("{remaining}{of}{period} were left")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(remaining: u64, limit: Option<u64>) -> RateLimit {
        RateLimit {
            limit,
            remaining,
            period_seconds: limit.map(|_| 60),
            reset_seconds: None,
        }
    }

    #[test]
    fn what_canaries_cost_is_put_together() {
        let cost = |calls, wait, remaining| ServiceCost {
            calls,
            repeated: 1,
            refused: 2,
            retry_after_seconds: wait,
            rate_limit: Some(left(remaining, Some(300))),
        };
        let of = |cost: &[(&str, ServiceCost)]| -> Costs {
            let cost = cost.iter().cloned();
            cost.map(|(name, cost)| (name.to_owned(), cost)).collect()
        };
        let first = of(&[("a", cost(3, Some(7), 20)), ("b", cost(1, None, 5))]);
        let second = of(&[("a", cost(4, Some(2), 10))]);
        let both = ServiceCost {
            repeated: 2,
            refused: 4,
            ..cost(7, Some(7), 10)
        };
        let expected = of(&[("a", both), ("b", cost(1, None, 5))]);
        assert_eq!(together([&first, &second]), expected);
        assert_eq!(together([]), Costs::new());
    }

    #[test]
    fn the_nearest_limit_is_kept_and_told() {
        let mut cost = ServiceCost {
            calls: 24,
            ..ServiceCost::default()
        };
        assert_eq!(cost.sentence(), "24 calls");
        let cases = [
            // what is told, what is kept of it, and whether that is near
            (left(200, Some(300)), "200 of 300 in 60 s", false),
            (left(250, Some(300)), "200 of 300 in 60 s", false),
            // A larger share of a smaller limit.
            (left(9, Some(10)), "200 of 300 in 60 s", false),
            (left(31, Some(300)), "31 of 300 in 60 s", false),
            (left(1, Some(10)), "1 of 10 in 60 s", true),
            (left(0, None), "0", true),
        ];
        for (told, kept, is_near) in cases {
            cost.hear(told);
            assert_eq!(cost.sentence(), format!("24 calls; {kept} were left"));
            assert_eq!(cost.is_near_its_limit(), is_near, "{kept}");
        }
        cost = ServiceCost {
            calls: 3,
            repeated: 2,
            refused: 1,
            ..ServiceCost::default()
        };
        assert!(cost.is_near_its_limit());
        let told = "3 calls, 2 of them repeated, 1 of them refused by a rate limit";
        assert_eq!(cost.sentence(), told);
    }
}
