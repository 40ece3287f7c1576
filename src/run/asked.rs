//! What a request asks for and would be passed over, and what can hardly be meant.

pub mod names;

use serde_json::{Map, Value};

use self::names::{Names, OF_ANALYSIS, OF_REQUEST, misnamed, unread_by_verdict};
use super::plan::Plan;
use crate::canary::number::number;
use crate::canary::{
    CanaryAdhocExecutionRequest, CanaryAnalysisAdhocExecutionRequest,
    CanaryAnalysisExecutionRequest, CanaryClassifierThresholdsConfig, CanaryConfig,
    CanaryExecutionRequest, CanaryVerdictRequest, Instant, iso_from_millis,
};
use crate::config;
use crate::error::{Error, Result};
use crate::judge;

/// How far clocks may differ.
const TOLERANCE_MILLIS: i64 = 60_000;

/// 2000-01-01T00:00:00Z: nothing is older, but seconds that are taken for milliseconds are.
const OLDEST_MILLIS: i64 = 946_684_800_000;

/// Members that hold a time.
const TIMES: [&str; 4] = ["start", "end", "startTimeIso", "endTimeIso"];

/// What clients keep there is their business, and what configs hold is told by the lint.
const OF_CLIENTS: [&str; 5] = [
    "siteLocal",
    "metadata",
    "actions",
    "canaryConfig",
    "extendedScopeParams",
];

/// The members of a request, whoever wraps it.
const OF_CANARY: &[Names] = &[OF_REQUEST];
const OF_ANALYSES: &[Names] = &[OF_REQUEST, OF_ANALYSIS];

/// What is sent to a door.
pub trait Asked {
    /// What is passed over, and what is meant.
    fn unread(value: &Value) -> Vec<String>;

    /// What of its values can hardly be meant.
    fn notes(&self, now: i64) -> Vec<String>;
}

impl Asked for CanaryExecutionRequest {
    fn unread(value: &Value) -> Vec<String> {
        misnamed(value, OF_CANARY)
    }

    fn notes(&self, now: i64) -> Vec<String> {
        let mut notes = Vec::from_iter(self.thresholds.and_then(never_marginal));
        for (name, pair) in self.scopes.iter().flatten() {
            let sides = [
                ("controlScope", &pair.control_scope),
                ("experimentScope", &pair.experiment_scope),
            ];
            for (side, scope) in sides {
                let Some(scope) = scope else { continue };
                let place = format!("scopes.{name}.{side}");
                notes.extend(window(
                    &place,
                    ["start", "end"],
                    scope.start,
                    scope.end,
                    now,
                ));
            }
        }
        notes
    }
}

impl Asked for CanaryAnalysisExecutionRequest {
    fn unread(value: &Value) -> Vec<String> {
        misnamed(value, OF_ANALYSES)
    }

    fn notes(&self, now: i64) -> Vec<String> {
        let mut notes = Vec::from_iter(self.thresholds.and_then(never_marginal));
        let scopes = self.scopes.iter().flatten();
        for (at, scope) in scopes.enumerate() {
            let time = |text: &Option<String>| text.as_deref().and_then(Instant::parse);
            let (start, end) = (time(&scope.start_time_iso), time(&scope.end_time_iso));
            let names = ["startTimeIso", "endTimeIso"];
            notes.extend(window(&format!("scopes[{at}]"), names, start, end, now));
        }
        if let Ok(plan) = Plan::of(self, now) {
            notes.extend(plan.left_over());
        }
        notes
    }
}

impl Asked for CanaryAdhocExecutionRequest {
    fn unread(value: &Value) -> Vec<String> {
        misnamed(value, OF_CANARY)
    }

    fn notes(&self, now: i64) -> Vec<String> {
        let request = self.execution_request.as_ref();
        request.map_or_else(Vec::new, |request| request.notes(now))
    }
}

impl Asked for CanaryAnalysisAdhocExecutionRequest {
    fn unread(value: &Value) -> Vec<String> {
        misnamed(value, OF_ANALYSES)
    }

    fn notes(&self, now: i64) -> Vec<String> {
        let request = self.execution_request.as_ref();
        request.map_or_else(Vec::new, |request| request.notes(now))
    }
}

impl Asked for CanaryVerdictRequest {
    fn unread(value: &Value) -> Vec<String> {
        unread_by_verdict(value)
    }

    /// Those of the whole request are told when it is whole.
    fn notes(&self, _: i64) -> Vec<String> {
        Vec::new()
    }
}

/// What of a config can hardly be meant, and is taken by Kayenta's doors: a canary would be judged
/// otherwise than its author thinks.
pub fn of_config(config: &CanaryConfig) -> Vec<String> {
    let doubts = judge::unknown_doubts(config).into_iter();
    let told = doubts.map(|doubt| {
        let (path, sentence) = (&doubt.path, doubt.sentence());
        format!(
            "'{path}': {sentence}: write one of {}",
            doubt.known.join(", ")
        )
    });
    told.collect()
}

fn never_marginal(thresholds: CanaryClassifierThresholdsConfig) -> Option<String> {
    let (pass, marginal) = (thresholds.pass?, thresholds.marginal?);
    (pass < marginal).then(|| {
        let (pass, marginal) = (number(pass), number(marginal));
        format!("the marginal score {marginal} lies above the pass score {pass}: let it be the lower one")
    })
}

fn window(
    place: &str,
    [start_name, end_name]: [&str; 2],
    start: Option<Instant>,
    end: Option<Instant>,
    now: i64,
) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, time) in [(start_name, start), (end_name, end)] {
        if let Some(time) = time.filter(|time| time.as_millis() < OLDEST_MILLIS) {
            notes.push(format!(
                "'{place}.{name}' is {time}: a number is one of milliseconds, and seconds were sent"
            ));
        }
    }
    if !notes.is_empty() {
        return notes;
    }
    if let (Some(start), Some(end)) = (start, end)
        && end <= start
    {
        notes.push(format!(
            "'{place}' ends at {end}, which is not after its start at {start}"
        ));
    } else {
        let is_to_come = |time: &Instant| now + TOLERANCE_MILLIS < time.as_millis();
        let start = start.filter(|_| end.is_none()).map(|time| ("begins", time));
        let to_come = end.map(|time| ("ends", time)).or(start);
        if let Some((word, time)) = to_come.filter(|(_, time)| is_to_come(time)) {
            notes.push(format!(
                "'{place}' {word} at {time}, which is still to come: it is {} now, and what has not \
                 been measured is not judged",
                iso_from_millis(now)
            ));
        }
    }
    notes
}

/// `now`, `now-30m`, or RFC 3339.
pub fn instant(text: &str, now: i64) -> Option<Instant> {
    let text = text.trim();
    let Some(before) = text.strip_prefix("now") else {
        return Instant::parse(text);
    };
    let before = before.trim();
    let ago = match before.strip_prefix('-') {
        Some(ago) => config::duration(ago.trim()).ok()?,
        None if before.is_empty() => std::time::Duration::ZERO,
        None => return None,
    };
    let ago = i64::try_from(ago.as_millis()).ok()?;
    // Whole seconds, so that points lie where people look for them.
    Instant::from_millis(now.saturating_sub(ago).div_euclid(1000) * 1000)
}

/// The end of what is judged again.
///
/// # Errors
/// `Invalid` when the text is no time.
pub fn end(text: &str, now: i64) -> Result<Instant> {
    let wrong = "'end' is no time: one like 2024-05-01T10:00:00Z or now-5m is wanted";
    instant(text, now).ok_or_else(|| Error::Invalid(wrong.to_owned()))
}

/// A request as it came, before it is read.
pub struct Sent {
    /// With times instead of `now`.
    pub value: Value,
    /// Whether there was such a time.
    pub is_changed: bool,
    /// What is passed over, and what is meant.
    pub misnamed: Vec<String>,
    /// Times that cannot be read, and why.
    pub unread: Vec<String>,
}

impl Sent {
    pub fn read<T: Asked>(value: Value, now: i64) -> Self {
        let mut sent = Self {
            misnamed: T::unread(&value),
            value: Value::Null,
            is_changed: false,
            unread: Vec::new(),
        };
        sent.value = sent.with_times(value, now);
        sent
    }

    fn with_times(&mut self, value: Value, now: i64) -> Value {
        match value {
            Value::Array(elements) => {
                let elements = elements.into_iter();
                elements.map(|inner| self.with_times(inner, now)).collect()
            }
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, inner)| {
                    let inner = match inner {
                        inner if OF_CLIENTS.contains(&name.as_str()) => inner,
                        Value::String(text) if TIMES.contains(&name.as_str()) => {
                            Value::String(self.time(&name, text, now))
                        }
                        Value::Number(number) if TIMES.contains(&name.as_str()) => {
                            self.unread.extend(no_number(&name, &number.to_string()));
                            Value::Number(number)
                        }
                        inner => self.with_times(inner, now),
                    };
                    (name, inner)
                });
                Value::Object(members.collect::<Map<String, Value>>())
            }
            other => other,
        }
    }

    fn time(&mut self, name: &str, text: String, now: i64) -> String {
        if text.trim().starts_with("now")
            && let Some(time) = instant(&text, now)
        {
            self.is_changed = true;
            return time.to_string();
        }
        if Instant::parse(&text).is_none() {
            let date = text.trim().replacen(' ', "T", 1);
            let mut with_zone = ["Z", ":00Z"].map(|end| format!("{date}{end}")).into_iter();
            let with_zone = with_zone.find(|time| Instant::parse(time).is_some());
            let told = with_zone.map(|time| {
                format!("'{name}' has no zone: write '{time}', or an offset for the Z")
            });
            self.unread
                .extend(told.or_else(|| no_number(name, text.trim())));
        }
        text
    }
}

/// The times of an analysis are texts.
fn no_number(name: &str, number: &str) -> Option<String> {
    let number: i64 = number.parse().ok().filter(|_| name.ends_with("Iso"))?;
    let is_of_seconds = number < OLDEST_MILLIS;
    let millis = if is_of_seconds {
        number.checked_mul(1000)?
    } else {
        number
    };
    let time = Instant::from_millis(millis)?;
    Some(format!(
        "'{name}' is a number, and a text is wanted: write '{time}'"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2024-06-01T02:00:00Z
    const NOW: i64 = 1_717_207_200_000;

    fn notes<T: Asked + serde::de::DeserializeOwned>(value: Value) -> Vec<String> {
        let sent = Sent::read::<T>(value, NOW);
        let mut notes = sent.misnamed;
        notes.extend(sent.unread);
        if let Ok(request) = serde_json::from_value::<T>(sent.value) {
            notes.extend(request.notes(NOW));
        }
        notes
    }

    #[test]
    fn nothing_is_said_of_what_is_as_it_should_be() {
        let side = json!({"scope": "a", "location": "b", "start": "2024-06-01T01:00:00Z", "end": "now",
            "step": 60, "extendedScopeParams": {"startTime": "x"}});
        let canary = json!({"scopes": {"default": {"controlScope": side, "experimentScope": side}},
            "thresholds": {"pass": 95, "marginal": 75}, "metadata": [{"name": "start", "value": "now"}],
            "siteLocal": {"scoreThresholds": 1}, "user": "x", "parentPipelineExecutionId": "y"});
        assert_eq!(notes::<CanaryExecutionRequest>(canary.clone()), [""; 0]);
        let whole = json!({"canaryConfig": {"thresholds": 1}, "executionRequest": canary});
        assert_eq!(notes::<CanaryAdhocExecutionRequest>(whole), [""; 0]);
        let analysis = json!({"scopes": [{"scopeName": "a", "controlScope": "b", "experimentScope": "c",
            "startTimeIso": "now-1h", "endTimeIso": "now - 30m"}],
            "thresholds": {"pass": "95", "marginal": "75"}, "analysisIntervalMins": "5"});
        assert_eq!(notes::<CanaryAnalysisExecutionRequest>(analysis), [""; 0]);
    }

    #[test]
    fn what_is_passed_over_is_told_with_what_is_meant() {
        let cases = [
            (
                json!({"scoreThresholds": {"pass": 95}}),
                "'scoreThresholds' is not read: 'thresholds' is meant",
            ),
            (
                json!({"executionRequest": {"lifetimeDuration": "PT1H"}}),
                "'lifetimeDuration' is not read: 'lifetimeDurationMins'",
            ),
            (
                json!({"canaryAnalysisIntervalMins": 15}),
                "'analysisIntervalMins' is meant",
            ),
            (
                json!({"beginCanaryAnalysisAfterMins": 15}),
                "'beginAfterMins' is meant",
            ),
            (
                json!({"lifetimeDurationMin": 15}),
                "'lifetimeDurationMins' is meant",
            ),
            (json!({"lookback": 15}), "'lookbackMins' is meant"),
            (
                json!({"scopes": [{"startTime": "x"}]}),
                "'scopes[0].startTime' is not read: 'startTimeIso'",
            ),
            (
                json!({"scopes": [{"controlOffset": 5}]}),
                "'controlOffsetInMinutes' is meant",
            ),
            (
                json!({"thresholds": {"pass": 95, "marginal": 98}}),
                "98 lies above the pass score 95",
            ),
            (
                json!({"scopes": [{"startTimeIso": "2024-06-01T01:00:00"}]}),
                "write '2024-06-01T01:00:00Z'",
            ),
            (
                json!({"scopes": [{"startTimeIso": "2024-06-01 01:00:00"}]}),
                "'startTimeIso' has no zone",
            ),
            (
                json!({"scopes": [{"startTimeIso": "2024-06-01T01:00"}]}),
                "write '2024-06-01T01:00:00Z'",
            ),
            (
                json!({"scopes": [{"startTimeIso": 1_717_203_600}]}),
                "'startTimeIso' is a number, and a text is wanted: write '2024-06-01T01:00:00Z'",
            ),
            (
                json!({"scopes": [{"endTimeIso": "1717203600000"}]}),
                "'endTimeIso' is a number, and a text is wanted: write '2024-06-01T01:00:00Z'",
            ),
            (
                json!({"canaryAnalysisIntervalMin": 15}),
                "'analysisIntervalMins' is meant",
            ),
            (
                json!({"score_thresholds": {"pass": 95}}),
                "'thresholds' is meant",
            ),
            (
                json!({"scopes": [{"endTimeIso": "2024-06-01T03:00:00Z"}]}),
                "'scopes[0]' ends at 2024-06-01T03:00:00Z, which is still to come",
            ),
            (
                json!({"scopes": [{"startTimeIso": "2024-06-01T03:00:00Z"}]}),
                "'scopes[0]' begins at 2024-06-01T03:00:00Z, which is still to come",
            ),
            (
                json!({"scopes": [{}], "thresholds": {"pass": 95, "marginal": 75},
                    "lifetimeDurationMins": 120, "analysisIntervalMins": 45}),
                "the remaining 30 of 120 minutes are not judged",
            ),
            (
                json!({"canaryConfig": {}, "request": {}}),
                "'request' is not read: 'executionRequest'",
            ),
        ];
        for (value, expected) in cases {
            let told = notes::<CanaryAnalysisAdhocExecutionRequest>(value.clone());
            let wrapped = json!({"executionRequest": value});
            let told = [told, notes::<CanaryAnalysisAdhocExecutionRequest>(wrapped)].concat();
            assert!(
                told.iter().any(|told| told.contains(expected)),
                "{value}: {told:?}"
            );
        }
    }

    #[test]
    fn what_a_side_of_a_canary_can_hardly_mean_is_told() {
        let side = |side: Value| json!({"scopes": {"default": {"controlScope": side}}});
        let cases = [
            (
                side(json!({"startTime": "x"})),
                "'scopes.default.controlScope.startTime' is not read: 'start'",
            ),
            (side(json!({"region": "x"})), "'location' is meant"),
            (side(json!({"stepSecs": 60})), "'step' is meant"),
            (side(json!({"end_time": "x"})), "'end' is meant"),
            (
                json!({"lifetimeDurationMins": 60}),
                "'lifetimeDurationMins' is not read, as one canary is judged once",
            ),
            (
                json!({"executionRequest": {"canaryAnalysisIntervalMins": 5}}),
                "'analysisIntervalMins' is a member of an analysis",
            ),
            (
                json!({"scopes": {"default": {"baseline": {}}}}),
                "'scopes.default.baseline' is not read: 'controlScope'",
            ),
            (
                side(json!({"start": "2024-06-01T01:00:00Z", "end": "2024-06-01T00:59:00Z"})),
                "ends at 2024-06-01T00:59:00Z, which is not after its start at 2024-06-01T01:00:00Z",
            ),
            (
                side(json!({"start": "now-1h", "end": "now-2h"})),
                "not after its start",
            ),
            (
                side(json!({"start": 1_717_203_600, "end": 1_717_207_200})),
                "seconds were sent",
            ),
            (
                side(json!({"end": "2024-06-01T02:02:00Z"})),
                "still to come",
            ),
            (side(json!({"end": "2024-06-01T01:00:00"})), "has no zone"),
        ];
        for (value, expected) in cases {
            let told = notes::<CanaryExecutionRequest>(value.clone());
            assert!(
                told.iter().any(|told| told.contains(expected)),
                "{value}: {told:?}"
            );
        }
        // What is meant is there as well.
        let both = json!({"lifetimeDuration": "PT1H", "lifetimeDurationMins": 60});
        assert_eq!(notes::<CanaryAnalysisExecutionRequest>(both), [""; 0]);
    }

    #[test]
    fn now_is_a_time() {
        let cases = [
            ("now", Some("2024-06-01T02:00:00Z")),
            (" now - 45m ", Some("2024-06-01T01:15:00Z")),
            ("now-1h30m", Some("2024-06-01T00:30:00Z")),
            ("2024-06-01T03:00:00+02:00", Some("2024-06-01T01:00:00Z")),
            ("now+1h", None),
            ("now-", None),
            ("yesterday", None),
        ];
        for (text, expected) in cases {
            let told = instant(text, NOW + 999).map(|time| time.to_string());
            assert_eq!(told.as_deref(), expected, "{text}");
        }
    }
}
