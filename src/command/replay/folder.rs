//! Runs that lie in a folder, judged here.

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::de::DeserializeOwned;

use crate::canary::{
    CanaryExecutionStatusResponse, Execution, Id, MetricSetPair, NotReplayedCause, Replay,
    ReplayRequest, ReplayTally, ReplayedRun,
};
use crate::command::exit::Usage;
use crate::config;
use crate::run::replay::{Change, RUNS, here, lack, not_judged, not_replayed};

const DOCUMENT: &str = "canary_archive.json";
const PAIRS: &str = "metric_set_pairs.json";

/// Where the documents of one run are.
struct Place {
    document: PathBuf,
    /// The folder of all pairs; of one run alone, its pairs lie beside it.
    pairs: Option<PathBuf>,
}

pub fn replay(folder: &Path, request: &ReplayRequest, change: &Change) -> anyhow::Result<Replay> {
    let places = places(folder, request)?;
    let is_one = places.len() == 1;
    let mut runs = Vec::new();
    for place in &places {
        let mut run = one(place, change)?;
        run.result = run.result.filter(|_| is_one);
        runs.push(run);
    }
    Ok(Replay {
        tally: ReplayTally::of(&runs),
        runs,
        not_reached: Vec::new(),
    })
}

fn places(folder: &Path, request: &ReplayRequest) -> anyhow::Result<Vec<Place>> {
    let alone = folder.join(DOCUMENT);
    if alone.is_file() {
        return Ok(vec![Place {
            document: alone,
            pairs: None,
        }]);
    }
    let archives = folder.join("canary_archive");
    let documents = if request.runs.is_empty() {
        newest(folder, &archives, request)?
    } else {
        named(&archives, &request.runs)?
    };
    let place = |document| Place {
        document,
        pairs: Some(folder.join("metric_pairs")),
    };
    Ok(documents.into_iter().map(place).collect())
}

/// In the order in which they are named.
fn named(archives: &Path, runs: &[String]) -> anyhow::Result<Vec<PathBuf>> {
    let document = |run: &String| {
        let id = Id::parse(run).ok();
        let document = id.map(|id| archives.join(id.as_str()).join(DOCUMENT));
        let unknown = || Usage(format!("no run '{run}' in '{}'", archives.display()));
        let document = document.filter(|document| document.is_file());
        Ok(document.ok_or_else(unknown)?)
    };
    runs.iter().map(document).collect()
}

fn newest(folder: &Path, archives: &Path, request: &ReplayRequest) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(archives).map_err(|cause| {
        Usage(format!(
            "'{}' holds no runs: neither '{DOCUMENT}' nor a folder 'canary_archive' that can be read ({cause})",
            folder.display()
        ))
    })?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.context("a folder cannot be listed")?;
        let document = entry.path().join(DOCUMENT);
        if !document.is_file() {
            continue;
        }
        let run: CanaryExecutionStatusResponse = read(&document, "canary execution")?;
        if is_wanted(&run, request) {
            found.push((run.build_time_millis, document));
        }
    }
    found.sort_by_key(|(built, _)| Reverse(*built));
    found.truncate(request.last.unwrap_or(RUNS));
    Ok(found.into_iter().map(|(_, document)| document).collect())
}

fn is_wanted(run: &CanaryExecutionStatusResponse, request: &ReplayRequest) -> bool {
    let told = run.told();
    let is = |wanted: &Option<String>, own: &[&str]| {
        wanted.as_deref().is_none_or(|wanted| own.contains(&wanted))
    };
    is(&request.application, &[told.application])
        && is(&request.config, &[told.config_id, told.config_name()])
}

fn one(place: &Place, change: &Change) -> anyhow::Result<ReplayedRun> {
    let run: CanaryExecutionStatusResponse = read(&place.document, "canary execution")?;
    let list = run.metric_set_pair_list_id.as_deref().unwrap_or_default();
    let file = match &place.pairs {
        Some(all) => all.join(list).join(PAIRS),
        None => place.document.with_file_name(PAIRS),
    };
    if let Some(why) = lack(&run) {
        return Ok(not_judged(&run, why));
    }
    if !file.is_file() {
        let sentence = format!("there is no '{}'", file.display());
        let why = not_replayed(NotReplayedCause::Gone, sentence);
        return Ok(not_judged(&run, why));
    }
    let pairs: Vec<MetricSetPair> = read(&file, "list of metric set pairs")?;
    Ok(here(&run, pairs, change).unwrap_or_else(|why| not_judged(&run, why)))
}

fn read<T: DeserializeOwned>(file: &Path, what: &str) -> anyhow::Result<T> {
    let shown = file.display();
    let text = config::text::read(file)
        .map_err(|cause| Usage(format!("cannot read '{shown}': {cause}")))?;
    let mut reader = serde_json::Deserializer::from_str(&text);
    let read = serde_path_to_error::deserialize(&mut reader);
    Ok(read.map_err(|cause| Usage(format!("'{shown}' is not a {what}: {cause}")))?)
}
