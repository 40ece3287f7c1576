//! What comes and goes on a connection: bodies that are thrown away, and answers that are waited for.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::time::Instant;

use super::connections::Answering;
use crate::config::Server;

/// Larger pieces would leave serin's hands before the client has taken them.
const PIECE: usize = 64 * 1024;

/// How long a body is read that nobody wants, so that its client comes to read the answer.
const THROW_AWAY: Duration = Duration::from_secs(2);

/// An answer that is handed over piece by piece, as its client takes it.
pub struct Answer {
    body: Body,
    rest: Bytes,
    pace: Arc<Pace>,
    _answering: Answering,
}

impl Answer {
    pub fn new(body: Body, answering: Answering, server: &Server) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            pace: Arc::new(Pace::new(server)),
            _answering: answering,
        }
    }

    pub const fn pace(&self) -> &Arc<Pace> {
        &self.pace
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.pace.taken();
        let frame = if self.rest.is_empty() {
            ready!(Pin::new(&mut self.body).poll_frame(context))
        } else {
            Some(Ok(Frame::data(std::mem::take(&mut self.rest))))
        };
        let Some(Ok(frame)) = frame else {
            return Poll::Ready(frame);
        };
        let mut data = match frame.into_data() {
            Ok(data) => data,
            Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
        };
        if PIECE < data.len() {
            self.rest = data.split_off(PIECE);
        }
        self.pace.given(data.len());
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.size_hint();
        let rest = self.rest.len() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

/// How fast an answer is taken. The time in which serin has nothing to give does not count.
pub struct Pace {
    began: Instant,
    patience: Duration,
    /// What must be taken in that time.
    least: u64,
    /// Bytes, since it was last fast enough.
    given: AtomicU64,
    /// How long they were waited for, in microseconds.
    waited: AtomicU64,
    /// Since when the client has had something to take, its head first, in microseconds; 0 while it
    /// has nothing.
    since: AtomicU64,
}

impl Pace {
    fn new(server: &Server) -> Self {
        Self {
            began: Instant::now(),
            patience: server.header_timeout,
            least: server.least_in(server.header_timeout) as u64,
            given: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            since: AtomicU64::new(1),
        }
    }

    fn given(&self, bytes: usize) {
        let given = self.given.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if self.least <= given {
            self.given.store(0, Ordering::Relaxed);
            self.waited.store(0, Ordering::Relaxed);
        }
        self.since.store(self.now(), Ordering::Relaxed);
    }

    fn taken(&self) {
        let waited = self.waits();
        self.since.store(0, Ordering::Relaxed);
        self.waited.fetch_add(waited, Ordering::Relaxed);
    }

    pub fn is_slow(&self) -> bool {
        let waited = self.waited.load(Ordering::Relaxed) + self.waits();
        self.patience < Duration::from_micros(waited)
    }

    fn waits(&self) -> u64 {
        match self.since.load(Ordering::Relaxed) {
            0 => 0,
            since => self.now().saturating_sub(since),
        }
    }

    fn now(&self) -> u64 {
        let micros = u64::try_from(self.began.elapsed().as_micros());
        micros.unwrap_or(u64::MAX).max(1)
    }
}

/// The body of a request over HTTP/1. What nobody reads of it is thrown away.
pub struct Coming {
    body: Option<Incoming>,
    has_come: Arc<AtomicBool>,
}

impl Coming {
    /// The body, and whether all of it was read, later.
    pub fn new(body: Incoming) -> (Self, Arc<AtomicBool>) {
        let has_come = Arc::new(AtomicBool::new(false));
        let coming = Self {
            body: Some(body),
            has_come: Arc::clone(&has_come),
        };
        (coming, has_come)
    }
}

impl HttpBody for Coming {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(context));
        if self.is_end_stream() || !matches!(frame, Some(Ok(_))) {
            self.has_come.store(true, Ordering::Relaxed);
            self.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.body.as_ref();
        body.map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            tokio::spawn(tokio::time::timeout(THROW_AWAY, throw_away(body)));
        }
    }
}

async fn throw_away(mut body: Incoming) {
    while let Some(Ok(_)) =
        std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {}
}
