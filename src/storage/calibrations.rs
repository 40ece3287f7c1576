//! Calibrations and what was learned by them: objects alone, so that all replicas see them and a lost index
//! loses none.

use futures::stream::{self, StreamExt, TryStreamExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::objects::ObjectEntry;
use super::{Storage, group, large, no_calibration, nothing_learned, to_bytes};
use crate::canary::{Calibration, Id, KeptMargins, Learned};
use crate::error::{Error, Result};

/// Older ones go when a new one is kept.
const KEPT: usize = 200;
/// Of those that configs can name.
const MOST_LEARNED: usize = 1_000;
/// Read at once for a list.
const AT_ONCE: usize = 16;

const CALIBRATION: &str = "calibration.json";
/// Beside one that is to stop, for the process that makes it.
const CANCEL: &str = "cancel.json";
const LEARNED: &str = "learned.json";
/// The name of learning margins anew among the chores of the fleet.
const CHORE: &str = "recalibration";

impl Storage {
    /// Keeps one that begins, and lets the oldest go.
    pub async fn begin_calibration(&self, account: &str, calibration: &Calibration) -> Result<()> {
        self.check_room(account).await?;
        self.put_calibration(account, calibration).await?;
        // It has begun, whatever becomes of the others; another replica may let them go, too.
        if let Err(error) = self.drop_old_calibrations(account).await {
            tracing::warn!(%error, "cannot let old calibrations go");
        }
        Ok(())
    }

    async fn drop_old_calibrations(&self, account: &str) -> Result<()> {
        let ids = self.ids(account, group::CALIBRATION).await?;
        for id in ids.iter().skip(KEPT) {
            self.delete(account, group::CALIBRATION, id).await?;
        }
        Ok(())
    }

    pub async fn put_calibration(&self, account: &str, calibration: &Calibration) -> Result<()> {
        let key = format!("{}/{}/{CALIBRATION}", group::CALIBRATION, calibration.id);
        self.put(account, &key, to_bytes(calibration)?)
            .await
            .map(drop)
    }

    /// # Errors
    /// `NotFound` when there is none of that id.
    pub async fn calibration(&self, account: &str, id: &Id) -> Result<Calibration> {
        let found = self
            .found(account, group::CALIBRATION, id, CALIBRATION)
            .await?;
        found.ok_or_else(|| no_calibration(id))
    }

    /// What is `told` of the newest, newest first. Each is held until then, as it has its config in it. One that
    /// cannot be read, as another version may have written it, does not hide the others.
    pub async fn calibrations<T>(
        &self,
        account: &str,
        most: usize,
        told: impl Fn(Calibration) -> T,
    ) -> Result<Vec<T>> {
        let entries = self
            .objects(account)?
            .list(&format!("{}/", group::CALIBRATION))
            .await?;
        let is_calibration = |entry: &ObjectEntry| entry.key.split('/').nth(2) == Some(CALIBRATION);
        let mut entries: Vec<ObjectEntry> = entries.into_iter().filter(is_calibration).collect();
        entries.sort_unstable_by(|one, other| other.key.cmp(&one.key));
        entries.truncate(most);
        let told = &told;
        let found = entries.into_iter().map(|entry| async move {
            let _room = self.reading.room(entry.bytes).await?;
            let Some(body) = self.objects(account)?.get(&entry.key).await? else {
                return Ok::<_, Error>(None);
            };
            match large::parse(body).await {
                Ok(found) => Ok(Some(told(found))),
                Err(error) => {
                    tracing::warn!(%error, key = entry.key, "cannot read a calibration");
                    Ok(None)
                }
            }
        });
        let found: Vec<Option<T>> = stream::iter(found).buffered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// # Errors
    /// `NotFound` when there is none of that id.
    pub async fn delete_calibration(&self, account: &str, id: &Id) -> Result<()> {
        self.calibration(account, id).await?;
        self.delete(account, group::CALIBRATION, id).await
    }

    /// Asks whichever process makes it to stop.
    pub async fn ask_to_stop_calibration(&self, account: &str, id: &Id) -> Result<()> {
        let key = format!("{}/{id}/{CANCEL}", group::CALIBRATION);
        let asked = json!({"canceledTimestamp": self.clock.now_millis()});
        self.put(account, &key, to_bytes(&asked)?).await.map(drop)
    }

    pub async fn is_calibration_to_stop(&self, account: &str, id: &Id) -> Result<bool> {
        let key = format!("{}/{id}/{CANCEL}", group::CALIBRATION);
        Ok(self.objects(account)?.get(&key).await?.is_some())
    }

    /// Keeps what was learned under the id that it has, in place of what was there.
    ///
    /// # Errors
    /// `Invalid` when there are too many already.
    pub async fn put_learned(&self, account: &str, kept: &KeptMargins) -> Result<()> {
        self.check_room(account).await?;
        let id = Id::parse(&kept.learned.calibration)?;
        let ids = self.ids(account, group::LEARNED).await?;
        if MOST_LEARNED <= ids.len() && !ids.contains(&id) {
            return Err(Error::Invalid(format!(
                "there are {MOST_LEARNED} stored calibrations, and no more are kept: delete one of them"
            )));
        }
        let key = format!("{}/{id}/{LEARNED}", group::LEARNED);
        self.put(account, &key, to_bytes(kept)?).await.map(drop)
    }

    /// None where there is none of that id.
    pub async fn learned(&self, account: &str, id: &Id) -> Result<Option<Learned>> {
        self.found(account, group::LEARNED, id, LEARNED).await
    }

    /// The same, with what taught it.
    pub async fn kept_margins(&self, account: &str, id: &Id) -> Result<Option<KeptMargins>> {
        self.found(account, group::LEARNED, id, LEARNED).await
    }

    /// Whether it is this replica's to see what is to be learned anew; it is due again at `next`.
    pub async fn take_recalibration(&self, now: i64, next: i64) -> Result<bool> {
        self.index.take_chore(CHORE, now, next).await
    }

    /// In the order of their ids.
    pub async fn learned_ids(&self, account: &str) -> Result<Vec<String>> {
        let mut ids = self.ids(account, group::LEARNED).await?;
        ids.reverse();
        Ok(ids.iter().map(Id::to_string).collect())
    }

    /// # Errors
    /// `NotFound` when there is none of that id.
    pub async fn delete_learned(&self, account: &str, id: &Id) -> Result<()> {
        if self.learned(account, id).await?.is_none() {
            return Err(nothing_learned(id));
        }
        self.delete(account, group::LEARNED, id).await
    }

    async fn found<T: DeserializeOwned>(
        &self,
        account: &str,
        group: &str,
        id: &Id,
        file: &str,
    ) -> Result<Option<T>> {
        let key = format!("{group}/{id}/{file}");
        let body = self.objects(account)?.get(&key).await?;
        let read = body.map(|body| serde_json::from_slice(&body));
        read.transpose()
            .map_err(|cause| Error::storage(format!("the document '{key}' cannot be read"), cause))
    }

    /// The greatest first, which are the newest where ids tell the time.
    async fn ids(&self, account: &str, group: &str) -> Result<Vec<Id>> {
        let entries = self.objects(account)?.list(&format!("{group}/")).await?;
        let ids = entries
            .iter()
            .filter_map(|entry| entry.key.split('/').nth(1));
        let mut ids: Vec<Id> = ids.filter_map(|id| Id::parse(id).ok()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.reverse();
        Ok(ids)
    }
}
