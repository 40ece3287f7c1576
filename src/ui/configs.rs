//! Canary configs: list, view, edit, copy, delete, try, and what if.

mod calibrate;
mod delete;
mod diff;
mod edit;
mod example;
mod list;
mod trial;
mod view;
mod what_if;

use axum::Router;
use axum::routing::{get, post};
use url::form_urlencoded::byte_serialize;

use super::forms::{Fields, own_pages_only};
use crate::app::App;
use crate::config::AccountType::{self, ConfigurationStore};
use crate::config::Server;
use crate::error::Result;

pub fn routes(server: &Server) -> Router<App> {
    Router::new()
        .route("/ui/configs", get(list::show))
        .route("/ui/configs/new", get(edit::begin).post(edit::create))
        .route("/ui/configs/new/calibrate", post(calibrate::of_text))
        .route("/ui/configs/check", post(edit::check))
        .route("/ui/configs/{id}", get(view::show))
        .route("/ui/configs/{id}/edit", get(edit::open).post(edit::save))
        .route("/ui/configs/{id}/copy", get(edit::copy))
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
            id => byte_serialize(id.as_bytes())
                .collect::<String>()
                .replace('+', "%20"),
        };
        format!("/ui/configs/{id}{page}{}", self.query)
    }
}

/// The names of the accounts that can serve as one of a type.
fn accounts_for(app: &App, wanted: AccountType) -> Vec<String> {
    let accounts = app.accounts().into_iter();
    let accounts = accounts.filter(|account| account.serves(wanted));
    accounts.map(|account| account.name.clone()).collect()
}
