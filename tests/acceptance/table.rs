//! The scenarios, with what is promised of them and what the reference measured.

mod changes;

use serde_json::{Value, json};

use crate::noise::Noise::{Ar, Drift, Rate, Student, White};
use crate::noise::{Random, burst};
use crate::series::{
    by_minute, counts, day, errors, hosts_differ, linear, log, rate_of_errors, share, shared_load,
    then, third_missing,
};
use crate::trial::Target::{AtLeast, AtMost};
use crate::trial::{Counts, Looks, MINUTE, Scenario, Series, Target, growing};

/// Of a scenario without a change, and of one with.
const RUNS: u32 = 10_000;
const RUNS_WITH_CHANGE: u32 = 2_000;

/// What is done to a series.
type Change = Box<dyn Fn(&mut Random, &mut Series)>;

/// A range of 5 minutes.
const RATE: i64 = 5 * MINUTE;

pub fn all() -> Vec<Scenario> {
    let mut all = no_change();
    all.extend(no_change_of_counts());
    all.extend(no_change_by_direction_and_margin());
    all.extend(no_change_by_plan());
    all.extend(changes::changes());
    all.extend(changes::changes_of_few_and_quiet());
    all.extend(changes::changes_of_counts());
    all.extend(changes::late_changes());
    all.extend(changes::canaries());
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

fn no_change_by_direction_and_margin() -> Vec<Scenario> {
    let ar = |points, part, times| log(points, 0.1, Ar(part), times);
    let either = |name: &str, part: Option<f64>, limit, reference| match part {
        None => scenario(name, linear(60, White, 1.0), AtMost(limit), reference).either(),
        Some(part) => scenario(name, ar(60, part, 1.0), AtMost(limit), reference).either(),
    };
    let margin = |name: &str, part: Option<f64>, limit, reference| match part {
        None => scenario(name, linear(60, White, 1.0), AtMost(limit), reference).margin(),
        Some(part) => scenario(name, ar(60, part, 1.0), AtMost(limit), reference).margin(),
    };
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
    ]
}

fn no_change_by_plan() -> Vec<Scenario> {
    let ar = |points, part, times| log(points, 0.1, Ar(part), times);
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
