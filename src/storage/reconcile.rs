//! What others put into a store comes into the index, and what they removed goes.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::guarded::too_large;
use super::objects::ObjectEntry;
use super::{Account, Storage, group};
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryConfig, CanaryExecutionStatusResponse, Execution,
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
            let done = async {
                if account.reconciled.initialized() {
                    self.reconcile(name).await
                } else {
                    let first = account.reconciled.get_or_try_init(|| self.reconcile(name));
                    first.await.copied()
                }
            };
            let limit = self.refresh_timeout;
            let done = tokio::time::timeout(limit, done).await.unwrap_or_else(|_| {
                let why = format!("the index was not reconciled within {limit:?}");
                Err(Error::Unavailable(why))
            });
            let behind = done.as_ref().err().map(ToString::to_string);
            *account
                .behind
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = behind;
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
        if let Err(error) = self.keep_record().await {
            tracing::warn!(%error, "cannot export the record; trying again later");
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
        let all = self.reconcile_archives::<CanaryExecutionStatusResponse>(account);
        let all = all.await?;
        self.account(account)?.all_canaries_read.store(all, Relaxed);
        self.reconcile_archives::<CanaryAnalysisExecutionStatusResponse>(account)
            .await?;
        Ok(())
    }

    async fn reconcile_configs(&self, account: &str) -> Result<()> {
        let listed_at = self.clock.now_millis();
        let until = listed_at - MARGIN;
        let rows = self.index.configs(account).await?;
        let known = rows
            .iter()
            .map(|row| (digest(&row.id), digest(&row.version)));
        let known = known.collect();
        let (changed, gone, _) = self.compare(account, group::CANARY_CONFIG, known).await?;
        let mut reads = stream::iter(changed)
            .map(|(id, entries)| async move {
                let mark = mark(&entries);
                let noted = self.note_config(account, &id, entries, listed_at).await;
                (id, mark, noted)
            })
            .buffer_unordered(READS);
        while let Some((id, mark, noted)) = reads.next().await {
            if let Err(left_out) = noted {
                let error = self.left_out(account, mark, left_out)?;
                tracing::warn!(account, id, %error, "a canary config is left out of the index");
            }
        }
        for row in rows.iter().filter(|row| gone.contains(&digest(&row.id))) {
            self.index
                .remove_config(account, &row.id, until, None)
                .await?;
            self.forget_config(account, &row.id).await;
        }
        self.index.remove_stale_names(account, until).await
    }

    /// Lists a group against the versions that the index knows: what must be read, what is gone, and
    /// how many cannot be read as they are.
    async fn compare(
        &self,
        account: &str,
        group: &str,
        known: HashMap<Digest, Digest>,
    ) -> Result<(Vec<(String, Vec<ObjectEntry>)>, HashSet<Digest>, usize)> {
        let Account {
            objects, unusable, ..
        } = self.account(account)?;
        if !known.is_empty() {
            objects.expect_objects();
        }
        let mut comparison = Comparison::new(known);
        let prefix = format!("{group}/");
        let mut pages = objects.pages(&prefix);
        while let Some(page) = pages.try_next().await? {
            for entry in page {
                comparison.add(entry);
            }
        }
        let (mut changed, gone) = comparison.end();
        let unusable = unusable.lock().unwrap_or_else(PoisonError::into_inner);
        let all = changed.len();
        changed.retain(|(_, entries)| !unusable.contains(&mark(entries)));
        let left_out = all - changed.len();
        Ok((changed, gone, left_out))
    }

    /// What there is to tell of objects that became no row. Those that never can are not read
    /// again until they differ.
    fn left_out(&self, account: &str, mark: Digest, left_out: LeftOut) -> Result<Error> {
        Ok(match left_out {
            LeftOut::Now(error) => error,
            LeftOut::AsItIs(error) => {
                let unusable = &self.account(account)?.unusable;
                unusable
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(mark);
                error
            }
        })
    }

    fn expect_readable(&self, entries: &[ObjectEntry]) -> Result<(), LeftOut> {
        let most = self.max_object_bytes;
        match entries.iter().find(|entry| most < entry.bytes) {
            Some(entry) => Err(LeftOut::as_it_is(too_large(entry.bytes, most))),
            None => Ok(()),
        }
    }

    async fn note_config(
        &self,
        account: &str,
        id: &str,
        entries: Vec<ObjectEntry>,
        listed_at: i64,
    ) -> Result<(), LeftOut> {
        self.expect_readable(&entries)?;
        let _lock = self.lock_config(account, id).await?;
        // Whoever wrote the row since the listing knew better.
        let known = self.index.config(account, id).await?;
        if known.is_some_and(|row| listed_at <= row.noted_at) {
            return Ok(());
        }
        let Some((entry, body)) = self.read_newest(account, entries).await? else {
            return Ok(());
        };
        let config: CanaryConfig = serde_json::from_slice(&body)
            .map_err(|cause| LeftOut::as_it_is(format!("it is no canary config: {cause}")))?;
        let mut row = self.config_row(id, &config, entry.version);
        // Kayenta reads a config's name from its file name.
        let file = entry.key.rsplit('/').next().unwrap_or_default();
        file.trim_end_matches(".json").clone_into(&mut row.name);
        self.index.put_config(account, &row, None).await?;
        self.forget_config(account, id).await;
        Ok(())
    }

    /// Whether none was left out.
    async fn reconcile_archives<R: Execution>(&self, account: &str) -> Result<bool> {
        let until = self.clock.now_millis() - MARGIN;
        let mut known = HashMap::new();
        let note = |id: &str, version: &str| {
            known.insert(digest(id), digest(version));
        };
        self.index
            .each_archive_version(account, R::KIND, note)
            .await?;
        let compared = self.compare(account, R::KIND.group(), known).await?;
        let (changed, gone, mut unread) = compared;
        let mut reads = stream::iter(changed)
            .map(|(id, entries)| async move {
                let mark = mark(&entries);
                let noted = self.note_archive::<R>(account, &id, entries).await;
                (id, mark, noted)
            })
            .buffer_unordered(READS);
        while let Some((id, mark, noted)) = reads.next().await {
            if let Err(left_out) = noted {
                let error = self.left_out(account, mark, left_out)?;
                tracing::warn!(account, id, %error, "an archive is left out of the index");
                unread += 1;
            }
        }
        if gone.is_empty() {
            return Ok(unread == 0);
        }
        let mut ids = Vec::new();
        let note = |id: &str, _: &str| {
            if gone.contains(&digest(id)) {
                ids.push(id.to_owned());
            }
        };
        self.index
            .each_archive_version(account, R::KIND, note)
            .await?;
        for id in ids {
            self.index
                .remove_archive(account, R::KIND, &id, until)
                .await?;
            self.forget(R::KIND, account, &id).await;
        }
        Ok(unread == 0)
    }

    async fn note_archive<R: Execution>(
        &self,
        account: &str,
        id: &str,
        entries: Vec<ObjectEntry>,
    ) -> Result<(), LeftOut> {
        self.expect_readable(&entries)?;
        let Some((entry, body)) = self.read_newest(account, entries).await? else {
            return Ok(());
        };
        let archive: R = serde_json::from_slice(&body)
            .map_err(|cause| LeftOut::as_it_is(format!("it is no archived execution: {cause}")))?;
        let row = self.archive_row(id, &archive, entry.version);
        self.index.put_archive(account, &row).await?;
        self.forget(R::KIND, account, id).await;
        Ok(())
    }
}

/// Why objects became no row.
enum LeftOut {
    /// Another time they may.
    Now(Error),
    /// Never, as long as they are what they are.
    AsItIs(Error),
}

impl LeftOut {
    fn as_it_is(why: String) -> Self {
        Self::AsItIs(Error::Invalid(why))
    }
}

impl From<Error> for LeftOut {
    fn from(error: Error) -> Self {
        Self::Now(error)
    }
}

/// Stands for objects as they are now.
fn mark(entries: &[ObjectEntry]) -> Digest {
    let entries = entries.iter();
    let texts: Vec<String> = entries
        .map(|entry| format!("{}\n{}\n", entry.key, entry.version))
        .collect();
    digest(&texts.concat())
}

/// Stands for a text: all archives of a store are compared at once, and their ids and versions
/// would take many times the room.
type Digest = u128;

fn digest(text: &str) -> Digest {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes()).as_u128()
}

/// A listing against the versions that the index knows; of what is as it was, nothing is kept.
struct Comparison {
    /// By id.
    known: HashMap<Digest, Known>,
    /// The newest objects of an id; several when they are equally old.
    changed: HashMap<String, Vec<ObjectEntry>>,
}

/// What the index knows under an id.
struct Known {
    version: Digest,
    is_listed: bool,
    /// Of the object that has the version.
    updated_millis: Option<i64>,
}

impl Comparison {
    fn new(versions: HashMap<Digest, Digest>) -> Self {
        let known = |version| Known {
            version,
            is_listed: false,
            updated_millis: None,
        };
        let versions = versions.into_iter();
        Self {
            known: versions.map(|(id, version)| (id, known(version))).collect(),
            changed: HashMap::new(),
        }
    }

    fn add(&mut self, entry: ObjectEntry) {
        let Some(id) = entry.key.split('/').nth(1) else {
            return;
        };
        if let Some(known) = self.known.get_mut(&digest(id)) {
            known.is_listed = true;
            if known.version == digest(&entry.version) {
                known.updated_millis = Some(entry.updated_millis);
                return;
            }
        }
        let Some(newest) = self.changed.get_mut(id) else {
            self.changed.insert(id.to_owned(), vec![entry]);
            return;
        };
        match newest[0].updated_millis.cmp(&entry.updated_millis) {
            Ordering::Less => *newest = vec![entry],
            Ordering::Equal => newest.push(entry),
            Ordering::Greater => {}
        }
    }

    /// What must be read, by id, and the ids of which nothing is left.
    fn end(mut self) -> (Vec<(String, Vec<ObjectEntry>)>, HashSet<Digest>) {
        // The old object of a rename that was cut short must not replace the new one that is known.
        self.changed.retain(|id, newest| {
            let known = self.known.get(&digest(id));
            let updated = known.and_then(|known| known.updated_millis);
            updated.is_none_or(|updated| updated < newest[0].updated_millis)
        });
        let gone = self.known.into_iter().filter(|(_, known)| !known.is_listed);
        (
            self.changed.into_iter().collect(),
            gone.map(|(id, _)| id).collect(),
        )
    }
}
