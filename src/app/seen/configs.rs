//! Canary configs, which belong to all applications that they name.

use bytes::Bytes;

use super::{Seen, named};
use crate::access::{On, Role};
use crate::canary::{CanaryConfig, CanaryConfigSummary, Id};
use crate::error::{Error, Result};
use crate::storage::{does_not_exist, not_found};

impl Seen<'_> {
    /// Configs of any of the applications, or of all if none is named, that may be read.
    pub async fn canary_configs(
        &self,
        account: &str,
        applications: &[String],
    ) -> Result<Vec<CanaryConfigSummary>> {
        self.reads()?;
        let mut all = self
            .app
            .storage
            .canary_configs(account, applications)
            .await?;
        all.retain(|config| self.sees_any(&config.applications));
        Ok(all)
    }

    /// # Errors
    /// `NotFound` when there is none of that id.
    pub async fn canary_config(&self, account: &str, id: &Id) -> Result<CanaryConfig> {
        self.reads()?;
        let config = self.app.storage.canary_config(account, id).await?;
        if self.sees_any(applications(&config)) {
            return Ok(config);
        }
        Err(not_found(id.as_str()))
    }

    /// As it is answered.
    ///
    /// # Errors
    /// `NotFound` when there is none of that id.
    pub async fn canary_config_body(&self, account: &str, id: &Id) -> Result<Bytes> {
        self.reads()?;
        let found = self.app.storage.canary_config_body(account, id).await?;
        if self.sees_any(&found.applications) {
            return Ok(found.body);
        }
        Err(not_found(id.as_str()))
    }

    /// Configs by which one may start something, whether or not one may read them.
    pub async fn configs_to_start(&self, account: &str) -> Result<Vec<CanaryConfigSummary>> {
        self.enters(Role::Start)?;
        let mut all = self.app.storage.canary_configs(account, &[]).await?;
        all.retain(|config| self.starts_with(&config.applications));
        Ok(all)
    }

    /// A config by which one may start something, whether or not one may read it.
    ///
    /// # Errors
    /// `NotFound` when there is none of that id.
    pub async fn config_to_start(&self, account: &str, id: &Id) -> Result<CanaryConfig> {
        self.enters(Role::Start)?;
        let config = self.app.storage.canary_config(account, id).await?;
        if self.starts_with(applications(&config)) {
            return Ok(config);
        }
        Err(not_found(id.as_str()))
    }

    pub(super) fn starts_with(&self, applications: &[String]) -> bool {
        let starts = if applications.is_empty() {
            self.caller.can(Role::Start, On::NOTHING)
        } else {
            applications.iter().any(|one| self.starts(one))
        };
        starts || self.sees_any(applications)
    }

    /// Whether a config may be stored, as far as itself tells: with actions, by whom may have serin call others.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` when it may not.
    pub fn may_store(&self, config: &CanaryConfig) -> Result<()> {
        self.may_on_all(Role::Config, applications(config))?;
        if config.actions.is_some() {
            self.may_on_all(Role::Actions, applications(config))?;
        }
        Ok(())
    }

    /// Whether any config may be changed, or read so that one may hear of it.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` when that is not so.
    pub fn may_change_configs(&self) -> Result<()> {
        self.enters(Role::Config)
    }

    /// Whether a stored config may be changed or deleted: asked while nobody else writes it.
    ///
    /// # Errors
    /// What is heard of an `unknown` one when it may not even be read, else `Unknown` or `Forbidden`.
    pub fn may_change_config(
        &self,
        stored: &CanaryConfig,
        unknown: impl Fn() -> Error,
    ) -> Result<()> {
        let may = self.may_on_all(Role::Config, applications(stored));
        if may.is_err() && !self.sees_any(applications(stored)) {
            return Err(unknown());
        }
        may
    }

    /// # Errors
    /// `Invalid` when there is no config of that id, `Forbidden` when it may be read only.
    pub async fn delete_canary_config(&self, account: &str, id: &Id) -> Result<()> {
        self.may_change_configs()?;
        let may_go = |stored: &CanaryConfig| self.may_change_config(stored, does_not_exist);
        let storage = &self.app.storage;
        let by = self.caller.into();
        storage.delete_canary_config(account, id, by, may_go).await
    }

    /// Whether one may do that on all of these applications; without any, on everything.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` when one may not.
    pub fn may_on_all(&self, role: Role, applications: &[String]) -> Result<()> {
        if applications.is_empty() {
            return self.caller.check(role, On::EVERYTHING);
        }
        let mut all = applications.iter();
        all.try_for_each(|one| self.caller.check(role, On::application(named(one))))
    }
}

fn applications(config: &CanaryConfig) -> &[String] {
    config.applications.as_deref().unwrap_or_default()
}
