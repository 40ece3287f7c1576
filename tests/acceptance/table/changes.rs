//! Where something changed, and canaries of many metrics.

use serde_json::json;

use super::{Change, RUNS, RUNS_WITH_CHANGE, scenario};
use crate::noise::Noise::{self, Ar, Rate, White};
use crate::noise::Random;
use crate::series::{
    by_minute, day, errors, hosts_differ, linear, log, metrics, rate_of_errors, share, shared_load,
    then, third_missing,
};
use crate::trial::Target::{AtLeast, AtMost};
use crate::trial::{Counts, Looks, Scenario, Series, growing};

/// Ten more, which is one standard deviation.
fn one_sd(points: usize) -> impl Fn(&mut Random) -> Series {
    more(points, 10.0)
}

fn more(points: usize, by: f64) -> impl Fn(&mut Random) -> Series {
    then(linear(points, White, 1.0), move |_, series| {
        for value in &mut series.experiment {
            *value += by;
        }
    })
}

pub fn changes() -> Vec<Scenario> {
    let ar = |shift: f64| log(120, 0.1, Ar(0.6), 1.0 + shift);
    // Of a minute: the rate has made its spread smaller.
    let minute = 0.1 * 5.0_f64.sqrt();
    let rated = |points| log(points, 0.1, Rate(5, 0.0), 1.0 + minute);
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
    ]
}

pub fn changes_of_few_and_quiet() -> Vec<Scenario> {
    let quiet = |times| log(60, 0.005, White, times);
    let few = |times| log(30, 0.045, Rate(5, 0.0), times);
    vec![
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
            more(20, 20.0),
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

pub fn changes_of_counts() -> Vec<Scenario> {
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

pub fn late_changes() -> Vec<Scenario> {
    let leak = |by: f64| by_minute(move |minute| 1.0 + by * minute / 60.0);
    let jump = |times: f64| by_minute(move |minute| if minute < 20.0 { 1.0 } else { times });
    let late = |name: &str, spread, change: Change, least, reference| {
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

pub fn canaries() -> Vec<Scenario> {
    let canary = |name: &str, noise: Noise, target, reference, runs| {
        let one = scenario(name, linear(60, White, 1.0), target, reference);
        Scenario {
            make: Box::new(move |random| metrics(random, 0.1, noise, 10, 0, 1.0)),
            judge: json!({"falseAlarm": 0.05}),
            ..one
        }
        .runs(runs)
    };
    let hosts = |random: &mut Random| {
        let mut metrics = metrics(random, 0.02, White, 10, 0, 1.0);
        for series in &mut metrics {
            hosts_differ(random, series);
        }
        metrics
    };
    let twenty = |counts, target, reference| {
        let name = "C 20 metrics, 5 of them +1.5 sd";
        let one = canary(name, White, target, reference, 1_000);
        Scenario {
            make: Box::new(move |random| metrics(random, 0.1, White, 20, 5, 1.15)),
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
                "C hosts differ by 1 %, noise 2 %, margin 5 %",
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
