//! Documents from one account into another, byte for byte and under the same keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;

use super::objects::{self, ObjectEntry, ObjectStore};
use super::{Storage, group};
use crate::config::{Account, Config, SQL, Store, sql_account};
use crate::error::{Error, Result};

/// Copied whole; pair lists only where an archive refers to them. Pins go ahead of what they keep:
/// a serin may be at work on the target.
const WHOLE_GROUPS: [&str; 4] = [
    group::PINS,
    group::CANARY_CONFIG,
    group::CANARY_ARCHIVE,
    group::STANDALONE_CANARY_ARCHIVE,
];

/// The name of this work among the chores of the fleet, where it is done again and again.
const CHORE: &str = "data-migration";

/// Documents that are copied at once.
const COPIES: usize = 16;

/// Two stores, and what may be done to the second.
pub struct Import {
    from: Arc<dyn ObjectStore>,
    to: Arc<dyn ObjectStore>,
    mode: Mode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Copy,
    /// Reads and compares only.
    DryRun,
    /// Copies what the target has nothing of, and looks at nothing else: for who comes again and again.
    Missing,
}

/// What an import tells while it goes on.
#[derive(Debug)]
pub enum Event<'a> {
    /// A group follows, with so many documents.
    Group {
        name: &'a str,
        documents: usize,
    },
    Document {
        key: &'a str,
        outcome: &'a Outcome,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target had none.
    Copied,
    /// The target had an older one.
    Replaced,
    /// The target had it already.
    Equal,
    /// The target has another one that is not older; it stays.
    Kept,
    /// The source has none: it went meanwhile, or an archive refers to pairs that are gone.
    Missing,
    Failed(String),
}

/// How many documents came to which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub copied: usize,
    pub replaced: usize,
    pub equal: usize,
    pub kept: usize,
    pub missing: usize,
    pub failed: usize,
}

impl Import {
    /// # Errors
    /// `Invalid` when the accounts are not two stores that outlive this process, and where nothing can be put into
    /// the second.
    pub fn open(config: &Config, from: &str, to: &str, mode: Mode) -> Result<Self> {
        let (from, to) = (store(config, from)?, store(config, to)?);
        let refused = if from.name == to.name {
            Some("cannot be imported into itself")
        } else if to.store.as_ref().is_some_and(Store::is_only_read) {
            Some("is only read")
        } else {
            None
        };
        if let Some(why) = refused {
            let (name, known) = (&to.name, known(config));
            return Err(Error::Invalid(format!("'{name}' {why}; {known}")));
        }
        let open = |account: &Account| {
            objects::open(account, config.storage.max_object_bytes)?
                .ok_or_else(|| Error::Internal(format!("'{}' is no store", account.name)))
        };
        Ok(Self {
            from: open(&from)?,
            to: open(&to)?,
            mode,
        })
    }

    /// Copies what the target lacks or has older, and checks what it wrote by reading it again.
    /// One document that fails does not keep the others.
    ///
    /// # Errors
    /// When one of the stores cannot be listed.
    pub async fn run(&self, mut tell: impl FnMut(Event<'_>)) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut referred = BTreeSet::new();
        for group in WHOLE_GROUPS {
            let sources = folders(self.from.as_ref(), group).await?;
            self.copy_group(group, sources, &mut tally, &mut referred, &mut tell)
                .await?;
        }
        let group = group::METRIC_SET_PAIRS;
        let mut sources = folders(self.from.as_ref(), group).await?;
        // Who does not read all archives does not know which pairs they have.
        if self.mode != Mode::Missing {
            sources.retain(|folder, _| referred.contains(folder));
        }
        for folder in &referred {
            if !sources.contains_key(folder) {
                tally.note(folder, &Outcome::Missing, &mut tell);
            }
        }
        self.copy_group(group, sources, &mut tally, &mut BTreeSet::new(), &mut tell)
            .await?;
        Ok(tally)
    }

    async fn copy_group(
        &self,
        group: &str,
        sources: Folders,
        tally: &mut Tally,
        referred: &mut BTreeSet<String>,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<()> {
        tell(Event::Group {
            name: group,
            documents: sources.len(),
        });
        let targets = folders(self.to.as_ref(), group).await?;
        let none = Vec::new();
        let mut copies = futures::stream::iter(sources)
            .map(|(folder, entries)| {
                let there = targets.get(&folder).unwrap_or(&none);
                async move {
                    let copied = self.copy(&entries[0], there).await;
                    (entries, copied)
                }
            })
            .buffer_unordered(COPIES);
        while let Some((entries, copied)) = copies.next().await {
            let key = &entries[0].key;
            let ended = copied.and_then(|(outcome, body)| {
                referred.extend(pair_lists(group, &body)?);
                Ok(outcome)
            });
            let outcome = ended.unwrap_or_else(|error| Outcome::Failed(in_full(&error)));
            tally.note(key, &outcome, tell);
        }
        Ok(())
    }

    /// Brings the document of a folder into the target; its bytes are those of the source.
    async fn copy(&self, entry: &ObjectEntry, there: &[ObjectEntry]) -> Result<(Outcome, Bytes)> {
        if self.mode == Mode::Missing && !there.is_empty() {
            return Ok((Outcome::Kept, Bytes::new()));
        }
        let Some(body) = self.from.get(&entry.key).await? else {
            return Ok((Outcome::Missing, Bytes::new()));
        };
        let outcome = match there.first() {
            None => Outcome::Copied,
            Some(other) if other.key == entry.key && self.has(&other.key, &body).await? => {
                Outcome::Equal
            }
            Some(other) if entry.updated_millis <= other.updated_millis => Outcome::Kept,
            Some(_) => Outcome::Replaced,
        };
        if self.mode != Mode::DryRun && matches!(outcome, Outcome::Copied | Outcome::Replaced) {
            self.to.put(&entry.key, body.clone()).await?;
            if !self.has(&entry.key, &body).await? {
                let message = "what comes back is not what was written".to_owned();
                return Ok((Outcome::Failed(message), body));
            }
            // A config was renamed: with two files, Kayenta would not find it any more.
            for old in there.iter().filter(|old| old.key != entry.key) {
                self.to.delete(&old.key).await?;
            }
        }
        Ok((outcome, body))
    }

    async fn has(&self, key: &str, body: &Bytes) -> Result<bool> {
        Ok(self.to.get(key).await?.as_ref() == Some(body))
    }
}

impl Storage {
    /// Whether it is this replica's to bring from one account what another lacks; it is due again at `next`.
    pub async fn take_migration(&self, now: i64, next: i64) -> Result<bool> {
        // The first round is due at once.
        self.index.note_chore(CHORE, now).await?;
        self.index.take_chore(CHORE, now, next).await
    }

    /// Whether documents may be brought into an account now. One that lost what the index lists is not filled anew.
    ///
    /// # Errors
    /// `Unavailable` when a disk is nearly full.
    pub async fn check_target(&self, import: &Import, account: &str) -> Result<()> {
        self.check_room(account).await?;
        if self.index.knows_objects(account).await? {
            import.to.expect_objects();
        }
        Ok(())
    }

    pub async fn put_off_migration(&self, due: i64) -> Result<()> {
        self.index.put_off_chore(CHORE, due).await
    }
}

impl Tally {
    fn note(&mut self, key: &str, outcome: &Outcome, tell: &mut impl FnMut(Event<'_>)) {
        let count = match outcome {
            Outcome::Copied => &mut self.copied,
            Outcome::Replaced => &mut self.replaced,
            Outcome::Equal => &mut self.equal,
            Outcome::Kept => &mut self.kept,
            Outcome::Missing => &mut self.missing,
            Outcome::Failed(_) => &mut self.failed,
        };
        *count += 1;
        tell(Event::Document { key, outcome });
    }
}

/// The objects of each folder `<group>/<id>`, the newest first: it is the one that counts.
type Folders = BTreeMap<String, Vec<ObjectEntry>>;

async fn folders(store: &dyn ObjectStore, group: &str) -> Result<Folders> {
    let mut folders = Folders::new();
    for entry in store.list(&format!("{group}/")).await? {
        // The empty objects with which the consoles of buckets show folders are no documents.
        match entry.key.rsplit_once('/') {
            Some((folder, file)) if !file.is_empty() && folder != group => {
                folders.entry(folder.to_owned()).or_default().push(entry);
            }
            _ => {}
        }
    }
    for entries in folders.values_mut() {
        // Of two that are equally old, the later in the listing counts, as everywhere in storage.
        entries.sort_by_key(|entry| entry.updated_millis);
        entries.reverse();
    }
    Ok(folders)
}

/// The folders of the pair lists that an archive refers to.
fn pair_lists(group: &str, body: &Bytes) -> Result<Vec<String>> {
    if ![group::CANARY_ARCHIVE, group::STANDALONE_CANARY_ARCHIVE].contains(&group)
        || body.is_empty()
    {
        return Ok(Vec::new());
    }
    let archive: Value = serde_json::from_slice(body).map_err(|cause| {
        Error::storage(
            "it was copied, but its metric set pairs cannot be found",
            cause,
        )
    })?;
    let runs = archive["canaryAnalysisExecutionResult"]["canaryExecutionResults"].as_array();
    Ok(runs
        .into_iter()
        .flatten()
        .chain([&archive])
        .filter_map(|run| run["metricSetPairListId"].as_str())
        .map(|id| format!("{}/{id}", group::METRIC_SET_PAIRS))
        .collect())
}

/// The account of that name, if its documents outlive the process; Kayenta's tables, where no account is called so.
fn store(config: &Config, name: &str) -> Result<Account> {
    let account = config.accounts.iter().find(|account| account.name == name);
    let why = match account {
        Some(account) if is_store(account) => return Ok(account.clone()),
        Some(Account { store: Some(_), .. }) => {
            "is kept in the memory of a running serin, out of reach for an import"
        }
        Some(_) => "keeps no documents",
        None if name == SQL => match &config.sql {
            Some(sql) => return Ok(sql_account(sql)),
            None => {
                "wants kayenta.sql.enabled: true, and spring.datasource.url at a PostgreSQL that has Kayenta's tables"
            }
        },
        None => "is not in the configuration",
    };
    Err(Error::Invalid(format!(
        "the account '{name}' {why}; {}",
        known(config)
    )))
}

fn is_store(account: &Account) -> bool {
    account.store.as_ref().is_some_and(Store::is_lasting)
}

/// The accounts that can be given.
fn known(config: &Config) -> String {
    let stores = config.accounts.iter().filter(|account| is_store(account));
    let names: Vec<String> = stores
        .map(|account| format!("'{}'", account.name))
        .collect();
    match &names[..] {
        [] => "there is none that can be given".to_owned(),
        names => format!("known are {}", names.join(", ")),
    }
}

/// With the cause, which the log of a service would have.
fn in_full(error: &Error) -> String {
    match error {
        Error::Storage {
            what,
            cause: Some(cause),
        } => format!("{what}: {cause}"),
        error => error.to_string(),
    }
}
