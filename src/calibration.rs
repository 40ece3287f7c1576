//! Calibration: how often a config would stop a release in which nothing changed, by windows of the past.
//! Pure: no clock, no I/O.

mod cut;
mod learned;
mod plan;
mod rates;
mod reading;
mod tally;
#[cfg(test)]
mod tests;
mod trial;
mod words;

pub use learned::{learned, moved};
pub use plan::{Bounds, Plan, Pod, Twin};
pub use rates::wilson;

use crate::canary::calibration::{JudgeRates, Report};
use crate::canary::{CanaryConfig, Learned, MetricSet, iso_from_millis};
use crate::error::{Error, Result};
use tally::Tally;
use trial::Trials;

/// The judge whose margins are learned.
pub const SECOND_JUDGE: &str = crate::judge::sequential::NAME;
/// The other one, which a calibration is told beside it.
pub const FIRST_JUDGE: &str = "NetflixACAJudge-v1.0";

/// The margins that are tried.
pub const MARGINS: [f64; 10] = [0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5];

/// What is calibrated, and on what.
pub struct Given<'a> {
    pub config: &'a CanaryConfig,
    /// The margins that the config names by now.
    pub learned: Option<&'a Learned>,
    pub plan: &'a Plan,
    /// The series of the whole time by pod, then by metric.
    pub series: &'a [Vec<Vec<MetricSet>>],
    /// What the pods are called.
    pub names: &'a [String],
}

/// Judges every window by both judges. `go_on` is told how many are done, and says whether anybody still waits.
///
/// # Errors
/// `Invalid` when there is nothing to judge, or series do not go together.
pub fn calibrate(given: &Given<'_>, go_on: &dyn Fn(u32) -> bool) -> Result<Report> {
    let trials = Trials::new(given);
    let mut tally = Tally::new(given);
    for at in 0..given.plan.windows {
        wanted(go_on, at)?;
        match trials.window(at)? {
            Some(looks) => {
                let seen = trials.judge(&looks);
                tally.add(given.plan.pair(at), &seen);
            }
            None => tally.without_data += 1,
        }
    }
    if tally.windows == 0 {
        return Err(Error::Invalid(format!(
            "none of the {} windows has data on both sides: the scopes, the queries, and how long the source keeps its \
             series are to be looked at",
            given.plan.windows
        )));
    }
    let mut report = tally.report(given);
    report.suggested = suggested(given, &trials, &report, go_on)?;
    words::tell(given, &tally, &mut report);
    Ok(report)
}

/// The same windows once more, with what they taught.
fn suggested(
    given: &Given<'_>,
    trials: &Trials<'_>,
    report: &Report,
    go_on: &dyn Fn(u32) -> bool,
) -> Result<Option<JudgeRates>> {
    if !report
        .judges
        .iter()
        .any(|rates| rates.judge == SECOND_JUDGE && rates.error.is_none())
    {
        return Ok(None);
    }
    let learned = learned(report, "", 0);
    let (mut any, mut one) = (0, 0);
    for at in 0..given.plan.windows {
        wanted(go_on, given.plan.windows)?;
        if let Some(looks) = trials.window(at)? {
            let stopped = trials.stopped_with(&looks, &learned)?;
            any += u32::from(stopped.at_any_look);
            one += u32::from(stopped.at_one_look);
        }
    }
    Ok(Some(JudgeRates {
        judge: SECOND_JUDGE.to_owned(),
        stopped: wilson(any, report.windows),
        at_one_look: wilson(one, report.windows),
        error: None,
    }))
}

/// # Errors
/// `Invalid` when nobody waits any more.
fn wanted(go_on: &dyn Fn(u32) -> bool, judged: u32) -> Result<()> {
    if go_on(judged) {
        return Ok(());
    }
    Err(Error::Invalid("it was canceled".to_owned()))
}

/// What a report covers.
fn time_of(plan: &Plan, report: &mut Report) {
    (report.from_millis, report.to_millis) = (plan.start, plan.end());
    report.from_iso = iso_from_millis(report.from_millis);
    report.to_iso = iso_from_millis(report.to_millis);
}
