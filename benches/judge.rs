//! How fast the judge is, against the floor: copying and sorting both sides of a metric once.
//!
//! After criterion's own figures comes a table of medians measured interleaved, so that a busy
//! machine slows all columns alike. Every call sees series that it has not seen for long, as a
//! service does: on one metric over and over the branch predictor learns the sorting by heart.

use std::hint::black_box;
use std::time::Instant;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use serde_json::json;
use serin::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryMetricConfig, MetricSetPair, Pair,
};
use serin::judge::aca::classify::Workspace;
use serin::judge::aca::judge_on_one_thread;
use serin::judge::aca::mann_whitney::{QUANTILE, extremes, invert, search_range};
use serin::judge::aca::rank_sum::plain_statistic;
use serin::judge::noise::Noise;
use serin::judge::policy::MetricPolicy;
use serin::judge::{DEFAULT_NOISE_SEED, Doubting, Judgement, sequential};

const SIZES: [usize; 3] = [60, 1_440, 10_000];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    one_metric(&mut criterion);
    fifty_metrics(&mut criterion);
    criterion.final_summary();
    // `cargo test --benches` only asks whether it runs.
    if std::env::args().any(|argument| argument == "--bench") {
        table();
    }
}

fn one_metric(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metric");
    group.sample_size(10);
    for n in SIZES {
        let metrics = metrics(n);
        let mut bench = Bench::default();
        group.throughput(Throughput::Elements(2 * n as u64));
        let jobs: [(&str, Job); 3] = [
            ("floor", Bench::floor),
            ("full", Bench::full),
            ("sorting in every evaluation", |_, metric| {
                sorting_each_time(metric);
            }),
        ];
        for (name, job) in jobs {
            let mut next = metrics.iter().cycle();
            group.bench_function(BenchmarkId::new(name, n), |bencher| {
                bencher.iter_batched(
                    || next.next().expect("a cycle has no end"),
                    |metric| job(&mut bench, metric),
                    BatchSize::SmallInput,
                );
            });
        }
    }
}

fn fifty_metrics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("judgement of 50 metrics on one thread");
    group.sample_size(10);
    for n in [60, 1_440] {
        let request = Request::new(n);
        group.bench_function(BenchmarkId::from_parameter(n), |bencher| {
            bencher.iter(|| request.judge());
        });
        group.bench_function(BenchmarkId::new("sequential-v1", n), |bencher| {
            bencher.iter(|| request.judge_sequentially());
        });
    }
}

fn table() {
    println!("\nmedians of interleaved runs, microseconds a metric (times the floor)");
    println!(
        "{:>8} {:>10} {:>18} {:>20}",
        "points", "floor", "full metric", "sorting each time"
    );
    for n in SIZES {
        let metrics = metrics(n);
        let few = &metrics[..metrics.len().div_ceil(20)];
        let mut bench = Bench::default();
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..21 {
            times[0].push(time_each(&metrics, |metric| bench.floor(metric)));
            times[1].push(time_each(&metrics, |metric| bench.full(metric)));
            times[2].push(time_each(few, sorting_each_time));
        }
        let [floor, full, plain] = times.map(median);
        println!(
            "{n:>8} {floor:>10.2} {full:>10.2} ({:>5.2}) {plain:>12.2} ({:>5.1})",
            full / floor,
            plain / floor
        );
    }
    println!(
        "\njudgement of 50 metrics on one thread, milliseconds (times the floor of its series)"
    );
    for n in [60, 1_440] {
        let requests: Vec<Request> = (0..(2_000 / n).max(1)).map(|_| Request::new(n)).collect();
        let metrics = metrics(n);
        let mut bench = Bench::default();
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..21 {
            times[0].push(50.0 * time_each(&metrics, |metric| bench.floor(metric)));
            times[1].push(time_each(&requests, Request::judge));
            times[2].push(time_each(&requests, Request::judge_sequentially));
        }
        let [floor, whole, sequential] = times.map(median);
        println!(
            "{n:>8} {:>10.3} ({:>5.2})   sequential-v1 {:>10.3} ({:>5.2})",
            whole / 1000.0,
            whole / floor,
            sequential / 1000.0,
            sequential / floor
        );
    }
}

type Metric = Pair<Vec<f64>>;
type Job = fn(&mut Bench, &Metric);

#[derive(Default)]
struct Bench {
    workspace: Workspace,
    buffer: Vec<f64>,
    policy: Option<MetricPolicy>,
}

impl Bench {
    fn floor(&mut self, metric: &Metric) {
        for side in [&metric.control, &metric.experiment] {
            self.buffer.clear();
            self.buffer.extend_from_slice(side);
            self.buffer.sort_unstable_by(f64::total_cmp);
            black_box(&self.buffer);
        }
    }

    fn full(&mut self, metric: &Metric) {
        let policy = self.policy.get_or_insert_with(|| {
            MetricPolicy::of(&CanaryMetricConfig::default()).expect("nothing in it is wrong")
        });
        let sides = metric.as_ref().map(Vec::as_slice);
        let found = self
            .workspace
            .classify(policy, sides, &mut Noise::new(DEFAULT_NOISE_SEED));
        black_box(found);
    }
}

/// The same interval, by a statistic that sorts.
fn sorting_each_time(metric: &Metric) {
    let range = search_range(metric.as_ref().map(|side| extremes(side)));
    let statistic = |shift| plain_statistic(&metric.experiment, &metric.control, shift);
    black_box(invert(statistic, range, QUANTILE));
}

/// 50 metrics as a judge gets them.
struct Request {
    config: CanaryConfig,
    pairs: Vec<MetricSetPair>,
}

impl Request {
    fn new(n: usize) -> Self {
        let names = (0..50).map(|number| format!("metric-{number}"));
        let metrics: Vec<_> = names
            .map(|name| json!({"name": name, "groups": ["group"], "scopeName": "default"}))
            .collect();
        let config = json!({"metrics": metrics, "classifier": {"groupWeights": {"group": 100}}});
        let config: CanaryConfig = serde_json::from_value(config).expect("a config");
        let pairs = config.metrics.iter().flatten().zip(normal_metrics(n, 50));
        let pairs = pairs
            .map(|(metric, values)| MetricSetPair {
                name: metric.name.clone().unwrap_or_default(),
                id: "id".to_owned(),
                values,
                ..MetricSetPair::default()
            })
            .collect();
        Self { config, pairs }
    }

    fn judge(&self) {
        black_box(judge_on_one_thread(&self.judgement()).expect("nothing in it is wrong"));
    }

    fn judge_sequentially(&self) {
        let judged = sequential::judge_on_one_thread(&self.judgement());
        black_box(judged.expect("nothing in it is wrong"));
    }

    fn judgement(&self) -> Judgement<'_> {
        Judgement {
            config: &self.config,
            thresholds: CanaryClassifierThresholdsConfig {
                pass: Some(95.0),
                marginal: Some(75.0),
            },
            pairs: &self.pairs,
            noise_seed: DEFAULT_NOISE_SEED,
            doubting: Doubting::Tell,
            look: None,
            learned: None,
        }
    }
}

/// So many that the machine forgets one until it comes again.
fn metrics(n: usize) -> Vec<Metric> {
    normal_metrics(n, (240_000 / n).max(50))
}

fn normal_metrics(n: usize, count: usize) -> Vec<Metric> {
    let mut noise = Noise::new(i64::try_from(n).unwrap_or_default());
    let mut series = || (0..n).map(|_| 100.0 + 10.0 * noise.gaussian()).collect();
    (0..count)
        .map(|_| Pair {
            control: series(),
            experiment: series(),
        })
        .collect()
}

/// Microseconds an item.
#[expect(clippy::cast_precision_loss, reason = "some thousand items")]
fn time_each<T>(items: &[T], work: impl FnMut(&T)) -> f64 {
    let start = Instant::now();
    items.iter().for_each(work);
    start.elapsed().as_secs_f64() * 1e6 / items.len() as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[times.len() / 2]
}
