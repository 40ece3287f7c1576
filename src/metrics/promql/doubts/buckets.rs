//! Quantiles of buckets that were summed without their limits.

use crate::metrics::promql::bare;
use crate::metrics::strings::is_of_word;

/// Between two sides of an operation.
const OF_MATCHING: [&str; 7] = [
    "and",
    "or",
    "unless",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

/// More quantiles in one query are not looked at, nor what is nested deeper: queries may be large.
const MOST_CALLS: usize = 16;
const DEEPEST: usize = 16;

/// A quantile of classic buckets that were summed without their limits has none.
pub fn is_quantile_without_le(query: &str) -> bool {
    let bare = bare(query);
    let calls = bare.match_indices("histogram_quantile(").take(MOST_CALLS);
    let mut calls = calls.filter(|(at, _)| !bare[..*at].ends_with(is_of_word));
    calls.any(|(at, _)| {
        let call = parentheses(&bare[at..]);
        let inside = call.first().map(|(_, inside)| *inside);
        let arguments = inside.map(|inside| split(inside, |letter| letter == ','));
        matches!(arguments.as_deref(), Some([_, buckets]) if loses_le(buckets, DEEPEST))
    })
}

/// Whether what comes out of an expression of buckets surely has no `le`; what is not understood
/// may have one.
fn loses_le(buckets: &str, deepest: usize) -> bool {
    let Some(deeper) = deepest.checked_sub(1) else {
        return false;
    };
    // What sides are matched by can keep the labels of either.
    if outermost_words(buckets).any(|word| OF_MATCHING.contains(&word.to_lowercase().as_str())) {
        return false;
    }
    split(buckets, |letter| "+-*/%^<>=!".contains(letter))
        .into_iter()
        .any(|operand| operand_loses_le(operand, deeper))
}

fn operand_loses_le(operand: &str, deepest: usize) -> bool {
    let parts = parentheses(operand);
    let heads: Vec<String> = parts.iter().map(|(head, _)| head.to_lowercase()).collect();
    let heads: Vec<&str> = heads.iter().flat_map(|head| head.split(' ')).collect();
    let insides: Vec<&str> = parts.iter().map(|(_, inside)| *inside).collect();
    let (summed, grouping) = match (&heads[..], &insides[..]) {
        ([""], [inside]) => return loses_le(inside, deepest),
        ([function], [inside]) if keeps_labels(function) => return loses_le(inside, deepest),
        (["sum" | "avg" | "max" | "min"], [summed]) => (summed, None),
        (["sum" | "avg" | "max" | "min", how, ""], [labels, summed])
        | (["sum" | "avg" | "max" | "min", how], [summed, labels]) => {
            (summed, Some((*how, *labels)))
        }
        _ => return false,
    };
    let is_of_buckets = words(summed).any(|word| word.ends_with("_bucket"));
    let is_lost = match grouping {
        None => true,
        // What a variable stands for is not known.
        Some((_, labels))
            if !labels
                .chars()
                .all(|letter| is_of_word(letter) || letter == ',') =>
        {
            false
        }
        Some(("by", labels)) => words(labels).all(|label| label != "le"),
        Some(("without", labels)) => words(labels).any(|label| label == "le"),
        Some(_) => false,
    };
    is_of_buckets && (is_lost || loses_le(summed, deepest))
}

fn keeps_labels(function: &str) -> bool {
    matches!(function, "rate" | "irate" | "increase") || function.ends_with("_over_time")
}

/// What stands in each outermost pair of parentheses, and what stands before it.
fn parentheses(bare: &str) -> Vec<(&str, &str)> {
    let (mut parts, mut depth, mut head, mut begin) = (Vec::new(), 0_usize, 0, 0);
    for (at, letter) in bare.char_indices() {
        match letter {
            '(' => {
                if depth == 0 {
                    begin = at;
                }
                depth += 1;
            }
            ')' if depth == 1 => {
                parts.push((&bare[head..begin], &bare[begin + 1..at]));
                (depth, head) = (0, at + 1);
            }
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    parts
}

/// Split where no bracket is open.
fn split(bare: &str, is_between: impl Fn(char) -> bool) -> Vec<&str> {
    let mut depth = 0_usize;
    let is_outermost = |letter| {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && is_between(letter)
    };
    bare.split(is_outermost).collect()
}

/// Those outside of brackets.
fn outermost_words(bare: &str) -> impl Iterator<Item = &str> {
    let is_bracket = |letter| "()[]{}".contains(letter);
    let pieces = split(bare, is_bracket).into_iter();
    // A piece ends with what closes it, unless it is the last.
    pieces.flat_map(move |piece| words(piece.split(is_bracket).next().unwrap_or_default()))
}

fn words(bare: &str) -> impl Iterator<Item = &str> {
    bare.split(|letter| !is_of_word(letter))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_want_the_limits_of_the_buckets_that_they_are_made_of() {
        let has_none = [
            "histogram_quantile(0.9, sum(rate(m_bucket[1m])))",
            "histogram_quantile(0.9, sum by (job) (rate(m_bucket[1m])))",
            "histogram_quantile(0.9, sum(rate(m_bucket[1m])) BY (job))",
            "histogram_quantile(0.9, sum without (le) (rate(m_bucket[1m])))",
            "histogram_quantile(0.9, (avg(rate(m_bucket[1m])) / 60))",
            "histogram_quantile(0.9, sum by (le) (sum by (job) (rate(m_bucket[1m]))))",
            "histogram_quantile(0.9, max_over_time(sum(rate(m_bucket[1m]))[5m:1m]))",
            "sum(histogram_quantile(0.9, sum(rate(m_bucket{a=\"le)\"}[1m]))))",
            "1 - histogram_quantile(0.9, sum(rate(a_bucket[1m])) + sum(rate(b_bucket[1m])))",
        ];
        for query in has_none {
            assert!(is_quantile_without_le(query), "{query}");
        }
        let may_have_some = [
            "max(histogram_quantile(0.9, rate(m_bucket[1m])))",
            "sum(rate(m_bucket[1m])) > histogram_quantile(0.9, rate(m_bucket[1m]))",
            "histogram_quantile(0.9, sum by (le, job) (rate(m_bucket[1m])))",
            "histogram_quantile(0.9, sum(rate(m_bucket[1m])) by (le,))",
            "histogram_quantile(0.9, SUM WITHOUT (instance) (rate(m_bucket[1m])))",
            "histogram_quantile(0.9, sum by (control-labels) (rate(m_bucket[1m])))",
            "histogram_quantile(0.9, sum by (\"le\") (rate(m_bucket[1m])))",
            "histogram_quantile(scalar(max(m)), rate(m_bucket[1m]))",
            "histogram_quantile(0.9, rate(m_bucket[1m]) and on (pod) max by (pod) (m_bucket))",
            "histogram_quantile(0.9, sum(m_bucket) / on () group_right () rate(m_bucket[1m]))",
            "histogram_quantile(0.9, rate(m_bucket[1m]) / scalar(sum(rate(m_bucket[1m]))))",
            "histogram_quantile(0.9, label_replace(sum(m_bucket), \"le\", \"1\", \"\", \"\"))",
            "histogram_quantile(0.9, sum(rate(m[1m])))",
            "my_histogram_quantile(0.9, sum(m_bucket))",
            "histogram_quantile(0.9, sum(m_bucket)",
            "histogram_quantile(",
            "histogram_quantile()",
        ];
        for query in may_have_some {
            assert!(!is_quantile_without_le(query), "{query}");
        }
        let deep = "(".repeat(100_000) + "m_bucket" + &")".repeat(100_000);
        assert!(!is_quantile_without_le(&format!(
            "histogram_quantile(0.9, {deep})"
        )));
    }
}
