//! What should make a reader of this judge's verdicts careful.

use super::margins::{DEFAULT_MARGIN, Origin};
use super::{Case, Judged};
use crate::canary::explanation::{Warning, WarningCode};
use crate::canary::number::{duration, percent};
use crate::canary::{Doubt, Learned, Pair, fingerprint};
use crate::judge::explain::warnings;
use crate::judge::policy::Direction;
use crate::judge::side::Side;

const DAY: i64 = 86_400_000;

/// A calibration older than this is old.
const OLD: i64 = 90 * DAY;

/// Sides that begin so many steps apart are of different times.
const SHIFTED_STEPS: i64 = 10;

/// Where the successes of a service lie, as a share or in percent.
const CEILINGS: [(f64, f64); 2] = [(0.9, 1.0), (90.0, 100.0)];

/// The doubts first.
pub fn of(
    case: &Case<'_>,
    sides: &Pair<Side<'_>>,
    judged: &Judged<'_>,
    doubts: &[Doubt],
) -> Vec<Warning> {
    let mut found = warnings::of_series(case.pair, sides, doubts);
    // Here, neighbours that share data count as fewer samples.
    found.retain(|warning| warning.code != WarningCode::SharedData);
    found.extend(ceiling(case, judged));
    found.extend(time_shift(sides, judged));
    found.extend(calibration(case, sides, judged));
    found
}

fn warning(code: WarningCode, sentence: String) -> Warning {
    Warning { code, sentence }
}

/// 5 % of 99.9 % are fifty times its errors.
fn ceiling(case: &Case<'_>, judged: &Judged<'_>) -> Option<Warning> {
    if case.metric.policy.direction != Direction::Decrease || judged.origin != Origin::Default {
        return None;
    }
    let controls = || judged.aligned.both.iter().map(|both| both.control);
    controls().next()?;
    let (low, high) = CEILINGS
        .into_iter()
        .find(|(low, high)| controls().all(|x| (*low..=*high).contains(&x)))?;
    Some(warning(
        WarningCode::Ceiling,
        format!(
            "all values of the control lie between {low} and {high}, as a share of successes does: the \
             margin of 5 % is many times its errors; give allowedDecrease, such as 0.999, or judge the \
             errors"
        ),
    ))
}

fn time_shift(sides: &Pair<Side<'_>>, judged: &Judged<'_>) -> Option<Warning> {
    let start = |side: &Side<'_>| side.told.window.map(|window| window.start).or(side.start());
    let control = start(&sides.control)?;
    let experiment = start(&sides.experiment)?;
    let apart = experiment.abs_diff(control);
    let is_shifted = judged
        .aligned
        .step
        .saturating_mul(SHIFTED_STEPS)
        .unsigned_abs()
        <= apart;
    is_shifted.then(|| {
        warning(
            WarningCode::TimeShift,
            format!(
                "the sides are {} apart in time: the time of day may cancel, the level of the day does \
                 not, so the error rates do not hold; a calibration with the same shift tells the real ones",
                duration(i64::try_from(apart).unwrap_or(i64::MAX))
            ),
        )
    })
}

/// What makes a learned margin doubtful, or why there is none.
fn calibration(case: &Case<'_>, sides: &Pair<Side<'_>>, judged: &Judged<'_>) -> Vec<Warning> {
    let instead = || percent(1.0 + DEFAULT_MARGIN);
    let (learned, of) = match (judged.origin, case.judgement.learned) {
        (Origin::Given, _) | (Origin::Learned(_) | Origin::Unfit(_), None) => return Vec::new(),
        (Origin::Default, learned) => {
            let Some(id) = &case.settings.calibration else {
                return Vec::new();
            };
            let told = match learned {
                None => format!("the calibration '{id}' is not there"),
                Some(_) => format!("the calibration '{id}' does not know {}", case.pair.name),
            };
            let margin = instead();
            let margin = margin.trim_start_matches('+');
            return vec![warning(
                WarningCode::NotCalibrated,
                format!("{told}, so its margin is {margin}: calibrate again"),
            )];
        }
        (Origin::Learned(of) | Origin::Unfit(of), Some(learned)) => (learned, of),
    };
    let metric = case.judgement.metric_of(case.pair).ok();
    let config = case.judgement.config;
    let is_other = metric.is_some_and(|metric| fingerprint(config, metric) != of.query);
    let other = is_other.then(|| {
        warning(
            WarningCode::OtherQuery,
            format!(
                "the query of {} is not the one that was calibrated: calibrate again",
                case.pair.name
            ),
        )
    });
    other.into_iter().chain(old(learned, sides)).collect()
}

/// By the end of the window: a judge has no clock.
fn old(learned: &Learned, sides: &Pair<Side<'_>>) -> Option<Warning> {
    let end = |side: &Side<'_>| {
        let asked = side.told.window.map(|window| window.end);
        asked.or_else(|| side.timestamps?.last().copied())
    };
    let end = end(&sides.experiment)
        .into_iter()
        .chain(end(&sides.control))
        .max()?;
    let age = end.saturating_sub(learned.made_millis);
    (OLD < age).then(|| {
        warning(
            WarningCode::OldCalibration,
            format!(
                "the calibration was made {} days before: margins move, so calibrate again",
                age / DAY
            ),
        )
    })
}
