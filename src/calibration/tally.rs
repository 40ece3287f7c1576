//! What all windows come to.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::rates::{median, quantile, wilson};
use super::reading::Read;
use super::trial::{Judged, Seen, Series, Stopped};
use super::{FIRST_JUDGE, Given, MARGINS, Pod, SECOND_JUDGE, time_of};
use crate::canary::calibration::{JudgeRates, MetricAlarms, MetricRates, Report, Typical};
use crate::canary::{CanaryConfig, CanaryMetricConfig, fingerprint};
use crate::judge::policy::MetricPolicy;
use crate::judge::sequential::settings::Settings;

#[derive(Default)]
pub struct Tally {
    pub windows: u32,
    pub without_data: u32,
    judges: [OfJudge; 2],
    pub metrics: IndexMap<String, OfMetric>,
    muted: BTreeSet<String>,
    /// Metric set pairs that count, in the window that had most.
    heard: usize,
    /// Of the second judge; none where it cannot read them.
    settings: Option<Settings>,
}

#[derive(Default)]
struct OfJudge {
    windows: u32,
    at_any_look: u32,
    at_one_look: u32,
    error: Option<String>,
}

#[derive(Default)]
pub struct OfMetric {
    /// One for every pair of a window.
    trials: u32,
    unmeasured: u32,
    alarms: [Alarms; 2],
    at_margin: [u32; MARGINS.len()],
    pub reads: Vec<Read>,
    /// The changes between two pods.
    pub changes: BTreeMap<(usize, usize), Vec<f64>>,
}

#[derive(Clone, Copy, Default)]
struct Alarms {
    trials: u32,
    at_any_look: u32,
    at_one_look: u32,
}

impl Tally {
    pub fn new(given: &Given<'_>) -> Self {
        let metrics = given.config.metrics.iter().flatten();
        let names = metrics
            .clone()
            .map(|metric| metric.name.clone().unwrap_or_default());
        let muted = metrics.filter(|metric| policy(metric).is_some_and(|policy| policy.muted));
        Self {
            muted: muted.filter_map(|metric| metric.name.clone()).collect(),
            metrics: names.map(|name| (name, OfMetric::default())).collect(),
            settings: Settings::of(given.config).ok(),
            ..Self::default()
        }
    }

    pub fn add(&mut self, pods: Pod, seen: &Seen) {
        self.windows += 1;
        let heard = seen
            .series
            .iter()
            .filter(|(name, _)| !self.muted.contains(name));
        self.heard = self.heard.max(heard.count());
        for (name, _) in &seen.series {
            if let Some(metric) = self.metrics.get_mut(name) {
                metric.trials += 1;
            }
        }
        for (judge, judged) in seen.judged.iter().enumerate() {
            match judged {
                Ok(judged) => self.add_judged(judge, pods, seen, judged),
                Err(error) => {
                    let told = &mut self.judges[judge].error;
                    told.get_or_insert_with(|| error.to_string());
                }
            }
        }
        for (place, alarmed) in seen.at_margin.iter().enumerate() {
            for (name, _) in alarmed {
                if let Some(metric) = self.metrics.get_mut(name) {
                    metric.at_margin[place] += 1;
                }
            }
        }
    }

    fn add_judged(&mut self, judge: usize, pods: Pod, seen: &Seen, judged: &Judged) {
        let Stopped {
            at_any_look,
            at_one_look,
        } = judged.stopped;
        let of_judge = &mut self.judges[judge];
        of_judge.windows += 1;
        of_judge.at_any_look += u32::from(at_any_look);
        of_judge.at_one_look += u32::from(at_one_look);
        let of = |series: &Series| series.0.clone();
        for name in seen.series.iter().map(of) {
            self.alarms(judge, &name, |alarms| alarms.trials += 1);
        }
        for name in judged.at_any_look.iter().map(of) {
            self.alarms(judge, &name, |alarms| alarms.at_any_look += 1);
        }
        for name in judged.at_one_look.iter().map(of) {
            self.alarms(judge, &name, |alarms| alarms.at_one_look += 1);
        }
        if judge == 1 {
            for ((name, _), read) in &judged.last {
                if let Some(metric) = self.metrics.get_mut(name) {
                    metric.unmeasured += u32::from(!read.is_measured);
                    let between = metric.changes.entry((pods.control, pods.experiment));
                    between.or_default().extend(read.change);
                    metric.reads.push(read.clone());
                }
            }
        }
    }

    fn alarms(&mut self, judge: usize, name: &str, count: impl FnOnce(&mut Alarms)) {
        if let Some(metric) = self.metrics.get_mut(name) {
            count(&mut metric.alarms[judge]);
        }
    }

    pub fn report(&self, given: &Given<'_>) -> Report {
        let mut report = Report {
            windows: self.windows,
            without_data: self.without_data,
            window_mins: u32::try_from(given.plan.window / 60_000).unwrap_or(u32::MAX),
            looks: given.plan.looks(),
            judges: [1, 0].map(|judge| self.rates(judge)).into(),
            decides: named(given.config),
            metrics: self.of_metrics(given.config),
            ..Report::default()
        };
        time_of(given.plan, &mut report);
        report
    }

    fn rates(&self, judge: usize) -> JudgeRates {
        let of = &self.judges[judge];
        JudgeRates {
            judge: [FIRST_JUDGE, SECOND_JUDGE][judge].to_owned(),
            stopped: wilson(of.at_any_look, of.windows),
            at_one_look: wilson(of.at_one_look, of.windows),
            error: of.error.clone(),
        }
    }

    fn of_metrics(&self, config: &CanaryConfig) -> Vec<MetricRates> {
        let metrics = config.metrics.iter().flatten();
        let told = metrics.filter_map(|metric| {
            let of = self.metrics.get(metric.name.as_deref()?)?;
            Some(self.of_metric(config, metric, of))
        });
        told.collect()
    }

    fn of_metric(
        &self,
        config: &CanaryConfig,
        metric: &CanaryMetricConfig,
        of: &OfMetric,
    ) -> MetricRates {
        let is_critical = policy(metric).is_some_and(|policy| policy.critical);
        let level = self.settings.as_ref();
        let level = level.map_or(0.0, |settings| settings.level(self.heard, is_critical));
        let is_learned = self.judges[1].error.is_none() && of.unmeasured < of.trials;
        let margin = is_learned.then(|| of.margin(level)).flatten();
        let alarms = [1, 0].map(|judge| MetricAlarms {
            judge: [FIRST_JUDGE, SECOND_JUDGE][judge].to_owned(),
            at_any_look: wilson(of.alarms[judge].at_any_look, of.alarms[judge].trials),
            at_one_look: wilson(of.alarms[judge].at_one_look, of.alarms[judge].trials),
        });
        MetricRates {
            metric: metric.name.clone().unwrap_or_default(),
            level,
            alarms: alarms.into(),
            unmeasured: of.unmeasured,
            margin,
            unfit: is_learned && margin.is_none(),
            query: fingerprint(config, metric),
            typical: of.typical(),
            advice: Vec::new(),
        }
    }
}

impl OfMetric {
    /// The least that holds a level.
    fn margin(&self, level: f64) -> Option<f64> {
        let allowed = f64::from(self.trials) * level;
        let holds = |alarms: &u32| f64::from(*alarms) <= allowed;
        let place = self.at_margin.iter().position(holds)?;
        Some(MARGINS[place])
    }

    fn typical(&self) -> Option<Typical> {
        let of = |number: fn(&Read) -> Option<f64>| {
            self.reads.iter().filter_map(number).collect::<Vec<_>>()
        };
        let share = |is: fn(&Read) -> bool| {
            let count = self.reads.iter().filter(|read| is(read)).count();
            let (count, all) = (u32::try_from(count).unwrap_or(u32::MAX), self.reads.len());
            wilson(count, u32::try_from(all).unwrap_or(u32::MAX)).share
        };
        let changes = of(|read| read.change);
        (!self.reads.is_empty()).then(|| Typical {
            independent: median(&of(|read| read.independent)),
            autocorrelation: median(&of(|read| read.autocorrelation)),
            spacing: median(&of(|read| read.spacing)),
            minimum_detectable_percent: median(&of(|read| read.minimum_detectable)),
            lower_percent: quantile(&changes, 0.05),
            upper_percent: quantile(&changes, 0.95),
            equivalent: share(|read| read.is_equivalent),
            inconclusive: share(|read| read.is_inconclusive),
        })
    }
}

/// The judge of a config.
fn named(config: &CanaryConfig) -> String {
    let judge = config.judge.as_ref();
    let name = judge.and_then(|judge| judge.name.clone());
    let name = name.filter(|name| !name.is_empty());
    name.unwrap_or_else(|| FIRST_JUDGE.to_owned())
}

/// What the judges read of a metric; none where they cannot.
fn policy(metric: &CanaryMetricConfig) -> Option<MetricPolicy> {
    MetricPolicy::of(metric).ok()
}
