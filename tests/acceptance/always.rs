//! What holds always: more errors are never less alarming.

use serde_json::json;
use serin::canary::Pair;
use serin::canary::sequential::{Finding, Sequential};

use crate::noise::Random;
use crate::trial::{Series, config, find, frame};

const ADDED: u32 = 5;

/// Adds errors a million times; whether `p` ever grew, or an alarm was lost.
pub fn more_errors_are_never_less_alarming(steps: u32) -> Result<(), String> {
    let mut random = Random::new(16_004);
    let config = config(
        &json!({"direction": "increase", "effectSize": {"allowedIncrease": 1.0}}),
        &json!({"falseAlarm": 0.01}),
        1,
    );
    let frame = frame(None);
    for _ in 0..steps / ADDED {
        let mut series = start(&mut random);
        let mut before = find(&config, &frame, &series);
        for _ in 0..ADDED {
            for _ in 0..=random.below(3) {
                let at = random.below(series.experiment.len());
                let errors = random.below(4) + 1;
                for _ in 0..errors {
                    series.experiment[at] += 1.0;
                }
            }
            let after = find(&config, &frame, &series);
            compare(&before, &after).map_err(|why| format!("{why}: {series:?}"))?;
            before = after;
        }
    }
    Ok(())
}

/// Errors of two sides, none on the control in a third of the minutes at least.
fn start(random: &mut Random) -> Series {
    let minutes = [20, 30, 60][random.below(3)];
    let rates = Pair {
        control: 0.8 * random.uniform(),
        experiment: 2.5 * random.uniform(),
    };
    let times = if random.below(3) == 0 {
        1.0 + 5.0 * random.uniform()
    } else {
        1.0
    };
    let mut control: Vec<f64> = (0..minutes)
        .map(|_| random.poisson(rates.control))
        .collect();
    let mut at = 0;
    while control.iter().filter(|errors| **errors == 0.0).count() * 3 < minutes {
        control[at] = 0.0;
        at += 1;
    }
    let experiment = (0..minutes).map(|_| random.poisson(rates.experiment * times));
    Pair {
        control,
        experiment: experiment.collect(),
    }
}

fn compare(before: &Sequential, after: &Sequential) -> Result<(), String> {
    let p = |found: &Sequential| found.p.unwrap_or(1.0);
    // The last bits of an integral are none of the theorem's.
    if p(before) * (1.0 + 1e-9) < p(after) {
        return Err(format!("p grew from {} to {}", p(before), p(after)));
    }
    if before.verdict == Finding::Regressed && after.verdict != Finding::Regressed {
        return Err("an alarm was lost".to_owned());
    }
    Ok(())
}
