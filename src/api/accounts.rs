//! Accounts that a request names, and what stands for them when it does not.

use serde::Deserialize;
use utoipa::IntoParams;

use crate::app::App;
use crate::config::AccountType::{ConfigurationStore, ObjectStore};
use crate::error::Result;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationAccount {
    /// the first configuration store, if not given
    pub configuration_account_name: Option<String>,
}

impl ConfigurationAccount {
    pub fn of<'a>(&self, app: &'a App) -> Result<&'a str> {
        let name = self.configuration_account_name.as_deref();
        app.store(name, ConfigurationStore)
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct StorageAccount {
    /// the first object store, if not given
    storage_account_name: Option<String>,
}

impl StorageAccount {
    pub fn of<'a>(&self, app: &'a App) -> Result<&'a str> {
        app.store(self.storage_account_name.as_deref(), ObjectStore)
    }
}

/// Where an id alone is enough.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct AnyStorageAccount {
    /// any, if not given
    storage_account_name: Option<String>,
}

impl AnyStorageAccount {
    pub fn of<'a>(&self, app: &'a App) -> Result<Option<&'a str>> {
        let name = self.storage_account_name.as_deref();
        name.map(|name| app.store(Some(name), ObjectStore))
            .transpose()
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(rename_all = "camelCase")]
pub struct MetricsAccount {
    pub metrics_account_name: Option<String>,
}
