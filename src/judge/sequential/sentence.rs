//! What was found, in words.

use std::fmt::Write;

use super::align::{count, mean};
use super::label::{Labeled, Openness};
use super::margins::{Limits, Origin, Scale};
use super::values::{self, Found};
use super::{Case, Judged};
use crate::canary::explanation::Rule;
use crate::canary::number::{duration, each, number, together};
use crate::canary::sequential::{EventCounts, Finding};
use crate::canary::{Label, Learned};
use crate::judge::outcome::Cap;
use crate::judge::policy::Direction;

pub fn of(case: &Case<'_>, judged: &Judged<'_>, labeled: Labeled) -> String {
    let found = &judged.found;
    let mut sentence = body(case, judged).trim_end_matches(',').to_owned();
    let openness = Openness::of(found);
    let ending = match openness {
        Some(_) if !judged.stance.last => "; it is looked at again at the next interval",
        Some(Openness::Unmeasured) => "; it was not measured",
        Some(Openness::Unclear) if labeled.cap == Cap::Unclear => {
            "; so the canary is marginal at most, as its config asks"
        }
        Some(Openness::Unclear) if labeled.label != Label::Pass => {
            "; so it fails, as its config asks"
        }
        Some(Openness::Unclear) if found.rule != Rule::Unfit => {
            "; it passes, because nothing was found"
        }
        _ => "",
    };
    sentence.push_str(ending);
    if labeled.critical {
        sentence.push_str("; it is critical, so the canary fails");
    }
    sentence
}

/// Without what becomes of it.
pub fn body(case: &Case<'_>, judged: &Judged<'_>) -> String {
    let found = &judged.found;
    let name = &case.pair.name;
    let counts = judged.aligned.counts;
    match found.rule {
        Rule::NoData => {
            let side = match (counts.control, counts.experiment) {
                (0, 0) => "either side",
                (0, _) => "the control side",
                _ => "the experiment side",
            };
            format!("no data on {side}")
        }
        Rule::Misaligned => format!(
            "the points of the two sides never fall on the same {}",
            place(judged)
        ),
        Rule::Gaps if found.method.is_none() => format!(
            "{} of {} {} have points on both sides",
            counts.paired,
            counts.expected,
            places(judged)
        ),
        Rule::Gaps => format!(
            "{} pairs of points lie too far apart to tell how much neighbours resemble each other",
            counts.paired
        ),
        Rule::Identical => format!(
            "both sides are the same all the time ({} pairs)",
            counts.paired
        ),
        Rule::Constant => constant(case, judged),
        Rule::ConstantDifference => constant_difference(judged),
        Rule::FewSamples => few_samples(judged),
        Rule::FewIndependent => few_independent(judged),
        Rule::FewEvents | Rule::MoreEvents => match &judged.events {
            Some(events) if found.rule == Rule::MoreEvents => more_events(name, events, judged),
            Some(events) => few_events(name, events),
            None => String::new(),
        },
        Rule::FarAbove | Rule::FarBelow => format!(
            "{}: so far beyond {}, measured by how much the control itself varies, that few samples \
             suffice",
            moved(name, found),
            margin(case, judged)
        ),
        Rule::WithinMargin => format!(
            "{name} changed by {}, which {} {}",
            change_with(found, found.equivalence),
            within(case, judged, found.equivalence),
            margin(case, judged)
        ),
        Rule::Wide => wide(case, judged),
        Rule::Unfit => unfit(case, judged),
        _ if found.finding == Finding::Improved => {
            let interval = bounds(found.scale, (found.lower, found.upper), Signs::None);
            format!("{} ({interval}), which is better", moved_by(name, found))
        }
        rule => {
            let lies = if rule == Rule::Increase {
                "above"
            } else {
                "below"
            };
            let interval = bounds(found.scale, (found.lower, found.upper), Signs::Minus);
            let samples = number(found.samples.independent.floor());
            format!(
                "{}; the whole interval, {interval}, lies {lies} {} ({} {}, worth {samples} \
                 independent samples)",
                moved(name, found),
                margin(case, judged),
                counts.paired,
                places(judged)
            )
        }
    }
}

/// What stands at one place of the window.
fn place(judged: &Judged<'_>) -> &'static str {
    if judged.aligned.step == 60_000 {
        "minute"
    } else {
        "point of time"
    }
}

fn places(judged: &Judged<'_>) -> &'static str {
    if judged.aligned.step == 60_000 {
        "minutes"
    } else {
        "pairs of points"
    }
}

/// `latency rose by 17.5 %`
fn moved_by(name: &str, found: &Found) -> String {
    let verb = if found.mean < 0.0 { "fell" } else { "rose" };
    format!("{name} {verb} by {}", size_of(found.scale, found.mean))
}

/// `latency rose by 17.5 %, from 120 to 141`
fn moved(name: &str, found: &Found) -> String {
    let level = found.scale.level();
    let [from, to] = each([level, level + found.scale.unit(found.mean)]);
    format!("{}, from {from} to {to}", moved_by(name, found))
}

/// Without a sign, in percent where there is a level.
fn size_of(scale: Scale, change: f64) -> String {
    let percent = scale.percent(change);
    if percent.is_finite() {
        format!("{} %", number(percent.abs()))
    } else {
        number(scale.unit(change).abs())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Signs {
    None,
    Minus,
    Both,
}

/// `8.1 to 28.1 %`
fn bounds(scale: Scale, (lower, upper): (f64, f64), signs: Signs) -> String {
    let percents = [scale.percent(lower), scale.percent(upper)];
    let is_percent = percents.iter().all(|percent| !percent.is_nan());
    let mut values = if is_percent {
        percents
    } else {
        [scale.unit(lower), scale.unit(upper)]
    };
    if signs == Signs::None {
        values = values.map(f64::abs);
        values.sort_by(f64::total_cmp);
    }
    let told = together(values).map(|text| match signs {
        Signs::Both if !text.starts_with('-') && text != "0" => format!("+{text}"),
        _ => text,
    });
    let unit = if is_percent { " %" } else { "" };
    format!("{} to {}{unit}", told[0], told[1])
}

/// `+0.4 % (-2.1 to +2.9 %)`
fn change_with(found: &Found, interval: (f64, f64)) -> String {
    let sign = if 0.0 < found.mean {
        "+"
    } else if found.mean < 0.0 {
        "-"
    } else {
        ""
    };
    let interval = bounds(found.scale, interval, Signs::Both);
    format!("{sign}{} ({interval})", size_of(found.scale, found.mean))
}

/// `the margin of 12 %, learned from 200 windows between 3 and 24 November,`
fn margin(case: &Case<'_>, judged: &Judged<'_>) -> String {
    let Found { scale, limits, .. } = judged.found;
    let Limits { up, down } = limits;
    let told = match asked_of(case, judged) {
        Direction::Increase => size_of(scale, up),
        Direction::Decrease => size_of(scale, -down),
        Direction::Either => {
            let (up, down) = (size_of(scale, up), size_of(scale, -down));
            if up == down {
                up
            } else {
                format!("{down} down and {up} up")
            }
        }
    };
    let origin = match (judged.origin, case.judgement.learned) {
        (Origin::Learned(of), Some(learned)) => format!(", {},", Learned::told(learned, of)),
        _ => String::new(),
    };
    format!("the margin of {told}{origin}")
}

/// The margin that decided, else those that are asked for.
fn asked_of(case: &Case<'_>, judged: &Judged<'_>) -> Direction {
    match judged.found.rule {
        Rule::Increase | Rule::FarAbove => Direction::Increase,
        Rule::Decrease | Rule::FarBelow => Direction::Decrease,
        _ => case.metric.policy.direction,
    }
}

/// Of one direction, what goes the other way lies beyond the margin and does not count.
fn within(case: &Case<'_>, judged: &Judged<'_>, (lower, upper): (f64, f64)) -> &'static str {
    let Limits { up, down } = judged.found.limits;
    match case.metric.policy.direction {
        Direction::Increase if lower < -down => "is no rise beyond",
        Direction::Decrease if up < upper => "is no fall beyond",
        _ => "lies within",
    }
}

fn constant(case: &Case<'_>, judged: &Judged<'_>) -> String {
    let found = &judged.found;
    let difference = size_of(found.scale, found.mean);
    let lies = within(case, judged, (found.mean, found.mean));
    let sides = if is_each_constant(judged) {
        "both sides never change, and differ"
    } else {
        "both sides go the same way, and differ"
    };
    format!(
        "{sides} by {difference}, which {lies} {}",
        margin(case, judged)
    )
}

fn constant_difference(judged: &Judged<'_>) -> String {
    let both = &judged.aligned.both;
    if !is_each_constant(judged) {
        let difference = size_of(judged.found.scale, judged.found.mean);
        return format!(
            "the sides differ by the same {difference} all the time: that is one sample, and no way \
             to tell a change from a habit"
        );
    }
    let control = mean(both.iter().map(|both| both.control));
    let experiment = mean(both.iter().map(|both| both.experiment));
    let [control, experiment] = each([control, experiment]);
    format!(
        "each side held one value all the time, {control} and {experiment}: that is one sample a \
         side, and no way to tell a change from a habit"
    )
}

#[expect(clippy::float_cmp, reason = "constant means equal")]
fn is_each_constant(judged: &Judged<'_>) -> bool {
    let both = &judged.aligned.both;
    both.windows(2)
        .all(|two| two[0].control == two[1].control && two[0].experiment == two[1].experiment)
}

fn few_samples(judged: &Judged<'_>) -> String {
    let paired = judged.aligned.counts.paired;
    let independent = judged.found.samples.independent;
    if independent.is_finite() {
        return format!(
            "{paired} pairs of points are worth {} independent samples, and a judgement takes {}",
            number(independent.floor()),
            number(values::FEWEST_INDEPENDENT)
        );
    }
    let wanted = values::wanted(judged.aligned.spacing);
    let pairs = if paired == 1 { "pair" } else { "pairs" };
    format!("only {paired} {pairs} of points; a judgement takes {wanted}")
}

fn few_independent(judged: &Judged<'_>) -> String {
    let found = &judged.found;
    let is_by_windows = found.samples.autocorrelation.is_nan();
    let wanted = if is_by_windows {
        count(values::FEWEST)
    } else {
        values::FEWEST_INDEPENDENT
    };
    let mut told = format!(
        "{} {} of this metric are worth {} independent samples, and a judgement takes {}",
        judged.aligned.counts.paired,
        places(judged),
        number(found.samples.independent.floor()),
        number(wanted)
    );
    if let Some(minutes) = found.minutes_needed {
        let _ = write!(told, "; {minutes} more minutes needed");
    }
    if 1 < judged.aligned.spacing {
        let step = judged.aligned.step;
        let back = step.saturating_mul(i64::try_from(judged.aligned.spacing).unwrap_or(i64::MAX));
        let _ = write!(
            told,
            ". The query looks {} back at points {} apart, so that only one in {} is new: ask by [{}]",
            duration(back),
            duration(step),
            judged.aligned.spacing,
            range(step)
        );
    }
    told
}

/// As it is written in a query.
fn range(step: i64) -> String {
    if step % 60_000 == 0 {
        format!("{}m", step / 60_000)
    } else {
        format!("{}s", step / 1000)
    }
}

fn more_events(name: &str, events: &EventCounts, judged: &Judged<'_>) -> String {
    let [control, experiment] = each([events.control, events.experiment]);
    let times = events.at_least.filter(|times| 0.0 < *times);
    let times = times.map(|times| format!(", at least {} times as many", number(times)));
    format!(
        "{name}: {experiment} events on the experiment against {control} on the control{}; equal \
         versions show this less often than once in {} runs",
        times.unwrap_or_default(),
        number((1.0 / judged.rates.false_alarm).floor())
    )
}

fn few_events(name: &str, events: &EventCounts) -> String {
    let [control, experiment] = each([events.control, events.experiment]);
    let alarm = events.alarm_from;
    let alarm = alarm.map(|from| format!("; {from} would have been an alarm"));
    format!(
        "{name}: {experiment} events on the experiment against {control} on the control{}",
        alarm.unwrap_or_default()
    )
}

fn wide(case: &Case<'_>, judged: &Judged<'_>) -> String {
    let found = &judged.found;
    let mut told = format!(
        "{} changed by {}: neither beyond {} nor within it",
        case.pair.name,
        change_with(found, (found.lower, found.upper)),
        margin(case, judged)
    );
    if found.scale.unit(found.detectable).is_finite() {
        let change = size_of(found.scale, found.detectable);
        let _ = write!(told, "; a change of {change} would have been found");
    }
    if let Some(minutes) = found.minutes_needed {
        let _ = write!(told, "; some {minutes} more minutes would settle it");
    }
    told
}

/// What a calibration found no margin for.
fn unfit(case: &Case<'_>, judged: &Judged<'_>) -> String {
    let windows = match judged.origin {
        Origin::Unfit(of) => of.windows,
        _ => 0,
    };
    let change = match &judged.events {
        Some(events) => few_events(
            &case.pair.name,
            &EventCounts {
                alarm_from: None,
                ..*events
            },
        ),
        None => moved(&case.pair.name, &judged.found),
    };
    format!(
        "{change}; but it is unfit for this comparison, as {windows} past windows without any change \
         differ by more than any margin up to 50 %, so it fails nothing by itself: several pods a side, \
         a longer window, a quotient with the traffic, or muting would help"
    )
}
