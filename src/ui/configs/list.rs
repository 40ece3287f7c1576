//! `/ui/configs`: which there are.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};

use super::Store;
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
    configs: Vec<CanaryConfigSummary>,
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
    let mut configs = app.storage.canary_configs(&store.name, &[]).await?;
    configs.sort_by_cached_key(|config| (config.name.to_lowercase(), config.id.clone()));
    let named = configs.iter().flat_map(|config| &config.applications);
    let mut applications: Vec<String> = named.cloned().collect();
    applications.sort();
    applications.dedup();
    if !application.is_empty() {
        configs.retain(|config| config.applications.contains(&application));
    }
    Ok(Page(List {
        shell: Shell::of(&caller),
        store,
        applications,
        application,
        configs,
        url: url(&app, &headers),
    }))
}

fn url(app: &App, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let seen = format!("http://{}", host.unwrap_or("localhost:8090"));
    app.config.server.public_url.clone().unwrap_or(seen)
}
