//! `/ui/accounts`: where series come from and documents go, and whether they answer.

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::routing::get;

use super::page::Page;
use super::shell::Shell;
use crate::access::Caller;
use crate::app::App;
use crate::config::{self, Face};
use crate::error::Result;
use crate::report::view::Moment;

pub fn routes() -> Router<App> {
    Router::new().route("/ui/accounts", get(show))
}

#[derive(Template)]
#[template(path = "accounts.html", config = "src/ui/askama.toml")]
pub struct View {
    shell: Shell,
    checked_at: Option<Moment>,
    has_places: bool,
    database: Health,
    listed: Vec<Account>,
}

struct Account {
    name: String,
    kind: &'static str,
    uses: Vec<&'static str>,
    place: Place,
    health: Health,
}

/// Where it is, without credentials.
enum Place {
    Web(String),
    Text(Vec<(&'static str, String)>),
}

enum Health {
    Up,
    Down(String),
}

pub async fn show(State(app): State<App>, caller: Caller) -> Page<View> {
    let checked = app.check().await;
    let mut health: HashMap<&str, Health> = checked
        .stores
        .iter()
        .chain(&checked.sources)
        .map(|(name, checked)| (name.as_str(), Health::of(checked)))
        .collect();
    let accounts = app.accounts().into_iter().map(|account| Account {
        name: account.name.clone(),
        kind: account.face.title,
        uses: uses(account),
        place: place(&account.face),
        health: health.remove(account.name.as_str()).unwrap_or(Health::Up),
    });
    Page(View {
        shell: Shell::of(&caller),
        has_places: app.seen_by(&caller).sees_places(),
        checked_at: Moment::of_millis(app.clock.now_millis()),
        database: Health::of(&checked.index),
        listed: accounts.collect(),
    })
}

impl Health {
    fn of(checked: &Result<()>) -> Self {
        match checked {
            Ok(()) => Self::Up,
            Err(error) => Self::Down(error.to_string()),
        }
    }
}

fn uses(account: &config::Account) -> Vec<&'static str> {
    let types = account.supported_types.iter();
    types.map(|supported| supported.words()).collect()
}

fn place(face: &Face) -> Place {
    if let Some(url) = &face.base_url {
        return Place::Web(url.clone());
    }
    let parts = [
        ("project", &face.project),
        ("bucket", &face.bucket),
        ("endpoint", &face.server),
        ("region", &face.region),
        ("location", &face.bucket_location),
        ("root folder", &face.root_folder),
    ];
    let given = parts
        .into_iter()
        .filter_map(|(name, part)| Some((name, part.clone()?)));
    Place::Text(given.collect())
}
