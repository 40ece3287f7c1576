//! A row as a line of JSON: in the log, in objects of the store, in the answers of the API.

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use utoipa::ToSchema;

use super::{Link, Row};
use crate::canary::iso_from_millis;
use crate::error::{Error, Result};

/// What was done, by whom, when and to what.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The process that recorded it.
    pub chain: String,
    /// Counts what it recorded, from 1.
    #[schema(example = 12)]
    pub number: i64,
    /// Epoch milliseconds.
    #[schema(example = 1_764_000_000_000_i64)]
    pub timestamp: i64,
    pub timestamp_iso: String,
    #[schema(example = "token:ci")]
    pub who: String,
    /// How it was shown: `none`, `token`, `issuer`, `login`, `proxy` or `certificate`.
    pub proof: String,
    /// Where the request came from.
    pub address: String,
    /// The `x-request-id` of the request.
    pub request_id: String,
    #[schema(example = "configChanged")]
    pub deed: String,
    /// What it was done to.
    #[schema(example = "config")]
    pub kind: String,
    pub id: String,
    pub application: String,
    /// `done`, `refused`, or `unknown`: who asked went away before it was done.
    pub outcome: String,
    /// Of a config: what it was `before`, and the `diff` (RFC 6902) to what it became.
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    pub details: Box<RawValue>,
    /// Of the row before in the chain; only where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// SHA-256 of the row before and of this one.
    pub hash: String,
}

impl Row {
    /// `previous`: the hash of the row before, where it is known.
    ///
    /// # Errors
    /// `Internal` when the details cannot be written.
    pub fn line(&self, previous: Option<&str>) -> Result<Line> {
        // What somebody changed into no JSON is told as a text, and found by its hash.
        let details = RawValue::from_string(self.details.clone())
            .or_else(|_| to_raw_value(&self.details))
            .map_err(|cause| Error::Internal(format!("the details of a deed: {cause}")))?;
        Ok(Line {
            chain: self.chain.clone(),
            number: self.number,
            timestamp: self.at,
            timestamp_iso: iso_from_millis(self.at),
            who: self.who.clone(),
            proof: self.proof.clone(),
            address: self.address.clone(),
            request_id: self.request_id.clone(),
            deed: self.deed.clone(),
            kind: self.kind.clone(),
            id: self.id.clone(),
            application: self.application.clone(),
            outcome: self.outcome.clone(),
            details,
            previous: previous.map(str::to_owned),
            hash: self.hash.clone(),
        })
    }
}

/// A row of an exported line, and what it hangs on.
///
/// # Errors
/// `Invalid` when it is no such line.
pub fn read(line: &[u8]) -> Result<(Link, Row)> {
    let line: Line = serde_json::from_slice(line)
        .map_err(|cause| Error::Invalid(format!("this is no line of a record: {cause}")))?;
    let before = Link {
        number: line.number - 1,
        hash: line.previous.unwrap_or_default(),
    };
    let row = Row {
        chain: line.chain,
        number: line.number,
        at: line.timestamp,
        who: line.who,
        proof: line.proof,
        address: line.address,
        request_id: line.request_id,
        deed: line.deed,
        kind: line.kind,
        id: line.id,
        application: line.application,
        outcome: line.outcome,
        details: line.details.get().to_owned(),
        hash: line.hash,
    };
    Ok((before, row))
}
