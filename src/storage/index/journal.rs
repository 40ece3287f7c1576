//! The write-ahead log of SQLite, brought to the disk for many writers at once.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::error::{Error, Result};

/// SQLite commits without waiting for the disk (`synchronous = NORMAL`). Whoever must not lose what
/// it wrote waits for [`Journal::flush`], which syncs the log once for all who wait: the same
/// guarantee as `FULL` for the price of one sync instead of many, and the writer never waits.
pub struct Journal {
    database: PathBuf,
    file: PathBuf,
    written: AtomicU64,
    flushed: Mutex<u64>,
}

impl Journal {
    pub fn of(database: &Path) -> Self {
        let mut file = database.as_os_str().to_owned();
        file.push("-wal");
        Self {
            database: database.to_owned(),
            file: file.into(),
            written: AtomicU64::new(0),
            flushed: Mutex::new(0),
        }
    }

    pub fn folder(&self) -> &Path {
        match self.file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }

    /// Brings the log's entry in its folder to the disk; the log stays while it is open.
    pub async fn note_its_folder(&self) -> Result<()> {
        let folder = self.folder().to_owned();
        sync(move || File::open(folder)?.sync_all()).await?;
        self.written();
        self.flush().await
    }

    /// Whether the database is still where it was opened: what is written into a file that was
    /// removed is lost with the process.
    pub fn check(&self) -> Result<()> {
        let database = self.database.display();
        let gone = format!(
            "the file '{database}' of the database is gone; what was written since is lost when serin \
             ends, and what is archived comes back from the stores at the next start"
        );
        let is_there = self.database.try_exists().unwrap_or(true);
        if is_there {
            Ok(())
        } else {
            Err(Error::Unavailable(gone))
        }
    }

    /// Something has been committed.
    pub fn written(&self) {
        self.written.fetch_add(1, Ordering::AcqRel);
    }

    /// Returns once all that was committed before the call is on the disk.
    pub async fn flush(&self) -> Result<()> {
        let wanted = self.written.load(Ordering::Acquire);
        let mut flushed = self.flushed.lock().await;
        if *flushed >= wanted {
            return Ok(());
        }
        let reached = self.written.load(Ordering::Acquire);
        let file = self.file.clone();
        sync(move || File::open(file)?.sync_data()).await?;
        *flushed = reached;
        Ok(())
    }
}

async fn sync(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> Result<()> {
    let synced = tokio::task::spawn_blocking(work).await;
    let synced = synced.map_err(io::Error::other).flatten();
    synced.map_err(|cause| {
        let told = format!("cannot bring the index to the disk: {cause}");
        tracing::error!("{told}");
        Error::Unavailable(told)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_flushed_is_not_flushed_again_and_a_missing_log_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::of(&folder.path().join("x.db"));
        journal.flush().await.unwrap();
        journal.written();
        assert!(journal.flush().await.is_err());
        std::fs::write(folder.path().join("x.db-wal"), "").unwrap();
        journal.flush().await.unwrap();
        std::fs::remove_file(folder.path().join("x.db-wal")).unwrap();
        journal.flush().await.unwrap();
        journal.written();
        assert!(journal.flush().await.is_err());
    }
}
