//! Reading PromQL as far as words and strings go.

pub fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | ':' | '.')
}

/// The query without strings and comments; blanks are kept only between words.
pub fn bare(query: &str) -> String {
    let mut bare = String::new();
    let mut characters = query.chars();
    let mut blank = false;
    while let Some(character) = characters.next() {
        match character {
            '"' | '\'' | '`' => {
                skip_string(&mut characters, character);
                bare.push(character);
            }
            '#' => {
                characters.by_ref().find(|c| *c == '\n');
                blank = true;
            }
            character if character.is_whitespace() => blank = true,
            character => {
                if blank && is_of_word(character) && bare.ends_with(is_of_word) {
                    bare.push(' ');
                }
                blank = false;
                bare.push(character);
            }
        }
    }
    bare
}

fn skip_string(characters: &mut std::str::Chars<'_>, quote: char) {
    while let Some(character) = characters.next() {
        if character == quote {
            return;
        }
        if character == '\\' && quote != '`' {
            characters.next();
        }
    }
}
