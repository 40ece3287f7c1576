//! Who calls is learned before anything of a request is read.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded::byte_serialize;

use crate::access::{Caller, Peer};
use crate::callers::{Callers, Sessions};
use crate::ui;

pub async fn know(callers: Arc<Callers>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    let lead = callers.login().and_then(|_| to_login(&request));
    // What an agent calls has the caller of `/mcp`.
    let learned = if let Some(known) = request.extensions().get::<Caller>() {
        Ok(known.clone())
    } else {
        let learned = callers.learn(request.headers(), peer, sessions(&request));
        learned.await
    };
    match learned {
        Ok(caller) => {
            if caller.is_ruled() {
                tracing::Span::current().record("caller", caller.name());
            }
            // No door has any business with it.
            request.headers_mut().remove(header::AUTHORIZATION);
            let lead = lead.filter(|_| caller.is_anonymous());
            request.extensions_mut().insert(caller.clone());
            let mut response = next.run(request).await;
            if let StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN = response.status() {
                // For the record of what was refused.
                response.extensions_mut().insert(caller);
            }
            if let Some(lead) = lead
                && response.status() == StatusCode::UNAUTHORIZED
            {
                response = (StatusCode::SEE_OTHER, [(header::LOCATION, lead)]).into_response();
            }
            response
        }
        Err(refused) => {
            ::metrics::counter!("serin_access_refused_total", "reason" => refused.reason)
                .increment(1);
            let response = refused.error.into_response();
            if !is_page(&request) {
                return response;
            }
            ui::tell_refusal(request.headers(), callers.nobody(), response).await
        }
    }
}

/// Forms of pages are taken from serin's own pages only; a POST elsewhere is not.
fn sessions(request: &Request) -> Sessions {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if reads || is_page(request) {
        Sessions::Count
    } else {
        Sessions::DoNot
    }
}

fn is_page(request: &Request) -> bool {
    let path = request.uri().path();
    path == "/ui" || path.starts_with("/ui/")
}

/// Where a browser logs in that is to show a page to somebody; a script that fetches one is not led.
fn to_login(request: &Request) -> Option<String> {
    let says = |name: &str| request.headers().get(name)?.to_str().ok();
    let shows = says("accept").is_some_and(|kinds| kinds.contains("text/html"))
        && says("sec-fetch-mode").is_none_or(|mode| mode == "navigate");
    if *request.method() != Method::GET || !is_page(request) || !shows {
        return None;
    }
    let wanted = request.uri().path_and_query()?.as_str();
    let wanted: String = byte_serialize(wanted.as_bytes()).collect();
    Some(format!("/ui/login?to={wanted}"))
}
