//! The verdict with its doubts: it stands only if the doubtful metrics cannot turn it.
//!
//! The canary is scored as if they all failed, and as if they all passed. Where that gives one
//! verdict, it is the outcome; a failure that was measured is one in any case.

use std::fmt::Write;

use super::Judgement;
use super::policy::{Doubting, MetricPolicy};
use super::score::{self, Counted};
use super::side::Side;
use crate::canary::explanation::{Rule, SummaryRule, Warning};
use crate::canary::{
    CanaryAnalysisResult, Doubt, DoubtCause, DoubtfulMetric, Label, Outcome, Pair, Summary, Verdict,
};
use crate::error::Result;

/// Metrics that are named in the sentence of a verdict.
const NAMED: usize = 3;

/// What a result does not tell of its metric.
#[derive(Clone, Debug)]
pub struct Traits {
    pub doubt: Option<Doubting>,
    pub is_critical: bool,
    pub must_have_data: bool,
    pub has_data: Pair<bool>,
    /// Its label without its infinite points, where that fails it, and whether that is critical.
    pub fails_as: Option<(Label, bool)>,
    pub cap: Cap,
}

/// Why a metric, though it does not fail, keeps the canary from passing in the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cap {
    #[default]
    None,
    /// It was measured, and its config asks for that.
    Unclear,
    /// It was not; the outcome has its doubts instead.
    Unmeasured,
}

impl Traits {
    pub fn of(policy: Option<&MetricPolicy>, sides: &Pair<Side<'_>>) -> Self {
        Self {
            doubt: policy.and_then(|policy| policy.doubt),
            is_critical: policy.is_some_and(|policy| policy.critical),
            must_have_data: policy.is_some_and(|policy| policy.must_have_data),
            has_data: sides.as_ref().map(|side| side.measured.has_data()),
            fails_as: None,
            cap: Cap::None,
        }
    }
}

/// Marks the metrics without data on whose absence the verdict stands; whether there are any new.
pub fn doubt_missing(
    rule: SummaryRule,
    results: &mut [CanaryAnalysisResult],
    traits: &[Traits],
) -> bool {
    let counting = results.iter().zip(traits).filter(|(r, _)| !r.muted);
    let metrics = counting.clone().count();
    let is_nothing_judged = !is_anything_judged(results, traits);
    let is_half = rule == SummaryRule::HalfWithoutData;
    if !is_half && !is_nothing_judged {
        return false;
    }
    let missing = |result: &CanaryAnalysisResult, traits: &Traits| match result.classification {
        Label::Nodata => !traits.must_have_data,
        Label::Pass => is_nothing_judged,
        _ => false,
    };
    let without_data = counting.filter(|(r, _)| r.classification == Label::Nodata);
    let why = if is_nothing_judged {
        "and nothing else that counts could be judged".to_owned()
    } else {
        format!(
            "like {} of the {metrics} metrics that count, which decides",
            without_data.count()
        )
    };
    let mut any = false;
    for (result, traits) in results.iter_mut().zip(traits) {
        if result.muted || traits.doubt == Some(Doubting::Ignore) || !missing(result, traits) {
            continue;
        }
        let name = result.name.clone();
        let Some(explanation) = &mut result.explanation else {
            continue;
        };
        if !explanation.doubts.is_empty() {
            continue;
        }
        let doubt = Doubt {
            cause: DoubtCause::NoData,
            sentence: format!("{name} has no data, {why}"),
        };
        explanation.warnings.insert(0, warning(&doubt));
        explanation.doubts.push(doubt);
        any = true;
    }
    any
}

pub fn warning(doubt: &Doubt) -> Warning {
    Warning {
        code: doubt.cause.code(),
        sentence: doubt.sentence.clone(),
    }
}

/// Fails the doubtful metrics of which that is asked; whether there are any.
pub fn fail_doubtful(
    judgement: &Judgement<'_>,
    results: &mut [CanaryAnalysisResult],
    traits: &[Traits],
) -> bool {
    let asked_of_all = Doubting::of(judgement.config).unwrap_or(judgement.doubting);
    let mut any = false;
    for (result, traits) in results.iter_mut().zip(traits) {
        let asked = traits.doubt.unwrap_or(asked_of_all);
        let may_fail = matches!(
            result.classification,
            Label::Pass | Label::Nodata | Label::Error
        );
        let Some(explanation) = &mut result.explanation else {
            continue;
        };
        if asked != Doubting::Fail
            || !judgement.is_last()
            || !may_fail
            || explanation.doubts.is_empty()
        {
            continue;
        }
        let causes = causes(&std::mem::take(&mut explanation.doubts));
        let told = format!("{} is doubtful ({causes})", result.name);
        explanation.sentence = format!(
            "{told}, and counts as failed, as its config asks; else it is {:?}: {}",
            result.classification, explanation.sentence
        );
        explanation.rule = Rule::DoubtFails;
        result.classification = Label::NodataFailMetric;
        result.classification_reason = Some(told);
        result.critical = traits.is_critical;
        any = true;
    }
    any
}

fn causes(doubts: &[Doubt]) -> String {
    let causes: Vec<&str> = doubts.iter().map(|doubt| doubt.cause.as_str()).collect();
    causes.join(", ")
}

/// Puts the outcome into the summary of a verdict that the rule of these scores gives.
pub fn settle(
    judgement: &Judgement<'_>,
    results: &[CanaryAnalysisResult],
    traits: &[Traits],
    verdict: Verdict,
    summary: &mut Summary,
) -> Result<()> {
    let is_judged = is_anything_judged(results, traits);
    let outcome = if !is_judged {
        Outcome::Inconclusive
    } else if results.iter().all(|result| doubts_of(result).is_empty()) {
        Outcome::of_verdict(verdict)
    } else {
        weigh(judgement, results, traits)?
    };
    tell(results, traits, outcome, summary);
    if !is_judged && summary.doubts.iter().all(|metric| !metric.hangs) {
        summary
            .sentence
            .push_str("; inconclusive: nothing that counts could be judged");
    } else if outcome != Outcome::Inconclusive && outcome != Outcome::of_verdict(verdict) {
        let heard = results.iter().zip(traits).filter(|(r, _)| !r.muted);
        let failed: Vec<String> = heard
            .filter_map(|(result, traits)| {
                let (label, _) = traits.fails_as?;
                Some(format!("{} is {label:?}", result.name))
            })
            .collect();
        let why = if failed.is_empty() {
            "what was not measured cannot turn it".to_owned()
        } else {
            format!("without infinite values, {}", listed(&failed))
        };
        let _ = write!(
            summary.sentence,
            "; {} all the same: {why}",
            outcome.as_str()
        );
    }
    Ok(())
}

/// The outcome where the scores are another judge's own.
pub fn settle_by_verdict(
    results: &[CanaryAnalysisResult],
    traits: &[Traits],
    verdict: Verdict,
    summary: &mut Summary,
) {
    let hangs = results
        .iter()
        .zip(traits)
        .any(|(result, traits)| !result.muted && is_open(result, traits));
    let outcome = match verdict {
        Verdict::Pass | Verdict::Marginal if hangs => Outcome::Inconclusive,
        verdict => Outcome::of_verdict(verdict),
    };
    tell(results, traits, outcome, summary);
}

/// Lists the doubtful metrics, and names those that the verdict hangs on.
fn tell(
    results: &[CanaryAnalysisResult],
    traits: &[Traits],
    outcome: Outcome,
    summary: &mut Summary,
) {
    let weighs = |result: &CanaryAnalysisResult| {
        let groups = summary.groups.iter();
        let mut groups = groups.filter(|group| result.groups.contains(&group.name));
        groups.any(|group| group.weight != 0.0)
    };
    let by_score = summary.rule == SummaryRule::Score && !summary.groups.is_empty();
    let doubtful = results.iter().zip(traits);
    let doubtful = doubtful.filter(|(result, _)| !doubts_of(result).is_empty());
    let doubts: Vec<DoubtfulMetric> = doubtful
        .map(|(result, traits)| DoubtfulMetric {
            id: result.id.clone(),
            name: result.name.clone(),
            causes: doubts_of(result).iter().map(|doubt| doubt.cause).collect(),
            hangs: outcome == Outcome::Inconclusive
                && !result.muted
                && is_open(result, traits)
                && (!by_score || traits.is_critical || weighs(result)),
        })
        .collect();
    let hanging = doubts.iter().filter(|metric| metric.hangs);
    let hanging: Vec<String> = hanging
        .map(|metric| {
            let causes: Vec<&str> = metric.causes.iter().map(|cause| cause.as_str()).collect();
            format!("{} ({})", metric.name, causes.join(", "))
        })
        .collect();
    if !hanging.is_empty() {
        let _ = write!(
            summary.sentence,
            "; inconclusive: it hangs on {}",
            listed(&hanging)
        );
    }
    summary.outcome = Some(outcome);
    summary.doubts = doubts;
}

pub fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let first: Vec<&str> = names.iter().take(NAMED).map(AsRef::as_ref).collect();
    let first = first.join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// How the doubtful metrics are taken.
#[derive(Clone, Copy)]
enum Taken {
    AsLabeled,
    Failed,
    Passed,
    /// What was measured alone counts.
    Out,
}

fn weigh(
    judgement: &Judgement<'_>,
    results: &[CanaryAnalysisResult],
    traits: &[Traits],
) -> Result<Outcome> {
    let is_asked_for = |(result, traits): (&CanaryAnalysisResult, &Traits)| {
        result.muted
            || result.classification != Label::Nodata
            || traits.doubt == Some(Doubting::Ignore)
    };
    let is_want_asked_for = results.iter().zip(traits).all(is_asked_for);
    let verdict = |taken| {
        let heard = results.iter().zip(traits).filter(|(r, _)| !r.muted);
        let counted: Vec<Counted<'_>> = heard
            .map(|(result, traits)| {
                let (label, critical) = standing(result, traits, taken);
                Counted {
                    result,
                    label,
                    critical,
                    caps: traits.cap == Cap::Unclear,
                }
            })
            .collect();
        let rated = score::rate(judgement.config, judgement.thresholds, &counted);
        rated.map(|(verdict, is_for_want)| (verdict, is_for_want && !is_want_asked_for))
    };
    let failed = verdict(Taken::Failed)?;
    let passed = verdict(Taken::Passed)?;
    // That half has no data is no failure that anybody measured.
    let is_failure =
        |(verdict, is_for_want): (Verdict, bool)| verdict == Verdict::Fail && !is_for_want;
    if is_failure(failed) && (is_failure(passed) || is_failure(verdict(Taken::Out)?)) {
        return Ok(Outcome::Fail);
    }
    let (labeled, _) = verdict(Taken::AsLabeled)?;
    let ((failed, _), (passed, is_for_want)) = (failed, passed);
    Ok(if failed == passed && labeled == passed && !is_for_want {
        Outcome::of_verdict(passed)
    } else {
        Outcome::Inconclusive
    })
}

/// How a metric counts, and whether that is critical.
fn standing(result: &CanaryAnalysisResult, traits: &Traits, taken: Taken) -> (Label, bool) {
    let label = result.classification;
    if label == Label::Nodata && traits.must_have_data {
        return (Label::NodataFailMetric, traits.is_critical);
    }
    if label != Label::NodataFailMetric
        && let Some(fails_as) = traits.fails_as
    {
        return fails_as;
    }
    if !is_open(result, traits) {
        return match (label, taken) {
            // That half has no data is no failure that was measured, whatever else fails the canary.
            (Label::Nodata, Taken::Passed | Taken::Out) => (Label::Error, false),
            _ => (label, result.critical),
        };
    }
    match taken {
        Taken::AsLabeled => (label, result.critical),
        Taken::Failed => (Label::NodataFailMetric, traits.is_critical),
        Taken::Passed => (Label::Pass, false),
        Taken::Out if label == Label::Pass => (Label::Pass, false),
        // Counts for nothing.
        Taken::Out => (Label::Error, false),
    }
}

/// Whether its doubts leave open how it counts.
fn is_open(result: &CanaryAnalysisResult, traits: &Traits) -> bool {
    let doubts = doubts_of(result);
    match result.classification {
        _ if traits.fails_as.is_some() => false,
        Label::Pass | Label::Error => !doubts.is_empty(),
        Label::Nodata => !doubts.is_empty() && !traits.must_have_data,
        Label::High | Label::Low => doubts.iter().any(|doubt| doubt.cause.questions_failures()),
        Label::NodataFailMetric => false,
    }
}

fn is_anything_judged(results: &[CanaryAnalysisResult], traits: &[Traits]) -> bool {
    let heard = results.iter().zip(traits).filter(|(r, _)| !r.muted);
    heard.into_iter().any(|(result, traits)| {
        let has_data = traits.has_data.control || traits.has_data.experiment;
        match result.classification {
            Label::Pass => has_data,
            Label::High | Label::Low | Label::NodataFailMetric => true,
            Label::Nodata => traits.must_have_data,
            Label::Error => false,
        }
    })
}

fn doubts_of(result: &CanaryAnalysisResult) -> &[Doubt] {
    let explanation = result.explanation.as_ref();
    explanation.map_or(&[], |explanation| &explanation.doubts)
}

#[cfg(test)]
mod tests;
