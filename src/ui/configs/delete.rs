//! `/ui/configs/{id}/delete`: asked first, then done.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Redirect;

use super::{Store, applications, check_change};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{CanaryConfig, Id};
use crate::error::Result;
use crate::ui::forms::Fields;
use crate::ui::page::Page;
use crate::ui::shell::Shell;

#[derive(Template)]
#[template(path = "config_delete.html", config = "src/ui/askama.toml")]
pub struct Question {
    shell: Shell,
    store: Store,
    id: Id,
    config: CanaryConfig,
}

pub async fn ask(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
) -> Result<Page<Question>> {
    let (store, id) = (Store::of(&app, &address)?, Id::parse(&id)?);
    let config = app.seen_by(&caller).canary_config(&store.name, &id).await?;
    check_change(&app, &caller, applications(&config))?;
    Ok(Page(Question {
        shell: Shell::of(&caller),
        store,
        id,
        config,
    }))
}

pub async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
) -> Result<Redirect> {
    let (store, id) = (Store::of(&app, &address)?, Id::parse(&id)?);
    let seen = app.seen_by(&caller);
    seen.delete_canary_config(&store.name, &id).await?;
    Ok(Redirect::to(&format!("/ui/configs{}", store.query)))
}
