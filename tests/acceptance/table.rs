//! The scenarios, with what is promised of them and what the reference measured.

use std::f64::consts::PI;

use serde_json::{Value, json};
use serin::canary::Pair;

use crate::noise::Noise::{self, Ar, Drift, Rate, Student, White};
use crate::noise::{Random, burst};
use crate::trial::Target::{AtLeast, AtMost};
use crate::trial::{Counts, Looks, MINUTE, Scenario, Series, Target, growing};

/// Of a scenario without a change, and of one with.
const RUNS: u32 = 10_000;
const RUNS_WITH_CHANGE: u32 = 2_000;

/// A range of 5 minutes.
const RATE: i64 = 5 * MINUTE;

pub fn all() -> Vec<Scenario> {
    let mut all = no_change();
    all.extend(no_change_of_counts());
    all.extend(no_change_by_plan());
    all.extend(changes());
    all.extend(changes_of_counts());
    all.extend(late_changes());
    all.extend(canaries());
    all
}

/// Sixty minutes, twelve looks, one metric at a level of 1 % and without a margin.
fn scenario(
    name: &str,
    make: impl Fn(&mut Random) -> Series + 'static,
    target: Target,
    reference: f64,
) -> Scenario {
    Scenario {
        name: name.to_owned(),
        make: Box::new(move |random| vec![make(random)]),
        looks: growing(60, 12),
        canary: json!({"direction": "increase",
            "effectSize": {"allowedIncrease": 1.0, "allowedDecrease": 1.0}}),
        judge: json!({"falseAlarm": 0.01}),
        look_back: None,
        runs: match target {
            AtMost(_) => RUNS,
            AtLeast(_) => RUNS_WITH_CHANGE,
        },
        counts: Counts::Alarms,
        target,
        reference,
    }
}

impl Scenario {
    fn looks(mut self, looks: Looks) -> Self {
        self.looks = looks;
        self
    }

    fn rated(mut self) -> Self {
        self.look_back = Some(RATE);
        self
    }

    /// The default margin, of 5 %.
    fn margin(mut self) -> Self {
        self.canary["effectSize"] = json!({});
        self
    }

    fn canary(mut self, name: &str, value: Value) -> Self {
        self.canary[name] = value;
        self
    }

    fn judge_by(mut self, name: &str, value: Value) -> Self {
        self.judge[name] = value;
        self
    }

    fn either(self) -> Self {
        self.canary("direction", json!("either"))
    }

    fn runs(mut self, runs: u32) -> Self {
        self.runs = runs;
        self
    }

    fn counts(mut self, counts: Counts) -> Self {
        self.counts = counts;
        self
    }
}

/// Both sides alike, the experiment times something.
fn both(
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
fn linear(points: usize, noise: Noise, times: f64) -> impl Fn(&mut Random) -> Series {
    move |random| both(random, points, noise, |value| 100.0 + 10.0 * value, times)
}

/// `100·exp(spread·noise)`
fn log(points: usize, spread: f64, noise: Noise, times: f64) -> impl Fn(&mut Random) -> Series {
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
fn shared_load(more: f64) -> impl Fn(&mut Random) -> Series {
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
fn day(times: f64) -> impl Fn(&mut Random) -> Series {
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

fn minutes() -> impl Iterator<Item = f64> {
    (0_u32..).map(f64::from)
}

/// What is added to a series that is made.
fn then(
    make: impl Fn(&mut Random) -> Series,
    change: impl Fn(&mut Random, &mut Series),
) -> impl Fn(&mut Random) -> Series {
    move |random| {
        let mut series = make(random);
        change(random, &mut series);
        series
    }
}

fn third_missing(random: &mut Random, series: &mut Series) {
    for value in &mut series.experiment {
        if random.uniform() < 0.3 {
            *value = f64::NAN;
        }
    }
}

/// Each host has a level of its own.
fn hosts_differ(random: &mut Random, series: &mut Series) {
    for side in [&mut series.control, &mut series.experiment] {
        let level = (0.01 * random.normal()).exp();
        side.iter_mut().for_each(|value| *value *= level);
    }
}

/// The experiment by its minute.
fn by_minute(change: impl Fn(f64) -> f64) -> impl Fn(&mut Random, &mut Series) {
    move |_, series| {
        for (value, minute) in series.experiment.iter_mut().zip(minutes()) {
            *value *= change(minute);
        }
    }
}

/// Events of a minute on both sides.
fn counts(
    control: impl Fn(&mut Random) -> f64,
    experiment: impl Fn(&mut Random) -> f64,
) -> impl Fn(&mut Random) -> Series {
    move |random| Pair {
        control: (0..60).map(|_| control(random)).collect(),
        experiment: (0..60).map(|_| experiment(random)).collect(),
    }
}

fn errors(control: f64, experiment: f64) -> impl Fn(&mut Random) -> Series {
    counts(
        move |random| random.poisson(control),
        move |random| random.poisson(experiment),
    )
}

/// Errors of the last five minutes.
fn rate_of_errors(control: f64, experiment: f64) -> impl Fn(&mut Random) -> Series {
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
fn share(times: f64) -> impl Fn(&mut Random) -> Series {
    counts(
        |random| random.poisson(1.0) / 1000.0,
        move |random| random.poisson(0.1 * times) / 100.0,
    )
}

fn no_change() -> Vec<Scenario> {
    let noisy = || linear(60, White, 1.0);
    let rated = |part| log(60, 0.1, Rate(5, part), 1.0);
    let ar = |part| log(60, 0.1, Ar(part), 1.0);
    let nothing_for_a_while = |_: &mut Random, series: &mut Series| {
        for side in [&mut series.control, &mut series.experiment] {
            side[20..23].fill(0.0);
        }
    };
    let peak = by_minute(|minute| {
        if minute < 5.0 {
            1.0 + 9.0 * 0.5_f64.powf(minute)
        } else {
            1.0
        }
    });
    vec![
        scenario("A1 100 + 10 N, 12 looks", noisy(), AtMost(1.0), 0.34),
        scenario("A2 the same, 6 looks", noisy(), AtMost(1.0), 0.29).looks(growing(60, 6)),
        scenario("A3 the same, one look", noisy(), AtMost(1.0), 0.48).looks(Looks::One),
        scenario("A4 log 0.5, N", log(60, 0.5, White, 1.0), AtMost(1.0), 0.36),
        scenario(
            "A5 log 0.2, Student 3",
            log(60, 0.2, Student, 1.0),
            AtMost(1.0),
            0.35,
        ),
        scenario("A6 shared load", shared_load(0.0), AtMost(1.0), 0.28),
        scenario("A7 day", day(1.0), AtMost(1.0), 0.30),
        scenario("A8 log 0.1, AR .3", ar(0.3), AtMost(1.0), 0.60),
        scenario("A9 log 0.1, AR .6", ar(0.6), AtMost(1.0), 0.73),
        scenario("A10 the same, 6 looks", ar(0.6), AtMost(1.0), 0.70).looks(growing(60, 6)),
        scenario("A11 log 0.1, AR .8", ar(0.8), AtMost(2.0), 1.27),
        scenario("A12 log 0.1, AR .9", ar(0.9), AtMost(3.0), 2.44),
        scenario("A13 the same, 6 looks", ar(0.9), AtMost(3.0), 2.02).looks(growing(60, 6)),
        scenario(
            "A14 log 0.1, rate[5m], known by the query",
            rated(0.0),
            AtMost(1.0),
            0.42,
        )
        .rated(),
        scenario(
            "A15 the same, hidden in a recording rule",
            rated(0.0),
            AtMost(1.0),
            0.19,
        ),
        scenario("A16 rate[5m] of AR .6", rated(0.6), AtMost(2.0), 1.07).rated(),
        scenario(
            "A17 both sides 0 for three minutes",
            then(noisy(), nothing_for_a_while),
            AtMost(1.0),
            0.35,
        ),
        scenario(
            "A18 30 % of the experiment's points missing",
            then(noisy(), third_missing),
            AtMost(1.0),
            0.39,
        ),
        scenario(
            "A19 start-up peak, warmupMins 5",
            then(noisy(), peak),
            AtMost(1.0),
            0.38,
        )
        .judge_by("warmupMins", json!(5)),
        scenario(
            "A20 hosts differ by 1 %, noise 2 %, margin 5 %",
            then(log(60, 0.02, White, 1.0), hosts_differ),
            AtMost(1.0),
            0.0,
        )
        .margin(),
        scenario(
            "A21 slow drift under noise: a limit",
            log(60, 0.1, Drift, 1.0),
            AtMost(15.0),
            11.7,
        ),
        scenario(
            "A22 the same, margin 5 %",
            log(60, 0.1, Drift, 1.0),
            AtMost(3.0),
            1.43,
        )
        .margin(),
    ]
}

fn no_change_of_counts() -> Vec<Scenario> {
    let one = |name: &str, make: Box<dyn Fn(&mut Random) -> Series>, reference| {
        scenario(name, move |random| make(random), AtMost(1.0), reference)
    };
    let poisson = |rate: f64, reference| {
        let number = if rate < 1.0 { 23 } else { 24 };
        let name = format!("A{number} Poisson {rate} a minute");
        one(&name, Box::new(errors(rate, rate)), reference)
    };
    let bursts = |rate: f64, size: f64, reference| {
        let side = move |random: &mut Random| burst(random, rate, size);
        let name = format!("A25 bursts {rate}, {size}");
        one(&name, Box::new(counts(side, side)), reference)
    };
    let sparse = |random: &mut Random| {
        if random.uniform() < 0.3 {
            random.normal().exp()
        } else {
            0.0
        }
    };
    vec![
        poisson(0.05, 0.01),
        poisson(0.1, 0.08),
        poisson(0.5, 0.15),
        poisson(1.0, 0.05),
        poisson(2.0, 0.35),
        poisson(10.0, 0.30),
        bursts(0.1, 5.0, 0.35),
        bursts(0.3, 10.0, 0.69),
        one("A26 sparse 0.3", Box::new(counts(sparse, sparse)), 0.69),
        one(
            "A27 rate[5m] of Poisson 0.1",
            Box::new(rate_of_errors(0.1, 0.1)),
            0.05,
        )
        .rated(),
        one(
            "A28 share, a tenth of the traffic",
            Box::new(share(1.0)),
            0.0,
        ),
    ]
}

fn no_change_by_plan() -> Vec<Scenario> {
    let ar = |points, part, times| log(points, 0.1, Ar(part), times);
    let either = |name: &str, part: Option<f64>, limit, reference| match part {
        None => scenario(name, linear(60, White, 1.0), AtMost(limit), reference).either(),
        Some(part) => scenario(name, ar(60, part, 1.0), AtMost(limit), reference).either(),
    };
    let margin = |name: &str, part: Option<f64>, limit, reference| match part {
        None => scenario(name, linear(60, White, 1.0), AtMost(limit), reference).margin(),
        Some(part) => scenario(name, ar(60, part, 1.0), AtMost(limit), reference).margin(),
    };
    let wrongly = |name: &str, part: Option<f64>, reference| {
        let found = match part {
            None => scenario(name, linear(60, White, 1.06), AtMost(5.0), reference),
            Some(part) => scenario(name, ar(60, part, 1.06), AtMost(5.0), reference),
        };
        found
            .margin()
            .looks(growing(60, 6))
            .counts(Counts::Equivalent)
    };
    let untold = || Looks::Untold(vec![10, 20, 30, 40, 50, 60]);
    vec![
        scenario(
            "A29 20 points, one look: N",
            linear(20, White, 1.0),
            AtMost(1.0),
            0.29,
        )
        .looks(Looks::One),
        scenario(
            "A29 20 points, one look: AR .6",
            ar(20, 0.6, 1.0),
            AtMost(1.0),
            0.82,
        )
        .looks(Looks::One),
        scenario(
            "A30 5 points: Inconclusive",
            linear(5, White, 1.0),
            AtMost(100.0),
            100.0,
        )
        .looks(Looks::One)
        .counts(Counts::Inconclusive)
        .runs(RUNS_WITH_CHANGE),
        either("A31 either: N", None, 1.0, 0.33),
        either("A31 either: AR .6", Some(0.6), 1.3, 0.91),
        either("A31 either: AR .8", Some(0.8), 2.0, 1.68),
        either("A31 either: AR .9", Some(0.9), 4.5, 3.72),
        margin("A32 margin 5 %, no change: N", None, 1.0, 0.0),
        margin("A32 margin 5 %, no change: AR .6", Some(0.6), 1.0, 0.02),
        margin("A32 margin 5 %, no change: AR .8", Some(0.8), 1.0, 0.29),
        margin("A32 margin 5 %, no change: AR .9", Some(0.9), 1.5, 0.99),
        scenario(
            "A33 margin 5 %, change of 5 %: N",
            linear(60, White, 1.05),
            AtMost(1.0),
            0.34,
        )
        .margin(),
        scenario(
            "A33 margin 5 %, change of 5 %: day",
            day(1.05),
            AtMost(1.0),
            0.30,
        )
        .margin(),
        wrongly("A34 wrongly Equivalent, +6 %, margin 5 %: N", None, 0.34),
        wrongly(
            "A34 wrongly Equivalent, +6 %, margin 5 %: AR .6",
            Some(0.6),
            0.66,
        ),
        wrongly(
            "A34 wrongly Equivalent, +6 %, margin 5 %: AR .9",
            Some(0.9),
            1.32,
        ),
        scenario(
            "A35 lifetimeMins and no plan: N",
            linear(60, White, 1.0),
            AtMost(1.0),
            0.39,
        )
        .looks(untold())
        .judge_by("lifetimeMins", json!(60)),
        scenario(
            "A35 lifetimeMins and no plan: AR .6",
            ar(60, 0.6, 1.0),
            AtMost(1.0),
            0.61,
        )
        .looks(untold())
        .judge_by("lifetimeMins", json!(60)),
        scenario(
            "A36 four sliding windows: N",
            linear(120, White, 1.0),
            AtMost(1.0),
            0.37,
        )
        .looks(Looks::Sliding(30, 4)),
        scenario(
            "A36 four sliding windows: AR .6",
            ar(120, 0.6, 1.0),
            AtMost(1.5),
            1.10,
        )
        .looks(Looks::Sliding(30, 4)),
        scenario(
            "A37 30 points of rate[5m], log 0.045, margin 5 %, one look",
            log(30, 0.045, Rate(5, 0.0), 1.0),
            AtMost(1.0),
            0.0,
        )
        .looks(Looks::One)
        .margin()
        .rated(),
    ]
}

fn changes() -> Vec<Scenario> {
    let one_sd = |points| {
        move |random: &mut Random| {
            let mut series = linear(points, White, 1.0)(random);
            series
                .experiment
                .iter_mut()
                .for_each(|value| *value += 10.0);
            series
        }
    };
    let two_sd = then(linear(20, White, 1.0), |_, series| {
        series
            .experiment
            .iter_mut()
            .for_each(|value| *value += 20.0);
    });
    let ar = |shift: f64| log(120, 0.1, Ar(0.6), shift.exp());
    // Of a minute, whose spread the rate has made smaller.
    let minute = 0.1 * 5.0_f64.sqrt();
    let rated = |points| log(points, 0.1, Rate(5, 0.0), minute.exp());
    let quiet = |times| log(60, 0.005, White, times);
    let few = |times| log(30, 0.045, Rate(5, 0.0), times);
    vec![
        scenario(
            "B1 100 + 10 N, +1 sd, 12 looks",
            one_sd(60),
            AtLeast(95.0),
            98.2,
        ),
        scenario("B1 the same, 6 looks", one_sd(60), AtLeast(95.0), 98.0).looks(growing(60, 6)),
        scenario("B1 the same, one look", one_sd(60), AtLeast(95.0), 99.1).looks(Looks::One),
        scenario(
            "B2 shared load, +1 own sd (5 %)",
            shared_load(5.0),
            AtLeast(95.0),
            98.1,
        ),
        scenario("B3 day, +10 %, margin 5 %", day(1.1), AtLeast(90.0), 96.6).margin(),
        scenario(
            "B4 log 0.5, +50 %",
            log(60, 0.5, White, 1.5),
            AtLeast(85.0),
            89.2,
        ),
        scenario(
            "B5 log 0.1, AR .6, 120 min, +1 sd",
            ar(0.1),
            AtLeast(62.0),
            67.0,
        )
        .looks(growing(120, 12)),
        scenario(
            "B5 log 0.1, AR .6, 120 min, +2 sd",
            ar(0.2),
            AtLeast(98.0),
            99.3,
        )
        .looks(growing(120, 12)),
        scenario(
            "B6 log 0.1, rate[5m], +1 sd of a minute, 60 min",
            rated(60),
            AtLeast(65.0),
            69.0,
        )
        .rated(),
        scenario("B6 the same, 120 min", rated(120), AtLeast(97.0), 98.2)
            .looks(growing(120, 12))
            .rated(),
        scenario(
            "B13 noise 0.5 %, +1 %, margin 5 %",
            quiet(1.01),
            AtMost(1.0),
            0.0,
        )
        .margin()
        .runs(RUNS_WITH_CHANGE),
        scenario(
            "B13 noise 0.5 %, +3 %, margin 5 %",
            quiet(1.03),
            AtMost(1.0),
            0.0,
        )
        .margin()
        .runs(RUNS_WITH_CHANGE),
        scenario(
            "B13 the same is Equivalent",
            quiet(1.03),
            AtLeast(99.0),
            100.0,
        )
        .margin()
        .counts(Counts::Equivalent),
        scenario(
            "B14 noise 0.5 %, +8 %, margin 5 %",
            quiet(1.08),
            AtLeast(99.0),
            100.0,
        )
        .margin(),
        scenario(
            "B17 30 % of the experiment's points missing, +1 sd",
            then(one_sd(60), third_missing),
            AtLeast(77.0),
            82.9,
        ),
        scenario(
            "B18 20 points, one look, +2 sd",
            two_sd,
            AtLeast(72.0),
            77.3,
        )
        .looks(Looks::One),
        scenario("B19 A37 with +50 %", few(1.5), AtLeast(98.0), 99.8)
            .looks(Looks::One)
            .margin()
            .rated(),
        scenario("B19 A37 with +100 %", few(2.0), AtLeast(98.0), 100.0)
            .looks(Looks::One)
            .margin()
            .rated(),
    ]
}

fn changes_of_counts() -> Vec<Scenario> {
    vec![
        scenario(
            "B7 errors 0.1 to 1 a minute",
            errors(0.1, 1.0),
            AtLeast(99.0),
            100.0,
        ),
        scenario(
            "B7 the same, a look every minute",
            errors(0.1, 1.0),
            AtLeast(99.0),
            100.0,
        )
        .looks(growing(60, 60)),
        scenario(
            "B8 errors 0.05 to 0.5",
            errors(0.05, 0.5),
            AtLeast(95.0),
            97.1,
        ),
        scenario(
            "B9 errors 0.5 to 1.5",
            errors(0.5, 1.5),
            AtLeast(95.0),
            97.8,
        ),
        scenario("B10 errors 1 to 2", errors(1.0, 2.0), AtLeast(72.0), 78.8),
        scenario(
            "B11 share x5 at a tenth of the traffic",
            share(5.0),
            AtLeast(43.0),
            48.9,
        ),
        scenario(
            "B11 the same, trafficRatio 0.1",
            share(5.0),
            AtLeast(94.0),
            96.6,
        )
        .canary("trafficRatio", json!(0.1)),
        scenario(
            "B12 rate[5m] of errors 0.1 to 1",
            rate_of_errors(0.1, 1.0),
            AtLeast(96.0),
            98.9,
        )
        .rated(),
    ]
}

fn late_changes() -> Vec<Scenario> {
    let leak = |by: f64| by_minute(move |minute| 1.0 + by * minute / 60.0);
    let jump = |times: f64| by_minute(move |minute| if minute < 20.0 { 1.0 } else { times });
    let late =
        |name: &str, spread, change: Box<dyn Fn(&mut Random, &mut Series)>, least, reference| {
            let make = then(log(60, spread, White, 1.0), change);
            scenario(name, make, AtLeast(least), reference).margin()
        };
    vec![
        late(
            "B15 leak to +30 % over the hour, margin 5 %",
            0.05,
            Box::new(leak(0.3)),
            99.0,
            100.0,
        ),
        late(
            "B15 leak to sixfold over the hour",
            0.05,
            Box::new(leak(5.0)),
            99.0,
            100.0,
        ),
        late(
            "B16 twice from minute 20 on, margin 5 %",
            0.1,
            Box::new(jump(2.0)),
            96.0,
            99.0,
        ),
        late(
            "B16 elevenfold from minute 20 on",
            0.1,
            Box::new(jump(11.0)),
            99.0,
            100.0,
        ),
    ]
}

/// Metrics of a side that share half of their variance; some of the experiment's times something.
fn metrics(
    random: &mut Random,
    noise: Noise,
    count: usize,
    changed: usize,
    times: f64,
) -> Vec<Series> {
    let mut side = || {
        let shared = noise.series(random, 60);
        let one = |_| -> Vec<f64> {
            let own = noise.series(random, 60).into_iter().zip(&shared);
            own.map(|(own, shared)| 100.0 * (0.1 * 0.5_f64.sqrt() * (own + shared)).exp())
                .collect()
        };
        (0..count).map(one).collect::<Vec<_>>()
    };
    let (control, mut experiment) = (side(), side());
    for series in &mut experiment[..changed] {
        series.iter_mut().for_each(|value| *value *= times);
    }
    let sides = control.into_iter().zip(experiment);
    sides
        .map(|(control, experiment)| Pair {
            control,
            experiment,
        })
        .collect()
}

fn canaries() -> Vec<Scenario> {
    let canary = |name: &str, noise: Noise, target, reference, runs| {
        let one = scenario(name, linear(60, White, 1.0), target, reference);
        Scenario {
            make: Box::new(move |random| metrics(random, noise, 10, 0, 1.0)),
            judge: json!({"falseAlarm": 0.05}),
            ..one
        }
        .runs(runs)
    };
    let hosts = |random: &mut Random| {
        let mut metrics = metrics(random, White, 10, 0, 1.0);
        metrics
            .iter_mut()
            .for_each(|series| hosts_differ(random, series));
        metrics
    };
    let twenty = |counts, target, reference| {
        let name = "C 20 metrics, 5 of them +1.5 sd";
        let one = canary(name, White, target, reference, 1_000);
        Scenario {
            make: Box::new(move |random| metrics(random, White, 20, 5, 0.15_f64.exp())),
            ..one
        }
        .counts(counts)
    };
    vec![
        canary(
            "C ten metrics: N",
            White,
            AtMost(5.0),
            1.3,
            RUNS_WITH_CHANGE,
        ),
        canary("C ten metrics: AR .6", Ar(0.6), AtMost(5.0), 3.9, RUNS),
        canary(
            "C ten metrics: AR .8: a limit",
            Ar(0.8),
            AtMost(10.0),
            7.6,
            RUNS,
        ),
        canary(
            "C ten metrics: AR .9: a limit",
            Ar(0.9),
            AtMost(17.0),
            13.6,
            RUNS_WITH_CHANGE,
        ),
        canary("C margin 5 %: N", White, AtMost(5.0), 0.0, RUNS_WITH_CHANGE).margin(),
        canary(
            "C margin 5 %: AR .6",
            Ar(0.6),
            AtMost(5.0),
            0.2,
            RUNS_WITH_CHANGE,
        )
        .margin(),
        canary(
            "C margin 5 %: AR .8",
            Ar(0.8),
            AtMost(5.0),
            1.3,
            RUNS_WITH_CHANGE,
        )
        .margin(),
        canary("C margin 5 %: AR .9", Ar(0.9), AtMost(7.5), 5.9, RUNS).margin(),
        Scenario {
            make: Box::new(hosts),
            ..canary(
                "C hosts differ by 1 %, margin 5 %",
                White,
                AtMost(1.0),
                0.0,
                RUNS_WITH_CHANGE,
            )
        }
        .margin(),
        twenty(Counts::WrongAlarms(5), AtMost(5.0), 0.13),
        twenty(Counts::Found(5), AtLeast(80.0), 100.0),
    ]
}
