//! Where the series of the two sides come from.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time::Instant;
use super::{lenient, time};

/// One side of a comparison: what to select, and when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryScope {
    /// The resource: a server group, a version, a job.
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = "checkout-canary")]
    pub scope: Option<String>,
    /// The region or namespace.
    #[serde(
        default,
        deserialize_with = "lenient::text::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = "eu")]
    pub location: Option<String>,
    #[serde(
        default,
        deserialize_with = "time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime, example = "2024-05-01T10:00:00Z")]
    pub start: Option<Instant>,
    #[serde(
        default,
        deserialize_with = "time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime, example = "2024-05-01T11:00:00Z")]
    pub end: Option<Instant>,
    /// Seconds between two points.
    #[serde(
        default,
        deserialize_with = "lenient::integer::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = 60)]
    pub step: Option<i64>,
    /// Variables for templates.
    #[serde(
        default,
        deserialize_with = "lenient::text_map::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<std::collections::BTreeMap<String, String>>)]
    pub extended_scope_params: Option<IndexMap<String, String>>,
}

/// Control and experiment of one named scope.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryScopePair {
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub control_scope: Option<CanaryScope>,
    #[serde(
        default,
        deserialize_with = "lenient::object",
        skip_serializing_if = "Option::is_none"
    )]
    pub experiment_scope: Option<CanaryScope>,
}
