//! What a template of a client may cost: it is tried while others wait.

use std::cell::Cell;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value as Known, filters};

/// How long a template may be.
const MOST_TEMPLATE: usize = 4 * 1024;

/// How often a template may put texts together or pass a value to a filter.
const MOST_OPERATIONS: usize = 32;

/// How long a text may become within a template.
const MOST_TEXT: usize = 64 * 1024;

/// Steps of a template; without loops, none comes near to it.
const FUEL: u64 = 20_000;

/// What cannot be a text or a list, by which a product would repeat it.
const NUMBERS: [&str; 18] = [
    "number",
    "score",
    "thresholds",
    "pass",
    "marginal",
    "int",
    "float",
    "round",
    "abs",
    "if",
    "else",
    "and",
    "or",
    "not",
    "true",
    "false",
    "none",
    "parameters",
];

/// How much is left of what may be spent on something.
pub struct Budget {
    all: usize,
    left: Cell<usize>,
    what: &'static str,
}

impl Budget {
    pub const fn of(what: &'static str, all: usize) -> Self {
        let left = Cell::new(all);
        Self { all, left, what }
    }

    /// # Errors
    /// There is not as much left.
    pub fn spend(&self, bytes: usize) -> Result<(), Error> {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.unwrap_or(0));
        left.map(|_| ())
            .ok_or_else(|| wrong(format!("{} are longer than {} bytes", self.what, self.all)))
    }
}

/// Knows nothing that makes much out of little: no loops, no functions, and few filters.
pub fn frugal() -> Environment<'static> {
    let mut templates = Environment::empty();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_fuel(Some(FUEL));
    templates.add_filter("string", filters::string);
    templates.add_filter("int", filters::int);
    templates.add_filter("float", filters::float);
    templates.add_filter("round", filters::round);
    templates.add_filter("default", filters::default);
    templates.add_filter("upper", filters::upper);
    templates.add_filter("lower", filters::lower);
    templates.add_filter("length", filters::length);
    templates.add_filter("abs", filters::abs);
    // In a chain, those of the language grow without end.
    templates.add_filter("join", join);
    templates.add_filter("replace", replace);
    templates.add_filter("tojson", tojson);
    templates
}

/// # Errors
/// Why a template is not even compiled: what is constant in it would be computed then.
pub fn admit(template: &str) -> Result<(), Error> {
    if MOST_TEMPLATE < template.len() {
        return Err(wrong(format!("it is longer than {MOST_TEMPLATE} bytes")));
    }
    if template.contains("{%") || template.contains("{#") {
        let told = "'{%' and '{#' are not understood here, only expressions between '{{' and '}}'";
        return Err(wrong(told.to_owned()));
    }
    let mut operations = 0;
    for expression in expressions(template) {
        let bare = without_texts(expression);
        operations += bare.matches(['~', '+', '|']).count();
        if bare.replace("**", "").contains('*') && !is_of_numbers(expression) {
            return Err(wrong(format!(
                "in '{}', '*' is for numbers: beside it may stand numbers, number, score, thresholds, and parameters as in 'parameters.step | int'; for a text, '(10 * number) | string'",
                expression.trim()
            )));
        }
    }
    if MOST_OPERATIONS < operations {
        return Err(wrong(format!(
            "it has {operations} of '~', '+' and '|'; {MOST_OPERATIONS} are allowed"
        )));
    }
    Ok(())
}

/// What stands between `{{` and `}}`, where the language sees their ends.
fn expressions(template: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), template);
    while let Some((_, after)) = rest.split_once("{{") {
        let end = end(after);
        found.push(&after[..end]);
        rest = &after[end..];
    }
    found
}

/// Where an expression ends; brackets and texts within it may hold `}}`.
fn end(text: &str) -> usize {
    let (mut depth, mut quote, mut is_escaped) = (0_i64, None, false);
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (Some(_), _) if is_escaped => is_escaped = false,
            (Some(_), b'\\') => is_escaped = true,
            (Some(open), _) if open == byte => quote = None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'}') if depth == 0 && text[at..].starts_with("}}") => return at,
            (None, b'(' | b'[' | b'{') => depth += 1,
            (None, b')' | b']' | b'}') => depth -= 1,
            (Some(_) | None, _) => {}
        }
    }
    text.len()
}

fn without_texts(expression: &str) -> String {
    let (mut quote, mut is_escaped) = (None, false);
    let bare = expression.chars().filter(|character| {
        let character = *character;
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some(_) if character == '\\' => is_escaped = true,
            Some(open) if open == character => quote = None,
            Some(_) => {}
            None if character == '"' || character == '\'' => quote = Some(character),
            None => return true,
        }
        false
    });
    bare.collect()
}

/// Whether nothing in an expression can be a text or a list, but the whole of it in the end.
fn is_of_numbers(expression: &str) -> bool {
    let expression = expression.trim_matches(|one: char| one == '-' || one.is_whitespace());
    let expression = in_brackets(expression).unwrap_or(expression);
    let words = words(expression);
    // A comma would make a list.
    let is_number = |word: &&str| {
        word.starts_with(|one: char| one.is_ascii_digit())
            || NUMBERS.contains(word)
            || (word.len() == 1 && "+-*/%()|.<>=!".contains(*word))
    };
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if *word == "parameters" {
            let (Some(&"."), Some(&"|"), Some(&("int" | "float"))) =
                (words.get(at + 1), words.get(at + 3), words.get(at + 4))
            else {
                return false;
            };
            at += 5;
        } else if is_number(word) {
            at += 1;
        } else {
            return false;
        }
    }
    true
}

/// What stands in the brackets of `(…) | string`.
fn in_brackets(expression: &str) -> Option<&str> {
    let before = expression.strip_suffix("string")?.trim_end();
    let before = before.strip_suffix('|')?.trim_end();
    let inner = before.strip_prefix('(')?.strip_suffix(')')?;
    let mut depth = 0_i64;
    let is_one = inner.chars().all(|character| {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        0 <= depth
    });
    is_one.then_some(inner)
}

/// Names and numbers whole, everything else by character.
fn words(expression: &str) -> Vec<&str> {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    let (mut words, mut rest) = (Vec::new(), expression.trim_start());
    while let Some(first) = rest.chars().next() {
        let end = if is_word(first) {
            rest.find(|character| !is_word(character))
                .unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at(end);
        words.push(word);
        rest = after.trim_start();
    }
    words
}

fn join(value: &Known, between: Option<&str>) -> Result<String, Error> {
    // The parts of a text are of no use in a call.
    if value.kind() == ValueKind::String {
        return Err(wrong("a list can be joined, and no text".to_owned()));
    }
    let (mut joined, mut before) = (String::new(), "");
    for element in value.try_iter()? {
        if element.is_undefined() {
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        joined.push_str(before);
        joined.push_str(&element.to_string());
        before = between.unwrap_or_default();
        bounded(joined.len())?;
    }
    Ok(joined)
}

fn replace(value: &Known, from: &str, to: &str) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let text = value.to_string();
    let found = text.matches(from).count();
    bounded(text.len().saturating_add(found.saturating_mul(to.len())))?;
    Ok(text.replace(from, to))
}

fn tojson(value: &Known) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let text = serde_json::to_string(value)
        .map_err(|cause| wrong("its value is no JSON".to_owned()).with_source(cause))?;
    bounded(text.len())?;
    Ok(text)
}

fn bounded(bytes: usize) -> Result<(), Error> {
    if MOST_TEXT < bytes {
        return Err(wrong(format!(
            "a text in it becomes longer than {MOST_TEXT} bytes"
        )));
    }
    Ok(())
}

fn wrong(told: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, told)
}
