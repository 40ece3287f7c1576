//! Lists over all applications, newest first.

use std::time::Duration;

use futures::future::join_all;

use super::index::{ListedRow, Search};
use super::{Brief, Storage};
use crate::canary::{Execution, Id};
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

/// Rows in which a text is looked for at once.
const LOOKED_THROUGH: i64 = 50_000;

impl<R> Line<R> {
    /// A document has more in it than what it is found by.
    fn is_meant(&self, search: &Search) -> bool {
        let part = search.part.as_deref().filter(|_| self.live.is_some());
        part.is_none_or(|part| {
            let sought = self.brief.sought(&self.id, &self.application);
            sought.contains(part)
        })
    }
}

impl Storage {
    /// The executions that are searched for; one whose document cannot be read is left out.
    pub async fn search<R: Execution>(&self, search: &Search) -> Result<Vec<Line<R>>> {
        let accounts = search.accounts.iter();
        let first = join_all(accounts.map(|account| self.reconcile_once(account)));
        // A page is looked at again; a store that is down must not keep everybody waiting.
        let _ = tokio::time::timeout(FIRST_WAIT, first).await;
        let mut rest = search.clone();
        let mut found = Vec::new();
        while 0 < rest.limit {
            let rows = self.index.search(R::KIND, &rest, self.archive).await?;
            rest.after = rows.last().map(ListedRow::place);
            let lines = join_all(rows.into_iter().map(|row| self.line::<R>(row)));
            let lines = lines.await.into_iter().flatten();
            let (meant, others): (Vec<_>, Vec<_>) = lines.partition(|line| line.is_meant(search));
            found.extend(meant);
            // Who asked takes a list that is short for the end of it.
            rest.limit = i64::try_from(others.len()).unwrap_or_default();
        }
        Ok(found)
    }

    /// How far back a text is looked for, in epoch milliseconds; none where it is looked for in all.
    pub async fn reach<R: Execution>(&self, search: &Search) -> Result<Option<i64>> {
        match search.part {
            Some(_) => self.index.reach(R::KIND, search, LOOKED_THROUGH).await,
            None => Ok(None),
        }
    }

    /// The applications that have executions of a kind, in their order.
    pub async fn applications<R: Execution>(&self, accounts: &[String]) -> Result<Vec<String>> {
        self.index
            .applications(R::KIND, accounts, self.archive)
            .await
    }

    async fn line<R: Execution>(&self, row: ListedRow) -> Option<Line<R>> {
        let text = row.brief.as_deref();
        let known: Option<Brief> = text.and_then(|brief| serde_json::from_str(brief).ok());
        let is_current = known
            .as_ref()
            .is_some_and(|brief| brief.is_current(R::KIND));
        let document: Option<R> = match (is_current, &row.document) {
            (true, _) => None,
            (false, Some(document)) => serde_json::from_str(document).ok(),
            (false, None) => self.read_listed(&row).await,
        };
        let read = document
            .as_ref()
            .map(|document| Brief::of(&document.told()));
        let brief = read.or(known)?;
        Some(Line {
            id: row.id,
            application: row.application,
            build_time: row.build_time,
            live: document.filter(|_| !brief.outcome.is_final()),
            brief,
        })
    }

    /// A row of an older version does not tell; its document does.
    async fn read_listed<R: Execution>(&self, row: &ListedRow) -> Option<R> {
        let id = Id::parse(&row.id).ok()?;
        let read = self.execution::<R>(&row.account, &id).await;
        let found = read
            .inspect_err(|error| tracing::warn!(execution.id = %id, %error, "left out of a list"))
            .ok()?;
        serde_json::from_slice(&found.body).ok()
    }
}
