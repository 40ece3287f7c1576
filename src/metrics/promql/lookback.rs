//! How far a query looks back at every point.

/// The milliseconds of the longest range of a query; `None` where it looks at its times only.
pub fn longest(query: &str) -> Option<i64> {
    ranges(query).max()
}

/// The milliseconds of every range of a query: `[5m]`, `[1h30m:1m]`.
fn ranges(query: &str) -> impl Iterator<Item = i64> {
    let mut quote = None;
    let mut start = None;
    query.char_indices().filter_map(move |(at, character)| {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'' | '`') => quote = Some(character),
            (None, '[') => start = Some(at + 1),
            (None, ']') => {
                let range = &query[start.take()?..at];
                return millis(range.split(':').next()?.trim());
            }
            _ => {}
        }
        None
    })
}

/// A duration as Prometheus writes it.
fn millis(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut sum = 0_i64;
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let (count, tail) = rest.split_at(digits);
        let unit = tail
            .find(|character: char| character.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            "y" => 31_536_000_000,
            _ => return None,
        };
        sum = sum.checked_add(count.parse::<i64>().ok()?.checked_mul(millis)?)?;
        rest = tail;
    }
    (0 < sum).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_prometheus() {
        let cases = [
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("500ms", Some(500)),
            ("2w", Some(1_209_600_000)),
            ("5", None),
            ("$__interval", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(millis(text), expected, "{text}");
        }
    }
    #[test]
    fn a_query_looks_back_as_far_as_its_longest_range() {
        let cases = [
            ("rate(a[1m30s])", Some(90_000)),
            ("max_over_time(a[1h:1m]) + rate(b[5m])", Some(3_600_000)),
            ("a{path=\"[5m]\"}", None),
            ("a", None),
        ];
        for (query, expected) in cases {
            assert_eq!(longest(query), expected, "{query}");
        }
    }
}
