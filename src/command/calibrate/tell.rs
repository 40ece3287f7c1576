//! A report for a terminal and a log.

use std::fmt::Write;

use comfy_table::{CellAlignment, Table};

use crate::canary::calibration::{MetricRates, Rate, Report};
use crate::canary::number::number;
use crate::command::{paint, table};
use crate::escape::line;

/// The sentences, the metrics in a table, and what to keep in mind. Painted.
pub fn report(report: &Report) -> String {
    let mut text = String::new();
    let mut sentences = report.sentences.iter();
    if let Some(first) = sentences.next() {
        let _ = writeln!(text, "{}:", line(first));
    }
    for sentence in sentences {
        let _ = writeln!(text, "{}.", line(sentence));
    }
    let _ = write!(text, "\n{}", metrics(report));
    for warning in &report.warnings {
        let _ = write!(text, "\n  {}: {}", paint::warning("warning"), line(warning));
    }
    text
}

fn metrics(report: &Report) -> Table {
    let mut head = vec!["metric".to_owned()];
    let judges = report.judges.iter();
    head.extend(judges.map(|rates| format!("alarms of {}", rates.judge)));
    head.extend(["would be found", "margin that holds"].map(str::to_owned));
    let columns = head.len();
    let mut table = table::table(head);
    for column in 1..columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for metric in &report.metrics {
        table.add_row(row(metric));
    }
    table
}

fn row(metric: &MetricRates) -> Vec<String> {
    let share = |rate: Rate| {
        format!(
            "{} of {} ({:.1} %)",
            rate.count,
            rate.of,
            rate.share * 100.0
        )
    };
    let found = metric
        .typical
        .and_then(|typical| typical.minimum_detectable_percent);
    let percent = |percent: f64| format!("{} %", number(percent));
    let none = || "–".to_owned();
    let mut row = vec![line(&metric.metric).into_owned()];
    row.extend(metric.alarms.iter().map(|alarms| share(alarms.at_any_look)));
    row.push(found.map_or_else(none, percent));
    row.push(match metric.margin {
        Some(margin) => percent(margin * 100.0),
        None if metric.unfit => "none: unfit".to_owned(),
        None => none(),
    });
    row
}
