//! What every store owes, around any of them: its place is never made anew once it was there, a store
//! that is away is told from one that refuses, and no call is waited for longer than its time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::objects::{ObjectEntry, ObjectStore};
use crate::error::{Error, Result};

/// A store as its kind has it: what it does once, and how it fails.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Nothing only where the place is there and the object is not. Stops reading beyond `most` bytes.
    async fn get(&self, key: &str, most: u64) -> Result<Option<Bytes>, Failure>;
    async fn put(&self, key: &str, body: Bytes) -> Result<String, Failure>;
    async fn delete(&self, key: &str) -> Result<(), Failure>;
    fn pages<'a>(&'a self, prefix: &'a str) -> BoxStream<'a, Result<Vec<ObjectEntry>, Failure>>;
    /// Makes the bucket or folder that objects lie in.
    async fn create(&self) -> Result<(), Failure>;
    /// Where an object is, or with an empty key all of them, in words.
    fn place(&self, key: &str) -> String;
    /// How long one call may take, and one page of a listing.
    fn limit(&self) -> Option<Duration>;
}

/// Why a store did not do what it was asked for.
#[derive(Debug)]
pub enum Failure {
    /// The bucket or folder is not there, in the words of its kind.
    Gone(String),
    /// An object of so many bytes, or more.
    TooLarge(u64),
    /// What the store did not do now, it may do later.
    Away { why: String, cause: String },
    /// It would fail again.
    Wrong { why: String, cause: String },
    /// The key is none that it could keep.
    Refused(Error),
}

/// A store of a kind, guarded.
pub struct Guarded<B> {
    backend: B,
    /// A place that was there and is gone is not an empty one, and is not made anew.
    was_there: AtomicBool,
    /// Of an object that is read.
    most: u64,
}

impl<B: Backend> Guarded<B> {
    pub const fn around(backend: B) -> Self {
        Self {
            backend,
            was_there: AtomicBool::new(false),
            most: u64::MAX,
        }
    }

    /// Reads no object that has more bytes.
    #[must_use]
    pub fn reading(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// What is done tells that the place is there.
    async fn in_time<T>(
        &self,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let done = match self.backend.limit() {
            None => call.await,
            Some(limit) => tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
                let why = no_answer(limit);
                let cause = why.clone();
                Err(Failure::Away { why, cause })
            }),
        };
        if done.is_ok() {
            self.was_there.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Asked before a call: another one may make the place meanwhile.
    fn was_there(&self) -> bool {
        self.was_there.load(Ordering::Relaxed)
    }

    fn error(&self, verb: &str, key: &str, failure: Failure) -> Error {
        let place = self.backend.place(key);
        let told = |why: &str| format!("cannot {verb} {place}: {why}");
        match failure {
            Failure::Gone(why) => {
                let why = format!("{why}; it was there before, and is not made anew");
                Error::storage(told(&why), why)
            }
            Failure::TooLarge(bytes) => {
                let why = too_large(bytes, self.most);
                Error::storage(told(&why), why)
            }
            Failure::Away { why, cause } => {
                let told = told(&why);
                tracing::warn!(cause, "a store is away: {told}");
                Error::Unavailable(told)
            }
            Failure::Wrong { why, cause } => Error::storage(told(&why), cause),
            Failure::Refused(error) => error,
        }
    }
}

#[async_trait]
impl<B: Backend> ObjectStore for Guarded<B> {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        let was_there = self.was_there();
        let read = self.in_time(self.backend.get(key, self.most)).await;
        if is_not_made_yet(&read, was_there) {
            return Ok(None);
        }
        read.map_err(|failure| self.error("read", key, failure))
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<String> {
        let was_there = self.was_there();
        let mut written = self.in_time(self.backend.put(key, body.clone())).await;
        if is_not_made_yet(&written, was_there) {
            let made = self.in_time(self.backend.create()).await;
            made.map_err(|failure| self.error("create", "", failure))?;
            tracing::info!("created {}", self.backend.place(""));
            written = self.in_time(self.backend.put(key, body)).await;
        }
        written.map_err(|failure| self.error("write", key, failure))
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let was_there = self.was_there();
        let deleted = self.in_time(self.backend.delete(key)).await;
        if is_not_made_yet(&deleted, was_there) {
            return Ok(());
        }
        deleted.map_err(|failure| self.error("delete", key, failure))
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> BoxStream<'a, Result<Vec<ObjectEntry>>> {
        let pages = self.backend.pages(prefix);
        stream::try_unfold(pages, move |mut pages| async move {
            let was_there = self.was_there();
            let page = self.in_time(pages.try_next()).await;
            if is_not_made_yet(&page, was_there) {
                return Ok(None);
            }
            match page {
                Ok(page) => Ok(page.map(|page| (page, pages))),
                Err(failure) => Err(self.error("list", prefix, failure)),
            }
        })
        .boxed()
    }

    fn expect_objects(&self) {
        self.was_there.store(true, Ordering::Relaxed);
    }
}

/// Whether the place is missing because nothing has been put into it yet.
fn is_not_made_yet<T>(done: &Result<T, Failure>, was_there: bool) -> bool {
    matches!(done, Err(Failure::Gone(_))) && !was_there
}

pub fn no_answer(limit: Duration) -> String {
    format!("no answer within {limit:?}")
}

/// Why an object of `bytes` is not read where `most` are.
pub fn too_large(bytes: u64, most: u64) -> String {
    format!("it has {bytes} bytes, and storage.maxObjectSize is {most}")
}
