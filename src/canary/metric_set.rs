//! Series, alone and in pairs.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Attributes, Double, Pair, lenient};

/// One series of one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricSet {
    #[serde(deserialize_with = "lenient::text::required")]
    pub name: String,
    /// Labels of the series, without its name.
    #[serde(default, deserialize_with = "lenient::text_map::or_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub tags: IndexMap<String, String>,
    #[serde(default, deserialize_with = "lenient::integer::or_zero")]
    pub start_time_millis: i64,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub start_time_iso: Option<String>,
    #[serde(default, deserialize_with = "lenient::integer::or_zero")]
    pub end_time_millis: i64,
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub end_time_iso: Option<String>,
    #[serde(default, deserialize_with = "lenient::integer::or_zero")]
    pub step_millis: i64,
    #[serde(with = "lenient::doubles")]
    #[schema(value_type = Vec<Double>)]
    pub values: Vec<f64>,
    /// Epoch milliseconds of every value; Kayenta has no such member.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timestamps: Vec<i64>,
    /// How the series was found: `query` is the text that was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    pub attributes: Option<Attributes>,
}

impl MetricSet {
    /// Points that the window should hold: its length over its step, 0 without a step.
    pub fn expected_points(&self) -> usize {
        if self.step_millis == 0 {
            return 0;
        }
        let length = self.end_time_millis.saturating_sub(self.start_time_millis);
        usize::try_from(length.saturating_div(self.step_millis)).unwrap_or(0)
    }
}

/// The series of both sides that belong together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", from = "Recorded")]
pub struct MetricSetPair {
    pub name: String,
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub tags: IndexMap<String, String>,
    #[serde(serialize_with = "lenient::doubles_pair::serialize")]
    #[schema(value_type = Pair<Vec<Double>>)]
    pub values: Pair<Vec<f64>>,
    /// The places of values that came as `null`, which count as 0; Kayenta has no such member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nulls: Option<Pair<Vec<usize>>>,
    /// Epoch milliseconds of the values that were fetched; Kayenta has no such member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamps: Option<Pair<Vec<i64>>>,
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, MetricSetScope>)]
    pub scopes: IndexMap<String, MetricSetScope>,
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>>)]
    pub attributes: IndexMap<String, Attributes>,
}

impl MetricSetPair {
    /// How many values there are on both sides.
    pub const fn points(&self) -> usize {
        self.values.control.len() + self.values.experiment.len()
    }
}

/// A pair as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    #[serde(deserialize_with = "lenient::text::required")]
    name: String,
    #[serde(default, deserialize_with = "lenient::text::or_empty")]
    id: String,
    #[serde(default, deserialize_with = "lenient::text_map::or_empty")]
    tags: IndexMap<String, String>,
    values: Pair<lenient::doubles::Series>,
    #[serde(default, deserialize_with = "lenient::if_readable")]
    nulls: Option<Pair<Vec<usize>>>,
    #[serde(default)]
    timestamps: Option<Pair<Vec<i64>>>,
    #[serde(default, deserialize_with = "lenient::without_nulls_or_empty")]
    scopes: IndexMap<String, MetricSetScope>,
    #[serde(default, deserialize_with = "lenient::without_nulls_or_empty")]
    attributes: IndexMap<String, Attributes>,
}

impl From<Recorded> for MetricSetPair {
    fn from(recorded: Recorded) -> Self {
        let found = recorded.values.as_ref().map(|series| series.nulls.len());
        let nulls = recorded.values.as_ref().map(|series| series.nulls.clone());
        Self {
            name: recorded.name,
            id: recorded.id,
            tags: recorded.tags,
            values: recorded.values.map(|series| series.values),
            nulls: match found.control + found.experiment {
                0 => recorded.nulls,
                _ => Some(nulls),
            },
            timestamps: recorded.timestamps,
            scopes: recorded.scopes,
            attributes: recorded.attributes,
        }
    }
}

/// Start and step of one side of a pair.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricSetScope {
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    pub start_time_iso: Option<String>,
    #[serde(default, deserialize_with = "lenient::integer::or_zero")]
    pub start_time_millis: i64,
    #[serde(default, deserialize_with = "lenient::integer::or_zero")]
    pub step_millis: i64,
}
