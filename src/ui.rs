//! The doors for people: pages that can be read without scripts, and what they load.

mod accounts;
mod analyses;
mod assets;
mod audit;
mod by_hand;
mod calibrations;
mod compare;
mod configs;
mod doing;
mod filter;
mod find;
mod forms;
mod list;
mod login;
mod page;
mod run;
mod runs;
mod shell;
mod times;

use axum::Router;
use axum::middleware;
use axum::response::{Redirect, Response};
use axum::routing::{any, get};

pub use forms::own_pages_only;
pub use page::{Told, tell_refusal};
use shell::Reader;

use crate::app::App;
use crate::error::{Error, Result};

/// All pages. What goes wrong in them is told on a page too, but for a panic and a time-out.
pub fn routes(app: &App) -> Router<App> {
    let server = &app.config.server;
    let reader = middleware::from_extractor_with_state::<Reader, _>(app.clone());
    Router::new()
        .merge(configs::routes(server))
        .merge(accounts::routes())
        .merge(audit::routes())
        .merge(by_hand::routes(server))
        .merge(calibrations::routes(server))
        .merge(doing::routes(server))
        .route("/ui", get(runs::show))
        .route("/ui/runs/{id}", get(run::show))
        .route("/ui/runs/{id}/compare", get(compare::show))
        .route("/ui/runs/{id}/like", get(configs::like))
        .route("/ui/runs/{id}/report.html", get(run::report))
        .route("/ui/runs/{id}/metrics/{file}", get(run::metric_data))
        .route("/ui/analyses", get(analyses::list))
        .route("/ui/analyses/{id}", get(analyses::show))
        .route_layer(reader)
        .merge(login::routes(server))
        .route("/", get(async || Redirect::to("/ui/")))
        .route("/ui/assets/{version}/{*file}", get(assets::find))
        .route("/ui/{*rest}", any(answer_unknown_page))
        .layer(middleware::from_fn(page::tell_failure))
}

async fn answer_unknown_page() -> Result<Response> {
    let told = "there is no page under this address".to_owned();
    Err(Error::NotFound(told))
}
