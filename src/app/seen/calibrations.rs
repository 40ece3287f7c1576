//! Calibrations, which belong to the applications of their config, and the margins that were learned by them.

use futures::stream::{self, StreamExt, TryStreamExt};

use super::{Seen, named};
use crate::access::{On, Role};
use crate::audit::{Deed, What};
use crate::canary::{Calibration, Id, KeptMargins};
use crate::error::{Error, Result};
use crate::storage::{no_calibration, nothing_learned};

/// Read at once for a list.
const AT_ONCE: usize = 16;

impl Seen<'_> {
    /// # Errors
    /// `NotFound` when there is none of that id.
    pub async fn calibration(&self, account: &str, id: &Id) -> Result<Calibration> {
        self.reads()?;
        let found = self.app.storage.calibration(account, id).await?;
        if self.sees_calibration(&found) {
            return Ok(found);
        }
        Err(no_calibration(id))
    }

    /// What is `told` of the newest, newest first.
    pub async fn calibrations<T>(
        &self,
        account: &str,
        most: usize,
        told: impl Fn(Calibration) -> T,
    ) -> Result<Vec<T>> {
        self.reads()?;
        let told = |one| self.sees_calibration(&one).then(|| told(one));
        let most_read = if self.caller.is_ruled() {
            usize::MAX
        } else {
            most
        };
        let found = self.app.storage.calibrations(account, most_read, told);
        Ok(found.await?.into_iter().flatten().take(most).collect())
    }

    /// Whether past series of these applications may be asked of an account, to be judged.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` when they may not.
    pub fn may_calibrate(&self, applications: &[String], metrics_account: &str) -> Result<()> {
        if applications.is_empty() {
            return self.may_ask(metrics_account);
        }
        let mut all = applications.iter();
        all.try_for_each(|one| {
            let on = On::application(named(one)).with_account(metrics_account);
            self.caller.check(Role::Start, on)
        })
    }

    /// Whether a calibration may be canceled (`Start`) or deleted (`Delete`).
    ///
    /// # Errors
    /// `NotFound` when there is none of that id.
    pub async fn may_change_calibration(&self, role: Role, account: &str, id: &Id) -> Result<()> {
        if !self.caller.is_ruled() {
            return Ok(());
        }
        self.enters(role)?;
        let found = self.app.storage.calibration(account, id).await?;
        let may = self.may_on_all(role, found.applications.as_deref().unwrap_or_default());
        if may.is_err() && !self.sees_calibration(&found) {
            return Err(no_calibration(id));
        }
        may
    }

    /// Whether margins of these applications may be kept under an id, in place of what is there.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` when they may not.
    pub async fn may_teach(&self, account: &str, applications: &[String], id: &Id) -> Result<()> {
        self.may_on_all(Role::Config, applications)?;
        if !self.caller.is_ruled() {
            return Ok(());
        }
        let Some(kept) = self.app.storage.kept_margins(account, id).await? else {
            return Ok(());
        };
        let of = applications_of(&kept);
        let may = self.may_on_all(Role::Config, of);
        if may.is_err() && !self.starts_with(of) {
            // Whose they are is not told.
            return Err(self.refused(Role::Config, On::EVERYTHING));
        }
        may
    }

    /// The margins under an id, for whoever may read them or start what they are for.
    pub async fn margins(&self, account: &str, id: &Id) -> Result<Option<KeptMargins>> {
        let kept = self.app.storage.kept_margins(account, id).await?;
        Ok(kept.filter(|kept| self.starts_with(applications_of(kept))))
    }

    /// The ids of margins, in their order.
    pub async fn margin_ids(&self, account: &str) -> Result<Vec<String>> {
        let ids = self.app.storage.learned_ids(account).await?;
        if !self.caller.is_ruled() {
            return Ok(ids);
        }
        let seen = ids.into_iter().map(|id| async move {
            let kept = self.margins(account, &Id::parse(&id)?).await?;
            Ok::<_, Error>(kept.map(|_| id))
        });
        let seen: Vec<Option<String>> = stream::iter(seen).buffered(AT_ONCE).try_collect().await?;
        Ok(seen.into_iter().flatten().collect())
    }

    /// # Errors
    /// `NotFound` when there are none under that id.
    pub async fn delete_margins(&self, account: &str, id: &Id) -> Result<()> {
        self.enters(Role::Config)?;
        let kept = self.margins(account, id).await?;
        let kept = kept.ok_or_else(|| nothing_learned(id))?;
        self.may_on_all(Role::Config, applications_of(&kept))?;
        let applications = applications_of(&kept).join(", ");
        let on = (What::Learned, id.as_str());
        let deleted = self.app.storage.delete_learned(account, id);
        self.does(Deed::LearnedDeleted, on, &applications, deleted)
            .await
    }

    /// One that was made before it told whose it is is for those who see all.
    fn sees_calibration(&self, calibration: &Calibration) -> bool {
        match &calibration.applications {
            Some(applications) => self.sees_any(applications),
            None => self.caller.can(Role::Read, On::EVERYTHING),
        }
    }
}

/// Of what was learned elsewhere, nobody knows any.
fn applications_of(kept: &KeptMargins) -> &[String] {
    kept.applications.as_deref().unwrap_or_default()
}
