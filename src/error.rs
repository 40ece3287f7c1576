//! Errors, named for what the caller can do.

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is wrong; the message says where, and what would be right.
    #[error("{0}")]
    Invalid(String),

    /// Nobody knows who calls, and not everybody may do this.
    #[error("{0}")]
    Unknown(String),

    /// Who calls is known, and may not do this.
    #[error("{0}")]
    Forbidden(String),

    /// There is nothing of that kind under that id.
    #[error("{0}")]
    NotFound(String),

    /// A metric source did not answer a query, or a remote judge gave no verdict.
    #[error("{0}")]
    Fetch(Box<FetchError>),

    /// A store did not take or give a document.
    #[error("{what}")]
    Storage {
        what: String,
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },

    /// What was to be replaced is no longer what the caller saw.
    #[error("{0}")]
    Changed(String),

    /// Too much waits, or the database is away: the same call may go through later.
    #[error("{0}")]
    Unavailable(String),

    /// An idempotency key came with another request before.
    #[error("{0}")]
    Reused(String),

    /// A defect of serin.
    #[error("{0}")]
    Internal(String),
}

/// What is known of a query that failed.
#[derive(Clone, Debug, Default, thiserror::Error)]
#[error("{}{message}", of_metric(metric.as_deref()))]
pub struct FetchError {
    /// What the other side said, or what kept it from answering.
    pub message: String,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    pub method: String,
    pub url: String,
    pub query: String,
    /// The metrics account, or the judge.
    pub account: String,
    /// What the query is for.
    pub metric: Option<String>,
}

impl Error {
    /// The same, with the name of the metric that could not be fetched.
    #[must_use]
    pub fn of_metric(self, name: Option<&str>) -> Self {
        match self {
            Self::Fetch(fetch) => Self::Fetch(Box::new(FetchError {
                metric: name.map(str::to_owned),
                ..*fetch
            })),
            other => other,
        }
    }

    /// A store that failed, with the cause for the log.
    pub fn storage(
        what: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Storage {
            what: what.into(),
            cause: Some(cause.into()),
        }
    }
}

fn of_metric(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!("metric '{name}': "))
}
