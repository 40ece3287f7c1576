//! What is wrong with a canary config, and what is doubtful, before anything is judged by it.

mod calibration;
mod code;
mod faults;
mod groups;
mod members;
mod policy;
mod queries;
mod sequential;
mod series;
mod text;
mod variables;
mod wrapped;

use serde::Serialize;
use utoipa::ToSchema;

pub use code::{Code, Severity};
pub use sequential::judges as takes_margins;
pub use text::{Format, Text, position_in_yaml};

use crate::budget::Budget;
use crate::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryScope, Pair, Path, Position, fault,
};
use crate::config::Config;
use crate::error::Result;
use crate::metrics::MetricSource;
use crate::run::configs;
pub use crate::run::learned::Calibrated;

/// More are not read by anybody at once, and each is looked up in the whole text.
const MOST_FINDINGS: usize = 100;

/// What is known of the canaries that a config is for; it stands in requests, not in the config.
#[derive(Clone, Debug)]
pub struct Given {
    /// Seconds between two points.
    pub step: i64,
    pub duration_minutes: Option<i64>,
    /// How often a client asks for a canary of its own meanwhile, which knows nothing of the others.
    pub interval_minutes: Option<i64>,
    pub thresholds: CanaryClassifierThresholdsConfig,
    /// Without them, templates are filled in with names that are made up.
    pub scopes: Option<Pair<CanaryScope>>,
    /// Without it, nobody was asked.
    pub calibrated: Option<Calibrated>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            step: 60,
            duration_minutes: None,
            interval_minutes: None,
            thresholds: CanaryClassifierThresholdsConfig::default(),
            scopes: None,
            calibrated: None,
        }
    }
}

/// One thing that is wrong or doubtful.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Finding {
    pub code: Code,
    pub severity: Severity,
    #[schema(example = "metrics[2].query.customInlineTemplate")]
    pub path: String,
    /// From 1.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    pub sentence: String,
    /// What to do about it.
    pub fix: String,
}

/// Everything that can be told from the text alone, in its order. Of a request, a stage or a
/// manifest, the config in it is meant.
pub fn lint(own: &Config, written: &str, format: Format, given: &Given) -> Vec<Finding> {
    let texts = match Text::read(written, format) {
        Err(finding) => return vec![finding],
        Ok(texts) => texts,
    };
    let found = texts.iter().flat_map(|text| {
        let (canary, mut found) = examined(own, text);
        let given = text.given(given);
        found.extend(canary.iter().flat_map(|canary| checks(own, canary, &given)));
        placed(text, found)
    });
    found.collect()
}

/// What [`configs::examine`] does not tell of a config.
pub fn doubts(own: &Config, text: &Text, given: &Given) -> Vec<Finding> {
    match examined(own, text) {
        (Some(canary), _) => placed(text, checks(own, &canary, given)),
        (None, _) => Vec::new(),
    }
}

/// The one config of a text; none where the lint says why, or where there are several.
pub fn one(written: &str, format: Format) -> Option<Text> {
    if format == Format::Json {
        return Some(Text::config(written));
    }
    let texts = Text::read(written, format).ok()?;
    <[Text; 1]>::try_from(texts).ok().map(|[text]| text)
}

/// What is to be said of the margins of a config.
pub fn of_margins(canary: &CanaryConfig, calibrated: Option<&Calibrated>) -> Vec<String> {
    let found = calibration::check(canary, calibrated).into_iter();
    found
        .map(|found| format!("{}: {} — {}", found.path, found.sentence, found.fix))
        .collect()
}

/// The config that is written there, as a client would send it; none where the lint says why, or
/// where there are several.
pub fn config(written: &str, format: Format) -> Option<CanaryConfig> {
    fault::read(only(written, format)?.as_bytes()).ok()
}

/// The one config that is written there, in JSON.
pub fn only(written: &str, format: Format) -> Option<String> {
    match Text::read(written, format).ok()?.as_slice() {
        [text] => Some(text.json().to_owned()),
        _ => None,
    }
}

/// Also whether each side has series where they come from; `given` must have scopes with times.
///
/// # Errors
/// `Fetch` when the source does not answer.
pub async fn lint_with_series(
    own: &Config,
    written: &str,
    format: Format,
    given: &Given,
    source: &dyn MetricSource,
    budget: &Budget,
) -> Result<Vec<Finding>> {
    let texts = match Text::read(written, format) {
        Err(finding) => return Ok(vec![finding]),
        Ok(texts) => texts,
    };
    let mut findings = Vec::new();
    for text in texts {
        let (canary, mut found) = examined(own, &text);
        if let Some(canary) = &canary {
            found.extend(checks(own, canary, &text.given(given)));
            found.extend(series::check(own, canary, given, source, budget).await?);
        }
        findings.extend(placed(&text, found));
    }
    Ok(findings)
}

/// What is told of a value of the config.
#[derive(Debug, PartialEq)]
struct Found {
    code: Code,
    severity: Severity,
    path: Path,
    /// Where the path does not say it.
    position: Option<Position>,
    /// Where in the text there, in characters from 0.
    within: Option<usize>,
    sentence: String,
    fix: String,
}

impl Found {
    fn new(code: Code, path: Path, sentence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            code,
            severity: code.severity(),
            path,
            position: None,
            within: None,
            sentence: sentence.into(),
            fix: fix.into(),
        }
    }
}

/// The config, if it can be read, and why it would be refused.
fn examined(own: &Config, text: &Text) -> (Option<CanaryConfig>, Vec<Found>) {
    let (canary, refusals) = configs::examine(own, text.json());
    let found = refusals.into_iter();
    let found = found.map(|refusal| faults::told(text, canary.as_ref(), refusal));
    let found = found.collect();
    (canary, found)
}

fn checks(own: &Config, canary: &CanaryConfig, given: &Given) -> Vec<Found> {
    let mut found = members::check(canary);
    found.extend(policy::check(canary));
    found.extend(sequential::check(canary));
    found.extend(sequential::looks(canary, given));
    found.extend(groups::check(canary, given));
    found.extend(calibration::check(canary, given.calibrated.as_ref()));
    found.extend(queries::check(own, canary, given));
    found
}

/// In the order of the text; of too many, the worst.
fn placed(text: &Text, mut found: Vec<Found>) -> Vec<Finding> {
    found.sort_by_key(|found| found.severity);
    found.truncate(MOST_FINDINGS);
    let mut findings: Vec<Finding> = found
        .into_iter()
        .map(|found| {
            let within = found.within;
            let within = within.and_then(|at| text.position_within(&found.path, at));
            let position = found.position.or(within);
            let position = position.or_else(|| text.position(&found.path));
            Finding {
                code: found.code,
                severity: found.severity,
                path: text.path(&found.path).to_string(),
                line: position.map(|position| position.line),
                column: position.map(|position| position.column),
                sentence: found.sentence,
                fix: found.fix,
            }
        })
        .collect();
    // A template that several metrics name is told of once.
    findings.sort_by_key(|finding| (finding.line, finding.column, finding.severity));
    findings.dedup();
    findings
}
