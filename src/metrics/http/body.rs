//! Bodies of answers: read as far as there is room, and paid for before that.

use std::sync::Arc;

use reqwest::Response;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use super::came::Came;
use super::wrong::Wrong;
use crate::budget::{Held, Refused, Share};

/// What a body takes while it is read and moved as it grows, for each byte.
const GROWTH: usize = 2;
/// Reading more than this takes long enough to be in the way of others.
const LARGE_BODY: usize = 1 << 20;
/// What is reserved for an answer because it says how long it is.
const LARGEST_RESERVED: usize = 64 << 10;
/// What is read of an answer that is an error.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// What a body of JSON holds.
pub fn document<T: DeserializeOwned>(kind: &str, body: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(body)
        .map_err(|cause| Wrong::other(body, &format!("it is not what {kind} sends: {cause}")))
}

/// Where a body may be read to.
pub struct Room<'a> {
    pub bytes: usize,
    /// What pays for it.
    pub share: Option<&'a Arc<Share>>,
}

/// A body, what it answers, and the memory that was taken for it.
pub struct Body {
    pub bytes: Vec<u8>,
    pub exchange: Exchange,
    pub held: Option<Held>,
}

/// What is told of an answer beside its body.
pub struct Exchange {
    /// The headers of the request.
    pub sent: HeaderMap,
    pub came: Came,
}

impl Body {
    /// Off the async threads, where that takes long enough to be in the way of others.
    pub async fn read<R, F>(self, read: F) -> (Result<R, Wrong>, Exchange)
    where
        R: Send + 'static,
        F: FnOnce(&[u8]) -> Result<R, Wrong> + Send + 'static,
    {
        let Self {
            bytes,
            exchange,
            held,
        } = self;
        if bytes.len() < LARGE_BODY {
            return (read(&bytes), exchange);
        }
        let reading = tokio::task::spawn_blocking(move || {
            let answered = read(&bytes);
            drop((bytes, held));
            answered
        });
        let given_up = |_| Err(Wrong::Told("reading the answer was given up".to_owned()));
        (reading.await.unwrap_or_else(given_up), exchange)
    }
}

pub enum Unread {
    Broken(reqwest::Error),
    /// There is more than may be read.
    Cut,
    Refused(Refused),
}

pub async fn read(
    response: &mut Response,
    room: &Room<'_>,
) -> Result<(Vec<u8>, Option<Held>), Unread> {
    let told = response.content_length().unwrap_or(0);
    let told = usize::try_from(told).unwrap_or(room.bytes);
    let mut bytes = Vec::with_capacity(told.min(room.bytes).min(LARGEST_RESERVED));
    let held = room
        .share
        .map(|share| share.hold(bytes.capacity() * GROWTH));
    let mut held = held.transpose().map_err(Unread::Refused)?;
    let mut paid = bytes.capacity();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if room.bytes - bytes.len() < chunk.len() {
            return Err(Unread::Cut);
        }
        let needed = bytes.len() + chunk.len();
        if let Some(held) = &mut held
            && paid < needed
        {
            let more = held.grow((needed - paid) * GROWTH);
            more.map_err(Unread::Refused)?;
            paid = needed;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes, held))
}

/// As much as there is of an answer that is an error.
pub async fn beginning(response: &mut Response) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if MAX_ERROR_BYTES - bytes.len() < chunk.len() {
            break;
        }
        bytes.extend_from_slice(&chunk);
    }
    bytes
}
