//! Who calls is learned before anything of a request is read.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::Peer;
use crate::callers::Callers;

pub async fn know(callers: Arc<Callers>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>();
    match callers.learn(request.headers(), peer).await {
        Ok(caller) => {
            if caller.is_ruled() {
                tracing::Span::current().record("caller", caller.name());
            }
            // No door has any business with it.
            request.headers_mut().remove(header::AUTHORIZATION);
            request.extensions_mut().insert(caller.clone());
            let mut response = next.run(request).await;
            if let StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN = response.status() {
                // For the record of what was refused.
                response.extensions_mut().insert(caller);
            }
            response
        }
        Err(refused) => {
            ::metrics::counter!("serin_access_refused_total", "reason" => refused.reason)
                .increment(1);
            refused.error.into_response()
        }
    }
}
