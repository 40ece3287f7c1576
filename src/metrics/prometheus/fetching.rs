//! The series of a query over a range, with no more asked for than is not known of them.

use std::sync::Arc;

use tokio::time::Instant;

use super::answer::{self, Answered, Series};
use super::client::{self, Call, Client};
use super::known::{Known, Place, is_in_order};
use super::pointwise;
use super::range::Range;
use crate::clock::Clock;
use crate::error::FetchError;

/// Reading more than this takes long enough to be in the way of others.
const LARGE_ANSWER_BYTES: usize = 1 << 20;

pub struct Fetching {
    pub client: Client,
    pub known: Option<Arc<Known>>,
    pub clock: Clock,
}

impl Fetching {
    pub async fn answer(&self, query: &str, range: &Range) -> Result<Answered, FetchError> {
        let known = self.known.as_ref();
        let known = known.filter(|_| pointwise::is_pointwise(query));
        let place = known.and_then(|known| known.place(self.client.account(), query, range));

        let _permit = self.client.permit().await;
        let started = Instant::now();
        let deadline = self.client.deadline();
        let answer = match &place {
            Some(place) => self.continued(place, query, range, deadline).await,
            None => self.whole(query, range, deadline).await,
        };
        self.client.record(started.elapsed(), answer.is_ok());
        answer
    }

    async fn continued(
        &self,
        place: &Place<'_>,
        query: &str,
        range: &Range,
        deadline: Instant,
    ) -> Result<Answered, FetchError> {
        // Before anything is sent: what settles later is not taken for settled.
        let asked_at = self.clock.now_millis();
        if let Some(mut head) = place.head().await {
            self.client.record_samples("known", count(&head.series));
            let Some(rest) = range.without(head.points) else {
                return Ok(Answered {
                    series: head.series,
                    ..Answered::default()
                });
            };
            let mut answers = self.answers(query, &rest, deadline).await?;
            if answers.iter().all(|answer| is_in_order(&answer.series)) {
                let known = Answered {
                    series: std::mem::take(&mut head.series),
                    ..Answered::default()
                };
                answers.insert(0, known);
                let whole = answer::join(answers);
                if whole.is_settled() {
                    place.keep(&whole.series, Some(&head), asked_at).await;
                }
                return Ok(whole);
            }
            place.forget().await;
        }
        let whole = self.whole(query, range, deadline).await?;
        // What the server is not sure of is not settled.
        if whole.is_settled() {
            place.keep(&whole.series, None, asked_at).await;
        }
        Ok(whole)
    }

    async fn whole(
        &self,
        query: &str,
        range: &Range,
        deadline: Instant,
    ) -> Result<Answered, FetchError> {
        let answers = self.answers(query, range, deadline).await?;
        Ok(answer::join(answers))
    }

    /// One piece after the other: a long range takes no more of the account than a short one.
    async fn answers(
        &self,
        query: &str,
        range: &Range,
        deadline: Instant,
    ) -> Result<Vec<Answered>, FetchError> {
        let mut answers = Vec::new();
        let mut room = client::MAX_ANSWER_BYTES;
        for piece in pieces(query, range) {
            let call = Call::range_query(query, &piece);
            let body = self.client.send(&call, deadline, room).await?;
            room -= body.len();
            let read = read(body).await;
            let answer = read.map_err(|message| self.client.error(&call, Some(200), message))?;
            self.client
                .record_samples("prometheus", count(&answer.series));
            answers.push(answer);
        }
        Ok(answers)
    }
}

async fn read(body: Vec<u8>) -> Result<Answered, String> {
    if body.len() < LARGE_ANSWER_BYTES {
        return answer::read(&body);
    }
    let reading = tokio::task::spawn_blocking(move || answer::read(&body));
    reading
        .await
        .unwrap_or_else(|_| Err("reading the answer was given up".to_owned()))
}

fn pieces(query: &str, range: &Range) -> Vec<Range> {
    // `@ start()` and the like mean the range that was asked for: pieces would change the answer.
    let bare: String = query.split_whitespace().collect();
    if ["start()", "end()", "range()"]
        .iter()
        .any(|of_range| bare.contains(of_range))
    {
        return vec![*range];
    }
    range.pieces()
}

fn count(series: &[Series]) -> u64 {
    series
        .iter()
        .map(|series| series.samples.len() as u64)
        .sum()
}
