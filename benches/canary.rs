//! A whole canary against the bare fetches: from POST to `complete: true`, beside the same range
//! queries sent without serin at the same concurrency. All are taken in turns within one run.
//!
//! `tests/with-services cargo bench --bench canary`

#![expect(clippy::disallowed_methods, reason = "a benchmark is no service")]

mod shared;

use shared::curl::Curl;
use shared::process::{Replica, cpu};
use shared::wire::{Wire, judge_all};
use shared::{Floor, QUERIES_AT_ONCE, median, millis, row};

const ROUNDS: u32 = 15;

/// Over how many canaries CPU is counted.
const COUNTED: u32 = 2_000;

fn main() {
    let Some(prometheus) = shared::variable("SERIN_TEST_PROMETHEUS_URL") else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        alone(&prometheus).await;
        costs(&prometheus).await;
    });
}

/// One canary after the other.
async fn alone(prometheus: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().display().to_string();
    let replica = Replica::start(prometheus, &[("SERIN__STORAGE__DIRECTORY", directory)]).await;
    let (wire, curl, http) = (Wire::to(&replica.url), Curl::new(&[]), shared::client());

    println!(
        "| metrics | queries | curl | serin's client, bare | POST to complete | of the floor |"
    );
    println!("|---|---|---|---|---|---|");
    let mut run = 0;
    for metrics in [10, 50] {
        let (mut floors, mut whole) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let urls = shared::urls(prometheus, run, 1, metrics);
            let floor = Floor::of(&curl, &http, &urls, QUERIES_AT_ONCE).await;
            let body = shared::canary(run + 1, metrics).to_string();
            let judged = wire.judge(&body).await;
            run += 2;
            // The first round warms connections and caches.
            if round > 0 {
                floors.push(floor);
                whole.push(judged);
            }
        }
        let (floor, whole) = (Floor::median(&floors), median(whole));
        println!(
            "| {metrics} | {} | {} | {} | {} | {:.2} × |",
            2 * metrics,
            millis(floor.curl),
            millis(floor.own_client),
            millis(whole),
            whole / floor.seconds()
        );
    }
}

/// What a canary of ten metrics costs serin and Prometheus.
async fn costs(prometheus: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().display().to_string();
    let replica = Replica::start(prometheus, &[("SERIN__STORAGE__DIRECTORY", directory)]).await;
    let source = shared::variable("SERIN_TEST_PROMETHEUS_PID").and_then(|id| id.parse().ok());
    let of_source = || source.map_or(f64::NAN, cpu);
    let wires = [Wire::to(&replica.url)];
    let each = |seconds: f64| millis(seconds / f64::from(COUNTED));

    println!();
    println!("| CPU for each canary of 10 metrics, over {COUNTED} | of it | of Prometheus |");
    println!("|---|---|---|");
    for at_once in [1, 8, 80] {
        let first = u32::try_from(at_once).unwrap_or(1) * 100_000;
        judge_all(&wires, first, 100, 10, at_once).await;
        let before = (cpu(replica.id()), of_source());
        judge_all(&wires, first + 100, COUNTED, 10, at_once).await;
        let after = (cpu(replica.id()), of_source());
        println!(
            "| serin, {at_once} at once | {} | {} |",
            each(after.0 - before.0),
            each(after.1 - before.1)
        );
    }
    let gzip: &[&str] = &["accept-encoding: gzip"];
    for (what, headers) in [("curl", &[][..]), ("curl with gzip, as Kayenta asks", gzip)] {
        let curl = Curl::new(headers);
        let urls = shared::urls(prometheus, 0, COUNTED, 10);
        let before = of_source();
        curl.run(&urls, 1, QUERIES_AT_ONCE);
        println!("| {what} | – | {} |", each(of_source() - before));
    }
    println!();
    let told = wires[0].get("/metrics").await;
    let told = String::from_utf8_lossy(&told);
    let fetched = |name, label| counted(&told, name, label) / f64::from(3 * (COUNTED + 100));
    row(
        "samples and bytes that a canary of 10 metrics fetches",
        &format!(
            "{:.0}; {:.0}",
            fetched("serin_samples_total", "source=\"prometheus\""),
            fetched("serin_answer_bytes_total", "")
        ),
    );
}

/// The sum of the counters of that name with such a label.
fn counted(told: &str, name: &str, label: &str) -> f64 {
    let lines = told.lines();
    let lines = lines.filter(|line| line.starts_with(name) && line.contains(label));
    let counts = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    counts.sum()
}
