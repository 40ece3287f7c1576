//! Where in an answer something stands: a path into JSON whose work is bounded before it begins.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;
use serde_json_path::JsonPath;

/// In bytes; none that is written by hand is as long.
const LONGEST: usize = 300;
/// Of brackets and parentheses within each other: they are read by recursion.
const DEEPEST: usize = 8;
/// How much of a path is shown after the place where it is wrong.
const SHOWN: usize = 20;

/// Whether a path may look at all that lies below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descent {
    Once,
    Never,
}

#[derive(Clone, Debug)]
pub struct Place {
    text: Arc<str>,
    path: Arc<JsonPath>,
}

impl Place {
    /// # Errors
    /// What is wrong with it and where, in words that follow the path.
    pub fn parse(text: &str, descent: Descent) -> Result<Self, String> {
        if LONGEST < text.len() {
            return Err(format!("is longer than {LONGEST} bytes"));
        }
        if !text.starts_with('$') {
            return Err("must begin with '$', which is where it starts from".to_owned());
        }
        if let Some((at, why)) = costly(text, descent) {
            return Err(told(text, at, why));
        }
        match JsonPath::parse(text) {
            Ok(path) => Ok(Self {
                text: text.into(),
                path: Arc::new(path),
            }),
            Err(error) => {
                let why = error.message();
                // Where nothing more is told, there are only these words.
                let why = if why == "parser error" {
                    "this is no JSONPath"
                } else {
                    why
                };
                Err(told(text, error.position(), why))
            }
        }
    }

    /// Bytes of its text.
    pub fn length(&self) -> usize {
        self.text.len()
    }

    /// What stands there, once each.
    pub fn all<'v>(&self, tree: &'v Value) -> Vec<&'v Value> {
        self.path.query(tree).all()
    }
}

fn told(text: &str, at: usize, why: &str) -> String {
    let at = text.floor_char_boundary(at);
    let rest = &text[at..];
    let shown = &rest[..rest.floor_char_boundary(SHOWN)];
    let character = text[..at].chars().count() + 1;
    if shown.is_empty() {
        format!("is wrong at its end: {why}")
    } else {
        format!("is wrong at character {character}, '{shown}': {why}")
    }
}

/// What makes more work than the answer is long, or even the path by itself, and where it stands. What is
/// left matches every part of an answer once at most.
fn costly(text: &str, descent: Descent) -> Option<(usize, &'static str)> {
    let mut letters = text.char_indices().peekable();
    let mut quote = None;
    let (mut depth, mut filter, mut descents) = (0_usize, None, 0);
    let mut before = '$';
    while let Some((at, letter)) = letters.next() {
        if let Some(open) = quote {
            match letter {
                '\\' => drop(letters.next()),
                letter if letter == open => quote = None,
                _ => {}
            }
            continue;
        }
        match letter {
            '\'' | '"' => quote = Some(letter),
            '(' if before.is_alphanumeric() => {
                return Some((at, "a filter may call no function"));
            }
            '[' | '(' => depth += 1,
            ']' | ')' => depth = depth.saturating_sub(1),
            '@' if matches!(before, '=' | '<' | '>') => {
                return Some((
                    at,
                    "a filter compares a part with a value, and not with another part",
                ));
            }
            '$' if at != 0 => return Some((at, "'$' may stand at the beginning only")),
            ',' => return Some((at, "one selector may stand between brackets")),
            '?' if filter.is_some() => return Some((at, "a filter may have no filter in it")),
            '?' => filter = Some(depth),
            '.' if letters.peek().is_some_and(|(_, next)| *next == '.') => {
                letters.next();
                descents += 1;
                match descent {
                    Descent::Never => return Some((at, "'..' may not stand here")),
                    Descent::Once if 1 < descents => return Some((at, "'..' may stand once")),
                    Descent::Once => {}
                }
            }
            _ => {}
        }
        if DEEPEST < depth {
            return Some((at, "there are too many brackets within each other"));
        }
        if filter.is_some_and(|filter| depth < filter) {
            filter = None;
        }
        if !letter.is_whitespace() {
            before = letter;
        }
    }
    None
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_what_they_name() {
        let answer = json!({
            "a": [{"k": 1, "v": {"99.0": 5}}, {"k": 2, "v": {"99.0": null}}, {"k": 3}],
            "$..x,": [[1, "2"], [3, "4"]],
        });
        let cases = [
            ("$", 1),
            ("$.a", 1),
            ("$.a[*]", 3),
            ("$.a[*].k", 3),
            ("$.a[*].v['99.0']", 2),
            ("$['$..x,'][*][1]", 2),
            ("$.a[?@.k > 1].k", 2),
            ("$.a[?@.k == 1 || (@.k == 3 && !@.v)]", 2),
            ("$.a[?@.v][?@['99.0'] == 5]", 1),
            ("$.a[0:2]", 2),
            ("$.a[-1]", 1),
            ("$..k", 3),
            ("$.nosuch", 0),
        ];
        for (text, expected) in cases {
            let found = Place::parse(text, Descent::Once).map(|place| place.all(&answer).len());
            assert_eq!(found, Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let long = format!("$.{}", "a".repeat(LONGEST));
        let nested = format!("$[?{}@.a{}]", "(".repeat(100), ")".repeat(100));
        let cases = [
            ("", "must begin with '$'"),
            ("a.b", "must begin with '$'"),
            ("@.a", "must begin with '$'"),
            ("$.a.", "is wrong at its end: "),
            ("$.a[?@.b=1]", "is wrong at character 9, '=1]': "),
            ("$.ä[?@.b=1]", "is wrong at character 9, '=1]': "),
            (
                "$.a[?length(@.b) > 1]",
                "character 12, '(@.b) > 1]': a filter may call",
            ),
            (
                "$.a[?match(@.b, '(a*)*b')]",
                "a filter may call no function",
            ),
            ("$.a b", "is wrong at character"),
            ("$.a[?@.b == $.c]", "character 13, '$.c]': '$' may stand"),
            ("$['a','b']", "character 6, ','b']': one selector"),
            ("$..a..b", "character 5, '..b': '..' may stand once"),
            ("$[?@.a == @.b]", "character 11, '@.b]': a filter compares"),
            ("$[?@.a>=@]", "a filter compares"),
            ("$[?@[?@.a]]", "a filter may have no filter in it"),
            (&nested, "too many brackets"),
            (&long, "is longer than 300 bytes"),
        ];
        for (text, expected) in cases {
            let told = Place::parse(text, Descent::Once).unwrap_err();
            assert!(told.contains(expected), "{text}: {told}");
        }
        let told = Place::parse("$.a..b", Descent::Never).unwrap_err();
        assert!(told.contains("'..' may not stand here"), "{told}");
        assert!(Place::parse("$['a..b', 'c']", Descent::Never).is_err());
        assert!(Place::parse("$['a..b,$?']", Descent::Never).is_ok());
    }

    /// The crate reads filters within filters in a time that doubles with each, and its paths match parts
    /// over and over.
    #[test]
    fn no_path_takes_longer_than_its_answer_is_long() {
        let started = Instant::now();
        let filters = format!("${}{}", "[?@".repeat(100), "]".repeat(100));
        assert!(Place::parse(&filters, Descent::Once).is_err());
        assert!(Place::parse(&"$".repeat(LONGEST), Descent::Once).is_err());
        // As deep as an answer may be, and wide.
        let mut answer = json!(vec![1; 100]);
        for _ in 0..100 {
            answer = json!([answer, vec![1; 100], {"a": 1}]);
        }
        let parts = Place::parse("$..*", Descent::Once).unwrap();
        assert_eq!(parts.all(&answer).len(), 100 + 100 * (3 + 100 + 1));
        let slow = format!("$..[?{}]", vec!["@.a == 2"; 28].join("||"));
        let slow = Place::parse(&slow, Descent::Once).unwrap();
        assert!(slow.all(&answer).is_empty());
        let taken = started.elapsed();
        assert!(taken < Duration::from_secs(20), "{taken:?}");
    }
}
