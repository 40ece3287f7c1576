//! What others put into a store comes into the index, and what they removed goes.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;

use super::objects::ObjectEntry;
use super::{Record, Storage, group};
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryConfig, CanaryExecutionStatusResponse,
};
use crate::error::{Error, Result};

/// How long a request waits for the first reconciliation of an account.
const FIRST_WAIT: Duration = Duration::from_secs(20);

/// A row that was noted so shortly before a listing may be missing in it: clocks differ.
pub(super) const MARGIN: i64 = 30_000;

/// Objects that are read at once.
const READS: usize = 16;

impl Storage {
    /// Reconciles every account, forgets old rows and deletes what is due.
    pub async fn keep_house(&self) {
        let mut reconciled = Vec::new();
        for (name, account) in &self.accounts {
            // The first one is also what requests wait for.
            let done = if account.reconciled.initialized() {
                self.reconcile(name).await
            } else {
                let first = account.reconciled.get_or_try_init(|| self.reconcile(name));
                first.await.copied()
            };
            match done {
                Ok(()) => reconciled.push(name.clone()),
                Err(error) => tracing::warn!(account = name, %error, "cannot reconcile the index"),
            }
        }
        match self.sweep().await {
            Ok(0) => {}
            Ok(forgotten) => tracing::info!(forgotten, "forgot executions that are archived"),
            Err(error) => tracing::warn!(%error, "cannot forget executions"),
        }
        if let Err(error) = self.retain(&reconciled).await {
            tracing::warn!(%error, "cannot delete what is due; trying again later");
        }
    }

    /// Waits until the index knows what the store had when serin started. A store that does not
    /// answer leaves the index as it is.
    pub(super) async fn reconcile_once(&self, name: &str) -> Result<()> {
        let account = self.account(name)?;
        let first = account.reconciled.get_or_try_init(|| self.reconcile(name));
        match tokio::time::timeout(FIRST_WAIT, first).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(account = name, %error, "the index may lack objects"),
            Err(_) => tracing::warn!(
                account = name,
                "the index may lack objects: the store is slow"
            ),
        }
        Ok(())
    }

    /// One LIST for each group; only new or changed objects are read. Pins come first: what is
    /// pinned must not be known without its pin.
    pub async fn reconcile(&self, account: &str) -> Result<()> {
        self.reconcile_pins(account).await?;
        self.reconcile_configs(account).await?;
        self.reconcile_archives::<CanaryExecutionStatusResponse>(account)
            .await?;
        self.reconcile_archives::<CanaryAnalysisExecutionStatusResponse>(account)
            .await
    }

    async fn reconcile_configs(&self, account: &str) -> Result<()> {
        let listed_at = self.clock.now_millis();
        let until = listed_at - MARGIN;
        let rows = self.index.configs(account).await?;
        let mut known: HashMap<String, String> =
            rows.into_iter().map(|row| (row.id, row.version)).collect();
        let objects = newest(
            self.objects(account)?
                .list(&prefix(group::CANARY_CONFIG))
                .await?,
        );
        let changed = keep_changed(objects, &mut known);
        let mut reads = futures::stream::iter(changed)
            .map(|(id, entry)| async move {
                (
                    self.note_config(account, &id, &entry, listed_at).await,
                    entry,
                )
            })
            .buffer_unordered(READS);
        while let Some((noted, entry)) = reads.next().await {
            if let Err(error) = noted {
                tracing::warn!(key = entry.key, %error, "a canary config is left out of the index");
            }
        }
        for id in known.into_keys() {
            self.index.remove_config(account, &id, until).await?;
        }
        self.index.remove_stale_names(account, until).await
    }

    async fn note_config(
        &self,
        account: &str,
        id: &str,
        entry: &ObjectEntry,
        listed_at: i64,
    ) -> Result<()> {
        let _lock = self.lock_config(account, id).await?;
        // Whoever wrote the row since the listing knew better.
        let known = self.index.config(account, id).await?;
        if known.is_some_and(|row| listed_at <= row.noted_at) {
            return Ok(());
        }
        let Some(body) = self.objects(account)?.get(&entry.key).await? else {
            return Ok(());
        };
        let config: CanaryConfig = serde_json::from_slice(&body)
            .map_err(|cause| Error::storage("it is no canary config", cause))?;
        let mut row = self.config_row(id, &config, entry.version.clone());
        // Kayenta reads a config's name from its file name.
        let file = entry.key.rsplit('/').next().unwrap_or_default();
        file.trim_end_matches(".json").clone_into(&mut row.name);
        self.index.put_config(account, &row).await
    }

    async fn reconcile_archives<R: Record>(&self, account: &str) -> Result<()> {
        let until = self.clock.now_millis() - MARGIN;
        let mut known = self.index.archive_versions(account, R::KIND).await?;
        let objects = newest(self.objects(account)?.list(&prefix(R::GROUP)).await?);
        let changed = keep_changed(objects, &mut known);
        let mut reads = futures::stream::iter(changed)
            .map(|(id, entry)| async move {
                let noted = self.note_archive::<R>(account, &id, &entry).await;
                (noted, entry)
            })
            .buffer_unordered(READS);
        while let Some((noted, entry)) = reads.next().await {
            if let Err(error) = noted {
                tracing::warn!(key = entry.key, %error, "an archive is left out of the index");
            }
        }
        for id in known.into_keys() {
            self.index
                .remove_archive(account, R::KIND, &id, until)
                .await?;
            self.forget(R::KIND, account, &id).await;
        }
        Ok(())
    }

    async fn note_archive<R: Record>(
        &self,
        account: &str,
        id: &str,
        entry: &ObjectEntry,
    ) -> Result<()> {
        let Some(body) = self.objects(account)?.get(&entry.key).await? else {
            return Ok(());
        };
        let archive: R = serde_json::from_slice(&body)
            .map_err(|cause| Error::storage("it is no archived execution", cause))?;
        let row = self.archive_row(id, &archive, entry.version.clone());
        self.index.put_archive(account, &row).await?;
        self.forget(R::KIND, account, id).await;
        Ok(())
    }
}

fn prefix(group: &str) -> String {
    format!("{group}/")
}

/// The newest object of every id.
fn newest(entries: Vec<ObjectEntry>) -> HashMap<String, ObjectEntry> {
    let mut newest = HashMap::<String, ObjectEntry>::new();
    for entry in entries {
        let Some(id) = entry.key.split('/').nth(1) else {
            continue;
        };
        match newest.get(id) {
            Some(other) if other.updated_millis > entry.updated_millis => {}
            _ => {
                newest.insert(id.to_owned(), entry);
            }
        }
    }
    newest
}

/// Leaves in `known` what is in the index and not in the store.
fn keep_changed(
    objects: HashMap<String, ObjectEntry>,
    known: &mut HashMap<String, String>,
) -> Vec<(String, ObjectEntry)> {
    objects
        .into_iter()
        .filter(|(id, entry)| {
            known
                .remove(id)
                .is_none_or(|version| version != entry.version)
        })
        .collect()
}
