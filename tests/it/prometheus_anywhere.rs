//! Prometheus wherever it runs: clouds, gateways with tokens and certificates, and what speaks its API.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod certificate;
mod dialects;
mod loki;
mod moved;
mod oauth2;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use serin::clock::Clock;
use serin::config::{LoadOptions, load_from};
use serin::error::Result;
use serin::metrics::{self, MetricSource};

use crate::prometheus_source::Asking;
use crate::scripted_prometheus::{Asked, Reply};

/// The source of one account with these keys, in this environment.
fn opened(keys: &Value, variables: &[(&str, &str)]) -> Result<Arc<dyn MetricSource>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut account = json!({"name": "mine"});
    account
        .as_object_mut()
        .unwrap()
        .extend(keys.as_object().unwrap().clone());
    let settings = json!({"kayenta": {
        "prometheus": {"enabled": true, "accounts": [account]},
        "metrics": {"retry": {"attempts": 2, "backoffPeriodMultiplierMs": 5}},
    }});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.yml");
    std::fs::write(&file, settings.to_string()).unwrap();
    let options = LoadOptions {
        file: Some(file),
        ..LoadOptions::default()
    };
    let variables = variables.iter();
    let variables = variables.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let loaded = load_from(&options, &variables.collect::<BTreeMap<_, _>>()).unwrap();
    Ok(metrics::open(&loaded.config, &Clock::System)?[0].clone())
}

fn source(keys: &Value) -> Arc<dyn MetricSource> {
    opened(keys, &[]).unwrap()
}

/// A query that no other one is like.
fn asking(number: usize) -> Asking {
    let query = format!("m{number}");
    Asking::promql(&query, "2024-06-01T01:00:00Z", "2024-06-01T01:05:00Z", 60)
}

fn nothing() -> Reply {
    Reply::matrix(&json!([]))
}

/// Whatever is asked for.
fn answer(asked: &Asked) -> Reply {
    if asked.path.ends_with("/values") || asked.path.ends_with("/labels") {
        return Reply::text(200, r#"{"status":"success","data":["a","b"]}"#)
            .with("content-type", "application/json");
    }
    nothing()
}

/// All that an account is asked: a query, names of metrics, health.
async fn ask_all(source: &Arc<dyn MetricSource>) {
    asking(0).fetch(source).await.unwrap();
    assert_eq!(source.metric_names("").await.unwrap().len(), 2);
    source.health().await.unwrap();
}
