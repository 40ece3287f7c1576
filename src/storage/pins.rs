//! Pins: executions that stay whatever the rules of retention say.
//!
//! A pin is an object beside the archive, `pin/<id>/<kind>.json`, so that it outlives the index;
//! rows tell quickly who is pinned.

use serde_json::json;

use super::reconcile::MARGIN;
use super::{Storage, group, not_found, to_bytes};
use crate::canary::{Execution, Id, Kind, iso_from_millis};
use crate::error::{Error, Result};

impl Storage {
    /// Pins an execution, wherever among the accounts it is: object first, then row.
    ///
    /// # Errors
    /// `NotFound` when there is no such execution.
    pub async fn pin<R: Execution>(&self, accounts: &[String], id: &Id) -> Result<()> {
        let account = self.home::<R>(accounts, id).await?;
        let account = account.ok_or_else(|| not_found(id.as_str()))?;
        let objects = self.objects(&account)?;
        let now = self.clock.now_millis();
        let pin = json!({"pinnedTimestamp": now, "pinnedTimestampIso": iso_from_millis(now)});
        let key = pin_key(R::KIND, id.as_str());
        self.put(&account, &key, to_bytes(&pin)?).await?;
        if self.index.pin(&account, R::KIND, id.as_str(), now).await? {
            return Ok(());
        }
        // It was deleted a moment ago.
        objects.delete(&key).await?;
        Err(not_found(id.as_str()))
    }

    /// Takes a pin away; row first, then object. Without effect on what is not pinned.
    ///
    /// # Errors
    /// `NotFound` when there is neither such an execution nor a pin of it.
    pub async fn unpin<R: Execution>(&self, accounts: &[String], id: &Id) -> Result<()> {
        let home = self.home::<R>(accounts, id).await?;
        let mut is_known = home.is_some();
        for account in home.iter().chain(accounts) {
            let objects = self.objects(account)?;
            let row = self.index.unpin(account, R::KIND, id.as_str(), i64::MAX);
            is_known |= row.await?;
            objects.delete(&pin_key(R::KIND, id.as_str())).await?;
        }
        if is_known {
            Ok(())
        } else {
            Err(not_found(id.as_str()))
        }
    }

    pub async fn is_pinned<R: Execution>(&self, id: &Id) -> Result<bool> {
        self.index.is_pinned(R::KIND, id.as_str()).await
    }

    /// The account that has the archive of an execution, or will have it.
    pub(super) async fn home<R: Execution>(
        &self,
        accounts: &[String],
        id: &Id,
    ) -> Result<Option<String>> {
        let row = self.index.execution(id.as_str()).await?;
        if let Some(row) = row.filter(|row| row.kind == R::KIND) {
            return Ok(Some(row.storage_account));
        }
        let known = self.index.archive_accounts(R::KIND, id.as_str()).await?;
        if let Some(account) = accounts.iter().find(|account| known.contains(*account)) {
            return Ok(Some(account.clone()));
        }
        for account in accounts {
            // Others may have put it there since the index was last compared with the store.
            if let Some((key, body)) = self.newest(account, R::KIND.group(), id).await? {
                let archive: R = serde_json::from_slice(&body).map_err(|cause| {
                    Error::storage(format!("the document '{key}' cannot be read"), cause)
                })?;
                let row = self.archive_row(id.as_str(), &archive, String::new());
                self.index.put_archive(account, &row).await?;
                return Ok(Some(account.clone()));
            }
        }
        Ok(None)
    }

    /// One LIST; pins are not read, their keys tell everything.
    pub(super) async fn reconcile_pins(&self, account: &str) -> Result<()> {
        let now = self.clock.now_millis();
        let mut known = self.index.pins(account).await?;
        let objects = self.objects(account)?;
        for entry in objects.list(&format!("{}/", group::PINS)).await? {
            let Some((kind, id)) = pin_of(&entry.key) else {
                continue;
            };
            if !known.remove(&(kind, id.to_owned())) {
                self.index.note_pin(account, kind, id, now).await?;
            }
        }
        for (kind, id) in known {
            self.index.unpin(account, kind, &id, now - MARGIN).await?;
        }
        Ok(())
    }
}

pub fn pin_key(kind: Kind, id: &str) -> String {
    format!("{}/{id}/{}.json", group::PINS, kind.as_str())
}

fn pin_of(key: &str) -> Option<(Kind, &str)> {
    let (id, file) = key.split_once('/')?.1.split_once('/')?;
    let kinds = [Kind::Canary, Kind::Analysis];
    let kind = kinds
        .into_iter()
        .find(|kind| file.strip_suffix(".json") == Some(kind.as_str()))?;
    Some((kind, id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_known_by_its_key() {
        for kind in [Kind::Canary, Kind::Analysis] {
            let key = pin_key(kind, "a.b c");
            assert_eq!(pin_of(&key), Some((kind, "a.b c")), "{key}");
        }
        for other in [
            "pin/a/note.json",
            "pin/a/canary",
            "pin/a",
            "pin",
            "pin/a/b/canary.json",
        ] {
            assert_eq!(pin_of(other), None, "{other}");
        }
    }
}
