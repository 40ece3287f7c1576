//! The answers of a Prometheus.

use indexmap::IndexMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::times::Times;

/// The answer of Prometheus to a query.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScoresResponse {
    #[schema(example = "success")]
    status: &'static str,
    data: Scores,
}

impl ScoresResponse {
    pub fn new(data: Scores) -> Self {
        Self {
            status: "success",
            data,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub enum Scores {
    Vector(Vec<Sample>),
    #[schema(value_type = Vec<serde_json::Value>)]
    Scalar(Point),
    Matrix(Vec<Series>),
}

/// Seconds and the value as text.
pub type Point = (f64, String);

#[derive(Debug, Serialize, ToSchema)]
pub struct Sample {
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub metric: IndexMap<&'static str, String>,
    /// Seconds and the score as text.
    #[schema(value_type = Vec<serde_json::Value>, example = json!([1_714_561_260.0, "97.5"]))]
    pub value: Point,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Series {
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub metric: IndexMap<&'static str, String>,
    #[schema(value_type = Vec<Vec<serde_json::Value>>)]
    pub values: Vec<Point>,
}

impl Scores {
    /// One number, without labels.
    pub fn number(time: i64, number: f64) -> Self {
        Self::Vector(vec![Sample {
            metric: IndexMap::new(),
            value: value(time, number),
        }])
    }

    pub fn constant(times: &Times, number: f64) -> Self {
        Self::Matrix(vec![Series {
            metric: IndexMap::new(),
            values: times.iter().map(|time| value(time, number)).collect(),
        }])
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of our time fit")]
pub fn value(time: i64, number: f64) -> Point {
    let number = if number.is_infinite() {
        // As Go writes it.
        if 0.0 < number { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        number.to_string()
    };
    (time as f64 / 1000.0, number)
}
