//! Large documents: what is made of one takes several times its size, so few are held at once.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// Of all that are held at once. One that is larger is held alone.
const MOST_BYTES: usize = 32 << 20;

/// Smaller ones wait for nobody, and no other thread reads them.
const SMALL: usize = 256 << 10;

/// The grain in which room is asked for.
const GRAIN: usize = 64 << 10;

/// How long one waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// The room that all of them share.
pub struct Reading {
    room: Arc<Semaphore>,
    patience: Duration,
}

/// A document that was read, and the room for what is made of it.
pub struct Large<T> {
    document: T,
    room: Room,
}

/// Given back when it is dropped; a small document needs none.
pub struct Room {
    _room: Option<OwnedSemaphorePermit>,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            room: Arc::new(Semaphore::new(MOST_BYTES / GRAIN)),
            patience: PATIENCE,
        }
    }
}

impl Reading {
    /// For a document of so many bytes.
    ///
    /// # Errors
    /// `Unavailable` when those before it take too long.
    pub async fn room(&self, bytes: u64) -> Result<Room> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes <= SMALL {
            return Ok(Room { _room: None });
        }
        let grains = bytes.min(MOST_BYTES).div_ceil(GRAIN);
        let grains = u32::try_from(grains).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(grains);
        match tokio::time::timeout(self.patience, room).await {
            Ok(Ok(room)) => Ok(Room { _room: Some(room) }),
            _ => Err(Error::Unavailable(
                "too many large documents are read at once; the same call may go through later"
                    .to_owned(),
            )),
        }
    }
}

impl<T> Large<T> {
    pub fn new(document: T, room: Room) -> Self {
        Self { document, room }
    }

    /// A part of it, for which the room is kept.
    pub fn try_map<U, E>(self, part: impl FnOnce(T) -> Result<U, E>) -> Result<Large<U>, E> {
        Ok(Large {
            document: part(self.document)?,
            room: self.room,
        })
    }

    /// The room is to be held as long as anything of the document is.
    pub fn into_parts(self) -> (T, Room) {
        (self.document, self.room)
    }
}

impl<T> Deref for Large<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.document
    }
}

/// Parses a document, off the async threads when that takes long.
///
/// # Errors
/// As `serde_json`, or when the thread is gone.
pub async fn parse<T: DeserializeOwned + Send + 'static>(body: Bytes) -> Result<T, ParseError> {
    if body.len() <= SMALL {
        return Ok(serde_json::from_slice(&body)?);
    }
    let parsed = tokio::task::spawn_blocking(move || serde_json::from_slice(&body));
    Ok(parsed.await??)
}

/// Why a document cannot be read.
pub type ParseError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_documents_wait_for_each_other_and_small_ones_do_not() {
        let reading = Reading {
            patience: Duration::from_millis(20),
            ..Reading::default()
        };
        let larger_than_all = reading.room(u64::MAX).await.unwrap();
        let refused = reading.room(MOST_BYTES as u64).await.err();
        assert!(matches!(refused, Some(Error::Unavailable(_))));
        reading.room(SMALL as u64).await.unwrap();
        let document = Large::new(vec![1, 2], larger_than_all);
        let part: Result<_, ()> = document.try_map(|all| Ok(all[1]));
        let part = part.unwrap();
        assert!(reading.room(MOST_BYTES as u64).await.is_err());
        assert_eq!(*part, 2);
        drop(part);
        let half = MOST_BYTES as u64 / 2;
        let halves = [reading.room(half).await, reading.room(half).await];
        assert!(halves.iter().all(Result::is_ok));
    }
}
