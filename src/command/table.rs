//! A run as a table and as sentences, for a terminal and a log.

use std::fmt::Write;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

use crate::report::view::{MetricView, RunView};

/// The metrics, what failed first; then why of all that did not simply pass.
pub fn of(run: &RunView) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "metric",
        "group",
        "control",
        "experiment",
        "change",
        "label",
    ]);
    for column in 2..=4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for metric in &run.metrics {
        table.add_row(row(metric));
    }
    let mut text = table.to_string();
    for metric in &run.metrics {
        if metric.class != "pass" || !metric.warnings.is_empty() {
            let _ = write!(text, "\n  {}: {}", metric.name, metric.sentence);
        }
        for warning in &metric.warnings {
            let _ = write!(text, "\n    mind: {warning}");
        }
    }
    text
}

fn row(metric: &MetricView) -> [String; 6] {
    let mean = metric.numbers.iter().find(|row| row.name == "Mean");
    let marks = match (metric.critical, metric.muted) {
        (_, true) => " (muted)",
        (true, false) => " (critical)",
        (false, false) => "",
    };
    [
        metric.name.clone(),
        metric.groups.clone(),
        mean.map(|row| row.control.clone()).unwrap_or_default(),
        mean.map(|row| row.experiment.clone()).unwrap_or_default(),
        metric.change.clone().unwrap_or_else(|| "–".to_owned()),
        format!("{}{marks}", metric.label),
    ]
}
