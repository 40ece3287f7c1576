//! Canary configs: object first, then row; on delete row first, then object.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::Value;

use super::index::{ConfigRow, Named};
use super::{CachedConfig, Storage, does_not_exist, group, not_found, to_bytes};
use crate::audit::{By, Deed, Entry, What};
use crate::canary::{CanaryConfig, CanaryConfigSummary, Id, iso_from_millis};
use crate::error::{Error, Result};

/// A config as it is answered.
#[derive(Clone, Debug)]
pub struct FoundConfig {
    pub body: Bytes,
    pub applications: Arc<[String]>,
}

impl Storage {
    /// Configs of any of the applications; of all, if none is named.
    pub async fn canary_configs(
        &self,
        account: &str,
        applications: &[String],
    ) -> Result<Vec<CanaryConfigSummary>> {
        self.reconcile_once(account).await?;
        let rows = self.index.configs(account).await?;
        let wanted = |row: &ConfigRow| {
            applications.is_empty()
                || row
                    .applications
                    .iter()
                    .any(|one| applications.contains(one))
        };
        Ok(rows
            .into_iter()
            .filter(wanted)
            .map(|row| CanaryConfigSummary {
                id: row.id,
                name: row.name,
                updated_timestamp: row.updated_timestamp,
                updated_timestamp_iso: iso_from_millis(row.updated_timestamp),
                applications: row.applications,
            })
            .collect())
    }

    /// # Errors
    /// `NotFound` when neither the index nor the store knows the id.
    pub async fn canary_config(&self, account: &str, id: &Id) -> Result<CanaryConfig> {
        let known = self.index.config(account, id.as_str()).await?;
        let mut body = None;
        if let Some(row) = known {
            body = self.objects(account)?.get(&key(id, &row.name)).await?;
        }
        if body.is_none() {
            let newest = self.newest(account, group::CANARY_CONFIG, id).await?;
            body = newest.map(|(_, body)| body);
        }
        let body = body.ok_or_else(|| not_found(id.as_str()))?;
        serde_json::from_slice(&body).map_err(|cause| {
            Error::storage(format!("the canary config '{id}' cannot be read"), cause)
        })
    }

    /// The config as it is answered. What another than serin wrote into the store shows within
    /// a second, what serin wrote shows at once.
    ///
    /// # Errors
    /// `NotFound` when neither the index nor the store knows the id.
    pub async fn canary_config_body(&self, account: &str, id: &Id) -> Result<FoundConfig> {
        let noted_at = if self.index.is_shared() {
            let row = self.index.config(account, id.as_str()).await?;
            row.map(|row| row.noted_at)
        } else {
            None
        };
        let cached = (account.to_owned(), id.to_string());
        if let Some(config) = self.configs.get(&cached).await
            && config.noted_at == noted_at
        {
            return Ok(config.found);
        }
        let written = self.configs_written.load(Ordering::Acquire);
        let config = self.canary_config(account, id).await?;
        let found = FoundConfig {
            body: to_bytes(&config)?,
            applications: config.applications.unwrap_or_default().into(),
        };
        let config = CachedConfig {
            noted_at,
            found: found.clone(),
        };
        self.configs.insert(cached.clone(), config).await;
        // What was read may have been replaced meanwhile.
        if written != self.configs_written.load(Ordering::Acquire) {
            self.configs.invalidate(&cached).await;
        }
        Ok(found)
    }

    /// Makes a config be read anew.
    pub(super) async fn forget_config(&self, account: &str, id: &str) {
        self.configs_written.fetch_add(1, Ordering::AcqRel);
        let cached = (account.to_owned(), id.to_owned());
        self.configs.invalidate(&cached).await;
    }

    /// # Errors
    /// `Invalid` when the id, or the name in one of the applications, is taken.
    pub async fn create_canary_config(
        &self,
        account: &str,
        id: &Id,
        config: &CanaryConfig,
        by: By,
    ) -> Result<()> {
        self.reconcile_once(account).await?;
        let _lock = self.lock_config(account, id.as_str()).await?;
        if self
            .newest(account, group::CANARY_CONFIG, id)
            .await?
            .is_some()
        {
            return Err(Error::Invalid(format!(
                "Canary config '{id}' already exists."
            )));
        }
        let record = Entry::new(by, Deed::ConfigCreated, What::Config, id.as_str());
        self.write_config(account, id, config, None, record).await
    }

    /// In place of the stored one, where `may_go` lets that go; one that cannot be read is as empty.
    ///
    /// # Errors
    /// `Invalid` when there is no config of that id, or another one has the name, and those of `may_go`.
    pub async fn update_canary_config(
        &self,
        account: &str,
        id: &Id,
        config: &CanaryConfig,
        by: By,
        may_go: impl Fn(&CanaryConfig) -> Result<()>,
    ) -> Result<()> {
        self.rewrite_config(account, id, config, by, may_go).await
    }

    /// Only while the stored config has that `updatedTimestamp`.
    ///
    /// # Errors
    /// `Changed` when it has another one, `Invalid` as with every update.
    pub async fn update_known_canary_config(
        &self,
        account: &str,
        id: &Id,
        config: &CanaryConfig,
        updated: Option<i64>,
        by: By,
        may_go: impl Fn(&CanaryConfig) -> Result<()>,
    ) -> Result<()> {
        let is_known = |stored: &CanaryConfig| {
            may_go(stored)?;
            // What cannot be read is nothing to lose.
            if *stored == CanaryConfig::default() || stored.updated_timestamp == updated {
                return Ok(());
            }
            let when = stored.updated_timestamp_iso.as_deref().unwrap_or_default();
            let told = format!("somebody else changed the canary config '{id}' at {when}");
            Err(Error::Changed(told))
        };
        self.rewrite_config(account, id, config, by, is_known).await
    }

    /// Writes the new one where `may_go` lets the stored one go.
    async fn rewrite_config(
        &self,
        account: &str,
        id: &Id,
        config: &CanaryConfig,
        by: By,
        may_go: impl Fn(&CanaryConfig) -> Result<()>,
    ) -> Result<()> {
        self.reconcile_once(account).await?;
        let _lock = self.lock_config(account, id.as_str()).await?;
        let Some((_, stored)) = self.newest(account, group::CANARY_CONFIG, id).await? else {
            return Err(Error::Invalid(format!(
                "Canary config '{id}' does not exist."
            )));
        };
        may_go(&serde_json::from_slice(&stored).unwrap_or_default())?;
        let record = Entry::new(by, Deed::ConfigChanged, What::Config, id.as_str());
        self.write_config(account, id, config, Some(&stored), record)
            .await?;
        // A rename: the new object is there, the old ones go.
        let kept = key(id, config.name.as_deref().unwrap_or_default());
        let objects = self.objects(account)?;
        for entry in objects
            .list(&format!("{}/{id}/", group::CANARY_CONFIG))
            .await?
        {
            if entry.key != kept {
                objects.delete(&entry.key).await?;
            }
        }
        Ok(())
    }

    /// Where `may_go` lets it go; one that cannot be read is as empty.
    ///
    /// # Errors
    /// `Invalid` when there is no config of that id, and those of `may_go`.
    pub async fn delete_canary_config(
        &self,
        account: &str,
        id: &Id,
        by: By,
        may_go: impl Fn(&CanaryConfig) -> Result<()>,
    ) -> Result<()> {
        let _lock = self.lock_config(account, id.as_str()).await?;
        let stored = self.newest(account, group::CANARY_CONFIG, id).await?;
        let (_, stored) = stored.ok_or_else(does_not_exist)?;
        may_go(&serde_json::from_slice(&stored).unwrap_or_default())?;
        let before = read(&stored);
        let record = Entry::new(by, Deed::ConfigDeleted, What::Config, id.as_str())
            .of(applications(&before))
            .changing(Some(&before), None);
        let record = self.now(record);
        self.index
            .remove_config(account, id.as_str(), record.at, Some(&record))
            .await?;
        let deleted = self.delete(account, group::CANARY_CONFIG, id).await;
        self.forget_config(account, id.as_str()).await;
        self.index.durable().await?;
        deleted
    }

    async fn write_config(
        &self,
        account: &str,
        id: &Id,
        config: &CanaryConfig,
        stored: Option<&Bytes>,
        record: Entry,
    ) -> Result<()> {
        self.check_room(account).await?;
        let mut row = self.config_row(id.as_str(), config, String::new());
        let taken = self.index.take_name(account, &row, stored.is_some());
        if taken.await? == Named::Refused {
            return Err(Error::Invalid(format!(
                "Canary config with name '{}' already exists in the scope of applications [{}].",
                row.name,
                row.applications.join(", ")
            )));
        }
        let body = to_bytes(config)?;
        let (before, after) = (stored.map(read), read(&body));
        let record = record
            .of(row.applications.join(", "))
            .changing(before.as_ref(), Some(&after));
        let doing = self.doing(record);
        match self.put(account, &key(id, &row.name), body).await {
            Ok(version) => row.version = version,
            Err(error) => {
                doing.end();
                if let Err(second) = self.index.release_name(account, &row).await {
                    tracing::warn!(error = %second, "a name stays taken until it is found to be stale");
                }
                return Err(error);
            }
        }
        let noted = self.index.put_config(account, &row, doing.entry.as_ref());
        noted.await?;
        doing.end();
        self.forget_config(account, id.as_str()).await;
        self.index.durable().await
    }

    pub(super) fn config_row(&self, id: &str, config: &CanaryConfig, version: String) -> ConfigRow {
        ConfigRow {
            id: id.to_owned(),
            name: config.name.clone().unwrap_or_default(),
            updated_timestamp: config.updated_timestamp.unwrap_or(0),
            applications: config.applications.clone().unwrap_or_default(),
            version,
            noted_at: self.clock.now_millis(),
        }
    }
}

/// What a config is as JSON; as text, where it is none.
fn read(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into())
}

/// Of a config that is read as JSON only.
fn applications(config: &Value) -> String {
    let names = config["applications"].as_array().into_iter().flatten();
    let names: Vec<&str> = names.filter_map(Value::as_str).collect();
    names.join(", ")
}

fn key(id: &Id, name: &str) -> String {
    format!("{}/{id}/{name}.json", group::CANARY_CONFIG)
}
