//! The series of a query over a range, with no more asked for than is not known of them.

use std::sync::Arc;

use tokio::time::Instant;

use super::answer;
use super::dialect::Dialect;
use super::known::{Known, Place, is_in_order, is_on_grid};
use crate::budget::{Held, Share};
use crate::clock::Clock;
use crate::config::Limits;
use crate::metrics::cost;
use crate::metrics::http::{self, Client, Room, Unanswered};
use crate::metrics::promql::pointwise;
use crate::metrics::range::Range;
use crate::metrics::series::{self, Answered, Series};

pub struct Fetching {
    pub client: Client,
    pub dialect: Dialect,
    pub known: Option<Arc<Known>>,
    pub clock: Clock,
    pub limits: Limits,
}

impl Fetching {
    pub async fn answer(
        &self,
        query: &str,
        range: &Range,
        is_reused: bool,
        share: &Arc<Share>,
    ) -> Result<Answered, Unanswered> {
        let known = self.known.as_ref();
        let known = known.filter(|_| is_reused && !self.dialect.is_loki);
        let known = known.filter(|_| pointwise::is_pointwise(query));
        let place = known.and_then(|known| known.place(self.client.account(), query, range));

        let started = Instant::now();
        let deadline = self.client.deadline();
        let answer = match &place {
            Some(place) => self.continued(place, query, range, deadline, share).await,
            None => self.whole(query, range, deadline, share).await,
        };
        // What waits for memory is asked once more.
        if !matches!(answer, Err(Unanswered::Later { .. })) {
            self.client.counts.query(started.elapsed(), answer.is_ok());
        }
        answer
    }

    async fn continued(
        &self,
        place: &Place<'_>,
        query: &str,
        range: &Range,
        deadline: Instant,
        share: &Arc<Share>,
    ) -> Result<Answered, Unanswered> {
        // Before anything is sent: what settles later is not taken for settled.
        let asked_at = self.clock.now_millis();
        if let Some(mut head) = place.head().await {
            self.client.counts.known.increment(count(&head.series));
            let Some(rest) = range.without(head.points) else {
                return Ok(Answered {
                    series: head.series,
                    ..Answered::default()
                });
            };
            let mut answers = self.answers(query, &rest, deadline, share).await?;
            // Who shifts what it is asked would answer another grid to the whole.
            let fits =
                |series: &[Series]| is_in_order(series) && is_on_grid(series, rest.grid().as_ref());
            if answers.iter().all(|answer| fits(&answer.series)) {
                let known = Answered {
                    series: std::mem::take(&mut head.series),
                    ..Answered::default()
                };
                answers.insert(0, known);
                let whole = self.joined(query, range, answers)?;
                if whole.is_settled() {
                    place.keep(&whole.series, Some(&head), asked_at).await;
                }
                return Ok(whole);
            }
            place.forget().await;
        }
        let whole = self.whole(query, range, deadline, share).await?;
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
        share: &Arc<Share>,
    ) -> Result<Answered, Unanswered> {
        let answers = self.answers(query, range, deadline, share).await?;
        self.joined(query, range, answers)
    }

    fn joined(
        &self,
        query: &str,
        range: &Range,
        answers: Vec<Answered>,
    ) -> Result<Answered, Unanswered> {
        let joined = series::join(answers);
        if joined.series.len() <= self.limits.series {
            return Ok(joined);
        }
        let call = self.dialect.range_query(query, range);
        let message = series::too_many_series(&self.limits);
        Err(self.client.error(&call, Some(200), message).into())
    }

    /// One piece after the other: a long range takes no more of the account than a short one.
    async fn answers(
        &self,
        query: &str,
        range: &Range,
        deadline: Instant,
        share: &Arc<Share>,
    ) -> Result<Vec<Answered>, Unanswered> {
        let mut answers = Vec::new();
        let mut samples = 0;
        let mut room = Room {
            bytes: http::MAX_ANSWER_BYTES,
            share: Some(share),
        };
        let mut held: Option<Held> = None;
        for piece in pieces(query, range) {
            let call = self.dialect.range_query(query, &piece);
            let (limits, before) = (self.limits, samples);
            let body = self.client.send(&call, deadline, &room).await?;
            room.bytes -= body.bytes.len();
            let is_shifted = piece.is_shifted();
            let read = move |body: &[u8]| answer::read(body, &limits, before, is_shifted);
            let (read, exchange) = body.read(read).await;
            let mut answer =
                read.map_err(|wrong| self.client.unreadable(&call, &exchange, wrong))?;
            self.client.keep_secrets(&exchange, &mut answer);
            let bytes = cost::answered(&answer);
            let taken = match &mut held {
                Some(held) => held.grow(bytes),
                None => share.hold(bytes).map(|first| held = Some(first)),
            };
            taken.map_err(|refused| self.client.refused(&call, refused))?;
            let fetched = count(&answer.series);
            samples += usize::try_from(fetched).unwrap_or(usize::MAX);
            self.client.counts.fetched.increment(fetched);
            answers.push(answer);
        }
        Ok(answers)
    }
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
