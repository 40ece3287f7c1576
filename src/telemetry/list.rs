//! Every metric of serin; `docs/operating.md` has the same.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Counter,
    Gauge,
    Histogram,
}

impl Type {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

pub struct Metric {
    pub name: &'static str,
    pub is: Type,
    pub help: &'static str,
}

impl Metric {
    /// # Panics
    /// When it is not in the list, which a test tells before.
    pub fn of(name: &str) -> &'static Self {
        let mut all = METRICS.iter();
        let found = all.find(|metric| metric.name == name);
        found.expect("a metric of the list")
    }

    /// As the name says it.
    fn unit(&self) -> Unit {
        let name = self.name.trim_end_matches("_total");
        match name.rsplit('_').next() {
            Some("seconds") => Unit::Seconds,
            Some("bytes") => Unit::Bytes,
            _ => Unit::Count,
        }
    }

    pub fn describe(&self) {
        match self.is {
            Type::Counter => describe_counter!(self.name, self.unit(), self.help),
            Type::Gauge => describe_gauge!(self.name, self.unit(), self.help),
            Type::Histogram => describe_histogram!(self.name, self.unit(), self.help),
        }
    }
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    let is = Type::Counter;
    Metric { name, is, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    let is = Type::Gauge;
    Metric { name, is, help }
}

const fn seconds(name: &'static str, help: &'static str) -> Metric {
    let is = Type::Histogram;
    Metric { name, is, help }
}

pub const METRICS: [Metric; 34] = [
    gauge(
        "serin_build_info",
        "Always 1; the labels say which build this is.",
    ),
    gauge(
        "serin_takes_work",
        "Whether this replica begins executions: 1 or 0.",
    ),
    gauge(
        "serin_places_free",
        "Executions that this replica could begin at once.",
    ),
    // The fleet.
    gauge(
        "serin_executions_waiting",
        "Executions of the fleet that were accepted and have not ended.",
    ),
    gauge(
        "serin_queue_executions",
        "Executions of the fleet that are due and held by no replica.",
    ),
    gauge(
        "serin_queue_oldest_age_seconds",
        "For how long the oldest of them has been due, in seconds; 0 when there is none.",
    ),
    gauge(
        "serin_leases",
        "Executions that a replica of the fleet holds and works on.",
    ),
    gauge(
        "serin_outbox_waiting",
        "Messages and calls of the fleet that are still to be sent.",
    ),
    gauge(
        "serin_outbox_oldest_age_seconds",
        "Age of the oldest of them, in seconds; 0 when there is none.",
    ),
    gauge(
        "serin_archives_waiting",
        "Executions of the fleet that have ended and whose archive is not in the store yet.",
    ),
    // Executions.
    counter(
        "serin_executions_accepted_total",
        "Canaries that were accepted.",
    ),
    counter(
        "serin_executions_refused_total",
        "Executions that were refused because as many wait as may.",
    ),
    counter("serin_executions_total", "Canaries that ended, by status."),
    counter(
        "serin_analyses_total",
        "Standalone analyses that ended, by status.",
    ),
    counter(
        "serin_outcomes_total",
        "Canaries and analyses that ended, by application and what they came to.",
    ),
    counter(
        "serin_calibrations_total",
        "Calibrations that ended, by status.",
    ),
    counter(
        "serin_margins_moved_total",
        "Margins that a calibration moved.",
    ),
    gauge(
        "serin_canary_score",
        "Score of the newest canary of an application and a config, 0 to 100; NaN when its verdict does not stand.",
    ),
    gauge(
        "serin_canary_outcome",
        "Whether the newest canary of an application and a config came to this outcome: 1 or 0.",
    ),
    // Sources and stores.
    gauge(
        "serin_account_up",
        "Whether an account answered when it was last asked, at most half a minute ago: 1 or 0.",
    ),
    counter(
        "serin_queries_total",
        "Queries to a source by their end, after all retries.",
    ),
    seconds(
        "serin_query_duration_seconds",
        "How long queries to a source took, retries included, in seconds.",
    ),
    counter(
        "serin_calls_total",
        "Requests that were sent to a source, by the class of their status.",
    ),
    counter(
        "serin_samples_total",
        "Samples by where they came from: the source, or what was known.",
    ),
    counter(
        "serin_answer_bytes_total",
        "Bytes of the bodies of a source's answers, unpacked.",
    ),
    gauge(
        "serin_rate_limit",
        "Calls that a source allows in its window, as it said last.",
    ),
    gauge(
        "serin_rate_limit_remaining",
        "Calls that are left of it, as the source said last.",
    ),
    // What is told and called.
    counter(
        "serin_notifications_total",
        "Attempts to tell a channel, by outcome.",
    ),
    counter(
        "serin_actions_total",
        "Attempts to call what an execution names, by event and outcome.",
    ),
    // HTTP.
    counter("serin_http_requests_total", "Requests that were answered."),
    seconds(
        "serin_http_request_duration_seconds",
        "How long answers to requests took, in seconds.",
    ),
    gauge("serin_connections", "Open connections of clients."),
    counter(
        "serin_connections_cut_total",
        "Connections that serin closed, by why.",
    ),
    counter(
        "serin_access_refused_total",
        "Requests whose credential does not hold, by why.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    const ROOT: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn what_the_source_counts_is_what_the_list_has() {
        let mut counted = BTreeSet::new();
        named(&Path::new(ROOT).join("src"), &mut counted);
        let listed: BTreeSet<_> = METRICS.iter().map(|it| it.name.to_owned()).collect();
        assert_eq!(counted, listed);
        assert_eq!(listed.len(), METRICS.len(), "one stands twice");
    }

    #[test]
    fn names_are_as_the_convention_has_them_and_documented() {
        let docs = fs::read_to_string(Path::new(ROOT).join("docs/operating.md")).unwrap();
        for metric in &METRICS {
            let Metric { name, is, help } = metric;
            assert_eq!(name.ends_with("_total"), *is == Type::Counter, "{name}");
            assert!(
                *is != Type::Histogram || name.ends_with("_seconds"),
                "{name}"
            );
            assert!(help.ends_with('.') && help.len() > 20, "{name}: {help}");
            let is = is.as_str();
            let row = format!("| `{name}` | {is} |");
            assert!(
                docs.lines().any(|line| line.starts_with(&row)),
                "docs/operating.md has no row of {name} as {is}"
            );
        }
    }

    /// Names of metrics in the source, but for this file.
    fn named(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                named(&path, found);
                continue;
            }
            let is_code = path.extension().is_some_and(|kind| kind == "rs");
            if !is_code || path.ends_with("telemetry/list.rs") {
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            let begun = code.split("\"serin_").skip(1);
            let names = begun.filter_map(|rest| rest.split('"').next());
            let are_names =
                names.filter(|it| it.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()));
            found.extend(
                are_names
                    .filter(|it| !it.is_empty())
                    .map(|it| format!("serin_{it}")),
            );
        }
    }
}
