//! Objects in a local directory.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::guarded::{Backend, Failure, Guarded};
use super::objects::ObjectEntry;
use crate::config::FileAccount;
use crate::error::Error;

/// Files that are being written lie here, beside the root folder.
const UNFINISHED: &str = ".unfinished";

/// How many objects a page of a listing has at most.
const PAGE: usize = 1000;

/// How old an unfinished file must be before it is taken for the leftover of a crash.
const LEFTOVER: Duration = Duration::from_hours(1);

pub type FileStore = Guarded<Folder>;

/// The folder of one account.
#[derive(Clone)]
pub struct Folder {
    root: PathBuf,
    unfinished: PathBuf,
}

type Result<T, E = Failure> = std::result::Result<T, E>;

impl FileStore {
    /// Removes what a crash left unfinished. The root folder is made with the first object: one that
    /// is not there may be a disk that is not mounted.
    ///
    /// # Errors
    /// `Storage` when nothing can be written there.
    pub fn open(account: &FileAccount) -> Result<Self, Error> {
        let folder = Folder {
            root: account.directory.join(&account.root_folder),
            unfinished: account.directory.join(UNFINISHED),
        };
        fs::create_dir_all(&folder.unfinished).map_err(|cause| {
            let told = format!("cannot create the folder '{}'", folder.unfinished.display());
            Error::storage(told, cause)
        })?;
        folder.remove_leftovers();
        Ok(Self::around(folder))
    }
}

impl Folder {
    fn remove_leftovers(&self) {
        for entry in fs::read_dir(&self.unfinished)
            .into_iter()
            .flatten()
            .flatten()
        {
            let age = entry.metadata().and_then(|file| file.modified());
            let old = age.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > LEFTOVER));
            if old {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// The file of a key. Keys are made of ids, which hold no `/` and are not `..`.
    fn path(&self, key: &str) -> Result<PathBuf> {
        let mut path = self.root.clone();
        for part in key.split('/') {
            if part.is_empty() || part == "." || part == ".." || part.len() > 255 {
                let told = "cannot be stored in a folder: its parts must have 1 to 255 bytes";
                return Err(Failure::Refused(Error::Invalid(format!("'{key}' {told}"))));
            }
            path.push(part);
        }
        Ok(path)
    }

    /// Writes beside, then renames: a reader must never see half a document.
    fn write(&self, path: &Path, body: &[u8]) -> io::Result<String> {
        self.root_is_there()?;
        let unfinished = self.unfinished.join(Uuid::new_v4().to_string());
        let written = File::create_new(&unfinished).and_then(|mut file| {
            file.write_all(body)?;
            file.sync_all()?;
            version(&file.metadata()?)
        });
        let moved = written.and_then(|version| {
            self.move_into_place(&unfinished, path)?;
            Ok(version)
        });
        if moved.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        moved
    }

    fn move_into_place(&self, unfinished: &Path, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        // A delete may remove the empty folder just after it was made.
        for _ in 0..20 {
            let is_new = make_folder(folder)?;
            match fs::rename(unfinished, path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
                Ok(()) => {
                    sync_folder(folder)?;
                    // The entry of a new folder is in its parent.
                    return match folder.parent() {
                        Some(parent) if is_new => sync_folder(parent),
                        _ => Ok(()),
                    };
                }
            }
        }
        Err(io::Error::other("the folder is removed again and again"))
    }

    /// Only what was put here as a file: a link leads to what others keep elsewhere, and a pipe
    /// never ends.
    fn read(&self, path: &Path, most: u64) -> io::Result<Content> {
        let folders = path.ancestors().skip(1);
        for folder in folders.take_while(|folder| *folder != self.root) {
            if fs::symlink_metadata(folder)?.is_symlink() {
                return Err(io::Error::other("its folder is a link"));
            }
        }
        let mut options = File::options();
        options
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        let file = match options.open(path) {
            Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
                return Err(io::Error::other("it is a link"));
            }
            file => file?,
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        let mut body = Vec::new();
        if most < metadata.len() {
            return Ok(Content::TooLarge(metadata.len()));
        }
        // It may grow while it is read.
        file.take(most.saturating_add(1)).read_to_end(&mut body)?;
        let bytes = body.len() as u64;
        if most < bytes {
            return Ok(Content::TooLarge(bytes));
        }
        Ok(Content::Whole(body.into()))
    }

    /// A root folder that vanished is not an empty one: a disk may not be mounted.
    fn root_is_there(&self) -> io::Result<()> {
        fs::metadata(&self.root).map(|_| ())
    }

    fn walk(&self, folder: &Path, found: &mut Found) -> io::Result<()> {
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return self.root_is_there(),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.walk(&path, found)?;
            }
            if !kind.is_file() {
                continue;
            }
            let metadata = match entry.metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            let Some(key) = self.key(&path) else {
                continue;
            };
            let updated = metadata.modified()?.duration_since(UNIX_EPOCH);
            let updated = updated.unwrap_or_default();
            found.push(ObjectEntry {
                key,
                updated_millis: i64::try_from(updated.as_millis()).unwrap_or(i64::MAX),
                version: version(&metadata)?,
                bytes: metadata.len(),
            })?;
        }
        Ok(())
    }

    fn key(&self, path: &Path) -> Option<String> {
        let parts = path.strip_prefix(&self.root).ok()?.iter();
        let parts: Option<Vec<&str>> = parts.map(|part| part.to_str()).collect();
        Some(parts?.join("/"))
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        let folder = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&folder);
            done.map_err(|cause| folder.failure(&cause))
        });
        done.await.unwrap_or_else(|cause| {
            let (why, cause) = (cause.to_string(), cause.to_string());
            Err(Failure::Wrong { why, cause })
        })
    }

    fn failure(&self, cause: &io::Error) -> Failure {
        let (why, told) = (cause.to_string(), cause.to_string());
        match cause.kind() {
            ErrorKind::NotFound if self.root_is_there().is_err() => Failure::Gone(why),
            // Once there is room again, or the disk can be written, the same goes through.
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem => {
                Failure::Away { why, cause: told }
            }
            _ => Failure::Wrong { why, cause: told },
        }
    }
}

/// What is in a file.
enum Content {
    Whole(Bytes),
    /// So many bytes, or more.
    TooLarge(u64),
}

/// The page that a walk fills, and where full ones go.
struct Found {
    page: Vec<ObjectEntry>,
    pages: mpsc::Sender<Vec<ObjectEntry>>,
}

impl Found {
    fn push(&mut self, entry: ObjectEntry) -> io::Result<()> {
        self.page.push(entry);
        if self.page.len() < PAGE {
            return Ok(());
        }
        self.send()
    }

    /// An error ends the walk when nobody listens any more.
    fn send(&mut self) -> io::Result<()> {
        let page = std::mem::take(&mut self.page);
        self.pages.blocking_send(page).map_err(io::Error::other)
    }
}

/// A file is written once, so its time and length tell it from another.
fn version(metadata: &fs::Metadata) -> io::Result<String> {
    let written = metadata.modified()?.duration_since(UNIX_EPOCH);
    let nanos = written.unwrap_or_default().as_nanos();
    Ok(format!("{nanos}-{}", metadata.len()))
}

/// Whether it was not there before.
fn make_folder(folder: &Path) -> io::Result<bool> {
    match fs::create_dir(folder) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(folder).map(|()| true)
        }
        Err(error) => Err(error),
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[async_trait]
impl Backend for Folder {
    async fn get(&self, key: &str, most: u64) -> Result<Option<Bytes>> {
        let path = self.path(key)?;
        let read = self.off_thread(move |folder| match folder.read(&path, most) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                folder.root_is_there().map(|()| None)
            }
            read => read.map(Some),
        });
        match read.await? {
            None => Ok(None),
            Some(Content::Whole(body)) => Ok(Some(body)),
            Some(Content::TooLarge(bytes)) => Err(Failure::TooLarge(bytes)),
        }
    }

    async fn put(&self, key: &str, body: Bytes) -> Result<String> {
        let path = self.path(key)?;
        self.off_thread(move |folder| folder.write(&path, &body))
            .await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        self.off_thread(move |folder| {
            match fs::remove_file(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => folder.root_is_there()?,
                removed => removed?,
            }
            if let Some(parent) = path.parent() {
                // Only an empty folder goes.
                let _ = fs::remove_dir(parent);
                let _ = parent.parent().map(sync_folder);
            }
            Ok(())
        })
        .await
    }

    fn pages<'a>(&'a self, prefix: &'a str) -> BoxStream<'a, Result<Vec<ObjectEntry>>> {
        let path = match self.path(prefix.trim_end_matches('/')) {
            Ok(path) => path,
            Err(failure) => return stream::iter([Err(failure)]).boxed(),
        };
        let (sender, receiver) = mpsc::channel(1);
        let walk = self.off_thread(move |folder| {
            let mut found = Found {
                page: Vec::new(),
                pages: sender,
            };
            folder.walk(&path, &mut found)?;
            found.send()
        });
        let pages = stream::unfold(receiver, async |mut receiver| {
            let page = receiver.recv().await?;
            Some((Ok(page), receiver))
        });
        // The walk goes on while its pages are read, and tells in the end how it went.
        let end = stream::once(walk).filter_map(async |walked| walked.err().map(Err));
        stream::select(pages, end).boxed()
    }

    async fn create(&self) -> Result<()> {
        self.off_thread(|folder| {
            fs::create_dir_all(&folder.unfinished)?;
            fs::create_dir_all(&folder.root)
        })
        .await
    }

    fn place(&self, key: &str) -> String {
        let root = self.root.display();
        match key {
            "" => format!("the folder '{root}'"),
            key => format!("'{key}' in the folder '{root}'"),
        }
    }

    fn limit(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::storage::objects::ObjectStore;

    fn store(directory: &Path) -> FileStore {
        let account = FileAccount {
            directory: directory.to_owned(),
            root_folder: "kayenta".to_owned(),
        };
        FileStore::open(&account).unwrap()
    }

    #[tokio::test]
    async fn keys_stay_below_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let long = "x".repeat(256);
        for key in ["../a", "a/../../b", "", "a//b", "./a", long.as_str()] {
            assert!(store.put(key, Bytes::new()).await.is_err(), "{key}");
            assert!(store.get(key).await.is_err(), "{key}");
        }
    }

    #[tokio::test]
    async fn what_a_crash_left_unfinished_is_never_listed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join(UNFINISHED)).unwrap();
        fs::write(folder.path().join(UNFINISHED).join("half"), "{").unwrap();
        let store = store(folder.path());
        assert_eq!(store.list("canary_config/").await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_put_and_a_delete_of_one_folder_get_along() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        for _ in 0..50 {
            let body = Bytes::from_static(b"{}");
            let (put, deleted) =
                tokio::join!(store.put("g/id/b.json", body), store.delete("g/id/a.json"));
            put.unwrap();
            deleted.unwrap();
            assert!(store.get("g/id/b.json").await.unwrap().is_some());
            store.delete("g/id/b.json").await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_root_folder_that_vanishes_is_missed_and_not_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let root = folder.path().join("kayenta");
        store.put("g/a/a.json", Bytes::new()).await.unwrap();
        fs::rename(&root, folder.path().join("elsewhere")).unwrap();
        for error in [
            store.list("g/").await.unwrap_err(),
            store.put("g/a/a.json", Bytes::new()).await.unwrap_err(),
        ] {
            let told = error.to_string();
            assert!(told.contains(&root.display().to_string()), "{told}");
        }
        assert!(!root.exists());
        fs::rename(folder.path().join("elsewhere"), &root).unwrap();
        assert_eq!(store.list("g/").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_listing_has_all_pages_and_ends_with_what_broke_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        let group = folder.path().join("kayenta/g");
        for index in 0..=2 * PAGE {
            let id = group.join(index.to_string());
            fs::create_dir_all(&id).unwrap();
            fs::write(id.join("a.json"), "{}").unwrap();
        }
        let listed = store.list("g/").await.unwrap();
        assert_eq!(listed.len(), 2 * PAGE + 1);
        // What is in a folder that cannot be read is missing.
        fs::remove_dir_all(&group).unwrap();
        fs::write(&group, "no folder").unwrap();
        assert!(store.list("g/").await.is_err());
    }

    #[tokio::test]
    async fn links_pipes_and_what_is_too_large_are_never_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).reading(4);
        let group = folder.path().join("kayenta/g");
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::write(elsewhere.join("a.json"), "{}").unwrap();
        for id in ["whole", "link", "pipe", "folder", "large"] {
            fs::create_dir_all(group.join(id)).unwrap();
        }
        fs::write(group.join("whole/a.json"), "1234").unwrap();
        fs::write(group.join("large/a.json"), "12345").unwrap();
        fs::create_dir(group.join("folder/a.json")).unwrap();
        symlink(elsewhere.join("a.json"), group.join("link/a.json")).unwrap();
        symlink(&elsewhere, group.join("linked")).unwrap();
        let mut pipe = std::process::Command::new("mkfifo");
        assert!(
            pipe.arg(group.join("pipe/a.json"))
                .status()
                .unwrap()
                .success()
        );

        let cases = [
            ("link", "it is a link"),
            ("linked", "its folder is a link"),
            ("pipe", "it is no regular file"),
            ("folder", "it is no regular file"),
            ("large", "it has 5 bytes, and storage.maxObjectSize is 4"),
        ];
        for (id, expected) in cases {
            let error = store.get(&format!("g/{id}/a.json")).await.unwrap_err();
            assert!(error.to_string().contains(expected), "{id}: {error}");
        }
        assert_eq!(store.get("g/whole/a.json").await.unwrap().unwrap(), "1234");
        let mut listed: Vec<_> = store.list("g/").await.unwrap();
        listed.sort_by_key(|entry| entry.bytes);
        let listed: Vec<_> = listed
            .iter()
            .map(|entry| (entry.key.as_str(), entry.bytes))
            .collect();
        assert_eq!(listed, [("g/whole/a.json", 4), ("g/large/a.json", 5)]);
    }
}
