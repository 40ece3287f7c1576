//! What is counted of an account: looked up once, not for every query.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, gauge, histogram};

use crate::canary::RateLimit;

#[derive(Clone)]
pub struct Counts {
    account: String,
    /// Requests, by what was answered.
    calls: [(&'static str, Counter); 6],
    succeeded: Queries,
    failed: Queries,
    /// Samples that were fetched.
    pub fetched: Counter,
    /// Samples that were known from earlier answers.
    pub known: Counter,
    /// Of the bodies of answers, unpacked.
    pub bytes: Counter,
}

#[derive(Clone)]
struct Queries {
    count: Counter,
    duration: Histogram,
}

impl Counts {
    pub fn of(account: &str, kind: &'static str) -> Self {
        let queries = |outcome: &'static str| {
            let labels = [
                ("account", account.to_owned()),
                ("outcome", outcome.to_owned()),
            ];
            Queries {
                count: counter!("serin_queries_total", &labels),
                duration: histogram!("serin_query_duration_seconds", &labels),
            }
        };
        let samples = |source: &'static str| {
            let labels = [
                ("account", account.to_owned()),
                ("source", source.to_owned()),
            ];
            counter!("serin_samples_total", &labels)
        };
        let calls = ["none", "2xx", "3xx", "4xx", "429", "5xx"].map(|status| {
            let labels = [
                ("account", account.to_owned()),
                ("status", status.to_owned()),
            ];
            (status, counter!("serin_calls_total", &labels))
        });
        Self {
            account: account.to_owned(),
            calls,
            succeeded: queries("success"),
            failed: queries("error"),
            fetched: samples(kind),
            known: samples("known"),
            bytes: counter!("serin_answer_bytes_total", "account" => account.to_owned()),
        }
    }

    /// A request that was sent, with the status of its answer.
    pub fn call(&self, status: Option<u16>, limit: Option<RateLimit>) {
        let class = match status {
            None => "none",
            Some(429) => "429",
            Some(..300) => "2xx",
            Some(300..400) => "3xx",
            Some(400..500) => "4xx",
            Some(500..) => "5xx",
        };
        let counter = self.calls.iter().find(|(status, _)| *status == class);
        if let Some((_, counter)) = counter {
            counter.increment(1);
        }
        let Some(limit) = limit else { return };
        let set = |name: &'static str, value: u64| {
            let value = u32::try_from(value).unwrap_or(u32::MAX);
            gauge!(name, "account" => self.account.clone()).set(value);
        };
        set("serin_rate_limit_remaining", limit.remaining);
        if let Some(limit) = limit.limit {
            set("serin_rate_limit", limit);
        }
    }

    pub fn query(&self, elapsed: Duration, succeeded: bool) {
        let queries = if succeeded {
            &self.succeeded
        } else {
            &self.failed
        };
        queries.count.increment(1);
        queries.duration.record(elapsed);
    }
}
