//! Objects in the process; lost with it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

use super::objects::{ObjectEntry, ObjectStore};
use crate::clock::Clock;
use crate::error::Result;

#[derive(Default)]
pub struct MemoryStore {
    objects: Mutex<Objects>,
}

#[derive(Default)]
struct Objects {
    by_key: BTreeMap<String, (ObjectEntry, Bytes)>,
    puts: u64,
}

impl MemoryStore {
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ObjectStore for MemoryStore {
    async fn get(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.objects().by_key.get(key).map(|(_, body)| body.clone()))
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<String> {
        let mut objects = self.objects();
        objects.puts += 1;
        let version = objects.puts.to_string();
        let entry = ObjectEntry {
            key: key.to_owned(),
            updated_millis: Clock::System.now_millis(),
            version: version.clone(),
            bytes: body.len() as u64,
        };
        objects.by_key.insert(key.to_owned(), (entry, body));
        Ok(version)
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.objects().by_key.remove(key);
        Ok(())
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> BoxStream<'a, Result<Vec<ObjectEntry>>> {
        let objects = self.objects();
        let found = objects.by_key.range(prefix.to_owned()..);
        let page = found
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(_, (entry, _))| entry.clone())
            .collect();
        stream::iter([Ok(page)]).boxed()
    }
}
