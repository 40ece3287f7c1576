//! A request for a verdict, as scripts and gates of deployments send it.

use indexmap::IndexMap;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::actions::Actions;
use super::execution::Metadata;
use super::time::{self, Instant};
use super::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryExecutionRequest, CanaryScope,
    CanaryScopePair, lenient,
};

/// A canary config, or which is meant, and what to compare: the members of `POST /canary/{id}`, or
/// those two of `POST /canary`, or two names and a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryVerdictRequest {
    #[serde(
        default,
        deserialize_with = "lenient::text::filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub canary_config_id: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient::text::filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub canary_config_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_config: Option<CanaryConfig>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_request: Option<CanaryExecutionRequest>,
    #[serde(
        default,
        deserialize_with = "lenient::without_nulls",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<std::collections::BTreeMap<String, CanaryScopePair>>)]
    pub scopes: Option<IndexMap<String, CanaryScopePair>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thresholds: Option<CanaryClassifierThresholdsConfig>,
    /// Echoed only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Vec<Metadata>>,
    /// Echoed only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<std::collections::BTreeMap<String, Value>>)]
    pub site_local: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Actions>)]
    pub actions: Option<Value>,
    /// Instead of `scopes`: a name, or a scope, for every scope that the config names.
    #[serde(
        default,
        deserialize_with = "side",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, example = "checkout-primary")]
    pub control_scope: Option<CanaryScope>,
    #[serde(
        default,
        deserialize_with = "side",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, example = "checkout-canary")]
    pub experiment_scope: Option<CanaryScope>,
    /// For sides that do not have theirs.
    #[serde(
        default,
        deserialize_with = "time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub start: Option<Instant>,
    #[serde(
        default,
        deserialize_with = "time::optional",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub end: Option<Instant>,
    /// Instead of `start` and `end`: the time before now.
    #[serde(
        default,
        deserialize_with = "lenient::text::filled",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = "10m")]
    pub lookback: Option<String>,
    /// Seconds between two points; 60, if not given.
    #[serde(
        default,
        deserialize_with = "lenient::integer::deserialize",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = 60)]
    pub step: Option<i64>,
    /// How long the answer may take; as long as a request may, if not given.
    #[serde(
        default,
        deserialize_with = "lenient::text::filled",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(example = "50s")]
    pub wait: Option<String>,
    /// The same request with the same key asks again for what the first one started, as with
    /// `Idempotency-Key`.
    #[serde(
        default,
        deserialize_with = "lenient::text::filled",
        skip_serializing_if = "Option::is_none"
    )]
    pub key: Option<String>,
}

/// A scope, or only its name.
fn side<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<CanaryScope>, D::Error> {
    let named = |scope: String| CanaryScope {
        scope: Some(scope),
        ..CanaryScope::default()
    };
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => Ok(Some(named(text))),
        Value::Number(number) => Ok(Some(named(number.to_string()))),
        scope => CanaryScope::deserialize(scope)
            .map(Some)
            .map_err(D::Error::custom),
    }
}
