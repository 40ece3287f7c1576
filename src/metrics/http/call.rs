//! What is asked of a source, and how it is sent.

use std::borrow::Cow;

use reqwest::header::HeaderMap;
use url::{Position, Url};

use crate::http::Again;

/// Servers and proxies on the way commonly take at least this much.
const MAX_URL_BYTES: usize = 2_000;

/// What is asked for.
pub struct Call<'a> {
    /// Below the base URL.
    pub path: Cow<'a, str>,
    pub params: Vec<(&'static str, String)>,
    /// Parameters whose names a query has.
    pub named: Cow<'a, [(String, String)]>,
    pub headers: &'static [(&'static str, &'static str)],
    pub sent: Sent,
    /// What is told of it.
    pub query: &'a str,
    pub wanted: Wanted,
    /// Finds out that an answer is a fault, where its service says so in a way of its own.
    pub fault: Option<FaultOf>,
}

/// What an answer says is wrong, by its head and body.
type FaultOf = fn(&HeaderMap, &[u8]) -> Option<Fault>;

/// What a service says is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub told: String,
    pub may_pass: bool,
}

impl Fault {
    pub fn again(&self) -> Again {
        if self.may_pass {
            Again::Later
        } else {
            Again::Never
        }
    }
}

/// How parameters are sent.
#[derive(Clone, Debug)]
pub enum Sent {
    /// In the address.
    Get,
    /// In the address, or as a form where that would be too long.
    GetOrForm,
    /// In the address, beside a body of that content type.
    Post(&'static str, String),
}

/// What an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    Json,
    /// JSON of a service that tells its errors in a plain text.
    JsonOrWords,
    /// A stream of server-sent events.
    Events,
    Anything,
}

impl<'a> Call<'a> {
    /// A GET whose answer is JSON.
    pub fn get(path: impl Into<Cow<'a, str>>) -> Self {
        Self {
            path: path.into(),
            params: Vec::new(),
            named: Cow::Borrowed(&[]),
            headers: &[],
            sent: Sent::Get,
            query: "",
            wanted: Wanted::Json,
            fault: None,
        }
    }

    pub fn fault_of(&self, headers: &HeaderMap, body: &[u8]) -> Option<Fault> {
        self.fault?(headers, body)
    }

    pub fn url(&self, base: &Url) -> Url {
        let mut url = base.clone();
        let path = format!("{}{}", base.path().trim_end_matches('/'), self.path);
        url.set_path(&path);
        if !self.params.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.params);
        }
        if !self.named.is_empty() {
            url.query_pairs_mut().extend_pairs(self.named.iter());
        }
        url
    }
}

pub fn is_long(url: &Url) -> bool {
    MAX_URL_BYTES < url[Position::BeforePath..].len()
}
