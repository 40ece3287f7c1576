//! What was found, as it is told.

use super::label::{Labeled, Openness};
use super::margins::Origin;
use super::values::Found;
use super::{Case, Judged, caution, sentence};
use crate::canary::explanation::{Points, Rule};
use crate::canary::sequential::{
    Bounds, Detectable, Interval, Levels, Margin, Samples, Sequential, known,
};
use crate::canary::{Doubt, DoubtCause, Explanation, Label, Pair};
use crate::judge::doubts::{self, Subject};
use crate::judge::explain;
use crate::judge::policy::Doubting;
use crate::judge::side::Side;

pub fn explanation(
    case: &Case<'_>,
    sides: &Pair<Side<'_>>,
    judged: &Judged<'_>,
    labeled: Labeled,
    doubting: Doubting,
) -> Explanation {
    let sentence = sentence::of(case, judged, labeled);
    let mut doubts = doubts(case, sides, judged, labeled);
    if doubting == Doubting::Ignore {
        doubts.clear();
    }
    let warnings = caution::of(case, sides, judged, &doubts);
    // It fails as its config asks, which is no doubt any more.
    if labeled.label == Label::NodataFailMetric {
        doubts.clear();
    }
    Explanation {
        rule: judged.found.rule,
        sentence,
        test: None,
        sequential: Some(Box::new(numbers(judged))),
        points: points(sides, judged),
        warnings,
        doubts,
        queries: explain::queries(case.pair),
    }
}

/// Those of the series, and that it was not measured.
fn doubts(
    case: &Case<'_>,
    sides: &Pair<Side<'_>>,
    judged: &Judged<'_>,
    labeled: Labeled,
) -> Vec<Doubt> {
    let mut doubts = doubts::of(&Subject {
        pair: case.pair,
        sides,
        policy: Some(&case.metric.policy),
        label: labeled.label,
        found: None,
    });
    let says_the_same = |cause| {
        doubts.iter().any(|known| {
            // Data on one side only are the more telling word for no data.
            known.cause == cause
                || cause == DoubtCause::NoData && known.cause == DoubtCause::OneSided
        })
    };
    if let Some(cause) = cause(&judged.found).filter(|cause| !says_the_same(*cause)) {
        doubts.push(Doubt {
            cause,
            sentence: format!("{}: {}", case.pair.name, sentence::body(case, judged)),
        });
    }
    doubts
}

/// Why it was not measured.
fn cause(found: &Found) -> Option<DoubtCause> {
    match found.rule {
        _ if Openness::of(found) != Some(Openness::Unmeasured) => None,
        Rule::NoData => Some(DoubtCause::NoData),
        Rule::Misaligned => Some(DoubtCause::Misaligned),
        Rule::Gaps => Some(DoubtCause::Coverage),
        Rule::ConstantDifference => Some(DoubtCause::ConstantDifference),
        _ => Some(DoubtCause::TooFew),
    }
}

fn points(sides: &Pair<Side<'_>>, judged: &Judged<'_>) -> Pair<Points> {
    sides.as_ref().map(|side| {
        let total = side.measured.places as u64;
        Points {
            total,
            nan: total.saturating_sub(side.measured.finite as u64),
            judged: judged.aligned.counts.paired,
            ..Points::default()
        }
    })
}

pub fn numbers(judged: &Judged<'_>) -> Sequential {
    let Judged {
        found,
        aligned,
        stance,
        rates,
        events,
        origin,
    } = judged;
    let scale = found.scale;
    let unit = |change: f64| known(scale.unit(change));
    let percent = |change: f64| known(scale.percent(change));
    Sequential {
        verdict: found.finding,
        method: found.method,
        look: stance.told(),
        levels: Levels {
            false_alarm: rates.false_alarm,
            false_pass: rates.false_pass,
        },
        pairs: aligned.counts,
        samples: Samples {
            spacing: aligned.spacing,
            autocorrelation: known(found.samples.autocorrelation),
            independent: known(found.samples.independent),
            degrees_of_freedom: known(found.degrees),
            jump: found.samples.jump,
        },
        control_level: known(scale.level()),
        standard_error: known(found.standard_error),
        change: Interval {
            estimate: unit(found.mean),
            lower: unit(found.lower),
            upper: unit(found.upper),
        },
        percent: Interval {
            estimate: percent_of_change(found),
            lower: percent(found.lower),
            upper: percent(found.upper),
        },
        equivalence_percent: Bounds {
            lower: percent(found.equivalence.0),
            upper: percent(found.equivalence.1),
        },
        margin: Margin {
            up: unit(found.limits.up),
            down: unit(-found.limits.down),
            up_percent: percent(found.limits.up),
            down_percent: percent(-found.limits.down),
            origin: found.method.map(|_| Origin::told(*origin)),
        },
        p: known(found.p),
        minimum_detectable: Detectable {
            change: unit(found.detectable),
            percent: percent(found.detectable),
        },
        minutes_needed: found.minutes_needed,
        events: *events,
    }
}

/// No change is none of any level.
fn percent_of_change(found: &Found) -> Option<f64> {
    if found.mean == 0.0 && found.method.is_none() {
        return Some(0.0);
    }
    known(found.scale.percent(found.mean))
}
