//! What can be told of PromQL without a Prometheus.

use crate::judge::lookback;
use crate::metrics::promql::{bare, is_of_word};

/// Functions that make something of a counter.
const OF_COUNTERS: &str = "rate irate increase delta idelta resets changes deriv count absent \
    absent_over_time present_over_time count_over_time timestamp group";

/// Whether a template without the prefix is PromQL, and not label matchers.
pub fn is_query(template: &str) -> bool {
    let plain = template.replace("${", "").replace('}', "");
    bare(&plain).contains(['(', '[', '{'])
}

/// The bracket or quote that is not closed, or closes nothing.
pub fn unbalanced(query: &str) -> Option<String> {
    let mut open = Vec::new();
    let mut letters = query.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' | '\'' | '`' if !is_closed(&mut letters, letter) => {
                return Some(format!("the quote {letter} is not closed"));
            }
            '#' => {
                letters.by_ref().find(|letter| *letter == '\n');
            }
            '(' => open.push((letter, ')')),
            '[' => open.push((letter, ']')),
            '{' => open.push((letter, '}')),
            ')' | ']' | '}' => match open.pop() {
                Some((_, wanted)) if wanted == letter => {}
                Some((begun, _)) => {
                    return Some(format!("'{letter}' stands where '{begun}' is to be closed"));
                }
                None => return Some(format!("'{letter}' closes nothing")),
            },
            _ => {}
        }
    }
    let (begun, _) = open.pop()?;
    Some(format!("'{begun}' is not closed"))
}

fn is_closed(letters: &mut std::str::Chars<'_>, quote: char) -> bool {
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

/// A counter that is looked at as it is: it only grows, so the older side has more.
pub fn bare_counter(query: &str) -> Option<String> {
    let bare = bare(query);
    let mut counter = None;
    for word in words(&bare) {
        if OF_COUNTERS.split_whitespace().any(|known| known == word) {
            return None;
        }
        if word.ends_with("_total") || word.ends_with("_bucket") {
            counter = counter.or(Some(word));
        }
    }
    counter.map(str::to_owned)
}

/// A quantile of classic buckets that were summed without their limits has none.
pub fn is_quantile_without_le(query: &str) -> bool {
    let bare = bare(query);
    let has = |wanted: &str| words(&bare).any(|word| word == wanted);
    let sums = ["sum", "avg", "max", "min"].into_iter().any(has);
    let has_buckets = words(&bare).any(|word| word.ends_with("_bucket"));
    has("histogram_quantile") && has_buckets && sums && !has("le") && !has("without")
}

/// How far a query looks back, where that is longer than the step in seconds.
pub fn beyond(query: &str, step: i64) -> Option<String> {
    let longest = lookback::longest(query)?;
    let step = step.checked_mul(1000).filter(|step| 0 < *step)?;
    (step < longest).then(|| lookback::duration(longest))
}

fn words(bare: &str) -> impl Iterator<Item = &str> {
    bare.split(|letter| !is_of_word(letter))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matchers_are_told_from_queries() {
        let cases = [
            ("version=\"${scope}\"", false),
            ("version=~\"a(b|c)[d]\",zone=\"${location}\"", false),
            ("${matchers}", false),
            ("up{version=\"${scope}\"}", true),
            ("sum(rate(m[1m]))", true),
        ];
        for (template, expected) in cases {
            assert_eq!(is_query(template), expected, "{template}");
        }
    }

    #[test]
    fn what_is_open_must_be_closed() {
        let cases = [
            ("sum(rate(m{a=\"(\"}[1m]))", None),
            ("m{a='\\'',b=`\\`} # )", None),
            ("sum(rate(m[1m])", Some("'(' is not closed")),
            (
                "sum(rate(m[1m)])",
                Some("')' stands where '[' is to be closed"),
            ),
            ("m)", Some("')' closes nothing")),
            ("m{a=\"b}", Some("the quote \" is not closed")),
        ];
        for (query, expected) in cases {
            assert_eq!(unbalanced(query).as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn counters_want_a_rate_and_buckets_their_limits() {
        let cases = [
            (
                "sum(http_requests_total)",
                Some("http_requests_total"),
                false,
            ),
            ("sum(rate(http_requests_total[1m]))", None, false),
            ("avg(up{job=\"a_total\"})", None, false),
            (
                "histogram_quantile(0.9, sum(rate(m_bucket[1m])))",
                None,
                true,
            ),
            (
                "histogram_quantile(0.9, sum(rate(m_bucket[1m])) by (le))",
                None,
                false,
            ),
            ("histogram_quantile(0.9, sum(rate(m[1m])))", None, false),
            ("histogram_quantile(0.9, rate(m_bucket[1m]))", None, false),
        ];
        for (query, counter, without_le) in cases {
            assert_eq!(bare_counter(query).as_deref(), counter, "{query}");
            assert_eq!(is_quantile_without_le(query), without_le, "{query}");
        }
    }
}
