//! `serin templates`: the library of queries.

use std::process::ExitCode;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::exit::{Exit, Usage, told};
use super::tell;
use crate::config::nearest;
use crate::metrics::promql::library::{self, PREFIX, Template};

/// Lists the templates that a metric can name in its customFilterTemplate, or prints one of them.
#[derive(clap::Args)]
pub struct Templates {
    /// Print the PromQL of this one, with its variables.
    name: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
}

impl Templates {
    pub fn run(&self) -> ExitCode {
        told(self.print())
    }

    fn print(&self) -> anyhow::Result<Exit> {
        let all = library::all();
        match (&self.name, self.format) {
            (None, Format::Text) => list(&all),
            (None, Format::Json) => {
                let all: Vec<Value> = all.iter().map(described).collect();
                tell::result(&serde_json::to_string_pretty(&all)?)?;
            }
            (Some(name), Format::Text) => show(find(&all, name)?),
            (Some(name), Format::Json) => {
                let described = described(find(&all, name)?);
                tell::result(&serde_json::to_string_pretty(&described)?)?;
            }
        }
        Ok(Exit::Pass)
    }
}

/// The prefix may be left out.
fn find<'a>(all: &'a [Template], name: &str) -> Result<&'a Template, Usage> {
    let full = format!("{PREFIX}{}", name.strip_prefix(PREFIX).unwrap_or(name));
    if let Some(template) = all.iter().find(|template| template.name == full) {
        return Ok(template);
    }
    let names: Vec<&str> = all.iter().map(|template| template.name.as_str()).collect();
    let advice = match nearest(&full, &names) {
        Some(near) => format!("did you mean '{near}'?"),
        None => "'serin templates' lists them".to_owned(),
    };
    Err(Usage(format!("there is no template '{name}'; {advice}")))
}

fn list(all: &[Template]) {
    let width = all.iter().map(|template| template.name.len()).max();
    for template in all {
        let (name, width) = (&template.name, width.unwrap_or_default());
        tell::say(&format!("{name:width$}  {}", template.says));
    }
}

/// PromQL as a whole: what is said of it are comments.
fn show(template: &Template) {
    tell::say(&format!("# {}: {}", template.name, template.says));
    for variable in template.variables() {
        let name = format!("${{{}}}", variable.name);
        let meaning = library::meaning(variable.name);
        tell::say(&match variable.default {
            Some(default) => format!("# {name}: {meaning}; without it '{default}'"),
            None => format!("# {name}: {meaning}"),
        });
    }
    tell::say(&template.promql);
}

fn described(template: &Template) -> Value {
    let variables: Vec<Value> = template
        .variables()
        .into_iter()
        .map(|variable| {
            json!({
                "name": variable.name,
                "default": variable.default,
                "meaning": library::meaning(variable.name),
            })
        })
        .collect();
    json!({
        "name": template.name, "says": template.says, "promql": template.promql,
        "variables": variables,
    })
}
