//! The database, and what lies beside it, in a folder: taken while serin runs, put back while it does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use sqlx::any::install_default_drivers;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AnyConnection, Connection};

use super::file::FileStore;
use super::group;
use super::objects::{self, ObjectStore};
use crate::config::{Account, Config, Database, FileAccount, Store};
use crate::error::{Error, Result};
use crate::http::escaped;

const DATABASE: &str = "serin.db";
const DOCUMENTS: &str = "documents";

/// Of folders, all; what lies in a bucket has its copies there, but its pins are few and dear.
const GROUPS: [&str; 9] = [
    group::PINS,
    group::CANARY_CONFIG,
    group::CANARY_ARCHIVE,
    group::STANDALONE_CANARY_ARCHIVE,
    group::METRIC_SETS,
    group::METRIC_SET_PAIRS,
    group::CALIBRATION,
    group::LEARNED,
    group::AUDIT,
];

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Of PostgreSQL, none.
    pub database: bool,
    /// By account.
    pub documents: Vec<(String, usize)>,
    /// Why documents that are there were not copied.
    pub left_out: Vec<String>,
}

/// Copies the embedded database and documents into a folder that is empty, or not there. A document that cannot be
/// read does not keep the others.
///
/// # Errors
/// `Invalid` when something lies in the folder, and when the database or a listing cannot be read, or something
/// cannot be written.
pub async fn back_up(config: &Config, folder: &Path) -> Result<Copied> {
    fs::create_dir_all(folder).map_err(failed("make", folder))?;
    let mut inside = fs::read_dir(folder).map_err(failed("read", folder))?;
    if inside.next().is_some() {
        let folder = folder.display();
        return Err(Error::Invalid(format!(
            "'{folder}' is not empty; a backup wants a folder of its own"
        )));
    }
    let mut copied = Copied {
        database: snapshot(&config.database, &folder.join(DATABASE)).await?,
        ..Copied::default()
    };
    for account in config.accounts.iter().filter(|account| is_store(account)) {
        let is_in_folder = account.store.as_ref().and_then(Store::folder).is_some();
        let groups = if is_in_folder {
            &GROUPS[..]
        } else {
            &GROUPS[..1]
        };
        let from = store(config, account)?;
        let to = kept(folder, &account.name)?;
        let mut count = 0;
        for group in groups {
            count += copy(from.as_ref(), &to, group, &mut copied.left_out).await?;
        }
        copied.documents.push((account.name.clone(), count));
    }
    Ok(copied)
}

/// Puts back what `back_up` copied, with the configuration that the new place has.
///
/// # Errors
/// `Invalid` when the folder is no backup, a database is there already, or an account is missing; and when
/// something cannot be read or written.
pub async fn restore(config: &Config, folder: &Path) -> Result<Copied> {
    let (database, documents) = (folder.join(DATABASE), folder.join(DOCUMENTS));
    if !database.is_file() && !documents.is_dir() {
        let folder = folder.display();
        return Err(Error::Invalid(format!(
            "'{folder}' holds no backup; 'serin backup {folder}' makes one"
        )));
    }
    let stores = config.accounts.iter().filter(|account| is_store(account));
    let stores: Vec<&Account> = stores.collect();
    refuse_unknown(&documents, &stores)?;
    let place = database.is_file().then(|| free_place(&config.database));
    let place = place.transpose()?;
    let mut copied = Copied::default();
    for account in stores {
        if !documents.join(escaped(&account.name).to_string()).is_dir() {
            continue;
        }
        let from = kept(folder, &account.name)?;
        let to = store(config, account)?;
        let mut count = 0;
        for group in GROUPS {
            count += copy(&from, to.as_ref(), group, &mut copied.left_out).await?;
        }
        copied.documents.push((account.name.clone(), count));
    }
    if let Some(why) = copied.left_out.first() {
        return Err(Error::storage(why.clone(), "the backup is damaged"));
    }
    // Last: where it is, a restore is refused, and one that broke off is to be done again.
    if let Some(place) = place {
        put_back(&database, &place)?;
        copied.database = true;
    }
    Ok(copied)
}

/// A copy of one moment, though others write meanwhile.
async fn snapshot(database: &Database, to: &Path) -> Result<bool> {
    let Some(file) = embedded(database)? else {
        return Ok(false);
    };
    if !file.is_file() {
        let file = file.display();
        return Err(Error::Invalid(format!(
            "there is no database at '{file}'; was serin ever started like this?"
        )));
    }
    install_default_drivers();
    let failed = |cause| Error::storage(format!("cannot copy '{}'", file.display()), cause);
    let mut connection = AnyConnection::connect(&database.url)
        .await
        .map_err(failed)?;
    let copied = sqlx::query("VACUUM INTO $1").bind(to.to_string_lossy().into_owned());
    let copied = copied.execute(&mut connection).await;
    let closed = connection.close().await;
    copied.map_err(failed)?;
    closed.map_err(failed)?;
    Ok(true)
}

/// Where the embedded database is to lie, and does not yet.
fn free_place(database: &Database) -> Result<PathBuf> {
    let file = embedded(database)?.ok_or_else(|| {
        let told = "the backup holds an embedded database, and database.url is one of PostgreSQL";
        Error::Invalid(told.to_owned())
    })?;
    for end in ["", "-wal", "-shm"] {
        let there = PathBuf::from(format!("{}{end}", file.display()));
        if there.exists() {
            let there = there.display();
            return Err(Error::Invalid(format!(
                "'{there}' is there already; stop serin, and move it away"
            )));
        }
    }
    Ok(file)
}

fn put_back(kept: &Path, file: &Path) -> Result<()> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).map_err(failed("make", parent))?;
    }
    // Who stops here has no half of a database.
    let unfinished = PathBuf::from(format!("{}-restored", file.display()));
    fs::copy(kept, &unfinished).map_err(failed("write", &unfinished))?;
    fs::rename(&unfinished, file).map_err(failed("write", file))
}

/// The file of SQLite.
fn embedded(database: &Database) -> Result<Option<PathBuf>> {
    if !database.url.starts_with("sqlite:") {
        return Ok(None);
    }
    let options = SqliteConnectOptions::from_str(&database.url);
    let options = options.map_err(|cause| Error::storage("cannot read database.url", cause))?;
    Ok(Some(options.get_filename().to_owned()))
}

async fn copy(
    from: &dyn ObjectStore,
    to: &dyn ObjectStore,
    group: &str,
    left_out: &mut Vec<String>,
) -> Result<usize> {
    let mut count = 0;
    for entry in from.list(&format!("{group}/")).await? {
        match from.get(&entry.key).await {
            Ok(Some(body)) => {
                to.put(&entry.key, body).await?;
                count += 1;
            }
            // What went meanwhile is no loss.
            Ok(None) => {}
            // A store that is away has no other document either.
            Err(error @ Error::Unavailable(_)) => return Err(error),
            Err(error) => left_out.push(error.to_string()),
        }
    }
    Ok(count)
}

/// Where the documents of an account lie in a backup.
fn kept(folder: &Path, account: &str) -> Result<FileStore> {
    FileStore::open(&FileAccount {
        directory: folder.join(DOCUMENTS).join(escaped(account).to_string()),
        root_folder: "objects".to_owned(),
    })
}

fn refuse_unknown(documents: &Path, stores: &[&Account]) -> Result<()> {
    let Ok(folders) = fs::read_dir(documents) else {
        return Ok(());
    };
    let names: Vec<String> = stores
        .iter()
        .map(|it| escaped(&it.name).to_string())
        .collect();
    for folder in folders.flatten() {
        let name = folder.file_name().to_string_lossy().into_owned();
        if !names.contains(&name) {
            let known = names.join(", ");
            return Err(Error::Invalid(format!(
                "the backup has documents of the account '{name}', which is not in the configuration; stores there are {known}"
            )));
        }
    }
    Ok(())
}

fn is_store(account: &Account) -> bool {
    account.store.as_ref().is_some_and(Store::is_lasting)
}

fn store(config: &Config, account: &Account) -> Result<Arc<dyn ObjectStore>> {
    let store = objects::open(account, config.storage.max_object_bytes)?;
    store.ok_or_else(|| Error::Internal(format!("'{}' is no store", account.name)))
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let told = format!("cannot {what} '{}'", path.display());
    move |cause| Error::storage(told, cause)
}
