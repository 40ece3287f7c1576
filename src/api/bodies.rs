//! Bodies of requests: read before anything is done, within bounds of bytes and of time.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::problem::Problem;
use crate::config::Server;

/// Of every body, what is there without asking: connections are bounded, and what starts a canary
/// shall not wait behind what is large.
const FREE: usize = 16 * 1024;

/// The grain in which memory is asked for.
const GRAIN: usize = 1024;

/// What is reserved for a body of which little has come.
const LARGEST_RESERVED: usize = 64 * 1024;

/// What all bodies share.
#[derive(Clone)]
pub struct Bodies {
    most: usize,
    /// Grains for all that are under way.
    memory: Arc<Semaphore>,
    /// In this time, so many bytes must come.
    patience: Duration,
    least: usize,
    closing: CancellationToken,
}

impl Bodies {
    /// Nobody waits for the rest of a body once `closing`.
    pub fn new(server: &Server, closing: CancellationToken) -> Self {
        let memory = server.body_memory.max(server.max_body_bytes);
        Self {
            most: server.max_body_bytes,
            memory: Arc::new(Semaphore::new(memory.div_ceil(GRAIN))),
            patience: server.header_timeout,
            least: server.least_in(server.header_timeout),
            closing,
        }
    }

    /// What the memory is asked for stays taken until the answer is there.
    pub async fn read(self, request: Request, next: Next) -> Response {
        if request.body().is_end_stream() {
            return next.run(request).await;
        }
        let (parts, body) = request.into_parts();
        let mut taken = None;
        let whole = tokio::select! {
            whole = self.whole(body, &mut taken) => whole,
            () = self.closing.cancelled() => Err(Refusal::Closing),
        };
        match whole {
            Ok(whole) => {
                next.run(Request::from_parts(parts, Body::from(whole)))
                    .await
            }
            Err(refusal) => self.tell(refusal).into_response(),
        }
    }

    async fn whole(
        &self,
        mut body: Body,
        taken: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Bytes, Refusal> {
        let length = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if self.most < length {
            return Err(Refusal::TooLarge);
        }
        let (mut first, mut whole) = (Bytes::new(), Vec::new());
        let (mut total, mut counted) = (0, 0);
        let mut until = Instant::now() + self.patience;
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            let frame = tokio::time::timeout_at(until, frame).await;
            let Some(frame) = frame.map_err(|_| Refusal::TooSlow)? else {
                break;
            };
            let Ok(data) = frame.map_err(Refusal::Broken)?.into_data() else {
                continue;
            };
            total += data.len();
            if self.most < total {
                return Err(Refusal::TooLarge);
            }
            self.take(taken, total)?;
            if self.least <= total - counted {
                counted = total;
                until = Instant::now() + self.patience;
            }
            // Most bodies are one piece.
            if first.is_empty() {
                first = data;
                continue;
            }
            if whole.is_empty() {
                // A length is only said, and this is before memory is taken for it.
                whole.reserve(length.min(LARGEST_RESERVED).max(first.len() + data.len()));
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&data);
        }
        Ok(if whole.is_empty() {
            first
        } else {
            whole.into()
        })
    }

    /// Memory for as many bytes.
    fn take(&self, taken: &mut Option<OwnedSemaphorePermit>, total: usize) -> Result<(), Refusal> {
        let wanted = total.saturating_sub(FREE).div_ceil(GRAIN);
        let have = taken.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if wanted <= have {
            return Ok(());
        }
        let more = u32::try_from(wanted - have).map_err(|_| Refusal::NoMemory)?;
        let memory = Arc::clone(&self.memory);
        let more = memory.try_acquire_many_owned(more);
        let more = more.map_err(|_| Refusal::NoMemory)?;
        match taken {
            Some(taken) => taken.merge(more),
            None => *taken = Some(more),
        }
        Ok(())
    }

    fn tell(&self, refusal: Refusal) -> Problem {
        match refusal {
            Refusal::TooLarge => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "the body is larger than {} bytes (server.maxBodySize)",
                    self.most
                ),
            ),
            Refusal::TooSlow => Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                format!(
                    "of the body, less than {} bytes came in {:?} (server.leastRate)",
                    self.least, self.patience
                ),
            ),
            Refusal::Broken(cause) => Problem::new(
                StatusCode::BAD_REQUEST,
                format!("the body cannot be read: {cause}"),
            ),
            Refusal::NoMemory => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many large bodies are under way (server.bodyMemory); the same call may go through later",
            ),
            Refusal::Closing => Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "serin is shutting down, and the body had not come",
            ),
        }
    }
}

/// Why a body is not read.
enum Refusal {
    TooLarge,
    TooSlow,
    Broken(axum::Error),
    NoMemory,
    Closing,
}
