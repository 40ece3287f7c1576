//! A list of executions, newest first: the same for runs and for analyses.

use super::filter::{Filter, Form};
use crate::access::Caller;
use crate::app::App;
use crate::canary::number::score;
use crate::canary::{Execution, Outcome};
use crate::error::Result;
use crate::report::view::{self, Moment};
use crate::storage::{self, Brief};

/// Lines of a page.
const LINES: usize = 50;

/// What a list is of, and where.
pub struct Subject {
    /// One of them.
    pub noun: &'static str,
    /// The address of the list, and below which each of them has its page.
    pub newest: &'static str,
    pub pages: &'static str,
    /// The head of the column of notes.
    pub notes: &'static str,
    /// What its last column tells.
    pub last: Last,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// The window that was judged.
    Judged,
    /// How long it took.
    Took,
}

pub struct List {
    pub subject: Subject,
    pub form: Form,
    pub lines: Vec<Line>,
    /// Something of it may change.
    pub is_live: bool,
    /// Where the list goes on.
    pub older: Option<String>,
    /// No further back was looked for what is to be found.
    pub reach: Option<Moment>,
    /// Not the newest ones.
    pub is_later: bool,
}

/// A window of time, to the minute; its end without its day where that is the day of its start.
pub struct Window {
    pub start: Moment,
    pub end: Moment,
}

impl Window {
    fn of(start: Option<i64>, end: Option<i64>) -> Option<Self> {
        let (mut start, mut end) = (Moment::of_millis(start?)?, Moment::of_millis(end?)?);
        let day = 0..TO_THE_DAY;
        let is_one_day = start.text.get(day.clone()) == end.text.get(day);
        for moment in [&mut start, &mut end] {
            moment.text.truncate(TO_THE_MINUTE);
        }
        if is_one_day {
            end.text = end.text.split_off(TO_THE_DAY + 1);
        }
        Some(Self { start, end })
    }
}

/// Of `2026-11-21 16:00:00`.
const TO_THE_DAY: usize = 10;
const TO_THE_MINUTE: usize = 16;

pub struct Line {
    pub id: String,
    pub application: String,
    pub config_id: String,
    pub config_name: String,
    pub outcome: Outcome,
    /// What people did about it.
    pub marks: Vec<&'static str>,
    pub score: Option<String>,
    /// How it went, or what is under way.
    pub note: String,
    pub sides: String,
    pub started: Option<Moment>,
    /// Begin and end of what was judged.
    pub judged: Option<Window>,
    /// The analysis whose judgement it is.
    pub analysis: Option<String>,
    pub duration: Option<String>,
}

impl List {
    /// A page of it; `note` says of each how it went.
    pub async fn of<R: Execution>(
        app: &App,
        caller: &Caller,
        filter: Filter,
        subject: Subject,
        note: impl Fn(&storage::Line<R>) -> String,
    ) -> Result<Self> {
        let now = app.clock.now_millis();
        let mut search = filter.search(app.stores(), LINES + 1, now);
        let seen = app.seen_by(caller);
        let reach = seen.reach::<R>(&search).await?;
        // Beyond what is asked for anyway, there is nothing to look further back for.
        let reach = reach.filter(|reach| search.since < Some(*reach));
        search.since = search.since.max(reach);
        let mut found = seen.search::<R>(&search).await?;
        let applications = seen.applications::<R>(&search.accounts).await?;
        let has_more = LINES < found.len();
        found.truncate(LINES);
        let last = found.last().filter(|_| has_more);
        let reach = reach.filter(|_| !has_more);
        let on = last.map(|last| filter.address_after(subject.newest, last));
        Ok(Self {
            older: on.or_else(|| Some(filter.address_before(subject.newest, reach?))),
            reach: reach.and_then(Moment::of_millis),
            is_live: found.iter().any(|line| !line.brief.outcome.is_final()),
            is_later: filter.is_later(),
            form: filter.form(applications, now),
            lines: found
                .into_iter()
                .map(|found| line(note(&found), found))
                .collect(),
            subject,
        })
    }
}

fn marks(brief: &Brief) -> Vec<&'static str> {
    let all = [
        (brief.accepted_by_hand, "accepted by hand"),
        (brief.is_repeated, "judged again"),
        (brief.repeats, "again"),
    ];
    let told = all.into_iter().filter(|(is_so, _)| *is_so);
    told.map(|(_, mark)| mark).collect()
}

fn line<R>(note: String, found: storage::Line<R>) -> Line {
    let brief = found.brief;
    Line {
        id: found.id,
        application: found.application,
        config_id: view::stored_config(Some(&brief.config_id)).unwrap_or_default(),
        marks: marks(&brief),
        config_name: brief.config_name,
        outcome: brief.outcome,
        score: brief.score.map(score),
        note,
        sides: match (brief.control.as_str(), brief.experiment.as_str()) {
            ("", "") => String::new(),
            (control, experiment) => format!("{control} → {experiment}"),
        },
        judged: Window::of(brief.judged_from, brief.judged_until),
        analysis: Some(brief.analysis).filter(|id| !id.is_empty()),
        started: Moment::of_millis(brief.start_time.unwrap_or(found.build_time)),
        duration: view::duration(brief.start_time, brief.end_time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_says_its_day_once() {
        let hour = 3_600_000;
        let cases = [
            (Some(0), Some(hour), Some(("1970-01-01 00:00", "01:00"))),
            (
                Some(23 * hour),
                Some(24 * hour),
                Some(("1970-01-01 23:00", "1970-01-02 00:00")),
            ),
            (None, Some(hour), None),
            (Some(0), Some(i64::MAX), None),
        ];
        for (start, end, expected) in cases {
            let window = Window::of(start, end);
            let told = window
                .as_ref()
                .map(|it| (it.start.text.as_str(), it.end.text.as_str()));
            assert_eq!(told, expected, "{start:?} {end:?}");
        }
    }
}
