//! What is wrong with an answer that came.

/// A reason may have any text of the answer in it.
const LONGEST_REASON: usize = 200;

/// Why an answer cannot be read.
#[derive(Debug, PartialEq)]
pub enum Wrong {
    /// In words that need no more: those of the server, or of a bound.
    Told(String),
    /// It is another thing.
    Other { why: String, beginning: Vec<u8> },
}

impl Wrong {
    pub fn other(body: &[u8], why: &str) -> Self {
        let end = why.floor_char_boundary(LONGEST_REASON);
        let cut = if end < why.len() { "…" } else { "" };
        Self::Other {
            why: format!("{}{cut}", &why[..end]),
            beginning: beginning(body).to_vec(),
        }
    }
}

/// More than is shown of an answer, as secrets are taken out of it first.
pub fn beginning(body: &[u8]) -> &[u8] {
    &body[..body.len().min(1 << 10)]
}
