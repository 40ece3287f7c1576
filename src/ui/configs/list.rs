//! `/ui/configs`: which there are.

use std::collections::HashMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use futures::stream::{self, StreamExt};
use url::form_urlencoded::Serializer;

use super::{May, Store, check_create, newest_runs};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{CanaryConfig, CanaryConfigSummary, Id, Outcome};
use crate::error::Result;
use crate::lint::{self, Format, Given, Severity};
use crate::report::view::Moment;
use crate::ui::forms::Fields;
use crate::ui::page::Page;
use crate::ui::shell::{Shell, here};

#[derive(Template)]
#[template(path = "configs.html", config = "src/ui/askama.toml")]
pub struct List {
    shell: Shell,
    store: Store,
    /// Of all configs, to choose from.
    applications: Vec<String>,
    application: String,
    /// What is looked for in names and ids.
    find: String,
    configs: Vec<Line>,
    /// How many there are on all pages, which are counted from 1.
    total: usize,
    page: usize,
    may_create: bool,
    /// For the line that a newcomer can copy.
    url: String,
}

/// Configs of a page: each is read to be described.
const LINES: usize = 50;

/// Beyond any list.
const MOST_PAGES: usize = 1_000_000;

/// Configs that are read at once.
const READS: usize = 8;

/// Newest runs in which the last verdict of each config is looked for.
const RUNS: i64 = 500;

/// One config of the list.
struct Line {
    summary: CanaryConfigSummary,
    may: May,
    /// None where it cannot be read.
    described: Option<Described>,
    last: Option<(String, Outcome)>,
}

/// What it is like.
struct Described {
    metrics: usize,
    errors: usize,
    warnings: usize,
}

impl List {
    fn updated(line: &Line) -> Option<Moment> {
        Moment::of_millis(line.summary.updated_timestamp)
    }

    fn is_filtered(&self) -> bool {
        !self.application.is_empty() || !self.find.is_empty()
    }

    fn address(&self, page: usize) -> String {
        let account = if self.store.query.is_empty() {
            ""
        } else {
            &self.store.name
        };
        let page = page.to_string();
        let pairs = [
            ("account", account),
            ("find", &self.find),
            ("application", &self.application),
            ("page", &page),
        ];
        let filled = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        let query = Serializer::new(String::new()).extend_pairs(filled).finish();
        format!("/ui/configs?{query}")
    }

    fn has_more(&self) -> bool {
        self.page * LINES < self.total
    }
}

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Query(address): Query<Fields>,
    headers: HeaderMap,
) -> Result<Page<List>> {
    let store = Store::of(&app, &address)?;
    let application = address.text("application").to_owned();
    let mut configs = app
        .seen_by(&caller)
        .canary_configs(&store.name, &[])
        .await?;
    configs.sort_by_cached_key(|config| (config.name.to_lowercase(), config.id.clone()));
    let named = configs.iter().flat_map(|config| &config.applications);
    let seen = named.filter(|name| caller.sees(name));
    let mut applications: Vec<String> = seen.cloned().collect();
    applications.sort();
    applications.dedup();
    if !application.is_empty() {
        configs.retain(|config| config.applications.contains(&application));
    }
    let find = address.text("find").to_owned();
    let part = find.to_lowercase();
    configs.retain(|config| {
        let mut texts = [&config.name, &config.id].into_iter();
        texts.any(|text| text.to_lowercase().contains(&part))
    });
    let total = configs.len();
    let page = address
        .text("page")
        .parse()
        .unwrap_or(1)
        .clamp(1, MOST_PAGES);
    let of_page = configs.into_iter().skip((page - 1) * LINES).take(LINES);
    let last = last_verdicts(&app, &caller).await?;
    let lines = of_page.map(|config| line(&app, &caller, &store, &last, config));
    let lines: Vec<_> = lines.collect();
    let lines = stream::iter(lines).buffered(READS).collect().await;
    Ok(Page(List {
        shell: Shell::of(&caller),
        store,
        applications,
        application,
        find,
        configs: lines,
        total,
        page,
        may_create: check_create(&caller).is_ok(),
        url: here(&app, &headers),
    }))
}

/// By the id of the config: its newest run that has ended, and what came of it.
async fn last_verdicts(app: &App, caller: &Caller) -> Result<HashMap<String, (String, Outcome)>> {
    let runs = newest_runs(app, caller, None, RUNS).await?;
    let mut last = HashMap::new();
    for run in runs {
        let brief = run.brief;
        if brief.outcome.is_final() {
            last.entry(brief.config_id)
                .or_insert((run.id, brief.outcome));
        }
    }
    Ok(last)
}

async fn line(
    app: &App,
    caller: &Caller,
    store: &Store,
    last: &HashMap<String, (String, Outcome)>,
    summary: CanaryConfigSummary,
) -> Line {
    Line {
        may: May::of(app, caller, &summary.applications),
        described: described(app, caller, store, &summary.id).await,
        last: last.get(&summary.id).cloned(),
        summary,
    }
}

async fn described(app: &App, caller: &Caller, store: &Store, id: &str) -> Option<Described> {
    let id = Id::parse(id).ok()?;
    let seen = app.seen_by(caller);
    let body = seen.canary_config_body(&store.name, &id).await.ok()?;
    let config = app.config.clone();
    let described = tokio::task::spawn_blocking(move || {
        let text = std::str::from_utf8(&body).ok()?;
        let canary: CanaryConfig = serde_json::from_str(text).ok()?;
        let found = lint::lint(&config, text, Format::Json, &Given::default());
        let count = |severity| found.iter().filter(|one| one.severity == severity).count();
        Some(Described {
            metrics: canary.metrics.map_or(0, |metrics| metrics.len()),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
        })
    });
    described.await.ok().flatten()
}
