//! What is read of an expression: where its values stand, and whether it gives several series.

use crate::error::Result;
use crate::metrics::keyed::invalid;
use crate::metrics::quoted::{self, Quoting};
use crate::metrics::stand_in::number_of;
use crate::metrics::template::{self, Expansion};
use crate::metrics::{MetricRequest, is_of_word};

/// Strings of Metrics Insights and of SEARCH stand in either; within those of SEARCH, exact values do.
const QUOTING: Quoting = Quoting {
    quotes: "'\"",
    comment: None,
    has_braces: false,
    never: "'\"\\",
    way_back: None,
};

/// What makes one series of several.
const AGGREGATES: [&str; 7] = [
    "AVG",
    "COUNT",
    "MAX",
    "METRIC_COUNT",
    "MIN",
    "STDDEV",
    "SUM",
];

/// What gives several.
const SEVERAL: [&str; 2] = ["SEARCH", "METRICS"];

/// The text with its variables filled in, where no value is more than a value.
pub fn expanded(
    request: &MetricRequest<'_>,
    expansion: &mut Expansion<'_>,
    written: &str,
) -> Result<String> {
    let text = expansion.expand(written)?;
    quoted::check_template(request, written, &QUOTING)?;
    let mut values = Expansion::of(request);
    for name in bare_in_search(written) {
        if values.value(name).is_none() {
            continue;
        }
        // Values may hold variables themselves.
        let value = values.expand(&format!("${{{name}}}"))?;
        let is_one_term = |letter: &char| {
            letter.is_alphanumeric() || "_-./:@".contains(*letter) || number_of(*letter).is_some()
        };
        if let Some(found) = value.chars().find(|letter| !is_one_term(letter)) {
            return Err(invalid(
                request,
                &format!(
                    "the value of '{name}' holds {found:?}, and its SEARCH has it without double quotes, where that \
                     begins another term: write \"${{{name}}}\" between double quotes"
                ),
            ));
        }
    }
    Ok(text)
}

/// The variables within a string of a SEARCH that stand in no quotes of their own.
fn bare_in_search(written: &str) -> Vec<&str> {
    let mut found = Vec::new();
    if !written.to_uppercase().contains("SEARCH") {
        return found;
    }
    let (mut outer, mut is_exact) = (None, false);
    let mut rest = written;
    while let Some(letter) = rest.chars().next() {
        if let Some(tail) = rest.strip_prefix("$${") {
            rest = tail;
            continue;
        }
        if let Some((variable, tail)) = rest.strip_prefix("${").and_then(|it| it.split_once('}')) {
            if outer.is_some() && !is_exact {
                found.push(template::name_and_default(variable).0);
            }
            rest = tail;
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        match (outer, letter) {
            (None, '\'' | '"') => outer = Some(letter),
            (Some(quote), letter) if quote == letter => (outer, is_exact) = (None, false),
            (Some(_), '\'' | '"') => is_exact = !is_exact,
            _ => {}
        }
    }
    found
}

/// Whether there is a series for each of what it finds; `several` are names of which that is known.
pub fn is_several(text: &str, several: &[&str]) -> bool {
    let code = code(text);
    let upper = code.to_uppercase();
    if is_select(text) {
        let words: Vec<&str> = upper.split_whitespace().collect();
        return words.windows(2).any(|pair| pair == ["GROUP", "BY"]);
    }
    // The functions that are open.
    let mut open: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut letters = code.chars().peekable();
    while let Some(letter) = letters.next() {
        if is_of_word(letter) {
            word.push(letter);
            if letters.peek().copied().is_some_and(is_of_word) {
                continue;
            }
            let next = letters.peek();
            let name = word.to_uppercase();
            let is_call = next == Some(&'(');
            let gives_several =
                several.contains(&word.as_str()) || is_call && SEVERAL.contains(&name.as_str());
            let is_made_one = open.iter().any(|name| AGGREGATES.contains(&name.as_str()));
            if gives_several && !is_made_one {
                return true;
            }
            if !is_call {
                word.clear();
            }
            continue;
        }
        match letter {
            '(' => open.push(std::mem::take(&mut word).to_uppercase()),
            ')' => drop(open.pop()),
            _ => {}
        }
        word.clear();
    }
    false
}

/// Whether it is a query of Metrics Insights.
pub fn is_select(text: &str) -> bool {
    let begin = text.trim_start().get(..6);
    begin.is_some_and(|word| word.eq_ignore_ascii_case("select"))
}

/// Whether it says itself of which metrics, so that it has a period of its own.
pub fn has_period(text: &str) -> bool {
    is_select(text) || code(text).to_uppercase().contains("SEARCH(")
}

/// Without what stands in its strings, and without blanks before what is called.
pub fn code(text: &str) -> String {
    let mut quote = None;
    let mut code = String::new();
    for letter in text.chars() {
        match (quote, letter) {
            (None, '\'' | '"') => quote = Some(letter),
            (Some(open), letter) if open == letter => quote = None,
            (None, '(') => {
                code.truncate(code.trim_end().len());
                code.push('(');
            }
            (None, letter) => code.push(letter),
            _ => {}
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_gives_several_series_where_nothing_makes_one_of_them() {
        let search = "SEARCH('{AWS/EC2,InstanceId} MetricName=\"CPUUtilization\"', 'Average', 60)";
        let cases = [
            ("100 * errors / all".to_owned(), false),
            (search.to_owned(), true),
            (format!("AVG({search})"), false),
            (format!("100 * SUM({search}) / SUM({search})"), false),
            (format!("SUM({search}) / {search}"), true),
            (format!("AVG(FILL({search}, 0))"), false),
            (format!("RATE({search})"), true),
            ("SUM(METRICS()) + METRICS ()".to_owned(), true),
            ("SUM(METRICS())".to_owned(), false),
            ("found * 2".to_owned(), true),
            ("MAX(found) + foundling".to_owned(), false),
            ("'SEARCH(' + m".to_owned(), false),
            (
                "SELECT AVG(CPU) FROM \"AWS/EC2\" WHERE a = 'GROUP BY'".to_owned(),
                false,
            ),
            (
                "select AVG(CPU) from \"AWS/EC2\" group  by InstanceId".to_owned(),
                true,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(is_several(&text, &["found"]), expected, "{text}");
        }
    }

    #[test]
    fn variables_without_quotes_of_their_own_are_found_in_a_search() {
        let cases: [(&str, &[&str]); 5] = [
            (
                r#"SEARCH('{N,v} v="${scope}" w=${w:-a} $${x}', 'p${p}', ${step})"#,
                &["w", "p"],
            ),
            (r"SEARCH('v=${scope}', 'Sum', 60)", &["scope"]),
            (r#"SEARCH(" v='${scope}' ${w}", "Sum")"#, &["w"]),
            (r"SELECT AVG(m) FROM n WHERE v = '${scope}'", &[]),
            (r"${scope} * SEARCH('a', 'Sum')", &[]),
        ];
        for (written, expected) in cases {
            assert_eq!(bare_in_search(written), expected, "{written}");
        }
    }

    #[test]
    fn what_has_a_period_of_its_own() {
        assert!(has_period("SELECT AVG(m) FROM n") && has_period("SUM(search ('a', 'Sum'))"));
        assert!(!has_period("a / b") && !has_period("'SEARCH(' + m"));
    }
}
