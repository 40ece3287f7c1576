//! The record of deeds, for admins.

use super::Seen;
use crate::access::{On, Role};
use crate::audit::{Deed, Entry, Row, What};
use crate::canary::{Execution, Id};
use crate::error::Result;
use crate::storage::{DeedPlace, DeedSearch};

impl Seen<'_> {
    /// Newest first; details that are long are left out.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` for whoever is no admin.
    pub async fn deeds(
        &self,
        search: &DeedSearch<'_>,
        after: Option<&DeedPlace>,
        limit: i64,
    ) -> Result<Vec<Row>> {
        self.is_admins()?;
        self.app.storage.deeds(search, after, limit).await
    }

    /// Who stored a config as it is, where the record knows; for who is shown the config.
    pub async fn last_stored(&self, id: &Id) -> Result<Option<String>> {
        let mut last: Option<Row> = None;
        for deed in [Deed::ConfigCreated, Deed::ConfigChanged] {
            let search = DeedSearch {
                id: Some(id.as_str()),
                deed: Some(deed.as_str()),
                ..DeedSearch::default()
            };
            let newest = self.app.storage.deeds(&search, None, 1).await?;
            last = last.into_iter().chain(newest).max_by_key(|row| row.at);
        }
        // That anybody did says nothing.
        let last = last.filter(|row| row.proof != "none");
        Ok(last.map(|row| row.who))
    }

    /// One row, with all its details.
    ///
    /// # Errors
    /// `NotFound` when there is none, or it has been forgotten.
    pub async fn deed(&self, chain: &str, number: i64) -> Result<Row> {
        self.is_admins()?;
        self.app.storage.deed(chain, number).await
    }
}

impl Seen<'_> {
    /// As all that concerns the process itself.
    fn is_admins(&self) -> Result<()> {
        self.caller.check(Role::Admin, On::EVERYTHING)
    }

    /// Records what the caller did that is recorded by no verb of the storage.
    pub async fn did(&self, deed: Deed, what: What, id: &str, application: &str) -> Result<()> {
        let entry = Entry::new(self.caller, deed, what, id).of(application);
        self.app.storage.record(entry).await
    }

    /// The same of what takes its time: recorded even if the caller goes away meanwhile.
    pub async fn does<T>(
        &self,
        deed: Deed,
        (what, id): (What, &str),
        application: &str,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let entry = Entry::new(self.caller, deed, what, id).of(application);
        self.app.storage.recorded(entry, work).await
    }

    /// The same to an execution, of the application that its row or archive names.
    pub async fn does_to<R: Execution>(
        &self,
        deed: Deed,
        accounts: &[String],
        id: &Id,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let application = self.app.storage.application_of::<R>(accounts, id).await;
        // One that cannot be read is nobody's.
        let application = application.ok().flatten().unwrap_or_default();
        let on = (R::KIND.into(), id.as_str());
        self.does(deed, on, &application, work).await
    }
}
