//! Series of the scenarios: what both sides share, what varies, and what changes.

use std::f64::consts::PI;

use serin::canary::Pair;

use crate::noise::Noise::{self, Ar, White};
use crate::noise::Random;
use crate::trial::Series;

/// Both sides alike, the experiment times something.
pub fn both(
    random: &mut Random,
    points: usize,
    noise: Noise,
    level: impl Fn(f64) -> f64,
    times: f64,
) -> Series {
    let control = noise
        .series(random, points)
        .into_iter()
        .map(&level)
        .collect();
    let experiment = noise.series(random, points).into_iter();
    Pair {
        control,
        experiment: experiment.map(|value| level(value) * times).collect(),
    }
}

/// `100 + 10·noise`
pub fn linear(points: usize, noise: Noise, times: f64) -> impl Fn(&mut Random) -> Series {
    move |random| both(random, points, noise, |value| 100.0 + 10.0 * value, times)
}

/// `100·exp(spread·noise)`
pub fn log(points: usize, spread: f64, noise: Noise, times: f64) -> impl Fn(&mut Random) -> Series {
    move |random| {
        both(
            random,
            points,
            noise,
            |value| 100.0 * (spread * value).exp(),
            times,
        )
    }
}

/// Both sides follow one load that drifts and has a cycle.
pub fn shared_load(more: f64) -> impl Fn(&mut Random) -> Series {
    move |random| {
        let phase = random.uniform();
        let load: Vec<f64> = Ar(0.9)
            .series(random, 60)
            .into_iter()
            .zip(minutes())
            .map(|(drift, minute)| drift + 1.5 * (2.0 * PI * (minute / 60.0 + phase)).sin())
            .collect();
        let mut side = |more: f64| {
            let own = White.series(random, 60);
            let load = load.iter().zip(own);
            load.map(|(load, own)| 100.0 + 10.0 * (load + 0.5 * own) + more)
                .collect()
        };
        Pair {
            control: side(0.0),
            experiment: side(more),
        }
    }
}

/// One cycle in the window.
pub fn day(times: f64) -> impl Fn(&mut Random) -> Series {
    move |random| {
        let phase = random.uniform();
        let cycle = |minute: f64| 0.55 * (2.0 * PI * (minute / 60.0 + phase)).sin();
        let mut side = |times: f64| {
            let own = White.series(random, 60).into_iter().zip(minutes());
            own.map(|(own, minute)| 100.0 * cycle(minute).exp() * (0.05 * own).exp() * times)
                .collect()
        };
        Pair {
            control: side(1.0),
            experiment: side(times),
        }
    }
}

pub fn minutes() -> impl Iterator<Item = f64> {
    (0_u32..).map(f64::from)
}

/// What is added to a series that is made.
pub fn then(
    make: impl Fn(&mut Random) -> Series,
    change: impl Fn(&mut Random, &mut Series),
) -> impl Fn(&mut Random) -> Series {
    move |random| {
        let mut series = make(random);
        change(random, &mut series);
        series
    }
}

pub fn third_missing(random: &mut Random, series: &mut Series) {
    for value in &mut series.experiment {
        if random.uniform() < 0.3 {
            *value = f64::NAN;
        }
    }
}

/// Each host has a level of its own.
pub fn hosts_differ(random: &mut Random, series: &mut Series) {
    for side in [&mut series.control, &mut series.experiment] {
        let level = (0.01 * random.normal()).exp();
        for value in side.iter_mut() {
            *value *= level;
        }
    }
}

/// The experiment by its minute.
pub fn by_minute(change: impl Fn(f64) -> f64) -> impl Fn(&mut Random, &mut Series) {
    move |_, series| {
        for (value, minute) in series.experiment.iter_mut().zip(minutes()) {
            *value *= change(minute);
        }
    }
}

/// Events of a minute on both sides.
pub fn counts(
    control: impl Fn(&mut Random) -> f64,
    experiment: impl Fn(&mut Random) -> f64,
) -> impl Fn(&mut Random) -> Series {
    move |random| Pair {
        control: (0..60).map(|_| control(random)).collect(),
        experiment: (0..60).map(|_| experiment(random)).collect(),
    }
}

pub fn errors(control: f64, experiment: f64) -> impl Fn(&mut Random) -> Series {
    counts(
        move |random| random.poisson(control),
        move |random| random.poisson(experiment),
    )
}

/// Errors of the last five minutes.
pub fn rate_of_errors(control: f64, experiment: f64) -> impl Fn(&mut Random) -> Series {
    let side = |random: &mut Random, rate: f64| {
        let all: Vec<f64> = (0..64).map(|_| random.poisson(rate)).collect();
        all.windows(5)
            .map(|window| window.iter().sum::<f64>() / 5.0)
            .collect()
    };
    move |random| Pair {
        control: side(random, control),
        experiment: side(random, experiment),
    }
}

/// Errors by requests, where the experiment has a tenth of them.
pub fn share(times: f64) -> impl Fn(&mut Random) -> Series {
    counts(
        |random| random.poisson(1.0) / 1000.0,
        move |random| random.poisson(0.1 * times) / 100.0,
    )
}

/// Metrics of a side that share half of their variance; some of the experiment's times something.
pub fn metrics(
    random: &mut Random,
    spread: f64,
    noise: Noise,
    count: usize,
    changed: usize,
    times: f64,
) -> Vec<Series> {
    let mut side = || {
        let shared = noise.series(random, 60);
        let one = |_| -> Vec<f64> {
            let own = noise.series(random, 60).into_iter().zip(&shared);
            own.map(|(own, shared)| 100.0 * (spread * 0.5_f64.sqrt() * (own + shared)).exp())
                .collect()
        };
        (0..count).map(one).collect::<Vec<_>>()
    };
    let (control, mut experiment) = (side(), side());
    for series in &mut experiment[..changed] {
        for value in series.iter_mut() {
            *value *= times;
        }
    }
    let sides = control.into_iter().zip(experiment);
    sides
        .map(|(control, experiment)| Pair {
            control,
            experiment,
        })
        .collect()
}
