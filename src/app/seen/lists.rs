//! Lists, without what the caller may not see.

use bytes::Bytes;

use super::Seen;
use crate::access::{On, Role};
use crate::audit::{Deed, What};
use crate::canary::{ActionRecord, Execution, Id};
use crate::error::Result;
use crate::storage::{Line, RetentionReport, Search, Wanted};

/// More nobody looks through.
const MOST_APPLICATIONS: usize = 1_000;

impl Seen<'_> {
    /// The executions that are searched for, of the applications that are seen.
    pub async fn search<R: Execution>(&self, search: &Search) -> Result<Vec<Line<R>>> {
        self.reads()?;
        // Who sees all need not be told of what.
        if self.caller.can(Role::Read, On::EVERYTHING) {
            return self.app.storage.search(search).await;
        }
        let among = match &search.application {
            Some(asked) => vec![asked.clone()],
            None => self.app.storage.applications::<R>(&search.accounts).await?,
        };
        let among = among.into_iter().filter(|one| self.sees(one)).collect();
        let search = Search {
            among: Some(among),
            ..search.clone()
        };
        self.app.storage.search(&search).await
    }

    /// How far back a part of a text is looked for, in epoch milliseconds.
    pub async fn reach<R: Execution>(&self, search: &Search) -> Result<Option<i64>> {
        self.reads()?;
        self.app.storage.reach::<R>(search).await
    }

    /// The first of the applications that have executions of a kind, in their order.
    pub async fn applications<R: Execution>(&self, accounts: &[String]) -> Result<Vec<String>> {
        self.reads()?;
        let all = self.app.storage.applications::<R>(accounts).await?;
        let seen = all.into_iter().filter(|one| self.sees(one));
        Ok(seen.take(MOST_APPLICATIONS).collect())
    }

    /// Documents of an application's executions, newest first; none of one that is not seen.
    pub async fn executions<R: Execution>(
        &self,
        account: &str,
        application: &str,
        wanted: Wanted<'_>,
        limit: usize,
        page: usize,
    ) -> Result<Vec<Bytes>> {
        self.reads()?;
        if !self.sees(application) {
            return Ok(Vec::new());
        }
        let storage = &self.app.storage;
        storage
            .executions::<R>(account, application, wanted, limit, page)
            .await
    }

    /// The ids of all executions that have a row, newest first.
    pub async fn pipelines(&self) -> Result<Vec<String>> {
        self.reads()?;
        let all = self.app.storage.pipelines().await?.into_iter();
        let seen = all.filter(|(_, application)| self.sees(application));
        Ok(seen.map(|(id, _)| id).collect())
    }

    /// What an execution has called and will call, in its order.
    ///
    /// # Errors
    /// `NotFound` when there is no such execution; `Invalid` when it is of another kind.
    pub async fn actions<R: Execution>(
        &self,
        accounts: &[String],
        id: &Id,
    ) -> Result<Vec<ActionRecord>> {
        self.execution_of_any::<R>(accounts, id).await?;
        self.app.storage.actions(id).await
    }

    /// What is due for deletion now; deletes nothing.
    pub async fn due(&self, limit: usize, page: usize) -> Result<RetentionReport> {
        self.caller.check(Role::Delete, On::EVERYTHING)?;
        self.app.storage.due(limit, page).await
    }

    /// Deletes what is due.
    pub async fn retain_now(&self, is_dry: bool) -> Result<RetentionReport> {
        self.caller.check(Role::Delete, On::EVERYTHING)?;
        self.app.check_open()?;
        let retained = self.app.storage.retain_now(is_dry);
        if is_dry {
            return retained.await;
        }
        let on = (What::Replica, "");
        self.does(Deed::RetentionRun, on, "", retained).await
    }
}
