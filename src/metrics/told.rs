//! What the query of a pair tells of its points, where who made the pair did not.

use super::promql::lookback;
use crate::canary::MetricSetPair;

/// Of pairs that came from elsewhere: how far their queries look back at every point.
pub fn tell_looks_back(pairs: &mut [MetricSetPair]) {
    for attributes in pairs
        .iter_mut()
        .flat_map(|pair| pair.attributes.values_mut())
    {
        if attributes.get("looksBack").is_some() {
            continue;
        }
        let longest = attributes
            .get("query")
            .and_then(|query| longest_range(query));
        if let Some(millis) = longest {
            attributes.insert("looksBack", millis.to_string());
        }
    }
}

/// The milliseconds that a query looks back at every point.
pub fn longest_range(query: &str) -> Option<i64> {
    lookback::longest(query)
}

/// Whether a text divides outside of its strings.
pub fn divides(query: &str) -> bool {
    let mut quote = None;
    query.chars().any(|character| {
        match quote {
            Some(open) if open == character => quote = None,
            None if matches!(character, '"' | '\'' | '`') => quote = Some(character),
            _ => {}
        }
        quote.is_none() && character == '/'
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_slash_in_a_string_divides_nothing() {
        assert!(divides("sum(a) / sum(b)"));
        assert!(!divides(r#"a{path="/x"}"#));
    }

    #[test]
    fn a_query_tells_how_far_it_looks_back() {
        let mut pairs: Vec<MetricSetPair> = serde_json::from_value(json!([{
            "name": "m", "values": {"control": [], "experiment": []},
            "attributes": {
                "control": {"query": "rate(x[5m])"},
                "experiment": {"query": "rate(x[5m])", "looksBack": "1"},
                "other": {"query": "x"},
            },
        }]))
        .unwrap();
        tell_looks_back(&mut pairs);
        let told = |side: &str| {
            pairs[0].attributes[side]
                .get("looksBack")
                .map(|text| &**text)
        };
        assert_eq!(told("control"), Some("300000"));
        assert_eq!(told("experiment"), Some("1"));
        assert_eq!(told("other"), None);
    }
}
