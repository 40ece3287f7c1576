//! Which score counts at which time: that of the newest canary that had ended by then.

use std::time::Duration;

use indexmap::IndexMap;

use super::answer::{Sample, Series, value};
use super::times::Times;
use crate::canary::CanaryExecutionStatusResponse;
use crate::error::{Error, Result};
use crate::metrics::selection::{NAME, SCORE, Selection};
use crate::storage::Line;

/// More are no picture any more, and a lot of memory.
const MOST_POINTS: usize = 500_000;

type Canary = Line<CanaryExecutionStatusResponse>;

/// A score that counts.
pub struct Found<'a> {
    line: &'a Canary,
    score: f64,
}

/// Of every application and config.
pub fn at<'a>(
    lines: &'a [Canary],
    selection: &Selection,
    time: i64,
) -> impl Iterator<Item = Found<'a>> {
    let courses = courses(lines).into_values();
    courses.filter_map(move |canaries| {
        let ended = canaries.into_iter().filter(|line| ended(line) <= time);
        let newest = ended.max_by_key(|line| began(line))?;
        counts(newest, selection, time)
    })
}

/// # Errors
/// `Invalid` when there would be too many points.
pub fn over(lines: &[Canary], selection: &Selection, times: &Times) -> Result<Vec<Series>> {
    let mut all = Vec::new();
    let mut room = MOST_POINTS;
    for mut canaries in courses(lines).into_values() {
        canaries.sort_by_key(|line| ended(line));
        let mut to_come = canaries.into_iter().peekable();
        let mut newest: Option<&Canary> = None;
        let mut values = Vec::new();
        let mut metric = IndexMap::new();
        for time in times.iter() {
            while let Some(line) = to_come.next_if(|line| ended(line) <= time) {
                if newest.is_none_or(|newest| began(newest) <= began(line)) {
                    newest = Some(line);
                }
            }
            let found = newest.and_then(|newest| counts(newest, selection, time));
            if let Some(found) = found {
                values.push(value(time, found.score));
                metric = found.of_course();
            }
        }
        room = room.checked_sub(values.len()).ok_or_else(|| {
            Error::Invalid(format!(
                "more than {MOST_POINTS} points would be answered: name an application or a config, \
                 or let the step be longer"
            ))
        })?;
        if !values.is_empty() {
            all.push(Series { metric, values });
        }
    }
    Ok(all)
}

/// What counts at some time from `start` on.
pub fn since<'a>(
    lines: &'a [Canary],
    selection: &Selection,
    start: i64,
) -> impl Iterator<Item = Found<'a>> {
    let then = at(lines, selection, start);
    let later = lines
        .iter()
        .filter(move |line| line.brief.outcome.is_final() && start < ended(line));
    then.chain(later.filter_map(|line| counts(line, selection, ended(line))))
}

/// What has ended, by application and config.
fn courses(lines: &[Canary]) -> IndexMap<[&str; 3], Vec<&Canary>> {
    let mut courses: IndexMap<_, Vec<_>> = IndexMap::new();
    for line in lines.iter().filter(|line| line.brief.outcome.is_final()) {
        let brief = &line.brief;
        let of = [
            line.application.as_str(),
            brief.config_id.as_str(),
            brief.config_name.as_str(),
        ];
        courses.entry(of).or_default().push(line);
    }
    courses
}

fn ended(line: &Canary) -> i64 {
    line.brief.end_time.unwrap_or(line.build_time)
}

fn began(line: &Canary) -> (i64, &str) {
    (line.build_time, line.id.as_str())
}

/// An older score would tell of a release that is not the one that ended last.
fn counts<'a>(line: &'a Canary, selection: &Selection, time: i64) -> Option<Found<'a>> {
    let since = u128::try_from(time.saturating_sub(ended(line))).unwrap_or(0);
    let is_old = |within: Duration| within.as_millis() < since;
    let score = line.brief.score;
    let score = score.filter(|_| !selection.within.is_some_and(is_old))?;
    let found = Found { line, score };
    selection.fits(&found.labels()).then_some(found)
}

impl<'a> Found<'a> {
    pub fn labels(&self) -> [(&'static str, &'a str); 7] {
        let brief = &self.line.brief;
        [
            ("application", self.line.application.as_str()),
            ("config", brief.config_name.as_str()),
            ("config_id", brief.config_id.as_str()),
            ("classification", brief.outcome.word()),
            ("control", brief.control.as_str()),
            ("experiment", brief.experiment.as_str()),
            ("execution_id", self.line.id.as_str()),
        ]
    }

    pub fn sample(&self, time: i64) -> Sample {
        Sample {
            metric: metric(&self.labels()),
            value: value(time, self.score),
        }
    }

    /// What all canaries of a course have: with their own labels, each would be a series of its own.
    fn of_course(&self) -> IndexMap<&'static str, String> {
        metric(&self.labels()[..3])
    }
}

fn metric(labels: &[(&'static str, &str)]) -> IndexMap<&'static str, String> {
    let labels = labels.iter();
    let labels = labels.map(|(label, value)| (*label, (*value).to_owned()));
    let name = (NAME, SCORE.to_owned());
    std::iter::once(name).chain(labels).collect()
}
