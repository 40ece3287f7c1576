//! Whether a caller may do something: of an id that it may not read, it hears what everybody hears of an unknown
//! one.

use super::{Seen, named};
use crate::access::{On, Role};
use crate::audit::Deed;
use crate::canary::{Execution, Id};
use crate::error::{Error, Result};
use crate::storage::{Deleted, no_pipeline, not_found};

impl Seen<'_> {
    /// Whether something may be started for an application, which asks these accounts.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` when it may not.
    pub fn may_start<'a>(
        &self,
        application: Option<&str>,
        accounts: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        let on = On::application(named(application.unwrap_or_default()));
        self.caller.check(Role::Start, on)?;
        let mut accounts = accounts.into_iter();
        accounts.try_for_each(|account| self.caller.check(Role::Start, on.with_account(account)))
    }

    /// Whether serin may be made to call others for an application.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` when it may not.
    pub fn may_act(&self, application: Option<&str>) -> Result<()> {
        let on = On::application(named(application.unwrap_or_default()));
        self.caller.check(Role::Actions, on)
    }

    /// Whether stored series may be judged.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` when they may not.
    pub fn may_judge(&self) -> Result<()> {
        self.caller.check(Role::Start, On::NOTHING)
    }

    /// Whether an account may be asked by hand.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` when it may not.
    pub fn may_ask(&self, account: &str) -> Result<()> {
        self.caller.check(Role::Start, On::account(account))
    }

    /// Whether an execution of any kind may be canceled.
    ///
    /// # Errors
    /// `NotFound` when there is none among those that have not been archived for long.
    pub async fn may_cancel(&self, id: &Id) -> Result<()> {
        self.may_change_row(Role::Start, id).await
    }

    /// Whether an execution that has ended may be accepted by hand.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn may_accept<R: Execution>(&self, id: &Id) -> Result<()> {
        let stores = self.app.stores();
        self.may_change::<R>(Role::Start, &stores, id, not_found)
            .await
    }

    /// Whether an execution may be judged again.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn may_repeat<R: Execution>(&self, id: &Id) -> Result<()> {
        let stores = self.app.stores();
        self.may_change::<R>(Role::Start, &stores, id, no_pipeline)
            .await
    }

    /// Pins an execution.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn pin<R: Execution>(&self, accounts: &[String], id: &Id) -> Result<()> {
        self.may_change::<R>(Role::Delete, accounts, id, not_found)
            .await?;
        let pinned = self.app.storage.pin::<R>(accounts, id);
        self.does_to::<R>(Deed::Pinned, accounts, id, pinned).await
    }

    /// # Errors
    /// `NotFound` when there is neither such an execution nor a pin of it.
    pub async fn unpin<R: Execution>(&self, accounts: &[String], id: &Id) -> Result<()> {
        self.may_change::<R>(Role::Delete, accounts, id, not_found)
            .await?;
        let unpinned = self.app.storage.unpin::<R>(accounts, id);
        self.does_to::<R>(Deed::Unpinned, accounts, id, unpinned)
            .await
    }

    /// Whether an execution is pinned.
    pub async fn is_pinned<R: Execution>(&self, id: &Id) -> Result<bool> {
        self.reads()?;
        self.app.storage.is_pinned::<R>(id).await
    }

    /// Deletes an execution that has ended, with what is archived of it.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Invalid` while it runs or is pinned.
    pub async fn delete<R: Execution>(&self, accounts: &[String], id: &Id) -> Result<()> {
        self.may_change::<R>(Role::Delete, accounts, id, not_found)
            .await?;
        if self.app.storage.is_pinned::<R>(id).await? {
            let told = format!("'{id}' is pinned, so that it is kept; unpin it first");
            return Err(Error::Invalid(told));
        }
        let deleted = self.app.storage.delete_ended::<R>(accounts, id);
        self.does_to::<R>(Deed::Deleted, accounts, id, deleted)
            .await
    }

    /// Forgets an execution that has ended.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn delete_pipeline(&self, id: &Id) -> Result<Deleted> {
        self.may_change_row(Role::Delete, id).await?;
        let row = self.app.storage.pipeline(id).await?;
        if !row.complete {
            return Ok(Deleted::StillRunning);
        }
        let on = (row.kind.into(), id.as_str());
        let deleted = self.app.storage.delete_pipeline(id);
        self.does(Deed::Deleted, on, &row.application, deleted)
            .await
    }

    /// Whether somebody may that anywhere, or may read and so hear that it may not; told alike for all ids.
    pub(super) fn enters(&self, role: Role) -> Result<()> {
        if self.caller.can(Role::Read, On::NOTHING) {
            return Ok(());
        }
        self.caller.check(role, On::NOTHING)
    }

    pub(super) fn refused(&self, role: Role, on: On<'_>) -> Error {
        let checked = self.caller.check(role, on);
        checked.err().unwrap_or_else(|| {
            Error::Forbidden(format!(
                "{} does not have the role '{role}'",
                self.caller.name()
            ))
        })
    }

    async fn may_change_row(&self, role: Role, id: &Id) -> Result<()> {
        if !self.caller.is_ruled() {
            return Ok(());
        }
        self.enters(role)?;
        let row = self.app.storage.pipeline(id).await?;
        self.may_on(role, &row.application, || no_pipeline(id.as_str()))
    }

    pub(super) async fn may_change<R: Execution>(
        &self,
        role: Role,
        accounts: &[String],
        id: &Id,
        unknown: impl Fn(&str) -> Error,
    ) -> Result<()> {
        if !self.caller.is_ruled() {
            return Ok(());
        }
        self.enters(role)?;
        let unknown = || unknown(id.as_str());
        let application = self.app.storage.application_of::<R>(accounts, id).await?;
        self.may_on(role, &application.ok_or_else(unknown)?, unknown)
    }

    fn may_on(&self, role: Role, application: &str, unknown: impl Fn() -> Error) -> Result<()> {
        let on = On::application(named(application));
        if self.caller.can(role, on) {
            return Ok(());
        }
        if self.sees(application) {
            return self.caller.check(role, on);
        }
        Err(unknown())
    }
}
