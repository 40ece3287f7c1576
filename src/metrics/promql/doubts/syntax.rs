//! Whether a query can be parsed, whatever its variables stand for; and where it cannot.

mod fault;
mod token;
mod words;

use promql_parser::parser::Expr;

use self::fault::{Fault, is_of_syntax};
use self::token::{Token, tokens};
use self::words::{foreign_letter, without_meaning};
use crate::metrics::promql::parse;
use crate::metrics::stand_in::number_of;
use crate::metrics::strings::is_closed;

/// The first marks are those of the scope and the location: whoever writes `version=${scope}` has
/// forgotten quotes.
const NAMES: usize = 2;

/// What a variable may stand for outside of strings; the last is no name.
const MEANINGS: [&str; 13] = [
    "v",
    "1",
    "5m",
    "v=\"v\"",
    "m",
    "",
    "+",
    "sum",
    "rate",
    "by (v)",
    "offset 5m",
    "v, v",
    "\"v\"",
];

/// With more of them, or in larger queries, there are too many ways to read one.
const MOST_VARIABLES: usize = 3;
const MOST_BYTES: usize = 4_000;

/// What a query with marks for its variables is.
#[derive(Debug)]
pub enum Read {
    /// Marks are left in its strings.
    Parsed(Box<Expr>),
    /// It is too large, or its variables may stand for too much.
    Unknown,
    /// Prometheus refuses it; another database may not.
    Doubtful(Broken),
    Broken(Broken),
}

/// Why a query cannot be parsed.
#[derive(Debug, PartialEq)]
pub struct Broken {
    pub sentence: String,
    pub fix: String,
    /// How many bytes stand before the fault, where that is known.
    pub at: Option<usize>,
}

impl Broken {
    fn new(sentence: impl Into<String>, fix: impl Into<String>, at: Option<usize>) -> Self {
        Self {
            sentence: sentence.into(),
            fix: fix.into(),
            at,
        }
    }
}

pub fn read(query: &str) -> Read {
    let tokens = tokens(query);
    if let Some(broken) = foreign_letter(query, &tokens).or_else(|| not_closed(query)) {
        return Read::Broken(broken);
    }
    let variables = outside_strings(query, &tokens);
    if !variables.is_empty() && (MOST_VARIABLES < variables.len() || MOST_BYTES < query.len()) {
        return Read::Unknown;
    }
    let ways = variables
        .iter()
        .map(|variable| meanings_of(*variable).len());
    let ways: usize = ways.product();
    let mut meaningless = None;
    for way in 0..ways {
        match parse(&Filled::of(query, &tokens, &meanings(&variables, way)).text) {
            None => return Read::Unknown,
            Some(Ok(tree)) => return Read::Parsed(Box::new(tree)),
            Some(Err(wrong)) if !is_of_syntax(&wrong) => meaningless = Some(wrong),
            Some(Err(_)) => {}
        }
    }
    match meaningless {
        Some(wrong) if variables.is_empty() => return without_meaning(&wrong),
        // With another variable it might have one.
        Some(_) => return Read::Unknown,
        None => {}
    }
    // What goes farthest is probably what is meant.
    let alike = MEANINGS.map(|meaning| {
        let all = variables.iter().map(|variable| {
            let is_one = meanings_of(*variable).contains(&meaning);
            (*variable, if is_one { meaning } else { MEANINGS[0] })
        });
        Fault::find(&Filled::of(query, &tokens, &all.collect::<Vec<_>>()))
    });
    let farthest = alike.into_iter().max_by_key(|fault| fault.start);
    farthest.map_or(Read::Unknown, |fault| fault.told(query, &tokens))
}

fn not_closed(query: &str) -> Option<Broken> {
    let (at, sentence) = unbalanced(query)?;
    let fix = "close what is open, and nothing else";
    Some(Broken::new(sentence, fix, Some(at)))
}

/// The bracket or quote that is not closed, or closes nothing, and how many bytes stand before it.
pub fn unbalanced(query: &str) -> Option<(usize, String)> {
    let mut open = Vec::new();
    let mut letters = query.chars();
    loop {
        let at = query.len() - letters.as_str().len();
        let Some(letter) = letters.next() else { break };
        match letter {
            '"' | '\'' | '`' if !is_closed(&mut letters, letter) => {
                return Some((at, format!("the quote {letter} is not closed")));
            }
            '#' => {
                letters.by_ref().find(|letter| *letter == '\n');
            }
            '(' => open.push((at, letter, ')')),
            '[' => open.push((at, letter, ']')),
            '{' => open.push((at, letter, '}')),
            ')' | ']' | '}' => match open.pop() {
                Some((_, _, wanted)) if wanted == letter => {}
                Some((_, begun, _)) => {
                    let sentence = format!("'{letter}' stands where '{begun}' is to be closed");
                    return Some((at, sentence));
                }
                None => return Some((at, format!("'{letter}' closes nothing"))),
            },
            _ => {}
        }
    }
    let (at, begun, _) = open.pop()?;
    Some((at, format!("'{begun}' is not closed")))
}

/// The marks there, each once.
fn outside_strings(query: &str, tokens: &[Token]) -> Vec<char> {
    let code = tokens.iter().filter(|token| !token.is_string);
    let letters = code.flat_map(|token| query[token.start..token.end].chars());
    let mut found: Vec<char> = letters
        .filter(|letter| number_of(*letter).is_some())
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Of all ways to read the variables, the one of that number.
fn meanings(variables: &[char], mut way: usize) -> Vec<(char, &'static str)> {
    let mut meanings = Vec::new();
    for variable in variables {
        let all = meanings_of(*variable);
        meanings.push((*variable, all[way % all.len()]));
        way /= all.len();
    }
    meanings
}

fn meanings_of(variable: char) -> &'static [&'static str] {
    if number_of(variable).is_some_and(|number| number < NAMES) {
        &MEANINGS[..MEANINGS.len() - 1]
    } else {
        &MEANINGS
    }
}

/// A query with meanings for its marks outside of strings.
struct Filled {
    text: String,
    /// For every byte, and the end, where it comes from.
    origins: Vec<usize>,
}

impl Filled {
    fn of(query: &str, tokens: &[Token], meanings: &[(char, &str)]) -> Self {
        let mut strings = tokens.iter().filter(|token| token.is_string).peekable();
        let (mut text, mut origins) = (String::new(), Vec::new());
        for (at, letter) in query.char_indices() {
            while strings.next_if(|string| string.end <= at).is_some() {}
            let is_string = strings.peek().is_some_and(|string| string.start <= at);
            let meaning = meanings
                .iter()
                .find(|(mark, _)| *mark == letter && !is_string);
            match meaning {
                Some((_, meaning)) => text.push_str(meaning),
                None => text.push(letter),
            }
            origins.resize(text.len(), at);
        }
        origins.push(query.len());
        Self { text, origins }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::stand_in::mark;

    /// `%` stands for a variable, `§` for the scope.
    fn read_of(query: &str) -> Read {
        let [scope, variable] = [0, NAMES].map(|number| mark(number).unwrap().to_string());
        read(&query.replace('%', &variable).replace('§', &scope))
    }

    #[test]
    fn what_variables_stand_for_does_not_matter() {
        let queries = [
            r#"sum(rate(x{version="%"}[1m]))"#,
            "rate(x[%])",
            "rate(x[%m])",
            "rate(x[5%])",
            "sum by (%) (x)",
            "%{a=\"b\"}",
            "x_%_total",
            "x{%}",
            "x{a=%}",
            "x{%=\"a\"}",
            "x{a=\"b\",%}",
            "topk(%, x)",
            "histogram_quantile(%, sum by (le) (rate(x_bucket[1m])))",
            "%(x)",
            "%(x[1m])",
            "%",
            "sum(x) % sum(y)",
            "sum(x) %",
            "sum % (x)",
            "x offset %",
            "x[%:%]",
            "sum(x) * %",
            "§_requests{a=\"§-%\"}",
            "x{a=~\"§\",b=\"%\"}",
            "x{a=~\"b\",§}",
            r#"sum by ("service.name") (rate({"http.requests","service.version"="%"}[1m]))"#,
        ];
        for query in queries {
            let read = read_of(query);
            assert!(matches!(read, Read::Parsed(_)), "{query}: {read:?}");
        }
    }

    /// Query, where it is broken, how that is told, and a word of what to do.
    const BROKEN: &[(&str, usize, &str, &str)] = &[
        // query, at, sentence, fix
        (
            "sum(x) sum(y)",
            7,
            "'sum' cannot follow 'sum(x)'",
            "operator",
        ),
        ("sum(x y)", 6, "'y' cannot follow 'sum(x'", "operator"),
        (
            r#"x{a="b" c="d"}"#,
            8,
            r#"'c' cannot follow 'x{a="b"'"#,
            "comma",
        ),
        (
            r#"x{a="b",,c="d"}"#,
            8,
            r#"',' cannot follow 'x{a="b",'"#,
            "matchers",
        ),
        (r#"x{a=="b"}"#, 3, "'==' cannot follow 'x{a'", "matchers"),
        ("x{a=b}", 4, "'b' cannot follow 'x{a='", "matchers"),
        ("x{a~\"b\"}", 3, "'~' cannot follow 'x{a'", "matchers"),
        (
            "sum(x) / / sum(y)",
            9,
            "'/' cannot follow 'sum(x) /'",
            "missing",
        ),
        (
            "sum(x) +",
            8,
            "it ends after 'sum(x) +', where more is wanted",
            "missing",
        ),
        (
            "sum(x{v=“a”})",
            8,
            "the typographic quote “ stands",
            "write \"",
        ),
        (
            "sum(x{v=‘a’})",
            8,
            "the typographic quote ‘ stands",
            "write '",
        ),
        (
            "sum(x) – 1",
            7,
            "the dash – stands outside of a string",
            "write -",
        ),
        (
            "sum(x)\u{a0}+ 1",
            6,
            "the blank U+00A0 stands",
            "plain blank",
        ),
        ("sum(x) ≥ 1", 7, "'≥' (U+2265) stands", "PromQL"),
        ("sum(rate(x[1m])", 3, "'(' is not closed", "close"),
        (
            "sum by (a b) (x)",
            10,
            "'b' cannot follow 'sum by (a'",
            "comma",
        ),
        (
            "SELECT mean(x) FROM y",
            7,
            "'mean' cannot follow 'SELECT'",
            "operator",
        ),
        ("x{a=\"b\"} {c=\"d\"}", 9, "'{' cannot follow", "operator"),
        (
            "rate(x[1m]) y",
            12,
            "'y' cannot follow 'rate(x[1m])'",
            "operator",
        ),
    ];

    #[test]
    fn what_can_never_be_parsed_is_told_with_its_place() {
        for &(query, at, sentence, fix) in BROKEN {
            let Read::Broken(broken) = read(query) else {
                panic!("{query}: {:?}", read(query));
            };
            assert_eq!(broken.at, Some(at), "{query}: {broken:?}");
            assert!(broken.sentence.starts_with(sentence), "{query}: {broken:?}");
            assert!(broken.fix.contains(fix), "{query}: {broken:?}");
        }
        for query in ["x{a=§}", "x{a=\"b\",c=~§}", "sum(x{a!=§}) / %"] {
            let read = read_of(query);
            assert!(matches!(read, Read::Broken(_)), "{query}: {read:?}");
        }
        let variable = mark(NAMES).unwrap();
        for (query, at) in [
            ("x{a=\"%\" b=%}", 8),
            ("sum(%) sum(%)", 7),
            ("rate(x[%]) y", 11),
        ] {
            let Read::Broken(broken) = read_of(query) else {
                panic!("{query}: {:?}", read_of(query));
            };
            let before = query[..at].replace('%', &variable.to_string());
            assert_eq!(broken.at, Some(before.len()), "{query}: {broken:?}");
        }
    }

    #[test]
    fn misspelt_functions_and_patterns_that_look_around_are_broken() {
        let cases = [
            ("raet(x[1m])", "write 'rate'"),
            ("histogram_quantil(0.9, x)", "write 'histogram_quantile'"),
            ("sum_over_tme(x[1m])", "write 'sum_over_time'"),
            ("x{a=~\"(?!b).*\"}", "by !~"),
        ];
        for (query, fix) in cases {
            let Read::Broken(broken) = read(query) else {
                panic!("{query}: {:?}", read(query));
            };
            assert!(broken.fix.contains(fix), "{query}: {broken:?}");
        }
    }

    #[test]
    fn what_another_database_may_take_is_no_error() {
        let queries = [
            "rate(x)",
            "sum(rate(x_total{a=\"b\"}))",
            "xrate(x[1m])",
            "quantiles_over_time(\"q\", 0.5, x[1m])",
            "median(x)",
            "sum(x) keep_metric_names",
            "x default 0",
            "x if y",
            "WITH (a = x) a + a",
            "sum(x)[5m]",
            "rate(x[1i])",
            "rate(x[5m+1m])",
            "x > 8Ki",
            "foo.bar{a.b=\"c\"}",
            "foo\\-bar",
            "(x, y)",
            "sum(x,)",
            "x * on (a) group_left(*) y",
            "rate(x[1m] smoothed)",
            "sum(x) limit 10",
            "x{a=~\"[[]\"}",
            "sum(x) offset 1d",
            "1 > 2",
            "größe + 1",
        ];
        for query in queries {
            let read = read(query);
            assert!(!matches!(read, Read::Broken(_)), "{query}: {read:?}");
        }
        let large = format!("x{}", "+x".repeat(10_000));
        assert!(matches!(read(&large), Read::Unknown));
    }

    #[test]
    fn what_is_open_must_be_closed() {
        let cases = [
            ("sum(rate(m{a=\"(\"}[1m]))", None),
            ("m{a='\\'',b=`\\`} # )", None),
            ("sum(rate(m[1m])", Some((3, "'(' is not closed"))),
            (
                "sum(rate(m[1m)])",
                Some((13, "')' stands where '[' is to be closed")),
            ),
            ("m)", Some((1, "')' closes nothing"))),
            ("m{a=\"b}", Some((4, "the quote \" is not closed"))),
        ];
        for (query, expected) in cases {
            let found = unbalanced(query);
            let found = found.as_ref().map(|(at, told)| (*at, told.as_str()));
            assert_eq!(found, expected, "{query}");
        }
    }
}
