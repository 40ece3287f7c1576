//! Archives, metric sets and their pairs, and comparisons.

use bytes::Bytes;

use super::{AD_HOC, Seen, named};
use crate::access::{On, Role};
use crate::audit::{Deed, What};
use crate::canary::{CanaryExecutionStatusResponse, Id, MetricSet, MetricSetPair};
use crate::error::Result;
use crate::storage::{Large, ObjectSummary, does_not_exist, not_found};

impl Seen<'_> {
    pub async fn archives(&self, account: &str) -> Result<Vec<ObjectSummary>> {
        self.reads()?;
        let mut all = self.app.storage.archives(account).await?;
        if self.caller.is_ruled() {
            let is_seen = |application: &str| self.sees(application);
            let ids = self.app.storage.archived_of(account, is_seen).await?;
            all.retain(|archive| ids.contains(&archive.id));
        }
        Ok(all)
    }

    /// # Errors
    /// `NotFound` when there is none.
    pub async fn archive(
        &self,
        account: &str,
        id: &Id,
    ) -> Result<Large<CanaryExecutionStatusResponse>> {
        self.reads()?;
        let archive = self.app.storage.archive(account, id).await?;
        if self.sees(archive.application.as_deref().unwrap_or_default()) {
            return Ok(archive);
        }
        Err(not_found(id.as_str()))
    }

    /// # Errors
    /// `Invalid` when there is one under that id, `Forbidden` when verdicts may not be made up.
    pub async fn create_archive(
        &self,
        account: &str,
        id: &Id,
        archive: &CanaryExecutionStatusResponse,
    ) -> Result<()> {
        self.may_write_archives()?;
        let storage = &self.app.storage;
        let written = storage.create_archive(account, id, archive);
        self.writes(id, archive, written).await
    }

    /// # Errors
    /// `Invalid` when there is none under that id, `Changed` when it is what came of a run.
    pub async fn update_archive(
        &self,
        account: &str,
        id: &Id,
        archive: &CanaryExecutionStatusResponse,
    ) -> Result<()> {
        self.may_write_archives()?;
        let storage = &self.app.storage;
        let written = storage.update_archive(account, id, archive);
        self.writes(id, archive, written).await
    }

    async fn writes(
        &self,
        id: &Id,
        archive: &CanaryExecutionStatusResponse,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let application = archive.application.as_deref().unwrap_or_default();
        let on = (What::Canary, id.as_str());
        self.does(Deed::ArchiveWritten, on, application, work).await
    }

    /// Who writes one makes a verdict up: everybody where nothing is configured, as in Kayenta.
    fn may_write_archives(&self) -> Result<()> {
        if self.caller.is_ruled() {
            return self.caller.check(Role::Admin, On::EVERYTHING);
        }
        Ok(())
    }

    /// # Errors
    /// `Invalid` when there is none.
    pub async fn delete_archive(&self, account: &str, id: &Id) -> Result<()> {
        let accounts = [account.to_owned()];
        self.may_change::<CanaryExecutionStatusResponse>(Role::Delete, &accounts, id, |_| {
            does_not_exist()
        })
        .await?;
        let deleted = self.app.storage.delete_archive(account, id);
        self.does_to::<CanaryExecutionStatusResponse>(Deed::Deleted, &accounts, id, deleted)
            .await
    }

    /// Nobody knows whose they are.
    pub async fn metric_set_lists(&self, account: &str) -> Result<Vec<ObjectSummary>> {
        self.reads()?;
        if !self.caller.can(Role::Read, On::EVERYTHING) {
            return Ok(Vec::new());
        }
        self.app.storage.metric_set_lists(account).await
    }

    /// # Errors
    /// `NotFound` when there is none.
    pub async fn metric_sets(&self, account: &str, id: &Id) -> Result<Large<Vec<MetricSet>>> {
        self.reads()?;
        if !self.caller.can(Role::Read, On::EVERYTHING) {
            return Err(not_found(id.as_str()));
        }
        self.app.storage.metric_sets(account, id).await
    }

    pub async fn put_metric_sets(&self, account: &str, id: &Id, sets: &[MetricSet]) -> Result<()> {
        self.caller.check(Role::Start, On::EVERYTHING)?;
        let stored = self.app.storage.put_metric_sets(account, id, sets);
        let on = (What::MetricSetList, id.as_str());
        self.does(Deed::Stored, on, "", stored).await
    }

    /// What was fetched from an account that the caller may ask.
    pub async fn put_fetched(
        &self,
        asked: &str,
        account: &str,
        id: &Id,
        sets: &[MetricSet],
    ) -> Result<()> {
        self.may_ask(asked)?;
        self.app.storage.put_metric_sets(account, id, sets).await
    }

    pub async fn delete_metric_sets(&self, account: &str, id: &Id) -> Result<()> {
        self.caller.check(Role::Delete, On::EVERYTHING)?;
        let deleted = self.app.storage.delete_metric_sets(account, id);
        let on = (What::MetricSetList, id.as_str());
        self.does(Deed::Deleted, on, "", deleted).await
    }

    /// Only those who see all see which there are.
    pub async fn metric_set_pair_lists(&self, account: &str) -> Result<Vec<ObjectSummary>> {
        self.reads()?;
        if !self.caller.can(Role::Read, On::EVERYTHING) {
            return Ok(Vec::new());
        }
        self.app.storage.metric_set_pair_lists(account).await
    }

    /// The pairs of a list, of which the execution that was judged by it says whose they are.
    ///
    /// # Errors
    /// `NotFound` when there are none.
    pub async fn metric_set_pairs(
        &self,
        account: &str,
        id: &Id,
    ) -> Result<Large<Vec<MetricSetPair>>> {
        self.reads()?;
        if !self.owns_pairs(&[Role::Read], account, id).await? {
            return Err(not_found(id.as_str()));
        }
        self.app.storage.metric_set_pairs(account, id).await
    }

    /// The same, for whoever may have them judged.
    ///
    /// # Errors
    /// `NotFound` when there are none.
    pub async fn pairs_to_judge(
        &self,
        account: &str,
        id: &Id,
    ) -> Result<Large<Vec<MetricSetPair>>> {
        let roles = [Role::Start, Role::Read];
        if !self.owns_pairs(&roles, account, id).await? {
            return Err(not_found(id.as_str()));
        }
        self.app.storage.metric_set_pairs(account, id).await
    }

    pub async fn put_metric_set_pairs(
        &self,
        account: &str,
        id: &Id,
        pairs: &[MetricSetPair],
    ) -> Result<()> {
        self.caller.check(Role::Start, On::EVERYTHING)?;
        self.app.storage.check_room(account).await?;
        let stored = self.app.storage.put_metric_set_pairs(account, id, pairs);
        let on = (What::MetricSetPairList, id.as_str());
        self.does(Deed::Stored, on, "", stored).await
    }

    /// # Errors
    /// `Invalid` when there are none.
    pub async fn delete_metric_set_pairs(&self, account: &str, id: &Id) -> Result<()> {
        self.enters(Role::Delete)?;
        if !self.owns_pairs(&[Role::Delete], account, id).await? {
            return Err(if self.owns_pairs(&[Role::Read], account, id).await? {
                self.refused(Role::Delete, On::EVERYTHING)
            } else {
                does_not_exist()
            });
        }
        let storage = &self.app.storage;
        let owners = storage.owners_of_pairs(account, id).await?;
        let deleted = storage.delete_metric_set_pairs(account, id);
        let on = (What::MetricSetPairList, id.as_str());
        self.does(Deed::Deleted, on, &owners.join(", "), deleted)
            .await
    }

    /// Whether one has one of these roles on all whose pairs they are; nobody knows whose others are.
    async fn owns_pairs(&self, roles: &[Role], account: &str, id: &Id) -> Result<bool> {
        let mut roles = roles.iter();
        // Then it does not matter whose they are.
        if roles
            .clone()
            .any(|role| self.caller.can(*role, On::EVERYTHING))
        {
            return Ok(true);
        }
        let owners = self.app.storage.owners_of_pairs(account, id).await?;
        let owners = owners.iter().map(|one| On::application(named(one)));
        let all = |role: Role| owners.clone().all(|one| self.caller.can(role, one));
        Ok(owners.len() != 0 && roles.any(|role| all(*role)))
    }

    /// Whose a comparison by these pairs is: nobody's in particular, as in Kayenta, where nothing is configured.
    pub async fn owner_of_pairs(&self, account: &str, id: &Id) -> Result<String> {
        if !self.caller.is_ruled() {
            return Ok(AD_HOC.to_owned());
        }
        let owners = self.app.storage.owners_of_pairs(account, id).await?;
        Ok(named(owners.first().map_or("", String::as_str)).to_owned())
    }

    /// What a comparison found.
    ///
    /// # Errors
    /// `NotFound` when there is no such execution, `Invalid` when it is no comparison.
    pub async fn comparison(&self, id: &Id) -> Result<Bytes> {
        self.pipeline(id).await?;
        self.app.storage.comparison(id).await
    }
}
