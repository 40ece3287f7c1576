//! What commands write: nothing in it steers a terminal or a CI job, and nobody has to be reading.

use std::io::{self, ErrorKind, Write};

use anyhow::Context;

use crate::escape;

/// Beside the result, on standard error.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", escape::block(text));
}

/// What kept a command from its work.
pub fn failed(error: &anyhow::Error) {
    note(&format!("serin: {error:#}"));
}

/// For people, on standard output.
pub fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{}", escape::block(text));
}

/// The result, on standard output.
///
/// # Errors
/// When it cannot be written; a reader who has had enough is none.
pub fn result(text: &str) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    let written = writeln!(output, "{}", escape::block(text)).and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}
