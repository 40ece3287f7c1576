//! Which word was meant.

/// A word of at most this many letters is near only to what is one letter off: two, and any word of
/// four would be a misspelt other one.
const SHORT: usize = 5;

/// The word that was probably meant, whatever its case, dashes and blanks.
pub fn near<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = plain(word);
    let is_near = |known: &&str| {
        let known = plain(known);
        let far = if known.chars().count() <= SHORT { 1 } else { 2 };
        // No distance is less than that of the lengths, and that of long words takes a lot of room.
        word.chars().count().abs_diff(known.chars().count()) <= far
            && strsim::damerau_levenshtein(&word, &known) <= far
    };
    let distance = |known: &&str| strsim::damerau_levenshtein(&word, &plain(known));
    let near = known.iter().copied().filter(is_near);
    near.min_by_key(distance)
}

fn plain(word: &str) -> String {
    let letters = word.chars();
    let letters = letters.filter(|letter| !matches!(letter, '-' | '_' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_word_is_near_to_less_than_a_long_one() {
        let known = ["name", "scope", "location", "direction"];
        let cases = [
            ("nmae", Some("name")),
            ("Name", Some("name")),
            ("base", None),
            ("note", None),
            ("scpoe", Some("scope")),
            (" scope ", Some("scope")),
            ("code", None),
            ("locatn", Some("location")),
            ("locat", None),
            ("directoin", Some("direction")),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(near(word, &known), expected, "{word}");
        }
    }
}
