//! Connections of clients: how many there may be, which are closed, and when.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::Pace;
use crate::config::Server;

/// How often to look for connections that stand still.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the end of an answer may take to leave, once its connection is to end.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// All that are open.
pub struct Connections {
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    most: usize,
    /// Requests that are being answered on all of them: HTTP/2 has many on one.
    answering: AtomicUsize,
    /// How many there ever were.
    opened: AtomicU64,
    /// One ended, or has nothing to answer.
    room: Notify,
    began: Instant,
    header_timeout: Duration,
    idle_timeout: Duration,
}

/// One of them.
pub struct Connection {
    number: u64,
    all: Arc<Connections>,
    answering: AtomicUsize,
    has_asked: AtomicBool,
    /// When it was opened or last had an answer, in milliseconds of all connections.
    since: AtomicU64,
    /// Those under way.
    answers: Mutex<Vec<Weak<Pace>>>,
    cut: CancellationToken,
}

/// A request that is being answered, until its answer is handed over.
pub struct Answering(Arc<Connection>);

impl Connections {
    pub fn new(server: &Server) -> Arc<Self> {
        let files = raise_file_limit();
        // The others are serin's own: of databases, objects, and what it asks.
        let own = (files / 4).min(512);
        let most = server.max_connections.min(files - own).max(1);
        if most < server.max_connections {
            tracing::warn!(most, files, "the limit of open files bounds connections");
        }
        Arc::new(Self {
            open: Mutex::default(),
            most,
            answering: AtomicUsize::new(0),
            opened: AtomicU64::new(0),
            room: Notify::new(),
            began: Instant::now(),
            header_timeout: server.header_timeout,
            idle_timeout: server.idle_timeout,
        })
    }

    /// One more. Where there are enough, the one that has asked for nothing for the longest is
    /// closed for it; while all are being answered, it waits.
    pub async fn open(self: &Arc<Self>) -> Arc<Connection> {
        loop {
            if let Some(connection) = self.try_open() {
                return connection;
            }
            let _ = tokio::time::timeout(LOOK_EVERY, self.room.notified()).await;
        }
    }

    fn try_open(self: &Arc<Self>) -> Option<Arc<Connection>> {
        let mut open = self.lock();
        if self.most <= open.len() {
            let idle = open.values().filter(|connection| connection.is_idle());
            let longest = idle.min_by_key(|connection| {
                let has_asked = connection.has_asked.load(Ordering::Relaxed);
                (has_asked, connection.since.load(Ordering::Relaxed))
            });
            let number = longest?.number;
            open.remove(&number)?.cut("full");
        }
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection {
            number,
            all: Arc::clone(self),
            answering: AtomicUsize::new(0),
            has_asked: AtomicBool::new(false),
            since: AtomicU64::new(self.now()),
            answers: Mutex::default(),
            cut: CancellationToken::new(),
        });
        open.insert(number, Arc::clone(&connection));
        ::metrics::gauge!("serin_connections").increment(1);
        Some(connection)
    }

    /// Closes those that stand still, for ever.
    pub async fn look_after(&self) {
        let mut every = tokio::time::interval(LOOK_EVERY);
        loop {
            every.tick().await;
            let open = self.lock();
            for connection in open.values() {
                if let Some(why) = connection.stands_still(self.now()) {
                    connection.cut(why);
                }
            }
        }
    }

    fn now(&self) -> u64 {
        millis(self.began.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// What comes of that, unless it is cut or serin ends before.
    pub async fn unless_cut<T>(
        &self,
        closing: &CancellationToken,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.cut.cancelled() => None,
            () = closing.cancelled() => None,
        }
    }

    /// Serves it to its end, or until it is cut. Once `closing` has come, it ends with the answers that
    /// are under way; half a request holds nothing up.
    pub async fn drive(
        &self,
        served: impl GracefulConnection<Error: std::fmt::Display>,
        closing: impl Future<Output = ()>,
    ) {
        let (mut served, mut closing) = (std::pin::pin!(served), std::pin::pin!(closing));
        let mut is_closing = false;
        loop {
            tokio::select! {
                ended = served.as_mut() => {
                    if let Err(error) = ended {
                        tracing::debug!(%error, "a connection ended early");
                    }
                    break;
                }
                () = self.cut.cancelled() => break,
                () = closing.as_mut(), if !is_closing => {
                    is_closing = true;
                    served.as_mut().graceful_shutdown();
                }
                () = tokio::time::sleep(LAST_WORDS / 6), if is_closing => {
                    if self.is_idle() && millis(LAST_WORDS) < self.stood(self.all.now()) {
                        break;
                    }
                }
            }
        }
    }

    /// Makes room for another.
    pub fn end(&self) {
        self.all.lock().remove(&self.number);
        self.all.room.notify_one();
    }

    pub fn begin(self: &Arc<Self>) -> Answering {
        self.has_asked.store(true, Ordering::Relaxed);
        self.answering.fetch_add(1, Ordering::Relaxed);
        self.all.answering.fetch_add(1, Ordering::Relaxed);
        Answering(Arc::clone(self))
    }

    /// Whether one request more is not too many.
    pub fn may_answer(&self) -> bool {
        self.all.answering.load(Ordering::Relaxed) <= self.all.most
    }

    /// It is cut when this one is not taken.
    pub fn watch(&self, answer: &Arc<Pace>) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|answer| 0 < answer.strong_count());
        answers.push(Arc::downgrade(answer));
    }

    fn stands_still(&self, now: u64) -> Option<&'static str> {
        if self.is_idle() {
            // HTTP/1 knows itself how long it waits for the next head.
            let patience = if self.has_asked.load(Ordering::Relaxed) {
                self.all.idle_timeout
            } else {
                self.all.header_timeout
            };
            return (millis(patience) < self.stood(now)).then_some("idle");
        }
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut answers = answers.iter().filter_map(Weak::upgrade);
        answers.any(|answer| answer.is_slow()).then_some("slow")
    }

    fn is_idle(&self) -> bool {
        self.answering.load(Ordering::Relaxed) == 0
    }

    /// For how long it has asked for nothing.
    fn stood(&self, now: u64) -> u64 {
        now.saturating_sub(self.since.load(Ordering::Relaxed))
    }

    fn cut(&self, why: &'static str) {
        if !self.cut.is_cancelled() {
            ::metrics::counter!("serin_connections_cut_total", "why" => why).increment(1);
            self.cut.cancel();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        ::metrics::gauge!("serin_connections").decrement(1);
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let connection = &self.0;
        connection
            .since
            .store(connection.all.now(), Ordering::Relaxed);
        if connection.answering.fetch_sub(1, Ordering::Relaxed) == 1 {
            connection.all.room.notify_one();
        }
        connection.all.answering.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many files may be open, as many as the system lets.
fn raise_file_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    files.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
