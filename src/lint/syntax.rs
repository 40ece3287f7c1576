//! Whether a query can be parsed, whatever its variables stand for; and where it cannot.

use promql_parser::parser::Expr;

use super::near::slip;
use super::promql::unbalanced;
use crate::metrics::promql::{is_of_word, parse};

/// The first of the letters that stand for variables; no text has them.
const FIRST_MARK: u32 = 0xF_0000;

/// What a variable may stand for outside of strings.
const MEANINGS: [&str; 13] = [
    "v",
    "1",
    "5m",
    "\"v\"",
    "v=\"v\"",
    "m",
    "",
    "+",
    "sum",
    "rate",
    "by (v)",
    "offset 5m",
    "v, v",
];

/// With more of them, or in larger queries, there are too many ways to read one.
const MOST_VARIABLES: usize = 3;
const MOST_BYTES: usize = 4_000;

/// How much is shown of what stands before a fault.
const SHOWN: usize = 32;

/// What makes a query of its beginning: before its open brackets are closed, and after.
const WITHIN: [&str; 12] = [
    "", " v", " 5m", " 1", " (v)", " (v) (v)", " (v) v", "()", "=\"v\"", " \"v\"", " v=\"v\"",
    " :5m",
];
const AFTER: [&str; 3] = ["", " v", " (v)"];

/// Words of other databases' dialects, or of Prometheus behind a flag.
const OF_DIALECTS: [&str; 9] = [
    "default",
    "if",
    "ifnot",
    "keep_metric_names",
    "limit",
    "with",
    "smoothed",
    "anchored",
    "prefix",
];

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

/// The letter that stands for the variable of that number.
pub fn mark(number: usize) -> Option<char> {
    let number = u32::try_from(number).ok()?;
    char::from_u32(FIRST_MARK.checked_add(number)?)
}

/// The number of the variable that a letter stands for.
pub fn marked(letter: char) -> Option<usize> {
    let number = u32::from(letter).checked_sub(FIRST_MARK)?;
    usize::try_from(number).ok()
}

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
    let ways = MEANINGS
        .len()
        .pow(u32::try_from(variables.len()).unwrap_or(0));
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
        let all = variables.iter().map(|variable| (*variable, meaning));
        Fault::find(&Filled::of(query, &tokens, &all.collect::<Vec<_>>()))
    });
    let farthest = alike.into_iter().max_by_key(|fault| fault.start);
    farthest.map_or(Read::Unknown, |fault| fault.told(query, &tokens))
}

/// What can be parsed, and means nothing to Prometheus.
fn without_meaning(wrong: &str) -> Read {
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

/// Whether the parser stopped at a place, and did not ask for another type.
fn is_of_syntax(wrong: &str) -> bool {
    let begins = [
        "invalid promql query",
        "unexpected ",
        "invalid label matcher",
        "bad number",
        "missing unit",
        "expect duration",
        "unclosed",
        "unterminated",
        "unknown escape",
        "escape sequence",
        "no expression",
        "'!' can not",
        "not a valid duration",
        "ParseError",
    ];
    begins.iter().any(|begin| wrong.starts_with(begin))
}

/// Letters that stand outside of strings in no query; most come from a word processor.
fn foreign_letter(query: &str, tokens: &[Token]) -> Option<Broken> {
    let is_foreign =
        |letter: char| !letter.is_ascii() && !letter.is_alphanumeric() && marked(letter).is_none();
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

fn not_closed(query: &str) -> Option<Broken> {
    let (at, sentence) = unbalanced(query)?;
    let fix = "close what is open, and nothing else";
    Some(Broken::new(sentence, fix, Some(at)))
}

/// A word, a string, or a sign.
#[derive(Clone, Copy, Debug)]
struct Token {
    start: usize,
    end: usize,
    is_string: bool,
}

fn tokens(query: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut letters = query.char_indices().peekable();
    while let Some((start, first)) = letters.next() {
        let mut end = start + first.len_utf8();
        let is_string = matches!(first, '"' | '\'' | '`');
        if first.is_ascii_whitespace() {
            continue;
        }
        if first == '#' {
            letters.by_ref().find(|(_, letter)| *letter == '\n');
            continue;
        }
        if is_string {
            end = query.len();
            while let Some((at, letter)) = letters.next() {
                if letter == first {
                    end = at + 1;
                    break;
                }
                if letter == '\\' && first != '`' {
                    letters.next();
                }
            }
        } else {
            let is_sign = |letter: char| "=!<>~".contains(letter);
            let goes_on = |letter: char| {
                (is_of_word(first) && is_of_word(letter)) || (is_sign(first) && is_sign(letter))
            };
            while let Some((at, letter)) = letters.next_if(|(_, letter)| goes_on(*letter)) {
                end = at + letter.len_utf8();
            }
        }
        tokens.push(Token {
            start,
            end,
            is_string,
        });
    }
    tokens
}

/// The marks there, each once.
fn outside_strings(query: &str, tokens: &[Token]) -> Vec<char> {
    let code = tokens.iter().filter(|token| !token.is_string);
    let letters = code.flat_map(|token| query[token.start..token.end].chars());
    let mut found: Vec<char> = letters.filter(|letter| marked(*letter).is_some()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Of all ways to read the variables, the one of that number.
fn meanings(variables: &[char], mut way: usize) -> Vec<(char, &'static str)> {
    let mut meanings = Vec::new();
    for variable in variables {
        meanings.push((*variable, MEANINGS[way % MEANINGS.len()]));
        way /= MEANINGS.len();
    }
    meanings
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

/// Where a query ceases to be one: the first token that nothing makes whole, or its end.
struct Fault {
    start: usize,
    end: usize,
    is_of_dialect: bool,
}

impl Fault {
    fn find(filled: &Filled) -> Self {
        let text = &filled.text;
        let tokens = tokens(text);
        let ends: Vec<usize> = tokens.iter().map(|token| token.end).collect();
        let at = ends.partition_point(|end| can_be_completed(&text[..*end]));
        let Some(token) = tokens.get(at) else {
            return Self {
                start: filled.origins[text.len()],
                end: filled.origins[text.len()],
                is_of_dialect: has_word_of_dialect(text, &tokens),
            };
        };
        let before = tokens[..at].iter().rev();
        let before = before.map(|token| &text[token.start..token.end]);
        Self {
            start: filled.origins[token.start],
            end: filled.origins[token.end],
            is_of_dialect: has_word_of_dialect(text, &tokens)
                || is_of_dialect(&text[..token.start], before, &text[token.start..token.end]),
        }
    }

    fn told(&self, query: &str, tokens: &[Token]) -> Read {
        let before = query[..self.start].trim_end();
        let cut = before
            .char_indices()
            .rev()
            .nth(SHOWN)
            .map_or(0, |(at, _)| at);
        let shown = match cut {
            0 => before.to_owned(),
            cut => format!("…{}", &before[cut..]),
        };
        let found = &query[self.start..self.end];
        let sentence = match (shown.is_empty(), found.is_empty()) {
            (true, true) => "there is nothing in it".to_owned(),
            (false, true) => format!("it ends after '{shown}', where more is wanted"),
            (true, false) => format!("nothing begins with '{found}'"),
            (false, false) => format!("'{found}' cannot follow '{shown}'"),
        };
        let is_operand = |text: &str| {
            text.starts_with(|letter: char| {
                is_of_word(letter) || marked(letter).is_some() || "\"'`({".contains(letter)
            })
        };
        let last = tokens.iter().rfind(|token| token.end <= self.start);
        let ends = last.is_some_and(|token| {
            let last = &query[token.start..token.end];
            is_operand(last) && !matches!(last, "(" | "{") || matches!(last, ")" | "}" | "]")
        });
        let fix = match (is_operand(found) && ends, innermost(before)) {
            (true, Some('{')) => "put a comma between them",
            (true, _) => "put an operator or a comma between them, or take one out",
            (false, Some('{')) => "write label matchers, as in version=\"${scope}\",code=~\"5..\"",
            (false, _) => "write what is missing there, or take out what is too much",
        };
        let broken = Broken::new(sentence, fix, Some(self.start));
        if self.is_of_dialect {
            Read::Doubtful(broken)
        } else {
            Read::Broken(broken)
        }
    }
}

/// Whether anything that follows makes a query of its beginning.
fn can_be_completed(beginning: &str) -> bool {
    let brackets: String = open_brackets(beginning).into_iter().rev().collect();
    WITHIN.iter().any(|within| {
        AFTER.iter().any(|after| {
            let whole = format!("{beginning}{within}{brackets}{after}");
            match parse(&whole) {
                Some(Err(wrong)) => !is_of_syntax(&wrong),
                Some(Ok(_)) | None => true,
            }
        })
    })
}

/// What would close each bracket that is open, outermost first.
fn open_brackets(beginning: &str) -> Vec<char> {
    let mut open = Vec::new();
    for token in tokens(beginning) {
        match &beginning[token.start..token.end] {
            "(" => open.push(')'),
            "[" => open.push(']'),
            "{" => open.push('}'),
            ")" | "]" | "}" => {
                open.pop();
            }
            _ => {}
        }
    }
    open
}

/// The bracket that is open.
fn innermost(beginning: &str) -> Option<char> {
    Some(match open_brackets(beginning).pop()? {
        ')' => '(',
        ']' => '[',
        _ => '{',
    })
}

fn has_word_of_dialect(text: &str, tokens: &[Token]) -> bool {
    tokens.iter().any(|token| {
        let word = &text[token.start..token.end];
        OF_DIALECTS
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
    })
}

/// Whether another database may know what to do with a token that Prometheus stops at.
fn is_of_dialect<'a>(
    beginning: &str,
    mut before: impl Iterator<Item = &'a str>,
    token: &str,
) -> bool {
    let innermost = innermost(beginning);
    if innermost == Some('[') {
        return true;
    }
    let first = token.chars().next().unwrap_or_default();
    let is_number = first.is_ascii_digit() && !token.chars().all(|digit| digit.is_ascii_digit());
    let is_name = is_of_word(first) && (token.contains('.') || !token.is_ascii());
    let previous = before.next();
    match (token, previous) {
        ("\\", _) => true,
        (",", _) => innermost != Some('{'),
        (")", Some(",")) => true,
        ("*", Some("(")) => before.next().is_some_and(|word| word.starts_with("group_")),
        _ => is_number || is_name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `%` stands for a variable.
    fn read_of(query: &str) -> Read {
        read(&query.replace('%', &mark(0).unwrap().to_string()))
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
            r#"sum by ("service.name") (rate({"http.requests","service.version"="%"}[1m]))"#,
        ];
        for query in queries {
            let read = read_of(query);
            assert!(matches!(read, Read::Parsed(_)), "{query}: {read:?}");
        }
    }

    #[test]
    fn what_can_never_be_parsed_is_told_with_its_place() {
        let cases = [
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
        for (query, at, sentence, fix) in cases {
            let Read::Broken(broken) = read(query) else {
                panic!("{query}: {:?}", read(query));
            };
            assert_eq!(broken.at, Some(at), "{query}: {broken:?}");
            assert!(broken.sentence.starts_with(sentence), "{query}: {broken:?}");
            assert!(broken.fix.contains(fix), "{query}: {broken:?}");
        }
        let variable = mark(0).unwrap();
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
}
