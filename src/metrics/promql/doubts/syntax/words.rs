//! Words that mean nothing, and letters that no query has.

use super::token::Token;
use super::{Broken, Read};
use crate::canary::near::slip;
use crate::metrics::stand_in::number_of;

/// Functions and aggregations that are misspelt now and then.
const FUNCTIONS: &str = "absent absent_over_time avg_over_time bottomk ceil changes clamp \
    clamp_max clamp_min count_over_time count_values delta deriv floor histogram_avg \
    histogram_count histogram_fraction histogram_quantile histogram_stddev histogram_sum \
    increase irate label_join label_replace last_over_time max_over_time min_over_time \
    predict_linear present_over_time quantile quantile_over_time rate resets round scalar \
    sort_desc stddev stddev_over_time stdvar sum_over_time time timestamp topk vector";

/// Those of other databases that look like misspelt ones.
const OTHER_FUNCTIONS: [&str; 2] = ["quantiles_over_time", "xrate"];

/// What no regular expression of such a database has.
const LOOKING_AROUND: [&str; 4] = ["(?=", "(?!", "(?<=", "(?<!"];

/// What can be parsed, and means nothing to Prometheus.
pub fn without_meaning(wrong: &str) -> Read {
    let doubtful = |fix: &str| Read::Doubtful(Broken::new(wrong, fix, None));
    if let Some(name) = wrong.strip_prefix("unknown function with name ") {
        let name = name.trim_matches('\'');
        let functions: Vec<&str> = FUNCTIONS.split_whitespace().collect();
        return match slip(name, &functions).filter(|_| !OTHER_FUNCTIONS.contains(&name)) {
            Some(meant) => {
                let sentence = format!("there is no function '{name}'");
                Read::Broken(Broken::new(sentence, format!("write '{meant}'"), None))
            }
            None => doubtful("use a function that the database has"),
        };
    }
    if let Some(pattern) = wrong.strip_prefix("illegal regex for ") {
        return if LOOKING_AROUND.iter().any(|group| pattern.contains(group)) {
            Read::Broken(Broken::new(
                format!("the pattern '{pattern}' looks around, which these patterns cannot"),
                "match what is wanted by =~, and what is not by !~ in another matcher",
                None,
            ))
        } else {
            doubtful("write a regular expression of RE2")
        };
    }
    if wrong.starts_with("expected type matrix") {
        return doubtful("give it a range, as in rate(…[1m])");
    }
    doubtful("write what Prometheus takes, unless the database understands it")
}

/// Letters that stand outside of strings in no query; most come from a word processor.
pub fn foreign_letter(query: &str, tokens: &[Token]) -> Option<Broken> {
    let is_foreign = |letter: char| {
        !letter.is_ascii() && !letter.is_alphanumeric() && number_of(letter).is_none()
    };
    let mut code = tokens.iter().filter(|token| !token.is_string);
    let (at, letter) = code.find_map(|token| {
        let mut letters = query[token.start..token.end].char_indices();
        let (at, letter) = letters.find(|(_, letter)| is_foreign(*letter))?;
        Some((token.start + at, letter))
    })?;
    let code = u32::from(letter);
    let (name, fix) = match letter {
        '“' | '”' | '„' | '‟' | '«' | '»' | '″' | '＂' => {
            (format!("the typographic quote {letter}"), "write \"")
        }
        '‘' | '’' | '‚' | '‛' | '′' | '‹' | '›' | '＇' => {
            (format!("the typographic quote {letter}"), "write '")
        }
        '‐' | '‑' | '‒' | '–' | '—' | '−' => (format!("the dash {letter}"), "write -"),
        letter if letter.is_whitespace() || !is_shown(letter) => {
            (format!("the blank U+{code:04X}"), "write a plain blank")
        }
        letter => (
            format!("'{letter}' (U+{code:04X})"),
            "write what PromQL has for it, or put it into a string",
        ),
    };
    let sentence = format!("{name} stands outside of a string");
    Some(Broken::new(sentence, fix, Some(at)))
}

/// Zero-width letters and marks of direction are not.
fn is_shown(letter: char) -> bool {
    !matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
