//! What can be done with an execution on its page: cancel, pin, unpin, delete; each as its door of the API does it.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::{get, post};

use super::forms::own_pages_only;
use super::page::Page;
use super::shell::Shell;
use super::{by_hand, configs, find};
use crate::access::{Caller, Role};
use crate::app::App;
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution, Id, Kind,
};
use crate::config::Server;
use crate::error::Result;
use crate::run;

type Run = CanaryExecutionStatusResponse;
type Analysis = CanaryAnalysisExecutionStatusResponse;

pub fn routes(server: &Server) -> Router<App> {
    Router::new()
        .route("/ui/runs/{id}/cancel", post(cancel::<Run>))
        .route("/ui/runs/{id}/pin", post(pin::<Run>))
        .route("/ui/runs/{id}/unpin", post(unpin::<Run>))
        .route("/ui/runs/{id}/delete", get(ask::<Run>).post(delete::<Run>))
        .route("/ui/analyses/{id}/cancel", post(cancel::<Analysis>))
        .route("/ui/analyses/{id}/pin", post(pin::<Analysis>))
        .route("/ui/analyses/{id}/unpin", post(unpin::<Analysis>))
        .route(
            "/ui/analyses/{id}/delete",
            get(ask::<Analysis>).post(delete::<Analysis>),
        )
        .layer(own_pages_only(server))
}

/// What a caller can do with an execution as it stands.
#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a button of its own")]
pub struct Doing {
    pub cancel: bool,
    /// Start a run like it.
    pub again: bool,
    pub pin: bool,
    pub unpin: bool,
    pub delete: bool,
    /// Where the config of what failed is changed.
    pub editor: Option<String>,
}

impl Doing {
    pub async fn of<R: Execution>(app: &App, caller: &Caller, execution: &R) -> Result<Self> {
        let seen = app.seen_by(caller);
        let application = execution.application();
        let may_start = seen.may_start(Some(application), []).is_ok();
        let of = [application.to_owned()];
        let may_delete = seen.may_on_all(Role::Delete, &of).is_ok();
        let has_ended = execution.told().outcome.is_final();
        let is_pinned = match Id::parse(execution.id()) {
            Ok(id) => seen.is_pinned::<R>(&id).await?,
            Err(_) => false,
        };
        Ok(Self {
            cancel: may_start && !has_ended,
            again: may_start && matches!(R::KIND, Kind::Canary),
            pin: may_delete && !is_pinned,
            unpin: may_delete && is_pinned,
            delete: may_delete && has_ended && !is_pinned,
            editor: configs::editor_of(app, caller, &execution.told()),
        })
    }

    pub const fn is_any(&self) -> bool {
        self.cancel || self.again || self.pin || self.unpin || self.delete
    }
}

async fn cancel<R: Execution>(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Redirect> {
    let id = Id::parse(&id)?;
    app.seen_by(&caller).may_cancel(&id).await?;
    // Not what has the same id and is something else.
    find::execution::<R>(&app, &caller, id.as_str(), R::KIND.as_str()).await?;
    run::cancel(&app, &(&caller).into(), &id).await?;
    Ok(by_hand::page_of(R::KIND, &id))
}

async fn pin<R: Execution>(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Redirect> {
    let id = Id::parse(&id)?;
    let seen = app.seen_by(&caller);
    seen.pin::<R>(&app.all_stores(), &id).await?;
    Ok(by_hand::page_of(R::KIND, &id))
}

async fn unpin<R: Execution>(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Redirect> {
    let id = Id::parse(&id)?;
    let seen = app.seen_by(&caller);
    seen.unpin::<R>(&app.all_stores(), &id).await?;
    Ok(by_hand::page_of(R::KIND, &id))
}

#[derive(Template)]
#[template(path = "execution_delete.html", config = "src/ui/askama.toml")]
struct Question {
    shell: Shell,
    id: String,
    application: String,
    noun: &'static str,
    /// Its own address, and that of the list.
    page: String,
    list: &'static str,
}

async fn ask<R: Execution>(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Page<impl Template>> {
    let execution: R = find::execution(&app, &caller, &id, R::KIND.as_str()).await?;
    let application = execution.application().to_owned();
    let seen = app.seen_by(&caller);
    seen.may_on_all(Role::Delete, std::slice::from_ref(&application))?;
    let (noun, list) = words::<R>();
    Ok(Page(Question {
        shell: Shell::of(&caller),
        page: by_hand::address_of(R::KIND, &Id::parse(&id)?),
        id,
        application,
        noun,
        list,
    }))
}

async fn delete<R: Execution>(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Redirect> {
    let id = Id::parse(&id)?;
    let seen = app.seen_by(&caller);
    seen.delete::<R>(&app.all_stores(), &id).await?;
    Ok(Redirect::to(words::<R>().1))
}

/// What one of them is called, and where the list of them is.
fn words<R: Execution>() -> (&'static str, &'static str) {
    match R::KIND {
        Kind::Analysis => ("analysis", "/ui/analyses"),
        _ => ("run", "/ui/"),
    }
}
