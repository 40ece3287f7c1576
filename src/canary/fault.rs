//! What is wrong with a document, where in it, and where in its text.

use std::collections::HashMap;
use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::error::Error;

/// A value of a document that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    pub path: Path,
    /// As Kayenta's clients know it.
    pub message: String,
    /// The same for people, where Kayenta's words are about Kayenta.
    plain: Option<String>,
}

impl Fault {
    pub fn new(path: Path, message: impl Into<String>) -> Self {
        Self {
            path,
            message: message.into(),
            plain: None,
        }
    }

    #[must_use]
    pub fn in_plain_words(self, words: impl Into<String>) -> Self {
        let plain = Some(words.into());
        Self { plain, ..self }
    }

    /// For people.
    pub fn words(self) -> String {
        self.plain.unwrap_or(self.message)
    }

    /// The same, seen from a document in which that of the fault stands at `path`.
    #[must_use]
    pub fn within(mut self, mut path: Path) -> Self {
        path.0.append(&mut self.path.0);
        Self { path, ..self }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Invalid(fault.message)
    }
}

/// The way from a document to a value in it: `metrics[0].query`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Member(String),
    Element(usize),
}

impl Path {
    /// Of members whose names have no dots: `classifier.groupWeights`.
    pub fn of(members: &str) -> Self {
        let members = members.split('.').filter(|member| !member.is_empty());
        Self(members.map(|name| Step::Member(name.to_owned())).collect())
    }

    /// Of an element of a list that is a member of the document.
    pub fn element(list: &str, at: usize) -> Self {
        Self::of(list).nth(at)
    }

    #[must_use]
    pub fn member(mut self, name: &str) -> Self {
        self.0.push(Step::Member(name.to_owned()));
        self
    }

    /// The way on from there.
    #[must_use]
    pub fn then(mut self, on: &Self) -> Self {
        self.0.extend_from_slice(&on.0);
        self
    }

    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    #[must_use]
    pub fn nth(mut self, at: usize) -> Self {
        self.0.push(Step::Element(at));
        self
    }

    /// Where the value begins in the text of its document; where it is missing, what should hold it.
    pub fn position(&self, text: &str) -> Option<Position> {
        let mut value: &RawValue = serde_json::from_str(text).ok()?;
        for step in &self.0 {
            let inner = match step {
                Step::Member(name) => members(value).and_then(|mut all| all.remove(name)),
                Step::Element(at) => elements(value).and_then(|all| all.get(*at).copied()),
            };
            let Some(inner) = inner else { break };
            value = inner;
        }
        let offset = value.get().as_ptr().addr() - text.as_ptr().addr();
        Some(Position::of(text.get(..offset)?))
    }
}

fn members(value: &RawValue) -> Option<HashMap<String, &RawValue>> {
    serde_json::from_str(value.get()).ok()
}

fn elements(value: &RawValue) -> Option<Vec<&RawValue>> {
    serde_json::from_str(value.get()).ok()
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Member(name) if at == 0 => f.write_str(name)?,
                Step::Member(name) => write!(f, ".{name}")?,
                Step::Element(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl From<&serde_path_to_error::Path> for Path {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;
        let steps = path.iter().map_while(|segment| match segment {
            Segment::Seq { index } => Some(Step::Element(*index)),
            Segment::Map { key } => Some(Step::Member(key.clone())),
            Segment::Enum { variant } => Some(Step::Member(variant.clone())),
            Segment::Unknown => None,
        });
        Self(steps.collect())
    }
}

/// A place in a text: line and column from 1, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Position {
    fn of(before: &str) -> Self {
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
        }
    }
}

/// A text that is no document of the wanted kind.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("the body is empty; JSON is wanted")]
    Empty,
    #[error("the body goes on after its JSON: {0}")]
    GoesOn(serde_json::Error),
    #[error("the body cannot be read{}: {cause}", told(path))]
    Wrong {
        path: Path,
        cause: serde_json::Error,
    },
}

impl From<Unreadable> for Error {
    fn from(unreadable: Unreadable) -> Self {
        Self::Invalid(unreadable.to_string())
    }
}

impl Unreadable {
    /// The fault in a text that its reader can see, and where it is.
    pub fn explain(self, text: &str) -> (Fault, Option<Position>) {
        let (path, cause) = match self {
            Self::Empty => return (Fault::new(Path::default(), "JSON is wanted"), None),
            Self::GoesOn(cause) => {
                let fault = Fault::new(Path::default(), "nothing may follow the JSON");
                return (fault, reached(&cause));
            }
            Self::Wrong { path, cause } => (path, cause),
        };
        let position = match cause.classify() {
            Category::Data => path.position(text),
            Category::Syntax | Category::Eof | Category::Io => None,
        };
        let place = format!(" at line {} column {}", cause.line(), cause.column());
        let message = cause.to_string();
        let message = message.strip_suffix(&place).unwrap_or(&message);
        let fault = Fault::new(path, message);
        (fault, position.or_else(|| reached(&cause)))
    }
}

/// How far a reader came; it does not say where it was given no text.
fn reached(cause: &serde_json::Error) -> Option<Position> {
    (cause.line() > 0).then(|| Position {
        line: cause.line(),
        column: cause.column().max(1),
    })
}

fn told(path: &Path) -> String {
    match path.to_string().as_str() {
        "" => String::new(),
        path => format!(" at '{path}'"),
    }
}

/// JSON as its clients send it, with the path of what is wrong in the error.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    // Windows' tools begin a text with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(Unreadable::Empty);
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = match serde_path_to_error::deserialize(&mut reader) {
        // Of a member that stands twice the last one counts, as in Kayenta: a `Value` reads so.
        Err(error) if error.inner().to_string().starts_with("duplicate field") => {
            let value: Value = serde_json::from_slice(bytes).map_err(|cause| {
                let path = Path::default();
                Unreadable::Wrong { path, cause }
            })?;
            return serde_path_to_error::deserialize(value).map_err(wrong);
        }
        read => read.map_err(wrong)?,
    };
    reader.end().map_err(Unreadable::GoesOn)?;
    Ok(value)
}

fn wrong(error: serde_path_to_error::Error<serde_json::Error>) -> Unreadable {
    let path = Path::from(error.path());
    let cause = error.into_inner();
    Unreadable::Wrong { path, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_in_its_text() {
        let text = "{\n  \"a\": {\"ä\": 1, \"b.c\": [10,\n    {\"d\": null}]}\n}\n";
        let cases = [
            (Path::default(), 1, 1),
            (Path::of("a"), 2, 8),
            (Path::of("a.ä"), 2, 14),
            (Path::of("a").member("b.c"), 2, 24),
            (Path::of("a.nosuch.deeper"), 2, 8),
        ];
        for (path, line, column) in cases {
            let found = path.position(text);
            assert_eq!(found, Some(Position { line, column }), "{path}");
        }
        let deep = Fault::new(Path::of("d"), "").within(Path::element("x", 1));
        assert_eq!(deep.path.to_string(), "x[1].d");
        let list = "{\"x\": [0,\n{\"d\": 5}]}";
        let expected = Position { line: 2, column: 7 };
        assert_eq!(deep.path.position(list), Some(expected));
        assert_eq!(deep.path.position("{"), None);
    }

    #[test]
    fn of_a_member_that_stands_twice_the_last_one_is_meant() {
        let text = "{\"a\": 1,\n \"a\": 2}";
        let expected = Position { line: 2, column: 7 };
        assert_eq!(Path::of("a").position(text), Some(expected));
    }
}
