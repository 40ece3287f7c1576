//! What is measured when metrics are read: the fleet as the index has it, and who answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::App;
use super::health::in_time;
use crate::storage::Backlog;
use crate::telemetry::Families;

/// How long what was counted is told again: whoever reads makes the index count.
const COUNTED_FOR: Duration = Duration::from_secs(2);

/// The same of accounts: services that count calls are asked no more often than twice a minute.
const ASKED_FOR: Duration = Duration::from_secs(30);

/// What was counted last; none, when the index did not answer. Held while it is counted.
pub type LastMeasured = Mutex<Option<(Instant, Option<Arc<Backlog>>)>>;

impl App {
    /// In the text format. What cannot be counted is left out, never told as it was before.
    pub async fn measure(&self) -> String {
        let mut families = Families::default();
        self.measure_replica(&mut families);
        let (backlog, checked) = tokio::join!(self.backlog(), self.check_within(ASKED_FOR));
        if let Some(backlog) = backlog {
            measure_fleet(&mut families, &backlog);
        }
        families.begin("serin_account_up");
        let all = || checked.stores.iter().chain(&checked.sources);
        for account in self.accounts() {
            let mut asked = all().filter(|(name, _)| *name == account.name).peekable();
            if asked.peek().is_some() {
                let up = u8::from(asked.all(|(_, checked)| checked.is_ok()));
                let labels = [("account", &*account.name), ("type", account.face.word)];
                families.tell(&labels, up.into());
            }
        }
        families.text()
    }

    fn measure_replica(&self, families: &mut Families) {
        families.begin("serin_takes_work");
        families.tell(&[], u8::from(self.takes_work()).into());
        families.begin("serin_places_free");
        families.tell(&[], number(self.places.available_permits() as u64));
    }

    async fn backlog(&self) -> Option<Arc<Backlog>> {
        let mut last = self.last_measured.lock().await;
        if let Some((at, backlog)) = &*last
            && at.elapsed() < COUNTED_FOR
        {
            return backlog.clone();
        }
        // A database that hangs is waited for longer than a Prometheus waits for all metrics.
        let counted = in_time(self.storage.backlog()).await;
        let counted = counted.inspect_err(|error| tracing::warn!(%error, "metrics lack the fleet"));
        let backlog = counted.ok().map(Arc::new);
        *last = Some((Instant::now(), backlog.clone()));
        backlog
    }
}

fn measure_fleet(families: &mut Families, backlog: &Backlog) {
    let Backlog { queues, outbox, .. } = backlog;
    families.begin("serin_executions_waiting");
    for queue in queues {
        families.tell(&[("kind", queue.kind)], number(queue.unended));
    }
    families.begin("serin_leases");
    for queue in queues {
        families.tell(&[("kind", queue.kind)], number(queue.held));
    }
    families.begin("serin_queue_executions");
    for queue in queues {
        families.tell(&[("kind", queue.kind)], number(queue.due));
    }
    families.begin("serin_queue_oldest_age_seconds");
    for queue in queues {
        families.tell(&[("kind", queue.kind)], queue.oldest.as_secs_f64());
    }
    families.begin("serin_outbox_waiting");
    for (of, waiting) in outbox {
        families.tell(&[("of", of)], number(waiting.count));
    }
    families.begin("serin_outbox_oldest_age_seconds");
    for (of, waiting) in outbox {
        families.tell(&[("of", of)], waiting.oldest.as_secs_f64());
    }
    families.begin("serin_archives_waiting");
    families.tell(&[], number(backlog.archives));
}

fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
