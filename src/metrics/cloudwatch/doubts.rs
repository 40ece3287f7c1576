//! What is doubtful in a query of CloudWatch as it is written.

use serde_json::{Map, Value};

use super::expression::{code, is_select, is_several};
use super::query::{entries, own_metric, text_of};
use super::stat;
use crate::metrics::{Doubt, Draft};

/// Words of metrics that count, and of those that measure.
const COUNTS: [&str; 6] = ["Count", "Errors", "Invocations", "Throttles", "4XX", "5XX"];
const MEASURES: [&str; 5] = ["Latency", "Duration", "ResponseTime", "Utilization", "Age"];
const MINUTE: i64 = 60;

pub fn of(draft: &Draft<'_>) -> Vec<Doubt> {
    let mut doubts = Vec::new();
    let own = own_metric(draft.query);
    let step = draft
        .text("period")
        .and_then(|text| text.trim().parse().ok());
    let step = step.unwrap_or(draft.step);
    doubts.extend(of_metric("stat", &own));
    doubts.extend(of_step(&own, step));
    let mut several = Vec::new();
    for (name, entry) in entries(draft.query).into_iter().flatten() {
        match entry {
            Value::Object(metric) => doubts.extend(of_metric("queries", metric)),
            Value::String(text) if is_several(text, &several) => several.push(name.as_str()),
            _ => {}
        }
    }
    let template = draft.template().filter(|text| !text.trim().is_empty());
    let (member, expression) = match (template, draft.text("expression")) {
        (Some(template), _) => ("", template),
        (None, Some(expression)) => ("expression", expression),
        (None, None) => return doubts,
    };
    if is_several(&expression, &several) {
        let (what, fix) = if is_select(&expression) {
            (
                "GROUP BY",
                "leave it out, unless each group is to be judged",
            )
        } else {
            (
                "a SEARCH that nothing makes one series of",
                "put it into SUM(…), AVG(…) or the like, unless each series is to be judged",
            )
        };
        doubts.push(Doubt::doubtful(
            member,
            format!("{what} gives a series for each of what it finds, and one that only one side has cannot be compared"),
            fix,
        ));
    }
    if is_select(&expression) && code(&expression).to_uppercase().contains("PERCENTILE") {
        doubts.push(Doubt::broken(
            member,
            "Metrics Insights has no percentiles: its functions are AVG, COUNT, MAX, MIN and SUM",
            "ask for one metric with \"stat\": \"p99\", or by SEARCH('…', 'p99', ${step})",
        ));
    }
    doubts
}

fn of_metric(member: &'static str, metric: &Map<String, Value>) -> Option<Doubt> {
    let text = |name: &str| metric.get(name).and_then(text_of).unwrap_or_default();
    let name = text("metricName");
    let stat = match text("stat") {
        stat if stat.is_empty() => stat::USUAL.to_owned(),
        stat => stat,
    };
    let is_any = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let (counts, measures) = (is_any(&COUNTS), is_any(&MEASURES));
    if measures && !counts && stat == "Sum" {
        return Some(Doubt::doubtful(
            member,
            format!("a Sum of '{name}' grows with the traffic, whatever one request takes"),
            "take Average, or a percentile such as p99",
        ));
    }
    let is_of_one = stat == "Average" || stat::is_percentile(&stat);
    if counts && !measures && is_of_one {
        return Some(Doubt::doubtful(
            member,
            format!(
                "'{name}' counts, and its {stat} tells what one report counted, not how many there were"
            ),
            "take Sum",
        ));
    }
    None
}

/// AWS's own metrics have a point a minute at best.
fn of_step(metric: &Map<String, Value>, step: i64) -> Option<Doubt> {
    let namespace = metric.get("namespace").and_then(Value::as_str)?;
    (namespace.starts_with("AWS/") && 0 < step && step < MINUTE).then(|| {
        Doubt::doubtful(
            "period",
            format!("'{namespace}' has a point a minute at best, so that most of those {step} s apart are missing"),
            "take a period of 60 or more",
        )
    })
}
