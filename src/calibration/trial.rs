//! One window, judged as a canary would have been: at every look, and once at its end.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::cut::cut;
use super::reading::Read;
use super::{FIRST_JUDGE, Given, MARGINS, SECOND_JUDGE};
use crate::canary::{
    CanaryConfig, CanaryJudgeResult, Learned, Look, LookWindow, MetricSetPair, Pair,
};
use crate::error::Result;
use crate::judge::{self, DEFAULT_NOISE_SEED, Doubting, Judgement, looks::goes_on};
use crate::metrics::mix;

/// The name of a metric and the labels of one of its pairs.
pub type Series = (String, String);

/// Judges the windows of one calibration.
pub struct Trials<'a> {
    given: &'a Given<'a>,
    first: CanaryConfig,
    second: CanaryConfig,
    with_margin: Vec<CanaryConfig>,
    /// Without margins of its own.
    bare: CanaryConfig,
}

/// The pairs of a window, as each look sees them.
pub struct Looks(Vec<Vec<MetricSetPair>>);

/// What was seen in a window.
pub struct Seen {
    pub series: Vec<Series>,
    /// By the first judge, and by the second.
    pub judged: [Result<Judged>; 2],
    /// What alarmed at any look, for each margin; nothing beyond the end.
    pub at_margin: Vec<BTreeSet<Series>>,
}

pub struct Judged {
    pub stopped: Stopped,
    pub at_any_look: BTreeSet<Series>,
    pub at_one_look: BTreeSet<Series>,
    /// What was read off the last look.
    pub last: Vec<(Series, Read)>,
}

/// Whether the release would have been stopped.
#[derive(Clone, Copy)]
pub struct Stopped {
    pub at_any_look: bool,
    pub at_one_look: bool,
}

impl<'a> Trials<'a> {
    pub fn new(given: &'a Given<'a>) -> Self {
        let with_margin = MARGINS.map(|margin| tried(given.config, margin));
        Self {
            given,
            first: judged_by(given.config, FIRST_JUDGE),
            second: judged_by(given.config, SECOND_JUDGE),
            with_margin: with_margin.into(),
            bare: bare(given.config),
        }
    }

    /// None where no metric has data on both sides.
    pub fn window(&self, at: u32) -> Result<Option<Looks>> {
        let plan = self.given.plan;
        let looks = (1..=plan.looks()).map(|look| self.pairs(at, i64::from(look) * plan.interval));
        let looks = looks.collect::<Result<Vec<_>>>()?;
        let is_there = |pair: &MetricSetPair| {
            let sides = [&pair.values.control, &pair.values.experiment];
            sides
                .iter()
                .all(|values| values.iter().any(|value| value.is_finite()))
        };
        let whole = looks.last().into_iter().flatten();
        Ok(whole.into_iter().any(is_there).then_some(Looks(looks)))
    }

    /// What a look sees that long after the begin of the window.
    fn pairs(&self, at: u32, length: i64) -> Result<Vec<MetricSetPair>> {
        let (plan, pods) = (self.given.plan, self.given.plan.pair(at));
        let side = |pod: usize| {
            let start = plan.start_of(pod) + i64::from(at) * plan.window;
            let metrics = self.given.series[pod].iter();
            metrics
                .map(|sets| cut(sets, start, start + length, plan.step))
                .collect()
        };
        let sets = Pair {
            control: side(pods.control),
            experiment: side(pods.experiment),
        };
        let matched = mix::matched(self.given.config, sets)?;
        let mut count = 0_u32;
        Ok(mix::mix(matched, || {
            count += 1;
            count.to_string()
        }))
    }

    pub fn judge(&self, looks: &Looks) -> Seen {
        let whole = looks.0.last().into_iter().flatten();
        Seen {
            series: whole.map(series_of).collect(),
            judged: [
                self.judged(&self.first, None, looks),
                self.judged(&self.second, self.given.learned, looks),
            ],
            at_margin: self.at_margin(looks),
        }
    }

    /// Whether the second judge would have stopped it with these margins.
    pub fn stopped_with(&self, looks: &Looks, learned: &Learned) -> Result<Stopped> {
        Ok(self.judged(&self.bare, Some(learned), looks)?.stopped)
    }

    fn judged(
        &self,
        config: &CanaryConfig,
        learned: Option<&Learned>,
        looks: &Looks,
    ) -> Result<Judged> {
        let planned = self.given.plan.looks();
        let mut at_any_look = BTreeSet::new();
        let mut is_stopped = false;
        let mut last = None;
        for (number, pairs) in (1..).zip(&looks.0) {
            let judged = self.ask(config, learned, pairs, look(number, planned))?;
            at_any_look.extend(alarms(&judged));
            is_stopped |= self.stops(&judged, number == planned);
            last = Some(judged);
        }
        let whole = looks.0.last().map_or(&[][..], Vec::as_slice);
        let read = last.iter().flat_map(|judged| &judged.results);
        let read = read.map(|result| (key(&result.name, &result.tags), Read::of(result)));
        let read = read.collect();
        let one = match last {
            Some(judged) if planned == 1 => judged,
            _ => self.ask(config, learned, whole, None)?,
        };
        Ok(Judged {
            stopped: Stopped {
                at_any_look: is_stopped,
                at_one_look: self.stops(&one, true),
            },
            at_any_look,
            at_one_look: alarms(&one).collect(),
            last: read,
        })
    }

    /// A greater margin never adds an alarm: the first without any is the last that is tried.
    fn at_margin(&self, looks: &Looks) -> Vec<BTreeSet<Series>> {
        let planned = self.given.plan.looks();
        let mut all = Vec::new();
        for config in &self.with_margin {
            let seen = (1..).zip(&looks.0);
            let judged =
                seen.map(|(number, pairs)| self.ask(config, None, pairs, look(number, planned)));
            let alarmed: BTreeSet<Series> = judged
                .flatten()
                .flat_map(|judged| alarms(&judged).collect::<Vec<_>>())
                .collect();
            if alarmed.is_empty() {
                break;
            }
            all.push(alarmed);
        }
        all
    }

    fn ask(
        &self,
        config: &CanaryConfig,
        learned: Option<&Learned>,
        pairs: &[MetricSetPair],
        look: Option<Look>,
    ) -> Result<CanaryJudgeResult> {
        let name = config
            .judge
            .as_ref()
            .and_then(|judge| judge.name.as_deref());
        judge::resolve(name)?.judge(&Judgement {
            config,
            thresholds: self.given.plan.thresholds,
            pairs,
            noise_seed: DEFAULT_NOISE_SEED,
            doubting: Doubting::Tell,
            look,
            learned,
        })
    }

    /// As an analysis stops, and as its end is no pass.
    fn stops(&self, judged: &CanaryJudgeResult, is_last: bool) -> bool {
        let score = judged.score.score;
        let thresholds = self.given.plan.thresholds;
        let is_low = |threshold: Option<f64>| threshold.is_some_and(|pass| score < pass);
        !goes_on(score, thresholds.marginal.unwrap_or_default())
            || is_last && is_low(thresholds.pass)
    }
}

/// Of one judgement alone, none.
fn look(number: u32, planned: u32) -> Option<Look> {
    (1 < planned).then_some(Look {
        number,
        planned,
        window: LookWindow::Growing,
    })
}

fn alarms(judged: &CanaryJudgeResult) -> impl Iterator<Item = Series> {
    let alarmed = judged
        .results
        .iter()
        .filter(|result| Read::is_alarm(result));
    alarmed.map(|result| key(&result.name, &result.tags))
}

fn series_of(pair: &MetricSetPair) -> Series {
    key(&pair.name, &pair.tags)
}

fn key(name: &str, tags: &indexmap::IndexMap<String, String>) -> Series {
    let mut tags: Vec<String> = tags
        .iter()
        .map(|(label, value)| format!("{label}={value:?}"))
        .collect();
    tags.sort_unstable();
    (name.to_owned(), tags.join(","))
}

fn judged_by(config: &CanaryConfig, name: &str) -> CanaryConfig {
    let mut config = config.clone();
    let judge = config.judge.get_or_insert_default();
    judge.name = Some(name.to_owned());
    // A second opinion of the same judge would cost as much again.
    if let Some(settings) = judge.judge_configurations.as_mut() {
        settings.shift_remove("shadow");
    }
    config.prepare();
    config
}

/// With that margin for all metrics, whatever they say themselves.
fn tried(config: &CanaryConfig, margin: f64) -> CanaryConfig {
    let mut config = bare(config);
    let judge = config.judge.get_or_insert_default();
    let settings = judge.judge_configurations.get_or_insert_default();
    settings.insert("margin".to_owned(), json!(margin));
    config
}

/// Without any margin of its own.
fn bare(config: &CanaryConfig) -> CanaryConfig {
    let mut config = judged_by(config, SECOND_JUDGE);
    let settings = config
        .judge
        .as_mut()
        .and_then(|judge| judge.judge_configurations.as_mut());
    if let Some(settings) = settings {
        settings.shift_remove("calibration");
        settings.shift_remove("margin");
    }
    for metric in config.metrics.iter_mut().flatten() {
        let policy = metric.analysis_configurations.as_mut();
        let effect = policy.and_then(|policy| policy.get_mut("canary")?.get_mut("effectSize"));
        if let Some(effect) = effect.and_then(Value::as_object_mut) {
            effect.shift_remove("allowedIncrease");
            effect.shift_remove("allowedDecrease");
        }
    }
    config
}
