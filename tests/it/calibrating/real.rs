//! A real Prometheus with a history whose rates are known.

use std::fmt::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ended, rate, start};
use crate::harness::{Client, Serin};

const HOURS: i64 = 200;
const END: i64 = 1_717_200_000;
const METRICS: usize = 10;
/// Of the noise, from a minute to the next.
const CORRELATION: f64 = 0.6;

pub struct Prometheus {
    process: Child,
    pub url: String,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A generator that is the same everywhere.
pub struct Noise(pub u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let uniform = (((bits ^ (bits >> 31)) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        uniform
    }

    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Of two pods; the second is half as high again in every tenth hour.
fn history() -> String {
    let mut text = String::new();
    for metric in 0..METRICS {
        let _ = writeln!(text, "# TYPE noise{metric} gauge");
        for pod in ["a", "b"] {
            let mut noise = Noise(metric as u64 * 2 + u64::from(pod == "b"));
            let mut state = noise.normal();
            for minute in 0..HOURS * 60 {
                let level = if pod == "b" && minute / 60 % 10 == 3 {
                    150.0
                } else {
                    100.0
                };
                let value = level * (0.01 * state).exp();
                let time = END - HOURS * 3600 + minute * 60;
                let _ = writeln!(text, "noise{metric}{{pod=\"{pod}\"}} {value} {time}");
                state =
                    CORRELATION * state + (1.0 - CORRELATION * CORRELATION).sqrt() * noise.normal();
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

/// One that has that history, in `OpenMetrics`; none where the tests run without one.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are not configured by files"
)]
pub async fn started(history: impl FnOnce() -> String) -> Option<Prometheus> {
    if std::env::var("SERIN_TEST_PROMETHEUS_URL").is_err() {
        eprintln!(
            "skipped: SERIN_TEST_PROMETHEUS_URL names no Prometheus, so there may be none to start"
        );
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    std::fs::write(place("history.om"), history()).unwrap();
    let made = Command::new("promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([place("history.om"), place("tsdb")])
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    std::fs::write(place("prometheus.yml"), "global: {}\n").unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let process = Command::new("prometheus")
        .arg(format!(
            "--config.file={}",
            place("prometheus.yml").display()
        ))
        .arg(format!("--storage.tsdb.path={}", place("tsdb").display()))
        .arg("--storage.tsdb.retention.time=100y")
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}");
    let prometheus = Prometheus {
        process,
        url,
        _folder: folder,
    };
    ready(&prometheus.url).await;
    Some(prometheus)
}

async fn ready(url: &str) {
    let begun = Instant::now();
    let http = Client::new(url).http;
    let address = format!("{url}/-/ready");
    loop {
        if http
            .get(&address)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "Prometheus does not start"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn config() -> Value {
    let metric = |at: usize| {
        json!({"name": format!("noise{at}"), "groups": ["g"], "scopeName": "default",
            "query": {"type": "prometheus", "metricName": format!("noise{at}"), "customInlineTemplate": "pod=\"${scope}\""},
            "analysisConfigurations": {"canary": {"direction": "either"}}})
    };
    json!({"name": "noise", "applications": ["a"], "judge": {"name": "sequential-v1", "judgeConfigurations": {}},
        "metrics": (0..METRICS).map(metric).collect::<Value>(), "classifier": {"groupWeights": {"g": 100}}})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_of_a_history_is_known() {
    let Some(prometheus) = started(history).await else {
        return;
    };
    let serin = Serin::start(&prometheus.url).await;
    let request = json!({"canaryConfig": config(), "control": {"scope": "a"}, "against": [{"scope": "b"}],
        "windows": HOURS, "windowMins": 60, "intervalMins": 10, "end": "2024-06-01T00:00:00Z"});
    let begun = Instant::now();
    let document = ended(&serin.client, &start(&serin.client, &request).await).await;
    let took = begun.elapsed();
    eprintln!("{HOURS} windows of {METRICS} metrics, six looks, both judges: {took:?}");
    for sentence in document["report"]["sentences"].as_array().unwrap() {
        eprintln!("  {sentence}");
    }
    assert_eq!(document["status"], "succeeded", "{document}");
    let rate = rate(&document, "sequential-v1");
    let [lower, upper] = ["lower", "upper"].map(|name| rate[name].as_f64().unwrap());
    assert!(lower < 0.1 && 0.1 < upper, "{rate}");
    // Every tenth hour is too much for the share of a metric, at any margin below half.
    let metrics = document["report"]["metrics"].as_array().unwrap();
    assert!(
        metrics.iter().all(|metric| metric["margin"] == 0.5),
        "{metrics:?}"
    );
    // A release build takes a tenth of it.
    assert!(
        cfg!(debug_assertions) || took < Duration::from_secs(10),
        "{took:?}"
    );
}
