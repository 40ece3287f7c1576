//! What the demo prints.

use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::Source;
use super::scenario::{CONFIG_ID, CONTROL, Release};
use crate::canary::number::number;
use crate::canary::{CanaryAnalysisResult, CanaryExecutionStatusResponse, Kind};
use crate::command::tell::{self, Beside, say, show};
use crate::command::{paint, table};
use crate::escape::line;
use crate::report::view;

pub fn introduction(source: &Source, url: &str, directory: &Path) {
    say(&format!(
        "serin listens on {url} and keeps its data in {}",
        directory.display()
    ));
    match source {
        Source::MadeUp(server) => say(&format!(
            "The series are made up: a seeded generator behind {} that answers as Prometheus does.",
            server.url
        )),
        Source::Real(prometheus) => say(&format!("The series come from {prometheus}.")),
    }
}

pub fn release(release: &Release, status: &CanaryExecutionStatusResponse) -> anyhow::Result<()> {
    say(&format!(
        "\nRelease {}, {}, beside {CONTROL}",
        release.version, release.what
    ));
    if let Some(exception) = &status.exception {
        say(&format!(
            "  {}: {}",
            status.status.as_str(),
            Value::from(exception.details.clone())
        ));
        return Ok(());
    }
    let run = view::run(status, None);
    show(&table::of(&run), Beside::Nothing);
    let result = status.result.as_ref();
    let result = result.and_then(|result| result.judge_result.as_ref());
    let result = result.context("the execution has no result")?;
    let groups: Vec<String> = result
        .group_scores
        .iter()
        .map(|group| {
            let mut views = run.groups.iter();
            let is_unjudged = views.any(|view| view.name == group.name && view.is_unjudged);
            let earned = if is_unjudged {
                "not judged".to_owned()
            } else {
                number(group.score)
            };
            format!("{} {earned}", group.name)
        })
        .collect();
    say(&format!("groups: {}", line(&groups.join(" · "))));
    let score = run.score.as_deref().unwrap_or("–");
    let verdict = paint::outcome(run.outcome);
    show(&format!("score:  {score} → {verdict}"), Beside::Nothing);
    say(&line(&run.sentence));
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
    say(&format!(
        "\nThe last report lies in {}",
        directory.join(report).display()
    ));
    if stays {
        say("The same with curl:");
    } else {
        say(&format!(
            "The same with curl, after `serin demo --stay --port 8090 --directory {folder}`:"
        ));
    }
    let url = if stays { url } else { "http://127.0.0.1:8090" };
    // To be copied as it stands.
    tell::result(&format!(
        "
  curl -X PUT {url}/canaryConfig/{CONFIG_ID} \\
    -H 'Content-Type: application/json' -d @{folder}/canary-config.json
  curl '{url}/canary/{CONFIG_ID}?application=checkout' \\
    -H 'Content-Type: application/json' -d @{folder}/execution-request.json
  curl {url}/canary/{execution_id}
  curl '{url}/canary/executions?application=checkout&limit=3'
"
    ))?;
    let page = format!("{url}{}/{execution_id}", Kind::Canary.page());
    if stays {
        say("The service stays up until Ctrl-C. In a browser, open");
    } else {
        say("In a browser, after the same, open");
    }
    tell::result(&page)
}
