//! Canary configs: list, view, edit, copy, delete, try, and what if.

mod calibrate;
mod delete;
mod diff;
mod edit;
mod example;
mod history;
mod labels;
mod list;
mod metrics;
mod series;
mod templates;
mod text;
mod trial;
mod view;
mod what_if;

use axum::Router;
use axum::routing::{get, post};
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

pub use trial::like;

use super::forms::{Fields, own_pages_only};
use crate::access::{Caller, On, Role};
use crate::app::App;
use crate::canary::{CanaryConfig, CanaryExecutionStatusResponse, Id, Told};
use crate::config::AccountType::{self, ConfigurationStore, MetricsStore};
use crate::config::Server;
use crate::error::Result;
use crate::report::view::stored_config;
use crate::storage::{Line, Search};

pub fn routes(server: &Server) -> Router<App> {
    Router::new()
        .route("/ui/configs", get(list::show))
        .route("/ui/configs/new", get(edit::begin).post(edit::create))
        .route("/ui/configs/new/calibrate", post(calibrate::of_text))
        .route("/ui/configs/new/try", post(trial::of_text))
        .route("/ui/configs/check", post(edit::check))
        .route("/ui/configs/series", post(series::show))
        .route("/ui/configs/labels", get(labels::list))
        .route("/ui/configs/templates", get(templates::list))
        .route("/ui/configs/{id}", get(view::show))
        .route("/ui/configs/{id}/edit", get(edit::open).post(edit::save))
        .route("/ui/configs/{id}/copy", get(edit::copy))
        .route("/ui/configs/{id}/metrics", get(metrics::show))
        .route("/ui/configs/{id}/propose", post(edit::propose))
        .route(
            "/ui/configs/{id}/delete",
            get(delete::ask).post(delete::delete),
        )
        .route(
            "/ui/configs/{id}/calibrate",
            get(calibrate::ask).post(calibrate::start),
        )
        .route("/ui/configs/{id}/try", get(trial::ask).post(trial::start))
        .route("/ui/replay", get(what_if::ask).post(what_if::judge))
        .layer(own_pages_only(server))
}

/// The configuration store that a page is about.
#[derive(Clone, Debug)]
struct Store {
    name: String,
    /// What links carry on: nothing for the store that is meant when none is named.
    query: String,
    /// All that could be chosen.
    names: Vec<String>,
}

impl Store {
    /// # Errors
    /// `Invalid` when there is no store of that name.
    fn of(app: &App, address: &Fields) -> Result<Self> {
        let name = app.store(address.given("account"), ConfigurationStore)?;
        let default = app.store(None, ConfigurationStore)?;
        Ok(Self {
            name: name.to_owned(),
            query: if name == default {
                String::new()
            } else {
                format!(
                    "?account={}",
                    byte_serialize(name.as_bytes()).collect::<String>()
                )
            },
            names: accounts_for(app, ConfigurationStore),
        })
    }

    /// The page of a config.
    fn address(&self, id: &str) -> String {
        self.address_of(id, "")
    }

    /// A page below that of a config.
    fn address_of(&self, id: &str, page: &str) -> String {
        let id = match id {
            // These are pages; a config may still have such an id.
            "new" => "%6Eew".to_owned(),
            "check" => "%63heck".to_owned(),
            "labels" => "%6Cabels".to_owned(),
            "series" => "%73eries".to_owned(),
            "templates" => "%74emplates".to_owned(),
            id => byte_serialize(id.as_bytes())
                .collect::<String>()
                .replace('+', "%20"),
        };
        format!("/ui/configs/{id}{page}{}", self.query)
    }
}

/// The config that a form is about.
enum Of {
    Stored(Id),
    /// As it stands in an editor, which stays open beside this page.
    Text(String),
}

impl Of {
    fn is_stored(&self) -> bool {
        matches!(self, Self::Stored(_))
    }

    /// Where its form goes.
    fn address(&self, store: &Store, page: &str) -> String {
        match self {
            Self::Stored(id) => store.address_of(id.as_str(), page),
            Self::Text(_) => format!("/ui/configs/new{page}{}", store.query),
        }
    }
}

/// What a caller may do with a config.
#[derive(Clone, Copy)]
struct May {
    /// Have a canary judged by it.
    start: bool,
    /// Change and delete it.
    change: bool,
    /// Store another one.
    create: bool,
}

impl May {
    fn of(app: &App, caller: &Caller, applications: &[String]) -> Self {
        Self {
            start: check_start(caller, applications).is_ok(),
            change: check_change(app, caller, applications).is_ok(),
            create: check_create(caller).is_ok(),
        }
    }
}

/// Whether something may be started by a config of these applications: for one of them.
fn check_start(caller: &Caller, applications: &[String]) -> Result<()> {
    let check = |one: &String| caller.check(Role::Start, On::application(one));
    let mut all = applications.iter().map(check);
    let Some(first) = all.next() else {
        return caller.check(Role::Start, On::NOTHING);
    };
    first.or_else(|refused| all.find(Result::is_ok).unwrap_or(Err(refused)))
}

fn check_change(app: &App, caller: &Caller, applications: &[String]) -> Result<()> {
    app.seen_by(caller).may_on_all(Role::Config, applications)
}

fn check_create(caller: &Caller) -> Result<()> {
    caller.check(Role::Config, On::NOTHING)
}

/// Where the stored config of what failed is changed, at the metric that could not be fetched; none
/// for who may not change it.
pub fn editor_of(app: &App, caller: &Caller, told: &Told<'_>) -> Option<String> {
    let (exception, id) = (told.exception?, stored_config(Some(told.config_id))?);
    check_change(app, caller, applications(told.config?)).ok()?;
    let store = Store::of(app, &Fields::default()).ok()?;
    let address = store.address_of(&id, "/edit");
    let metric = exception.details.get("metric").and_then(Value::as_str);
    Some(match metric {
        Some(name) => {
            let name: String = byte_serialize(name.as_bytes()).collect();
            format!("{address}#metric={name}")
        }
        None => address,
    })
}

fn applications(config: &CanaryConfig) -> &[String] {
    config.applications.as_deref().unwrap_or_default()
}

/// As a heading names it.
fn named(config: &CanaryConfig) -> &str {
    let name = config.name.as_deref().filter(|name| !name.is_empty());
    name.unwrap_or("this config")
}

fn score(text: &str) -> Result<f64, String> {
    let score = text
        .parse()
        .ok()
        .filter(|score| (0.0..=100.0).contains(score));
    score.ok_or_else(|| format!("'{text}' is no score; a number from 0 to 100 is wanted"))
}

/// The newest runs by a config, or by any.
async fn newest_runs(
    app: &App,
    caller: &Caller,
    config: Option<&str>,
    limit: i64,
) -> Result<Vec<Line<CanaryExecutionStatusResponse>>> {
    let search = Search {
        accounts: app.stores(),
        config: config.map(str::to_owned),
        limit,
        ..Search::default()
    };
    let seen = app.seen_by(caller);
    seen.search(&search).await
}

/// The metrics accounts that a caller may have asked.
fn metrics_accounts(app: &App, caller: &Caller) -> Vec<String> {
    let mut names = accounts_for(app, MetricsStore);
    names.retain(|name| caller.can(Role::Start, On::account(name)));
    names
}

/// The names of the accounts that can serve as one of a type.
fn accounts_for(app: &App, wanted: AccountType) -> Vec<String> {
    let accounts = app.accounts().into_iter();
    let accounts = accounts.filter(|account| account.serves(wanted));
    accounts.map(|account| account.name.clone()).collect()
}
