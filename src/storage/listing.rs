//! Lists over all applications, newest first.

use std::time::Duration;

use futures::future::join_all;

use super::index::{ListedRow, Search};
use super::{Brief, Record, Storage};
use crate::canary::Id;
use crate::error::Result;

/// One line of a list.
#[derive(Clone, Debug)]
pub struct Line<R> {
    pub id: String,
    pub application: String,
    /// Epoch milliseconds.
    pub build_time: i64,
    pub brief: Brief,
    /// What runs, as it stands.
    pub live: Option<R>,
}

/// How long a list waits for what a store had when serin started.
const FIRST_WAIT: Duration = Duration::from_secs(2);

impl Storage {
    /// The executions that are searched for; one whose document cannot be read is left out.
    pub async fn search<R: Record>(&self, search: &Search) -> Result<Vec<Line<R>>> {
        let accounts = search.accounts.iter();
        let first = join_all(accounts.map(|account| self.reconcile_once(account)));
        // A page is looked at again; a store that is down must not keep everybody waiting.
        let _ = tokio::time::timeout(FIRST_WAIT, first).await;
        let rows = self.index.search(R::KIND, search, self.archive).await?;
        let lines = join_all(rows.into_iter().map(|row| self.line::<R>(row)));
        Ok(lines.await.into_iter().flatten().collect())
    }

    /// The applications that have executions of a kind, in their order.
    pub async fn applications<R: Record>(&self, accounts: &[String]) -> Result<Vec<String>> {
        self.index.applications(R::KIND, accounts).await
    }

    async fn line<R: Record>(&self, row: ListedRow) -> Option<Line<R>> {
        let known = row
            .brief
            .as_deref()
            .and_then(|brief| serde_json::from_str(brief).ok());
        let document = match (&known, &row.document) {
            (Some(_), _) => None,
            (None, Some(document)) => serde_json::from_str(document).ok(),
            (None, None) => self.read_listed::<R>(&row).await,
        };
        let brief = known.or_else(|| document.as_ref().map(R::brief))?;
        Some(Line {
            id: row.id,
            application: row.application,
            build_time: row.build_time,
            live: document.filter(|_| !brief.outcome.is_final()),
            brief,
        })
    }

    /// A row of an older version does not tell; its document does.
    async fn read_listed<R: Record>(&self, row: &ListedRow) -> Option<R> {
        let id = Id::parse(&row.id).ok()?;
        let read = self.execution::<R>(&row.account, &id).await;
        let found = read
            .inspect_err(|error| tracing::warn!(execution.id = %id, %error, "left out of a list"))
            .ok()?;
        serde_json::from_slice(&found.body).ok()
    }
}
