//! Metric sources for tests: a configuration with one account, and requests.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Value, json};
use serin::budget::Budget;
use serin::canary::{CanaryConfig, CanaryMetricConfig, CanaryScope, MetricSet};
use serin::clock::Clock;
use serin::config::{
    Access, Account, AccountType, Audit, Config, Database, Executions, Face, Http, Limits, Log,
    LogFormat, Prometheus, PrometheusAccount, Retention, Retry, Reuse, Server, Source, Sources,
    Spare, Storage, TestControllerDefaults, Thanos,
};
use serin::error::{Error, FetchError, Result};
use serin::metrics::{self, MetricRequest, MetricSource};

pub fn account(base_url: &str) -> PrometheusAccount {
    PrometheusAccount {
        base_url: base_url.to_owned(),
        public_url: base_url.to_owned(),
        username: None,
        password: None,
        username_password_file: None,
        bearer_token: None,
        bearer_token_file: None,
        google: None,
        quota_project: None,
        oauth2: None,
        sigv4: None,
        headers: IndexMap::new(),
        certificate: None,
        thanos: Thanos::default(),
        http: Http {
            ca_file: None,
            max_concurrent_queries: 16,
            compression: false,
        },
    }
}

pub const fn limits() -> Limits {
    Limits {
        memory: Some(256 << 20),
        execution: 160 << 20,
        query_text: 16 << 10,
        series: 1_000,
        labels: 100,
        samples: 2_500_000,
    }
}

/// Three attempts some milliseconds apart, and five seconds for all.
pub fn config(accounts: Vec<(&str, PrometheusAccount)>) -> Config {
    let accounts = accounts.into_iter().map(|(name, account)| Account {
        name: name.to_owned(),
        supported_types: vec![AccountType::MetricsStore],
        locations: Vec::new(),
        recommended_locations: Vec::new(),
        source: Some(Source::Prometheus(Box::new(account))),
        store: None,
        face: Face::NONE,
    });
    let second = Duration::from_secs(1);
    Config {
        access: Access::default(),
        fail_doubtful: false,
        recalibrate_every: None,
        accounts: accounts.collect(),
        sources: Sources {
            prometheus: Prometheus {
                scope_label: "instance".to_owned(),
                metadata_caching_interval: 60 * second,
                health_enabled: false,
                raw_values: false,
                test_controller_defaults: TestControllerDefaults::default(),
                query_deadline: 5 * second,
                reuse: Reuse {
                    enabled: true,
                    overlap: 300 * second,
                    max_bytes: 32 << 20,
                },
            },
            ..Sources::default()
        },
        retry: Retry {
            attempts: 3,
            backoff: Duration::from_millis(5),
            statuses: vec![408, 429],
            series: vec![5],
            patience: None,
        },
        server: Server {
            address: "127.0.0.1".to_owned(),
            port: 0,
            admin_address: None,
            tls: None,
            public_url: None,
            hosts: Vec::new(),
            max_connections: 1,
            max_body_bytes: 1 << 20,
            body_memory: 1 << 20,
            answer_memory: 1 << 20,
            request_timeout: second,
            least_rate: 1,
            cors: false,
            gate_aliases: true,
            mcp: serin::config::Tools::Read,
            header_timeout: second,
            idle_timeout: second,
            shutdown_grace: second,
        },
        database: Database::at(""),
        storage: Storage {
            directory: "unused".into(),
            refresh: 60 * second,
            replace_archives: false,
            refresh_timeout: 600 * second,
            max_object_bytes: 64 << 20,
            min_free: Spare::Bytes(0),
        },
        executions: Executions {
            max_waiting: 1,
            max_waiting_bytes: 1,
            max_running: 1,
            max_metrics: 1_000,
            deadline: second,
            lease: second,
            max_attempts: 1,
            retention: second,
        },
        limits: limits(),
        retention: Retention::default(),
        audit: Audit {
            keep: second,
            log: false,
            export_every: second,
        },
        channels: Vec::new(),
        action_hosts: Vec::new(),
        traces: None,
        log: Log {
            level: "info".to_owned(),
            format: LogFormat::Text,
        },
        sql: None,
        migration: None,
        remote_judge: None,
        metric_name_validation: true,
        archive: true,
        secret_files: Arc::default(),
    }
}

/// The sources of a configuration; TLS has its provider as it has in the program.
pub fn open(config: &Config) -> Result<IndexMap<String, Arc<dyn MetricSource>>> {
    open_at(config, &Clock::System)
}

pub fn open_at(config: &Config, clock: &Clock) -> Result<IndexMap<String, Arc<dyn MetricSource>>> {
    // The second of the tests of one process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    metrics::open(config, clock)
}

pub fn source(config: &Config) -> Arc<dyn MetricSource> {
    open(config).unwrap()[0].clone()
}

/// Owns what a request borrows.
pub struct Asking {
    config: CanaryConfig,
    metric: CanaryMetricConfig,
    scope: CanaryScope,
}

impl Asking {
    pub fn of(config: &Value, metric: &Value, scope: &Value) -> Self {
        Self {
            config: serde_json::from_value(config.clone()).unwrap(),
            metric: serde_json::from_value(metric.clone()).unwrap(),
            scope: serde_json::from_value(scope.clone()).unwrap(),
        }
    }

    /// A query as it stands, from `start` on, to `end`, every `step` seconds.
    pub fn promql(query: &str, start: &str, end: &str, step: i64) -> Self {
        let template = format!("PromQL:{query}");
        let query = json!({"type": "prometheus", "customInlineTemplate": template});
        Self::of(
            &json!({}),
            &json!({"name": "m", "query": query}),
            &json!({"start": start, "end": end, "step": step}),
        )
    }

    /// `up` over five minutes.
    pub fn up() -> Self {
        Self::promql("up", "2024-06-01T01:00:00Z", "2024-06-01T01:05:00Z", 60)
    }

    pub async fn fetch(&self, source: &Arc<dyn MetricSource>) -> Result<Vec<MetricSet>> {
        let request = MetricRequest {
            config: &self.config,
            metric: &self.metric,
            scope: &self.scope,
            longest: limits().query_text,
            is_reused: true,
        };
        let limits = limits();
        let budget = Budget::new(limits.memory, limits.execution);
        source.fetch(&request, &budget.share()).await
    }

    pub async fn fails(&self, source: &Arc<dyn MetricSource>) -> FetchError {
        match self.fetch(source).await {
            Err(Error::Fetch(error)) => *error,
            other => panic!("a failed query is wanted: {other:?}"),
        }
    }
}
