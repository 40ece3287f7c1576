//! What is understood of PromQL where serin is asked as if it were a Prometheus: one metric with
//! its matchers, how old it may be, and the question whether anybody is there.

use std::time::Duration;

use promql_parser::label::{MatchOp, Matcher as Label};
use promql_parser::parser::{Expr, FunctionArgs, VectorSelector, token};
use regex_lite::Regex;

use super::promql;
use crate::error::{Error, Result};

/// The score of the newest canary of an application and a config.
pub const SCORE: &str = "serin_canary_score";

/// The label that is the name of a metric.
pub const NAME: &str = "__name__";

/// How much of a query is told with what is wrong with it.
const SHOWN: usize = 200;

#[derive(Debug)]
pub enum Query {
    /// `1+1`: who asks wants to know whether it is answered.
    Number(f64),
    /// `vector(1)`, for the same.
    Vector(f64),
    Scores(Selection),
}

/// Which scores.
#[derive(Debug)]
pub struct Selection {
    matchers: Vec<Matcher>,
    /// How long ago the canary may have ended.
    pub within: Option<Duration>,
}

#[derive(Debug)]
struct Matcher {
    label: String,
    wanted: Wanted,
}

#[derive(Debug)]
enum Wanted {
    Is(String),
    IsNot(String),
    Like(Regex),
    Unlike(Regex),
}

impl Query {
    /// # Errors
    /// `Invalid` with what would be understood.
    pub fn parse(text: &str) -> Result<Self> {
        let not_understood = || {
            not_understood(
                text,
                &format!(
                    "there are {SCORE}{{application=\"…\", config=\"…\"}}, \
                 last_over_time({SCORE}{{…}}[30m]), and numbers, as in vector(1)"
                ),
            )
        };
        let parsed = promql::parse(text).ok_or_else(not_understood)?;
        let mut parsed =
            parsed.map_err(|wrong| no_pattern(&wrong).unwrap_or_else(not_understood))?;
        while let Expr::Paren(inner) = parsed {
            parsed = *inner.expr;
        }
        if let Some(number) = number(&parsed) {
            return Ok(Self::Number(number));
        }
        match parsed {
            Expr::VectorSelector(selector) => Selection::of(selector, None),
            Expr::Call(call) => match (call.func.name, argument(call.args)) {
                ("vector", Some(inner)) => {
                    return number(&inner).map(Self::Vector).ok_or_else(not_understood);
                }
                ("last_over_time", Some(Expr::MatrixSelector(matrix))) => {
                    Selection::of(matrix.vs, Some(matrix.range))
                }
                _ => None,
            },
            _ => None,
        }
        .map_or_else(
            || Err(not_understood()),
            |selection| Ok(Self::Scores(selection?)),
        )
    }
}

/// Of an expression of numbers. Trees are not deep: [`promql::parse`] sees to that.
fn number(expression: &Expr) -> Option<f64> {
    match expression {
        Expr::NumberLiteral(literal) => Some(literal.val),
        Expr::Paren(inner) => number(&inner.expr),
        Expr::Unary(inner) => number(&inner.expr).map(|number| -number),
        Expr::Binary(binary) => {
            let (left, right) = (number(&binary.lhs)?, number(&binary.rhs)?);
            match binary.op.id() {
                token::T_ADD => Some(left + right),
                token::T_SUB => Some(left - right),
                token::T_MUL => Some(left * right),
                token::T_DIV => Some(left / right),
                token::T_MOD => Some(left % right),
                token::T_POW => Some(left.powf(right)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The only one.
fn argument(mut arguments: FunctionArgs) -> Option<Expr> {
    let last = arguments.args.pop()?;
    arguments.is_empty().then_some(*last)
}

fn not_understood(text: &str, there_are: &str) -> Error {
    let shown: String = text.trim().chars().take(SHOWN).collect();
    Error::Invalid(format!("'{shown}' is not understood here; {there_are}"))
}

/// The one thing that can be wrong with a query that is else understood.
fn no_pattern(wrong: &str) -> Option<Error> {
    let pattern = wrong.strip_prefix("illegal regex for ")?;
    Some(Error::Invalid(format!(
        "'{pattern}' is no regular expression"
    )))
}

impl Selection {
    /// None for other metrics, and other times.
    fn of(selector: VectorSelector, within: Option<Duration>) -> Option<Result<Self>> {
        let is_score = selector.name.as_deref().is_none_or(|name| name == SCORE);
        match Self::of_any(selector, within)? {
            Ok(selection) if !is_score || !selection.fits_name() => None,
            read => Some(read),
        }
    }

    /// Of any metric; none at other times.
    fn of_any(selector: VectorSelector, within: Option<Duration>) -> Option<Result<Self>> {
        let VectorSelector {
            name,
            matchers,
            offset: None,
            at: None,
        } = selector
        else {
            return None;
        };
        if !matchers.or_matchers.is_empty() {
            return None;
        }
        let named = name.map(|name| Matcher {
            label: NAME.to_owned(),
            wanted: Wanted::Is(name),
        });
        let matchers = matchers.matchers.into_iter().map(Matcher::of);
        let matchers: Result<_> = named.into_iter().map(Ok).chain(matchers).collect();
        Some(matchers.map(|matchers| Self { matchers, within }))
    }

    /// A selector of any metric, as in `match[]`.
    ///
    /// # Errors
    /// `Invalid` when it is none.
    pub fn parse(text: &str) -> Result<Self> {
        let not_understood =
            || not_understood(text, "a selector is wanted, as in {application=\"…\"}");
        let parsed = promql::parse(text).ok_or_else(not_understood)?;
        let parsed = parsed.map_err(|wrong| no_pattern(&wrong).unwrap_or_else(not_understood))?;
        match parsed {
            Expr::VectorSelector(selector) => Self::of_any(selector, None),
            _ => None,
        }
        .unwrap_or_else(|| Err(not_understood()))
    }

    fn fits_name(&self) -> bool {
        let mut matchers = self.matchers.iter();
        matchers.all(|matcher| matcher.label != NAME || matcher.wanted.is(SCORE))
    }

    /// The one value that a label may have.
    pub fn only(&self, label: &str) -> Option<&str> {
        let mut matchers = self.matchers.iter();
        matchers.find_map(|matcher| match &matcher.wanted {
            Wanted::Is(value) if matcher.label == label && !value.is_empty() => Some(&**value),
            _ => None,
        })
    }

    /// Whether labels are as they should be; a label that is not there is empty.
    pub fn fits(&self, labels: &[(&str, &str)]) -> bool {
        let mut others = self.matchers.iter().filter(|matcher| matcher.label != NAME);
        let fit = others.all(|matcher| {
            let found = labels.iter().find(|(label, _)| *label == matcher.label);
            matcher.wanted.is(found.map_or("", |(_, value)| value))
        });
        fit && self.fits_name()
    }
}

impl Wanted {
    fn is(&self, value: &str) -> bool {
        match self {
            Self::Is(wanted) => value == wanted,
            Self::IsNot(wanted) => value != wanted,
            Self::Like(pattern) => pattern.is_match(value),
            Self::Unlike(pattern) => !pattern.is_match(value),
        }
    }
}

impl Matcher {
    fn of(matcher: Label) -> Result<Self> {
        let Label { name, op, value } = matcher;
        // Prometheus compares the whole value, whatever its lines.
        let pattern = || {
            Regex::new(&format!("^(?s:{value})$")).map_err(|cause| {
                Error::Invalid(format!("'{value}' is no regular expression: {cause}"))
            })
        };
        let wanted = match op {
            MatchOp::Re(_) => Wanted::Like(pattern()?),
            MatchOp::NotRe(_) => Wanted::Unlike(pattern()?),
            MatchOp::Equal => Wanted::Is(value),
            MatchOp::NotEqual => Wanted::IsNot(value),
        };
        let label = name;
        Ok(Self { label, wanted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(text: &str) -> Selection {
        match Query::parse(text).unwrap() {
            Query::Scores(selection) => selection,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn matchers_choose_as_those_of_prometheus() {
        let labels = [("application", "web"), ("config", "a \"b\"\nc")];
        let cases = [
            ("", true),
            ("{}", true),
            (r#"{application="web"}"#, true),
            (r#"{application="we"}"#, false),
            (r#"{application!="web"}"#, false),
            (r#"{application=~"w.b|shop",}"#, true),
            (r#"{application=~"we"}"#, false),
            (r#"{application=~"a|web"}"#, true),
            (r#"{application!~".*"}"#, false),
            (r#"{ config = "a \"b\"\nc" , application = 'web' }"#, true),
            (r#"{config=~"a.*c"}"#, true),
            (r#"{nosuch=""}"#, true),
            (r#"{nosuch!=""}"#, false),
        ];
        for (matchers, expected) in cases {
            let selection = scores(&format!("{SCORE}{matchers}"));
            assert_eq!(selection.fits(&labels), expected, "{matchers}");
        }
        for text in [
            r#"{__name__="serin_canary_score",application="web"}"#,
            r#"({__name__=~"serin.*"})"#,
            "((serin_canary_score))",
            r#"{application="web"}"#,
        ] {
            assert!(scores(text).fits(&labels), "{text}");
        }
        assert_eq!(
            scores(r#"serin_canary_score{config="x"}"#).only("config"),
            Some("x")
        );
        assert_eq!(
            scores(r#"serin_canary_score{config=~"x"}"#).only("config"),
            None
        );
    }

    #[test]
    fn series_are_selected_whatever_their_metric() {
        let labels = [("application", "web")];
        let cases = [
            ("serin_canary_score", true),
            (r#"{__name__="serin_canary_score"}"#, true),
            (r#"{__name__!=""}"#, true),
            (r#"{application="web"}"#, true),
            (r#"{application=~"s.*"}"#, false),
            ("up", false),
            (r#"{__name__!~"serin.*",application="web"}"#, false),
        ];
        for (text, expected) in cases {
            let selection = Selection::parse(text).unwrap();
            assert_eq!(selection.fits(&labels), expected, "{text}");
        }
        for text in [
            "",
            "{",
            "{}",
            "1",
            "up[5m]",
            "sum(up)",
            "up offset 5m",
            "up @ 5",
        ] {
            let told = Selection::parse(text).unwrap_err().to_string();
            assert!(told.contains("a selector is wanted"), "{text}: {told}");
        }
    }

    #[test]
    fn an_age_may_be_asked_for() {
        let cases = [
            ("serin_canary_score", None),
            ("last_over_time(serin_canary_score[30m])", Some(1800)),
            (
                r#" last_over_time ( serin_canary_score{config="x"}[1h30m] ) "#,
                Some(5400),
            ),
        ];
        for (text, seconds) in cases {
            assert_eq!(
                scores(text).within,
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
        for text in ["vector(1)", " vector( 1 ) "] {
            assert!(
                matches!(Query::parse(text), Ok(Query::Vector(1.0))),
                "{text}"
            );
        }
        for (text, expected) in [
            ("1+1", 2.0),
            ("7", 7.0),
            ("-(2 * 3) / 4", -1.5),
            ("2^3%5", 3.0),
        ] {
            let parsed = Query::parse(text);
            let is_it =
                matches!(parsed, Ok(Query::Number(number)) if number.total_cmp(&expected).is_eq());
            assert!(is_it, "{text}: {parsed:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told_with_what_is() {
        let deep = "(".repeat(100_000);
        let closed = format!("{deep}up{}", ")".repeat(100_000));
        let long = format!("up{}", "+up".repeat(100_000));
        for text in [
            "",
            "up",
            "sum(serin_canary_score)",
            "serin_canary_score > 90",
            "serin_canary_score offset 5m",
            "serin_canary_score @ 1609459200",
            "serin_canary_score[5m]",
            "last_over_time(serin_canary_score)",
            "rate(serin_canary_score[5m])",
            "vector(x)",
            "1 > 0",
            "1 + serin_canary_score",
            "serin_canary_score{config=}",
            r#"{__name__="up"}"#,
            &deep,
            &closed,
            &long,
        ] {
            let error = Query::parse(text).map(|_| ()).unwrap_err().to_string();
            assert!(
                error.contains("is not understood here; there are"),
                "{error}"
            );
        }
        let error = Query::parse(r#"serin_canary_score{config=~"("}"#);
        let error = error.map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with("'(' is no regular expression"), "{error}");
    }
}
