//! One window, judged as a canary would have been: at every look, and once at its end.

use std::collections::BTreeSet;
use std::ops::Range;

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

/// The pairs of a window.
pub struct Looks {
    /// As each look sees them.
    seen: Vec<Vec<MetricSetPair>>,
    /// All of it, where the last look does not see it.
    rest: Option<Vec<MetricSetPair>>,
}

impl Looks {
    fn whole(&self) -> &[MetricSetPair] {
        let whole = self.rest.as_ref().or(self.seen.last());
        whole.map_or(&[][..], Vec::as_slice)
    }
}

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
        let seen = (1..=plan.looks()).map(|look| self.pairs(at, &plan.seen(look)));
        let seen = seen.collect::<Result<Vec<_>>>()?;
        let rest = plan.lookback.map(|_| self.pairs(at, &(0..plan.window)));
        let looks = Looks {
            seen,
            rest: rest.transpose()?,
        };
        let is_there = |pair: &MetricSetPair| {
            let sides = [&pair.values.control, &pair.values.experiment];
            sides
                .iter()
                .all(|values| values.iter().any(|value| value.is_finite()))
        };
        Ok(looks.whole().iter().any(is_there).then_some(looks))
    }

    /// What lies there in the window, by milliseconds since its begin.
    fn pairs(&self, at: u32, seen: &Range<i64>) -> Result<Vec<MetricSetPair>> {
        let (plan, pods) = (self.given.plan, self.given.plan.pair(at));
        let side = |pod: usize| {
            let start = plan.start_of(pod) + i64::from(at) * plan.window;
            let metrics = self.given.series[pod].iter();
            metrics
                .map(|sets| cut(sets, start + seen.start, start + seen.end, plan.step))
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
        Seen {
            series: looks.whole().iter().map(series_of).collect(),
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
        for (number, pairs) in (1..).zip(&looks.seen) {
            let judged = self.ask(config, learned, pairs, self.look(number))?;
            at_any_look.extend(alarms(&judged));
            is_stopped |= self.stops(&judged, number == planned);
            last = Some(judged);
        }
        let read = last.iter().flat_map(|judged| &judged.results);
        let read = read.map(|result| (key(&result.name, &result.tags), Read::of(result)));
        let read = read.collect();
        let one = match last {
            Some(judged) if planned == 1 && looks.rest.is_none() => judged,
            _ => self.ask(config, learned, looks.whole(), None)?,
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
        let mut all = Vec::new();
        for config in &self.with_margin {
            let seen = (1..).zip(&looks.seen);
            let judged =
                seen.map(|(number, pairs)| self.ask(config, None, pairs, self.look(number)));
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

    /// Of one judgement alone, none.
    fn look(&self, number: u32) -> Option<Look> {
        let plan = self.given.plan;
        let window = plan
            .lookback
            .map_or(LookWindow::Growing, |_| LookWindow::Sliding);
        (1 < plan.looks()).then_some(Look {
            number,
            planned: plan.looks(),
            window,
        })
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
