//! Where documents live, addressed by key.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Bytes;
use futures::stream::{BoxStream, TryStreamExt};

use super::file::FileStore;
use super::memory::MemoryStore;
use super::s3::S3Store;
use crate::config::{Account, Store};
use crate::error::Result;

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
/// A `put` is all or nothing: no reader sees half an object. Every kind passes [`contract`].
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

/// Why an object of `bytes` is not read where `most` are.
pub fn too_large(bytes: u64, most: u64) -> String {
    format!("it has {bytes} bytes, and storage.maxObjectSize is {most}")
}

/// The store of an account, which reads no object beyond `most` bytes; `None` for accounts that
/// keep no documents.
pub fn open(account: &Account, most: u64) -> Result<Option<Arc<dyn ObjectStore>>> {
    let Some(store) = &account.store else {
        return Ok(None);
    };
    Ok(Some(match store {
        Store::File(file) => Arc::new(FileStore::open(file)?.reading(most)),
        Store::S3(s3) => Arc::new(S3Store::new(s3.clone()).reading(most)),
        Store::Memory => Arc::new(MemoryStore::default()),
    }))
}

/// What every store does, checked on an empty one.
///
/// # Panics
/// When the store breaks the contract.
pub async fn contract(store: &dyn ObjectStore) {
    let get = |key: &'static str| async move { store.get(key).await.expect("get") };
    let put = |key: &'static str, text: &'static str| async move {
        store
            .put(key, Bytes::from_static(text.as_bytes()))
            .await
            .expect("put");
    };
    let keys = |prefix: &'static str| async move {
        let entries = store.list(prefix).await.expect("list");
        let mut keys: Vec<String> = entries.into_iter().map(|entry| entry.key).collect();
        keys.sort();
        keys
    };

    assert_eq!(get("group/none/a.json").await, None);
    assert_eq!(keys("group/").await, [""; 0]);
    store
        .delete("group/none/a.json")
        .await
        .expect("deleting nothing");

    put("group/one/a.json", "1").await;
    put("group/one/a.json", "2").await;
    assert_eq!(get("group/one/a.json").await.as_deref(), Some(&b"2"[..]));

    // A prefix ends in '/', so an id that begins like another is not found with it.
    put("group/one-more/a.json", "3").await;
    put("other/one/b.json", "4").await;
    put("group/ä b%2F+&=.v1/c,d.json", "5").await;
    assert_eq!(keys("group/one/").await, ["group/one/a.json"]);
    assert_eq!(
        keys("group/").await,
        [
            "group/one-more/a.json",
            "group/one/a.json",
            "group/ä b%2F+&=.v1/c,d.json"
        ]
    );
    assert_eq!(
        get("group/ä b%2F+&=.v1/c,d.json").await.as_deref(),
        Some(&b"5"[..])
    );

    let before = store.list("group/one/").await.expect("list");
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let body = Bytes::from_static(b"other");
    let version = store.put("group/one/a.json", body).await.expect("put");
    let after = store.list("group/one/").await.expect("list");
    assert_ne!(before[0].version, after[0].version);
    assert_eq!(after[0].version, version);
    assert!(before[0].updated_millis <= after[0].updated_millis);
    assert!(after[0].updated_millis > 1_500_000_000_000);

    store.delete("group/one/a.json").await.expect("delete");
    assert_eq!(get("group/one/a.json").await, None);
    assert_eq!(keys("group/one/").await, [""; 0]);

    // More than one page of S3.
    let large = Bytes::from(vec![b'x'; 300_000]);
    store
        .put("group/large/a.json", large.clone())
        .await
        .expect("put");
    assert_eq!(
        store.get("group/large/a.json").await.expect("get"),
        Some(large)
    );

    // Writers of one key never leave half an object, and readers meanwhile see none.
    let writers = (0..8).map(|writer| {
        let body = Bytes::from(vec![b'a' + writer; 100_000]);
        store.put("group/race/a.json", body)
    });
    let written = futures::future::join_all(writers);
    let read = async {
        for _ in 0..20 {
            if let Some(found) = get("group/race/a.json").await {
                assert_whole(&found);
            }
        }
    };
    let (written, ()) = futures::join!(written, read);
    for written in written {
        written.expect("put");
    }
    assert_whole(&get("group/race/a.json").await.expect("one of them"));
}

fn assert_whole(body: &Bytes) {
    assert_eq!(body.len(), 100_000);
    assert!(body.iter().all(|byte| *byte == body[0]));
}
