//! Where documents live, addressed by key.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, TryStreamExt};

use super::azure::AzureStore;
use super::file::FileStore;
use super::gcs::GcsStore;
use super::memory::MemoryStore;
use super::s3::S3Store;
use super::sql::SqlStore;
use crate::config::{Account, Store};
use crate::error::{Error, Result};

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectEntry {
    /// Below the root folder: `<group>/<id>/<file>`.
    pub key: String,
    /// Epoch milliseconds.
    pub updated_millis: i64,
    /// Differs when the object differs.
    pub version: String,
    pub bytes: u64,
}

/// Keeps whole objects under keys `<group>/<id>/<file>` below its root folder.
///
/// A `put` is all or nothing: no reader sees half an object. Every kind passes `tests/it/contract.rs`.
#[async_trait]
pub trait ObjectStore: Send + Sync {
    /// The object, if there is one. One that is larger than the store reads is an error.
    async fn get(&self, key: &str) -> Result<Option<Bytes>>;
    /// The version that a listing will tell. Durable when it returns.
    async fn put(&self, key: &str, body: Bytes) -> Result<String>;
    /// Deleting nothing is no error.
    async fn delete(&self, key: &str) -> Result<()>;
    /// All objects whose key begins with `prefix`, which ends in `/`, as they are found. What cannot
    /// be listed to its end ends with an error: half a listing never passes for a whole one.
    fn pages<'a>(&'a self, prefix: &'a str) -> BoxStream<'a, Result<Vec<ObjectEntry>>>;
    /// `pages`, all in one.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectEntry>> {
        self.pages(prefix).try_concat().await
    }
    /// Tells that objects were put here earlier: their place, should it be gone, is missed from now
    /// on, and not made anew.
    fn expect_objects(&self) {}
}

/// The name of an object in its bucket; a root folder may have slashes around it, or be empty.
pub fn below(root_folder: &str, key: &str) -> String {
    match root_folder.trim_matches('/') {
        "" => key.to_owned(),
        root => format!("{root}/{key}"),
    }
}

/// The store of an account, which reads no object beyond `most` bytes; `None` for accounts that
/// keep no documents.
pub fn open(account: &Account, most: u64) -> Result<Option<Arc<dyn ObjectStore>>> {
    let Some(store) = &account.store else {
        return Ok(None);
    };
    let unfit = |why| Error::Invalid(format!("account '{}': {why}", account.name));
    Ok(Some(match store {
        Store::File(file) => Arc::new(FileStore::open(file)?.reading(most)),
        Store::S3(s3) => Arc::new(S3Store::new(s3.clone()).reading(most)),
        Store::Gcs(gcs) => Arc::new(GcsStore::open(gcs).map_err(unfit)?.reading(most)),
        Store::Azure(azure) => Arc::new(AzureStore::open(azure).map_err(unfit)?.reading(most)),
        Store::Sql(sql) => Arc::new(SqlStore::open(sql).map_err(unfit)?.reading(most)),
        Store::Memory => Arc::new(MemoryStore::default()),
    }))
}
