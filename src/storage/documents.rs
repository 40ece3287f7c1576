//! Metric sets, their pairs, and archives: one object under an id.

use std::collections::HashSet;

use bytes::Bytes;
use indexmap::IndexMap;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::index::{ArchiveRow, Listing};
use super::large::{self, Large};
use super::objects::ObjectEntry;
use super::{Brief, Storage, does_not_exist, group, not_found, to_bytes};
use crate::canary::{
    CanaryExecutionStatusResponse, Execution, Id, Kind, MetricSet, MetricSetPair, iso_from_millis,
};
use crate::error::{Error, Result};

/// What a listing tells of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectSummary {
    pub id: String,
    /// Epoch milliseconds.
    pub updated_timestamp: i64,
    pub updated_timestamp_iso: String,
}

impl Storage {
    pub async fn metric_sets(&self, account: &str, id: &Id) -> Result<Large<Vec<MetricSet>>> {
        self.read(account, group::METRIC_SETS, id).await
    }

    pub async fn put_metric_sets(&self, account: &str, id: &Id, sets: &[MetricSet]) -> Result<()> {
        self.check_room(account).await?;
        let key = format!("{}/{id}/metric_sets.json", group::METRIC_SETS);
        let body = to_bytes(&sets)?;
        self.put(account, &key, body).await.map(|_| ())
    }

    pub async fn delete_metric_sets(&self, account: &str, id: &Id) -> Result<()> {
        self.delete(account, group::METRIC_SETS, id).await
    }

    pub async fn metric_set_lists(&self, account: &str) -> Result<Vec<ObjectSummary>> {
        self.list(account, group::METRIC_SETS).await
    }

    pub async fn metric_set_pairs(
        &self,
        account: &str,
        id: &Id,
    ) -> Result<Large<Vec<MetricSetPair>>> {
        self.read(account, group::METRIC_SET_PAIRS, id).await
    }

    /// How large they are as they are stored.
    ///
    /// # Errors
    /// `NotFound` when there are none.
    pub async fn metric_set_pairs_bytes(&self, account: &str, id: &Id) -> Result<u64> {
        let prefix = format!("{}/{id}/", group::METRIC_SET_PAIRS);
        let entries = self.objects(account)?.list(&prefix).await?;
        let bytes = entries.iter().map(|entry| entry.bytes).max();
        bytes.ok_or_else(|| not_found(id.as_str()))
    }

    pub async fn put_metric_set_pairs(
        &self,
        account: &str,
        id: &Id,
        pairs: &[MetricSetPair],
    ) -> Result<()> {
        let key = format!("{}/{id}/metric_set_pairs.json", group::METRIC_SET_PAIRS);
        let mut body = Vec::with_capacity(pairs.iter().map(written_length).sum());
        serde_json::to_writer(&mut body, pairs)
            .map_err(|cause| Error::Internal(format!("cannot write metric set pairs: {cause}")))?;
        self.put(account, &key, body.into()).await.map(|_| ())
    }

    pub async fn delete_metric_set_pairs(&self, account: &str, id: &Id) -> Result<()> {
        self.delete(account, group::METRIC_SET_PAIRS, id).await
    }

    pub async fn metric_set_pair_lists(&self, account: &str) -> Result<Vec<ObjectSummary>> {
        self.list(account, group::METRIC_SET_PAIRS).await
    }

    pub async fn archive(
        &self,
        account: &str,
        id: &Id,
    ) -> Result<Large<CanaryExecutionStatusResponse>> {
        self.read(account, group::CANARY_ARCHIVE, id).await
    }

    pub async fn archives(&self, account: &str) -> Result<Vec<ObjectSummary>> {
        self.list(account, group::CANARY_ARCHIVE).await
    }

    /// The ids of archived canaries of which `is_wanted` says so of their application.
    pub async fn archived_of(
        &self,
        account: &str,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<HashSet<String>> {
        self.reconcile_once(account).await?;
        let mut ids = HashSet::new();
        let note = |id, application: &str| {
            if is_wanted(application) {
                ids.insert(id);
            }
        };
        let archived = self.index.each_archived(account, Kind::Canary, note);
        archived.await?;
        Ok(ids)
    }

    /// # Errors
    /// `Invalid` when there is one under that id.
    pub async fn create_archive(
        &self,
        account: &str,
        id: &Id,
        archive: &CanaryExecutionStatusResponse,
    ) -> Result<()> {
        self.check_room(account).await?;
        let there = self.newest(account, group::CANARY_ARCHIVE, id).await?;
        if there.is_some() {
            return Err(Error::Invalid(format!(
                "Archived canary result '{id}' already exists."
            )));
        }
        self.put_archive(account, id, archive).await
    }

    /// # Errors
    /// `Invalid` when there is none under that id, `Changed` when it is what came of a run.
    pub async fn update_archive(
        &self,
        account: &str,
        id: &Id,
        archive: &CanaryExecutionStatusResponse,
    ) -> Result<()> {
        self.check_room(account).await?;
        let there = self.newest(account, group::CANARY_ARCHIVE, id).await?;
        let Some((_, before)) = there else {
            return Err(Error::Invalid(format!(
                "Archived canary result '{id}' does not exist."
            )));
        };
        // One that cannot be read says nothing of what it was.
        let before = serde_json::from_slice::<CanaryExecutionStatusResponse>(&before).ok();
        if !self.replaces_archives && before.is_some_and(|before| !before.received) {
            return Err(Error::Changed(format!(
                "Archived canary result '{id}' is that of a run, and stays; storage.replaceArchives lets it be replaced."
            )));
        }
        self.put_archive(account, id, archive).await
    }

    pub async fn delete_archive(&self, account: &str, id: &Id) -> Result<()> {
        let now = self.clock.now_millis();
        self.index
            .remove_archive(account, Kind::Canary, id.as_str(), now)
            .await?;
        self.forget(Kind::Canary, account, id.as_str()).await;
        self.delete(account, group::CANARY_ARCHIVE, id).await
    }

    pub(super) async fn put_archive<R: Execution>(
        &self,
        account: &str,
        id: &Id,
        archive: &R,
    ) -> Result<()> {
        let body = to_bytes(archive)?;
        self.put_archive_body(account, id, archive, body).await
    }

    /// Object first, then row.
    pub(super) async fn put_archive_body<R: Execution>(
        &self,
        account: &str,
        id: &Id,
        archive: &R,
        body: Bytes,
    ) -> Result<()> {
        let key = format!("{0}/{id}/{0}.json", R::KIND.group());
        let version = self.put(account, &key, body).await?;
        self.forget(R::KIND, account, id.as_str()).await;
        let row = self.archive_row(id.as_str(), archive, version);
        self.index.put_archive(account, &row).await
    }

    pub(super) fn archive_row<R: Execution>(
        &self,
        id: &str,
        archive: &R,
        version: String,
    ) -> ArchiveRow {
        ArchiveRow {
            kind: R::KIND,
            id: id.to_owned(),
            application: archive.application().to_owned(),
            status: archive.status().as_str().to_owned(),
            build_time: archive.build_time(),
            version,
            noted_at: self.clock.now_millis(),
            pair_list_id: pair_list(archive),
            listing: listing(archive),
        }
    }

    pub(super) async fn forget(&self, kind: Kind, account: &str, id: &str) {
        let key = (kind, account.to_owned(), id.to_owned());
        self.finished.invalidate(&key).await;
    }

    /// It may have been asked for with any account.
    pub(super) async fn forget_everywhere(&self, id: &str) {
        for account in self.accounts.keys() {
            for kind in Kind::ALL {
                self.forget(kind, account, id).await;
            }
        }
    }

    async fn read<T: DeserializeOwned + Send + 'static>(
        &self,
        account: &str,
        group: &str,
        id: &Id,
    ) -> Result<Large<T>> {
        let entries = self.entries(account, group, id).await?;
        let bytes = entries.iter().map(|entry| entry.bytes).max();
        let room = self.reading.room(bytes.unwrap_or_default()).await?;
        let newest = self.read_newest(account, entries).await?;
        let (entry, body) = newest.ok_or_else(|| not_found(id.as_str()))?;
        let document = large::parse(body).await.map_err(|cause| {
            Error::storage(
                format!("the document '{}' cannot be read", entry.key),
                cause,
            )
        })?;
        Ok(Large::new(document, room))
    }

    /// Key and body of the one object under an id. Two are the traces of a rename that was cut short, or of Kayenta's
    /// own archive PUT; the newer one counts.
    pub(super) async fn newest(
        &self,
        account: &str,
        group: &str,
        id: &Id,
    ) -> Result<Option<(String, Bytes)>> {
        let entries = self.entries(account, group, id).await?;
        let newest = self.read_newest(account, entries).await?;
        Ok(newest.map(|(entry, body)| (entry.key, body)))
    }

    async fn entries(&self, account: &str, group: &str, id: &Id) -> Result<Vec<ObjectEntry>> {
        let objects = self.objects(account)?;
        objects.list(&format!("{group}/{id}/")).await
    }

    /// The newest of several objects; of those that are equally old, as Amazon counts in seconds, the
    /// one whose document says that it is newer.
    pub(super) async fn read_newest(
        &self,
        account: &str,
        mut entries: Vec<ObjectEntry>,
    ) -> Result<Option<(ObjectEntry, Bytes)>> {
        let objects = self.objects(account)?;
        entries.sort_by_key(|entry| entry.updated_millis);
        let mut newest: Option<(ObjectEntry, Bytes)> = None;
        while let Some(entry) = entries.pop() {
            let is_older =
                |(other, _): &(ObjectEntry, Bytes)| entry.updated_millis < other.updated_millis;
            if newest.as_ref().is_some_and(is_older) {
                break;
            }
            let Some(body) = objects.get(&entry.key).await? else {
                continue;
            };
            match &newest {
                Some((_, other)) if written_at(&body) <= written_at(other) => {}
                _ => newest = Some((entry, body)),
            }
        }
        Ok(newest)
    }

    /// Removes every object under an id.
    pub(super) async fn delete(&self, account: &str, group: &str, id: &Id) -> Result<()> {
        let objects = self.objects(account)?;
        let entries = objects.list(&format!("{group}/{id}/")).await?;
        if entries.is_empty() {
            return Err(does_not_exist());
        }
        for entry in entries {
            objects.delete(&entry.key).await?;
        }
        Ok(())
    }

    async fn list(&self, account: &str, group: &str) -> Result<Vec<ObjectSummary>> {
        let entries = self.objects(account)?.list(&format!("{group}/")).await?;
        let mut newest = IndexMap::new();
        for entry in entries {
            if let Some(id) = entry.key.split('/').nth(1) {
                let updated = newest.entry(id.to_owned()).or_insert(0);
                *updated = entry.updated_millis.max(*updated);
            }
        }
        Ok(newest
            .into_iter()
            .map(|(id, updated)| ObjectSummary {
                id,
                updated_timestamp: updated,
                updated_timestamp_iso: iso_from_millis(updated),
            })
            .collect())
    }
}

/// About as many bytes as a pair takes, so that they are not moved as they grow.
fn written_length(pair: &MetricSetPair) -> usize {
    2_048 + pair.points() * 36
}

/// Characters.
const MOST_INDEXED: usize = 255;

/// The list that an execution was judged by, if it has a name that a list can have.
fn pair_list<R: Execution>(document: &R) -> String {
    let list = document.told().list_id.and_then(|id| Id::parse(id).ok());
    list.map_or_else(String::new, |id| id.to_string())
}

/// What lists show of an execution.
pub(super) fn listing<R: Execution>(document: &R) -> Listing {
    let brief = Brief::of(&document.told());
    Listing {
        sought: brief.sought(document.id(), document.application()),
        outcome: brief.outcome.as_str().to_owned(),
        // A brief has texts and numbers only, which can be written.
        brief: serde_json::to_string(&brief).unwrap_or_default(),
        canary_config_id: brief.config_id,
        config_name: indexable(&brief.config_name),
    }
}

/// Of a text that a client chose, what an index of any database takes.
fn indexable(text: &str) -> String {
    let shown = text.chars().filter(|character| !character.is_control());
    shown.take(MOST_INDEXED).collect()
}

/// When a document was written, by its own word; only canary configs tell.
fn written_at(body: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Written {
        updated_timestamp: i64,
    }
    let written: Written = serde_json::from_slice(body).ok()?;
    Some(written.updated_timestamp)
}
