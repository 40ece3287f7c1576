//! A run as a table and as sentences, for a terminal and a log.

use std::fmt::Write;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table};
use indexmap::IndexMap;

use super::{paint, tell};
use crate::escape::line;
use crate::report::view::{MetricView, RunView, named};

/// As wide as what it holds, and on a terminal no wider than that.
pub fn table(header: impl Into<Row>) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(header);
    if let Some(columns) = tell::width() {
        table.set_width(columns);
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table
}

/// Columns of numbers stand at the right, and are not broken.
pub fn numbers(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
}

/// The metrics, what failed first; then why of all that did not pass, and what to mind. Painted.
pub fn of(run: &RunView) -> String {
    let mut text = metrics(&run.metrics);
    beside(run, &mut text);
    text
}

/// The metrics, and why of those that did not pass. Painted.
pub fn metrics(metrics: &[MetricView]) -> String {
    let mut table = table([
        "metric",
        "group",
        "control",
        "experiment",
        "change",
        "label",
    ]);
    numbers(&mut table, 2..=4);
    for metric in metrics {
        table.add_row(row(metric));
    }
    let mut text = table.to_string();
    for metric in metrics {
        if metric.class != "pass" || metric.is_open {
            let _ = write!(text, "\n  {}", line(&metric.told(&metric.sentence)));
        }
    }
    text
}

fn beside(run: &RunView, text: &mut String) {
    if let Some(shadow) = &run.shadow {
        let _ = write!(text, "\n  beside it, {}", line(&shadow.sentence()));
        for metric in &shadow.metrics {
            let (own, other) = (metric.own, metric.other);
            let told = named(&metric.name, &metric.sentence);
            let told = format!("{other} instead of {own}: {told}");
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
            "all metrics".to_owned()
        } else {
            metrics.join(", ")
        };
        let (word, told) = (paint::warning("warning"), format!("{of}: {warning}"));
        let _ = write!(text, "\n  {word}: {}", line(&told));
    }
    for warning in &run.warnings {
        let _ = write!(text, "\n  {}: {}", paint::warning("warning"), line(warning));
    }
}

/// Each once, with the metrics that have it.
fn warnings(run: &RunView) -> IndexMap<&str, Vec<&str>> {
    let mut all: IndexMap<&str, Vec<&str>> = IndexMap::new();
    for metric in &run.metrics {
        for warning in &metric.warnings {
            all.entry(warning).or_default().push(&metric.distinct_name);
        }
    }
    all
}

fn row(metric: &MetricView) -> [String; 6] {
    let mean = metric.numbers.iter().find(|row| row.name == "Mean");
    [
        line(&metric.distinct_name).into_owned(),
        line(&metric.groups).into_owned(),
        mean.map(|row| row.control.clone()).unwrap_or_default(),
        mean.map(|row| row.experiment.clone()).unwrap_or_default(),
        metric.change.clone().unwrap_or_else(|| "–".to_owned()),
        format!(
            "{}{}",
            paint::label(metric.class, metric.label),
            metric.marks()
        ),
    ]
}
