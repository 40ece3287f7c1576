//! Large documents as answers: few are made at once, and few wait for a client to take them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

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

    pub async fn answer(self, request: Request, next: Next) -> Response {
        let Ok(Ok(_turn)) = timeout(PATIENCE, self.made.acquire()).await else {
            return too_many();
        };
        let response = next.run(request).await;
        let size = response.body().size_hint().exact().unwrap_or_default();
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size < GRAIN {
            return response;
        }
        // One that is larger than all the memory has it alone.
        let wanted = u32::try_from(size.div_ceil(GRAIN).min(self.grains)).unwrap_or(u32::MAX);
        let memory = Arc::clone(&self.memory).acquire_many_owned(wanted);
        let Ok(Ok(memory)) = timeout(PATIENCE, memory).await else {
            return too_many();
        };
        let (parts, body) = response.into_parts();
        match axum::body::to_bytes(body, size).await {
            Ok(document) => {
                let held = Held {
                    document,
                    _memory: memory,
                };
                Response::from_parts(parts, Body::from(Bytes::from_owner(held)))
            }
            // It is one piece that is there.
            Err(cause) => {
                Problem::new(StatusCode::INTERNAL_SERVER_ERROR, cause.to_string()).into_response()
            }
        }
    }
}

fn too_many() -> Response {
    let told = "too many large documents wait for their readers (server.answerMemory); the same call may go through later";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, told).into_response()
}
