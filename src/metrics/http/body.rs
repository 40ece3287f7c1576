//! Bodies of answers: read as far as there is room, and paid for before that.

use std::sync::Arc;

use reqwest::Response;
use reqwest::header::HeaderMap;
use serde::de::DeserializeOwned;

use super::came::Came;
use super::wrong::Wrong;
use crate::budget::{Held, Refused, Share};
use crate::http::{Unread, read_paid};

/// What a body takes while it is read and moved as it grows, for each byte.
const GROWTH: usize = 2;
/// Reading more than this takes long enough to be in the way of others.
const LARGE_BODY: usize = 1 << 20;

/// What a body of JSON holds.
pub fn document<T: DeserializeOwned>(kind: &str, body: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(body)
        .map_err(|cause| Wrong::other(body, format!("it is not what {kind} sends: {cause}")))
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

/// What was read of a body.
pub struct Read<R> {
    pub what: R,
    pub exchange: Exchange,
    pub bytes: usize,
    /// Pays for what was read.
    pub held: Held,
}

pub async fn read(
    response: &mut Response,
    room: &Room<'_>,
) -> Result<(Vec<u8>, Option<Held>), Unread<Refused>> {
    let mut held: Option<Held> = None;
    let pay = |bytes: usize| {
        match (&mut held, room.share) {
            (Some(held), _) => held.grow(bytes * GROWTH)?,
            (None, Some(share)) => held = Some(share.hold(bytes * GROWTH)?),
            (None, None) => {}
        }
        Ok(())
    };
    let bytes = read_paid(response, room.bytes, pay).await?;
    Ok((bytes, held))
}
