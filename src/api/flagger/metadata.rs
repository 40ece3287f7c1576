//! What the metadata of a hook describe: an analysis, and when it starts. All values are texts.

use indexmap::{IndexMap, IndexSet};

use super::hook::Hook;
use crate::api::stored_config::Named;
use crate::canary::{
    CanaryAnalysisExecutionRequest, CanaryAnalysisExecutionRequestScope,
    CanaryClassifierThresholdsConfig, CanaryConfig,
};
use crate::config::{duration, nearest};
use crate::error::{Error, Result};
use crate::run::asked::names::{
    Names, OF_ANALYSIS, OF_ANALYSIS_SCOPE, OF_REQUEST, OF_SIDE, OF_THRESHOLDS, OF_VERDICT, called,
};
use crate::run::asked::{Asked, instant};

/// Every key, and the name that Kayenta has for the same.
const KEYS: [(&str, &str); 23] = [
    ("application", ""),
    ("beginAfter", "beginAfterMins"),
    ("canaryConfigId", ""),
    ("canaryConfigName", ""),
    (CLUSTER, ""),
    ("configurationAccountName", ""),
    ("controlLocation", ""),
    ("controlOffset", "controlOffsetInMinutes"),
    ("controlScope", ""),
    ("endTime", "endTimeIso"),
    ("experimentLocation", ""),
    ("experimentScope", ""),
    ("interval", "analysisIntervalMins"),
    ("lifetime", "lifetimeDurationMins"),
    ("location", ""),
    ("lookback", "lookbackMins"),
    ("marginal", ""),
    ("metricsAccountName", ""),
    ("pass", ""),
    ("start", ""),
    ("startTime", "startTimeIso"),
    ("step", ""),
    ("storageAccountName", ""),
];

/// Tells canaries of the same namespace and name apart.
pub const CLUSTER: &str = "cluster";

/// What comes before the name of an extended scope parameter.
const EXTENDED: &str = "extended.";

/// The thresholds of Kayenta's examples.
const PASS: f64 = 95.0;
const MARGINAL: f64 = 75.0;

const LIFETIME: i64 = 10;

/// An analysis as metadata describe it.
#[derive(Clone, Debug)]
pub struct Described {
    /// The first hook that starts it; each later one does as well.
    pub start: Hook,
    pub config: Named,
    pub application: Option<String>,
    pub metrics_account: Option<String>,
    pub storage_account: Option<String>,
    pub configuration_account: Option<String>,
    /// Without scopes.
    request: CanaryAnalysisExecutionRequest,
    /// For every scope that the config names.
    scope: CanaryAnalysisExecutionRequestScope,
}

/// The canary as Flagger names it, from which comes what metadata leave out.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
}

impl Described {
    /// None when they name no config.
    ///
    /// # Errors
    /// `Invalid` when a key or a value is not understood, or can hardly be meant.
    pub fn read(
        metadata: &IndexMap<String, String>,
        target: Target<'_>,
        now: i64,
    ) -> Result<Option<Self>> {
        let values = Values::of(metadata)?;
        let config = match (
            values.text("canaryConfigId"),
            values.text("canaryConfigName"),
        ) {
            (Some(id), None) => Named::Id(id),
            (None, Some(name)) => Named::Name(name),
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => {
                return invalid(
                    "canaryConfigId and canaryConfigName name the config twice: one is enough",
                );
            }
        };
        let end_time_iso = values.time("endTime", now)?;
        let location = || {
            values
                .text("location")
                .or(Some(target.namespace.to_owned()))
        };
        let text_or = |name, other: String| values.text(name).or(Some(other));
        let scope = CanaryAnalysisExecutionRequestScope {
            control_scope: text_or("controlScope", format!("{}-primary", target.name)),
            control_location: values.text("controlLocation").or_else(location),
            control_offset_in_minutes: values.minutes("controlOffset")?.unwrap_or(0),
            experiment_scope: text_or("experimentScope", target.name.to_owned()),
            experiment_location: values.text("experimentLocation").or_else(location),
            start_time_iso: values.time("startTime", now)?,
            step: values.seconds("step")?.unwrap_or(60),
            extended_scope_params: values.extended(),
            ..CanaryAnalysisExecutionRequestScope::default()
        };
        let lifetime = values.minutes("lifetime")?;
        let pass = values.number("pass")?.unwrap_or(PASS);
        let marginal = values.number("marginal")?;
        let request = CanaryAnalysisExecutionRequest {
            scopes: None,
            thresholds: Some(CanaryClassifierThresholdsConfig {
                pass: Some(pass),
                marginal: Some(marginal.unwrap_or(MARGINAL.min(pass))),
            }),
            lifetime_duration_mins: match end_time_iso {
                Some(_) => lifetime,
                None => lifetime.or(Some(LIFETIME)),
            },
            begin_after_mins: values.minutes("beginAfter")?.unwrap_or(0),
            lookback_mins: values.minutes("lookback")?.unwrap_or(0),
            analysis_interval_mins: values.minutes("interval")?,
            judge_remainder: true,
            site_local: None,
            // Those of the config hold.
            actions: None,
        };
        let scope = CanaryAnalysisExecutionRequestScope {
            end_time_iso,
            ..scope
        };
        refuse_doubtful(&request, &scope, now)?;
        Ok(Some(Self {
            start: values.start()?,
            config,
            application: values.text("application"),
            metrics_account: values.text("metricsAccountName"),
            storage_account: values.text("storageAccountName"),
            configuration_account: values.text("configurationAccountName"),
            request,
            scope,
        }))
    }

    /// What is to be analysed: the same two sides for every scope that the config names.
    pub fn request(&self, config: &CanaryConfig) -> CanaryAnalysisExecutionRequest {
        let metrics = config.metrics.iter().flatten();
        let names = metrics.filter_map(|metric| metric.scope_name.clone());
        let scopes = names.collect::<IndexSet<String>>().into_iter();
        let scopes = scopes.map(|scope_name| CanaryAnalysisExecutionRequestScope {
            scope_name,
            ..self.scope.clone()
        });
        CanaryAnalysisExecutionRequest {
            scopes: Some(scopes.collect()),
            ..self.request.clone()
        }
    }
}

fn refuse_doubtful(
    request: &CanaryAnalysisExecutionRequest,
    scope: &CanaryAnalysisExecutionRequestScope,
    now: i64,
) -> Result<()> {
    let whole = CanaryAnalysisExecutionRequest {
        scopes: Some(vec![scope.clone()]),
        ..request.clone()
    };
    match whole.notes(now).as_slice() {
        [] => Ok(()),
        notes => invalid(notes.join("; ")),
    }
}

/// Metadata whose keys are all understood.
struct Values<'a>(&'a IndexMap<String, String>);

impl<'a> Values<'a> {
    fn of(metadata: &'a IndexMap<String, String>) -> Result<Self> {
        for key in metadata.keys() {
            let is_known = KEYS.iter().any(|(name, other)| key == name || key == other);
            let is_extended = key
                .strip_prefix(EXTENDED)
                .is_some_and(|name| !name.is_empty());
            if !is_known && !is_extended {
                return Err(Error::Invalid(unknown(key)));
            }
        }
        let mut pairs = KEYS.iter();
        let twice = |(name, other): &&(&str, &str)| {
            metadata.contains_key(*name) && metadata.contains_key(*other)
        };
        if let Some((name, other)) = pairs.find(twice) {
            return invalid(format!("'{name}' and '{other}' are one key: give one"));
        }
        Ok(Self(metadata))
    }

    /// Under the name, else under Kayenta's; blanks are none.
    fn text(&self, name: &str) -> Option<String> {
        let other = KEYS.iter().find(|(key, _)| *key == name);
        let names = [name, other.map_or("", |(_, other)| other)];
        let given = names.iter().find_map(|name| self.0.get(*name));
        let text = given
            .map(|text| text.trim())
            .filter(|text| !text.is_empty());
        text.map(str::to_owned)
    }

    fn extended(&self) -> IndexMap<String, String> {
        let pairs = self.0.iter().filter_map(|(key, value)| {
            let name = key.strip_prefix(EXTENDED)?;
            Some((name.to_owned(), value.clone()))
        });
        pairs.collect()
    }

    fn number(&self, name: &str) -> Result<Option<f64>> {
        self.parsed(name, "a number", |text| {
            text.parse().ok().filter(|number: &f64| number.is_finite())
        })
    }

    fn time(&self, name: &str, now: i64) -> Result<Option<String>> {
        let wanted = "a time with its zone, as in '2024-05-01T10:00:00Z', or 'now-30m'";
        let time = self.parsed(name, wanted, |text| instant(text, now))?;
        Ok(time.map(|time| time.to_string()))
    }

    fn minutes(&self, name: &str) -> Result<Option<i64>> {
        self.parsed(name, "whole minutes, as in '10m' or '10'", |text| {
            whole(text, 60)
        })
    }

    fn seconds(&self, name: &str) -> Result<Option<i64>> {
        self.parsed(name, "whole seconds, as in '60s' or '60'", |text| {
            whole(text, 1).filter(|seconds| 0 < *seconds)
        })
    }

    fn start(&self) -> Result<Hook> {
        let wanted = "pre-rollout, confirm-traffic-increase, rollout or confirm-promotion";
        let given = self.parsed("start", wanted, |text| {
            Hook::parse(text).filter(|hook| hook.may_start())
        })?;
        // The canary runs by then, and has its first traffic next.
        Ok(given.unwrap_or(Hook::PreRollout))
    }

    fn parsed<T>(
        &self,
        name: &str,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match parse(&text) {
            Some(value) => Ok(Some(value)),
            None => invalid(format!(
                "'{text}' is no value for '{name}', which wants {wanted}"
            )),
        }
    }
}

/// A number of units, or a duration that is one.
fn whole(text: &str, unit: i64) -> Option<i64> {
    if let Ok(number) = text.parse() {
        return Some(number).filter(|number| 0 <= *number);
    }
    let duration = duration(text).ok()?;
    let seconds = i64::try_from(duration.as_secs()).ok()?;
    let is_whole = duration.subsec_nanos() == 0 && seconds % unit == 0;
    is_whole.then_some(seconds / unit)
}

/// What Kayenta, its pipelines and other doors of serin call it.
const ELSEWHERE: [Names; 6] = [
    OF_ANALYSIS,
    OF_ANALYSIS_SCOPE,
    OF_THRESHOLDS,
    OF_VERDICT,
    OF_SIDE,
    OF_REQUEST,
];

fn unknown(key: &str) -> String {
    let known = KEYS.iter().flat_map(|(name, other)| [*name, *other]);
    let known: Vec<&str> = known.filter(|name| !name.is_empty()).collect();
    let last = key.rsplit('.').next().unwrap_or(key);
    let elsewhere = ELSEWHERE.iter().find_map(|names| called(last, &[names]));
    let both = match elsewhere {
        Some("thresholds") => Some("'pass' and 'marginal'"),
        Some("scopes") => Some("'controlScope' and 'experimentScope'"),
        _ => None,
    };
    if let Some(both) = both {
        return format!("the metadata key '{key}' is not known; {both} are meant");
    }
    let is_key = |name: &&str| KEYS.iter().any(|(key, other)| [key, other].contains(&name));
    let meant = elsewhere.filter(is_key).or_else(|| nearest(key, &known));
    match meant {
        Some(meant) => format!("the metadata key '{key}' is not known; is '{meant}' meant?"),
        None => format!(
            "the metadata key '{key}' is not known; there are {}, and '{EXTENDED}…'",
            KEYS.map(|(name, _)| name).join(", ")
        ),
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(message.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// 2024-06-01T02:00:00Z
    const NOW: i64 = 1_717_207_200_000;

    const TARGET: Target<'_> = Target {
        namespace: "test",
        name: "podinfo",
    };

    fn read(pairs: &[(&str, &str)]) -> Result<Option<Described>> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Described::read(&pairs.iter().map(pair).collect(), TARGET, NOW)
    }

    /// The request for a config whose metrics name these scopes.
    fn request(pairs: &[(&str, &str)], scopes: &[&str]) -> Value {
        let metrics: Vec<Value> = scopes
            .iter()
            .map(|scope| json!({"name": "m", "scopeName": scope}))
            .collect();
        let config = serde_json::from_value(json!({"metrics": metrics})).unwrap();
        let described = read(pairs).unwrap().unwrap();
        serde_json::to_value(described.request(&config)).unwrap()
    }

    #[test]
    fn flaggers_own_names_fill_what_is_left_out() {
        let request = request(&[("canaryConfigName", "web")], &["default", "default", "b"]);
        assert_eq!(
            request["thresholds"],
            json!({"pass": 95.0, "marginal": 75.0})
        );
        assert_eq!(request["lifetimeDurationMins"], 10);
        assert_eq!(request["judgeRemainder"], true);
        let scopes = request["scopes"].as_array().unwrap();
        assert_eq!(scopes.len(), 2, "{scopes:?}");
        assert_eq!(
            scopes[1],
            json!({
                "scopeName": "b", "step": 60, "controlOffsetInMinutes": 0,
                "controlScope": "podinfo-primary", "controlLocation": "test",
                "experimentScope": "podinfo", "experimentLocation": "test",
                "extendedScopeParams": {},
            })
        );
    }

    #[test]
    fn values_are_texts_in_flaggers_or_kayentas_spelling() {
        let cases = [
            ("lifetime", "1h", "/lifetimeDurationMins", json!(60)),
            (
                "lifetimeDurationMins",
                "30",
                "/lifetimeDurationMins",
                json!(30),
            ),
            ("interval", "PT5M", "/analysisIntervalMins", json!(5)),
            ("lookback", "1h0m0s", "/lookbackMins", json!(60)),
            ("lookback", "1d", "/lookbackMins", json!(1440)),
            ("beginAfter", "2", "/beginAfterMins", json!(2)),
            ("step", "15s", "/scopes/0/step", json!(15)),
            ("step", "1m", "/scopes/0/step", json!(60)),
            ("pass", " 90.5 ", "/thresholds/pass", json!(90.5)),
            ("location", "eu", "/scopes/0/controlLocation", json!("eu")),
            (
                "controlLocation",
                "us",
                "/scopes/0/controlLocation",
                json!("us"),
            ),
            (
                "controlOffset",
                "1h",
                "/scopes/0/controlOffsetInMinutes",
                json!(60),
            ),
            (
                "extended.zone",
                "a",
                "/scopes/0/extendedScopeParams/zone",
                json!("a"),
            ),
            ("marginal", "", "/thresholds/marginal", json!(75.0)),
        ];
        for (name, text, place, expected) in cases {
            let request = request(&[("canaryConfigId", "c"), (name, text)], &["default"]);
            assert_eq!(request.pointer(place), Some(&expected), "{name}: {request}");
        }
    }

    #[test]
    fn what_is_recorded_needs_no_lifetime() {
        let times = [
            ("canaryConfigId", "c"),
            ("startTime", "now-1h"),
            ("endTimeIso", "2024-06-01T02:00:00Z"),
        ];
        let request = request(&times, &["default"]);
        assert_eq!(request.get("lifetimeDurationMins"), None);
        assert_eq!(request["scopes"][0]["startTimeIso"], "2024-06-01T01:00:00Z");
        assert_eq!(request["scopes"][0]["endTimeIso"], "2024-06-01T02:00:00Z");
    }

    #[test]
    fn mistakes_are_told_with_what_would_be_right() {
        let cases = [
            (
                &[("canaryConfigname", "c")][..],
                "is 'canaryConfigName' meant?",
            ),
            (&[("livetime", "5m")], "is 'lifetime' meant?"),
            (&[("nonsense", "5m")], "there are application, beginAfter"),
            (&[("extended.", "5m")], "'extended.' is not known"),
            (
                &[("canaryConfigId", "c"), ("canaryConfigName", "c")],
                "twice",
            ),
            (
                &[("canaryConfigId", "c"), ("lifetime", "90s")],
                "whole minutes, as in '10m'",
            ),
            (
                &[("canaryConfigId", "c"), ("lifetime", "-5")],
                "whole minutes",
            ),
            (&[("canaryConfigId", "c"), ("step", "0")], "whole seconds"),
            (
                &[("canaryConfigId", "c"), ("pass", "NaN")],
                "'NaN' is no value for 'pass'",
            ),
            (
                &[("canaryConfigId", "c"), ("start", "rollback")],
                "no value for 'start'",
            ),
            (
                &[("canaryConfigId", "c"), ("marginal", "98")],
                "the marginal score 98 lies above the pass score 95",
            ),
            (
                &[
                    ("canaryConfigId", "c"),
                    ("startTime", "2024-06-01T01:00:00"),
                ],
                "a time with its zone",
            ),
            (
                &[
                    ("canaryConfigId", "c"),
                    ("startTime", "now-1h"),
                    ("endTime", "now-2h"),
                ],
                "not after its start",
            ),
            (
                &[("canaryConfigId", "c"), ("endTime", "2024-06-01T03:00:00Z")],
                "still to come",
            ),
            (
                &[("canaryConfigId", "c"), ("start", "confirm-rollout")],
                "wants pre-rollout",
            ),
        ];
        for (pairs, part) in cases {
            let error = read(pairs).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(part), "{pairs:?}: {error}");
        }
        assert!(read(&[("cluster", "eu")]).unwrap().is_none());
    }
}
