//! How often `sequential-v1` is wrong, and what it finds, from fixed seeds: the table of `docs/judges.md`. Fails where a
//! rate misses its target, or the reference by more than chance. Kayenta's column is of the same series.
//!
//! `cargo test --release --test acceptance [-- WORD]`; with a word, only the scenarios that it is in the name of.

mod always;
mod noise;
mod series;
mod table;
mod trial;

use std::process::ExitCode;
use std::time::Instant;

use trial::Scenario;

/// Steps of adding errors.
const STEPS: u32 = 1_000_000;

/// Kayenta's judge is slower, and its rates are large: one run of so many.
const KAYENTA_EVERY: u32 = 20;

fn main() -> ExitCode {
    if cfg!(debug_assertions) {
        println!(
            "acceptance: not in a debug build, which takes an hour: cargo test --release --test acceptance"
        );
        return ExitCode::SUCCESS;
    }
    let wanted = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let is_wanted = |name: &str| {
        wanted
            .as_ref()
            .is_none_or(|word| name.contains(word.as_str()))
    };
    let start = Instant::now();
    let mut missed = Vec::new();
    println!(
        "{:<66} {:>7} {:>8} {:>8} {:>6}  Kayenta: any look (last), %",
        "scenario", "target", "measured", "expected", "stop"
    );
    let scenarios = table::all();
    let wanted = scenarios
        .iter()
        .zip(1_u64..)
        .filter(|(scenario, _)| is_wanted(&scenario.name));
    for (scenario, number) in wanted {
        missed.extend(measure(scenario, number));
    }
    let name = "D. more errors are never less alarming";
    if is_wanted(name) {
        match always::more_errors_are_never_less_alarming(STEPS) {
            Ok(()) => println!("{name}: 0 of {STEPS} steps"),
            Err(why) => missed.push(format!("{name}: {why}")),
        }
    }
    println!("\n{:.0} s", start.elapsed().as_secs_f64());
    for told in &missed {
        println!("missed: {told}");
    }
    if missed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints a line of the table; what it misses.
fn measure(scenario: &Scenario, number: u64) -> Option<String> {
    let found = scenario.run(0x5e71_0000 + number, KAYENTA_EVERY);
    let stop = found
        .stop
        .map_or(String::new(), |stop| format!("{stop:.0}"));
    let kayenta = found
        .kayenta
        .map_or(String::new(), |(any, last)| format!("{any:.1} ({last:.1})"));
    println!(
        "{:<66} {:>7} {:>8.2} {:>8.2} {stop:>6}  {kayenta}",
        scenario.name,
        scenario.target.told(),
        found.rate,
        scenario.reference
    );
    let expected = scenario.reference / 100.0;
    // Another generator is another sample.
    let chance = (expected * (1.0 - expected) * 2.0 / f64::from(scenario.runs)).sqrt();
    let far = 3.5 * 100.0 * chance + 0.1;
    let name = &scenario.name;
    if !scenario.target.holds(found.rate) {
        return Some(format!(
            "{name}: {:.2} % is not {}",
            found.rate,
            scenario.target.told()
        ));
    }
    ((found.rate - scenario.reference).abs() > far).then(|| {
        format!(
            "{name}: {:.2} % is farther from {:.2} % than chance explains ({far:.2})",
            found.rate, scenario.reference
        )
    })
}
