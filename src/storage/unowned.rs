//! Metric sets and pairs that no execution owns: what was posted, fetched by hand, or left behind.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::retention::{BATCH, DELETIONS, FAILURES, LeftOut, millis};
use super::{Storage, group};
use crate::canary::Id;
use crate::error::{Error, Result};

/// Lists of metric sets and of pairs that are due for deletion, or were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Unowned {
    /// How many were due.
    pub total: usize,
    /// How many of them are deleted now.
    pub deleted: usize,
    /// How many could not be deleted; the log tells why. They are tried again.
    pub failed: usize,
}

/// A list of metric sets or pairs.
#[derive(PartialEq, Eq, Hash)]
struct List {
    group: &'static str,
    id: Id,
}

/// Where a canary keeps its pairs: at the same place whenever it is run.
pub fn pair_list_of_run(execution: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, execution.as_bytes())
}

impl Storage {
    /// What is due in these accounts, which were reconciled; deletes nothing.
    pub(super) async fn unowned(
        &self,
        accounts: &[String],
        left_out: &mut Vec<LeftOut>,
    ) -> Unowned {
        let mut found = Unowned::default();
        for account in accounts {
            found.total += self.unowned_of(account, left_out).await.len();
        }
        found
    }

    /// Deletes what is due in accounts that were reconciled just now, [`BATCH`] at most in each.
    pub(super) async fn delete_unowned(
        &self,
        accounts: &[String],
        left_out: &mut Vec<LeftOut>,
    ) -> Unowned {
        let mut done = Unowned::default();
        for account in accounts {
            let due = self.unowned_of(account, left_out).await;
            done.total += due.len();
            let mut deletions = stream::iter(due.into_iter().take(BATCH))
                .map(|list| async move { self.remove_all(account, list.group, &list.id).await })
                .buffer_unordered(DELETIONS);
            let mut failed = 0;
            while failed < FAILURES
                && let Some(deleted) = deletions.next().await
            {
                match deleted {
                    Ok(()) => done.deleted += 1,
                    Err(error) => {
                        tracing::warn!(account, %error, "cannot delete what no execution owns");
                        failed += 1;
                    }
                }
            }
            done.failed += failed;
        }
        if 0 < done.deleted || 0 < done.failed {
            let Unowned {
                deleted, failed, ..
            } = done;
            tracing::info!(
                deleted,
                failed,
                "deleted metric sets and pairs that no execution owns"
            );
        }
        done
    }

    /// Lists of which nobody can tell whose they are stay, and keep nothing else waiting.
    async fn unowned_of(&self, account: &str, left_out: &mut Vec<LeftOut>) -> Vec<List> {
        let Some(age) = self.retention.unowned_max_age else {
            return Vec::new();
        };
        let until = self.clock.now_millis().saturating_sub(millis(age));
        // Kayenta's canaries leave theirs, and know nothing of them afterwards.
        let sets = self.older(account, group::METRIC_SETS, until).await;
        let pairs = self.unowned_pairs(account, until).await;
        let mut unowned = Vec::new();
        for (what, due) in [("sets", sets), ("set pairs", pairs)] {
            match due {
                Ok(due) => unowned.extend(due),
                Err(error) => {
                    let why = format!("the metric {what} that no execution owns: {error}");
                    tracing::warn!(account, "cannot delete what is due: {why}");
                    left_out.push(LeftOut::of(account, why));
                }
            }
        }
        unowned
    }

    /// They are listed before their owners, so that one that comes meanwhile is known.
    async fn unowned_pairs(&self, account: &str, until: i64) -> Result<HashSet<List>> {
        let mut pairs = self.older(account, group::METRIC_SET_PAIRS, until).await?;
        if pairs.is_empty() {
            return Ok(pairs);
        }
        if !self
            .account(account)?
            .all_canaries_read
            .load(Ordering::Relaxed)
        {
            let told = "an archived canary that cannot be read may own them; the log tells which";
            return Err(Error::Unavailable(told.to_owned()));
        }
        let owned = self.owned(account).await?;
        pairs.retain(|list| !owned.contains(list.id.as_str()));
        Ok(pairs)
    }

    /// What was written until then.
    async fn older(&self, account: &str, group: &'static str, until: i64) -> Result<HashSet<List>> {
        let mut older = HashSet::new();
        let prefix = format!("{group}/");
        let mut pages = self.objects(account)?.pages(&prefix);
        while let Some(page) = pages.try_next().await? {
            let entries = page.iter().filter(|entry| entry.updated_millis <= until);
            let ids = entries.filter_map(|entry| Id::parse(entry.key.split('/').nth(1)?).ok());
            older.extend(ids.map(|id| List { group, id }));
        }
        Ok(older)
    }

    /// The applications of the executions that own a list of pairs.
    pub async fn owners_of_pairs(&self, account: &str, list: &Id) -> Result<Vec<String>> {
        let mut owners = self.index.owners_of_pairs(account, list.as_str()).await?;
        let running = self.index.execution_ids().await?.into_iter();
        let running = running.filter(|(id, _)| pair_list_of_run(id).to_string() == list.as_str());
        owners.extend(running.map(|(_, application)| application));
        Ok(owners)
    }

    /// The lists of pairs that executions own: those that run first, as they may be archived meanwhile.
    async fn owned(&self, account: &str) -> Result<HashSet<String>> {
        let mut owned = HashSet::new();
        for (id, _) in self.index.execution_ids().await? {
            owned.insert(pair_list_of_run(&id).to_string());
        }
        let note = |id: &str, list: &str| {
            owned.insert(pair_list_of_run(id).to_string());
            owned.insert(list.to_owned());
        };
        self.index.each_pair_list(account, note).await?;
        Ok(owned)
    }
}
