//! Deletes what the rules of retention make due: archived executions with their pairs.
//!
//! The rows go first and the archive last. Whatever ends a deletion in between, the archive is
//! still there: the next reconciliation brings its row back, and it is due again.

use std::time::Duration;

use futures::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::index::{DueRow, Limit, Limits};
use super::pins::pin_key;
use super::unowned::Unowned;
use super::{Deleted, Storage, group, not_found};
use crate::canary::{Execution, Id, Kind, iso_from_millis};
use crate::config::{Retention, RetentionRule};
use crate::error::{Error, Result};

/// How many a pass deletes at most; the rest waits for the next one.
pub const BATCH: usize = 1_000;

/// Executions that are deleted at once.
pub(super) const DELETIONS: usize = 8;

/// A pass ends after so many that a store or the database did not let go.
pub(super) const FAILURES: usize = 10;

/// The name of this work among the chores of the fleet.
const CHORE: &str = "retention";

/// What is due for deletion, or was deleted.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionReport {
    pub rules: RetentionRules,
    /// Nothing was deleted.
    pub dry_run: bool,
    /// How many were due.
    pub total: i64,
    /// How many of them are deleted now.
    pub deleted: usize,
    /// How many could not be deleted; the log tells why. They are tried again.
    pub failed: usize,
    /// One page of what is due, oldest first; of a deletion, what is deleted.
    pub due: Vec<DueExecution>,
    /// Of metric sets and pairs that no execution owns.
    pub unowned: Unowned,
    /// Accounts of which nothing can be told, or not all.
    pub left_out: Vec<LeftOut>,
}

/// The rules in force.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetentionRules {
    #[schema(example = "90d")]
    pub max_age: Option<String>,
    #[schema(example = 500)]
    pub max_count: Option<u32>,
    /// Of metric sets and pairs that no execution owns.
    #[schema(example = "7d")]
    pub unowned_max_age: Option<String>,
    /// They hold instead, for their applications.
    pub applications: Vec<ApplicationRules>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationRules {
    pub name: String,
    #[schema(example = "365d")]
    pub max_age: Option<String>,
    pub max_count: Option<u32>,
}

/// An archived execution that is due, and the reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DueExecution {
    pub account: String,
    /// `canary` or `analysis`.
    #[schema(example = "canary")]
    pub kind: &'static str,
    pub id: String,
    pub application: String,
    pub build_time_millis: i64,
    pub build_time_iso: String,
    #[schema(example = "older than 90d")]
    pub why: String,
}

/// An account of which nothing was deleted, or not all that may be due.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LeftOut {
    pub account: String,
    pub why: String,
}

impl Storage {
    /// What is due now; deletes nothing.
    pub async fn due(&self, limit: usize, page: usize) -> Result<RetentionReport> {
        let mut report = self.empty_report();
        let mut accounts = Vec::new();
        for (name, account) in &self.accounts {
            self.reconcile_once(name).await?;
            if account.reconciled.initialized() {
                accounts.push(name.clone());
            } else {
                report.leave_out(name, "its store has not been listed yet");
            }
        }
        self.tell_due(&mut report, &accounts, limit, page).await?;
        Ok(report)
    }

    /// Compares the index with every store, then deletes what is due, [`BATCH`] at most.
    pub async fn retain_now(&self, is_dry: bool) -> Result<RetentionReport> {
        let mut report = self.empty_report();
        let mut accounts = Vec::new();
        for name in self.accounts.keys() {
            match self.reconcile(name).await {
                Ok(()) => accounts.push(name.clone()),
                Err(error) => report.leave_out(name, &error.to_string()),
            }
        }
        if is_dry || self.retention.dry_run {
            self.tell_due(&mut report, &accounts, BATCH, 1).await?;
            return Ok(report);
        }
        report.dry_run = false;
        let limits = self.limits();
        report.total = self.count_due(&accounts, &limits).await?;
        let due = self.find_due(&accounts, &limits, BATCH, 1).await?;
        let (deleted, failed) = self.delete_due(due).await;
        report.deleted = deleted.len();
        report.failed = failed;
        report.due = deleted.iter().map(|due| self.tell(due, &limits)).collect();
        report.unowned = self.delete_unowned(&accounts, &mut report.left_out).await;
        Ok(report)
    }

    /// One replica's pass over accounts that were reconciled just now, once in `retention.every`.
    pub(super) async fn retain(&self, accounts: &[String]) -> Result<()> {
        let now = self.clock.now_millis();
        let limits = self.limits();
        let keeps_all = limits.keep_all() && self.retention.unowned_max_age.is_none();
        if keeps_all || accounts.is_empty() {
            return Ok(());
        }
        let next = now.saturating_add(millis(self.retention.every));
        if !self.index.take_chore(CHORE, now, next).await? {
            return Ok(());
        }
        if self.retention.dry_run {
            let total = self.count_due(accounts, &limits).await?;
            let unowned = self.unowned(accounts, &mut Vec::new()).await.total;
            tracing::info!(
                total,
                unowned,
                "a dry run: archived executions, and metric sets and pairs of nobody, are due for deletion; GET /retention tells which"
            );
            return Ok(());
        }
        let due = self.find_due(accounts, &limits, BATCH, 1).await?;
        let found = due.len();
        let (deleted, failed) = self.delete_due(due).await;
        if 0 < found {
            tracing::info!(
                deleted = deleted.len(),
                failed,
                "deleted archived executions"
            );
        }
        let unowned = self.delete_unowned(accounts, &mut Vec::new()).await;
        // There may be more; a pass that got nowhere waits all the same.
        let more_executions = found == BATCH && !deleted.is_empty();
        let more_unowned = unowned.deleted + unowned.failed < unowned.total && 0 < unowned.deleted;
        if more_executions || more_unowned {
            self.index.put_off_chore(CHORE, now).await?;
        }
        Ok(())
    }

    async fn tell_due(
        &self,
        report: &mut RetentionReport,
        accounts: &[String],
        limit: usize,
        page: usize,
    ) -> Result<()> {
        let limits = self.limits();
        report.total = self.count_due(accounts, &limits).await?;
        let due = self.find_due(accounts, &limits, limit, page).await?;
        report.due = due.iter().map(|due| self.tell(due, &limits)).collect();
        report.unowned = self.unowned(accounts, &mut report.left_out).await;
        Ok(())
    }

    async fn find_due(
        &self,
        accounts: &[String],
        limits: &Limits,
        most: usize,
        page: usize,
    ) -> Result<Vec<DueRow>> {
        if limits.keep_all() || accounts.is_empty() {
            return Ok(Vec::new());
        }
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let before = i64::try_from(page.saturating_sub(1)).unwrap_or(i64::MAX);
        let offset = most.saturating_mul(before);
        self.index.due(accounts, limits, most, offset).await
    }

    async fn count_due(&self, accounts: &[String], limits: &Limits) -> Result<i64> {
        if limits.keep_all() || accounts.is_empty() {
            return Ok(0);
        }
        self.index.count_due(accounts, limits).await
    }

    /// What of it was deleted here, and how many could not be.
    async fn delete_due(&self, due: Vec<DueRow>) -> (Vec<DueRow>, usize) {
        let mut deletions = futures::stream::iter(due)
            .map(|due| async move { (self.delete_execution(&due).await, due) })
            .buffered(DELETIONS);
        let (mut deleted, mut failed) = (Vec::new(), 0);
        while let Some((outcome, due)) = deletions.next().await {
            match outcome {
                Ok(true) => deleted.push(due),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(execution.id = due.id, %error, "cannot delete an archived execution");
                    failed += 1;
                }
            }
            if failed == FAILURES {
                break;
            }
        }
        (deleted, failed)
    }

    /// Whether it was deleted here: not when it was pinned, or another replica was faster.
    async fn delete_execution(&self, due: &DueRow) -> Result<bool> {
        let (account, id) = (due.account.as_str(), Id::parse(&due.id)?);
        let objects = self.objects(account)?;
        // The object counts; the row of a pin may not have been read yet.
        let pin = pin_key(due.kind, &due.id);
        if objects.get(&pin).await?.is_some() {
            let now = self.clock.now_millis();
            self.index.note_pin(account, due.kind, &due.id, now).await?;
            return Ok(false);
        }
        let pairs = match due.kind {
            Kind::Canary => self.pair_list_of(account, &id).await?,
            Kind::Analysis | Kind::Comparison => None,
        };
        if !self.index.take_out(due).await? {
            return Ok(false);
        }
        self.index.durable().await?;
        self.forget(due.kind, account, &due.id).await;
        if let Some(pairs) = pairs {
            self.remove_all(account, group::METRIC_SET_PAIRS, &pairs)
                .await?;
        }
        self.remove_all(account, due.kind.group(), &id).await?;
        tracing::info!(
            execution.id = due.id,
            kind = due.kind.as_str(),
            application = due.application,
            account,
            "deleted an archived execution"
        );
        Ok(true)
    }

    /// Deletes an execution that has ended because somebody wants it: its rows, its pairs, its archive.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Invalid` while it runs.
    pub async fn delete_ended<R: Execution>(&self, accounts: &[String], id: &Id) -> Result<()> {
        let account = self.home::<R>(accounts, id).await?;
        let account = account.ok_or_else(|| not_found(id.as_str()))?;
        match self.delete_pipeline(id).await {
            Ok(Deleted::Gone) | Err(Error::NotFound(_)) => {}
            Ok(Deleted::StillRunning) => {
                let told = format!("'{id}' has not ended; cancel it first");
                return Err(Error::Invalid(told));
            }
            Err(error) => return Err(error),
        }
        let pairs = match R::KIND {
            Kind::Canary => self.pair_list_of(&account, id).await?,
            Kind::Analysis | Kind::Comparison => None,
        };
        let now = self.clock.now_millis();
        self.index
            .remove_archive(&account, R::KIND, id.as_str(), now)
            .await?;
        self.index.durable().await?;
        self.forget(R::KIND, &account, id.as_str()).await;
        if let Some(pairs) = pairs {
            self.remove_all(&account, group::METRIC_SET_PAIRS, &pairs)
                .await?;
        }
        self.remove_all(&account, R::KIND.group(), id).await
    }

    /// The list of pairs that an archived canary refers to.
    async fn pair_list_of(&self, account: &str, id: &Id) -> Result<Option<Id>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Pairs {
            metric_set_pair_list_id: Option<String>,
        }
        let Some((_, body)) = self.newest(account, group::CANARY_ARCHIVE, id).await? else {
            return Ok(None);
        };
        let pairs = serde_json::from_slice::<Pairs>(&body).ok();
        let list = pairs.and_then(|pairs| pairs.metric_set_pair_list_id);
        Ok(list.and_then(|list| Id::parse(&list).ok()))
    }

    pub(super) async fn remove_all(&self, account: &str, group: &str, id: &Id) -> Result<()> {
        let objects = self.objects(account)?;
        for entry in objects.list(&format!("{group}/{id}/")).await? {
            objects.delete(&entry.key).await?;
        }
        Ok(())
    }

    fn limits(&self) -> Limits {
        let now = self.clock.now_millis();
        let limit = |rule: &RetentionRule| Limit {
            most: rule.max_count.map_or(i64::MAX, i64::from),
            since: rule
                .max_age
                .map_or(i64::MIN, |age| now.saturating_sub(millis(age))),
        };
        let own = self.retention.applications.iter();
        Limits {
            general: limit(&self.retention.rule),
            applications: own
                .map(|(name, rule)| (name.clone(), limit(rule)))
                .collect(),
        }
    }

    fn tell(&self, due: &DueRow, limits: &Limits) -> DueExecution {
        let rule = self.retention.applications.get(&due.application);
        let rule = rule.unwrap_or(&self.retention.rule);
        let why = match (rule.max_age, rule.max_count) {
            (Some(age), _) if due.build_time < limits.of(&due.application).since => {
                format!("older than {}", words(age))
            }
            (_, Some(most)) => format!("more than {most} of the application"),
            (_, None) => "due".to_owned(),
        };
        DueExecution {
            account: due.account.clone(),
            kind: due.kind.as_str(),
            id: due.id.clone(),
            application: due.application.clone(),
            build_time_millis: due.build_time,
            build_time_iso: iso_from_millis(due.build_time),
            why,
        }
    }

    fn empty_report(&self) -> RetentionReport {
        RetentionReport {
            rules: RetentionRules::of(&self.retention),
            dry_run: true,
            total: 0,
            deleted: 0,
            failed: 0,
            due: Vec::new(),
            unowned: Unowned::default(),
            left_out: Vec::new(),
        }
    }
}

impl RetentionReport {
    fn leave_out(&mut self, account: &str, why: &str) {
        self.left_out.push(LeftOut::of(account, why.to_owned()));
    }
}

impl LeftOut {
    pub(super) fn of(account: &str, why: String) -> Self {
        Self {
            account: account.to_owned(),
            why,
        }
    }
}

impl RetentionRules {
    fn of(config: &Retention) -> Self {
        let own = config.applications.iter();
        Self {
            max_age: config.rule.max_age.map(words),
            max_count: config.rule.max_count,
            unowned_max_age: config.unowned_max_age.map(words),
            applications: own
                .map(|(name, rule)| ApplicationRules {
                    name: name.clone(),
                    max_age: rule.max_age.map(words),
                    max_count: rule.max_count,
                })
                .collect(),
        }
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A duration in its largest whole unit: `90d`, `36h`, `10m`, `5s`.
fn words(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    match units.iter().find(|(size, _)| seconds.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{}{unit}", seconds / size),
        None => format!("{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_in_its_largest_whole_unit() {
        let cases = [
            (90 * 86_400, "90d"),
            (36 * 3_600, "36h"),
            (600, "10m"),
            (61, "61s"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(words(Duration::from_secs(seconds)), expected);
        }
    }
}
