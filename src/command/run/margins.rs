//! Margins from a file, for a run that no server keeps them for.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::canary::{CanaryConfig, Learned};
use crate::command::client::Client;
use crate::command::exit::Usage;
use crate::http::escaped;
use crate::lint;
use crate::run::learned::SECOND_JUDGE;

/// The member of `judge.judgeConfigurations` that names margins.
const NAME: &str = "calibration";
/// What those are called that nobody has named.
const UNNAMED: &str = "calibration-file";

/// What a calibration's document taught, or what `GET /learnedMargins/{id}` answers.
pub fn of(text: &str, file: &Path) -> anyhow::Result<Learned> {
    let wrong = |told: String| Usage(format!("'{}' {told}", file.display()));
    let document: Value = serde_json::from_str(text)
        .map_err(|cause| wrong(format!("is no calibration, which is JSON: {cause}")))?;
    let taught = match (document.get("learned"), document.get("metrics")) {
        (Some(taught), _) => taught,
        (None, Some(_)) => &document,
        (None, None) => {
            let status = document["status"].as_str();
            let ended =
                status.map(|status| format!(" (its status is '{}')", status.escape_default()));
            return Err(wrong(format!(
                "has learned nothing{}; what 'serin calibrate --output FILE' wrote is wanted",
                ended.unwrap_or_default()
            ))
            .into());
        }
    };
    let learned = serde_path_to_error::deserialize(taught).map_err(|cause| {
        wrong(format!(
            "is no calibration as 'serin calibrate --output FILE' writes it: {}: {}",
            cause.path(),
            cause.inner()
        ))
    })?;
    Ok(learned)
}

/// Lets the config name the margins, if they are of it.
pub fn name_in(config: &mut Value, margins: &Learned) -> anyhow::Result<()> {
    let read: CanaryConfig = serde_json::from_value(config.clone())
        .map_err(|cause| Usage(format!("the canary config cannot be read: {cause}")))?;
    if !lint::takes_margins(&read) {
        return Err(Usage(format!(
            "the canary config is not judged by {SECOND_JUDGE}, and no other judge takes learned margins: let it be \
             judge.name or judge.judgeConfigurations.shadow, or leave the calibration out"
        ))
        .into());
    }
    let metrics = read.metrics.iter().flatten();
    let names: Vec<&str> = metrics
        .filter_map(|metric| metric.name.as_deref())
        .collect();
    if !names.iter().any(|name| margins.of(name).is_some()) {
        let known = margins.metrics.iter().map(|metric| metric.metric.as_str());
        return Err(Usage(format!(
            "the calibration is of another config: it knows {}, and the canary config has {}",
            some(known),
            some(names.into_iter())
        ))
        .into());
    }
    let given = Some(&margins.calibration).filter(|id| !id.is_empty());
    let own = read.calibration();
    let id = match (&own, given) {
        (Some(own), Some(given)) if own != given => {
            return Err(Usage(format!(
                "the canary config names the calibration '{}', and the file holds '{}': one of them is another's",
                own.escape_default(),
                given.escape_default()
            ))
            .into());
        }
        (Some(id), _) => id,
        (None, given) => given.map_or(UNNAMED, String::as_str),
    };
    config["judge"]["judgeConfigurations"][NAME] = json!(id);
    Ok(())
}

/// Where the config looks for them.
pub async fn keep(client: &Client, config: &Value, margins: &Learned) -> anyhow::Result<()> {
    let id = config["judge"]["judgeConfigurations"][NAME].as_str();
    let path = format!("/learnedMargins/{}", escaped(id.unwrap_or(UNNAMED)));
    let body = json!({"learned": margins});
    client.once(Method::PUT, &path, Some(&body)).await?;
    Ok(())
}

/// The first few of them.
fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const FEW: usize = 5;
    let names: Vec<String> = names
        .map(|name| format!("'{}'", name.escape_default()))
        .collect();
    match names.len().checked_sub(FEW) {
        Some(others @ 1..) => format!("{} and {others} more", names[..FEW].join(", ")),
        _ if names.is_empty() => "nothing".to_owned(),
        _ => names.join(", "),
    }
}
