//! One metric: its row, and what opens below it.

mod numbers;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use self::numbers::{MEAN, numbers, sequential_facts, test_facts};
use super::plain;
use super::words::{Fact, duration, fact};
use crate::canary::explanation::TestNumbers;
use crate::canary::sequential::Finding;
use crate::canary::{
    CanaryAnalysisResult, CanaryConfig, CanaryJudgeResult, CanaryJudgeStats, CanaryMetricConfig,
    Label, MetricSetPair, Pair, reason,
};
use crate::report::forest::{self, Place};
use crate::report::interval::{self, Interval};
use crate::report::series::{self, Series};
use crate::report::sparkline::{self, Sparkline};
use crate::report::spread::{self, Spread};

/// Characters of a unit that are shown.
const MOST_OF_UNIT: usize = 16;

/// One metric, its row and what opens below it.
#[derive(Clone, Debug)]
pub struct MetricView {
    /// Its place in the document, from 0: the address of its data.
    pub index: usize,
    pub pair_id: String,
    pub name: String,
    /// What it is measured in.
    pub unit: Option<String>,
    /// With those labels of its series by which it differs from others of the same name.
    pub distinct_name: String,
    pub tags: Vec<Fact>,
    pub groups: String,
    pub label: &'static str,
    pub class: &'static str,
    pub critical: bool,
    pub muted: bool,
    /// Why the verdict hangs on it.
    pub doubt: Option<String>,
    pub sentence: String,
    /// The same in fewer words, where the test of Kayenta's judge decided.
    pub plain: Option<String>,
    pub change: Option<String>,
    pub interval: Option<Interval>,
    pub interval_text: Option<String>,
    pub sparkline: Option<Sparkline>,
    pub spread: Option<Spread>,
    pub shift_note: Option<String>,
    pub numbers: Vec<Row>,
    pub test: Vec<Fact>,
    /// What the facts of the test are of.
    pub test_name: &'static str,
    /// `sequential-v1` could not settle it.
    pub is_open: bool,
    pub warnings: Vec<String>,
    pub queries: Vec<QueryView>,
}

impl MetricView {
    /// What stands beside its label in a table of text.
    pub const fn marks(&self) -> &'static str {
        match (self.muted, self.doubt.is_some(), self.critical) {
            (true, _, _) => " (muted)",
            (false, true, true) => " (critical, doubtful)",
            (false, true, false) => " (doubtful)",
            (false, false, true) => " (critical)",
            (false, false, false) => "",
        }
    }

    /// The means of both sides.
    pub fn means(&self) -> Option<&Row> {
        self.numbers.iter().find(|row| row.name == MEAN)
    }

    /// A sentence of it that names it, once.
    pub fn told(&self, sentence: &str) -> String {
        match place_of(&self.name, sentence) {
            Some(at) => {
                let after = at + self.name.len();
                format!(
                    "{}{}{}",
                    &sentence[..at],
                    self.distinct_name,
                    &sentence[after..]
                )
            }
            None => format!("{}: {sentence}", self.distinct_name),
        }
    }
}

/// A sentence that names what it is of.
pub fn named(name: &str, sentence: &str) -> String {
    match place_of(name, sentence) {
        Some(_) => sentence.to_owned(),
        None => format!("{name}: {sentence}"),
    }
}

/// Where a name stands as a word of its own.
fn place_of(name: &str, sentence: &str) -> Option<usize> {
    let is_word = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    let mut places = sentence.match_indices(name).map(|(at, _)| at);
    places.find(|at| {
        let before = sentence[..*at].chars().next_back();
        let after = sentence[at + name.len()..].chars().next();
        !name.is_empty() && !is_word(before) && !is_word(after)
    })
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
    pub text: Arc<str>,
    pub link: Option<Arc<str>>,
}

pub fn metrics(
    judged: &CanaryJudgeResult,
    config: Option<&CanaryConfig>,
    pairs: Option<&[MetricSetPair]>,
) -> Vec<MetricView> {
    let configured = |name: &str| {
        let mut metrics = config?.metrics.iter().flatten();
        metrics.find(|metric| metric.name.as_deref() == Some(name))
    };
    let mut ordered: Vec<(usize, &CanaryAnalysisResult)> =
        judged.results.iter().enumerate().collect();
    ordered.sort_by_key(|(index, result)| (rank(result), *index));
    let alike = alike(&judged.results);
    ordered
        .into_iter()
        .map(|(index, result)| MetricView {
            doubt: reason::of_metric(result, judged),
            distinct_name: distinct_name(result, &alike),
            ..metric(
                index,
                result,
                configured(&result.name),
                pair_of(index, result, pairs),
            )
        })
        .collect()
}

fn alike(results: &[CanaryAnalysisResult]) -> HashMap<&str, Vec<&CanaryAnalysisResult>> {
    let mut alike: HashMap<&str, Vec<&CanaryAnalysisResult>> = HashMap::new();
    for result in results {
        alike.entry(&result.name).or_default().push(result);
    }
    alike
}

fn distinct_name(
    result: &CanaryAnalysisResult,
    alike: &HashMap<&str, Vec<&CanaryAnalysisResult>>,
) -> String {
    let others = alike.get(result.name.as_str());
    let others = others.map(Vec::as_slice).unwrap_or_default();
    let tags = result.tags.iter();
    let differs = |name: &str, value: &str| {
        let mut others = others.iter();
        others.any(|other| other.tags.get(name).is_none_or(|other| other != value))
    };
    let telling: Vec<String> = tags
        .filter(|(name, value)| differs(name, value))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    match telling.as_slice() {
        [] => result.name.clone(),
        telling => format!("{} {{{}}}", result.name, telling.join(", ")),
    }
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

fn metric(
    index: usize,
    result: &CanaryAnalysisResult,
    configured: Option<&CanaryMetricConfig>,
    pair: Option<&MetricSetPair>,
) -> MetricView {
    let unit = configured.and_then(|metric| metric.unit.as_deref());
    let unit = unit.map(|unit| unit.chars().take(MOST_OF_UNIT).collect::<String>());
    let unit = unit.as_deref().filter(|unit| !unit.trim().is_empty());
    let told = result.explanation.as_ref();
    let test = told.and_then(|told| told.test.as_ref());
    let sequential = forest::found(result);
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
        unit: unit.map(str::to_owned),
        distinct_name: result.name.clone(),
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
        doubt: None,
        plain: plain::sentence(result, unit),
        sentence: match (told, &result.classification_reason) {
            (Some(told), _) => told.sentence.clone(),
            (None, Some(reason)) if !reason.is_empty() => reason.clone(),
            (None, _) => compared(stats, unit),
        },
        change: match sequential {
            Some(found) => found.change.estimate.map(|_| forest::change(found)),
            None => change(result, stats, test, unit),
        },
        interval: match sequential {
            Some(found) => interval::against_margin(found),
            None => test.and_then(interval::draw),
        },
        interval_text: match sequential {
            Some(found) => Some(format!(
                "{}: {}",
                forest::change(found),
                Place::of(found).word()
            )),
            None => test.map(|test| {
                let [lower, upper] = [test.lower, test.upper].map(|it| plain::signed(it, unit));
                format!("{lower} to {upper}")
            }),
        },
        sparkline: sides.as_ref().and_then(sparkline::draw),
        spread: sides.as_ref().and_then(spread::draw),
        shift_note: sides.as_ref().and_then(shift_note),
        numbers: numbers(stats, told.map(|told| told.points), unit),
        test: match sequential {
            Some(found) => sequential_facts(found),
            None => test.map(|test| test_facts(test, unit)).unwrap_or_default(),
        },
        test_name: match sequential {
            Some(_) => "Against the margin",
            None => "Mann-Whitney test",
        },
        is_open: sequential.is_some_and(|found| found.verdict == Finding::Inconclusive),
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

pub const fn label(label: Label) -> (&'static str, &'static str) {
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
fn compared(stats: Pair<CanaryJudgeStats>, unit: Option<&str>) -> String {
    match (stats.control.count, stats.experiment.count) {
        (0, 0) => "No data on either side".to_owned(),
        (0, _) => "No data on the control side".to_owned(),
        (_, 0) => "No data on the experiment side".to_owned(),
        _ => format!(
            "{} on average in the control, {} in the experiment",
            plain::quantity(stats.control.mean, unit),
            plain::quantity(stats.experiment.mean, unit)
        ),
    }
}

fn change(
    result: &CanaryAnalysisResult,
    stats: Pair<CanaryJudgeStats>,
    test: Option<&TestNumbers>,
    unit: Option<&str>,
) -> Option<String> {
    let both_positive = 0.0 < stats.control.mean && 0.0 < stats.experiment.mean;
    let ratio = result.result_metadata.map(|found| found.ratio);
    match ratio.filter(|ratio| both_positive && ratio.is_finite()) {
        Some(ratio) => Some(plain::percent(ratio)),
        None if stats.control.count == 0 || stats.experiment.count == 0 => None,
        None => test.map(|test| plain::signed(test.estimate, unit)),
    }
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
