//! What is counted of an account: looked up once, not for every query.

use std::time::Duration;

use metrics::{Counter, Histogram, counter, histogram};

#[derive(Clone)]
pub struct Counts {
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
        Self {
            succeeded: queries("success"),
            failed: queries("error"),
            fetched: samples(kind),
            known: samples("known"),
            bytes: counter!("serin_answer_bytes_total", "account" => account.to_owned()),
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
