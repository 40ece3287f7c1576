//! What is asked beside the queries, as names of metrics and health: answered soon or not at all.

use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::{Body, Call, Client, Room, Unanswered, document};
use crate::error::FetchError;

/// What is read of a list of names.
const MOST_BYTES: usize = 16 << 20;
/// Somebody waits in front of a form for these.
const DEADLINE: Duration = Duration::from_secs(10);

/// What is left of that to the pages of a list.
pub struct Aside {
    bytes: usize,
    until: Instant,
}

impl Aside {
    pub fn begun() -> Self {
        Self {
            bytes: MOST_BYTES,
            until: Instant::now() + DEADLINE,
        }
    }
}

pub fn too_large() -> String {
    format!("the answer is larger than {} MiB", MOST_BYTES >> 20)
}

impl Client {
    pub async fn aside(&self, call: &Call<'_>) -> Result<Body, FetchError> {
        self.aside_within(call, &mut Aside::begun()).await
    }

    /// Its JSON.
    pub async fn aside_json<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, FetchError> {
        self.aside_page(call, &mut Aside::begun()).await
    }

    /// That of one page of several.
    pub async fn aside_page<T: DeserializeOwned>(
        &self,
        call: &Call<'_>,
        left: &mut Aside,
    ) -> Result<T, FetchError> {
        let body = self.aside_within(call, left).await?;
        let document = document(self.kind, &body.bytes);
        document.map_err(|wrong| self.wrong(call, &body.exchange, wrong))
    }

    async fn aside_within(&self, call: &Call<'_>, left: &mut Aside) -> Result<Body, FetchError> {
        let room = Room {
            bytes: left.bytes,
            share: None,
        };
        match timeout_at(left.until, self.attempt(call, &room)).await {
            Ok(Ok(body)) => {
                left.bytes -= body.bytes.len();
                Ok(body)
            }
            Ok(Err(failure)) => Err(match failure.why {
                Unanswered::Failed(error) | Unanswered::TooLarge(error) => *error,
                // Nothing was taken.
                Unanswered::Later { .. } => self.error(call, None, "no memory".to_owned()),
            }),
            Err(_) => Err(self.too_late(call, DEADLINE, None)),
        }
    }
}
