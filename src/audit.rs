//! The record of deeds: who did what, when and to what, in chains that show whether a row was changed.
//!
//! Pure: `storage` writes it, `app.record` is asked to.

mod chain;
mod change;
mod line;
pub mod request;

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::access::{Caller, Proof};
use crate::canary::Kind;
pub use chain::{Fault, Link, Row, Walk, link};
pub use change::{Change, changes};
pub use line::{Line, read};

macro_rules! deeds {
    ($($(#[$doc:meta])* $deed:ident $name:literal,)+) => {
        /// What can be done.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Deed {
            $($(#[$doc])* $deed,)+
        }

        impl Deed {
            pub const ALL: &[Self] = &[$(Self::$deed,)+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$deed => $name,)+
                }
            }
        }
    };
}

deeds! {
    /// A chain begins; it tells how far the others were.
    Opened "opened",
    Started "started",
    Canceled "canceled",
    AcceptedByHand "acceptedByHand",
    Repeated "repeated",
    ConfigCreated "configCreated",
    ConfigChanged "configChanged",
    ConfigDeleted "configDeleted",
    Pinned "pinned",
    Unpinned "unpinned",
    ArchiveWritten "archiveWritten",
    /// Something was stored by hand that is no config, archive or calibration.
    Stored "stored",
    Deleted "deleted",
    RetentionRun "retentionRun",
    AccountRemoved "accountRemoved",
    WorkStopped "workStopped",
    WorkResumed "workResumed",
    CalibrationStarted "calibrationStarted",
    CalibrationCanceled "calibrationCanceled",
    CalibrationDeleted "calibrationDeleted",
    LearnedStored "learnedStored",
    LearnedDeleted "learnedDeleted",
    /// What an execution found has others called.
    ActionsSet "actionsSet",
    /// Somebody was not let in, or not allowed to.
    Refused "refused",
}

impl Deed {
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|deed| deed.as_str() == word)
    }
}

/// What kind of thing something was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Canary,
    Analysis,
    Comparison,
    Config,
    MetricSetList,
    MetricSetPairList,
    Calibration,
    Learned,
    Account,
    Replica,
    Chain,
    /// A method and a path.
    Request,
}

impl What {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "canary",
            Self::Analysis => "analysis",
            Self::Comparison => "comparison",
            Self::Config => "config",
            Self::MetricSetList => "metricSetList",
            Self::MetricSetPairList => "metricSetPairList",
            Self::Calibration => "calibration",
            Self::Learned => "learnedMargins",
            Self::Account => "account",
            Self::Replica => "replica",
            Self::Chain => "chain",
            Self::Request => "request",
        }
    }
}

impl From<Kind> for What {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Canary => Self::Canary,
            Kind::Analysis => Self::Analysis,
            Kind::Comparison => Self::Comparison,
        }
    }
}

/// Bytes of the details of a deed; those of a config are as large as it is.
const MOST_DETAILS: usize = 16 * 1024;

/// Bytes of each of the texts that a client may have made up.
const MOST_TEXT: usize = 1024;

/// Who does it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct By {
    pub name: String,
    pub proof: &'static str,
    pub address: Option<IpAddr>,
}

impl By {
    /// Nobody asked for it.
    pub fn serin() -> Self {
        Self {
            name: "serin".to_owned(),
            proof: "none",
            address: None,
        }
    }
}

impl From<&Caller> for By {
    fn from(caller: &Caller) -> Self {
        let identity = caller.identity();
        let proof = match identity.proof {
            Proof::None => "none",
            Proof::Token => "token",
            Proof::Issuer => "issuer",
            Proof::Login => "login",
            Proof::Proxy => "proxy",
            Proof::Certificate => "certificate",
        };
        Self {
            name: caller.name().to_owned(),
            proof,
            address: identity.address.map(|address| address.to_canonical()),
        }
    }
}

/// One deed, as it is told before it has its place in a chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub by: By,
    pub deed: Deed,
    pub what: What,
    pub id: String,
    pub application: String,
    /// Of the request that asked for it, if one did.
    pub request: String,
    pub details: String,
    /// Epoch milliseconds; set by whoever writes it down.
    pub at: i64,
    /// Whether it came to its end: not where who asked went away meanwhile.
    pub is_ended: bool,
}

impl Entry {
    pub fn new(by: impl Into<By>, deed: Deed, what: What, id: impl Into<String>) -> Self {
        let (mut by, asked) = (by.into(), request::asked().unwrap_or_default());
        if by != By::serin() {
            by.address = by.address.or(asked.address);
        }
        Self {
            by,
            deed,
            what,
            id: short(id.into()),
            application: String::new(),
            request: short(asked.id),
            details: "{}".to_owned(),
            at: 0,
            is_ended: true,
        }
    }

    /// Of which application it is.
    #[must_use]
    pub fn of(mut self, application: impl Into<String>) -> Self {
        self.application = short(application.into());
        self
    }

    /// An object of JSON; what is too long is left out and said to be.
    #[must_use]
    pub fn with(mut self, details: &Value) -> Self {
        let text = details.to_string();
        self.details = if text.len() <= MOST_DETAILS {
            text
        } else {
            json!({"leftOutBytes": text.len()}).to_string()
        };
        self
    }

    /// What a config was before, and what changed: each earlier version is the `before` of the change
    /// that ended it.
    #[must_use]
    pub fn changing(mut self, before: Option<&Value>, after: Option<&Value>) -> Self {
        let diff = json_patch::diff(
            before.unwrap_or(&Value::Null),
            after.unwrap_or(&Value::Null),
        );
        self.details = json!({"before": before, "diff": diff}).to_string();
        self
    }

    pub fn outcome(&self) -> &'static str {
        match self.deed {
            Deed::Refused => "refused",
            _ if self.is_ended => "done",
            _ => "unknown",
        }
    }
}

/// No longer than a row may hold of it, and without what a database does not keep.
fn short(text: String) -> String {
    let text = if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    };
    match text.char_indices().find(|(at, _)| MOST_TEXT <= *at) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
