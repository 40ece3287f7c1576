//! The text of a config as people write it: JSON, or YAML.

use std::borrow::Cow;

use serde_json::Value;

use crate::canary::CanaryConfig;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::lint::{self, Format};
use crate::run::configs::{self, Finding};

/// In JSON; what is no YAML of one config stays as it is.
pub fn json(written: &str) -> Cow<'_, str> {
    let read = match Format::of(written) {
        Format::Json => None,
        Format::Yaml => lint::only(written, Format::Yaml),
    };
    read.map_or(Cow::Borrowed(written), Cow::Owned)
}

/// The same config in the other format; none where it cannot be read.
pub fn turned(written: &str, into: Format) -> Option<String> {
    if Format::of(written) == into {
        return Some(written.to_owned());
    }
    let value: Value = serde_json::from_str(&json(written)).ok()?;
    match into {
        Format::Json => serde_json::to_string_pretty(&value).ok(),
        Format::Yaml => yaml_serde::to_string(&value).ok(),
    }
}

/// The config, whatever keeps it from being stored.
///
/// # Errors
/// `Invalid` where it cannot even be read.
pub fn readable(own: &Config, written: &str) -> Result<CanaryConfig> {
    let (config, findings) = configs::examine(own, &json(written));
    config.ok_or_else(|| worst(findings))
}

/// The config, as it would be stored.
///
/// # Errors
/// `Invalid` where it would be refused.
pub fn storable(own: &Config, written: &str) -> Result<CanaryConfig> {
    configs::read(own, &json(written)).map_err(worst)
}

fn worst(findings: Vec<Finding>) -> Error {
    let worst = findings.into_iter().next();
    worst.map_or_else(
        || Error::Invalid("there is no config".to_owned()),
        |finding| finding.fault.into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_is_turned_and_keeps_its_order() {
        let json =
            "{\n  \"name\": \"a\",\n  \"b\": [\n    1.5,\n    \"1.5\"\n  ],\n  \"a\": null\n}";
        let yaml = "name: a\nb:\n- 1.5\n- '1.5'\na: null\n";
        let cases = [
            // written, into, what it becomes
            (json, Format::Yaml, Some(yaml)),
            (yaml, Format::Json, Some(json)),
            (json, Format::Json, Some(json)),
            ("{\"name\": ", Format::Yaml, None),
            ("name: [", Format::Json, None),
        ];
        for (written, into, expected) in cases {
            assert_eq!(turned(written, into).as_deref(), expected, "{written}");
        }
    }
}
