//! Large documents as answers: few are made at once, and few wait for a client to take them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::problem::Problem;

/// A document that is made needs several times its size.
const MADE_AT_ONCE: usize = 4;

/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The grain in which memory is asked for; smaller documents need not ask.
const GRAIN: usize = 64 * 1024;

/// What all of them share.
#[derive(Clone)]
pub struct Documents {
    made: Arc<Semaphore>,
    memory: Arc<Semaphore>,
    grains: usize,
}

/// Answers that are smaller are bounded by the connections there may be.
const LARGE: usize = 256 * 1024;

/// An answer whose memory is taken.
#[derive(Clone, Copy)]
struct Counted;

/// Gives the memory back when nothing of the document is left to be sent.
struct Held {
    document: Bytes,
    _memory: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.document
    }
}

impl Documents {
    /// With so many bytes for those that are on their way.
    pub fn of(memory: usize) -> Self {
        let grains = memory.div_ceil(GRAIN);
        Self {
            made: Arc::new(Semaphore::new(MADE_AT_ONCE)),
            memory: Arc::new(Semaphore::new(grains)),
            grains,
        }
    }

    /// Of any other kind: it is there already, so it is refused where there is no room for it.
    pub async fn bound(self, request: Request, next: Next) -> Response {
        let response = next.run(request).await;
        let size = response.body().size_hint().exact().unwrap_or_default();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size < LARGE || response.extensions().get::<Counted>().is_some() {
            return response;
        }
        let grains = size.div_ceil(GRAIN).min(self.grains);
        let wanted = u32::try_from(grains).unwrap_or(u32::MAX);
        match Arc::clone(&self.memory).try_acquire_many_owned(wanted) {
            Ok(memory) => held(response, size, memory).await,
            Err(_) => too_many(),
        }
    }

    /// Only what is read can be large, and is made again as it was.
    pub async fn answer(self, request: Request, next: Next) -> Response {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return next.run(request).await;
        }
        let (parts, _) = request.into_parts();
        let until = Instant::now() + PATIENCE;
        let mut taken: Option<OwnedSemaphorePermit> = None;
        loop {
            let Ok(Ok(turn)) = timeout_at(until, self.made.acquire()).await else {
                return too_many();
            };
            let request = Request::from_parts(parts.clone(), Body::empty());
            let response = next.clone().run(request).await;
            let size = response.body().size_hint().exact().unwrap_or_default();
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            if size < GRAIN {
                return response;
            }
            // One that is larger than all the memory has it alone.
            let grains = size.div_ceil(GRAIN).min(self.grains);
            let have = taken.take();
            let memory = have.filter(|memory| grains <= memory.num_permits());
            let wanted = u32::try_from(grains).unwrap_or(u32::MAX);
            let memory = memory.or_else(|| {
                let memory = Arc::clone(&self.memory);
                memory.try_acquire_many_owned(wanted).ok()
            });
            if let Some(memory) = memory {
                return held(response, size, memory).await;
            }
            // While it waits it keeps neither its turn from small ones nor what was made.
            drop((response, turn));
            let memory = Arc::clone(&self.memory).acquire_many_owned(wanted);
            let Ok(Ok(memory)) = timeout_at(until, memory).await else {
                return too_many();
            };
            taken = Some(memory);
        }
    }
}

async fn held(response: Response, size: usize, memory: OwnedSemaphorePermit) -> Response {
    let (parts, body) = response.into_parts();
    match axum::body::to_bytes(body, size).await {
        Ok(document) => {
            let held = Held {
                document,
                _memory: memory,
            };
            let mut response = Response::from_parts(parts, Body::from(Bytes::from_owner(held)));
            response.extensions_mut().insert(Counted);
            response
        }
        // It is one piece that is there.
        Err(cause) => {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, cause.to_string()).into_response()
        }
    }
}

fn too_many() -> Response {
    let told = "too many large documents wait for their readers (server.answerMemory); the same call may go through later";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, told).into_response()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn small_documents_wait_for_no_large_ones() {
        let documents = Documents::of(2 * GRAIN);
        let router = Router::new()
            .route("/large", get(|| async { "x".repeat(2 * GRAIN) }))
            .route("/small", get(|| async { "x" }))
            .layer(middleware::from_fn(move |request: Request, next: Next| {
                documents.clone().answer(request, next)
            }));
        let asked = |path: &'static str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request)
        };
        let first = asked("/large").await.unwrap();
        assert_eq!(first.status(), StatusCode::OK);
        let waiting: Vec<_> = (0..2 * MADE_AT_ONCE)
            .map(|_| tokio::spawn(asked("/large")))
            .collect();
        tokio::time::sleep(PATIENCE / 50).await;
        let small = tokio::time::timeout(PATIENCE / 10, asked("/small"));
        assert_eq!(small.await.unwrap().unwrap().status(), StatusCode::OK);
        // Whoever takes it makes room for the next.
        drop(first);
        let (next, ..) = futures::future::select_all(waiting).await;
        assert_eq!(next.unwrap().unwrap().status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn what_is_large_and_not_taken_leaves_no_room_for_more() {
        let documents = Documents::of(2 * LARGE);
        let router = Router::new()
            .route("/large", get(|| async { "x".repeat(LARGE) }))
            .route("/small", get(|| async { "x".repeat(LARGE - 1) }))
            .layer(middleware::from_fn(move |request: Request, next: Next| {
                documents.clone().bound(request, next)
            }));
        let asked = |path: &'static str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let router = router.clone();
            async move { router.oneshot(request).await.unwrap() }
        };
        let held = [asked("/large").await, asked("/large").await];
        assert!(held.iter().all(|answer| answer.status() == StatusCode::OK));
        let refused = asked("/large").await;
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(asked("/small").await.status(), StatusCode::OK);
        drop(held);
        assert_eq!(asked("/large").await.status(), StatusCode::OK);
    }
}
