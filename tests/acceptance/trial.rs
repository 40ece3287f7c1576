//! One scenario of the table: series from a seed, judged at every look by both judges.

use serde_json::{Value, json};
use serin::canary::explanation::Rule;
use serin::canary::sequential::{Finding, Sequential};
use serin::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, Label, Look, LookWindow, MetricSetPair, Pair,
};
use serin::judge::{DEFAULT_NOISE_SEED, Doubting, Judgement, aca, sequential};

use crate::noise::Random;

pub const MINUTE: i64 = 60_000;
const START: i64 = 1_790_000_000_000;

/// Both sides, a point a minute.
pub type Series = Pair<Vec<f64>>;

/// The series of all metrics.
pub type Make = Box<dyn Fn(&mut Random) -> Vec<Series>>;

/// At which lengths it is looked.
#[derive(Clone)]
pub enum Looks {
    Growing(Vec<usize>),
    /// Windows of that length, end to end.
    Sliding(usize, u32),
    /// Growing ones of which nobody told, but for `lifetimeMins`.
    Untold(Vec<usize>),
    One,
}

/// Looks at equal distances.
pub fn growing(points: usize, looks: usize) -> Looks {
    Looks::Growing((1..=looks).map(|look| points * look / looks).collect())
}

pub struct Scenario {
    pub name: String,
    pub make: Make,
    pub looks: Looks,
    pub canary: Value,
    pub judge: Value,
    pub look_back: Option<i64>,
    pub runs: u32,
    pub counts: Counts,
    /// In percent.
    pub target: Target,
    pub reference: f64,
}

/// What of the runs is told.
#[derive(Clone, Copy, PartialEq)]
pub enum Counts {
    /// Regressed at any look, of any metric.
    Alarms,
    /// Equivalent at the last look.
    Equivalent,
    /// Inconclusive at the last look.
    Inconclusive,
    /// Alarms of metrics from that one on, which do not differ, of all alarms.
    WrongAlarms(usize),
    /// Metrics before that one that were found, of all that differ.
    Found(usize),
}

#[derive(Clone, Copy)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    pub fn holds(self, rate: f64) -> bool {
        match self {
            Self::AtMost(limit) => rate <= limit,
            Self::AtLeast(limit) => limit <= rate,
        }
    }

    pub fn told(self) -> String {
        match self {
            Self::AtMost(limit) => format!("<= {limit}"),
            Self::AtLeast(limit) => format!(">= {limit}"),
        }
    }
}

/// In percent, and the mean minute of the first alarm.
pub struct Measured {
    pub rate: f64,
    pub stop: Option<f64>,
    /// Any look, and the last one; of the runs that were judged by it.
    pub kayenta: Option<(f64, f64)>,
}

impl Scenario {
    pub fn run(&self, seed: u64, kayenta_every: u32) -> Measured {
        let mut random = Random::new(seed);
        let config = config(&self.canary, &self.judge, 1);
        let frame = frame(self.look_back);
        let mut tally = Tally::default();
        let mut config_of_many = None;
        for run in 0..self.runs {
            let series = (self.make)(&mut random);
            let config = if series.len() == 1 {
                &config
            } else {
                config_of_many
                    .get_or_insert_with(|| self::config(&self.canary, &self.judge, series.len()))
            };
            self.judge(config, &frame, &series, &mut tally);
            if kayenta_every != 0 && run % kayenta_every == 0 {
                self.judge_by_kayenta(config, &frame, &series, &mut tally);
            }
        }
        tally.measured()
    }

    /// The windows of the looks: where they begin and end, and how they are told.
    fn windows(&self, length: usize) -> Vec<(usize, usize, Option<Look>)> {
        let look = |number: usize, planned: usize, window| Look {
            number: u32::try_from(number).expect("a handful"),
            planned: u32::try_from(planned).expect("a handful"),
            window,
        };
        match &self.looks {
            Looks::One => vec![(0, length, None)],
            Looks::Growing(ends) => {
                let numbered = ends.iter().zip(1..);
                let told = |number| Some(look(number, ends.len(), LookWindow::Growing));
                numbered
                    .map(|(end, number)| (0, *end, told(number)))
                    .collect()
            }
            Looks::Untold(ends) => ends.iter().map(|end| (0, *end, None)).collect(),
            Looks::Sliding(window, count) => (0..*count as usize)
                .map(|at| {
                    let told = look(at + 1, *count as usize, LookWindow::Sliding);
                    (at * window, (at + 1) * window, Some(told))
                })
                .collect(),
        }
    }

    fn judge(
        &self,
        config: &CanaryConfig,
        frame: &MetricSetPair,
        series: &[Series],
        tally: &mut Tally,
    ) {
        tally.runs += 1;
        let windows = self.windows(series[0].control.len());
        let last = windows.len() - 1;
        let mut alarmed = vec![false; series.len()];
        for (at, (begin, end, look)) in windows.into_iter().enumerate() {
            let pairs = pairs(frame, series, begin, end);
            let found = findings(config, &pairs, look);
            for (alarmed, (_, found)) in alarmed.iter_mut().zip(&found) {
                *alarmed |= found.verdict == Finding::Regressed;
            }
            let any = alarmed.contains(&true);
            if self.counts == Counts::Alarms && any {
                tally.hits += 1;
                tally.stops += end as u64;
                return;
            }
            if at == last {
                let is = |wanted| u64::from(found[0].1.verdict == wanted);
                match self.counts {
                    Counts::Equivalent => tally.hits += is(Finding::Equivalent),
                    Counts::Inconclusive => tally.hits += is(Finding::Inconclusive),
                    Counts::Alarms | Counts::WrongAlarms(_) | Counts::Found(_) => {}
                }
            }
        }
        let alarms = |metrics: &[bool]| metrics.iter().filter(|alarmed| **alarmed).count() as u64;
        match self.counts {
            Counts::WrongAlarms(from) => {
                tally.hits += alarms(&alarmed[from..]);
                tally.of += alarms(&alarmed);
            }
            Counts::Found(before) => {
                tally.hits += alarms(&alarmed[..before]);
                tally.of += before as u64;
            }
            Counts::Alarms | Counts::Equivalent | Counts::Inconclusive => {}
        }
    }

    fn judge_by_kayenta(
        &self,
        config: &CanaryConfig,
        frame: &MetricSetPair,
        series: &[Series],
        tally: &mut Tally,
    ) {
        tally.kayenta_runs += 1;
        let windows = self.windows(series[0].control.len());
        let last = windows.len() - 1;
        let mut any = false;
        for (at, (begin, end, look)) in windows.into_iter().enumerate() {
            let pairs = pairs(frame, series, begin, end);
            let judgement = judgement(config, &pairs, look);
            let judged = aca::judge_on_one_thread(&judgement).expect("nothing in it is wrong");
            let is_alarm = if series.len() == 1 {
                matches!(judged.results[0].classification, Label::High | Label::Low)
            } else {
                // What stops the canary: a score at the marginal threshold, or the last below pass.
                judged.score.score <= 75.0 || at == last && judged.score.score < 95.0
            };
            any |= is_alarm;
            if at == last {
                tally.kayenta_last += u64::from(is_alarm);
            }
        }
        tally.kayenta_any += u64::from(any);
    }
}

#[derive(Default)]
struct Tally {
    runs: u64,
    hits: u64,
    /// Of so many, where that is not the runs.
    of: u64,
    stops: u64,
    kayenta_runs: u64,
    kayenta_any: u64,
    kayenta_last: u64,
}

impl Tally {
    fn measured(&self) -> Measured {
        let of = if self.of == 0 { self.runs } else { self.of };
        let kayenta = |hits| percent(hits, self.kayenta_runs);
        Measured {
            rate: percent(self.hits, of),
            stop: (0 < self.stops).then(|| percent(self.stops, self.hits) / 100.0),
            kayenta: (0 < self.kayenta_runs)
                .then(|| (kayenta(self.kayenta_any), kayenta(self.kayenta_last))),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "some thousand runs")]
fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

pub fn config(canary: &Value, judge: &Value, metrics: usize) -> CanaryConfig {
    let metric = |at: usize| {
        json!({"name": format!("m{at}"), "groups": ["g"], "scopeName": "default",
            "analysisConfigurations": {"canary": canary}})
    };
    let metrics: Vec<Value> = (0..metrics).map(metric).collect();
    serde_json::from_value(json!({
        "judge": {"name": "sequential-v1", "judgeConfigurations": judge},
        "metrics": metrics,
        "classifier": {"groupWeights": {"g": 100}},
    }))
    .expect("a config")
}

/// A pair without its values.
pub fn frame(look_back: Option<i64>) -> MetricSetPair {
    let scope = json!({"startTimeMillis": START, "stepMillis": MINUTE});
    let attributes = match look_back {
        Some(back) => json!({"looksBack": back.to_string()}),
        None => json!({}),
    };
    serde_json::from_value(json!({
        "name": "", "values": {"control": [], "experiment": []},
        "scopes": {"control": scope, "experiment": scope},
        "attributes": {"control": attributes, "experiment": attributes},
    }))
    .expect("a pair")
}

fn pairs(frame: &MetricSetPair, series: &[Series], begin: usize, end: usize) -> Vec<MetricSetPair> {
    let of = |(at, series): (usize, &Series)| MetricSetPair {
        name: format!("m{at}"),
        id: format!("{at}"),
        values: series.as_ref().map(|values| values[begin..end].to_vec()),
        ..frame.clone()
    };
    series.iter().enumerate().map(of).collect()
}

fn judgement<'a>(
    config: &'a CanaryConfig,
    pairs: &'a [MetricSetPair],
    look: Option<Look>,
) -> Judgement<'a> {
    Judgement {
        config,
        thresholds: CanaryClassifierThresholdsConfig {
            pass: Some(95.0),
            marginal: Some(75.0),
        },
        pairs,
        noise_seed: DEFAULT_NOISE_SEED,
        doubting: Doubting::Tell,
        look,
        learned: None,
    }
}

fn findings(
    config: &CanaryConfig,
    pairs: &[MetricSetPair],
    look: Option<Look>,
) -> Vec<(Rule, Sequential)> {
    let judgement = judgement(config, pairs, look);
    sequential::findings(&judgement).expect("nothing in it is wrong")
}

/// What is found of one pair of series.
pub fn find(config: &CanaryConfig, frame: &MetricSetPair, series: &Series) -> Sequential {
    let whole = series.control.len();
    let pairs = pairs(frame, std::slice::from_ref(series), 0, whole);
    let (_, found) = findings(config, &pairs, None).remove(0);
    found
}
