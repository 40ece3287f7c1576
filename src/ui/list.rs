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
}

pub struct List {
    pub subject: Subject,
    pub form: Form,
    pub lines: Vec<Line>,
    /// Something of it may change.
    pub is_live: bool,
    /// Where the list goes on.
    pub older: Option<String>,
    /// Not the newest ones.
    pub is_later: bool,
}

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
        let search = filter.search(app.stores(), LINES + 1, now);
        let seen = app.seen_by(caller);
        let mut found = seen.search::<R>(&search).await?;
        let applications = seen.applications::<R>(&search.accounts).await?;
        let has_more = LINES < found.len();
        found.truncate(LINES);
        let last = found.last().filter(|_| has_more);
        Ok(Self {
            older: last.map(|last| filter.address_after(subject.newest, last)),
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
        started: Moment::of_millis(brief.start_time.unwrap_or(found.build_time)),
        duration: view::duration(brief.start_time, brief.end_time),
    }
}
