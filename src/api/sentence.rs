//! What is told in one sentence where there is room for no more.

use serde_json::Value;

use crate::canary::StageException;

/// An event of Kubernetes holds about a thousand bytes, and Flagger adds words of its own.
const LONGEST: usize = 400;

/// Why an execution ended without a verdict.
pub fn without_verdict(exception: Option<&StageException>) -> String {
    let details = exception.map(|exception| &exception.details);
    let first = details.and_then(|details| details.get("errors")?.get(0));
    let error = first.or_else(|| details?.get("error"));
    match error.and_then(Value::as_str) {
        Some(error) => short(&format!("No verdict: {error}")),
        None => "No verdict: it ended with an error".to_owned(),
    }
}

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
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_sentence_is_cut_between_characters() {
        let cut = short(&"ä".repeat(1_000));
        assert_eq!(cut.chars().count(), LONGEST + 1);
        assert!(cut.ends_with('…'));
    }

    #[test]
    fn the_first_error_is_told() {
        let cases = [
            (
                json!({"errors": ["no such\nmetric", "another"], "error": "worse"}),
                "No verdict: no such metric",
            ),
            (
                json!({"error": "Unexpected Task Failure"}),
                "No verdict: Unexpected Task Failure",
            ),
            (json!({}), "No verdict: it ended with an error"),
        ];
        for (details, expected) in cases {
            let exception = serde_json::from_value(json!({"details": details})).unwrap();
            assert_eq!(without_verdict(Some(&exception)), expected);
        }
        assert_eq!(without_verdict(None), "No verdict: it ended with an error");
    }
}
