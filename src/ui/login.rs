//! `/ui/login`, `/ui/logout`: people log in at the issuer that the configuration names.

use askama::Template;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::forms::own_pages_only;
use super::page::Page;
use super::shell::Shell;
use crate::access::Caller;
use crate::app::App;
use crate::callers::login::Answer;
use crate::config::Server;
use crate::error::{Error, Result};

pub fn routes(server: &Server) -> Router<App> {
    Router::new()
        .route("/ui/login", get(begin))
        .route("/ui/login/callback", get(end))
        .merge(
            Router::new()
                .route("/ui/logout", post(leave))
                .layer(own_pages_only(server)),
        )
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    to: String,
}

#[derive(Template)]
#[template(path = "logged_out.html", config = "src/ui/askama.toml")]
struct LoggedOut {
    shell: Shell,
}

async fn begin(State(app): State<App>, Query(Wanted { to }): Query<Wanted>) -> Result<Response> {
    let login = app.callers.login().ok_or_else(nowhere)?;
    let sent = login.begin(&to).await?;
    Ok(lead(sent.to, sent.cookies))
}

async fn end(
    State(app): State<App>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> Result<Response> {
    let login = app.callers.login().ok_or_else(nowhere)?;
    let sent = login.end(&headers, &answer).await?;
    Ok(lead(sent.to, sent.cookies))
}

async fn leave(State(app): State<App>) -> Result<Response> {
    let login = app.callers.login().ok_or_else(nowhere)?;
    let shell = Shell::of(&Caller::anyone());
    let mut page = Page(LoggedOut { shell }).into_response();
    set(&mut page, vec![login.forget()]);
    Ok(page)
}

fn lead(to: String, cookies: Vec<String>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response();
    set(&mut response, cookies);
    response
}

fn set(response: &mut Response, cookies: Vec<String>) {
    let values = cookies.into_iter().filter_map(|cookie| cookie.parse().ok());
    for value in values {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

fn nowhere() -> Error {
    Error::NotFound("nobody logs in here: access.login says where people do".to_owned())
}
