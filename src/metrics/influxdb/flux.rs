//! Flux for one metric of one side: a script in which values keep to their places.

use super::query::{SCOPE, TIME};
use crate::error::Result;
use crate::metrics::MetricRequest;
use crate::metrics::keyed::invalid;
use crate::metrics::range::Range;
use crate::metrics::stand_in;
use crate::metrics::template::{self, Expansion};

/// What a script may import: nothing that reaches another place.
const IMPORTED: [&str; 11] = [
    "array",
    "date",
    "dict",
    "influxdata/influxdb/schema",
    "interpolate",
    "join",
    "math",
    "regexp",
    "strings",
    "timezone",
    "types",
];
/// What writes.
const WRITING: [&str; 2] = ["to", "wideTo"];
/// Words that are no values.
const BEFORE_VALUES: [&str; 9] = [
    "and", "else", "exists", "if", "in", "not", "or", "return", "then",
];

/// `r["version"] == "v2"`
pub fn condition(tag: &str, value: &str) -> String {
    format!("r[\"{}\"] == \"{}\"", escaped(tag), escaped(value))
}

pub fn time_filter(range: &Range) -> String {
    format!("range(start: {}, stop: {})", range.start, range.end)
}

/// # Errors
/// `Invalid` for a variable without a value, for a value that could leave its place, and for a script that does more
/// than to read.
pub fn script(
    request: &MetricRequest<'_>,
    template: &str,
    expansion: Expansion<'_>,
) -> Result<String> {
    let mut reader = Reader {
        request,
        expansion,
        rest: template,
        within: Within::Code,
        code: String::new(),
        strings: Vec::new(),
        script: String::new(),
    };
    reader.read()?;
    reader.check()?;
    Ok(reader.script)
}

#[derive(Clone, Copy, PartialEq)]
enum Within {
    Code,
    Text,
    Expression,
}

struct Reader<'r, 'a> {
    request: &'r MetricRequest<'a>,
    expansion: Expansion<'a>,
    rest: &'r str,
    within: Within,
    /// What stands outside of strings; a quote for each of these.
    code: String,
    strings: Vec<String>,
    /// Without comments.
    script: String,
}

impl Reader<'_, '_> {
    fn read(&mut self) -> Result<()> {
        while let Some(letter) = self.rest.chars().next() {
            let rest = self.rest;
            if let Some(tail) = rest.strip_prefix("$${") {
                self.write(if self.within == Within::Text {
                    "\\x24{"
                } else {
                    "${"
                });
                self.rest = tail;
            } else if let Some((expression, tail)) = rest
                .strip_prefix("${")
                .and_then(|rest| rest.split_once('}'))
            {
                self.paste(expression)?;
                self.rest = tail;
            } else {
                match self.within {
                    Within::Code => self.read_code(letter),
                    Within::Text => self.read_text(letter),
                    Within::Expression => self.read_expression(letter)?,
                }
            }
        }
        match self.within {
            Within::Code => Ok(()),
            Within::Text => Err(invalid(
                self.request,
                "a string of the script is not closed",
            )),
            Within::Expression => {
                let told = "a regular expression of the script is not closed";
                Err(invalid(self.request, told))
            }
        }
    }

    fn read_code(&mut self, letter: char) {
        if self.rest.starts_with("//") {
            self.rest = self.rest.find('\n').map_or("", |at| &self.rest[at..]);
            return;
        }
        match letter {
            '"' => {
                self.within = Within::Text;
                self.code.push('"');
                self.strings.push(String::new());
                self.script.push('"');
            }
            '/' if self.is_expression() => {
                self.within = Within::Expression;
                // It is a value: a slash behind it divides.
                self.code.push_str(" 0 ");
                self.script.push('/');
            }
            letter => self.write(letter.encode_utf8(&mut [0; 4])),
        }
        self.skip(letter);
    }

    /// Flux takes a dollar and the letter behind it for one, be that a backslash or another dollar: it is written as
    /// nothing else can be read.
    fn read_text(&mut self, letter: char) {
        match (letter, self.rest[letter.len_utf8()..].chars().next()) {
            ('"', _) => {
                self.within = Within::Code;
                self.script.push('"');
            }
            ('$', _) => self.write("\\x24"),
            ('\\', Some('$')) => {
                self.write("\\x24");
                self.skip('$');
            }
            ('\\', Some(escaped)) => {
                self.write("\\");
                self.write(escaped.encode_utf8(&mut [0; 4]));
                self.skip(escaped);
            }
            _ => self.write(letter.encode_utf8(&mut [0; 4])),
        }
        self.skip(letter);
    }

    fn read_expression(&mut self, letter: char) -> Result<()> {
        let rest = self.rest;
        if letter == '/' {
            self.within = Within::Code;
            self.script.push('/');
        } else if rest.starts_with("\\\\/") {
            let told = "a regular expression has \\\\/ in it, where Flux may end it or not: write [\\\\]/ there";
            return Err(invalid(self.request, told));
        } else if letter == '\\' && matches!(rest.as_bytes().get(1), Some(b'/' | b'\\')) {
            self.script.push_str(&rest[..2]);
            self.rest = &rest[1..];
        } else {
            self.write(letter.encode_utf8(&mut [0; 4]));
        }
        self.skip(letter);
        Ok(())
    }

    fn skip(&mut self, letter: char) {
        self.rest = &self.rest[letter.len_utf8()..];
    }

    /// Whether a slash begins a regular expression here, and is no division: no value stands before it.
    fn is_expression(&self) -> bool {
        let before = self.code.trim_end();
        let name = before.trim_end_matches(is_of_name);
        match &before[name.len()..] {
            "" => !before.ends_with([')', ']', '}', '"', '.']),
            name => BEFORE_VALUES.contains(&name),
        }
    }

    fn write(&mut self, text: &str) {
        match self.within {
            Within::Code => self.code.push_str(text),
            Within::Text => {
                if let Some(string) = self.strings.last_mut() {
                    string.push_str(text);
                }
            }
            Within::Expression => {}
        }
        self.script.push_str(text);
    }

    fn paste(&mut self, expression: &str) -> Result<()> {
        let name = template::name_and_default(expression).0;
        let is_own = [TIME, SCOPE].contains(&name);
        let value = self.expansion.expand(&format!("${{{expression}}}"))?;
        let refused = |told: String| Err(invalid(self.request, &told));
        match self.within {
            Within::Text | Within::Expression if is_own => refused(format!(
                "${{{name}}} is no text of its own in Flux, but a call or a condition: take the quotes around it away"
            )),
            Within::Text => {
                self.write(&escaped(&value));
                Ok(())
            }
            Within::Code if is_own || value.chars().all(is_of_word) => {
                self.write(&value);
                Ok(())
            }
            Within::Expression if value.chars().all(|it| it == '-' || is_of_word(it)) => {
                self.write(&value);
                Ok(())
            }
            Within::Code => refused(format!(
                "the value of '{name}' is no name, number or duration, and the script has ${{{name}}} outside of \
                 quotes: write \"${{{name}}}\" there"
            )),
            Within::Expression => refused(format!(
                "the value of '{name}' holds more than letters, digits and _ . -, and the script has it in a regular \
                 expression"
            )),
        }
    }

    /// It reads, and of this server. What writes may have no other name, so that it cannot be called by one.
    fn check(&self) -> Result<()> {
        let refused = |told: &str| Err(invalid(self.request, told));
        let mut strings = self.strings.iter();
        let mut open = Vec::new();
        let words: Vec<&str> = words(&self.code).collect();
        for (at, word) in words.iter().copied().enumerate() {
            let before = |back: usize| at.checked_sub(back).map_or("", |at| words[at]);
            let next = words.get(at + 1).copied().unwrap_or_default();
            let is_argument = open.last() == Some(&"(") && matches!(before(1), "(" | "," | "?");
            match word {
                "(" | "[" | "{" => open.push(word),
                ")" | "]" | "}" => drop(open.pop()),
                "\"" => {
                    let string = strings.next().map_or("", String::as_str);
                    // It may be given another name there.
                    let is_imported = before(1) == "import"
                        || before(2) == "import" && before(1).starts_with(is_of_name);
                    if is_imported && !IMPORTED.contains(&string) {
                        let all = IMPORTED.join(", ");
                        return refused(&format!("a script may import {all}; not '{string}'"));
                    }
                    if is_argument && next == ":" {
                        return refused(&format!(
                            "an argument of a script is named without quotes: {string}"
                        ));
                    }
                }
                "host" | "token" if is_argument => {
                    return refused(&format!(
                        "a script reads of this server only; '{word}:' names another"
                    ));
                }
                word if WRITING.contains(&word) => {
                    let is_member = before(1) == "." && next != "(";
                    if next != ":" && !is_member {
                        return refused(&format!("a script reads only; {word}() writes"));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Names, and each other letter but blanks.
fn words(code: &str) -> impl Iterator<Item = &str> {
    let mut rest = code.trim_start();
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = if is_of_name(first) {
            rest.find(|it| !is_of_name(it)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at(end);
        rest = after.trim_start();
        Some(word)
    })
}

fn is_of_name(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '.') || stand_in::number_of(letter).is_some()
}

/// Within a string, which could have expressions in it.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace('$', "\\x24")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::{CanaryConfig, CanaryMetricConfig, CanaryScope};

    fn made(template: &str, param: &str) -> Result<String> {
        let params = [("p".to_owned(), param.to_owned())];
        let scope = CanaryScope {
            extended_scope_params: Some(params.into_iter().collect()),
            ..CanaryScope::default()
        };
        let request = MetricRequest {
            config: &CanaryConfig::default(),
            metric: &CanaryMetricConfig::default(),
            scope: &scope,
            longest: 1000,
            is_reused: true,
        };
        let expansion = Expansion::of(&request).with(SCOPE, "r[\"v\"] == \"1\"");
        script(&request, template, expansion)
    }

    #[test]
    fn values_keep_to_their_places() {
        let cases = [
            // script, value, what becomes of it; or, behind a '!', what is told
            (
                "f(${scope}) // \"${q}\n|> g()",
                "",
                "f(r[\"v\"] == \"1\") \n|> g()",
            ),
            (
                "f(a: \"${p}\")",
                "b\" or \\ ${",
                "f(a: \"b\\\" or \\\\ \\x24{\")",
            ),
            ("f(a: \"\\\"${p}\" + ${p})", "5m", "f(a: \"\\\"5m\" + 5m)"),
            ("f(a: ${p})", "1) |> to(", "!is no name, number or duration"),
            ("f(a: \"${scope}\")", "", "!take the quotes around it away"),
            (
                "r.a =~ /^\"${p}\\/x/ and \"${p}\"",
                "a-b",
                "r.a =~ /^\"a-b\\/x/ and \"a-b\"",
            ),
            ("r.a =~ /${p}/", "a/", "!in a regular expression"),
            ("x / 2 / ${p}", "a-b", "!is no name, number or duration"),
            ("f(a: \"$${p}\")", "", "f(a: \"\\x24{p}\")"),
            ("f(${q})", "", "!Problem evaluating"),
            ("import \"math\"\nx", "", "import \"math\"\nx"),
            (
                "import h \"experimental/http\"\nx",
                "",
                "!not 'experimental/http'",
            ),
            ("import \"sql\"\nx", "", "!not 'sql'"),
            ("@edition(\"1\")import \"sql\"\nx", "", "!not 'sql'"),
            ("import\"\\x73ql\"\nx", "", "!may import"),
            ("x |> h.to(url: \"u\")", "", "!to() writes"),
            ("f = to\nx |> f(bucket: \"b\")", "", "!to() writes"),
            ("r = {to}\nx |> r.to(bucket: \"b\")", "", "!to() writes"),
            ("x |> ${p}(bucket: \"b\")", "wideTo", "!wideTo() writes"),
            ("f(d: r.to, to: 1)", "", "f(d: r.to, to: 1)"),
            ("from(bucket: \"b\", host)", "", "!'host:' names another"),
            (
                "from(bucket: \"b\", \"host\": \"u\")",
                "",
                "!named without quotes",
            ),
            (
                "rename(columns: {host: \"h\"}) |> f(x: r.host)",
                "",
                "rename(columns: {host: \"h\"}) |> f(x: r.host)",
            ),
            // What would hide the rest from who reads it otherwise than Flux.
            (
                "f = (r) => /\"/\nfrom(host: \"u\")",
                "",
                "!'host:' names another",
            ),
            (
                "1. /\"/\nfrom(host: \"u\")",
                "",
                "!a string of the script is not closed",
            ),
            (
                "x =~ /a\\\\/ \"/\nto()",
                "",
                "!where Flux may end it or not",
            ),
            (
                "x =~ /a\\/",
                "",
                "!regular expression of the script is not closed",
            ),
            ("f(a: \"$\\\" + to())", "", "!is not closed"),
            ("f(a: \"$$${p}\")", "", "f(a: \"\\x24\\x24{p}\")"),
            ("f(a: \"\\${p}\")", "\"", "f(a: \"\\x24{p}\")"),
            ("f(a: \"b$\")", "", "f(a: \"b\\x24\")"),
            ("f(a: \"${p}{q}\")", "$", "f(a: \"\\x24{q}\")"),
            ("x |> to (bucket: \"b\")", "", "!to() writes"),
            (
                "from(bucket: \"b\", host: \"http://h\")",
                "",
                "!'host:' names another",
            ),
            (
                "x |> toFloat() |> f(s: \"to(host: \")",
                "",
                "x |> toFloat() |> f(s: \"to(host: \")",
            ),
        ];
        for (template, value, expected) in cases {
            let made = made(template, value).map_err(|error| error.to_string());
            match (expected.strip_prefix('!'), made) {
                (None, made) => assert_eq!(made.as_deref(), Ok(expected), "{template}"),
                (Some(expected), made) => {
                    let told = made.expect_err(template);
                    assert!(told.contains(expected), "{template}: {told}");
                }
            }
        }
        assert_eq!(condition("a\"b", "c\\${d}"), r#"r["a\"b"] == "c\\\x24{d}""#);
    }
}
