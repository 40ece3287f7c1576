//! How to judge: metrics with their queries, groups with their weights.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::time::iso_from_millis;
use super::{Actions, AnalysisConfigurations, Fault, Path, drop_nulls, lenient};

/// A canary config. Members that serin does not know are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryConfig {
    /// Epoch milliseconds.
    #[serde(
        default,
        deserialize_with = "lenient::integer::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_timestamp: Option<i64>,
    /// Epoch milliseconds.
    #[serde(
        default,
        deserialize_with = "lenient::integer::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub updated_timestamp: Option<i64>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_timestamp_iso: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub updated_timestamp_iso: Option<String>,
    /// Letters, digits, `-`, `_` and `,`; unique among configs that share an application.
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = "checkout-config")]
    pub name: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub id: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub description: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = "1")]
    pub config_version: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::texts::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = json!(["checkout"]))]
    pub applications: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge: Option<CanaryJudgeConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Vec<CanaryMetricConfig>>,
    /// Named filter templates.
    #[serde(
        default,
        deserialize_with = "lenient::text_map::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    pub templates: Option<IndexMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<CanaryClassifierConfig>,
    /// What is called outside of serin as a canary goes on. As it came: in a merge patch, `null` means something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Actions>)]
    pub actions: Option<Value>,
    /// Members that serin does not know.
    #[serde(flatten)]
    #[schema(ignore)]
    pub other: Map<String, Value>,
}

impl CanaryConfig {
    /// What Kayenta refuses when a config is stored, in its order; `metric_names` says whether those
    /// count.
    pub fn faults(&self, metric_names: bool) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut refuse = |path, message: String| faults.push(Fault::new(path, message));
        let name = self.name.as_deref().unwrap_or_default();
        if name.is_empty() {
            let told = "Canary config must specify a name.";
            refuse(Path::of("name"), told.to_owned());
        }
        if self.applications.as_ref().is_none_or(Vec::is_empty) {
            let told = "Canary config must specify at least one application.";
            refuse(Path::of("applications"), told.to_owned());
        }
        // The comma is Kayenta's, whatever the message says.
        if !name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, ',' | '-' | '_'))
        {
            refuse(
                Path::of("name"),
                format!(
                    "Canary config cannot be named '{name}'. Names must contain only letters, numbers, dashes (-) and underscores (_)."
                ),
            );
        }
        if metric_names {
            faults.extend(self.metric_name_faults());
        }
        faults
    }

    fn metric_name_faults(&self) -> Vec<Fault> {
        let mut seen = Vec::new();
        let mut faults = Vec::new();
        for (at, metric) in self.metrics.iter().flatten().enumerate() {
            let path = Path::element("metrics", at).member("name");
            match metric.name.as_deref() {
                None | Some("") => {
                    faults.push(Fault::new(path, "Metric config must specify a name."));
                }
                Some(name) if seen.contains(&name) => {
                    let told =
                        format!("Metric config name must be unique. '{name}' is duplicated.");
                    faults.push(Fault::new(path, told));
                }
                Some(name) => seen.push(name),
            }
        }
        faults
    }

    /// Fills the texts of the timestamps from their milliseconds.
    pub fn stamp(&mut self) {
        self.created_timestamp_iso = self.created_timestamp.map(iso_from_millis);
        self.updated_timestamp_iso = self.updated_timestamp.map(iso_from_millis);
    }

    /// As it is once it has been stored: a `null` is as good as absent, and so are missing groups.
    pub fn prepare(&mut self) {
        for metric in self.metrics.iter_mut().flatten() {
            metric.groups.get_or_insert_default();
        }
        self.drop_nulls();
    }

    /// The id of the margins that it is judged with, where it names some.
    pub fn calibration(&self) -> Option<String> {
        let settings = self.judge.as_ref()?.judge_configurations.as_ref()?;
        match settings.get("calibration")? {
            Value::Null => None,
            Value::String(named) => Some(named.clone()),
            other => Some(other.to_string()),
        }
    }

    /// Removes the explicit nulls of the members that are kept as they came.
    pub fn drop_nulls(&mut self) {
        let judge = self
            .judge
            .iter_mut()
            .flat_map(|judge| [Some(&mut judge.other), judge.judge_configurations.as_mut()]);
        let metrics = self.metrics.iter_mut().flatten().flat_map(|metric| {
            [
                Some(&mut metric.other),
                metric.analysis_configurations.as_mut(),
            ]
        });
        let classifier = self.classifier.iter_mut().map(|c| Some(&mut c.other));
        let members = judge.chain(metrics).chain(classifier).flatten();
        for members in members.chain([&mut self.other]) {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
    }
}

/// Which judge.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryJudgeConfig {
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = "NetflixACAJudge-v1.0")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    pub judge_configurations: Option<Map<String, Value>>,
    #[serde(flatten)]
    #[schema(ignore)]
    pub other: Map<String, Value>,
}

/// One metric: how to fetch it, how to judge it, and the groups it counts for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryMetricConfig {
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<CanaryMetricSetQueryConfig>,
    #[serde(
        default,
        deserialize_with = "lenient::texts::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub groups: Option<Vec<String>>,
    /// How it is judged; without it, any difference counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AnalysisConfigurations>)]
    pub analysis_configurations: Option<Map<String, Value>>,
    /// serin's own: what it is measured in, as people are told it, such as `ms`.
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = "ms")]
    pub unit: Option<String>,
    /// The scope pair of the request to fetch for.
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = "default")]
    pub scope_name: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    pub other: Map<String, Value>,
}

/// The query types whose `serviceType` Kayenta writes beside them. Any other is kept as it came: one
/// to come is no reason to lose a config.
const QUERY_TYPES: [&str; 10] = [
    "prometheus",
    "datadog",
    "stackdriver",
    "signalfx",
    "graphite",
    "newrelic",
    "influxdb",
    "wavefront",
    "atlas",
    "clickhouse",
];

/// What the text of a query may be called.
const INLINE_TEMPLATES: [&str; 2] = ["customInlineTemplate", "template"];

/// How a metric is fetched. `type` says by what; its members are kept as they came.
#[derive(Clone, Debug, PartialEq, ToSchema)]
#[schema(value_type = std::collections::BTreeMap<String, Value>, example = json!({"type": "prometheus", "metricName": "http_errors", "customInlineTemplate": "version=\"${scope}\""}))]
pub struct CanaryMetricSetQueryConfig(Map<String, Value>);

impl CanaryMetricSetQueryConfig {
    /// Of a query with the members of `query`, whose `type` is set to `kind`.
    pub fn new(kind: &str, mut query: Map<String, Value>) -> Self {
        query.insert("type".to_owned(), kind.into());
        Self(query)
    }

    /// One that Kayenta knows, or what somebody else reads.
    pub fn kind(&self) -> &str {
        self.0.get("type").and_then(Value::as_str).unwrap_or("")
    }

    /// The names of its members.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// A member as it is.
    pub fn value(&self, member: &str) -> Option<&Value> {
        self.0.get(member)
    }

    /// The text of a member; numbers count as text, as they do in Kayenta.
    pub fn text(&self, member: &str) -> Option<String> {
        text(self.0.get(member)?)
    }

    /// The template that stands in the query, and the member that holds it: the later one of both
    /// names, as in Kayenta, where one is an alias of the other.
    pub fn inline_template(&self) -> Option<(&str, String)> {
        let mut members = self.0.iter().rev();
        members.find_map(|(name, value)| {
            let is_template = INLINE_TEMPLATES.contains(&name.as_str());
            let text = text(value).filter(|text| is_template && !text.is_empty())?;
            Some((name.as_str(), text))
        })
    }

    /// The texts of a member that is a list.
    pub fn texts(&self, member: &str) -> Vec<String> {
        let list = self.0.get(member).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(text).collect()
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Serialize for CanaryMetricSetQueryConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !QUERY_TYPES.contains(&self.kind()) {
            return self.0.serialize(serializer);
        }
        let mut members = self.0.clone();
        members.insert("serviceType".to_owned(), self.kind().into());
        members.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for CanaryMetricSetQueryConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = deserializer.deserialize_map(InOrder)?;
        let kind = members.get("type").and_then(Value::as_str);
        let kind = kind.filter(|kind| !kind.is_empty()).ok_or_else(|| {
            D::Error::custom(format!(
                "a query needs a 'type', such as {}",
                QUERY_TYPES.join(", ")
            ))
        })?;
        if !QUERY_TYPES.contains(&kind) {
            return Ok(Self(members));
        }
        members.retain(|name, value| name != "serviceType" && !value.is_null());
        members.values_mut().for_each(drop_nulls);
        for list in ["labelBindings", "groupByFields", "fields"] {
            if members.get(list).is_some_and(|value| !value.is_array()) {
                return Err(D::Error::custom(format!(
                    "'{list}' of a query is a list of texts"
                )));
            }
        }
        Ok(Self(members))
    }
}

/// Reads an object in which a member that comes twice stands where it came last.
struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a query, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, value)) = access.next_entry::<String, Value>()? {
            members.shift_remove(&name);
            members.insert(name, value);
        }
        Ok(members)
    }
}

/// Weights of the groups. `scoreThresholds` is kept and never used: those of the request decide.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryClassifierConfig {
    #[serde(
        default,
        with = "lenient::double_map",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<std::collections::BTreeMap<String, f64>>)]
    pub group_weights: Option<IndexMap<String, f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_thresholds: Option<CanaryClassifierThresholdsConfig>,
    #[serde(flatten)]
    #[schema(ignore)]
    pub other: Map<String, Value>,
}

/// From which score a canary is marginal, and from which it passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CanaryClassifierThresholdsConfig {
    #[serde(
        default,
        with = "lenient::number",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<f64>, example = 95)]
    pub pass: Option<f64>,
    #[serde(
        default,
        with = "lenient::number",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<f64>, example = 75)]
    pub marginal: Option<f64>,
}

/// What a listing tells of a canary config.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryConfigSummary {
    pub id: String,
    pub name: String,
    /// Epoch milliseconds.
    pub updated_timestamp: i64,
    pub updated_timestamp_iso: String,
    pub applications: Vec<String>,
}

#[cfg(test)]
mod tests;
