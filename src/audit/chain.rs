//! A chain of rows: each has the hash of the row before and of itself.

use std::fmt::{self, Write};

use sha2::{Digest, Sha256};

use super::Entry;

/// One deed in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub chain: String,
    /// From 1.
    pub number: i64,
    /// Epoch milliseconds.
    pub at: i64,
    pub who: String,
    pub proof: String,
    /// Empty where it is not known.
    pub address: String,
    pub request_id: String,
    pub deed: String,
    pub kind: String,
    pub id: String,
    pub application: String,
    pub outcome: String,
    /// An object of JSON, to the letter.
    pub details: String,
    /// SHA-256 in hexadecimal digits.
    pub hash: String,
}

/// The end of a chain, or any place in it: what the next row hangs on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// 0 before the first.
    pub number: i64,
    /// Empty before the first.
    pub hash: String,
}

/// The row of a deed that comes after `last`.
pub fn link(chain: &str, last: &Link, entry: &Entry) -> Row {
    let address = entry.by.address.map(|address| address.to_string());
    let mut row = Row {
        chain: chain.to_owned(),
        number: last.number + 1,
        at: entry.at,
        who: super::short(entry.by.name.clone()),
        proof: entry.by.proof.to_owned(),
        address: address.unwrap_or_default(),
        request_id: entry.request.clone(),
        deed: entry.deed.as_str().to_owned(),
        kind: entry.what.as_str().to_owned(),
        id: entry.id.clone(),
        application: entry.application.clone(),
        outcome: entry.outcome().to_owned(),
        details: entry.details.clone(),
        hash: String::new(),
    };
    row.hash = row.hash_after(&last.hash);
    row
}

impl Row {
    pub fn link(&self) -> Link {
        Link {
            number: self.number,
            hash: self.hash.clone(),
        }
    }

    /// Each text with its length before it, so that no two rows have the same bytes.
    fn hash_after(&self, previous: &str) -> String {
        let (number, at) = (self.number.to_string(), self.at.to_string());
        let texts = [
            previous,
            &self.chain,
            &number,
            &at,
            &self.who,
            &self.proof,
            &self.address,
            &self.request_id,
            &self.deed,
            &self.kind,
            &self.id,
            &self.application,
            &self.outcome,
            &self.details,
        ];
        let mut digest = Sha256::new();
        for text in texts {
            digest.update(format!("{}:", text.len()));
            digest.update(text);
            digest.update(",");
        }
        let digest = digest.finalize();
        digest
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    }
}

/// The first row of a chain that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing(i64),
    /// It is not what hangs on the row before.
    Changed(i64),
    /// It is not in its place: another row has its number already.
    Twice(i64),
}

impl Fault {
    pub fn number(&self) -> i64 {
        match self {
            Self::Missing(number) | Self::Changed(number) | Self::Twice(number) => *number,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(number) => write!(f, "row {number} is missing"),
            Self::Changed(number) => write!(f, "row {number} is not as it was written"),
            Self::Twice(number) => write!(f, "row {number} is there twice"),
        }
    }
}

/// Goes along a chain, row by row.
#[derive(Clone, Debug, Default)]
pub struct Walk {
    last: Link,
}

impl Walk {
    /// The next row is the one after that.
    pub fn after(last: Link) -> Self {
        Self { last }
    }

    pub fn last(&self) -> &Link {
        &self.last
    }

    /// # Errors
    /// What is wrong with it, or with what should stand before it.
    pub fn take(&mut self, row: &Row) -> Result<(), Fault> {
        let next = self.last.number + 1;
        if row.number < next {
            return Err(Fault::Twice(row.number));
        }
        if next < row.number {
            return Err(Fault::Missing(next));
        }
        if row.hash_after(&self.last.hash) != row.hash {
            return Err(Fault::Changed(row.number));
        }
        self.last = row.link();
        Ok(())
    }

    /// # Errors
    /// Where the chain ends before `end`, or with another row.
    pub fn end(&self, end: &Link) -> Result<(), Fault> {
        if self.last.number < end.number {
            return Err(Fault::Missing(self.last.number + 1));
        }
        if self.last == *end {
            return Ok(());
        }
        Err(Fault::Changed(self.last.number))
    }
}
