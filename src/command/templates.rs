//! `serin templates`: the library of queries.

use std::process::ExitCode;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

use super::exit::{Exit, Usage, told};
use super::tell;
use crate::config::nearest;
use crate::metrics::library::{self, PREFIX, Template};
use crate::metrics::promql;

/// Lists the templates that a metric can name in its customFilterTemplate, or prints one of them.
#[derive(clap::Args)]
pub struct Templates {
    /// Print the query of this one, with its variables.
    name: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Text,
    Json,
    /// Whole metrics, as a canary config has them.
    Metric,
}

impl Templates {
    pub fn run(&self) -> ExitCode {
        told(self.print())
    }

    fn print(&self) -> anyhow::Result<Exit> {
        let all = library::all();
        match (&self.name, self.format) {
            (None, Format::Text) => list(&all),
            (Some(name), Format::Text) => show(find(&all, name)?),
            (None, Format::Json) => print(&all.iter().map(described).collect::<Vec<_>>())?,
            (Some(name), Format::Json) => print(&described(find(&all, name)?))?,
            (None, Format::Metric) => print(&all.iter().map(Template::metric).collect::<Vec<_>>())?,
            (Some(name), Format::Metric) => print(&find(&all, name)?.metric())?,
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

fn print(told: &impl Serialize) -> anyhow::Result<()> {
    tell::result(&serde_json::to_string_pretty(told)?)
}

/// By the kind of their queries.
fn list(all: &[Template]) {
    for of_kind in all.chunk_by(|one, next| one.kind == next.kind) {
        let width = of_kind.iter().map(|template| template.name.len()).max();
        let width = width.unwrap_or_default();
        let kind = of_kind.first().map_or("", |template| template.kind);
        tell::say(&format!("# {kind}"));
        for template in of_kind {
            tell::say(&format!("{:width$}  {}", template.name, template.says));
        }
    }
}

/// The query as a whole: what is said of it are comments.
fn show(template: &Template) {
    tell::say(&format!("# {}: {}", template.name, template.says));
    if !template.needs.is_empty() {
        tell::say(&format!("# needs {}", template.needs));
    }
    for variable in template.variables() {
        let name = format!("${{{}}}", variable.name);
        let meaning = template.meaning(variable.name);
        tell::say(&match variable.default {
            Some(default) => format!("# {name}: {meaning}; without it '{default}'"),
            None => format!("# {name}: {meaning}"),
        });
    }
    for (member, text) in template.members {
        tell::say(&format!("# {member}: {text}"));
    }
    tell::say(template.query());
}

fn described(template: &Template) -> Value {
    let variables: Vec<Value> = template
        .variables()
        .into_iter()
        .map(|variable| {
            json!({
                "name": variable.name,
                "default": variable.default,
                "meaning": template.meaning(variable.name),
            })
        })
        .collect();
    let mut described = json!({
        "name": template.name, "type": template.kind, "says": template.says,
        "needs": template.needs, "metric": template.metric(), "variables": variables,
    });
    if template.kind == promql::KIND {
        described["promql"] = template.query().into();
    }
    described
}
