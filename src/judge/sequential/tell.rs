//! What was found, as it is told.

use super::label::Openness;
use super::values::Found;
use super::{Case, Judged};
use crate::canary::explanation::{Points, Rule};
use crate::canary::sequential::{
    Bounds, Detectable, Interval, Levels, Margin, Samples, Sequential, known,
};
use crate::canary::{Doubt, DoubtCause, Explanation, Pair};
use crate::judge::explain;
use crate::judge::side::Side;

pub fn explanation(
    case: &Case<'_>,
    sides: &Pair<Side<'_>>,
    judged: &Judged,
    doubts: Vec<Doubt>,
) -> Explanation {
    Explanation {
        rule: judged.found.rule,
        sentence: format!("{} is {:?}", case.pair.name, judged.found.finding),
        test: None,
        sequential: Some(Box::new(numbers(judged))),
        points: points(sides, judged),
        warnings: Vec::new(),
        doubts,
        queries: explain::queries(case.pair),
    }
}

fn points(sides: &Pair<Side<'_>>, judged: &Judged) -> Pair<Points> {
    sides.as_ref().map(|side| {
        let total = side.measured.places as u64;
        Points {
            total,
            nan: total - side.measured.finite as u64,
            judged: judged.aligned.counts.paired,
            ..Points::default()
        }
    })
}

fn numbers(judged: &Judged) -> Sequential {
    let Judged {
        found,
        aligned,
        stance,
        rates,
        events,
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

/// Why it was not measured.
pub fn doubt(found: &Found) -> Option<Doubt> {
    let cause = match found.rule {
        _ if Openness::of(found) != Some(Openness::Unmeasured) => return None,
        Rule::NoData => DoubtCause::NoData,
        Rule::Misaligned => DoubtCause::Misaligned,
        Rule::Gaps => DoubtCause::Coverage,
        Rule::ConstantDifference => DoubtCause::ConstantDifference,
        _ => DoubtCause::TooFew,
    };
    Some(Doubt {
        cause,
        sentence: "it was not measured".to_owned(),
    })
}
