//! What is judged: a few canaries over recorded history, so that each has one right verdict.

use serde_json::{Value, json};

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The config comes with the request.
    AdHoc,
    Stored,
    /// Prometheus refuses its query.
    Refused,
    /// Three windows, one after the other.
    Analysis,
    /// Its queries kill whoever asks them.
    Poison,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Canary {
    pub kind: Kind,
    /// Which hour of the history, and so which verdict.
    pub hour: usize,
}

const HOURS: usize = 4;

pub const CONFIG_ID: &str = "faults";

impl Canary {
    pub fn all() -> impl Iterator<Item = Self> {
        let kinds = [Kind::AdHoc, Kind::Stored, Kind::Refused, Kind::Analysis];
        let of_kind = |kind| (0..HOURS).map(move |hour| Self { kind, hour });
        kinds.into_iter().flat_map(of_kind)
    }

    /// Mostly what Orca asks for.
    pub fn any(random: &mut crate::random::Random) -> Self {
        let kind = match random.between(0, 100) {
            0..50 => Kind::AdHoc,
            50..90 => Kind::Stored,
            90..94 => Kind::Refused,
            _ => Kind::Analysis,
        };
        let hour = random.below(HOURS);
        Self { kind, hour }
    }

    pub const fn is_analysis(self) -> bool {
        matches!(self.kind, Kind::Analysis)
    }

    pub fn path(self) -> String {
        match self.kind {
            Kind::AdHoc | Kind::Refused | Kind::Poison => "/canary?application=faults".to_owned(),
            Kind::Stored => format!("/canary/{CONFIG_ID}?application=faults"),
            Kind::Analysis => "/standalone_canary_analysis?application=faults".to_owned(),
        }
    }

    pub fn body(self) -> Value {
        match self.kind {
            Kind::AdHoc => ad_hoc(&config(""), self.hour),
            Kind::Stored => request(self.hour),
            Kind::Refused => {
                let mut config = config("");
                config["metrics"][0]["query"]["customInlineTemplate"] =
                    json!("PromQL:no_such_function(up)");
                ad_hoc(&config, self.hour)
            }
            Kind::Poison => ad_hoc(&config(",poison!=\"x\""), self.hour),
            Kind::Analysis => json!({"canaryConfig": config(""), "executionRequest": {
                "scopes": [{
                    "controlScope": "prod", "experimentScope": "canary",
                    "controlLocation": "ns1", "experimentLocation": "ns1", "step": 60,
                    "startTimeIso": time(self.hour, 0), "endTimeIso": time(self.hour, 59),
                }],
                "thresholds": {"pass": 95, "marginal": 75}, "analysisIntervalMins": 20,
            }}),
        }
    }
}

/// A canary whose first asker is kept waiting.
pub fn marked(mark: &str) -> Value {
    ad_hoc(&config(&format!(",takeover!=\"{mark}\"")), 0)
}

pub fn stored_config() -> Value {
    let mut config = config("");
    config["id"] = json!(CONFIG_ID);
    config["name"] = json!(CONFIG_ID);
    config["applications"] = json!(["faults"]);
    config
}

fn ad_hoc(config: &Value, hour: usize) -> Value {
    json!({"canaryConfig": config, "executionRequest": request(hour)})
}

fn config(mark: &str) -> Value {
    let metric = |name: &str, series: &str, group: &str| {
        json!({
            "name": name, "scopeName": "default", "groups": [group],
            "query": {"type": "prometheus", "metricName": series, "customInlineTemplate":
                format!("PromQL:avg({series}{{app=\"web\",version=\"${{scope}}\",namespace=\"${{location}}\"{mark}}})")},
            "analysisConfigurations": {"canary": {"direction": "increase"}},
        })
    };
    json!({
        "metrics": [
            metric("cpu", "cpu_usage", "system"),
            metric("memory", "mem_bytes", "system"),
            metric("latency", "latency_ms", "users"),
        ],
        "classifier": {"groupWeights": {"system": 40, "users": 60}},
    })
}

fn request(hour: usize) -> Value {
    let scope = |version: &str| {
        json!({
            "scope": version, "location": "ns1", "step": 60,
            "start": time(hour, 0), "end": time(hour, 59),
        })
    };
    json!({
        "scopes": {"default": {"controlScope": scope("prod"), "experimentScope": scope("canary")}},
        "thresholds": {"pass": 95, "marginal": 75},
    })
}

fn time(hour: usize, minute: usize) -> String {
    format!("2024-06-01T{:02}:{minute:02}:00Z", hour + 1)
}

/// What must come out the same every time: the verdict without the ids, which are made anew.
pub fn verdict(document: &Value) -> Value {
    let one = |result: &Value| {
        let mut judged = result["judgeResult"].clone();
        if let Some(results) = judged["results"].as_array_mut() {
            for result in results {
                if let Some(result) = result.as_object_mut() {
                    result.shift_remove("id");
                }
                // Replicas reach Prometheus at addresses of their own, and some queries are made
                // so that nothing is known of them.
                if let Some(explanation) = result["explanation"].as_object_mut() {
                    explanation.shift_remove("queries");
                }
            }
        }
        judged
    };
    match document["canaryAnalysisExecutionResult"]["canaryExecutionResults"].as_array() {
        Some(runs) => runs.iter().map(|run| one(&run["result"])).collect(),
        None => one(&document["result"]),
    }
}
