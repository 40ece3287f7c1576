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
    (
        "thresholds",
        &[
            "threshold",
            "scoreThresholds",
            "canaryThresholds",
            "passThreshold",
            "marginalThreshold",
        ],
    ),
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
pub const OF_SIDE: Names = &[
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
pub const OF_ANALYSIS_SCOPE: Names = &[
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
/// What `/canary/verdict` reads of its address.
pub const OF_ADDRESS: [&str; 6] = [
    "application",
    "parentPipelineExecutionId",
    "metricsAccountName",
    "configurationAccountName",
    "storageAccountName",
    "wait",
];
/// Of `/canary/verdict`: what is read, and what would say the same.
const INSTEAD: [(&str, &[&str]); 3] = [
    ("canaryConfigId", &["canaryConfigName"]),
    ("scopes", &["controlScope", "experimentScope"]),
    ("lookback", &["start", "end"]),
];
const SIDES: [&str; 2] = ["controlScope", "experimentScope"];
/// Names end in them, or do not.
const UNITS: [&str; 9] = [
    "iso", "minutes", "mins", "min", "seconds", "secs", "sec", "millis", "ms",
];
pub const OF_THRESHOLDS: Names = &[
    ("pass", &["passing", "passThreshold"]),
    ("marginal", &["marginalThreshold"]),
];

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
    if !members.contains(&OF_ANALYSIS) {
        found.extend(of_analyses(request, &known));
    }
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
                for side in SIDES {
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

/// What `/canary/verdict` does not read: it is Kayenta's door for nobody, so nothing is let pass.
pub fn unread_by_verdict(value: &Value) -> Vec<String> {
    let whole = &value["executionRequest"];
    let mut found = strictly("", value, &[OF_START, OF_REQUEST, OF_VERDICT]);
    found.extend(beside(value));
    found.extend(strictly("executionRequest.", whole, &[OF_REQUEST]));
    for side in SIDES {
        found.extend(strictly(&format!("{side}."), &value[side], &[OF_SIDE]));
    }
    for (place, request) in [("", value), ("executionRequest.", whole)] {
        let thresholds = &request["thresholds"];
        let place_of_thresholds = format!("{place}thresholds.");
        found.extend(strictly(&place_of_thresholds, thresholds, &[OF_THRESHOLDS]));
        for (name, pair) in request["scopes"].as_object().into_iter().flatten() {
            let place = format!("{place}scopes.{name}.");
            found.extend(strictly(&place, pair, &[OF_PAIR]));
            for side in SIDES {
                let place = format!("{place}{side}.");
                found.extend(strictly(&place, &pair[side], &[OF_SIDE]));
            }
        }
    }
    found
}

/// What says the same as another member, which is read.
fn beside(value: &Value) -> Vec<String> {
    let is_sent = |request: &Value, name: &str| {
        let member = &request[name];
        !member.is_null() && member.as_str().is_none_or(|text| !text.trim().is_empty())
    };
    let whole = &value["executionRequest"];
    let members = OF_REQUEST.iter().map(|(name, _)| *name);
    let twice = members.filter(|name| is_sent(whole, name) && is_sent(value, name));
    let mut found: Vec<String> = twice
        .map(|name| format!("'{name}' is not read beside 'executionRequest.{name}'"))
        .collect();
    for (read, others) in INSTEAD {
        if is_sent(value, read) || (read == "scopes" && is_sent(whole, read)) {
            let others = others.iter().filter(|other| is_sent(value, other));
            found.extend(others.map(|other| format!("'{other}' is not read beside '{read}'")));
        }
    }
    found
}

/// All that has no name of these.
fn strictly(place: &str, value: &Value, members: &[Names]) -> Vec<String> {
    let known: Vec<&str> = members
        .iter()
        .copied()
        .flatten()
        .map(|(name, _)| *name)
        .collect();
    let sent = value.as_object().into_iter().flatten();
    let sent = sent.filter(|(name, value)| !value.is_null() && !known.contains(&name.as_str()));
    let told = sent.map(|(name, _)| {
        if OF_ADDRESS.contains(&name.as_str()) {
            return format!("'{place}{name}' is not read: it is a parameter of the address");
        }
        match called(name, members).or_else(|| nearest(name, &known)) {
            Some(meant) => format!("'{place}{name}' is not read: '{meant}' is meant"),
            None => format!(
                "'{place}{name}' is not read; there are {}",
                known.join(", ")
            ),
        }
    });
    told.collect()
}

/// What is asked of a single canary, and only analyses do.
fn of_analyses(request: &Value, known: &[Names]) -> Vec<String> {
    let sent = request.as_object().into_iter().flatten();
    let sent = sent
        .filter(|(_, value)| !value.is_null())
        .map(|(name, _)| name);
    let told = sent.filter(|name| called(name, known).is_none());
    let told = told.filter_map(|name| {
        let meant = called(name, &[OF_ANALYSIS])?;
        Some(format!(
            "'{name}' is not read, as one canary is judged once: '{meant}' is a member of an analysis \
             (/standalone_canary_analysis)"
        ))
    });
    told.collect()
}

/// The member that has this name, here or with others, however it is spelt and whatever its unit.
pub fn called(name: &str, members: &[Names]) -> Option<&'static str> {
    let name = plain(name);
    let mut names = members.iter().copied().flatten();
    let called = names.find(|(meant, others)| {
        let mut all = [meant].into_iter().chain(others.iter());
        all.any(|one| plain(one) == name)
    });
    called.map(|(meant, _)| *meant)
}

fn plain(name: &str) -> String {
    let letters = name.chars().filter(|letter| letter.is_alphanumeric());
    let letters: String = letters.flat_map(char::to_lowercase).collect();
    let unit = UNITS.iter().find_map(|unit| letters.strip_suffix(unit));
    unit.unwrap_or(&letters).to_owned()
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
        let meant = called(name, members).or_else(|| nearest(name, &known))?;
        let is_read = is_sent(meant) || !is_sent(name);
        (!is_read).then(|| format!("'{place}{name}' is not read: '{meant}' is meant"))
    });
    told.collect()
}
