//! A replay as a table and as sentences, for a terminal and a log.

use std::fmt::Write;

use crate::canary::number::score;
use crate::canary::{Replay, ReplayedRun, ReplayedVerdict};
use crate::command::paint;
use crate::command::table::table;
use crate::escape::line;

/// All runs with both verdicts; then why of those that are others, and what to mind.
pub fn text(replay: &Replay) -> String {
    let mut table = table(["run", "application", "config", "before", "after", ""]);
    for run in &replay.runs {
        table.add_row(row(run));
    }
    let mut text = if replay.runs.is_empty() {
        "no run is like that".to_owned()
    } else {
        table.to_string()
    };
    for run in &replay.runs {
        for told in sentences(run) {
            let _ = write!(text, "\n  {}", line(&format!("{}: {told}", run.id)));
        }
    }
    for sentence in replay.tally.sentences() {
        let _ = write!(text, "\n{}", line(&sentence));
    }
    text
}

fn row(run: &ReplayedRun) -> [String; 6] {
    let verdict = |verdict: Option<&ReplayedVerdict>| match verdict {
        Some(ReplayedVerdict {
            outcome,
            score: Some(points),
            ..
        }) => format!("{} {}", paint::outcome(*outcome), score(*points)),
        Some(verdict) => paint::outcome(verdict.outcome),
        None => "–".to_owned(),
    };
    let mark = match (&run.not_judged, run.changed, run.identical) {
        (Some(_), ..) => "not judged",
        (None, true, _) => "another verdict",
        (None, false, true) => "the same, to the last byte",
        (None, false, false) => "the same verdict",
    };
    [
        line(&run.id).into_owned(),
        line(&run.application).into_owned(),
        line(&run.config_name).into_owned(),
        verdict(run.before.as_ref()),
        verdict(run.after.as_ref()),
        mark.to_owned(),
    ]
}

fn sentences(run: &ReplayedRun) -> impl Iterator<Item = String> {
    let lacks = run.not_judged.iter();
    let lacks = lacks.map(|why| format!("not judged: {}", why.sentence));
    let notes = run.notes.iter().map(|note| format!("mind: {note}"));
    lacks.chain(run.why.clone()).chain(notes)
}
