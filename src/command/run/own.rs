//! The canary config that comes with a run, linted before anybody is asked.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::margins;
use super::plan::{Plan, Side};
use crate::canary::{CanaryScope, Learned, Pair};
use crate::clock::Clock;
use crate::command::canary_config::told_finding;
use crate::command::exit::Usage;
use crate::command::tell;
use crate::config::{LoadOptions, Unread, load};
use crate::lint::{self, Code, Finding, Format, Given, Severity};
use crate::run::learned::{Calibrated, Known};

/// Nothing is stored, and how many points there are is told with the verdict.
const BESIDE_THE_POINT: [Code; 2] = [Code::NotStorable, Code::FewPoints];

/// What only the server knows.
const OF_THE_SERVER: [Code; 3] = [Code::UnknownJudge, Code::BadAction, Code::TooLarge];

/// A config as it was written.
pub struct Own {
    pub text: String,
    pub format: Format,
    /// None where it stands among other things.
    pub file: Option<PathBuf>,
}

impl Own {
    pub fn of_value(value: &Value) -> Self {
        Self {
            text: value.to_string(),
            format: Format::Json,
            file: None,
        }
    }

    pub fn of_file(text: String, file: &Path) -> Self {
        // A text in JSON has its own lines; whatever else it is, YAML may read it.
        let is_json = serde_json::from_str::<Value>(&text).is_ok();
        Self {
            format: if is_json { Format::Json } else { Format::Yaml },
            text,
            file: Some(file.to_owned()),
        }
    }

    /// The config, which may stand in a request. With margins from a file it names them.
    pub fn value(&self, plan: &Plan, margins: Option<&Learned>) -> anyhow::Result<Value> {
        self.lint(plan, margins)?;
        let json = lint::only(&self.text, self.format);
        let value = json.and_then(|json| serde_json::from_str(&json).ok());
        let wanted = || Usage(format!("{}: one canary config is wanted", self.name()));
        let mut value = value.ok_or_else(wanted)?;
        if let Some(margins) = margins {
            margins::name_in(&mut value, margins)?;
        }
        Ok(value)
    }

    /// Tells warnings, and refuses what has errors.
    fn lint(&self, plan: &Plan, margins: Option<&Learned>) -> anyhow::Result<()> {
        let own =
            load(&LoadOptions::default(), &Unread).map_err(|error| Usage(error.to_string()))?;
        let mut findings = lint::lint(&own.config, &self.text, self.format, &given(plan, margins));
        findings.retain(|finding| {
            !BESIDE_THE_POINT.contains(&finding.code) && !OF_THE_SERVER.contains(&finding.code)
        });
        let is_error = |finding: &Finding| finding.severity == Severity::Error;
        let (errors, warnings): (Vec<_>, Vec<_>) = findings.into_iter().partition(is_error);
        for warning in warnings {
            tell::note(&self.told(warning));
        }
        if errors.is_empty() {
            return Ok(());
        }
        let errors: Vec<String> = errors.into_iter().map(|error| self.told(error)).collect();
        Err(Usage(format!(
            "the canary config has errors:\n{}",
            errors.join("\n")
        ))
        .into())
    }

    fn told(&self, mut finding: Finding) -> String {
        if self.file.is_none() {
            (finding.line, finding.column) = (None, None);
        }
        told_finding(Path::new(&self.name()), &finding)
    }

    fn name(&self) -> String {
        let file = self.file.as_ref().map(|file| file.display().to_string());
        file.unwrap_or_else(|| "the canary config".to_owned())
    }
}

fn given(plan: &Plan, margins: Option<&Learned>) -> Given {
    let usual = Given::default();
    Given {
        calibrated: margins.map(|margins| Calibrated {
            known: Known::Learned(margins.clone()),
            now: Clock::System.now_millis(),
        }),
        step: plan.step.filter(|step| 0 < *step).unwrap_or(usual.step),
        scopes: scopes(plan),
        ..usual
    }
}

/// Of one pair of sides; of several, each metric has its own.
fn scopes(plan: &Plan) -> Option<Pair<CanaryScope>> {
    let scope = |side: &Side| {
        let mut params = plan.params.clone();
        params.extend(side.params.clone());
        CanaryScope {
            scope: side.scope.clone(),
            location: side.location.clone().or_else(|| plan.location.clone()),
            extended_scope_params: Some(params),
            ..CanaryScope::default()
        }
    };
    if !plan.scopes.is_empty() {
        return None;
    }
    Some(Pair {
        control: scope(plan.control.as_ref()?),
        experiment: scope(plan.experiment.as_ref()?),
    })
}
