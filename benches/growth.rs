//! How throughput and latency grow with the canaries at once, beside the bare fetches; as a table,
//! and as a picture in `target/growth.svg`.
//!
//! `tests/with-services cargo bench --bench growth`

#![expect(clippy::disallowed_methods, reason = "a benchmark is no service")]

mod shared;

use std::fmt::Write;
use std::time::Instant;

use shared::curl::Curl;
use shared::process::Replica;
use shared::wire::{Wire, judge_all};
use shared::{Floor, QUERIES_AT_ONCE, median, millis, variable};

const METRICS: usize = 10;
const AT_ONCE: [u16; 8] = [1, 2, 5, 10, 20, 40, 80, 160];
const ROUNDS: usize = 3;

/// What was seen with that many at once.
struct Seen {
    at_once: u16,
    /// Canaries a second.
    floor: f64,
    rate: f64,
    /// Seconds.
    typical: f64,
    slowest: f64,
}

fn main() {
    let Some(prometheus) = variable("SERIN_TEST_PROMETHEUS_URL") else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let seen = runtime.block_on(measure(&prometheus));
    let picture = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("../growth.svg");
    std::fs::write(picture, draw(&seen)).expect("a picture");
    println!();
    println!("drawn in target/growth.svg");
}

async fn measure(prometheus: &str) -> Vec<Seen> {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().display().to_string();
    let replica = Replica::start(prometheus, &[("SERIN__STORAGE__DIRECTORY", directory)]).await;
    let (wires, curl, http) = ([Wire::to(&replica.url)], Curl::new(&[]), shared::client());
    judge_all(&wires, 1_000_000, 200, METRICS, 40).await;

    println!(
        "| canaries at once | the floor, a second | serin, a second | of the floor | p50 | p99 |"
    );
    println!("|---|---|---|---|---|---|");
    let mut run = 0;
    let mut all = Vec::new();
    for at_once in AT_ONCE {
        let count = u32::from(at_once * 5).max(60);
        let (mut floors, mut rates, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let urls = shared::urls(prometheus, run, count, METRICS);
            floors.push(Floor::of(&curl, &http, &urls, QUERIES_AT_ONCE).await);
            run += count;
            let start = Instant::now();
            seconds.extend(judge_all(&wires, run, count, METRICS, at_once.into()).await);
            rates.push(f64::from(count) / start.elapsed().as_secs_f64());
            run += count;
        }
        seconds.sort_unstable_by(f64::total_cmp);
        let seen = Seen {
            at_once,
            floor: f64::from(count) / Floor::median(&floors).seconds(),
            rate: median(rates),
            typical: seconds[seconds.len() / 2],
            slowest: seconds[seconds.len() * 99 / 100],
        };
        println!(
            "| {at_once} | {:.0} | {:.0} | {:.2} | {} | {} |",
            seen.floor,
            seen.rate,
            seen.rate / seen.floor,
            millis(seen.typical),
            millis(seen.slowest)
        );
        all.push(seen);
    }
    all
}

const WIDTH: f64 = 380.0;
const HEIGHT: f64 = 220.0;

/// Two panels side by side, canaries at once on an axis of doublings.
fn draw(seen: &[Seen]) -> String {
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 330\" font-family=\"sans-serif\" \
         font-size=\"12\"><rect width=\"900\" height=\"330\" fill=\"#fff\"/>\n",
    );
    let floor: Vec<f64> = seen.iter().map(|seen| seen.floor).collect();
    let rate: Vec<f64> = seen.iter().map(|seen| seen.rate).collect();
    panel(
        &mut svg,
        50.0,
        "canaries of 10 metrics a second",
        seen,
        |value| value,
        &[
            ("bare fetches", "#767676", &floor),
            ("serin", "#0b62a4", &rate),
        ],
    );
    // As long as one has to wait where so many are under way at that rate.
    let bare = |seen: &Seen| f64::from(seen.at_once) / seen.floor * 1e3;
    let bare: Vec<f64> = seen.iter().map(bare).collect();
    let typical: Vec<f64> = seen.iter().map(|seen| seen.typical * 1e3).collect();
    let slowest: Vec<f64> = seen.iter().map(|seen| seen.slowest * 1e3).collect();
    panel(
        &mut svg,
        500.0,
        "milliseconds from POST to complete",
        seen,
        f64::log10,
        &[
            ("bare fetches", "#767676", &bare),
            ("serin, p50", "#0b62a4", &typical),
            ("serin, p99", "#b3541e", &slowest),
        ],
    );
    svg.push_str("</svg>\n");
    svg
}

fn panel(
    svg: &mut String,
    left: f64,
    title: &str,
    seen: &[Seen],
    scale: fn(f64) -> f64,
    lines: &[(&str, &str, &[f64])],
) {
    let bottom = 50.0 + HEIGHT;
    let all = || {
        lines
            .iter()
            .flat_map(|(_, _, values)| values.iter().copied())
    };
    let is_linear = scale(100.0) > 10.0;
    let highest = all().fold(0.0, f64::max) * 1.1;
    let lowest = if is_linear {
        0.0
    } else {
        all().fold(f64::MAX, f64::min) * 0.7
    };
    let (low, high) = (scale(lowest), scale(highest));
    let y = |value: f64| bottom - (scale(value) - low) / (high - low) * HEIGHT;
    let widest = f64::from(seen.last().map_or(2, |seen| seen.at_once)).log2();
    let x = |at_once: u16| left + f64::from(at_once).log2() / widest * WIDTH;

    let _ = writeln!(
        svg,
        "<text x=\"{left}\" y=\"20\" font-weight=\"bold\">{title}</text>"
    );
    let steps: &[f64] = if is_linear {
        &[
            0.0, 50.0, 100.0, 150.0, 200.0, 250.0, 300.0, 350.0, 400.0, 450.0, 500.0, 600.0,
        ]
    } else {
        &[
            1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0,
        ]
    };
    for step in steps
        .iter()
        .filter(|step| (lowest..=highest).contains(*step))
    {
        let (y, right) = (y(*step), left + WIDTH);
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#ddd\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{step}</text>",
            left - 6.0,
            y + 4.0
        );
    }
    for seen in seen {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            x(seen.at_once),
            bottom + 18.0,
            seen.at_once
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">canaries at once</text>",
        left + WIDTH / 2.0,
        bottom + 38.0
    );
    let mut key = left;
    for (name, colour, values) in lines {
        let points = seen.iter().zip(*values);
        let points: Vec<String> = points
            .map(|(seen, value)| format!("{:.1},{:.1}", x(seen.at_once), y(*value)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{key:.1}\" y=\"38\" fill=\"{colour}\">{name}</text>",
            points.join(" ")
        );
        key += 110.0;
    }
}
