//! `/ui/configs`: which there are.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};

use super::{May, Store, check_create};
use crate::access::Caller;
use crate::app::App;
use crate::canary::CanaryConfigSummary;
use crate::error::Result;
use crate::report::view::Moment;
use crate::ui::forms::Fields;
use crate::ui::page::Page;
use crate::ui::shell::Shell;

#[derive(Template)]
#[template(path = "configs.html", config = "src/ui/askama.toml")]
pub struct List {
    shell: Shell,
    store: Store,
    /// Of all configs, to choose from.
    applications: Vec<String>,
    application: String,
    configs: Vec<(CanaryConfigSummary, May)>,
    may_create: bool,
    /// For the line that a newcomer can copy.
    url: String,
}

impl List {
    fn updated(config: &CanaryConfigSummary) -> Option<Moment> {
        Moment::of_millis(config.updated_timestamp)
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
    let may = |config: CanaryConfigSummary| {
        let may = May::of(&app, &caller, &config.applications);
        (config, may)
    };
    Ok(Page(List {
        shell: Shell::of(&caller),
        store,
        applications,
        application,
        configs: configs.into_iter().map(may).collect(),
        may_create: check_create(&caller).is_ok(),
        url: url(&app, &headers),
    }))
}

fn url(app: &App, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let seen = format!("http://{}", host.unwrap_or("localhost:8090"));
    app.config.server.public_url.clone().unwrap_or(seen)
}
