//! A template of SQL as it is sent: what a scope gives it is bound where that can be, and else keeps to its place.

use std::fmt::Write;

use crate::error::{Error, Result};
use crate::metrics::MetricRequest;
use crate::metrics::keyed::invalid;
use crate::metrics::quoted::{self, Quoting};
use crate::metrics::stand_in;
use crate::metrics::template::{self, Expansion};

/// What serin calls the parameters that it makes itself.
const OWN_PARAM: &str = "serin_";

const SETTINGS: &str = "SETTINGS";
/// What may stand behind a table or column that is called so.
const BEHIND_NAMES: [&str; 32] = [
    "AND",
    "ANY",
    "ARRAY",
    "AS",
    "ASC",
    "ASOF",
    "BETWEEN",
    "CROSS",
    "DESC",
    "DIV",
    "ELSE",
    "END",
    "EXCEPT",
    "FINAL",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERSECT",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "OR",
    "ORDER",
    "UNION",
    "WHERE",
];

const QUOTING: Quoting = Quoting {
    quotes: "'\"`",
    comment: None,
    has_braces: false,
    never: "\\",
    way_back: Some("kayenta.clickhouse.rawValues"),
};

/// What may stand outside of quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pasting {
    /// Names and numbers.
    Words,
    /// Anything, as where a config is only looked at.
    Unchecked,
    /// Anything anywhere, as in Kayenta, but for what would take away the bounds of a query.
    Raw,
}

/// What is sent for a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    pub sql: String,
    /// The same with its parameters as literals: to be read, and to be tried elsewhere.
    pub shown: String,
    /// By their names, as they were given.
    pub params: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Within {
    Code,
    /// A string, or a name between quotes.
    Quoted(char),
    Line,
    /// That lies within so many others.
    Block(usize),
}

/// # Errors
/// `Invalid` for a variable or parameter without a value, and for a value that could end its place.
pub fn of<'a>(
    request: &MetricRequest<'a>,
    template: &str,
    expansion: impl Fn() -> Expansion<'a>,
    pasting: Pasting,
) -> Result<Statement> {
    // What it is without parameters: Kayenta's words for what is missing, and how long it may be.
    let pasted = expansion().expand(template)?;
    let is_raw = pasting == Pasting::Raw;
    if is_raw && !pasted.to_uppercase().contains(SETTINGS) {
        return Ok(Statement {
            shown: pasted.clone(),
            sql: pasted,
            params: Vec::new(),
        });
    }
    let mut reader = Reader {
        request,
        expansion: expansion(),
        pasting,
        rest: if is_raw { &pasted } else { template },
        within: Within::Code,
        code: String::new(),
        statement: Statement::default(),
    };
    reader.read()?;
    reader.check()?;
    Ok(reader.statement)
}

/// A template in which parameters are variables, for who looks for these.
pub fn with_variables(template: &str) -> String {
    let mut written = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(letter) = rest.chars().next() {
        if let Some((param, tail)) = param(rest).filter(|_| !written.ends_with('$')) {
            let _ = write!(written, "${{{}}}", param.name);
            rest = tail;
        } else {
            written.push(letter);
            rest = &rest[letter.len_utf8()..];
        }
    }
    written
}

/// `{name:Type}`
struct Param<'t> {
    name: &'t str,
    kind: &'t str,
}

fn param(text: &str) -> Option<(Param<'_>, &str)> {
    let (inner, tail) = text.strip_prefix('{')?.split_once('}')?;
    let (name, kind) = inner.split_once(':')?;
    let (name, kind) = (name.trim(), kind.trim());
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|it| it.is_ascii_alphanumeric() || it == '_');
    let is_kind = kind.starts_with(|first: char| first.is_ascii_alphabetic());
    (is_name && is_kind).then_some((Param { name, kind }, tail))
}

/// `${…}`
fn variable(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix("${")?.split_once('}')
}

struct Reader<'r, 'a> {
    request: &'r MetricRequest<'a>,
    expansion: Expansion<'a>,
    pasting: Pasting,
    rest: &'r str,
    within: Within,
    /// What stands outside of quotes and comments.
    code: String,
    statement: Statement,
}

impl Reader<'_, '_> {
    fn read(&mut self) -> Result<()> {
        // What was pasted has its values already.
        let has_variables = self.pasting != Pasting::Raw;
        while let Some(letter) = self.rest.chars().next() {
            if let Some(tail) = self.rest.strip_prefix("$${").filter(|_| has_variables) {
                self.write("${");
                self.rest = tail;
            } else if let Some((expression, tail)) = variable(self.rest).filter(|_| has_variables) {
                self.paste(expression)?;
                self.rest = tail;
            } else if self.within != Within::Code {
                self.read_within(letter)?;
            } else if !self.read_code()? {
                self.take(letter.len_utf8());
            }
        }
        Ok(())
    }

    /// Whether something began that is more than a letter.
    fn read_code(&mut self) -> Result<bool> {
        let rest = self.rest;
        let has_variables = self.pasting != Pasting::Raw;
        if let Some((expression, tail)) = whole_string(rest).filter(|_| has_variables) {
            self.bind(expression)?;
            self.rest = tail;
        } else if let Some((param, tail)) = param(rest).filter(|_| has_variables) {
            self.bind_param(&param)?;
            self.rest = tail;
        } else if rest.starts_with("--") || rest.starts_with("# ") || rest.starts_with("#!") {
            self.within = Within::Line;
            self.take(1);
        } else if rest.starts_with("/*") {
            self.code.push(' ');
            self.within = Within::Block(0);
            self.take(2);
        } else if let Some(quote) = rest
            .chars()
            .next()
            .filter(|it| QUOTING.quotes.contains(*it))
        {
            self.within = Within::Quoted(quote);
            self.code.push(quote);
            self.take(1);
        } else if is_heredoc(rest) {
            let told = "a string between dollars, as in $$text$$, is not taken: write it between '";
            return Err(invalid(self.request, told));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn read_within(&mut self, letter: char) -> Result<()> {
        let after = &self.rest[letter.len_utf8()..];
        match self.within {
            Within::Quoted(_)
                if letter == '\\' && after.starts_with("${") && self.pasting != Pasting::Raw =>
            {
                let told = "a \\ stands before ${ in the statement: write \\\\ for one that is meant, or leave it out";
                return Err(invalid(self.request, told));
            }
            Within::Quoted(_) if letter == '\\' => {
                let escaped = after.chars().next().map_or(0, char::len_utf8);
                self.take(1 + escaped);
            }
            Within::Quoted(quote) if letter == quote && after.starts_with(quote) => self.take(2),
            Within::Quoted(quote) if letter == quote => {
                self.take(1);
                self.within = Within::Code;
            }
            Within::Line if letter == '\n' => {
                self.within = Within::Code;
                self.take(1);
            }
            Within::Block(outer) if self.rest.starts_with("/*") => {
                self.take(2);
                self.within = Within::Block(outer + 1);
            }
            Within::Block(outer) if self.rest.starts_with("*/") => {
                self.take(2);
                self.within = outer.checked_sub(1).map_or(Within::Code, Within::Block);
            }
            _ => self.take(letter.len_utf8()),
        }
        Ok(())
    }

    fn take(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.write(taken);
        self.rest = rest;
    }

    fn write(&mut self, text: &str) {
        if self.within == Within::Code {
            self.code.push_str(text);
        }
        self.statement.sql.push_str(text);
        self.statement.shown.push_str(text);
    }

    fn value(&mut self, expression: &str) -> Result<String> {
        self.expansion.expand(&format!("${{{expression}}}"))
    }

    /// A variable that is not a whole string.
    fn paste(&mut self, expression: &str) -> Result<()> {
        let name = template::name_and_default(expression).0;
        match self.within {
            // Nothing reads it there, and a value could end it.
            Within::Line | Within::Block(_) => self.write(&format!("${{{expression}}}")),
            Within::Quoted(quote) => {
                let value = self.value(expression)?;
                quoted::check_value(self.request, name, &value, quote, &QUOTING)?;
                self.write(&value);
            }
            Within::Code => {
                let value = self.value(expression)?;
                if self.pasting == Pasting::Words && !is_word(&value) {
                    let told = format!(
                        "the value of '{name}' is no name and no number, and the statement has ${{{name}}} outside \
                         of quotes: write '${{{name}}}' or {{{name}:String}} there; kayenta.clickhouse.rawValues \
                         takes such values as they are"
                    );
                    return Err(invalid(self.request, &told));
                }
                self.write(&value);
            }
        }
        Ok(())
    }

    /// A variable that is a whole string.
    fn bind(&mut self, expression: &str) -> Result<()> {
        let value = self.value(expression)?;
        let params = &self.statement.params;
        let own = params
            .iter()
            .find(|(name, known)| name.starts_with(OWN_PARAM) && *known == value);
        let name = own.map_or_else(
            || format!("{OWN_PARAM}{}", params.len()),
            |(name, _)| name.clone(),
        );
        self.bound(&name, "String", value)
    }

    fn bind_param(&mut self, param: &Param<'_>) -> Result<()> {
        let Param { name, kind } = param;
        if name.starts_with(OWN_PARAM) {
            let told = format!("names of parameters that begin with {OWN_PARAM} are serin's own");
            return Err(invalid(self.request, &told));
        }
        if self.expansion.value(name).is_none() {
            let told = format!(
                "nothing gives {{{name}:{kind}}} of the statement a value: it is scope, location, step, \
                 startEpochSeconds, endEpochSeconds, or a parameter of the scope"
            );
            return Err(invalid(self.request, &told));
        }
        let value = self.value(name)?;
        self.bound(name, kind, value)
    }

    fn bound(&mut self, name: &str, kind: &str, value: String) -> Result<()> {
        let literal = literal(kind, &value);
        let statement = &mut self.statement;
        let _ = write!(statement.sql, "{{{name}:{kind}}}");
        statement.shown.push_str(&literal);
        self.code.push('?');
        if statement.params.iter().all(|(known, _)| known != name) {
            statement.params.push((name.to_owned(), value));
        }
        let bytes = statement
            .params
            .iter()
            .map(|(name, value)| name.len() + value.len());
        if self.request.longest < bytes.sum::<usize>() {
            return Err(Error::Invalid(template::too_long(self.request.longest)));
        }
        Ok(())
    }

    /// It reads within its bounds, and leaves the format to serin.
    fn check(&self) -> Result<()> {
        let upper = self.code.to_uppercase();
        if sets(&upper) {
            let told = "the statement has SETTINGS: leave them out, as serin sends those that bound what it may do; \
                        others belong into the profile of the user";
            return Err(invalid(self.request, told));
        }
        if self.pasting == Pasting::Raw {
            return Ok(());
        }
        let words: Vec<&str> = upper
            .trim_end_matches(|it: char| it == ';' || it.is_whitespace())
            .split_whitespace()
            .collect();
        let first = words.first().map(|word| word.trim_start_matches('('));
        let first = first
            .filter(|word| !word.is_empty())
            .or(words.get(1).copied())
            .unwrap_or_default();
        let first = first.split(|it: char| !it.is_alphanumeric()).next();
        if !matches!(first, Some("SELECT" | "WITH" | "FROM")) {
            let told = "a statement for ClickHouse begins with SELECT or WITH";
            return Err(invalid(self.request, told));
        }
        let has_format = words.iter().enumerate().skip(1).any(|(at, word)| {
            let is_last = matches!(words.get(at + 2), None | Some(&"SETTINGS"));
            *word == "FORMAT" && at + 1 < words.len() && is_last && words[at - 1] != "AS"
        });
        if has_format {
            let told = "the statement ends with a FORMAT: leave it out, as serin asks for its own";
            return Err(invalid(self.request, told));
        }
        Ok(())
    }
}

/// Whether a statement in capitals changes settings, at its end or that of a part of it.
fn sets(upper: &str) -> bool {
    let is_of_name = |it: char| it.is_alphanumeric() || it == '_';
    let mut rest = upper;
    while let Some(at) = rest.find(SETTINGS) {
        let (before, after) = (&rest[..at], &rest[at + SETTINGS.len()..]);
        rest = after;
        let table = before.strip_suffix('.');
        let is_of_table = table.is_some_and(|it| !it.ends_with(|it: char| it.is_ascii_digit()));
        let is_word = !is_of_table && !before.ends_with(is_of_name);
        let name = after.trim_start();
        if !is_word || after.starts_with(is_of_name) {
            continue;
        }
        let tail = name.trim_start_matches(is_of_name);
        let word = &name[..name.len() - tail.len()];
        let is_quoted = name.starts_with(['`', '"', '?', '{']);
        let is_set = tail.trim_start().starts_with('=');
        if is_quoted || !word.is_empty() && (is_set || !BEHIND_NAMES.contains(&word)) {
            return true;
        }
    }
    false
}

/// `'${…}'`, and nothing else between the quotes.
fn whole_string(text: &str) -> Option<(&str, &str)> {
    let (expression, tail) = variable(text.strip_prefix('\'')?)?;
    let tail = tail
        .strip_prefix('\'')
        .filter(|tail| !tail.starts_with('\''))?;
    Some((expression, tail))
}

fn is_heredoc(text: &str) -> bool {
    let tag = text.strip_prefix('$').and_then(|text| text.split_once('$'));
    tag.is_some_and(|(tag, _)| tag.chars().all(|it| it.is_alphanumeric() || it == '_'))
}

fn is_word(value: &str) -> bool {
    let plain = |letter: char| {
        letter.is_alphanumeric()
            || matches!(letter, '_' | '.')
            || stand_in::number_of(letter).is_some()
    };
    let number = value
        .strip_prefix('-')
        .filter(|it| it.starts_with(|first: char| first.is_ascii_digit()));
    let word = number.unwrap_or(value);
    !word.is_empty() && word.chars().all(plain)
}

/// A parameter as one would write it into the statement.
fn literal(kind: &str, value: &str) -> String {
    let is_number = ["Int", "UInt", "Float", "Decimal"]
        .iter()
        .any(|it| kind.starts_with(it));
    if is_number && is_word(value) {
        return value.to_owned();
    }
    let escaped = |quote: char| {
        let mut text = String::from(quote);
        for letter in value.chars() {
            if letter == quote || letter == '\\' {
                text.push('\\');
            }
            text.push(letter);
        }
        text + &quote.to_string()
    };
    match kind {
        "String" => escaped('\''),
        "Identifier" => escaped('`'),
        _ => format!("CAST({}, '{kind}')", escaped('\'')),
    }
}

/// As ClickHouse reads the value of a parameter.
pub fn sent_value(value: &str) -> String {
    let mut sent = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\\' => sent.push_str("\\\\"),
            '\t' => sent.push_str("\\t"),
            '\n' => sent.push_str("\\n"),
            '\r' => sent.push_str("\\r"),
            '\0' => sent.push_str("\\0"),
            letter => sent.push(letter),
        }
    }
    sent
}

#[cfg(test)]
mod tests;
