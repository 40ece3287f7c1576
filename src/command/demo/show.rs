//! What the demo prints.

use std::path::Path;

use anyhow::Context;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use serde_json::Value;

use super::Source;
use super::scenario::{CONFIG_ID, CONTROL, Release};
use crate::canary::{CanaryAnalysisResult, CanaryExecutionStatusResponse, Label, Verdict};

pub fn introduction(source: &Source, url: &str, directory: &Path) {
    println!(
        "serin listens on {url} and keeps its data in {}",
        directory.display()
    );
    match source {
        Source::MadeUp(server) => println!(
            "The series are made up: a seeded generator behind {} that answers as Prometheus does.",
            server.url
        ),
        Source::Real(prometheus) => println!("The series come from {prometheus}."),
    }
}

pub fn release(release: &Release, status: &CanaryExecutionStatusResponse) -> anyhow::Result<()> {
    println!(
        "\nRelease {}, {}, beside {CONTROL}",
        release.version, release.what
    );
    if let Some(exception) = &status.exception {
        println!(
            "  {}: {}",
            status.status.as_str(),
            Value::from(exception.details.clone())
        );
        return Ok(());
    }
    let result = status
        .result
        .as_ref()
        .and_then(|result| result.judge_result.as_ref());
    let result = result.context("the execution has no result")?;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "metric",
        "group",
        "control",
        "experiment",
        "change",
        "label",
        "reason",
    ]);
    for column in 2..=4 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for metric in &result.results {
        table.add_row(row(metric));
    }
    println!("{table}");
    let groups: Vec<String> = result
        .group_scores
        .iter()
        .map(|group| format!("{} {}", group.name, number(group.score)))
        .collect();
    println!("groups: {}", groups.join(" · "));
    let score = &result.score;
    let mark = match score.classification {
        Verdict::Pass => "✓",
        Verdict::Marginal => "~",
        _ => "✗",
    };
    let reason = match score.classification_reason.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    println!(
        "score:  {} → {mark} {:?}{reason}",
        number(score.score),
        score.classification
    );
    Ok(())
}

/// Whether there was a point on any side of any metric.
pub fn has_data(status: &CanaryExecutionStatusResponse) -> bool {
    let result = status.result.as_ref();
    let judged = result.and_then(|result| result.judge_result.as_ref());
    judged.is_some_and(|judged| {
        let points = |metric: &CanaryAnalysisResult| {
            metric.control_metadata.stats.count + metric.experiment_metadata.stats.count
        };
        judged.results.iter().map(points).sum::<u64>() > 0
    })
}

fn row(metric: &CanaryAnalysisResult) -> [String; 7] {
    let (control, experiment) = (
        metric.control_metadata.stats,
        metric.experiment_metadata.stats,
    );
    let mean = |count: u64, mean: f64| match count {
        0 => "–".to_owned(),
        _ => number(mean),
    };
    let change = match (metric.classification, &metric.result_metadata) {
        (Label::Nodata | Label::NodataFailMetric | Label::Error, _) | (_, None) => "–".to_owned(),
        (_, Some(metadata)) if metadata.ratio.is_nan() => "–".to_owned(),
        (_, Some(metadata)) => format!("{:+.1} %", (metadata.ratio - 1.0) * 100.0),
    };
    [
        metric.name.clone(),
        metric.groups.join(", "),
        mean(control.count, control.mean),
        mean(experiment.count, experiment.mean),
        change,
        format!("{:?}", metric.classification),
        metric.classification_reason.clone().unwrap_or_default(),
    ]
}

/// Four significant digits are enough for a table.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    match value {
        _ if value.fract() == 0.0 && magnitude < 1e15 => format!("{value}"),
        _ if magnitude >= 1000.0 => format!("{value:.0}"),
        _ if magnitude >= 10.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Where the report lies, and how to do the same by hand; the bodies are kept as files.
pub fn afterwards(
    url: &str,
    directory: &Path,
    config: &Value,
    request: &Value,
    execution_id: &str,
    stays: bool,
) -> anyhow::Result<()> {
    let folder = directory.display();
    for (file, body) in [
        ("canary-config.json", config),
        ("execution-request.json", request),
    ] {
        std::fs::write(directory.join(file), format!("{body:#}\n"))
            .with_context(|| format!("cannot write {file} into {folder}"))?;
    }
    let report = Path::new("kayenta/canary_archive").join(execution_id);
    println!(
        "\nThe last report lies in {}",
        directory.join(report).display()
    );
    if stays {
        println!("The service stays up until Ctrl-C. The same with curl:");
    } else {
        println!("The same with curl, after `serin demo --stay --port 8090 --directory {folder}`:");
    }
    let url = if stays { url } else { "http://127.0.0.1:8090" };
    println!(
        "
  curl -X PUT {url}/canaryConfig/{CONFIG_ID} \\
    -H 'Content-Type: application/json' -d @{folder}/canary-config.json
  curl '{url}/canary/{CONFIG_ID}?application=checkout' \\
    -H 'Content-Type: application/json' -d @{folder}/execution-request.json
  curl {url}/canary/{execution_id}
  curl '{url}/canary/executions?application=checkout&limit=3'"
    );
    Ok(())
}
