//! Series as they came from a source, and the metric sets that are made of them.

use std::collections::BTreeMap;

use indexmap::IndexSet;
use jiff::Timestamp;

use crate::canary::{Attributes, CanaryScope, Instant, MetricSet};
use crate::config::Limits;

/// Sorted by label name.
pub type Labels = BTreeMap<String, String>;

/// One series as it came.
#[derive(Debug, PartialEq)]
pub struct Series {
    pub labels: Labels,
    pub samples: Vec<Sample>,
    /// Native histograms beside them, which are no numbers.
    pub histograms: usize,
    /// What the service says that its points are for; else it is read off them.
    pub window: Option<Window>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start: Instant,
    pub end: Instant,
    /// Milliseconds between two points.
    pub step: i64,
}

impl Window {
    /// Of times in milliseconds since the epoch.
    pub fn of(start: i64, end: i64, step: i64) -> Self {
        let instant = |millis| Instant(Timestamp::from_millisecond(millis).unwrap_or_default());
        Self {
            start: instant(start),
            end: instant(end),
            step,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Since the epoch.
    pub seconds: f64,
    /// `null` in the answer is none.
    pub value: Option<f64>,
}

/// What an answer holds.
#[derive(Debug, Default, PartialEq)]
pub struct Answered {
    pub series: Vec<Series>,
    /// What says that there is more than was answered.
    pub partial: Vec<String>,
    /// What else the service says.
    pub remarks: Vec<String>,
    /// It may be answered differently for the same time.
    pub is_unsettled: bool,
    /// What else is told of all series.
    pub attributes: Vec<(&'static str, String)>,
}

impl Answered {
    /// Whether the same will be answered for the same time.
    pub fn is_settled(&self) -> bool {
        let is_whole = |series: &Series| series.histograms == 0;
        !self.is_unsettled && self.series.iter().all(is_whole)
    }

    /// What is told of it beside its series. The answers to pieces of a range say the same.
    pub fn told(&self) -> impl Iterator<Item = (&'static str, String)> {
        let told = [("partial", &self.partial), ("warnings", &self.remarks)];
        let told = told.into_iter().filter(|(_, texts)| !texts.is_empty());
        let told = told.map(|(name, texts)| {
            let once: IndexSet<&str> = texts.iter().map(String::as_str).collect();
            (name, once.into_iter().collect::<Vec<_>>().join("; "))
        });
        told.chain(self.attributes.iter().cloned())
    }
}

/// Answers to consecutive ranges as one answer to all of them would give them.
pub fn join(mut answers: Vec<Answered>) -> Answered {
    if answers.len() == 1 {
        return answers.remove(0);
    }
    let mut joined = Answered::default();
    let mut series = Vec::new();
    for answer in answers {
        series.push(answer.series);
        joined.partial.extend(answer.partial);
        joined.remarks.extend(answer.remarks);
        joined.is_unsettled |= answer.is_unsettled;
    }
    joined.series = join_series(series);
    joined
}

fn join_series(answers: Vec<Vec<Series>>) -> Vec<Series> {
    let mut joined = BTreeMap::<Labels, (Vec<Sample>, usize)>::new();
    for series in answers.into_iter().flatten() {
        let (samples, histograms) = joined.entry(series.labels).or_default();
        // Who moves a range to multiples of the step tells the point between two pieces twice.
        let last = samples.last().map(|sample| sample.seconds);
        let is_told = |sample: &Sample| last.is_some_and(|last| sample.seconds <= last);
        samples.extend(series.samples.into_iter().skip_while(is_told));
        *histograms += series.histograms;
    }
    joined
        .into_iter()
        .map(|(labels, (samples, histograms))| Series {
            labels,
            samples,
            histograms,
            window: None,
        })
        .collect()
}

/// One metric set a series; one without values when there is no series.
pub fn metric_sets(
    name: &str,
    attributes: &Attributes,
    scope: &CanaryScope,
    series: &[Series],
) -> Vec<MetricSet> {
    if series.is_empty() {
        return vec![placeholder(name, attributes, scope)];
    }
    series
        .iter()
        .map(|series| metric_set(name, attributes, series))
        .collect()
}

fn placeholder(name: &str, attributes: &Attributes, scope: &CanaryScope) -> MetricSet {
    let millis = |instant: Option<Instant>| instant.map_or(0, Instant::as_millis);
    MetricSet {
        name: name.to_owned(),
        start_time_millis: millis(scope.start),
        start_time_iso: scope.start.map(|start| start.to_string()),
        end_time_millis: millis(scope.end),
        end_time_iso: scope.end.map(|end| end.to_string()),
        step_millis: scope.step.unwrap_or_default().saturating_mul(1000),
        attributes: Some(attributes.clone()),
        ..MetricSet::default()
    }
}

/// Start, step and end as they are read off the samples, whatever was asked for, as Kayenta does.
fn window_of(samples: &[Sample]) -> Window {
    let start = samples.first().map_or(0, |sample| sample.millis());
    let step = samples.get(1).map_or(0, |second| {
        second.millis().saturating_sub(start) / 1000 * 1000
    });
    let count = i64::try_from(samples.len()).unwrap_or(i64::MAX);
    let end = start.saturating_add(count.saturating_mul(step));
    Window::of(start, end, step)
}

fn metric_set(name: &str, attributes: &Attributes, series: &Series) -> MetricSet {
    let samples = &series.samples;
    let Window { start, end, step } = series.window.unwrap_or_else(|| window_of(samples));
    let kept = || samples.iter().filter(|sample| sample.value.is_some());
    let mut attributes = attributes.clone();
    if let Some(dropped) = dropped(series) {
        attributes.insert("dropped", dropped);
    }
    MetricSet {
        name: name.to_owned(),
        start_time_millis: start.as_millis(),
        start_time_iso: Some(start.to_string()),
        end_time_millis: end.as_millis(),
        end_time_iso: Some(end.to_string()),
        step_millis: step,
        values: kept().filter_map(|sample| sample.value).collect(),
        timestamps: kept().map(|sample| sample.millis()).collect(),
        attributes: Some(attributes),
        tags: series
            .labels
            .iter()
            .filter(|(label, _)| *label != "__name__")
            .map(|(label, value)| (label.clone(), value.clone()))
            .collect(),
    }
}

/// `41 of 61 are native histograms`
fn dropped(series: &Series) -> Option<String> {
    let unreadable = series.samples.iter().filter(|s| s.value.is_none()).count();
    let all = series.samples.len() + series.histograms;
    let told = [
        (series.histograms, "native histograms"),
        (unreadable, "no numbers"),
    ];
    let told = told.into_iter().filter(|(count, _)| 0 < *count);
    let told: Vec<String> = told
        .map(|(count, what)| format!("{count} of {all} are {what}"))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

pub fn too_many_series(limits: &Limits) -> String {
    format!(
        "the answer holds more than {} series (limits.series): an aggregation is wanted, as sum or avg",
        limits.series
    )
}

pub fn too_many_tags(limits: &Limits) -> String {
    format!(
        "the answer holds a series with more than {} tags (limits.labels)",
        limits.labels
    )
}

pub fn too_many_samples(limits: &Limits) -> String {
    format!(
        "the answers to the query hold more than {} samples (limits.samples): a larger step, a shorter \
         range or fewer series are wanted",
        limits.samples
    )
}

impl Sample {
    /// At a time in milliseconds, without a value.
    pub fn missing(millis: i64) -> Self {
        Self {
            value: None,
            ..Self::at(millis, 0.0)
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "milliseconds since the epoch have 13 digits"
    )]
    pub fn at(millis: i64, value: f64) -> Self {
        let nearest = millis as f64 / 1000.0;
        let mut sample = Self {
            seconds: nearest,
            value: Some(value),
        };
        // The nearest number may lie just before.
        if sample.millis() < millis {
            sample.seconds = nearest.next_up();
        }
        sample
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "sources have milliseconds; finer digits are cut, as Kayenta does"
    )]
    pub fn millis(self) -> i64 {
        (self.seconds * 1000.0) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_answers_have_the_order_of_one() {
        let series = |labels: &[(&str, &str)], seconds: &[f64]| Series {
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            samples: seconds
                .iter()
                .map(|&seconds| Sample {
                    seconds,
                    value: Some(1.0),
                })
                .collect(),
            histograms: seconds.len(),
            window: None,
        };
        let (a, b, c) = (
            &[("x", "a")][..],
            &[("x", "b")][..],
            &[("x", "b"), ("y", "c")][..],
        );
        let joined = join_series(vec![
            vec![series(b, &[1.0])],
            vec![series(a, &[2.0]), series(b, &[2.0]), series(c, &[2.0])],
            vec![series(a, &[3.0])],
        ]);
        let expected = [
            series(a, &[2.0, 3.0]),
            series(b, &[1.0, 2.0]),
            series(c, &[2.0]),
        ];
        assert_eq!(joined, expected);
    }
}
