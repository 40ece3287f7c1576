//! A run as a table and as sentences, for a terminal and a log.

use std::fmt::Write;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use indexmap::IndexMap;

use crate::escape::line;
use crate::report::view::{MetricView, RunView};

/// The metrics, what failed first; then why of all that did not pass, and what to mind.
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
        if metric.class != "pass" || metric.is_open {
            let told = format!("{}: {}", metric.name, metric.sentence);
            let _ = write!(text, "\n  {}", line(&told));
        }
    }
    if let Some(shadow) = &run.shadow {
        let _ = write!(text, "\n  beside it, {}", line(&shadow.sentence()));
        for metric in &shadow.metrics {
            let (own, other) = (metric.own, metric.other);
            let told = format!(
                "{}: {other} instead of {own}: {}",
                metric.name, metric.sentence
            );
            let _ = write!(text, "\n    {}", line(&told));
        }
    }
    if let Some(forest) = &run.forest {
        let _ = write!(text, "\n  against the margins: {}", line(&forest.counts));
        if let Some(needed) = &forest.needed {
            let _ = write!(text, "\n  {}", line(needed));
        }
    }
    for (warning, metrics) in warnings(run) {
        let of = if metrics.len() == run.metrics.len() {
            "all".to_owned()
        } else {
            metrics.join(", ")
        };
        let told = format!("mind ({of}): {warning}");
        let _ = write!(text, "\n  {}", line(&told));
    }
    for warning in &run.warnings {
        let _ = write!(text, "\n  mind: {}", line(warning));
    }
    text
}

/// Each once, with the metrics that have it.
fn warnings(run: &RunView) -> IndexMap<&str, Vec<&str>> {
    let mut all: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for metric in &run.metrics {
        for warning in &metric.warnings {
            all.entry(warning).or_default().push(&metric.name);
        }
    }
    all
}

fn row(metric: &MetricView) -> [String; 6] {
    let mean = metric.numbers.iter().find(|row| row.name == "Mean");
    [
        line(&metric.name).into_owned(),
        line(&metric.groups).into_owned(),
        mean.map(|row| row.control.clone()).unwrap_or_default(),
        mean.map(|row| row.experiment.clone()).unwrap_or_default(),
        metric.change.clone().unwrap_or_else(|| "–".to_owned()),
        format!("{}{}", metric.label, metric.marks()),
    ]
}
