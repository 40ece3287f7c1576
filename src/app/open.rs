//! What anybody may ask, whoever it is.

use super::App;
use crate::canary::MetricSetPair;
use crate::error::Result;
use crate::storage::Large;

impl App {
    /// Whether the index answers.
    pub async fn check_index(&self) -> Result<()> {
        self.storage.check_index().await
    }

    /// The store that is taken when none is named.
    pub fn default_store(&self) -> Option<&str> {
        self.storage.default_store()
    }

    /// Whether the index knows what each store had lately.
    pub fn check_reconciled(&self) -> Vec<(String, Result<()>)> {
        let stores = self.storage.stores();
        let checked = stores.map(|name| (name.to_owned(), self.storage.check_reconciled(name)));
        checked.collect()
    }

    /// The names of all stores, also of those that were removed while running.
    pub fn all_stores(&self) -> Vec<String> {
        self.storage.stores().map(str::to_owned).collect()
    }

    /// What a picture of a message shows, by a token that nobody can guess.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn charted(&self, token: &str) -> Result<(Large<MetricSetPair>, String)> {
        self.storage.charted(token).await
    }
}
