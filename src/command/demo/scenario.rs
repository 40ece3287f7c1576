//! What the demo judges: one canary config, and four releases beside one control.

use jiff::Timestamp;
use serde_json::{Value, json};

/// The id of the demo's canary config.
pub const CONFIG_ID: &str = "checkout";

/// The version that serves all traffic today.
pub const CONTROL: &str = "v1";

/// The release of which two judges think differently.
pub const DISPUTED: &str = "v2-tide";

/// A version that gets a little traffic beside the control.
pub struct Release {
    pub version: &'static str,
    pub what: &'static str,
}

pub const RELEASES: [Release; 4] = [
    Release {
        version: "v2-good",
        what: "a good one",
    },
    Release {
        version: "v2-errors",
        what: "one with more errors",
    },
    Release {
        version: "v2-silent",
        what: "one without data",
    },
    Release {
        version: DISPUTED,
        what: "one like v1, whose errors come and go",
    },
];

/// An hour of whole minutes.
pub struct Window {
    pub start: String,
    pub end: String,
}

/// The hour up to the last whole minute.
pub fn window(now_millis: i64) -> Window {
    let end = now_millis / 60_000 * 60;
    let text = |seconds| {
        Timestamp::from_second(seconds).map_or_else(|_| String::new(), |time| time.to_string())
    };
    Window {
        start: text(end - 3600),
        end: text(end),
    }
}

pub fn canary_config() -> Value {
    let metric = |name: &str, series: &str, group: &str, policy: Value| {
        json!({
            "name": name,
            "query": {"type": "prometheus", "metricName": series, "customFilterTemplate": "version"},
            "groups": [group],
            "analysisConfigurations": {"canary": policy},
            "scopeName": "default",
        })
    };
    json!({
        "id": CONFIG_ID,
        "name": "checkout",
        "description": "Errors, latency and load of the checkout service",
        "applications": ["checkout"],
        "judge": {"name": "NetflixACAJudge-v1.0", "judgeConfigurations": {"shadow": "sequential-v1"}},
        "templates": {"version": "version=\"${scope}\""},
        "metrics": [
            metric("error rate", "checkout_errors_per_second", "Errors",
                json!({"direction": "increase", "critical": true, "effectSize": {"allowedIncrease": 1.1, "criticalIncrease": 1.5}})),
            metric("latency p50", "checkout_latency_p50_seconds", "Latency", json!({"direction": "increase", "effectSize": {"allowedIncrease": 1.1}})),
            metric("latency p99", "checkout_latency_p99_seconds", "Latency", json!({"direction": "increase", "effectSize": {"allowedIncrease": 1.1}})),
            metric("cpu", "checkout_cpu_seconds_per_second", "System", json!({"direction": "increase", "effectSize": {"allowedIncrease": 1.1}})),
            metric("requests", "checkout_requests_per_second", "System", json!({"direction": "either", "effectSize": {"allowedIncrease": 1.1, "allowedDecrease": 0.9}})),
        ],
        "classifier": {"groupWeights": {"Errors": 50, "Latency": 30, "System": 20}},
    })
}

pub fn execution_request(release: &Release, window: &Window) -> Value {
    let scope = |version: &str| json!({"scope": version, "location": "eu", "start": window.start, "end": window.end, "step": 60});
    json!({
        "scopes": {"default": {
            "controlScope": scope(CONTROL),
            "experimentScope": scope(release.version),
        }},
        "thresholds": {"pass": 95, "marginal": 75},
    })
}
