//! `/ui/charts`: pictures for messages, behind links that nobody can guess.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::app::{Anybody, App};
use crate::error::{Error, Result};
use crate::report::chart;

/// A chart never changes, and goes with its execution.
const CACHED: &str = "private, max-age=86400, immutable";

pub async fn show(
    State(app): State<App>,
    _: Anybody,
    Path(file): Path<String>,
) -> Result<Response> {
    let token = token(&file)?;
    let png = match app.charts.get(token).await {
        Some(png) => png,
        None => draw(&app, token).await?,
    };
    let headers = [
        (header::CONTENT_TYPE, "image/png"),
        (header::CACHE_CONTROL, CACHED),
    ];
    Ok((headers, png).into_response())
}

async fn draw(app: &App, token: &str) -> Result<Bytes> {
    let (pair, label) = app.charted(token).await?;
    let drawn = tokio::task::spawn_blocking(move || chart::png(&pair, &label)).await;
    let png = drawn.map_err(|cause| Error::Internal(format!("cannot draw a chart: {cause}")))??;
    let png = Bytes::from(png);
    app.charts.insert(token.to_owned(), png.clone()).await;
    Ok(png)
}

fn token(file: &str) -> Result<&str> {
    let token = file.strip_suffix(".png").unwrap_or_default();
    if token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(token);
    }
    Err(Error::NotFound("there is no such chart".to_owned()))
}
