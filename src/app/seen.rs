//! What a caller may see and do: the verbs of the storage that doors use, each with its check.
//!
//! What one may not read is not there: it is answered as an unknown id is.

mod calibrations;
mod configs;
mod deeds;
mod documents;
mod lists;
mod record;
mod started;

use super::App;
use crate::access::{Caller, On, Role};
use crate::canary::{Execution, Id};
use crate::error::{Error, Result};
use crate::storage::{ExecutionRow, Found, no_pipeline, not_found};

/// Of an execution that names none.
const AD_HOC: &str = "ad-hoc";

/// All that is there, as far as a caller may see it.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    app: &'a App,
    caller: &'a Caller,
}

impl App {
    /// What that caller may see and do.
    pub fn seen_by<'a>(&'a self, caller: &'a Caller) -> Seen<'a> {
        Seen { app: self, caller }
    }
}

impl Seen<'_> {
    /// Whether runs of an application may be seen.
    pub fn sees(&self, application: &str) -> bool {
        self.caller.sees(named(application))
    }

    /// Whether one may do that anywhere; told to everybody alike, whatever is asked for.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` when that is not so.
    pub fn reads(&self) -> Result<()> {
        self.caller.check(Role::Read, On::NOTHING)
    }

    /// Whether it is told where accounts lie: to who keeps serin, and to everybody where nothing is configured.
    pub fn sees_places(&self) -> bool {
        !self.caller.is_ruled() || self.caller.can(Role::Admin, On::EVERYTHING)
    }

    /// An execution as it is answered.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Invalid` when the id is of an execution of another kind.
    pub async fn execution<R: Execution>(&self, account: &str, id: &Id) -> Result<Found> {
        self.reads()?;
        let found = self.app.storage.execution::<R>(account, id).await;
        self.shown(found, id, not_found).await
    }

    /// By id alone: the row, else the archive in whichever of the accounts has it.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Invalid` when the id is of an execution of another kind.
    pub async fn execution_of_any<R: Execution>(
        &self,
        accounts: &[String],
        id: &Id,
    ) -> Result<Found> {
        self.reads()?;
        let found = self.app.storage.execution_of_any::<R>(accounts, id).await;
        self.shown(found, id, no_pipeline).await
    }

    /// What the caller started itself: who may start it may hear of it.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn started<R: Execution>(&self, account: &str, id: &Id) -> Result<Found> {
        let found = self.app.storage.execution::<R>(account, id).await?;
        if self.starts(&found.application) || self.sees(&found.application) {
            return Ok(found);
        }
        Err(not_found(id.as_str()))
    }

    /// An execution as its row has it.
    ///
    /// # Errors
    /// `NotFound` when there is no such execution among those that have not been archived for long.
    pub async fn pipeline(&self, id: &Id) -> Result<ExecutionRow> {
        self.reads()?;
        let row = self.app.storage.pipeline(id).await?;
        if self.sees(&row.application) {
            return Ok(row);
        }
        Err(no_pipeline(id.as_str()))
    }

    async fn shown(
        &self,
        found: Result<Found>,
        id: &Id,
        unknown: fn(&str) -> Error,
    ) -> Result<Found> {
        match found {
            Ok(found) if !self.sees(&found.application) => Err(unknown(id.as_str())),
            // Which kind an id is of is told of what is seen only.
            Err(wrong @ Error::Invalid(_)) if self.caller.is_ruled() => {
                match self.app.storage.pipeline(id).await {
                    Ok(row) if !self.sees(&row.application) => Err(unknown(id.as_str())),
                    _ => Err(wrong),
                }
            }
            found => found,
        }
    }

    fn starts(&self, application: &str) -> bool {
        let on = On::application(named(application));
        self.caller.can(Role::Start, on)
    }

    /// Whether what belongs to these applications may be seen; what belongs to none is for all who see anything.
    fn sees_any(&self, applications: &[String]) -> bool {
        if applications.is_empty() {
            return self.caller.can(Role::Read, On::NOTHING);
        }
        applications.iter().any(|one| self.sees(one))
    }
}

/// The application of an execution or an archive.
fn named(application: &str) -> &str {
    if application.is_empty() {
        AD_HOC
    } else {
        application
    }
}
