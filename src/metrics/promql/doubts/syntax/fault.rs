//! The place where a query ceases to be one, which its parser does not tell.

use super::token::{Token, tokens};
use super::{Broken, Filled, Read};
use crate::metrics::promql::parse;
use crate::metrics::stand_in::number_of;
use crate::metrics::strings::is_of_word;

/// How much is shown of what stands before a fault.
const SHOWN: usize = 32;

/// What makes a query of its beginning: before its open brackets are closed, and after.
const WITHIN: [&str; 12] = [
    "", " v", " 5m", " 1", " (v)", " (v) (v)", " (v) v", "()", "=\"v\"", " \"v\"", " v=\"v\"",
    " :5m",
];
const AFTER: [&str; 3] = ["", " v", " (v)"];

/// Words of other databases' dialects, or of Prometheus behind a flag.
const OF_DIALECTS: [&str; 9] = [
    "default",
    "if",
    "ifnot",
    "keep_metric_names",
    "limit",
    "with",
    "smoothed",
    "anchored",
    "prefix",
];

/// Where a query ceases to be one: the first token that nothing makes whole, or its end.
pub struct Fault {
    pub start: usize,
    end: usize,
    is_of_dialect: bool,
}

impl Fault {
    pub fn find(filled: &Filled) -> Self {
        let text = &filled.text;
        let tokens = tokens(text);
        let ends: Vec<usize> = tokens.iter().map(|token| token.end).collect();
        let at = ends.partition_point(|end| can_be_completed(&text[..*end]));
        let Some(token) = tokens.get(at) else {
            return Self {
                start: filled.origins[text.len()],
                end: filled.origins[text.len()],
                is_of_dialect: has_word_of_dialect(text, &tokens),
            };
        };
        let before = tokens[..at].iter().rev();
        let before = before.map(|token| &text[token.start..token.end]);
        Self {
            start: filled.origins[token.start],
            end: filled.origins[token.end],
            is_of_dialect: has_word_of_dialect(text, &tokens)
                || is_of_dialect(&text[..token.start], before, &text[token.start..token.end]),
        }
    }

    pub fn told(&self, query: &str, tokens: &[Token]) -> Read {
        let before = query[..self.start].trim_end();
        let cut = before
            .char_indices()
            .rev()
            .nth(SHOWN)
            .map_or(0, |(at, _)| at);
        let shown = match cut {
            0 => before.to_owned(),
            cut => format!("…{}", &before[cut..]),
        };
        let found = &query[self.start..self.end];
        let sentence = match (shown.is_empty(), found.is_empty()) {
            (true, true) => "there is nothing in it".to_owned(),
            (false, true) => format!("it ends after '{shown}', where more is wanted"),
            (true, false) => format!("nothing begins with '{found}'"),
            (false, false) => format!("'{found}' cannot follow '{shown}'"),
        };
        let is_operand = |text: &str| {
            text.starts_with(|letter: char| {
                is_of_word(letter) || number_of(letter).is_some() || "\"'`({".contains(letter)
            })
        };
        let last = tokens.iter().rfind(|token| token.end <= self.start);
        let ends = last.is_some_and(|token| {
            let last = &query[token.start..token.end];
            is_operand(last) && !matches!(last, "(" | "{") || matches!(last, ")" | "}" | "]")
        });
        let fix = match (is_operand(found) && ends, innermost(before)) {
            (true, Some('{')) => "put a comma between them",
            (true, _) => "put an operator or a comma between them, or take one out",
            (false, Some('{')) => "write label matchers, as in version=\"${scope}\",code=~\"5..\"",
            (false, _) => "write what is missing there, or take out what is too much",
        };
        let broken = Broken::new(sentence, fix, Some(self.start));
        if self.is_of_dialect {
            Read::Doubtful(broken)
        } else {
            Read::Broken(broken)
        }
    }
}

/// Whether anything that follows makes a query of its beginning.
fn can_be_completed(beginning: &str) -> bool {
    let brackets: String = open_brackets(beginning).into_iter().rev().collect();
    WITHIN.iter().any(|within| {
        AFTER.iter().any(|after| {
            let whole = format!("{beginning}{within}{brackets}{after}");
            match parse(&whole) {
                Some(Err(wrong)) => !is_of_syntax(&wrong),
                Some(Ok(_)) | None => true,
            }
        })
    })
}

/// What would close each bracket that is open, outermost first.
fn open_brackets(beginning: &str) -> Vec<char> {
    let mut open = Vec::new();
    for token in tokens(beginning) {
        match &beginning[token.start..token.end] {
            "(" => open.push(')'),
            "[" => open.push(']'),
            "{" => open.push('}'),
            ")" | "]" | "}" => {
                open.pop();
            }
            _ => {}
        }
    }
    open
}

/// The bracket that is open.
fn innermost(beginning: &str) -> Option<char> {
    Some(match open_brackets(beginning).pop()? {
        ')' => '(',
        ']' => '[',
        _ => '{',
    })
}

fn has_word_of_dialect(text: &str, tokens: &[Token]) -> bool {
    tokens.iter().any(|token| {
        let word = &text[token.start..token.end];
        OF_DIALECTS
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
    })
}

/// Whether another database may know what to do with a token that Prometheus stops at.
fn is_of_dialect<'a>(
    beginning: &str,
    mut before: impl Iterator<Item = &'a str>,
    token: &str,
) -> bool {
    let innermost = innermost(beginning);
    if innermost == Some('[') {
        return true;
    }
    let first = token.chars().next().unwrap_or_default();
    let is_number = first.is_ascii_digit() && !token.chars().all(|digit| digit.is_ascii_digit());
    let is_name = is_of_word(first) && (token.contains('.') || !token.is_ascii());
    let previous = before.next();
    match (token, previous) {
        ("\\", _) | (")", Some(",")) => true,
        (",", _) => innermost != Some('{'),
        ("*", Some("(")) => before.next().is_some_and(|word| word.starts_with("group_")),
        _ => is_number || is_name,
    }
}

/// Whether the parser stopped at a place, and did not ask for another type.
pub fn is_of_syntax(wrong: &str) -> bool {
    let begins = [
        "invalid promql query",
        "unexpected ",
        "invalid label matcher",
        "bad number",
        "missing unit",
        "expect duration",
        "unclosed",
        "unterminated",
        "unknown escape",
        "escape sequence",
        "no expression",
        "'!' can not",
        "not a valid duration",
        "ParseError",
    ];
    begins.iter().any(|begin| wrong.starts_with(begin))
}
