//! A query as far as words, strings and signs go, whether it can be parsed or not.

use crate::metrics::strings::is_of_word;

/// A word, a string, or a sign.
#[derive(Clone, Copy, Debug)]
pub struct Token {
    pub start: usize,
    pub end: usize,
    pub is_string: bool,
}

pub fn tokens(query: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut letters = query.char_indices().peekable();
    while let Some((start, first)) = letters.next() {
        let mut end = start + first.len_utf8();
        let is_string = matches!(first, '"' | '\'' | '`');
        if first.is_ascii_whitespace() {
            continue;
        }
        if first == '#' {
            letters.by_ref().find(|(_, letter)| *letter == '\n');
            continue;
        }
        if is_string {
            end = query.len();
            while let Some((at, letter)) = letters.next() {
                if letter == first {
                    end = at + 1;
                    break;
                }
                if letter == '\\' && first != '`' {
                    letters.next();
                }
            }
        } else {
            let is_sign = |letter: char| "=!<>~".contains(letter);
            let goes_on = |letter: char| {
                (is_of_word(first) && is_of_word(letter)) || (is_sign(first) && is_sign(letter))
            };
            while let Some((at, letter)) = letters.next_if(|(_, letter)| goes_on(*letter)) {
                end = at + letter.len_utf8();
            }
        }
        tokens.push(Token {
            start,
            end,
            is_string,
        });
    }
    tokens
}
