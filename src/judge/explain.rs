//! Verdicts in plain words, and what should make a reader careful.

pub mod warnings;

use std::cmp::Ordering;
use std::fmt::Write;

use super::aca::classify::Classification;
use super::outcome;
use super::policy::{Direction, MetricPolicy};
use super::score::Limits;
use super::side::Side;
use crate::canary::explanation::{
    EffectMeasure, GroupCost, Points, Rule, SentQuery, SummaryRule, TestNumbers,
};
use crate::canary::number::{each, number, percent, together};
use crate::canary::{
    CanaryAnalysisResult, CanaryJudgeScore, CanaryJudgeStats, Doubt, Explanation, Label,
    MetricSetPair, Pair, Summary, Verdict,
};

/// Groups that are named in the sentence of a verdict; the others stand beside it.
const NAMED_GROUPS: usize = 3;

pub fn metric(
    pair: &MetricSetPair,
    sides: &Pair<Side<'_>>,
    policy: &MetricPolicy,
    found: &Classification,
    doubts: Vec<Doubt>,
) -> Explanation {
    Explanation {
        rule: found.rule,
        sentence: sentence(&pair.name, policy, found),
        test: found.test,
        sequential: None,
        points: found.points,
        warnings: warnings::of(pair, sides, found, &doubts),
        doubts,
        queries: queries(pair),
    }
}

/// Fills in what is known of a result that its judge did not explain; adds to what it did.
pub fn other(
    judge: &str,
    pair: &MetricSetPair,
    sides: &Pair<Side<'_>>,
    result: &mut CanaryAnalysisResult,
    doubts: Vec<Doubt>,
) {
    if let Some(told) = &mut result.explanation {
        let is_new = |doubt: &Doubt| told.doubts.iter().all(|known| known.cause != doubt.cause);
        let new: Vec<Doubt> = doubts.into_iter().filter(is_new).collect();
        told.warnings.extend(new.iter().map(outcome::warning));
        told.doubts.extend(new);
        return;
    }
    let label = result.classification;
    result.explanation = Some(Explanation {
        rule: Rule::OtherJudge,
        sentence: format!("{judge} gave {label:?}, and does not tell why"),
        test: None,
        sequential: None,
        points: pair.values.as_ref().map(|values| {
            let nan = values.iter().filter(|value| value.is_nan()).count();
            Points {
                total: values.len() as u64,
                nan: nan as u64,
                judged: (values.len() - nan) as u64,
                ..Points::default()
            }
        }),
        warnings: warnings::of_series(pair, sides, &doubts),
        doubts,
        queries: queries(pair),
    });
}

pub fn queries(pair: &MetricSetPair) -> Option<Pair<SentQuery>> {
    let side = |side: &str| {
        let attributes = pair.attributes.get(side)?;
        Some(SentQuery {
            text: attributes.get("query")?.clone(),
            link: attributes.get("link").cloned(),
        })
    };
    let queries = Pair {
        control: side("control"),
        experiment: side("experiment"),
    };
    (queries.control.is_some() || queries.experiment.is_some())
        .then(|| queries.map(Option::unwrap_or_default))
}

fn sentence(name: &str, policy: &MetricPolicy, found: &Classification) -> String {
    let judged = found.points.map(|points| points.judged);
    let side = match (judged.control, judged.experiment) {
        (0, 0) => "either side",
        (0, _) => "the control side",
        _ => "the experiment side",
    };
    match (found.rule, &found.test) {
        (Rule::Identical, _) => {
            format!("Both sides hold the same {} values", judged.control)
        }
        (Rule::SameConstant, _) => format!(
            "{name} is {} on both sides, all the time",
            number(found.stats.control.mean)
        ),
        (Rule::NoData, _) => {
            format!("No data on {side}: {name} could not be judged, and counts for no group")
        }
        (Rule::NoDataCritical, _) => {
            format!("No data on {side}, and {name} is critical: by Kayenta's rule the canary fails")
        }
        (Rule::NoDataFails, _) => {
            format!("No data on {side}, and {name} must have data: it counts as failed")
        }
        (Rule::NoDataReplaced, _) => format!(
            "No data on {side}: {name} was not compared, and passes because of the nanStrategy 'replace'"
        ),
        (_, Some(test)) => compared(name, policy, found, test),
        (_, None) => {
            format!("{name} could not be compared: the test finds no shift between these values")
        }
    }
}

/// `Errors rose from 0.4 to 1.9 (+375 %); the whole interval, 1.2 to 1.8, lies above the bound 0.37`
fn compared(
    name: &str,
    policy: &MetricPolicy,
    found: &Classification,
    test: &TestNumbers,
) -> String {
    let means = found.stats.map(|side: CanaryJudgeStats| side.mean);
    let change = change(name, means, found.ratio);
    let odd = against_the_means(means, test.estimate);
    let interval = |bound: f64| {
        let [lower, upper, bound] = together([test.lower, test.upper, bound]);
        (format!("{lower} to {upper}"), bound)
    };
    let critical = if found.critical {
        "; it is critical, so the canary fails"
    } else {
        ""
    };
    match found.rule {
        Rule::Increase => {
            let (interval, bound) = interval(test.bound);
            format!(
                "{change}{odd}; the whole interval, {interval}, lies above the bound {bound}{critical}"
            )
        }
        Rule::Decrease => {
            let (interval, bound) = interval(-test.bound);
            format!(
                "{change}{odd}; the whole interval, {interval}, lies below the bound {bound}{critical}"
            )
        }
        Rule::OtherDirection => {
            let counts = match policy.direction {
                Direction::Decrease => "a decrease",
                Direction::Increase | Direction::Either => "an increase",
            };
            format!("{change}{odd}, which is clear, but only {counts} counts")
        }
        Rule::AllowedEffect => {
            let effect = &test.effect_size;
            let limit = if test.estimate < 0.0 {
                effect.allowed_decrease
            } else {
                effect.allowed_increase
            };
            let [value, limit] = each([effect.value, limit]);
            let measure = match effect.measure {
                EffectMeasure::MeanRatio => "the ratio of the means",
                EffectMeasure::Cles => "the effect size (CLES)",
            };
            format!("{change}{odd}, which is clear, but {measure}, {value}, does not reach {limit}")
        }
        _ => {
            let (interval, bound) = interval(test.bound);
            format!(
                "{change}, which is no clear difference: the interval, {interval}, does not lie \
                 beyond the bound, {bound} up or down"
            )
        }
    }
}

/// `Errors rose from 0.4 to 1.9 (+375 %)`, on average.
fn change(name: &str, means: Pair<f64>, ratio: Option<f64>) -> String {
    let [control, experiment] = each([means.control, means.experiment]);
    if !(means.control.is_finite() && means.experiment.is_finite()) {
        return format!("{name} is {experiment} on average, against {control}");
    }
    let verb = match means.experiment.total_cmp(&means.control) {
        Ordering::Greater => "rose",
        Ordering::Less => "fell",
        Ordering::Equal => return format!("{name} stayed at {control}"),
    };
    let both_positive = 0.0 < means.control && 0.0 < means.experiment;
    let part = match ratio {
        Some(ratio) if both_positive => format!(" ({})", percent(ratio)),
        _ => String::new(),
    };
    format!("{name} {verb} from {control} to {experiment}{part}")
}

/// What most values do where the means do something else.
fn against_the_means(means: Pair<f64>, estimate: f64) -> String {
    let agree = means.experiment.total_cmp(&means.control) == estimate.total_cmp(&0.0);
    match estimate.total_cmp(&0.0) {
        _ if agree => String::new(),
        Ordering::Greater => format!(
            " on average, though most values are higher, by about {}",
            number(estimate)
        ),
        Ordering::Less => format!(
            " on average, though most values are lower, by about {}",
            number(-estimate)
        ),
        Ordering::Equal => String::new(),
    }
}

/// How many could not be judged.
pub fn not_judged(results: &[CanaryAnalysisResult]) -> u64 {
    let is_missing = |result: &&CanaryAnalysisResult| {
        matches!(
            result.classification,
            Label::Nodata | Label::NodataFailMetric | Label::Error
        )
    };
    results.iter().filter(is_missing).count() as u64
}

pub fn summary(
    rule: SummaryRule,
    score: &CanaryJudgeScore,
    limits: &Limits,
    groups: Vec<GroupCost>,
    results: &[CanaryAnalysisResult],
) -> Summary {
    let not_judged = not_judged(results);
    let mut sentence = match rule {
        SummaryRule::CriticalMetric => {
            let metric = results.iter().find(|result| {
                !result.muted && result.critical && result.classification != Label::Pass
            });
            let told = metric
                .map(|metric| format!("{}, which is {:?}", metric.name, metric.classification));
            format!("Failed by the critical metric {}", told.unwrap_or_default())
        }
        SummaryRule::HalfWithoutData => {
            let heard = results.iter().filter(|result| !result.muted);
            let missing = heard
                .clone()
                .filter(|result| result.classification == Label::Nodata);
            format!(
                "Failed, because {} of {} metrics that count had no data, which is half or more",
                missing.count(),
                heard.count()
            )
        }
        SummaryRule::Score | SummaryRule::Inconclusive => scored(score, limits, &groups),
    };
    if not_judged > 0 {
        let metrics = results.len();
        let _ = write!(
            sentence,
            "; {not_judged} of {metrics} metrics could not be judged"
        );
    }
    if rule == SummaryRule::Score {
        sentence.extend(unmeasured(&groups));
    }
    let lost = (rule == SummaryRule::Score)
        .then(|| warnings::lost_weights(&groups))
        .flatten();
    if let Some(lost) = &lost {
        let _ = write!(sentence, "; {}", lost.sentence);
    }
    Summary {
        rule,
        sentence,
        groups,
        metrics: results.len() as u64,
        not_judged,
        not_settled: None,
        false_alarm: None,
        outcome: None,
        doubts: Vec::new(),
        warnings: lost.into_iter().collect(),
    }
}

/// The groups of which nothing was judged: by Kayenta's rule they cost nothing.
fn unmeasured(groups: &[GroupCost]) -> Option<String> {
    let is_open = |group: &&GroupCost| group.passed + group.failed == 0 && 0 < group.not_judged;
    let open = groups.iter().filter(is_open);
    let open: Vec<&GroupCost> = open
        .filter(|group| 0.0 < group.weight - group.cost)
        .collect();
    let points =
        |group: &&GroupCost| format!("the {} points of {}", number(group.weight), group.name);
    let named: Vec<String> = open.iter().take(NAMED_GROUPS).map(points).collect();
    let more = match open.len().saturating_sub(NAMED_GROUPS) {
        0 => String::new(),
        1 => ", and those of 1 more group".to_owned(),
        more => format!(", and those of {more} more groups"),
    };
    (!named.is_empty()).then(|| {
        let named = named.join(", ");
        format!("; nothing was measured for {named}{more}")
    })
}

/// Of a score that may not pass, because of those metrics.
pub fn capped(score: &CanaryJudgeScore, limits: &Limits, metrics: &[&str]) -> String {
    let [points, pass] = each([score.score, limits.pass]);
    let metrics = outcome::listed(metrics);
    format!(
        "A score of {points}, below the pass threshold of {pass}, because not all is settled: {metrics}"
    )
}

fn scored(score: &CanaryJudgeScore, limits: &Limits, groups: &[GroupCost]) -> String {
    let [points, pass, marginal] = each([score.score, limits.pass, limits.marginal]);
    let told = match score.classification {
        Verdict::Pass => format!("A score of {points} reaches the pass threshold of {pass}"),
        Verdict::Marginal => format!(
            "A score of {points} reaches the marginal threshold of {marginal}, not the pass threshold of {pass}"
        ),
        _ => format!("A score of {points} does not reach the marginal threshold of {marginal}"),
    };
    let mut costly: Vec<&GroupCost> = groups.iter().filter(|group| 0.0 < group.cost).collect();
    costly.sort_by(|a, b| b.cost.total_cmp(&a.cost));
    let named = costly.iter().take(NAMED_GROUPS);
    let named: Vec<String> = named
        .map(|group| format!("{} cost {}", group.name, number(group.cost)))
        .collect();
    match (named.is_empty(), costly.len().saturating_sub(NAMED_GROUPS)) {
        (true, _) => told,
        (false, 0) => format!("{told}: {}", named.join(", ")),
        (false, 1) => format!("{told}: {}, and another group the rest", named.join(", ")),
        (false, more) => format!(
            "{told}: {}, and {more} more groups the rest",
            named.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests;
