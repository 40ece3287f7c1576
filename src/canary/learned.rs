//! Margins that were learned from past windows in which nothing changed.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::{CalibrationRequest, CanaryConfig, CanaryMetricConfig};

/// What a calibration says of the metrics of a config. It stands in the canary's execution, so that what was
/// stored is judged alike again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Learned {
    /// The calibration that the config names.
    pub calibration: String,
    /// When it was made, in epoch milliseconds.
    pub made_millis: i64,
    /// The time that its windows cover, in epoch milliseconds.
    pub from_millis: i64,
    pub to_millis: i64,
    pub metrics: Vec<LearnedMargin>,
}

/// What is kept under an id that configs name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeptMargins {
    #[serde(flatten)]
    pub learned: Learned,
    /// Those of the config that they were learned for; none where they were learned elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applications: Option<Vec<String>>,
    /// None where they were learned elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taught_by: Option<TaughtBy>,
}

/// How margins were learned, and can be anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaughtBy {
    /// Without a config that came with it.
    pub request: CalibrationRequest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_account_name: Option<String>,
}

/// Of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LearnedMargin {
    pub metric: String,
    /// A relative change, 0.12 for 12 %; absent where no margin up to 50 % holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
    /// How many windows were judged.
    pub windows: u32,
    /// [`fingerprint`] of the query that was asked.
    pub query: String,
}

impl Learned {
    pub fn of(&self, metric: &str) -> Option<&LearnedMargin> {
        self.metrics.iter().find(|learned| learned.metric == metric)
    }

    /// `learned from 200 windows between 3 and 24 November`
    pub fn told(&self, margin: &LearnedMargin) -> String {
        let days = between(self.from_millis, self.to_millis);
        let days = days.map(|days| format!(" between {days}"));
        let windows = margin.windows;
        format!("learned from {windows} windows{}", days.unwrap_or_default())
    }
}

/// Of the query of a metric as it is written, with the template of the config that it names, in 16 hexadecimal
/// digits: another query has another one.
pub fn fingerprint(config: &CanaryConfig, metric: &CanaryMetricConfig) -> String {
    let mut query = serde_json::to_value(&metric.query).unwrap_or(Value::Null);
    query.sort_all_objects();
    let mut text = query.to_string();
    text.extend(named_template(config, metric));
    let digest = Sha256::digest(text);
    let digits = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    digits.collect()
}

/// None where the query holds a template itself, which is taken before one that it names.
fn named_template<'a>(config: &'a CanaryConfig, metric: &CanaryMetricConfig) -> Option<&'a str> {
    let query = metric.query.as_ref()?;
    if query.inline_template().is_some() {
        return None;
    }
    let name = query.text("customFilterTemplate")?;
    let template = config.templates.as_ref()?.get(&name)?;
    Some(template.as_str())
}

/// Days as they are told: `3 and 24 November`, `28 December 2025 and 24 January 2026`.
fn between(from_millis: i64, to_millis: i64) -> Option<String> {
    let day = |millis| {
        let time = Timestamp::from_millisecond(millis).ok()?;
        Some(time.to_zoned(TimeZone::UTC))
    };
    let (from, to) = (day(from_millis)?, day(to_millis)?);
    let format = match (from.year() == to.year(), from.month() == to.month()) {
        (true, true) => "%-d",
        (true, false) => "%-d %B",
        (false, _) => "%-d %B %Y",
    };
    let to_format = if from.year() == to.year() {
        "%-d %B"
    } else {
        "%-d %B %Y"
    };
    Some(format!(
        "{} and {}",
        from.strftime(format),
        to.strftime(to_format)
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn another_query_has_another_fingerprint() {
        let of = |query: Value, templates: Value| {
            let config =
                json!({"metrics": [{"name": "a", "query": query}], "templates": templates});
            let config: CanaryConfig = serde_json::from_value(config).unwrap();
            fingerprint(&config, &config.metrics.as_ref().unwrap()[0])
        };
        let named = || json!({"type": "x", "customFilterTemplate": "t"});
        let inline =
            || json!({"type": "x", "customFilterTemplate": "t", "customInlineTemplate": "i"});
        let all = [
            of(named(), json!({"t": "one"})),
            of(named(), json!({"t": "two"})),
            of(named(), Value::Null),
            of(inline(), json!({"t": "one"})),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(one), "{all:?}");
        }
        // What the query does not say changes nothing, nor does the order of its members.
        assert_eq!(of(named(), json!({"u": "three", "t": "one"})), all[0]);
        assert_eq!(of(inline(), json!({"t": "two"})), all[3]);
        let turned = json!({"customFilterTemplate": "t", "type": "x"});
        assert_eq!(of(turned, json!({"t": "one"})), all[0]);
    }

    #[test]
    fn days_are_told_as_shortly_as_they_are_clear() {
        let day = 86_400_000;
        let november = 1_762_128_000_000;
        let cases = [
            (november, november + 21 * day, "3 and 24 November"),
            (november, november + 30 * day, "3 November and 3 December"),
            (
                november,
                november + 60 * day,
                "3 November 2025 and 2 January 2026",
            ),
        ];
        for (from, to, expected) in cases {
            assert_eq!(between(from, to).as_deref(), Some(expected));
        }
        assert_eq!(between(i64::MIN, i64::MAX), None);
    }
}
