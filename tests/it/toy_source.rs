//! A metric source that is none of serin's, written as `docs/architecture.md` says: its language, the reading
//! of its answers, and its calls. All else it gets from what sources share.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{Value, json};
use serin::budget::{Held, Share};
use serin::canary::{
    Attributes, CanaryClassifierThresholdsConfig, CanaryConfig, Label, MetricSet, MetricSetPair,
    Pair,
};
use serin::config::{Config, Limits};
use serin::error::{FetchError, Result};
use serin::judge::{DEFAULT_NOISE_SEED, Doubting, Judgement, resolve};
use serin::metrics::grid::{Grid, Places};
use serin::metrics::http::{Call, Client, Credentials, Endpoint, Unanswered, Wrong};
use serin::metrics::range::Range;
use serin::metrics::series::{Answered, Labels, Series};
use serin::metrics::{
    self, Asking, Descriptor, Doubt, Draft, Language, Member, MetricRequest, MetricSource, Service,
    mix, query_of_kind,
};

use crate::prometheus_source;
use crate::stand_in::StandIn;

// What would be in src/metrics/dice/query.rs.

struct Dice;

impl Language for Dice {
    fn kind(&self) -> &'static str {
        "dice"
    }

    fn members(&self) -> &'static [Member] {
        &[]
    }

    fn template(&self) -> &'static str {
        "d6 of ${scope}"
    }

    fn text(&self, _: &Config, request: &MetricRequest<'_>) -> Result<String> {
        query_of_kind(request, self.kind())?;
        metrics::custom_filter(request)
    }

    fn doubts(&self, _: &Draft<'_>) -> Vec<Doubt> {
        Vec::new()
    }
}

// In src/metrics/dice/answer.rs.

/// `{"points": [[seconds, value], …]}`
#[derive(Deserialize)]
struct Rolled {
    points: Vec<(i64, f64)>,
}

fn read(rolled: Rolled, range: Range, limits: &Limits, held: &mut Held) -> Result<Answered, Wrong> {
    let grid = Grid {
        start: range.start.as_millis(),
        step: range.step.unwrap_or(60) * 1000,
        last: range.end.as_millis(),
    };
    let points = rolled.points.into_iter();
    let points = points.map(|(seconds, value)| (seconds * 1000, value));
    let placed = Places::new(limits, held).place(&grid, points)?;
    Ok(Answered {
        remarks: placed.remark().into_iter().collect(),
        series: vec![Series {
            labels: Labels::new(),
            samples: placed.samples,
            histograms: 0,
            window: None,
        }],
        ..Answered::default()
    })
}

// In src/metrics/dice.rs.

struct Table {
    client: Client,
    limits: Limits,
}

#[async_trait]
impl Service for Table {
    type Asked = (String, Range);

    fn language(&self) -> &'static dyn Language {
        &Dice
    }

    fn query(&self, request: &MetricRequest<'_>) -> Result<String> {
        metrics::custom_filter(request)
    }

    fn asked(&self, request: &MetricRequest<'_>) -> Result<Self::Asked> {
        Ok((self.query(request)?, Range::of(request.scope)?))
    }

    fn text(asked: &Self::Asked) -> &str {
        &asked.0
    }

    async fn answer(
        &self,
        (text, range): &Self::Asked,
        share: &Arc<Share>,
    ) -> Result<Answered, Unanswered> {
        let call = Call {
            params: vec![("throw", text.clone())],
            query: text,
            ..Call::get("/rolls")
        };
        let (range, limits) = (*range, self.limits);
        let read = move |rolled, held: &mut Held| read(rolled, range, &limits, held);
        self.client
            .read(&call, self.client.deadline(), share, read)
            .await
    }

    fn attributes(&self, asked: &Self::Asked, answer: &Answered) -> Attributes {
        let query = ("query", asked.0.clone());
        answer.told().chain([query]).collect()
    }

    async fn metric_names(&self) -> Result<Vec<Descriptor>, FetchError> {
        let names: Vec<String> = self.client.aside_json(&Call::get("/names")).await?;
        Ok(names.into_iter().map(Descriptor::named).collect())
    }

    async fn health(&self) -> Result<(), FetchError> {
        self.client.aside(&Call::get("/names")).await.map(drop)
    }
}

fn open(url: &str, config: &Config) -> Arc<dyn MetricSource> {
    // As the program does.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let endpoint = Endpoint {
        account: "table",
        base_url: url,
        headers: vec![("x-key", "very-secret".to_owned().into())],
        credentials: Credentials::None,
        ca_file: None,
        compression: false,
    };
    let client = Client::open("dice", endpoint, Duration::from_secs(5), config).unwrap();
    let limits = config.limits;
    let minute = Duration::from_mins(1);
    Arc::new(Asking::new(Table { client, limits }, 16, 1_000, minute))
}

// What the suite asks of it.

const METRIC: &str = "latency";

fn metric() -> Value {
    json!({"name": METRIC, "groups": ["g"], "scopeName": "default",
        "query": {"type": "dice", "customInlineTemplate": "d6 of ${scope}"}})
}

fn asking(scope: &str) -> prometheus_source::Asking {
    let scope = json!({"scope": scope, "start": "2024-06-01T01:00:00Z", "end": "2024-06-01T01:30:00Z", "step": 60});
    prometheus_source::Asking::of(&json!({}), &metric(), &scope)
}

fn rolled(shift: f64) -> Value {
    let points = (0_i32..=30).map(|at| json!([1_717_203_600 + 60 * at, f64::from(at % 6) + shift]));
    let body = json!({"points": points.collect::<Vec<_>>()}).to_string();
    json!({"status": 200, "headers": {"content-type": "application/json"}, "body": body})
}

fn label(sides: Pair<Vec<MetricSet>>) -> Label {
    let config: CanaryConfig = serde_json::from_value(json!({
        "metrics": [metric()], "classifier": {"groupWeights": {"g": 100}},
    }))
    .unwrap();
    let matched = mix::matched(&config, sides.map(|sets| vec![sets])).unwrap();
    let pairs: Vec<MetricSetPair> = mix::mix(matched, || "id".to_owned());
    let judgement = Judgement {
        config: &config,
        thresholds: CanaryClassifierThresholdsConfig {
            pass: Some(95.0),
            marginal: Some(75.0),
        },
        pairs: &pairs,
        noise_seed: DEFAULT_NOISE_SEED,
        doubting: Doubting::Tell,
        look: None,
        learned: None,
    };
    resolve(None).unwrap().judge(&judgement).unwrap().results[0].classification
}

#[tokio::test]
async fn its_series_are_judged() {
    let table = StandIn::start().await;
    let source = open(&table.url, &prometheus_source::config(Vec::new()));
    let shift = |query: &[(String, String)]| match query[0].1.as_str() {
        "d6 of v2" => 20.0,
        _ => 0.0,
    };
    table.answer(move |asked| rolled(shift(&asked.query)));
    let sides = Pair {
        control: asking("v1").fetch(&source).await.unwrap(),
        experiment: asking("v2").fetch(&source).await.unwrap(),
    };
    let told = sides.experiment[0].attributes.as_ref().unwrap();
    assert_eq!(told.get("query").map(|text| &**text), Some("d6 of v2"));
    assert_eq!(sides.experiment[0].values.len(), 31);
    assert_eq!(label(sides), Label::High);
}

#[tokio::test]
async fn what_sources_share_comes_with_it() {
    let table = StandIn::start().await;
    let source = open(&table.url, &prometheus_source::config(Vec::new()));
    // Equal queries are one, and what may pass is asked for again.
    let slow = json!({"status": 503, "headers": {}, "body": "busy", "delay": 0.2});
    table.play(vec![slow, rolled(0.0)]);
    let (one, other) = (asking("v1"), asking("v1"));
    let (one, other) = tokio::join!(one.fetch(&source), other.fetch(&source));
    assert_eq!(one.unwrap(), other.unwrap());
    assert_eq!(table.asked().len(), 2);
    assert_eq!(table.asked()[0].headers["x-key"], "very-secret");

    let refused = json!({"status": 403, "headers": {"content-type": "text/plain"}, "body": "no table for very-secret"});
    table.play(vec![refused]);
    let error = asking("v1").fails(&source).await;
    assert_eq!((error.account.as_str(), error.status), ("table", Some(403)));
    assert!(error.message.contains("no table for"), "{error}");
    assert!(!error.message.contains("very-secret"), "{error}");

    let odd = json!({"status": 200, "headers": {"content-type": "application/json"}, "body": "{\"points\": 6}"});
    table.play(vec![odd]);
    let error = asking("v1").fails(&source).await;
    assert!(error.message.contains("points"), "{error}");
}
