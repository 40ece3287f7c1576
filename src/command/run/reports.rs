//! What a run leaves behind: `JUnit`, Markdown, JSON, HTML.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::ending::Ending;
use crate::canary::{Kind, Outcome, iso_from_millis};
use crate::command::client::{Client, is_standard};
use crate::command::exit::Usage;
use crate::command::tell;
use crate::escape;
use crate::report::view::{MetricView, Moment, ScopeView, SideView};

/// What GitHub takes for a comment.
const MARKDOWN_BYTES: usize = 65_000;

/// Of an analysis, the last ones, and of a failure its beginning: the metrics want room too.
const JUDGEMENTS: usize = 50;
const MESSAGE_CHARACTERS: usize = 4_000;
const FACT_CHARACTERS: usize = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Junit,
    Markdown,
    Json,
    Html,
}

impl Format {
    const ALL: [(&'static str, Self); 4] = [
        ("junit", Self::Junit),
        ("markdown", Self::Markdown),
        ("json", Self::Json),
        ("html", Self::Html),
    ];

    pub fn parse(name: &str) -> Result<Self, Usage> {
        let found = Self::ALL.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, format)| format).ok_or_else(|| {
            Usage(format!(
                "'{name}' is no report; junit, markdown, json and html are, as in --report junit=canary.xml"
            ))
        })
    }
}

pub async fn write(
    ending: &Ending,
    format: Format,
    file: &Path,
    client: &Client,
) -> anyhow::Result<()> {
    let text = match format {
        Format::Junit => junit(ending).to_string()?,
        Format::Markdown => markdown(ending),
        Format::Json => format!("{:#}\n", ending.document),
        Format::Html => html(ending, client).await?,
    };
    let text = escape::document(&text);
    if is_standard(file) {
        // Others' texts in it are no commands to a CI job, and say the same.
        return match format {
            Format::Json => tell::result(text.trim_end()),
            Format::Junit | Format::Html => tell::document(&escape::markup(&text)),
            Format::Markdown => tell::document(&text),
        };
    }
    put(file, text.as_bytes())
}

fn put(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let wrong = |cause| Usage(format!("cannot write '{}': {cause}", file.display()));
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(wrong)?;
    }
    Ok(fs::write(file, bytes).map_err(wrong)?)
}

/// The page of the canary that decided, in one file.
async fn html(ending: &Ending, client: &Client) -> anyhow::Result<String> {
    let run = ending.run.as_ref().ok_or_else(|| {
        anyhow::anyhow!(
            "there is no page of '{}': nothing of it was judged",
            ending.id
        )
    })?;
    let path = format!("{}/{}/report.html", Kind::Canary.page(), run.id);
    let page = client.bytes(&path).await?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// Adds to a file that others may have written to before.
pub fn append_markdown(ending: &Ending, file: &PathBuf) -> anyhow::Result<()> {
    let wrong = |cause| Usage(format!("cannot write '{}': {cause}", file.display()));
    let opened = fs::OpenOptions::new().create(true).append(true).open(file);
    let mut opened = opened.map_err(wrong)?;
    Ok(writeln!(opened, "{}", markdown(ending)).map_err(wrong)?)
}

/// A suite of all metrics, and a case for the verdict.
fn junit(ending: &Ending) -> Report {
    let name = match ending.config_name.as_str() {
        "" => "canary",
        name => name,
    };
    let mut suite = TestSuite::new(name);
    let mut verdict = TestCase::new("verdict", verdict_status(ending));
    verdict.set_classname(name);
    // Its metrics are judged together, so none has a time of its own.
    if let Some(took) = ending.took {
        verdict.set_time(took);
        suite.set_time(took);
    }
    suite.add_test_case(verdict);
    for (name, value) in properties(ending) {
        suite.add_property((name, value.as_str()));
    }
    for metric in ending.run.iter().flat_map(|run| &run.metrics) {
        let mut case = TestCase::new(&metric.distinct_name, metric_status(metric, ending.outcome));
        case.set_classname(match metric.groups.as_str() {
            "" => name,
            groups => groups,
        });
        suite.add_test_case(case);
    }
    let mut report = Report::new(name);
    report.add_test_suite(suite);
    report
}

/// By which a run is found again.
fn properties(ending: &Ending) -> Vec<(&'static str, String)> {
    let scope = ending.run.as_ref().and_then(|run| run.scopes.first());
    let time = |moment: Option<&Moment>| moment.map(|moment| moment.iso.clone());
    let of_scope = |of: fn(&ScopeView) -> &SideView| scope.map(of);
    let experiment = of_scope(|scope| &scope.experiment);
    let all = [
        ("id", Some(ending.id.clone())),
        ("link", ending.link.clone()),
        ("application", Some(ending.application.clone())),
        ("config", Some(ending.config_name.clone())),
        ("outcome", Some(ending.outcome.as_str().to_owned())),
        ("score", ending.score.clone()),
        ("begun", ending.begun.map(iso_from_millis)),
        (
            "control",
            of_scope(|scope| &scope.control).map(|side| side.scope.clone()),
        ),
        ("experiment", experiment.map(|side| side.scope.clone())),
        (
            "windowStart",
            experiment.and_then(|side| time(side.start.as_ref())),
        ),
        (
            "windowEnd",
            experiment.and_then(|side| time(side.end.as_ref())),
        ),
    ];
    let filled = all
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    filled.filter(|(_, value)| !value.is_empty()).collect()
}

fn verdict_status(ending: &Ending) -> TestCaseStatus {
    let link = ending.link.as_deref().unwrap_or_default();
    let why = format!("{}\n{link}", ending.sentence);
    let kind = match ending.outcome {
        Outcome::Pass => return TestCaseStatus::success(),
        Outcome::Inconclusive => {
            let mut skipped = TestCaseStatus::skipped();
            // Jenkins's schema has no message here.
            skipped.set_description(format!("{}\n{why}", headline(ending)));
            return skipped;
        }
        Outcome::Fail | Outcome::Marginal => NonSuccessKind::Failure,
        _ => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status
        .set_message(headline(ending))
        .set_type(ending.outcome.word())
        .set_description(why);
    status
}

/// Tools call a build bad that has a failure in it: a metric that failed within a canary that
/// did not is left out by them, with its reason.
fn metric_status(metric: &MetricView, outcome: Outcome) -> TestCaseStatus {
    let has_failed = matches!(outcome, Outcome::Fail | Outcome::Marginal);
    let kind = match (metric.class, metric.muted, has_failed) {
        ("pass", _, _) if metric.doubt.is_none() => return TestCaseStatus::success(),
        ("fail", false, true) => NonSuccessKind::Failure,
        ("error", false, true) => NonSuccessKind::Error,
        _ => {
            let mut skipped = TestCaseStatus::skipped();
            let muted = if metric.muted { "muted, " } else { "" };
            // Jenkins's schema has no message here.
            let why = metric.doubt.as_ref().unwrap_or(&metric.sentence);
            skipped.set_description(format!("{muted}{}: {why}", metric.label));
            return skipped;
        }
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(&metric.sentence).set_type(metric.label);
    let queries = metric.queries.iter();
    let queries: Vec<String> = queries
        .map(|query| format!("{}: {}", query.side, query.text))
        .collect();
    status.set_description(queries.join("\n"));
    status
}

/// `Fail: checkout, score 42 of 95`.
fn headline(ending: &Ending) -> String {
    format!("{}{}", ending.outcome.word(), of(ending))
}

/// What stands behind the verdict in a headline.
pub fn of(ending: &Ending) -> String {
    let mut line = String::new();
    let of = [&ending.application, &ending.config_name];
    let of: Vec<&str> = of
        .into_iter()
        .map(String::as_str)
        .filter(|name| !name.is_empty())
        .collect();
    if !of.is_empty() {
        let _ = write!(line, ": {}", of.join(" · "));
    }
    if let Some(score) = &ending.score {
        let _ = write!(line, ", score {score}");
    }
    if let Some(thresholds) = &ending.thresholds {
        let _ = write!(
            line,
            " (passes from {}, marginal from {})",
            thresholds.pass, thresholds.marginal
        );
    }
    line
}

fn markdown(ending: &Ending) -> String {
    let mark = match ending.outcome {
        Outcome::Pass => "✅",
        Outcome::Marginal => "🟡",
        Outcome::Fail => "❌",
        Outcome::Inconclusive => "❔",
        _ => "⛔",
    };
    let mut text = format!("### {mark} {}\n\n", escaped(&headline(ending)));
    let _ = writeln!(text, "{}\n", escaped(&ending.sentence));
    let _ = writeln!(text, "{}\n", escaped(&ending.title));
    if let Some(failure) = &ending.failure {
        let message: String = failure.message.chars().take(MESSAGE_CHARACTERS).collect();
        let _ = writeln!(text, "Failed {}: {}\n", failure.step, escaped(&message));
        for fact in &failure.facts {
            let value: String = fact.value.chars().take(FACT_CHARACTERS).collect();
            let _ = writeln!(text, "- {}: {}", fact.name, escaped(&value));
        }
        text.push('\n');
    }
    let judgements = ending
        .analysis
        .as_ref()
        .map(|analysis| &analysis.judgements);
    let judgements = judgements.map(Vec::as_slice).unwrap_or_default();
    let earlier = judgements.len().saturating_sub(JUDGEMENTS);
    if 0 < earlier {
        let _ = writeln!(text, "{earlier} earlier judgements are in the report.\n");
    }
    for judgement in &judgements[earlier..] {
        let score = judgement.score.as_deref().unwrap_or("–");
        let _ = writeln!(
            text,
            "{}. {}, score {score}: {}",
            judgement.number,
            judgement.outcome.word(),
            escaped(&judgement.sentence)
        );
    }
    if ending.analysis.is_some() {
        text.push('\n');
    }
    let link = ending
        .link
        .as_ref()
        .map(|link| format!("\n[Report]({link})\n"));
    let link = link.unwrap_or_default();
    for warning in ending.run.iter().flat_map(|run| &run.warnings) {
        let _ = writeln!(text, "{}\n", escaped(warning));
    }
    if let Some(run) = ending.run.as_ref().filter(|run| !run.metrics.is_empty()) {
        text += "| metric | group | control | experiment | change | label | why |\n";
        text += "|---|---|---:|---:|---:|---|---|\n";
        for (shown, metric) in run.metrics.iter().enumerate() {
            let row = markdown_row(metric);
            let rest = run.metrics.len() - shown;
            if MARKDOWN_BYTES < text.len() + row.len() + link.len() + 40 {
                let _ = writeln!(text, "\n{rest} more metrics are in the report.");
                break;
            }
            text += &row;
        }
    }
    text + &link
}

fn markdown_row(metric: &MetricView) -> String {
    let mean = metric.numbers.iter().find(|row| row.name == "Mean");
    let why = metric.doubt.as_ref().unwrap_or(&metric.sentence);
    let mut why = vec![why];
    why.extend(&metric.warnings);
    let why: Vec<String> = why.into_iter().map(|text| escaped(text)).collect();
    format!(
        "| {} | {} | {} | {} | {} | {}{} | {} |\n",
        escaped(&metric.distinct_name),
        escaped(&metric.groups),
        escaped(mean.map_or("–", |row| row.control.as_str())),
        escaped(mean.map_or("–", |row| row.experiment.as_str())),
        escaped(metric.change.as_deref().unwrap_or("–")),
        metric.label,
        metric.marks(),
        why.join("<br>")
    )
}

/// Names and sentences hold what others wrote: it is text, and stays in its cell.
fn escaped(text: &str) -> String {
    let text = escape::line(text.trim());
    let mut escaped = String::with_capacity(text.len());
    for (at, character) in text.chars().enumerate() {
        match character {
            // At the start of a line they would make a list, a rule or a heading of it.
            '-' | '+' | '=' | ':' if at == 0 => {
                escaped.push('\\');
                escaped.push(character);
            }
            '\\' | '|' | '*' | '_' | '`' | '~' | '[' | ']' | '#' | '@' => {
                escaped.push('\\');
                escaped.push(character);
            }
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_others_is_markdown() {
        let cases = [
            ("<img src=x> & co", "&lt;img src=x&gt; &amp; co"),
            (
                "[click](javascript:alert(1))",
                "\\[click\\](javascript:alert(1))",
            ),
            ("a | b\n::error::x", "a \\| b\\\\n::error::x"),
            ("::error::x", "\\::error::x"),
            ("~~~", "\\~\\~\\~"),
            ("    code", "code"),
            ("- item", "\\- item"),
            ("fell by -3", "fell by -3"),
            ("\u{1b}[2J\u{202e}", "\\\\u001b\\[2J\\\\u202e"),
        ];
        for (text, expected) in cases {
            assert_eq!(escaped(text), expected, "{text:?}");
        }
    }
}
