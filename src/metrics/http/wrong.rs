//! What is wrong with an answer that came.

use crate::budget::Refused;

/// Why an answer cannot be read.
#[derive(Debug, PartialEq)]
pub enum Wrong {
    /// In words that need no more: those of the server, or of a bound.
    Told(String),
    /// It is another thing.
    Other { why: String, beginning: Vec<u8> },
    /// What it holds takes more memory than there is for it.
    NoMemory(Refused),
}

impl Wrong {
    pub fn other(body: &[u8], why: impl Into<String>) -> Self {
        Self::Other {
            why: why.into(),
            beginning: beginning(body).to_vec(),
        }
    }
}

impl From<String> for Wrong {
    fn from(told: String) -> Self {
        Self::Told(told)
    }
}

impl From<Refused> for Wrong {
    fn from(refused: Refused) -> Self {
        Self::NoMemory(refused)
    }
}

/// Far more than is shown of an answer: secrets are taken out of it first, and no header is as long.
pub fn beginning(body: &[u8]) -> &[u8] {
    &body[..body.len().min(64 << 10)]
}
