//! `/ui/accounts`: where series come from and documents go, and whether they answer.

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::routing::get;

use super::page::Page;
use crate::app::App;
use crate::config::{self, AccountKind};
use crate::error::Result;
use crate::report::view::Moment;

pub fn routes() -> Router<App> {
    Router::new().route("/ui/accounts", get(show))
}

#[derive(Template)]
#[template(path = "accounts.html", config = "src/ui/askama.toml")]
pub struct View {
    checked_at: Option<Moment>,
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

pub async fn show(State(app): State<App>) -> Page<View> {
    let checked = app.check().await;
    let mut health: HashMap<&str, Health> = checked
        .stores
        .iter()
        .chain(&checked.sources)
        .map(|(name, checked)| (name.as_str(), Health::of(checked)))
        .collect();
    let accounts = app.accounts().into_iter().map(|account| Account {
        name: account.name.clone(),
        kind: match account.kind {
            AccountKind::Prometheus(_) => "Prometheus",
            AccountKind::S3(_) => "S3",
            AccountKind::File(_) => "files",
            AccountKind::Memory => "memory",
        },
        uses: uses(account),
        place: place(&account.kind),
        health: health.remove(account.name.as_str()).unwrap_or(Health::Up),
    });
    Page(View {
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
    types.map(|supported| supported.as_str()).collect()
}

fn place(kind: &AccountKind) -> Place {
    match kind {
        AccountKind::Prometheus(prometheus) => Place::Web(prometheus.base_url.clone()),
        AccountKind::S3(s3) => {
            let mut place = vec![("bucket", s3.bucket.clone())];
            place.extend(s3.endpoint.clone().map(|url| ("endpoint", url)));
            place.extend(s3.region.clone().map(|region| ("region", region)));
            place.push(("root folder", s3.root_folder.clone()));
            Place::Text(place)
        }
        AccountKind::File(file) => {
            // Where it is on the machine stays inside, as in `/credentials`.
            Place::Text(vec![("root folder", file.root_folder.clone())])
        }
        AccountKind::Memory => Place::Text(Vec::new()),
    }
}
