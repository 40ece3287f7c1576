//! The record of deeds: written down, exported, forgotten when it is old, and looked through for a row
//! that is not as it was written.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::index::{ChainRow, DeedPlace, DeedSearch, Index};
use super::outbox::millis;
use super::{Storage, group};
use crate::audit::{self, Deed, Entry, Fault, Link, Row, Walk};
use crate::canary::iso_from_millis;
use crate::error::{Error, Result};

/// The name of this work among the chores of the fleet.
const CHORE: &str = "audit";

/// Rows that are read at once: what a config was may be large.
const AT_ONCE: i64 = 16;

/// An object that has so many bytes takes no further row.
const ENOUGH: usize = 1 << 20;

/// A chain that was looked through.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckedChain {
    pub chain: String,
    /// Where it lies: `database` or `store`.
    pub place: &'static str,
    /// The numbers of the rows that are whole: from that one,
    pub from: i64,
    /// up to that one.
    pub to: i64,
    /// What is wrong with the next one, or with the chain.
    pub fault: Option<String>,
}

/// A chain that another one saw as it began.
#[derive(Debug, Deserialize)]
struct Seen {
    chain: String,
    number: i64,
    hash: String,
}

#[derive(Debug, Deserialize)]
struct Opened {
    #[serde(default)]
    others: Vec<Seen>,
}

/// What is being done. It is recorded even if who asked for it goes away meanwhile.
pub(super) struct Doing {
    index: Index,
    pub entry: Option<Entry>,
}

impl Doing {
    /// It is recorded, or was not done.
    pub fn end(mut self) -> Option<Entry> {
        self.entry.take()
    }
}

impl Drop for Doing {
    fn drop(&mut self) {
        let Some(mut entry) = self.entry.take() else {
            return;
        };
        entry.is_ended = false;
        let index = self.index.clone();
        tokio::spawn(async move {
            if let Err(error) = index.record(&entry).await {
                let (deed, id) = (entry.deed.as_str(), entry.id);
                tracing::error!(deed, id, %error, "a deed is not recorded");
            }
        });
    }
}

impl Storage {
    /// Writes a deed down: durable when it returns.
    pub async fn record(&self, entry: Entry) -> Result<()> {
        let (index, entry) = (self.index.clone(), self.now(entry));
        // To its end, even if nobody waits for it any more.
        let written = tokio::spawn(async move { index.record(&entry).await });
        let written = written.await;
        written.map_err(|cause| Error::Internal(format!("cannot record a deed: {cause}")))??;
        self.index.durable().await
    }

    /// Does something and writes it down, unless it could not be done.
    pub async fn recorded<T>(
        &self,
        entry: Entry,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let doing = self.doing(entry);
        let done = work.await;
        let entry = doing.end();
        let done = done?;
        if let Some(entry) = entry {
            self.record(entry).await?;
        }
        Ok(done)
    }

    pub(super) fn doing(&self, entry: Entry) -> Doing {
        Doing {
            index: self.index.clone(),
            entry: Some(self.now(entry)),
        }
    }

    pub(super) fn now(&self, entry: Entry) -> Entry {
        Entry {
            at: self.clock.now_millis(),
            ..entry
        }
    }

    /// Newest first; details that are long are left out.
    pub async fn deeds(
        &self,
        search: &DeedSearch<'_>,
        after: Option<&DeedPlace>,
        limit: i64,
    ) -> Result<Vec<Row>> {
        self.index.deeds(search, after, limit).await
    }

    /// One row, with all its details.
    ///
    /// # Errors
    /// `NotFound` when there is none, or it has been forgotten.
    pub async fn deed(&self, chain: &str, number: i64) -> Result<Row> {
        let row = self.index.deed(chain, number).await?;
        row.ok_or_else(|| Error::NotFound(format!("the record has no row {number} of '{chain}'")))
    }

    /// What is kept of every chain, the oldest first.
    pub async fn chains(&self) -> Result<Vec<ChainRow>> {
        self.index.chains().await
    }

    /// Lines of a chain in their order, after that row.
    pub async fn lines(&self, chain: &str, after: &Link) -> Result<(Vec<Bytes>, Link)> {
        let mut last = after.clone();
        let mut lines = Vec::new();
        for row in self.index.chain_rows(chain, last.number, AT_ONCE).await? {
            lines.push(line(&row, &last.hash)?);
            last = row.link();
        }
        Ok((lines, last))
    }

    /// One replica's pass over all chains, once in a while: what is new is exported, what is old forgotten.
    pub(super) async fn keep_record(&self) -> Result<()> {
        let now = self.clock.now_millis();
        let next = now.saturating_add(millis(self.audit.export_every));
        if !self.index.take_chore(CHORE, now, next).await? {
            return Ok(());
        }
        self.keep_record_now().await
    }

    async fn keep_record_now(&self) -> Result<()> {
        for chain in self.index.chains().await? {
            // One that somebody changed keeps no other from the store.
            if let Err(error) = self.keep_chain(&chain).await {
                let chain = chain.chain;
                tracing::warn!(chain, %error, "cannot export a chain of the record; trying again later");
            }
        }
        Ok(())
    }

    async fn keep_chain(&self, chain: &ChainRow) -> Result<()> {
        // Without a store there is nothing to wait for.
        let exported = match self.default_store() {
            Some(account) => self.export(account, chain).await?,
            None => i64::MAX,
        };
        let until = self.clock.now_millis() - millis(self.audit.keep);
        if until <= chain.begun_at || chain.anchor == chain.last {
            return Ok(());
        }
        let mut chain = chain.clone();
        while let Some(anchor) = self.index.prune(&chain, until, exported).await? {
            chain.anchor = anchor;
        }
        Ok(())
    }

    /// Puts what is new of a chain into the store. The number of the last row that lies there.
    async fn export(&self, account: &str, chain: &ChainRow) -> Result<i64> {
        let mut exported = chain.exported;
        if exported == chain.last.number {
            return Ok(exported);
        }
        let mut last = self.link_of(chain, exported).await?;
        if last.number < exported {
            return Err(Error::Internal(format!(
                "its row {exported}, which was exported last, is missing"
            )));
        }
        let mut object: Option<Object> = None;
        loop {
            let rows = self
                .index
                .chain_rows(&chain.chain, last.number, AT_ONCE)
                .await?;
            let is_end = rows.is_empty();
            for row in rows {
                let day = day_of(row.at);
                if let Some(full) = object.take_if(|object| object.is_full_for(&day)) {
                    exported = self.put_exported(account, &chain.chain, full).await?;
                }
                let object = object.get_or_insert_with(|| Object::new(day, row.number));
                object.lines.extend_from_slice(&line(&row, &last.hash)?);
                object.last = row.number;
                last = row.link();
            }
            if is_end {
                break;
            }
        }
        if let Some(object) = object {
            exported = self.put_exported(account, &chain.chain, object).await?;
        }
        Ok(exported)
    }

    async fn put_exported(&self, account: &str, chain: &str, object: Object) -> Result<i64> {
        let key = format!(
            "{}/{}/{chain}-{:010}.jsonl",
            group::AUDIT,
            object.day,
            object.first
        );
        // Of a time when it was put there and not noted. What else lies there shows what was changed since.
        let there = self.objects(account)?.get(&key).await?;
        let there = there.unwrap_or_default();
        if !object.lines.starts_with(&there) && !there.starts_with(&object.lines) {
            return Err(Error::Internal(format!(
                "'{key}' in the store has other rows than the database"
            )));
        }
        if there.len() < object.lines.len() {
            self.put(account, &key, object.lines.into()).await?;
        }
        self.index.note_exported(chain, object.last).await?;
        Ok(object.last)
    }

    /// A row of a chain that is kept, or the one before the first of those.
    async fn link_of(&self, chain: &ChainRow, number: i64) -> Result<Link> {
        if number <= chain.anchor.number {
            return Ok(chain.anchor.clone());
        }
        let row = self.index.deed(&chain.chain, number).await?;
        Ok(row.map(|row| row.link()).unwrap_or_default())
    }

    /// Looks through every chain in the database, and through what was exported to `store`.
    pub async fn check_record(&self, store: Option<&str>) -> Result<Vec<CheckedChain>> {
        let mut checked = Vec::new();
        let mut seen = Vec::new();
        for chain in self.index.chains().await? {
            checked.push(self.check_chain(&chain, &mut seen).await?);
        }
        let chains = self.index.chains().await?;
        for chain in self.index.lost_chains().await? {
            let told = "the chain has rows, and its own row is missing".to_owned();
            checked.push(CheckedChain::broken(chain, "database", told));
        }
        for (by, seen) in &seen {
            if let Some(fault) = self.missed(&chains, by, seen).await? {
                let known = checked.iter_mut().find(|one| one.chain == seen.chain);
                if let Some(known) = known {
                    known.fault.get_or_insert(fault);
                } else {
                    let chain = seen.chain.clone();
                    checked.push(CheckedChain::broken(chain, "database", fault));
                }
            }
        }
        if let Some(account) = store {
            checked.extend(self.check_exported(account, &chains).await?);
        }
        Ok(checked)
    }

    async fn check_chain(
        &self,
        chain: &ChainRow,
        seen: &mut Vec<(String, Seen)>,
    ) -> Result<CheckedChain> {
        let mut anchor = chain.anchor.clone();
        let mut walk = Walk::after(anchor.clone());
        let fault = loop {
            let number = walk.last().number;
            let rows = self.index.chain_rows(&chain.chain, number, AT_ONCE).await?;
            let found = match rows.iter().try_for_each(|row| walk.take(row)) {
                Ok(()) if rows.is_empty() => {
                    let now = self.chain_now(chain).await?;
                    walk.end(&now.last).map(|()| true)
                }
                taken => taken.map(|()| false),
            };
            for row in rows.iter().filter(|row| row.deed == Deed::Opened.as_str()) {
                let opened: Option<Opened> = serde_json::from_str(&row.details).ok();
                let others = opened.into_iter().flat_map(|opened| opened.others);
                seen.extend(others.map(|other| (chain.chain.clone(), other)));
            }
            match found {
                Ok(true) => break None,
                Ok(false) => {}
                Err(fault) => {
                    // Meanwhile rows may have been added, or forgotten.
                    let now = self.chain_now(chain).await?;
                    let is_behind = matches!(fault, Fault::Missing(number) if self
                        .index
                        .deed(&chain.chain, number)
                        .await?
                        .is_some());
                    if now.anchor != anchor {
                        anchor = now.anchor;
                        walk = Walk::after(anchor.clone());
                    } else if !is_behind {
                        break Some(fault.to_string());
                    }
                }
            }
        };
        Ok(CheckedChain {
            chain: chain.chain.clone(),
            place: "database",
            from: anchor.number + 1,
            to: walk.last().number,
            fault,
        })
    }

    async fn chain_now(&self, chain: &ChainRow) -> Result<ChainRow> {
        let chains = self.index.chains().await?;
        let now = chains.into_iter().find(|now| now.chain == chain.chain);
        Ok(now.unwrap_or_else(|| chain.clone()))
    }

    /// What another chain saw of one as it began, and is no longer there.
    async fn missed(&self, chains: &[ChainRow], by: &str, seen: &Seen) -> Result<Option<String>> {
        let Some(chain) = chains.iter().find(|chain| chain.chain == seen.chain) else {
            let told = format!("the chain is missing, which the chain '{by}' saw as it began");
            return Ok(Some(told));
        };
        if seen.number < chain.anchor.number {
            return Ok(None);
        }
        let link = self.link_of(chain, seen.number).await?;
        Ok((link.hash != seen.hash).then(|| {
            let number = seen.number;
            format!("row {number} is not the one that the chain '{by}' saw as it began")
        }))
    }

    async fn check_exported(
        &self,
        account: &str,
        chains: &[ChainRow],
    ) -> Result<Vec<CheckedChain>> {
        let mut keys: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let objects = self.objects(account)?;
        for entry in objects.list(&format!("{}/", group::AUDIT)).await? {
            let file = entry.key.rsplit('/').next().unwrap_or_default();
            let named = file.strip_suffix(".jsonl");
            if let Some((chain, number)) = named.and_then(|name| name.rsplit_once('-')) {
                let of_chain = keys.entry(chain.to_owned()).or_default();
                of_chain.insert(number.to_owned(), entry.key);
            }
        }
        let mut checked = Vec::new();
        for (chain, keys) in keys {
            let mut walk: Option<Walk> = None;
            let mut from = 0;
            let mut fault = None;
            'objects: for key in keys.values() {
                let body = objects.get(key).await?.unwrap_or_default();
                for text in body
                    .split(|byte| *byte == b'\n')
                    .filter(|it| !it.is_empty())
                {
                    let Ok((before, row)) = audit::read(text) else {
                        fault = Some(format!("'{key}' has a line that cannot be read"));
                        break 'objects;
                    };
                    if walk.is_none() {
                        from = row.number;
                    }
                    let walk = walk.get_or_insert_with(|| Walk::after(before));
                    if let Err(wrong) = walk.take(&row) {
                        fault = Some(format!("{wrong} ('{key}')"));
                        break 'objects;
                    }
                }
            }
            let last = walk.map(|walk| walk.last().clone()).unwrap_or_default();
            let known = chains.iter().find(|known| known.chain == chain);
            if let (None, Some(known)) = (&fault, known) {
                fault = self.differs(known, &last).await?;
            }
            checked.push(CheckedChain {
                chain,
                place: "store",
                from,
                to: last.number,
                fault,
            });
        }
        Ok(checked)
    }

    /// How the database differs from what was exported last.
    async fn differs(&self, chain: &ChainRow, exported: &Link) -> Result<Option<String>> {
        if exported.number < chain.anchor.number {
            let (next, last) = (exported.number + 1, chain.anchor.number);
            let told =
                format!("rows {next} to {last} are neither in the store nor in the database");
            return Ok(Some(told));
        }
        let link = self.link_of(chain, exported.number).await?;
        Ok((link != *exported).then(|| {
            let number = exported.number;
            format!("row {number} is not the same in the store and in the database")
        }))
    }
}

impl CheckedChain {
    fn broken(chain: String, place: &'static str, fault: String) -> Self {
        Self {
            chain,
            place,
            from: 1,
            to: 0,
            fault: Some(fault),
        }
    }
}

/// What is exported together: of one day.
struct Object {
    day: String,
    first: i64,
    last: i64,
    lines: Vec<u8>,
}

impl Object {
    fn new(day: String, first: i64) -> Self {
        Self {
            day,
            first,
            last: first,
            lines: Vec::new(),
        }
    }

    fn is_full_for(&self, day: &str) -> bool {
        self.day != day || ENOUGH <= self.lines.len()
    }
}

fn day_of(millis: i64) -> String {
    iso_from_millis(millis).chars().take(10).collect()
}

fn line(row: &Row, previous: &str) -> Result<Bytes> {
    let mut text = super::to_bytes(&row.line(Some(previous))?)?.to_vec();
    text.push(b'\n');
    Ok(text.into())
}
