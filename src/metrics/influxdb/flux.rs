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
                    "\\${"
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
            } else if self.within == Within::Code && rest.starts_with("//") {
                self.rest = rest.find('\n').map_or("", |at| &rest[at..]);
            } else {
                self.read_letter(letter);
            }
        }
        Ok(())
    }

    fn read_letter(&mut self, letter: char) {
        let end = match self.within {
            Within::Text => '"',
            Within::Expression => '/',
            Within::Code => {
                match letter {
                    '"' => {
                        self.within = Within::Text;
                        self.code.push('"');
                        self.strings.push(String::new());
                        self.script.push('"');
                    }
                    '/' if self.is_expression() => {
                        self.code.push('/');
                        self.within = Within::Expression;
                        self.script.push('/');
                    }
                    letter => self.write(letter.encode_utf8(&mut [0; 4])),
                }
                self.rest = &self.rest[letter.len_utf8()..];
                return;
            }
        };
        let mut bytes = letter.len_utf8();
        if letter == '\\' && !self.rest[1..].starts_with("${") {
            bytes += self.rest[1..].chars().next().map_or(0, char::len_utf8);
        }
        if letter == end {
            self.within = Within::Code;
            self.script.push(end);
        } else {
            let taken = self.rest[..bytes].to_owned();
            self.write(&taken);
        }
        self.rest = &self.rest[bytes..];
    }

    /// Whether a slash begins a regular expression here, and is no division.
    fn is_expression(&self) -> bool {
        let before = self.code.trim_end().chars().last();
        before.is_none_or(|before| matches!(before, '~' | ':' | '(' | ',' | '=' | '['))
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

    /// It reads, and of this server.
    fn check(&self) -> Result<()> {
        let refused = |told: &str| Err(invalid(self.request, told));
        let mut strings = self.strings.iter();
        let mut parts = self.code.split('"');
        // Every second part would stand between quotes, where there are none here.
        let mut before = parts.next().unwrap_or_default();
        for part in parts {
            let string = strings.next().map_or("", String::as_str);
            // It may be given another name there.
            let is_imported = before
                .split_whitespace()
                .rev()
                .take(2)
                .any(|word| word == "import");
            if is_imported && !IMPORTED.contains(&string) {
                let all = IMPORTED.join(", ");
                return refused(&format!("a script may import {all}; not '{string}'"));
            }
            before = part;
        }
        let words: Vec<&str> = words(&self.code).collect();
        for pair in words.windows(2) {
            if WRITING.contains(&pair[0]) && pair[1] == "(" {
                return refused(&format!("a script reads only; {}() writes", pair[0]));
            }
            if matches!(pair[0], "host" | "token") && pair[1] == ":" {
                return refused(&format!(
                    "a script reads of this server only; '{}:' names another",
                    pair[0]
                ));
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
        let is_name = |it: char| it.is_alphanumeric() || it == '_';
        let end = if is_name(first) {
            rest.find(|it| !is_name(it)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at(end);
        rest = after.trim_start();
        Some(word)
    })
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '.') || stand_in::number_of(letter).is_some()
}

/// Within a string, which could have expressions in it.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    text.replace("${", "\\${")
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
                "f(a: \"b\\\" or \\\\ \\${\")",
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
            ("f(a: \"$${p}\")", "", "f(a: \"\\${p}\")"),
            ("f(${q})", "", "!Problem evaluating"),
            ("import \"math\"\nx", "", "import \"math\"\nx"),
            (
                "import h \"experimental/http\"\nx",
                "",
                "!not 'experimental/http'",
            ),
            ("import \"sql\"\nx", "", "!not 'sql'"),
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
        assert_eq!(condition("a\"b", "c\\${d}"), r#"r["a\"b"] == "c\\\${d}""#);
    }
}
