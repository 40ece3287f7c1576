//! One run as it is shown: every text ready, in the order in which it is read.

use std::cmp::Reverse;

use super::interval::{self, Interval};
use super::series::{self, Series};
use super::sparkline::{self, Sparkline};
use super::spread::{self, Spread};
use crate::canary::explanation::{EffectMeasure, GroupCost, Points, TestNumbers};
use crate::canary::number::{number, percent};
use crate::canary::{
    CanaryAnalysisResult, CanaryClassifierThresholdsConfig, CanaryExecutionStatusResponse,
    CanaryJudgeResult, CanaryJudgeStats, CanaryScope, Instant, Label, MetricSetPair, Outcome, Pair,
    StageException,
};

/// All that is told of one run.
#[derive(Clone, Debug)]
pub struct RunView {
    pub id: String,
    pub application: String,
    pub config_name: String,
    /// Of a config that is stored.
    pub config_id: Option<String>,
    pub outcome: Outcome,
    pub score: Option<String>,
    /// Why the verdict is what it is.
    pub sentence: String,
    pub not_judged: Option<String>,
    pub failure: Option<FailureView>,
    pub thresholds: Option<Thresholds>,
    pub scopes: Vec<ScopeView>,
    pub facts: Vec<Fact>,
    pub started: Option<Moment>,
    pub duration: Option<String>,
    pub groups: Vec<GroupView>,
    pub bar: Vec<Segment>,
    /// What the groups add up to is not the score.
    pub bar_note: Option<String>,
    pub metrics: Vec<MetricView>,
    pub steps: Vec<StepView>,
    /// The series are there, to be drawn and downloaded.
    pub has_series: bool,
}

/// A point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    pub iso: String,
    /// `2026-11-21 16:00:00`, in UTC.
    pub text: String,
}

impl Moment {
    pub fn of_millis(millis: i64) -> Option<Self> {
        Instant::from_millis(millis).map(Self::of)
    }

    pub fn of(instant: Instant) -> Self {
        Self {
            iso: instant.to_string(),
            text: instant.0.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct FailureView {
    /// Which step it was, in plain words.
    pub step: &'static str,
    pub message: String,
    pub facts: Vec<Fact>,
}

#[derive(Clone, Debug)]
pub struct Thresholds {
    pub pass: String,
    pub marginal: String,
    /// Where they lie on the bar of the groups.
    pub pass_at: f64,
    pub marginal_at: f64,
}

#[derive(Clone, Debug)]
pub struct ScopeView {
    pub name: String,
    pub control: SideView,
    pub experiment: SideView,
}

#[derive(Clone, Debug, Default)]
pub struct SideView {
    pub scope: String,
    pub location: String,
    pub start: Option<Moment>,
    pub end: Option<Moment>,
    pub step: String,
    pub params: Vec<Fact>,
}

/// A name with what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub name: String,
    pub value: String,
}

#[derive(Clone, Debug)]
pub struct GroupView {
    pub name: String,
    pub weight: String,
    pub earned: String,
    pub cost: String,
    pub is_whole: bool,
    /// None of its metrics could be judged: it earned nothing and cost nothing.
    pub is_unjudged: bool,
    pub passed: u64,
    pub failed: u64,
    pub not_judged: u64,
}

/// A part of the bar whose whole is 100 points.
#[derive(Clone, Debug)]
pub struct Segment {
    pub left: f64,
    pub width: f64,
    /// `earned`, with an odd or even number, `unjudged` or `lost`.
    pub class: &'static str,
    pub title: String,
}

/// One metric, its row and what opens below it.
#[derive(Clone, Debug)]
pub struct MetricView {
    /// Its place in the document, from 0: the address of its data.
    pub index: usize,
    pub pair_id: String,
    pub name: String,
    pub tags: Vec<Fact>,
    pub groups: String,
    pub label: &'static str,
    pub class: &'static str,
    pub critical: bool,
    pub muted: bool,
    pub sentence: String,
    pub change: Option<String>,
    pub interval: Option<Interval>,
    pub interval_text: Option<String>,
    pub sparkline: Option<Sparkline>,
    pub spread: Option<Spread>,
    pub shift_note: Option<String>,
    pub numbers: Vec<Row>,
    pub test: Vec<Fact>,
    pub warnings: Vec<String>,
    pub queries: Vec<QueryView>,
}

/// A number of both sides.
#[derive(Clone, Debug)]
pub struct Row {
    pub name: &'static str,
    pub control: String,
    pub experiment: String,
}

#[derive(Clone, Debug)]
pub struct QueryView {
    pub side: &'static str,
    pub text: String,
    pub link: Option<String>,
}

/// A step of a run, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepView {
    pub name: &'static str,
    pub key: &'static str,
    pub done: usize,
    pub of: usize,
    pub state: &'static str,
}

/// Without `pairs`, a run is told without its series.
pub fn run(canary: &CanaryExecutionStatusResponse, pairs: Option<&[MetricSetPair]>) -> RunView {
    let judged = canary
        .result
        .as_ref()
        .and_then(|result| result.judge_result.as_ref());
    let outcome = Outcome::of_canary(canary);
    let config = canary.config.as_ref();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let summary = judged.and_then(|judged| judged.summary.as_ref());
    let groups = judged
        .map(|judged| groups(canary, judged))
        .unwrap_or_default();
    let bar = bar(&groups);
    RunView {
        id: text(&canary.pipeline_id),
        application: text(&canary.application),
        config_name: config
            .and_then(|config| config.name.clone())
            .unwrap_or_default(),
        config_id: stored_config(canary.canary_config_id.as_deref()),
        outcome,
        score: judged.map(|judged| number_of_score(judged.score.score)),
        sentence: sentence(canary, judged, outcome),
        not_judged: summary
            .filter(|summary| 0 < summary.not_judged)
            .map(|summary| {
                let (some, all) = (summary.not_judged, summary.metrics);
                format!("{some} of {all} metrics could not be judged")
            }),
        failure: canary.exception.as_ref().map(failure),
        thresholds: thresholds(canary),
        scopes: scopes(canary),
        facts: facts(canary, judged),
        started: canary
            .start_time_millis
            .or(canary.build_time_millis)
            .and_then(Moment::of_millis),
        duration: duration(canary.start_time_millis, canary.end_time_millis),
        bar_note: judged.and_then(|judged| bar_note(judged, &groups)),
        groups: groups.iter().map(group).collect(),
        bar,
        metrics: judged
            .map(|judged| metrics(judged, pairs))
            .unwrap_or_default(),
        steps: steps(canary),
        has_series: pairs.is_some(),
    }
}

/// The id of a config that came with its run is none that could be found.
pub fn stored_config(id: Option<&str>) -> Option<String> {
    id.filter(|id| !["", "ad-hoc"].contains(id))
        .map(str::to_owned)
}

fn sentence(
    canary: &CanaryExecutionStatusResponse,
    judged: Option<&CanaryJudgeResult>,
    outcome: Outcome,
) -> String {
    if let Some(judged) = judged {
        if let Some(summary) = &judged.summary {
            return summary.sentence.clone();
        }
        let reason = &judged.score.classification_reason;
        if !reason.is_empty() {
            return reason.clone();
        }
        let score = number_of_score(judged.score.score);
        return format!("{} gave a score of {score}", judged.judge_name);
    }
    match outcome {
        Outcome::Waiting => "It waits for its turn".to_owned(),
        Outcome::Running => "Its series are being fetched and judged".to_owned(),
        Outcome::Canceled => "It was canceled, and has no verdict".to_owned(),
        _ if canary.exception.is_some() => "It could not be judged, and has no verdict".to_owned(),
        _ => "It has no verdict".to_owned(),
    }
}

/// What went wrong, by the step in which it did.
pub fn failure(exception: &StageException) -> FailureView {
    let step = match exception.operation.as_deref().unwrap_or_default() {
        "setupCanary" => "while setting up",
        "prometheusFetch" => "while fetching a metric",
        "metricSetMixer" => "while putting both sides together",
        "canaryJudge" => "while judging",
        operation if operation.ends_with("Fetch") => "while fetching a metric",
        _ => "while it ran",
    };
    let details = &exception.details;
    let texts = details.get("errors").and_then(|errors| errors.as_array());
    let texts = texts
        .into_iter()
        .flatten()
        .filter_map(|error| error.as_str());
    let mut message = texts.collect::<Vec<_>>().join("\n");
    if message.is_empty() {
        let error = details.get("error").and_then(|error| error.as_str());
        error.unwrap_or("no more is known").clone_into(&mut message);
    }
    let fact = |name: &str, member: &str| {
        let value = match details.get(member)? {
            serde_json::Value::String(text) if text.is_empty() => return None,
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some(Fact {
            name: name.to_owned(),
            value,
        })
    };
    let facts = [
        fact("Account", "account"),
        fact("Query", "query"),
        fact("URL", "url"),
        fact("Status", "status"),
    ];
    FailureView {
        step,
        message,
        facts: facts.into_iter().flatten().collect(),
    }
}

fn thresholds(canary: &CanaryExecutionStatusResponse) -> Option<Thresholds> {
    thresholds_of(canary.canary_execution_request.as_ref()?.thresholds?)
}

pub fn thresholds_of(thresholds: CanaryClassifierThresholdsConfig) -> Option<Thresholds> {
    let (pass, marginal) = (thresholds.pass?, thresholds.marginal?);
    Some(Thresholds {
        pass: number(pass),
        marginal: number(marginal),
        pass_at: pass.clamp(0.0, 100.0),
        marginal_at: marginal.clamp(0.0, 100.0),
    })
}

fn scopes(canary: &CanaryExecutionStatusResponse) -> Vec<ScopeView> {
    let request = canary.canary_execution_request.as_ref();
    let scopes = request.and_then(|request| request.scopes.as_ref());
    let scopes = scopes.into_iter().flatten();
    scopes
        .map(|(name, pair)| ScopeView {
            name: name.clone(),
            control: pair.control_scope.as_ref().map(side).unwrap_or_default(),
            experiment: pair.experiment_scope.as_ref().map(side).unwrap_or_default(),
        })
        .collect()
}

fn side(scope: &CanaryScope) -> SideView {
    let params = scope.extended_scope_params.iter().flatten();
    SideView {
        scope: scope.scope.clone().unwrap_or_default(),
        location: scope.location.clone().unwrap_or_default(),
        start: scope.start.map(Moment::of),
        end: scope.end.map(Moment::of),
        step: scope
            .step
            .map(|step| format!("{step}\u{a0}s"))
            .unwrap_or_default(),
        params: params.map(|(name, value)| fact(name, value)).collect(),
    }
}

fn fact(name: &str, value: &str) -> Fact {
    Fact {
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

fn facts(canary: &CanaryExecutionStatusResponse, judged: Option<&CanaryJudgeResult>) -> Vec<Fact> {
    let configured = canary
        .config
        .as_ref()
        .and_then(|config| config.judge.as_ref()?.name.clone());
    let judge = judged
        .map(|judged| judged.judge_name.clone())
        .or(configured);
    let optional = [
        ("Judge", judge),
        ("Metrics account", canary.metrics_account_name.clone()),
        ("Storage account", canary.storage_account_name.clone()),
        (
            "Pipeline execution",
            canary.parent_pipeline_execution_id.clone(),
        ),
    ];
    let notes = canary
        .canary_execution_request
        .iter()
        .flat_map(|request| request.metadata.iter().flatten());
    let notes = notes
        .filter(|note| !note.hidden)
        .map(|note| fact(&note.name, &note.value));
    optional
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| fact(name, &value)))
        .chain(notes)
        .collect()
}

/// From start to end: `1.2 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(start: Option<i64>, end: Option<i64>) -> Option<String> {
    let millis = end?.checked_sub(start?)?;
    let seconds = millis / 1_000;
    Some(match seconds {
        0 => format!("{millis} ms"),
        1..10 => format!("{seconds}.{} s", millis % 1_000 / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
    })
}

/// From the summary; without one, from the scores of the groups and the weights of the config.
fn groups(canary: &CanaryExecutionStatusResponse, judged: &CanaryJudgeResult) -> Vec<GroupCost> {
    if let Some(summary) = &judged.summary {
        return summary.groups.clone();
    }
    let classifier = canary
        .config
        .as_ref()
        .and_then(|config| config.classifier.as_ref());
    let weights = classifier.and_then(|classifier| classifier.group_weights.clone());
    let weights = weights.unwrap_or_default();
    let given: f64 = weights.values().sum();
    let others = judged
        .group_scores
        .iter()
        .filter(|group| !weights.contains_key(&group.name));
    let share = (100.0 - given).max(0.0)
        / u32::try_from(others.count())
            .map_or(1.0, f64::from)
            .max(1.0);
    let scores = judged.group_scores.iter();
    scores
        .map(|group| {
            let weight = weights.get(&group.name).copied().unwrap_or(share);
            let of = |wanted: fn(Label) -> bool| {
                let results = judged.results.iter();
                let in_group = results.filter(|result| result.groups.contains(&group.name));
                let counted =
                    in_group.filter(|result| !result.muted && wanted(result.classification));
                counted.count() as u64
            };
            GroupCost {
                name: group.name.clone(),
                weight,
                cost: weight * (100.0 - group.score) / 100.0,
                passed: of(|label| label == Label::Pass),
                failed: of(|label| {
                    matches!(label, Label::High | Label::Low | Label::NodataFailMetric)
                }),
                not_judged: of(|label| matches!(label, Label::Nodata | Label::Error)),
            }
        })
        .collect()
}

fn group(group: &GroupCost) -> GroupView {
    GroupView {
        name: group.name.clone(),
        weight: number(group.weight),
        earned: number(group.weight - group.cost),
        cost: number(group.cost),
        is_whole: group.cost <= 0.0,
        is_unjudged: is_unjudged(group),
        passed: group.passed,
        failed: group.failed,
        not_judged: group.not_judged,
    }
}

/// What was earned from the left, so that its end is the score; then what was lost.
fn bar(groups: &[GroupCost]) -> Vec<Segment> {
    let mut left = 0.0;
    let mut segments = Vec::new();
    let mut add = |points: f64, class: &'static str, title: String| {
        if 0.0 < points && left < 100.0 {
            let width = points.min(100.0 - left);
            segments.push(Segment {
                left: hundredth(left),
                width: hundredth(width),
                class,
                title,
            });
            left += width;
        }
    };
    for (index, group) in groups.iter().enumerate() {
        let earned = group.weight - group.cost;
        let class = match index % 2 {
            _ if is_unjudged(group) => "unjudged",
            0 => "earned odd",
            _ => "earned even",
        };
        let title = format!(
            "{}: {} of {}",
            group.name,
            number(earned),
            number(group.weight)
        );
        add(earned, class, title);
    }
    for group in groups {
        let title = format!("{} cost {}", group.name, number(group.cost));
        add(group.cost, "lost", title);
    }
    segments
}

fn is_unjudged(group: &GroupCost) -> bool {
    group.passed + group.failed == 0
}

fn bar_note(judged: &CanaryJudgeResult, groups: &[GroupCost]) -> Option<String> {
    let sum: f64 = groups.iter().map(|group| group.weight - group.cost).sum();
    let score = judged.score.score;
    let differs = 0.02 < (sum - score).abs();
    (differs && !groups.is_empty()).then(|| {
        format!(
            "The groups alone add up to {}; the score was set to {} by the rule above.",
            number(hundredth(sum)),
            number_of_score(score)
        )
    })
}

fn metrics(judged: &CanaryJudgeResult, pairs: Option<&[MetricSetPair]>) -> Vec<MetricView> {
    let mut ordered: Vec<(usize, &CanaryAnalysisResult)> =
        judged.results.iter().enumerate().collect();
    ordered.sort_by_key(|(index, result)| (rank(result), *index));
    ordered
        .into_iter()
        .map(|(index, result)| metric(index, result, pair_of(index, result, pairs)))
        .collect()
}

/// The pair of a result: by its id, else by its place.
pub fn pair_of<'a>(
    index: usize,
    result: &CanaryAnalysisResult,
    pairs: Option<&'a [MetricSetPair]>,
) -> Option<&'a MetricSetPair> {
    let pairs = pairs?;
    let by_id = pairs
        .iter()
        .find(|pair| !result.id.is_empty() && pair.id == result.id);
    by_id.or_else(|| pairs.get(index).filter(|pair| pair.name == result.name))
}

/// What failed comes first, and of that, what failed the canary alone.
fn rank(result: &CanaryAnalysisResult) -> (bool, u8, Reverse<bool>) {
    let order = match result.classification {
        Label::High | Label::Low if result.critical => 0,
        Label::Nodata | Label::NodataFailMetric | Label::Error if result.critical => 1,
        Label::High | Label::Low => 2,
        Label::NodataFailMetric => 3,
        Label::Nodata => 4,
        Label::Error => 5,
        Label::Pass => 6,
    };
    let has_warnings = result
        .explanation
        .as_ref()
        .is_some_and(|told| !told.warnings.is_empty());
    (result.muted, order, Reverse(has_warnings))
}

fn metric(index: usize, result: &CanaryAnalysisResult, pair: Option<&MetricSetPair>) -> MetricView {
    let told = result.explanation.as_ref();
    let test = told.and_then(|told| told.test.as_ref());
    let sides = pair.map(series::of);
    let (label, class) = label(result.classification);
    let stats = Pair {
        control: result.control_metadata.stats,
        experiment: result.experiment_metadata.stats,
    };
    let queries = told.and_then(|told| told.queries.as_ref());
    let queries = queries.into_iter().flat_map(|queries| {
        [
            ("Control", &queries.control),
            ("Experiment", &queries.experiment),
        ]
    });
    MetricView {
        index,
        pair_id: result.id.clone(),
        name: result.name.clone(),
        tags: result
            .tags
            .iter()
            .map(|(name, value)| fact(name, value))
            .collect(),
        groups: result.groups.join(", "),
        label,
        class: if result.critical && class != "pass" {
            "fail"
        } else {
            class
        },
        critical: result.critical,
        muted: result.muted,
        sentence: match (told, &result.classification_reason) {
            (Some(told), _) => told.sentence.clone(),
            (None, Some(reason)) if !reason.is_empty() => reason.clone(),
            (None, _) => compared(stats),
        },
        change: change(result, stats, test),
        interval: test.and_then(interval::draw),
        interval_text: test.map(|test| format!("{} to {}", number(test.lower), number(test.upper))),
        sparkline: sides.as_ref().and_then(sparkline::draw),
        spread: sides.as_ref().and_then(spread::draw),
        shift_note: sides.as_ref().and_then(shift_note),
        numbers: numbers(stats, told.map(|told| told.points)),
        test: test.map(test_facts).unwrap_or_default(),
        warnings: told
            .map(|told| {
                told.warnings
                    .iter()
                    .map(|warning| warning.sentence.clone())
                    .collect()
            })
            .unwrap_or_default(),
        queries: queries
            .filter(|(_, query)| !query.text.is_empty())
            .map(|(side, query)| QueryView {
                side,
                text: query.text.clone(),
                link: query.link.clone().filter(|link| is_web_address(link)),
            })
            .collect(),
    }
}

/// A link of a document could be anything; a script is none.
fn is_web_address(link: &str) -> bool {
    link.starts_with("http://") || link.starts_with("https://")
}

const fn label(label: Label) -> (&'static str, &'static str) {
    match label {
        Label::Pass => ("Pass", "pass"),
        Label::High => ("High", "fail"),
        Label::Low => ("Low", "fail"),
        Label::NodataFailMetric => ("No data, fails", "fail"),
        Label::Nodata => ("No data", "nodata"),
        Label::Error => ("Error", "error"),
    }
}

/// Of a result that nobody explained.
fn compared(stats: Pair<CanaryJudgeStats>) -> String {
    match (stats.control.count, stats.experiment.count) {
        (0, 0) => "No data on either side".to_owned(),
        (0, _) => "No data on the control side".to_owned(),
        (_, 0) => "No data on the experiment side".to_owned(),
        _ => format!(
            "{} on average in the control, {} in the experiment",
            number(stats.control.mean),
            number(stats.experiment.mean)
        ),
    }
}

fn change(
    result: &CanaryAnalysisResult,
    stats: Pair<CanaryJudgeStats>,
    test: Option<&TestNumbers>,
) -> Option<String> {
    let both_positive = 0.0 < stats.control.mean && 0.0 < stats.experiment.mean;
    let ratio = result.result_metadata.map(|found| found.ratio);
    match ratio.filter(|ratio| both_positive && ratio.is_finite()) {
        Some(ratio) => Some(percent(ratio)),
        None if stats.control.count == 0 || stats.experiment.count == 0 => None,
        None => test.map(|test| signed(test.estimate)),
    }
}

fn signed(value: f64) -> String {
    let sign = if 0.0 < value { "+" } else { "" };
    format!("{sign}{}", number(value))
}

/// Sides of different times lie over each other in a chart.
fn shift_note(sides: &Pair<Series>) -> Option<String> {
    let shift = sides
        .experiment
        .start()?
        .saturating_sub(sides.control.start()?);
    let is_other_window = sides.experiment.step.max(sides.control.step) < shift.saturating_abs();
    is_other_window.then(|| {
        let long = duration(Some(0), Some(shift.saturating_abs())).unwrap_or_default();
        let way = if 0 < shift { "later" } else { "earlier" };
        format!("The control is drawn {long} {way} than it was, to lie under the experiment.")
    })
}

fn numbers(stats: Pair<CanaryJudgeStats>, points: Option<Pair<Points>>) -> Vec<Row> {
    let row = |name, of: fn(&CanaryJudgeStats) -> f64| Row {
        name,
        control: number(of(&stats.control)),
        experiment: number(of(&stats.experiment)),
    };
    let mut rows = vec![
        Row {
            name: "Points judged",
            control: stats.control.count.to_string(),
            experiment: stats.experiment.count.to_string(),
        },
        row("Mean", |side| side.mean),
        row("Standard deviation", |side| side.std),
        row("Least", |side| side.min),
        row("Greatest", |side| side.max),
    ];
    if let Some(points) = points {
        let count = |name, of: fn(&Points) -> u64| Row {
            name,
            control: of(&points.control).to_string(),
            experiment: of(&points.experiment).to_string(),
        };
        rows.push(count("Points", |side| side.total));
        rows.push(count("Missing or NaN", |side| side.nan));
        rows.push(count("Outliers dropped", |side| side.outliers));
        let fences = |side: &Points| {
            side.fences
                .map(|fences| format!("{} to {}", number(fences.lower), number(fences.upper)))
        };
        if let (Some(control), Some(experiment)) =
            (fences(&points.control), fences(&points.experiment))
        {
            rows.push(Row {
                name: "Outliers lie beyond",
                control,
                experiment,
            });
        }
    }
    rows
}

fn test_facts(test: &TestNumbers) -> Vec<Fact> {
    let effect = &test.effect_size;
    let measure = match effect.measure {
        EffectMeasure::MeanRatio => "Effect: ratio of the means",
        EffectMeasure::Cles => "Effect: CLES",
    };
    let level = format!("Interval ({} %)", number(test.confidence_level * 100.0));
    let mut facts = vec![
        fact("Shift, estimated", &signed(test.estimate)),
        fact(
            &level,
            &format!("{} to {}", number(test.lower), number(test.upper)),
        ),
        fact("Must lie beyond", &format!("±{}", number(test.bound.abs()))),
        fact(measure, &number(effect.value)),
        fact("An increase counts from", &number(effect.allowed_increase)),
        fact("A decrease counts below", &number(effect.allowed_decrease)),
    ];
    if test.with_noise {
        facts.push(fact(
            "Noise",
            "added before the test, as both sides are constant",
        ));
    }
    facts
}

/// What a run has to do, as its stages tell.
pub fn steps(canary: &CanaryExecutionStatusResponse) -> Vec<StepView> {
    let step = |name, key, prefix: &str| {
        let states: Vec<&str> = canary
            .stage_status
            .iter()
            .filter(|(stage, _)| stage.starts_with(prefix))
            .map(|(_, state)| state.as_str())
            .collect();
        let done = states.iter().filter(|state| **state == "succeeded").count();
        let any = |wanted: &str| states.contains(&wanted);
        let state = if any("terminal") {
            "failed"
        } else if any("canceled") {
            "canceled"
        } else if !states.is_empty() && done == states.len() {
            "done"
        } else if any("running") || 0 < done {
            "running"
        } else {
            "waiting"
        };
        StepView {
            name,
            key,
            done,
            of: states.len(),
            state,
        }
    };
    let all = [
        step("Set up", "setupContext", "setupContext"),
        step("Fetch the control", "fetchControl", "fetchControl"),
        step("Fetch the experiment", "fetchExperiment", "fetchExperiment"),
        step("Put both together", "mixMetrics", "mixMetrics"),
        step("Judge", "judge", "judge"),
    ];
    all.into_iter().filter(|step| 0 < step.of).collect()
}

/// Two decimals at most.
pub fn number_of_score(score: f64) -> String {
    if !score.is_finite() {
        return "not a number".to_owned();
    }
    let text = format!("{score:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn hundredth(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
