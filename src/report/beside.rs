//! A run beside another one, metric by metric: what is judged otherwise, and how far each side moved.

use std::collections::{HashMap, VecDeque};

use super::series::{self, Series};
use super::sparkline;
use super::view::{self, Fact, MetricView, plain};
use crate::canary::{
    CanaryAnalysisResult, CanaryExecutionStatusResponse, CanaryJudgeStats, Execution,
    MetricSetPair, Pair,
};

/// What is told of both runs, named so that they cannot be swapped by position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Both<T> {
    pub this: T,
    pub other: T,
}

impl<T> Both<T> {
    pub fn map<U>(self, mut step: impl FnMut(T) -> U) -> Both<U> {
        Both {
            this: step(self.this),
            other: step(self.other),
        }
    }

    pub const fn as_ref(&self) -> Both<&T> {
        Both {
            this: &self.this,
            other: &self.other,
        }
    }
}

/// The experiment's series of each metric that was judged, in the order of the results.
pub type Sketches = Vec<Option<Series>>;

#[derive(Clone, Debug)]
pub struct Beside {
    /// What is judged otherwise, what is in one of the runs only, and what did not pass.
    pub rows: Vec<Row>,
    /// What passes in both.
    pub passes: Vec<Row>,
    /// How many are judged otherwise, in words.
    pub counts: String,
}

/// One metric in both runs.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: String,
    pub tags: Vec<Fact>,
    pub standing: Standing,
    pub judged: Both<Option<Judged>>,
    /// From the other run to this one.
    pub moved: Pair<Option<String>>,
    pub drawing: Option<Drawing>,
    /// They cannot lie over each other.
    pub units: Option<Both<String>>,
}

/// How both labels stand to each other; what is to be read first comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    Otherwise,
    /// Judged in one of the runs only.
    Alone,
    Alike,
    Passes,
}

/// One metric in one of the runs.
#[derive(Clone, Debug)]
pub struct Judged {
    pub label: &'static str,
    pub class: &'static str,
    /// What stands beside the label.
    pub marks: &'static str,
    pub control: String,
    pub experiment: String,
    pub change: Option<String>,
}

/// Both experiments over each other, each from its own start, on one scale.
#[derive(Clone, Debug)]
pub struct Drawing {
    pub this: String,
    pub other: String,
    pub low: String,
    pub high: String,
    pub long: Option<String>,
}

/// What is drawn of a run; nothing else of its pairs has to stay.
pub fn sketches(canary: &CanaryExecutionStatusResponse, pairs: &[MetricSetPair]) -> Sketches {
    let results = results(canary).iter().enumerate();
    results
        .map(|(index, result)| {
            let pair = view::pair_of(index, result, Some(pairs))?;
            Some(series::of(pair).experiment.sketched())
        })
        .collect()
}

/// `metrics` are those of both runs, what is worst first.
pub fn draw(
    runs: Both<&CanaryExecutionStatusResponse>,
    metrics: Both<Vec<MetricView>>,
    sketches: &Both<Sketches>,
) -> Beside {
    let results = runs.map(results);
    let partners = partners(results);
    let count = results.other.len();
    let mut others: Vec<Option<MetricView>> = (0..count).map(|_| None).collect();
    for metric in metrics.other {
        let at = metric.index;
        others[at] = Some(metric);
    }
    let mut both: Vec<Both<Option<MetricView>>> = Vec::new();
    for metric in metrics.this {
        let other = partners[metric.index].and_then(|at| others[at].take());
        let this = Some(metric);
        both.push(Both { this, other });
    }
    let alone = others.into_iter().flatten().map(Some);
    both.extend(alone.map(|other| Both { this: None, other }));
    let rows = both.iter().filter_map(|both| row(both, results, sketches));
    let mut rows: Vec<Row> = rows.collect();
    rows.sort_by_key(|row| row.standing);
    let counts = counts(&rows);
    let passes = rows.partition_point(|row| row.standing != Standing::Passes);
    Beside {
        passes: rows.split_off(passes),
        rows,
        counts,
    }
}

/// What the runs were judged by that is not the same: their labels may differ by that alone.
pub fn cautions(runs: Both<&CanaryExecutionStatusResponse>) -> Vec<&'static str> {
    let told = runs.map(Execution::told);
    let rules = runs.map(|canary| {
        let config = canary.config.as_ref();
        config.map(|it| (&it.metrics, &it.classifier, &it.judge, &it.templates))
    });
    let all = [
        (
            told.this.application == told.other.application,
            "They are of different applications.",
        ),
        (
            rules.this == rules.other,
            "They were judged by different configs, or by one that was changed in between.",
        ),
        (
            told.this.thresholds == told.other.thresholds,
            "Their thresholds are not the same.",
        ),
    ];
    let all = all.into_iter().filter(|(is_same, _)| !is_same);
    all.map(|(_, caution)| caution).collect()
}

fn results(canary: &CanaryExecutionStatusResponse) -> &[CanaryAnalysisResult] {
    canary
        .told()
        .judged
        .map_or(&[][..], |judged| &judged.results[..])
}

/// Which metric of the other run each one of this run is.
fn partners(results: Both<&[CanaryAnalysisResult]>) -> Vec<Option<usize>> {
    let mut free: HashMap<_, VecDeque<usize>> = HashMap::new();
    for (at, result) in results.other.iter().enumerate() {
        free.entry(key(result)).or_default().push_back(at);
    }
    let same = results.this.iter();
    let same = same.map(|result| free.get_mut(&key(result))?.pop_front());
    let mut partners: Vec<Option<usize>> = same.collect();
    // Labels may tell the version, which is another one in each run: what is left once on both sides under
    // one name is one metric.
    let left = results.this.iter().zip(&partners).enumerate();
    let left = left.filter(|(_, (_, partner))| partner.is_none());
    let left = only_ones(left.map(|(at, (result, _))| (result.name.as_str(), at)));
    let others = free.into_values().flatten();
    let others = only_ones(others.map(|at| (results.other[at].name.as_str(), at)));
    for (name, at) in left {
        partners[at] = others.get(name).copied();
    }
    partners
}

/// Its name and its labels, in any order.
fn key(result: &CanaryAnalysisResult) -> (&str, Vec<(&str, &str)>) {
    let tags = result.tags.iter();
    let mut tags: Vec<_> = tags.map(|(k, v)| (k.as_str(), v.as_str())).collect();
    tags.sort_unstable();
    (&result.name, tags)
}

/// The places of names that stand there once.
fn only_ones<'a>(named: impl Iterator<Item = (&'a str, usize)>) -> HashMap<&'a str, usize> {
    let mut all: HashMap<&str, Vec<usize>> = HashMap::new();
    for (name, at) in named {
        all.entry(name).or_default().push(at);
    }
    let all = all.into_iter();
    all.filter_map(|(name, places)| match places[..] {
        [only] => Some((name, only)),
        _ => None,
    })
    .collect()
}

fn row(
    both: &Both<Option<MetricView>>,
    results: Both<&[CanaryAnalysisResult]>,
    sketches: &Both<Sketches>,
) -> Option<Row> {
    let metric = both.this.as_ref().or(both.other.as_ref())?;
    let judged = both.as_ref().map(|metric| metric.as_ref().map(judged));
    let units = match (&both.this, &both.other) {
        (Some(this), Some(other)) if this.unit != other.unit => {
            let units = [this, other].map(|it| it.unit.clone().unwrap_or_default());
            let [this, other] = units;
            Some(Both { this, other })
        }
        _ => None,
    };
    let unit = metric.unit.as_deref();
    let is_comparable = units.is_none();
    Some(Row {
        name: metric.name.clone(),
        tags: metric.tags.clone(),
        standing: standing(&judged),
        judged,
        moved: match (&both.this, &both.other) {
            (Some(this), Some(other)) if is_comparable => {
                let (after, before) = (&results.this[this.index], &results.other[other.index]);
                let side = |of: fn(&CanaryAnalysisResult) -> CanaryJudgeStats| {
                    moved(of(before), of(after), unit)
                };
                Pair {
                    control: side(|result| result.control_metadata.stats),
                    experiment: side(|result| result.experiment_metadata.stats),
                }
            }
            _ => Pair::default(),
        },
        drawing: if is_comparable {
            drawing(both, sketches, unit)
        } else {
            None
        },
        units,
    })
}

fn judged(metric: &MetricView) -> Judged {
    let means = metric.means();
    let mean = |of: fn(&view::Row) -> &String| means.map(of).cloned().unwrap_or_default();
    Judged {
        label: metric.label,
        class: metric.class,
        marks: metric.marks(),
        control: mean(|row| &row.control),
        experiment: mean(|row| &row.experiment),
        change: metric.change.clone(),
    }
}

fn standing(judged: &Both<Option<Judged>>) -> Standing {
    match (&judged.this, &judged.other) {
        (Some(this), Some(other)) if this.label != other.label => Standing::Otherwise,
        (Some(this), Some(_)) if this.class == "pass" => Standing::Passes,
        (Some(_), Some(_)) => Standing::Alike,
        _ => Standing::Alone,
    }
}

/// From one mean to another; none where one of them was not measured.
fn moved(before: CanaryJudgeStats, after: CanaryJudgeStats, unit: Option<&str>) -> Option<String> {
    let means = [before, after].map(|side| Some(side.mean).filter(|_| 0 < side.count));
    let [Some(before), Some(after)] = means else {
        return None;
    };
    let (ratio, difference) = (after / before, after - before);
    if 0.0 < before && 0.0 < after && ratio.is_finite() {
        return Some(plain::percent(ratio));
    }
    Some(plain::signed(difference, unit)).filter(|_| difference.is_finite())
}

fn drawing(
    both: &Both<Option<MetricView>>,
    sketches: &Both<Sketches>,
    unit: Option<&str>,
) -> Option<Drawing> {
    let line = |metric: Option<&MetricView>, sketches: &Sketches| {
        let found = metric.and_then(|it| sketches.get(it.index)?.clone());
        found.unwrap_or_default()
    };
    let lines = Pair {
        control: line(both.other.as_ref(), &sketches.other),
        experiment: line(both.this.as_ref(), &sketches.this),
    };
    let drawn = sparkline::draw(&lines)?;
    let values = || lines.control.finite().chain(lines.experiment.finite());
    let longest = [&lines.control, &lines.experiment]
        .into_iter()
        .filter_map(|line| line.times.last()?.checked_sub(line.start()?))
        .max();
    Some(Drawing {
        this: drawn.experiment,
        other: drawn.control,
        low: plain::quantity(values().fold(f64::INFINITY, f64::min), unit),
        high: plain::quantity(values().fold(f64::NEG_INFINITY, f64::max), unit),
        long: view::duration(Some(0), longest),
    })
}

fn counts(rows: &[Row]) -> String {
    let of = |standing| rows.iter().filter(|row| row.standing == standing).count();
    let (otherwise, alone) = (of(Standing::Otherwise), of(Standing::Alone));
    let both = rows.len() - alone;
    let told = match (otherwise, both) {
        (_, 0) => "No metric was judged in both".to_owned(),
        (0, 1) => "The metric is judged alike in both".to_owned(),
        (0, both) => format!("All {both} metrics are judged alike in both"),
        (1, both) => format!("1 of {both} metrics is judged otherwise"),
        (some, both) => format!("{some} of {both} metrics are judged otherwise"),
    };
    match alone {
        0 => told,
        1 => format!("{told}; 1 is in one of the runs only"),
        some => format!("{told}; {some} are in one of the runs only"),
    }
}

#[cfg(test)]
mod tests;
