//! What commands write: nothing in it steers a terminal or a CI job, and nobody has to be reading.

use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;

use anstream::adapter::strip_str;
use anyhow::Context;
use rustix::termios::tcgetwinsize;
use textwrap::{Options, WordSplitter};

use crate::escape;

/// Beside the result, on standard error.
pub fn note(text: &str) {
    let text = fitted(&escape::block(text), columns(io::stderr()));
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// What kept a command from its work.
pub fn failed(error: &anyhow::Error) {
    note(&format!("serin: {error:#}"));
}

/// For people, on standard output.
pub fn say(text: &str) {
    let text = fitted(&escape::block(text), columns(io::stdout()));
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// Where what is painted goes.
#[derive(Clone, Copy)]
pub enum Beside {
    Nothing,
    /// The result is on standard output.
    TheResult,
}

impl Beside {
    pub const fn the_result_if(is_there: bool) -> Self {
        if is_there {
            Self::TheResult
        } else {
            Self::Nothing
        }
    }
}

/// For people, with the colours of `paint`; texts of others in it have gone through `escape::line`.
pub fn show(painted: &str, beside: Beside) {
    let plain = strip_str(painted).to_string();
    let harmless = escape::block(&plain);
    // Colours would tear apart what is escaped.
    let shown = if harmless == plain {
        painted
    } else {
        &harmless
    };
    let _ = match beside {
        Beside::Nothing => writeln!(anstream::stdout(), "{}", fitted(shown, width())),
        Beside::TheResult => {
            let shown = fitted(shown, columns(io::stderr()));
            writeln!(anstream::stderr(), "{shown}")
        }
    };
}

/// The result, on standard output.
///
/// # Errors
/// When it cannot be written; a reader who has had enough is none.
pub fn result(text: &str) -> anyhow::Result<()> {
    document(&format!("{}\n", escape::block(text)))
}

/// A document on standard output, as it is.
///
/// # Errors
/// When it cannot be written; a reader who has had enough is none.
pub fn document(text: &str) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    let written = output.write_all(text.as_bytes());
    match written.and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Columns of the terminal that standard output is, if it is one.
pub fn width() -> Option<u16> {
    columns(io::stdout())
}

fn columns(stream: impl AsFd) -> Option<u16> {
    let size = tcgetwinsize(stream).ok()?;
    Some(size.ws_col).filter(|columns| 0 < *columns)
}

/// Lines that are too long go on below, at the next word; tables have their width already.
fn fitted(text: &str, columns: Option<u16>) -> String {
    let Some(columns) = columns.map(usize::from) else {
        return text.to_owned();
    };
    let lines: Vec<String> = text
        .split('\n')
        .map(|line| fitted_line(line, columns))
        .collect();
    lines.join("\n")
}

fn fitted_line(line: &str, columns: usize) -> String {
    let begun = line.trim_start();
    if begun.starts_with(['│', '┌', '╞', '└']) {
        return line.to_owned();
    }
    let indent = &line[..line.len() - begun.len()];
    let below = format!("{indent}  ");
    let options = Options::new(columns)
        .initial_indent(indent)
        .subsequent_indent(&below)
        // What is copied, as addresses and paths, stays whole.
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(begun, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_go_on_at_a_word() {
        let cases = [
            ("short", None, "short"),
            ("one two three", None, "one two three"),
            ("one two three", Some(9), "one two\n  three"),
            ("  one two three", Some(9), "  one two\n    three"),
            (
                "see https://a-b.example/c-d",
                Some(9),
                "see\n  https://a-b.example/c-d",
            ),
            ("│ one two three │", Some(9), "│ one two three │"),
            ("오류 비율 오류 비율", Some(10), "오류 비율\n  오류\n  비율"),
            (
                "\u{1b}[31mone\u{1b}[0m two three",
                Some(9),
                "\u{1b}[31mone\u{1b}[0m two\n  three",
            ),
            ("a\n\nb", Some(9), "a\n\nb"),
        ];
        for (text, columns, expected) in cases {
            assert_eq!(fitted(text, columns), expected, "{text:?}");
        }
    }
}
