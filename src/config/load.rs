//! Putting the layers together, and printing what came of it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value as Json;

use super::context::Context;
use super::layers::{COMPILED_IN, Layer};
use super::read::read;
use super::secret::{Refused, SecretEngines};
use super::shorthands::Shorthands;
use super::{Config, Error, Result, text};

/// Every key with its meaning and its default.
pub const DEFAULTS: &str = include_str!("../../config/serin.yml");

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The file; without it, the one that `SERIN_CONFIG` names.
    pub file: Option<PathBuf>,
    /// Metrics accounts beside those of the file.
    pub shorthands: Shorthands,
    /// Dotted keys with their values, stronger than all else: `("server.port", "0")`.
    pub overrides: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// Every key that is in force, in the order of `config/serin.yml`; secrets are masked.
    pub effective: Json,
    /// What was given and does nothing: one sentence each, for the log.
    pub warnings: Vec<String>,
}

/// The configuration of this process.
pub fn load(options: &LoadOptions, secrets: &dyn SecretEngines) -> Result<Loaded> {
    load_with(options, &environment(), secrets)
}

/// The configuration that a process with this environment has, if it refers to no secrets.
pub fn load_from(options: &LoadOptions, environment: &BTreeMap<String, String>) -> Result<Loaded> {
    load_with(options, environment, &Refused)
}

/// The configuration that a process with this environment has.
pub fn load_with(
    options: &LoadOptions,
    environment: &BTreeMap<String, String>,
    secrets: &dyn SecretEngines,
) -> Result<Loaded> {
    let variable = |name| environment.get(name).filter(|text| !text.is_empty());
    let file = options
        .file
        .clone()
        .or_else(|| variable("SERIN_CONFIG").map(PathBuf::from));
    let shorthands = options.shorthands.clone();
    let shorthands = shorthands.or(Shorthands::of(environment));

    let mut sum = Layer::from_yaml(DEFAULTS, COMPILED_IN)?;
    let mut file_order = Vec::new();
    let file = file.map(|path| path.display().to_string());
    if let Some(path) = &file {
        let text = text::read(Path::new(path))
            .map_err(|cause| Error(format!("cannot read the configuration '{path}': {cause}")))?;
        let layer = Layer::from_yaml(&text, path)?;
        file_order = layer.keys_of("kayenta");
        sum = sum.overlay(layer)?;
    }
    sum = sum.overlay(Layer::from_environment(environment)?)?;
    sum = sum.overlay(Layer::from_pairs(&options.overrides, "the command line"))?;

    let context = Context {
        environment,
        root: &sum.0,
        file: file.as_deref(),
        warnings: RefCell::default(),
        secrets,
        files: RefCell::default(),
    };
    let (mut config, effective) = read(&context, &file_order, &shorthands)?;
    config.secret_files = Arc::new(context.files.take());
    Ok(Loaded {
        config,
        effective,
        warnings: context.warnings.into_inner(),
    })
}

/// The effective configuration as YAML; serin reads it again, but for the masked secrets.
#[expect(
    clippy::missing_panics_doc,
    reason = "it never does: JSON is always YAML"
)]
pub fn print(effective: &Json) -> String {
    yaml_serde::to_string(effective).expect("texts, numbers, lists and mappings are YAML")
}

/// The variables of this process.
pub fn environment() -> BTreeMap<String, String> {
    // Names and values that are not UTF-8 are nobody's keys.
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
