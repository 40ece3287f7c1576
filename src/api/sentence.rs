//! What is told in one sentence where there is room for no more.

/// An event of Kubernetes holds about a thousand bytes, and Flagger adds words of its own.
const LONGEST: usize = 400;

/// One line, and not more than can be shown.
pub fn short(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sentence_is_cut_between_characters() {
        let cut = short(&"ä".repeat(1_000));
        assert_eq!(cut.chars().count(), LONGEST + 1);
        assert!(cut.ends_with('…'));
    }
}
