//! Whether everything that serin needs answers now.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::App;
use crate::error::{Error, Result};

/// How long each may take to answer.
const LIMIT: Duration = Duration::from_secs(2);

/// How long what was found is told again: whoever asks makes serin ask everybody.
const KEPT: Duration = Duration::from_secs(5);

/// What was found last; held while it is found out.
pub type LastChecked = Mutex<Option<(Instant, Arc<Checked>)>>;

/// What answered, and why the others did not; accounts by name, in the order of the configuration.
pub struct Checked {
    pub index: Result<()>,
    pub stores: Vec<(String, Result<()>)>,
    pub sources: Vec<(String, Result<()>)>,
    /// Whether there is room for something new.
    pub disks: Vec<(String, Result<()>)>,
}

impl App {
    /// What was found a moment ago, else what answers now.
    pub async fn check(&self) -> Arc<Checked> {
        self.check_within(KEPT).await
    }

    /// What was found so long ago at most, else what answers now.
    pub async fn check_within(&self, kept: Duration) -> Arc<Checked> {
        let mut last = self.last_checked.lock().await;
        if let Some((at, checked)) = &*last
            && at.elapsed() < kept
        {
            return Arc::clone(checked);
        }
        let checked = Arc::new(self.check_now().await);
        *last = Some((Instant::now(), Arc::clone(&checked)));
        checked
    }

    /// Asks all at once.
    async fn check_now(&self) -> Checked {
        let stores = self.storage.stores().map(|name| async {
            let checked = in_time(self.storage.check_store(name)).await;
            (name.to_owned(), checked)
        });
        let sources = self
            .metric_sources
            .iter()
            .map(|(name, source)| async move { (name.clone(), in_time(source.health()).await) });
        let (index, stores, sources, disks) = tokio::join!(
            in_time(self.storage.check_index()),
            join_all(stores),
            join_all(sources),
            self.storage.check_disks()
        );
        Checked {
            index,
            stores,
            sources,
            disks,
        }
    }
}

pub async fn in_time<T>(asked: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(LIMIT, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Unavailable(format!("no answer within {LIMIT:?}"))),
    }
}
