//! How commands for pipelines end: a bad canary can be told from a tool that does not work.

use std::fmt;
use std::process::ExitCode;

use super::client::Failure;
use super::tell;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Pass,
    Fail,
    Marginal,
    /// What was measured cannot carry a verdict.
    Inconclusive,
    /// What was typed, or a file that it names, is wrong; as in `sysexits.h`.
    Usage,
    /// Something that is needed does not answer, or could not do its work; as in `sysexits.h`.
    Unavailable,
    /// By Ctrl-C, as shells tell it.
    Interrupted,
}

impl Exit {
    pub const fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Marginal => 2,
            Self::Inconclusive => 3,
            Self::Usage => 64,
            Self::Unavailable => 69,
            Self::Interrupted => 130,
        }
    }

    /// What kept a command from its work: its reader, or something else.
    pub fn of(error: &anyhow::Error) -> Self {
        let is_usage = error.chain().any(|cause| {
            let refused = cause.downcast_ref::<Failure>();
            cause.is::<Usage>() || refused.is_some_and(Failure::is_clients_fault)
        });
        if is_usage {
            Self::Usage
        } else {
            Self::Unavailable
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// What the person who typed can mend.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Of what could not even begin: 1 would be a bad canary.
pub fn or_unavailable(code: anyhow::Result<ExitCode>) -> ExitCode {
    code.unwrap_or_else(|error| told(Err(error)))
}

/// The end of a command whose exit code says what kept it from its work.
pub fn told(result: anyhow::Result<Exit>) -> ExitCode {
    result
        .unwrap_or_else(|error| {
            tell::failed(&error);
            Exit::of(&error)
        })
        .into()
}
