//! Which word was meant.

/// A word of at most this many letters is near only to what is one letter off: two, and any word of
/// four would be a misspelt other one.
const SHORT: usize = 5;

/// Of words with fewer letters, one letter makes another word.
const LEAST: usize = 4;

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

/// The word that a slip of the finger made this one of: two letters swapped, one changed, left out or
/// put in between. What differs in case, in digits and dashes, by a plural or in what is added at
/// an end is a name that somebody may have chosen.
pub fn slip<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    known.iter().copied().find(|known| is_slip(word, known))
}

fn is_slip(word: &str, known: &str) -> bool {
    let (written, meant) = differing(word, known);
    let is_letter = |letter: &char| letter.is_alphabetic();
    if known.chars().count() < LEAST || !written.iter().chain(&meant).all(is_letter) {
        return false;
    }
    match (&written[..], &meant[..]) {
        ([first, second], [third, fourth]) => first == fourth && second == third,
        ([letter], [other]) => !letter.to_lowercase().eq(other.to_lowercase()),
        ([], [_]) => known.strip_prefix(word) != Some("s"),
        ([_], []) => !word.starts_with(known) && !word.ends_with(known),
        _ => false,
    }
}

/// The letters of both words between what they begin and end with alike.
fn differing(word: &str, other: &str) -> (Vec<char>, Vec<char>) {
    let [word, other] = [word, other].map(|word| word.chars().collect::<Vec<char>>());
    let pairs = word.iter().zip(&other);
    let begin = pairs.take_while(|(letter, other)| letter == other).count();
    let [word, other] = [&word[begin..], &other[begin..]];
    let pairs = word.iter().rev().zip(other.iter().rev());
    let end = pairs.take_while(|(letter, other)| letter == other).count();
    let [word, other] = [word, other].map(|word| word[..word.len() - end].to_vec());
    (word, other)
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

    #[test]
    fn a_slip_is_told_from_a_name_of_its_own() {
        let known = ["scope", "location", "resourceType", "env", "zones", "pod_1"];
        let cases = [
            ("scpoe", Some("scope")),
            ("scipe", Some("scope")),
            ("scop", Some("scope")),
            ("scoope", Some("scope")),
            ("loction", Some("location")),
            ("resourceTpye", Some("resourceType")),
            ("scopes", None),
            ("scope2", None),
            ("scope_a", None),
            ("myscope", None),
            ("scoped", None),
            ("Scope", None),
            ("allocation", None),
            ("resource_type", None),
            ("resource_Type", None),
            ("resourcetype", None),
            ("enf", None),
            ("zone", None),
            ("pod_2", None),
            ("pod_", None),
            ("", None),
        ];
        for (word, expected) in cases {
            assert_eq!(slip(word, &known), expected, "{word}");
        }
    }
}
