//! What channels outside of serin are to be told: written with what happened, claimed, settled.

use std::time::Duration;

use super::Storage;
use super::index::{ChartRow, DueNotice};
use super::large::Large;
use super::outbox::millis;
use crate::canary::{Id, MetricSetPair};
use crate::error::{Error, Result};

impl Storage {
    /// What is to be told next, `most` at most; it is this process's until the lease ends.
    pub async fn claim_notices(&self, lease: Duration, most: usize) -> Result<Vec<DueNotice>> {
        let now = self.clock.now_millis();
        self.index
            .claim_notices(&self.owner, now, lease, most)
            .await
    }

    /// Notes that a notice was told, or that it never will be.
    pub async fn settle_notice(&self, notice: &DueNotice) -> Result<()> {
        self.index.settle_notice(notice).await
    }

    /// Gives a notice back, to be told after `wait`.
    pub async fn put_off_notice(&self, notice: &DueNotice, wait: Duration) -> Result<()> {
        let due_at = self.clock.now_millis().saturating_add(millis(wait));
        self.index.put_off_notice(notice, due_at).await
    }

    /// The token under which a chart is found: 128 random bits, the same whenever it is asked for.
    pub async fn chart_token(&self, chart: &ChartRow) -> Result<String> {
        let mut random = [0_u8; 16];
        getrandom::fill(&mut random)
            .map_err(|cause| Error::Internal(format!("cannot make a token: {cause}")))?;
        let token = format!("{:032x}", u128::from_be_bytes(random));
        let now = self.clock.now_millis();
        self.index.keep_chart(chart, &token, now).await
    }

    /// The pair and the label that a chart shows.
    ///
    /// # Errors
    /// `NotFound` when there is no such chart, or its pair is gone.
    pub async fn charted(&self, token: &str) -> Result<(Large<MetricSetPair>, String)> {
        let unknown = || Error::NotFound("there is no such chart".to_owned());
        let chart = self.index.chart(token).await?.ok_or_else(unknown)?;
        let list = Id::parse(&chart.list_id)?;
        let pairs = self.metric_set_pairs(&chart.storage_account, &list).await?;
        let is_charted = |pair: &MetricSetPair| pair.id == chart.pair_id;
        let pair = pairs.try_map(|pairs| pairs.into_iter().find(is_charted).ok_or_else(unknown));
        Ok((pair?, chart.label))
    }
}
