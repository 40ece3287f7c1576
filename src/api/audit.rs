//! `/audit`: who did what; and what every request leaves there.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;
use super::query::Query;
use super::refusal;
use crate::access::{Caller, Peer};
use crate::app::{App, Tried};
use crate::audit::request::Asked;
use crate::audit::{self, By, Deed, Line};
use crate::config::nearest;
use crate::error::{Error, Result};
use crate::run::asked;
use crate::storage::{DeedPlace, DeedSearch};

/// Deeds of a page.
const LINES: i64 = 100;
const MOST_LINES: i64 = 1_000;

/// Refusals are short; more is no sentence.
const MOST_BYTES: usize = 1 << 16;

/// A page of the record.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deeds {
    /// Newest first.
    deeds: Vec<Line>,
    /// The `after` of the next page, if there may be one.
    next: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// RFC 3339, or as in `now-1d`
    since: Option<String>,
    /// what was done then is not among them
    until: Option<String>,
    /// as in `token:ci`
    who: Option<String>,
    /// as in `configChanged`
    deed: Option<String>,
    application: Option<String>,
    /// of what it was done to
    id: Option<String>,
    /// 100, if not given; 1,000 at most
    limit: Option<i64>,
    /// the `next` of the page before
    after: Option<String>,
}

/// Tell who did what
///
/// Newest first. Details beyond 16 KiB are left out; `/audit/{chain}/{number}` has them. With
/// `Accept: application/jsonl`, a line for each, and the next page in the header `Link`.
#[utoipa::path(get, path = "/audit", tag = "operations",
    params(Wanted),
    responses((status = 200, body = Deeds), (status = 400, body = Problem), (status = 403, body = Problem, description = "for admins only")))]
pub async fn list_deeds(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Result<Response> {
    let now = app.clock.now_millis();
    let search = DeedSearch {
        since: time("since", wanted.since.as_deref(), now)?,
        until: time("until", wanted.until.as_deref(), now)?,
        who: wanted.who.as_deref(),
        deed: wanted.deed.as_deref().map(deed).transpose()?,
        application: wanted.application.as_deref(),
        id: wanted.id.as_deref(),
    };
    let after = wanted.after.as_deref().map(place).transpose()?;
    let limit = wanted.limit.unwrap_or(LINES).clamp(1, MOST_LINES);
    let seen = app.seen_by(&caller);
    let rows = seen.deeds(&search, after.as_ref(), limit).await?;
    let is_full = i64::try_from(rows.len()) == Ok(limit);
    let next = rows
        .last()
        .filter(|_| is_full)
        .map(|last| DeedPlace::of(last).to_string());
    let deeds = rows.iter().map(|row| row.line(None));
    let deeds = deeds.collect::<Result<Vec<_>>>()?;
    if wants_lines(&headers) {
        return lines(&deeds, next.as_deref());
    }
    Ok(Json(Deeds { deeds, next }).into_response())
}

/// Tell one deed with all its details
#[utoipa::path(get, path = "/audit/{chain}/{number}", tag = "operations",
    params(("chain" = String, Path), ("number" = i64, Path)),
    responses((status = 200, body = Line), (status = 403, body = Problem, description = "for admins only"), (status = 404, body = Problem)))]
pub async fn find_deed(
    State(app): State<App>,
    caller: Caller,
    Path((chain, number)): Path<(String, i64)>,
) -> Result<Json<Line>> {
    let row = app.seen_by(&caller).deed(&chain, number).await?;
    row.line(None).map(Json)
}

fn time(name: &str, text: Option<&str>, now: i64) -> Result<Option<i64>> {
    let Some(text) = text else {
        return Ok(None);
    };
    let time = asked::instant(text, now).ok_or_else(|| {
        Error::Invalid(format!(
            "'{name}' is '{text}', which is no time: write it as in 'now-1d' or '2026-11-29T16:00:00Z'"
        ))
    })?;
    Ok(Some(time.as_millis()))
}

fn deed(text: &str) -> Result<&str> {
    let known: Vec<&str> = Deed::ALL.iter().map(|deed| deed.as_str()).collect();
    if known.contains(&text) {
        return Ok(text);
    }
    let meant = match nearest(text, &known) {
        Some(meant) => format!("'{meant}' is meant"),
        None => format!("there are {}", known.join(", ")),
    };
    Err(Error::Invalid(format!(
        "there is no deed '{text}': {meant}"
    )))
}

fn place(text: &str) -> Result<DeedPlace> {
    DeedPlace::parse(text).ok_or_else(|| {
        Error::Invalid(format!(
            "'after' is '{text}', which no page before has as its 'next'"
        ))
    })
}

fn wants_lines(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT);
    let accepted = accepted.and_then(|value| value.to_str().ok());
    accepted.is_some_and(|kinds| kinds.contains("application/jsonl"))
}

fn lines(deeds: &[Line], next: Option<&str>) -> Result<Response> {
    let mut text = Vec::new();
    for deed in deeds {
        serde_json::to_writer(&mut text, deed)
            .map_err(|cause| Error::Internal(format!("a line of the record: {cause}")))?;
        text.push(b'\n');
    }
    let kind = [(header::CONTENT_TYPE, "application/jsonl")];
    let mut response = (kind, text).into_response();
    let link =
        next.and_then(|next| HeaderValue::from_str(&format!("<?after={next}>; rel=\"next\"")).ok());
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// On the way to the doors: what is recorded meanwhile belongs to this request, and who is refused
/// is recorded.
pub async fn of_request(app: App, request: Request, next: Next) -> Response {
    let id = request.headers().get(super::layers::REQUEST_ID);
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    let asked = format!("{} {}", request.method(), request.uri().path());
    let peer = request.extensions().get::<Peer>();
    let here = Asked {
        id: id.to_owned(),
        address: peer.map(|peer| peer.address.to_canonical()),
    };
    let address = here.address;
    audit::request::within(here, async {
        let response = next.run(request).await;
        let status = response.status();
        if !matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return response;
        }
        let (parts, body) = response.into_parts();
        let Ok(body) = axum::body::to_bytes(body, MOST_BYTES).await else {
            return (parts, ()).into_response();
        };
        let mut by = By::from(parts.extensions.get().unwrap_or(&Caller::anyone()));
        by.address = by.address.or(address);
        let tried = Tried {
            by,
            asked,
            status: status.as_u16(),
        };
        let told = refusal::sentence(&parts, &body);
        app.refused(tried, told.as_deref()).await;
        Response::from_parts(parts, body.into())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_goes_on_where_the_one_before_ended() {
        let cases = [
            ("5.3.a-b.c", Some((5, 3, "a-b.c"))),
            ("-5.3.", Some((-5, 3, ""))),
            ("5.3", None),
            ("x.3.a", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let read = place(text).ok();
            let read = read
                .as_ref()
                .map(|it| (it.at, it.number, it.chain.as_str()));
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn a_mistyped_deed_is_told_of() {
        assert_eq!(deed("started").ok(), Some("started"));
        let told = deed("configchange").unwrap_err().to_string();
        assert!(told.ends_with("'configChanged' is meant"), "{told}");
    }
}
