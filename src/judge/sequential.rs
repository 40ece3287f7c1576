//! `sequential-v1`: by how much the experiment is greater at the same time, with stated error rates
//! over all looks and metrics together.

mod align;
mod caution;
mod events;
mod independent;
mod label;
mod margins;
mod normal;
mod sentence;
pub mod settings;
mod stance;
mod tell;
mod values;

pub use align::spacing;
pub use values::FEWEST;

use rayon::prelude::*;

use align::{Aligned, Aligning};
use label::Openness;
use settings::{MetricSettings, Settings};
use stance::{Rates, Stance};
use values::Found;

use super::describe::describe;
use super::outcome::Traits;
use super::policy::{Direction, Doubting, NanStrategy};
use super::side::{self, Side};
use super::{Judge, Judgement, aca, conclude, groups_of};
use crate::canary::explanation::Rule;
use crate::canary::result::{ResultMetadata, SideMetadata};
use crate::canary::sequential::{EventCounts, Finding};
use crate::canary::{
    CanaryAnalysisResult, CanaryConfig, CanaryJudgeResult, CanaryMetricConfig, Fault, Learned,
    MetricSetPair, Pair, Sequential, Window,
};
use crate::error::Result;

pub const NAME: &str = "sequential-v1";

/// Below this many points of all series together, threads cost more than they save.
pub const WORTH_THREADS: usize = 40_000;

pub struct SequentialJudge;

impl Judge for SequentialJudge {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_visible(&self) -> bool {
        true
    }

    fn refusals(&self, config: &CanaryConfig) -> Vec<Fault> {
        settings::refusals(config)
    }

    fn faults(&self, config: &CanaryConfig) -> Vec<Fault> {
        settings::faults(config)
    }

    fn judge(&self, judgement: &Judgement<'_>) -> Result<CanaryJudgeResult> {
        let points: usize = judgement.pairs.iter().map(MetricSetPair::points).sum();
        if points < WORTH_THREADS {
            return judge_on_one_thread(judgement);
        }
        let (settings, cases) = cases(judgement)?;
        let results = cases.into_par_iter().map(Case::judge).unzip();
        finish(judgement, &settings, results)
    }
}

/// The same judgement, without threads of its own.
pub fn judge_on_one_thread(judgement: &Judgement<'_>) -> Result<CanaryJudgeResult> {
    let (settings, cases) = cases(judgement)?;
    let results = cases.into_iter().map(Case::judge).unzip();
    finish(judgement, &settings, results)
}

/// What is found of each pair, in numbers only: no label, no score, no sentence.
pub fn findings(judgement: &Judgement<'_>) -> Result<Vec<(Rule, Sequential)>> {
    let (_, cases) = cases(judgement)?;
    let found = cases.iter().map(|case| {
        let judged = case.measure(&side::of(case.pair));
        (judged.found.rule, tell::numbers(&judged))
    });
    Ok(found.collect())
}

/// The change of a metric that does not matter, the greater one where either direction counts; none where it is
/// unfit, or cannot be judged.
pub fn margin(
    config: &CanaryConfig,
    metric: &CanaryMetricConfig,
    learned: Option<&Learned>,
) -> Option<f64> {
    let settings = Settings::of(config).ok()?;
    let of_metric = MetricSettings::of(metric, &settings).ok()?;
    let name = metric.name.as_deref().unwrap_or_default();
    let (margins, origin) = margins::of(name, &settings, &of_metric, learned);
    let margin = match of_metric.policy.direction {
        Direction::Increase => margins.up,
        Direction::Decrease => margins.down,
        Direction::Either => margins.up.max(margins.down),
    };
    (!matches!(origin, margins::Origin::Unfit(_))).then_some(margin)
}

fn finish(
    judgement: &Judgement<'_>,
    settings: &Settings,
    results: (Vec<CanaryAnalysisResult>, Vec<Traits>),
) -> Result<CanaryJudgeResult> {
    let mut judged = conclude(judgement, NAME, results)?;
    let is_open = |result: &&CanaryAnalysisResult| {
        let told = result.explanation.as_ref();
        let found = told.and_then(|told| told.sequential.as_ref());
        found.is_some_and(|found| found.verdict == Finding::Inconclusive)
    };
    let open = judged.results.iter().filter(is_open).count();
    if let Some(summary) = &mut judged.summary {
        summary.not_settled = Some(open as u64);
        summary.false_alarm = Some(settings.false_alarm);
    }
    Ok(judged)
}

/// One metric to judge; nothing can go wrong from here on.
struct Case<'a> {
    judgement: Judgement<'a>,
    pair: &'a MetricSetPair,
    groups: Vec<String>,
    metric: MetricSettings,
    settings: Settings,
    rates: Rates,
}

fn cases<'a>(judgement: &Judgement<'a>) -> Result<(Settings, Vec<Case<'a>>)> {
    let settings = Settings::of(judgement.config)?;
    let mut cases = Vec::with_capacity(judgement.pairs.len());
    for pair in judgement.pairs {
        let config = judgement.metric_of(pair)?;
        cases.push(Case {
            judgement: *judgement,
            pair,
            groups: groups_of(config)?,
            metric: MetricSettings::of(config, &settings)?,
            settings: settings.clone(),
            rates: Rates {
                false_alarm: 0.0,
                false_pass: settings.false_pass,
            },
        });
    }
    let heard = cases.iter().filter(|case| !case.metric.policy.muted);
    let heard = heard.count();
    for case in &mut cases {
        case.rates.false_alarm = settings.level(heard, case.metric.policy.critical);
    }
    Ok((settings, cases))
}

/// What was found of one metric, and what it was found by.
struct Judged<'a> {
    found: Found,
    /// Of the margin.
    origin: margins::Origin<'a>,
    events: Option<EventCounts>,
    aligned: Aligned,
    stance: Stance,
    /// Of this look.
    rates: Rates,
}

impl<'a> Case<'a> {
    fn judge(self) -> (CanaryAnalysisResult, Traits) {
        let sides = side::of(self.pair);
        let judged = self.measure(&sides);
        let policy = &self.metric.policy;
        let of_config = Doubting::of(self.judgement.config);
        let doubting = label::doubting(&self.metric, of_config, self.judgement.doubting);
        let is_last = judged.stance.last;
        let labeled = label::of(&judged.found, &self.metric, doubting, is_last);
        let explanation = tell::explanation(&self, &sides, &judged, labeled, doubting);
        let finite = self.pair.values.as_ref().map(|values| {
            let finite = values.iter().copied().filter(|value| value.is_finite());
            finite.collect::<Vec<f64>>()
        });
        let stats = describe(finite.as_ref().map(Vec::as_slice));
        let mut traits = Traits::of(Some(policy), &sides);
        // What fails by its doubts fails at the last look, which a lifetime may tell too.
        traits.doubt = Some(match doubting {
            Doubting::Fail if !is_last => Doubting::Tell,
            doubting => doubting,
        });
        traits.cap = labeled.cap;
        let is_identical = judged.found.rule == Rule::Identical;
        let result = CanaryAnalysisResult {
            name: self.pair.name.clone(),
            tags: self.pair.tags.clone(),
            id: self.pair.id.clone(),
            classification: labeled.label,
            classification_reason: aca::reason(
                &self.pair.name,
                labeled.label,
                labeled.critical,
                is_identical,
            ),
            groups: self.groups,
            experiment_metadata: SideMetadata {
                stats: stats.experiment,
            },
            control_metadata: SideMetadata {
                stats: stats.control,
            },
            result_metadata: ratio(&judged.aligned).map(|ratio| ResultMetadata { ratio }),
            critical: labeled.critical,
            muted: policy.muted,
            explanation: Some(explanation),
        };
        (result, traits)
    }

    fn measure(&self, sides: &Pair<Side<'_>>) -> Judged<'a> {
        let policy = &self.metric.policy;
        let aligned = Aligned::of(
            self.pair,
            sides,
            Aligning {
                warmup_minutes: self.metric.warmup,
                replaces: policy.nan_strategy == NanStrategy::Replace,
            },
        );
        let minutes = match aligned.whole {
            0 => asked_minutes(sides),
            _ => aligned.minutes(),
        };
        let stance = Stance::of(self.judgement.look, minutes, self.settings.lifetime);
        let halved = if policy.direction == Direction::Either {
            0.5
        } else {
            1.0
        };
        let rates = Rates {
            false_alarm: stance.share(self.rates.false_alarm) * halved,
            false_pass: stance.share(self.rates.false_pass),
        };
        let (margins, origin) = margins::of(
            &self.pair.name,
            &self.settings,
            &self.metric,
            self.judgement.learned,
        );
        let question = values::Question {
            direction: policy.direction,
            margins,
            rates,
            stance,
        };
        let (mut found, events) = self.find(&aligned, &question);
        let is_unfit = matches!(origin, margins::Origin::Unfit(_)) && !self.settings.judges_unfit;
        if is_unfit && fails_by_itself(&found) {
            (found.finding, found.rule) = (Finding::Inconclusive, Rule::Unfit);
        }
        Judged {
            found,
            origin,
            events,
            aligned,
            stance,
            rates,
        }
    }

    fn find(&self, aligned: &Aligned, question: &values::Question) -> (Found, Option<EventCounts>) {
        if let Some(unmeasured) = unmeasured(aligned) {
            return (unmeasured, None);
        }
        let values::Question {
            direction,
            margins,
            rates,
            ..
        } = *question;
        if !events::are_counted(self.metric.kind, direction, aligned) {
            return (values::judge(question, aligned), None);
        }
        let counted = events::judge(
            &events::Question {
                margin: margins.up,
                floor: margins.floor,
                traffic_ratio: self.metric.traffic_ratio,
                level: rates.false_alarm,
                direction,
            },
            aligned,
        );
        let mut found = values::judge_events(question, aligned);
        found.p = counted.p;
        found.detectable = f64::NAN;
        found.minutes_needed = None;
        let stands = matches!(
            (found.finding, found.rule),
            (Finding::Improved | Finding::Equivalent, _) | (Finding::Regressed, Rule::Decrease)
        );
        if counted.is_alarm {
            (found.finding, found.rule) = (Finding::Regressed, Rule::MoreEvents);
        } else if !stands {
            (found.finding, found.rule) = (Finding::Inconclusive, Rule::FewEvents);
        }
        (found, Some(counted.told))
    }
}

/// Of the window that was asked for, where nothing at all came.
fn asked_minutes(sides: &Pair<Side<'_>>) -> f64 {
    let length = |side: &Side<'_>| side.told.window.map_or(0, Window::length);
    let longest = length(&sides.control).max(length(&sides.experiment));
    align::as_double(longest) / 60_000.0
}

/// As it stands, or by the policy for what is unclear.
fn fails_by_itself(found: &Found) -> bool {
    found.finding == Finding::Regressed || Openness::of(found) == Some(Openness::Unclear)
}

/// What cannot be measured, and what needs no measure.
fn unmeasured(aligned: &Aligned) -> Option<Found> {
    let counts = aligned.counts;
    let (paired, expected) = (counts.paired, counts.expected);
    if paired == 0 {
        let has_both = 0 < counts.control && 0 < counts.experiment;
        return Some(Found::nothing(if has_both {
            Rule::Misaligned
        } else {
            Rule::NoData
        }));
    }
    if align::count(paired) < 0.5 * align::count(expected) {
        return Some(Found::nothing(Rule::Gaps));
    }
    if values::are_few(paired, aligned.spacing) {
        let times = values::times_of_few(align::count(paired), aligned.spacing);
        return Some(Found {
            minutes_needed: values::minutes(aligned, times),
            ..Found::nothing(Rule::FewSamples)
        });
    }
    #[expect(clippy::float_cmp, reason = "the same means equal")]
    let is_identical = aligned
        .both
        .iter()
        .all(|both| both.control == both.experiment);
    is_identical.then(|| {
        let level = align::mean(aligned.both.iter().map(|both| both.control));
        Found {
            finding: Finding::Equivalent,
            scale: margins::Scale::Difference { level },
            mean: 0.0,
            ..Found::nothing(Rule::Identical)
        }
    })
}

/// Of the means over the pairs, where that is a number.
fn ratio(aligned: &Aligned) -> Option<f64> {
    let control = align::mean(aligned.both.iter().map(|both| both.control));
    let experiment = align::mean(aligned.both.iter().map(|both| both.experiment));
    Some(experiment / control).filter(|ratio| ratio.is_finite())
}
