//! Margins that are learned on the first two thirds of real metrics, and judged on the last third, in all of which
//! nothing was released.
//!
//! `SERIN_REAL_METRICS` names a table: a first column of points at five minutes, then `s<server>_m<metric>`, with
//! eleven servers that share their load. Windows have 60 points and six looks, and change in either direction counts.

use std::io::Read;
use std::time::Instant;

use serde_json::{Value, json};
use serin::calibration::{Bounds, Given, Plan, SECOND_JUDGE, calibrate, learned};
use serin::canary::calibration::{JudgeRates, Rate, Report};
use serin::canary::{CalibrationRequest, CanaryConfig, Learned, MetricSet};

const SERVERS: usize = 11;
const STEP: i64 = 300_000;
const POINTS: usize = 60;
/// Pairs of sides: each has all windows of its time.
const PAIRS: usize = 10;

/// By server, then by metric, then in time.
type Servers = Vec<Vec<Vec<f64>>>;

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is not configured by files"
)]
fn main() {
    // `cargo test --benches` only asks whether it runs.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let Ok(file) = std::env::var("SERIN_REAL_METRICS") else {
        println!("SERIN_REAL_METRICS names no table of real metrics");
        return;
    };
    let (servers, metrics) = read(&file);
    let points = servers[0][0].len();
    let learned_until = points * 2 / 3 / POINTS * POINTS;
    println!(
        "{SERVERS} servers, {} metrics, {points} points; learned on the first {learned_until}, judged on the rest\n",
        metrics.len()
    );
    println!(
        "| sides | level | metrics' windows that alarm: learned margins | margin 5 % | the other judge | canaries that alarm: \
         learned | margin 5 % | the other judge | unfit | smallest change found | took |\n|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for size in [1, 5] {
        for false_alarm in [0.01, 0.05] {
            line(&servers, &metrics, learned_until, size, false_alarm);
        }
    }
}

/// `false_alarm` is that of a metric where it is 1 %, so that its level is that; else that of a canary.
fn line(servers: &Servers, metrics: &[String], until: usize, size: usize, false_alarm: f64) {
    let begun = Instant::now();
    #[expect(clippy::cast_precision_loss, reason = "ten")]
    let of_metrics = metrics.len() as f64;
    let (whole, level) = if false_alarm < 0.02 {
        ((false_alarm * of_metrics).min(0.5), "1 % a metric")
    } else {
        (false_alarm, "5 % a canary")
    };
    let config = config(metrics, whole);
    let end = servers[0][0].len();
    let before = report(servers, metrics, &config, None, size, 0..until);
    let margins = learned(&before, "learned", 0);
    let with = report(servers, metrics, &config, Some(&margins), size, until..end);
    let without = report(servers, metrics, &config, None, size, until..end);
    let unfit = before.metrics.iter().filter(|metric| metric.unfit).count();
    let mut found: Vec<f64> = with
        .metrics
        .iter()
        .filter_map(|metric| Some(metric.typical?.minimum_detectable_percent?.abs()))
        .collect();
    found.sort_by(f64::total_cmp);
    println!(
        "| {size} against {size} | {level} | {} | {} | {} | {} | {} | {} | {unfit} of {} | {} | {:.1} s |",
        of_windows(&with, 0),
        of_windows(&without, 0),
        of_windows(&with, 1),
        stopped(&with, 0),
        stopped(&without, 0),
        stopped(&with, 1),
        metrics.len(),
        found
            .get(found.len() / 2)
            .map_or_else(String::new, |percent| format!("{percent:.0} %")),
        begun.elapsed().as_secs_f64(),
    );
    eprintln!("{size} against {size}, {level}: {}", told(&margins));
}

fn told(margins: &Learned) -> String {
    let told = margins.metrics.iter().map(|learned| match learned.margin {
        Some(margin) => format!("{} {} %", learned.metric, margin * 100.0),
        None => format!("{} unfit", learned.metric),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// Of all metrics together, at any look.
fn of_windows(report: &Report, judge: usize) -> String {
    let alarms = report
        .metrics
        .iter()
        .map(|metric| metric.alarms[judge].at_any_look);
    let (count, of) = alarms.fold((0, 0), |(count, of), rate| {
        (count + rate.count, of + rate.of)
    });
    percent(f64::from(count) / f64::from(of))
}

fn stopped(report: &Report, judge: usize) -> String {
    let JudgeRates { stopped, .. } = &report.judges[judge];
    let Rate {
        share,
        lower,
        upper,
        ..
    } = *stopped;
    format!(
        "{} ({} to {})",
        percent(share),
        percent(lower),
        percent(upper)
    )
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn report(
    servers: &Servers,
    metrics: &[String],
    config: &CanaryConfig,
    learned: Option<&Learned>,
    size: usize,
    time: std::ops::Range<usize>,
) -> Report {
    let windows = (time.end - time.start) / POINTS * PAIRS;
    // Every alarm of a metric stops the canary.
    let request = json!({
        "control": {"scope": "a"}, "against": [{"scope": "b"}], "windows": windows, "windowMins": 300,
        "intervalMins": 50, "step": 300, "thresholds": {"pass": 100, "marginal": 99.9}, "end": "2024-06-01T00:00:00Z",
    });
    let request: CalibrationRequest = serde_json::from_value(request).expect("a request");
    let bounds = Bounds {
        now: i64::MAX / 2,
        metrics: metrics.len(),
    };
    let plan = Plan::of(&request, bounds).expect("a plan");
    let of_pod = |pod: usize| {
        let one = |metric: usize| {
            let pairs = (0..PAIRS).flat_map(|pair| {
                let of = group(pair, pod, size);
                time.clone()
                    .take(windows / PAIRS * POINTS)
                    .map(move |at| mean(servers, &of, metric, at))
            });
            series(&metrics[metric], pairs.collect(), plan.start)
        };
        (0..metrics.len()).map(|metric| vec![one(metric)]).collect()
    };
    let given = Given {
        config,
        learned,
        plan: &plan,
        series: &[of_pod(0), of_pod(1)],
        names: &["a".to_owned(), "b".to_owned()],
    };
    calibrate(&given, &|_| true).expect("a report")
}

/// The servers of a side: no server is on both.
fn group(pair: usize, pod: usize, size: usize) -> Vec<usize> {
    // Eleven is prime: each stride walks through all.
    let stride = pair % (SERVERS - 1) + 1;
    (0..size)
        .map(|at| (pair + (pod * size + at) * stride) % SERVERS)
        .collect()
}

fn mean(servers: &Servers, of: &[usize], metric: usize, at: usize) -> f64 {
    let values = of.iter().map(|server| servers[*server][metric][at]);
    #[expect(clippy::cast_precision_loss, reason = "five")]
    let count = of.len() as f64;
    values.sum::<f64>() / count
}

fn series(name: &str, values: Vec<f64>, start: i64) -> MetricSet {
    let times = (0_i64..).map(|at| start + at * STEP);
    MetricSet {
        name: name.to_owned(),
        timestamps: times.take(values.len()).collect(),
        values,
        ..MetricSet::default()
    }
}

fn config(metrics: &[String], false_alarm: f64) -> CanaryConfig {
    let metric = |name: &String| {
        json!({"name": name, "groups": ["all"], "scopeName": "default", "query": {"type": "none"},
            "analysisConfigurations": {"canary": {"direction": "either"}}})
    };
    let config = json!({
        "name": "real", "judge": {"name": SECOND_JUDGE, "judgeConfigurations": {"falseAlarm": false_alarm}},
        "metrics": metrics.iter().map(metric).collect::<Value>(), "classifier": {"groupWeights": {"all": 100}},
    });
    serde_json::from_value(config).expect("a config")
}

fn read(file: &str) -> (Servers, Vec<String>) {
    let bytes = std::fs::read(file).expect("the table can be read");
    let mut text = String::new();
    match file.strip_suffix(".gz") {
        Some(_) => {
            let mut unpacked = flate2::read::GzDecoder::new(bytes.as_slice());
            unpacked.read_to_string(&mut text).expect("a text");
        }
        None => text = String::from_utf8(bytes).expect("a text"),
    }
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().expect("a head").split(',').skip(1).collect();
    let first = head.iter().filter_map(|column| column.strip_prefix("s1_"));
    let metrics: Vec<String> = first.map(str::to_owned).collect();
    let mut servers: Servers = vec![vec![Vec::new(); metrics.len()]; SERVERS];
    for line in lines {
        for (at, cell) in line.split(',').skip(1).enumerate() {
            let value = cell.parse().unwrap_or(f64::NAN);
            servers[at / metrics.len()][at % metrics.len()].push(value);
        }
    }
    (servers, metrics)
}
