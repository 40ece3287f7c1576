//! The two forms of a page of what has ended: judge it again, or accept it by hand.

use axum::Form;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::post;

use super::forms::{Fields, own_pages_only};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    Acceptance, CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Id, Instant,
    Kind,
};
use crate::config::Server;
use crate::error::Result;
use crate::run::{accept, asked, judge_analysis_again, judge_canary_again};

pub fn routes(server: &Server) -> Router<App> {
    Router::new()
        .route("/ui/runs/{id}/again", post(repeat_run))
        .route("/ui/runs/{id}/accept", post(accept_run))
        .route("/ui/analyses/{id}/again", post(repeat_analysis))
        .route("/ui/analyses/{id}/accept", post(accept_analysis))
        .layer(own_pages_only(server))
}

async fn repeat_run(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Redirect> {
    let id = Id::parse(&id)?;
    let begun = judge_canary_again(&app, &caller, &id, end(&fields, &app)?).await?;
    Ok(page_of(Kind::Canary, &begun.id))
}

async fn repeat_analysis(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Redirect> {
    let id = Id::parse(&id)?;
    let begun = judge_analysis_again(&app, &caller, &id, end(&fields, &app)?).await?;
    Ok(page_of(Kind::Analysis, &begun.id))
}

async fn accept_run(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Redirect> {
    let id = Id::parse(&id)?;
    let acceptance = acceptance(&fields);
    let accepted = accept::<CanaryExecutionStatusResponse>(&app, &caller, &id, acceptance);
    Box::pin(accepted).await?;
    Ok(page_of(Kind::Canary, &id))
}

async fn accept_analysis(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Redirect> {
    let id = Id::parse(&id)?;
    let acceptance = acceptance(&fields);
    let accepted = accept::<CanaryAnalysisExecutionStatusResponse>(&app, &caller, &id, acceptance);
    Box::pin(accepted).await?;
    Ok(page_of(Kind::Analysis, &id))
}

/// Now, where nothing is filled in.
fn end(fields: &Fields, app: &App) -> Result<Option<Instant>> {
    let end = fields.given("end");
    end.map(|text| asked::end(text, app.clock.now_millis()))
        .transpose()
}

fn acceptance(fields: &Fields) -> Acceptance {
    Acceptance {
        reason: fields.lines("reason"),
        by: fields.given("by").map(str::to_owned),
    }
}

pub fn page_of(kind: Kind, id: &Id) -> Redirect {
    Redirect::to(&address_of(kind, id))
}

pub fn address_of(kind: Kind, id: &Id) -> String {
    let id: String = url::form_urlencoded::byte_serialize(id.as_str().as_bytes()).collect();
    format!("{}/{}", kind.page(), id.replace('+', "%20"))
}
