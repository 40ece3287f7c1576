//! Texts of others, shown so that they steer neither a terminal nor a CI job, and forge no line.

use std::borrow::Cow;
use std::fmt::Write as _;

/// On one line: what breaks lines, moves the cursor, turns the direction of writing or is not seen
/// at all stands as JSON escapes it, so that a JSON text stays the same value.
pub fn line(text: &str) -> Cow<'_, str> {
    without(text, is_steering)
}

/// A whole document: its lines and tabs stay.
pub fn document(text: &str) -> Cow<'_, str> {
    without(text, |character| {
        is_steering(character) && !matches!(character, '\n' | '\t')
    })
}

fn without(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_escaped(character) {
            push_escaped(&mut shown, character);
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// A name or an id: no blank in it passes for none, or for another.
pub fn name(text: &str) -> String {
    let text = line(text);
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let mut is_after_blank = true;
    while let Some(character) = rest.next() {
        let is_inside = !is_after_blank && rest.peek().is_some();
        if character.is_whitespace() && !(character == ' ' && is_inside) {
            push_escaped(&mut shown, character);
        } else {
            shown.push(character);
        }
        is_after_blank = character.is_whitespace();
    }
    shown
}

/// As it is written by a command: its lines stay, and none is a command to a CI job that reads it.
pub fn block(text: &str) -> String {
    let lines = text.split('\n');
    let lines = lines.map(|text| no_command(&line(text), push_escaped));
    lines.collect::<Vec<_>>().join("\n")
}

/// The same of XML and HTML, where a reference to its letter stands for what would be a command.
pub fn markup(text: &str) -> String {
    let lines = text.split('\n');
    let lines = lines.map(|text| no_command(text, push_reference));
    lines.collect::<Vec<_>>().join("\n")
}

/// GitHub obeys a line that begins with `::`, blanks aside; it, Azure Pipelines and `TeamCity`
/// obey `##[…`, `##vso[…` and their like wherever they stand.
fn no_command(text: &str, push: fn(&mut String, char)) -> String {
    let begun = text.trim_start();
    let (blanks, rest) = text.split_at(text.len() - begun.len());
    let mut shown = blanks.to_owned();
    let rest = match rest.strip_prefix("::") {
        Some(after) => {
            push(&mut shown, ':');
            shown.push(':');
            after
        }
        None => rest,
    };
    for (at, part) in rest.split('[').enumerate() {
        match at {
            0 => {}
            _ if names_command(&shown) => push(&mut shown, '['),
            _ => shown.push('['),
        }
        shown += part;
    }
    shown
}

/// Whether a `[` that follows would begin one.
fn names_command(before: &str) -> bool {
    let word = before.trim_end_matches(|letter: char| letter.is_ascii_alphanumeric());
    word.ends_with("##")
}

/// Controls, and of what is not seen, what Unicode leaves out where it is not understood.
fn is_steering(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{34f}'
                | '\u{61c}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}

fn push_reference(shown: &mut String, character: char) {
    let _ = write!(shown, "&#{};", u32::from(character));
}

fn push_escaped(shown: &mut String, character: char) {
    match character {
        '\n' => *shown += "\\n",
        '\r' => *shown += "\\r",
        '\t' => *shown += "\\t",
        other => {
            for unit in other.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_others_stays_on_its_line() {
        let cases = [
            ("as it is: ä → 🐤 \\n", "as it is: ä → 🐤 \\n"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{1b}[2J\u{7}\u{7f}", "\\u001b[2J\\u0007\\u007f"),
            ("\u{9b}31m\u{85}\u{2028}", "\\u009b31m\\u0085\\u2028"),
            ("a\u{202e}b\u{2066}c", "a\\u202eb\\u2066c"),
            ("a\u{200b}b\u{feff}\u{ad}", "a\\u200bb\\ufeff\\u00ad"),
            ("\u{e0041}", "\\udb40\\udc41"),
            ("::error::x", "::error::x"),
        ];
        for (text, expected) in cases {
            assert_eq!(line(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_document_keeps_its_lines() {
        let text = "a\n\tb\r\u{1b}[2J\u{202e}\n";
        assert_eq!(document(text), "a\n\tb\\r\\u001b[2J\\u202e\n");
    }

    #[test]
    fn blanks_of_a_name_are_seen() {
        let cases = [
            ("", ""),
            ("my app", "my app"),
            (" a  b ", "\\u0020a \\u0020b\\u0020"),
            (" ", "\\u0020"),
            ("a\u{a0}b\u{3000}", "a\\u00a0b\\u3000"),
            ("\u{202e}ppa", "\\u202eppa"),
        ];
        for (text, expected) in cases {
            assert_eq!(name(text), expected, "{text:?}");
        }
    }

    #[test]
    fn no_line_is_a_command_to_a_ci_job() {
        let cases = [
            ("a\n::error::x\n", "a\n\\u003a:error::x\n"),
            (
                "  \u{3000}::set-env name=A::b",
                "  \u{3000}\\u003a:set-env name=A::b",
            ),
            ("a ::error::x", "a ::error::x"),
            ("\r::error::x", "\\r::error::x"),
            ("a ##[error]x", "a ##\\u005berror]x"),
            (
                "##vso[task.x]##teamcity[y]",
                "##vso\\u005btask.x]##teamcity\\u005by]",
            ),
            ("###[error]", "###\\u005berror]"),
            ("::##[error]", "\\u003a:##\\u005berror]"),
            ("## [a heading](x) ###", "## [a heading](x) ###"),
        ];
        for (text, expected) in cases {
            assert_eq!(block(text), expected, "{text:?}");
        }
    }

    #[test]
    fn markup_says_the_same_and_is_no_command() {
        let cases = [
            ("<b>\n::error::x</b>\n", "<b>\n&#58;:error::x</b>\n"),
            ("\t::a ##vso[b]", "\t&#58;:a ##vso&#91;b]"),
            ("<![CDATA[a]]> a::b", "<![CDATA[a]]> a::b"),
        ];
        for (text, expected) in cases {
            assert_eq!(markup(text), expected, "{text:?}");
        }
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"a": "\u{9b}\u{202e}\u{e0041} ##[error]x\n::error::y"});
        let shown = block(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!shown.contains(is_steering_but_newline) && !shown.contains("##["));
        let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, value);
    }

    fn is_steering_but_newline(character: char) -> bool {
        character != '\n' && is_steering(character)
    }
}
