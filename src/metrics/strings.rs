//! Strings of a query, and what stands between them, as all languages here write them.

/// A part of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Piece<'a> {
    Code(&'a str),
    /// Without its quotes.
    Text(&'a str),
}

/// Strings and what stands between them, without comments.
pub fn pieces(query: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = query;
    let mut quote = None;
    std::iter::from_fn(move || {
        if let Some(quote) = quote.take() {
            let mut letters = rest.chars();
            let closing = usize::from(is_closed(&mut letters, quote));
            let (text, after) = (rest, letters.as_str());
            rest = after;
            return Some(Piece::Text(&text[..text.len() - after.len() - closing]));
        }
        if rest.is_empty() {
            return None;
        }
        let end = rest.find(['"', '\'', '`', '#']).unwrap_or(rest.len());
        let (code, after) = rest.split_at(end);
        quote = after.chars().next().filter(|letter| *letter != '#');
        rest = match after.strip_prefix('#') {
            Some(comment) => comment.split_once('\n').map_or("", |(_, after)| after),
            None => after.get(1..).unwrap_or_default(),
        };
        Some(Piece::Code(code))
    })
}

/// Whether a string ends that has begun; what is left stands after it.
pub fn is_closed(letters: &mut std::str::Chars<'_>, quote: char) -> bool {
    while let Some(letter) = letters.next() {
        if letter == quote {
            return true;
        }
        if letter == '\\' && quote != '`' {
            letters.next();
        }
    }
    false
}

/// Of a name.
pub fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | ':' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_told_from_what_stands_between_them() {
        let query = r#"m{a="b\"c",d=''} # e "f"
+ `\` "g"#;
        let expected = [
            Piece::Code("m{a="),
            Piece::Text("b\\\"c"),
            Piece::Code(",d="),
            Piece::Text(""),
            Piece::Code("} "),
            Piece::Code("+ "),
            Piece::Text("\\"),
            Piece::Code(" "),
            Piece::Text("g"),
        ];
        assert_eq!(pieces(query).collect::<Vec<_>>(), expected);
    }
}
