//! What is calibrated, in the words of the API.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Value, json};

use crate::command::client::path;
use crate::command::exit::Usage;
use crate::command::run::plan::{Plan, Side};
use crate::config;

#[derive(clap::Args)]
pub struct Options {
    /// A canary config of your own, YAML or JSON; `-` for standard input.
    #[arg(long, value_name = "FILE", value_parser = path())]
    config: Option<PathBuf>,
    /// A canary config that the server has.
    #[arg(long, value_name = "ID", conflicts_with = "config")]
    config_id: Option<String>,
    /// What `${scope}` stands for: pods of one version.
    #[arg(long, value_name = "SCOPE")]
    control: String,
    /// Other pods of the same version; several take turns: a,b,c
    #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
    against: Vec<String>,
    /// Instead: the control itself so long before, as in 7d.
    #[arg(long, value_name = "DURATION", conflicts_with = "against")]
    shift: Option<String>,
    /// What `${location}` stands for.
    #[arg(long, value_name = "NAME")]
    location: Option<String>,
    /// A variable of the templates. May be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    param: Vec<String>,

    /// How long a canary takes.
    #[arg(long, value_name = "DURATION", default_value = "60m")]
    window: String,
    /// How often it is judged meanwhile; once at its end, if nobody says so.
    #[arg(long, value_name = "DURATION")]
    interval: Option<String>,
    /// How long what each judgement sees is, as an analysis that slides; all so far, if nobody says so.
    #[arg(long, value_name = "DURATION")]
    lookback: Option<String>,
    /// How many windows, end to end backwards.
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    windows: u32,
    /// Seconds between two points.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    step: u32,
    /// When the last window ends, as in 2026-11-21T08:00:00Z; now, if nobody says so.
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// From this score on a canary passes.
    #[arg(long, value_name = "SCORE", default_value_t = 95.0)]
    pass: f64,
    /// From this score on a canary is marginal.
    #[arg(long, value_name = "SCORE", default_value_t = 75.0)]
    marginal: f64,

    /// Account of the server to take the series from; else the one that answers the queries.
    #[arg(long, value_name = "NAME")]
    metrics_account: Option<String>,
    /// Account of the server that holds the canary config; else its first.
    #[arg(long, value_name = "NAME")]
    configuration_account: Option<String>,
}

impl Options {
    /// The config that comes with the request, linted; none where the server has it.
    pub fn config(&self, kind: &str) -> anyhow::Result<Option<Value>> {
        let plan = Plan {
            canary_config_file: self.config.clone(),
            canary_config_id: self.config_id.clone(),
            control: Some(self.side(&self.control)?),
            experiment: Some(self.side(self.against.first().unwrap_or(&self.control))?),
            location: self.location.clone(),
            step: Some(self.step.into()),
            ..Plan::default()
        };
        if self.config.is_none() && self.config_id.is_none() {
            let told =
                "what is to be calibrated? --config FILE or --config-id ID names a canary config";
            return Err(Usage(told.to_owned()).into());
        }
        plan.own_config(kind, None)
    }

    pub fn request(&self, config: Option<Value>, write: Option<&str>) -> anyhow::Result<Value> {
        let scope = |name: &String| -> anyhow::Result<Value> {
            Ok(
                json!({"scope": name, "location": self.location, "extendedScopeParams": self.params()?}),
            )
        };
        let against = self
            .against
            .iter()
            .map(scope)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut body = json!({
            "control": scope(&self.control)?,
            "against": against,
            "windowMins": minutes("--window", &self.window)?,
            "windows": self.windows,
            "step": self.step,
            "thresholds": {"pass": self.pass, "marginal": self.marginal},
        });
        let shift = self
            .shift
            .as_ref()
            .map(|text| minutes("--shift", text))
            .transpose()?;
        let interval = self
            .interval
            .as_ref()
            .map(|text| minutes("--interval", text))
            .transpose()?;
        let lookback = self
            .lookback
            .as_ref()
            .map(|text| minutes("--lookback", text))
            .transpose()?;
        let given = [
            ("lookbackMins", lookback.map(Value::from)),
            ("canaryConfig", config),
            ("canaryConfigId", self.config_id.clone().map(Value::from)),
            ("shiftMins", shift.map(Value::from)),
            ("intervalMins", interval.map(Value::from)),
            ("end", self.end.clone().map(Value::from)),
            ("write", write.map(Value::from)),
        ];
        for (name, value) in given {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        Ok(body)
    }

    /// As parameters of the address.
    pub fn accounts(&self) -> String {
        let named = [
            ("metricsAccountName", &self.metrics_account),
            ("configurationAccountName", &self.configuration_account),
        ];
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in named {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        match query.finish() {
            query if query.is_empty() => query,
            query => format!("?{query}"),
        }
    }

    fn side(&self, scope: &str) -> anyhow::Result<Side> {
        Ok(Side {
            scope: Some(scope.to_owned()),
            params: self.params()?,
            ..Side::default()
        })
    }

    fn params(&self) -> anyhow::Result<IndexMap<String, String>> {
        let pairs = self.param.iter().map(|text| {
            let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
            let (name, value) =
                pair.ok_or_else(|| Usage(format!("--param '{text}': NAME=VALUE is wanted")))?;
            Ok((name.to_owned(), value.to_owned()))
        });
        pairs.collect()
    }
}

fn minutes(flag: &str, text: &str) -> anyhow::Result<u64> {
    let duration =
        config::duration(text).map_err(|wrong| Usage(format!("{flag} '{text}' {wrong}")))?;
    if duration.is_zero() || duration.subsec_nanos() != 0 || duration.as_secs() % 60 != 0 {
        return Err(Usage(format!("{flag} '{text}' must be whole minutes")).into());
    }
    Ok(Duration::as_secs(&duration) / 60)
}

/// `0.05`, or `5%`.
pub fn share(text: &str) -> Result<f64, String> {
    let wrong = || "a share is wanted: 0.05, or 5%".to_owned();
    let share: f64 = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map_err(|_| wrong())? / 100.0,
        None => text.trim().parse().map_err(|_| wrong())?,
    };
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_number_or_percent() {
        let cases = [
            ("0.05", Some(0.05)),
            ("5%", Some(0.05)),
            ("5 %", Some(0.05)),
            ("0", Some(0.0)),
            ("5", None),
            ("x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(share(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn times_are_whole_minutes() {
        assert_eq!(minutes("--shift", "7d").unwrap(), 10_080);
        for text in ["90s", "0s", "10"] {
            assert!(minutes("--window", text).is_err(), "{text}");
        }
    }
}
