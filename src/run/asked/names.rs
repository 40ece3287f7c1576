//! Members of requests, and the names that other tools have for them.

use serde_json::Value;

use crate::config::nearest;

/// A member, and names that others have for it.
pub type Names = &'static [(&'static str, &'static [&'static str])];

const OF_START: Names = &[
    ("canaryConfig", &["config"]),
    (
        "executionRequest",
        &[
            "request",
            "canaryExecutionRequest",
            "canaryAnalysisExecutionRequest",
        ],
    ),
];
pub const OF_REQUEST: Names = &[
    ("scopes", &["scope", "canaryScopes"]),
    ("thresholds", &["scoreThresholds", "canaryThresholds"]),
    ("metadata", &[]),
    ("siteLocal", &[]),
    ("actions", &[]),
];
pub const OF_ANALYSIS: Names = &[
    (
        "lifetimeDurationMins",
        &[
            "lifetimeDuration",
            "lifetimeMins",
            "lifetimeHours",
            "lifetime",
            "duration",
            "durationMins",
        ],
    ),
    (
        "analysisIntervalMins",
        &[
            "canaryAnalysisIntervalMins",
            "analysisInterval",
            "intervalMins",
            "interval",
        ],
    ),
    (
        "beginAfterMins",
        &[
            "beginCanaryAnalysisAfterMins",
            "beginAfter",
            "delayMins",
            "warmupMins",
        ],
    ),
    ("lookbackMins", &["lookback"]),
];
pub const OF_VERDICT: Names = &[
    ("canaryConfigId", &["configId"]),
    ("canaryConfigName", &["configName"]),
    ("controlScope", &["control", "baseline", "baselineScope"]),
    ("experimentScope", &["experiment", "canary", "canaryScope"]),
    ("start", &["startTime", "startTimeIso"]),
    ("end", &["endTime", "endTimeIso"]),
    ("lookback", &["lookbackMins", "window"]),
    ("step", &["stepSeconds"]),
    ("wait", &["timeout"]),
    ("key", &["idempotencyKey"]),
];
const OF_PAIR: Names = &[
    ("controlScope", &["control", "baseline", "baselineScope"]),
    ("experimentScope", &["experiment", "canary", "canaryScope"]),
];
const OF_SIDE: Names = &[
    ("scope", &["name"]),
    ("location", &["region"]),
    ("start", &["startTime", "startTimeIso"]),
    ("end", &["endTime", "endTimeIso"]),
    ("step", &["stepSeconds"]),
    (
        "extendedScopeParams",
        &["extendedParams", "params", "parameters"],
    ),
];
const OF_ANALYSIS_SCOPE: Names = &[
    ("scopeName", &["name"]),
    ("controlScope", &["control", "baseline", "baselineScope"]),
    ("controlLocation", &["controlRegion", "baselineLocation"]),
    (
        "controlOffsetInMinutes",
        &["controlOffset", "controlOffsetMins"],
    ),
    ("experimentScope", &["experiment", "canary", "canaryScope"]),
    (
        "experimentLocation",
        &["experimentRegion", "canaryLocation"],
    ),
    ("startTimeIso", &["startTime", "start"]),
    ("endTimeIso", &["endTime", "end"]),
    ("step", &["stepSeconds"]),
    (
        "extendedScopeParams",
        &["extendedParams", "params", "parameters"],
    ),
];
const OF_THRESHOLDS: Names = &[("pass", &["passing"]), ("marginal", &[])];

/// Members that nobody reads, and the names of those that are meant and are not there.
pub fn misnamed(value: &Value, members: &[Names]) -> Vec<String> {
    let mut found = Vec::new();
    let whole = value.get("executionRequest");
    if whole.is_some() || value.get("canaryConfig").is_some() {
        found.extend(within("", value, &[OF_START]));
    }
    let request = whole.filter(|inner| inner.is_object()).unwrap_or(value);
    let known: Vec<Names> = members.iter().copied().chain([OF_START]).collect();
    found.extend(within("", request, &known));
    found.extend(within(
        "thresholds.",
        &request["thresholds"],
        &[OF_THRESHOLDS],
    ));
    match &request["scopes"] {
        Value::Array(scopes) => {
            for (at, scope) in scopes.iter().enumerate() {
                found.extend(within(
                    &format!("scopes[{at}]."),
                    scope,
                    &[OF_ANALYSIS_SCOPE],
                ));
            }
        }
        Value::Object(scopes) => {
            for (name, pair) in scopes {
                let place = format!("scopes.{name}.");
                found.extend(within(&place, pair, &[OF_PAIR]));
                for side in ["controlScope", "experimentScope"] {
                    let place = format!("{place}{side}.");
                    found.extend(within(&place, &pair[side], &[OF_SIDE]));
                }
            }
        }
        _ => {}
    }
    found.dedup();
    found
}

fn within(place: &str, value: &Value, members: &[Names]) -> Vec<String> {
    let Some(sent) = value.as_object() else {
        return Vec::new();
    };
    let names = || members.iter().copied().flatten();
    let known: Vec<&str> = names().map(|(name, _)| *name).collect();
    let is_sent = |name: &str| sent.get(name).is_some_and(|value| !value.is_null());
    let unknown = sent.keys().filter(|name| !known.contains(&name.as_str()));
    let told = unknown.filter_map(|name| {
        let of_others = names().find(|(_, others)| others.contains(&name.as_str()));
        let meant = of_others.map(|(meant, _)| *meant);
        let meant = meant.or_else(|| nearest(name, &known))?;
        let is_read = is_sent(meant) || !is_sent(name);
        (!is_read).then(|| format!("'{place}{name}' is not read: '{meant}' is meant"))
    });
    told.collect()
}
