//! `LogQL`, the language of Loki, as far as its queries for numbers are told from PromQL.

use super::doubts::unbalanced;
use super::{PREFIX as OF_PROMQL, bare};
use crate::config;
use crate::error::Result;
use crate::metrics::template;
use crate::metrics::{Doubt, DoubtKind, Draft, MetricRequest};

/// What a template begins with that is a query for a Loki.
pub const PREFIX: &str = "LogQL:";

/// Whether the template of a metric says that it is `LogQL`.
pub fn is_asked(request: &MetricRequest<'_>) -> Result<bool> {
    let template = template::of(request.config, request.metric)?;
    Ok(template.is_some_and(|template| template.starts_with(PREFIX)))
}

/// Whether a query has what PromQL never has: pipes, and filters of lines behind a selector.
pub fn is_surely(query: &str) -> bool {
    let bare = bare(query);
    let filters = ["}!=\"", "}!=`", "}!~\"", "}!~`"];
    bare.contains('|') || filters.iter().any(|filter| bare.contains(filter))
}

/// Of the text that one side would be sent; `None` where it is PromQL.
pub fn doubts(draft: &Draft<'_>, template: &str, side: &str) -> Option<Vec<Doubt>> {
    let is_said = template.starts_with(PREFIX);
    if !is_said && !is_surely(side) {
        return None;
    }
    if let Some((_, sentence)) = unbalanced(side) {
        return Some(vec![Doubt::of_template(
            DoubtKind::Broken,
            format!("this is no LogQL: {sentence}"),
            "close what is open, and nothing else",
        )]);
    }
    let bare = bare(side);
    if bare.starts_with('{') && !bare.contains('[') {
        return Some(vec![Doubt::of_template(
            DoubtKind::Broken,
            "it selects lines of a log, and there is no number to compare",
            "count them, as in LogQL:sum(count_over_time({…} |= \"error\" [1m]))",
        )]);
    }
    let mut accounts = draft.own.accounts.iter();
    let is_answered = accounts.any(|account| {
        let base_url = account.face.base_url.as_deref();
        base_url.is_some_and(config::is_loki)
    });
    if is_said || is_answered {
        return Some(Vec::new());
    }
    Some(vec![Doubt::of_template(
        DoubtKind::Doubtful,
        "this is LogQL, which a Loki answers and no Prometheus",
        if template.starts_with(OF_PROMQL) {
            "begin it with 'LogQL:' instead of 'PromQL:', and ask an account whose baseUrl ends in '/loki'"
        } else {
            "begin it with 'LogQL:', and ask an account whose baseUrl ends in '/loki'"
        },
    )])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logql_is_told_by_what_promql_never_has() {
        let logql = [
            r#"sum(rate({app="x"} |= "error" [1m]))"#,
            "sum(rate({app=`x`} |~ `a|b` [1m]))",
            r#"sum(count_over_time({app="x"} != "debug" [1m]))"#,
            "sum(count_over_time({app=`x`} !~ `debug` [1m]))",
            r#"quantile_over_time(0.95, {app="x"} | json | unwrap duration(took) [1m]) by (app)"#,
        ];
        for query in logql {
            assert!(is_surely(query), "{query}");
        }
        let either = [
            r#"sum(rate({app="x"}[1m]))"#,
            r#"sum(rate(x{a=~"b|c"}[1m])) != 3"#,
            r#"x{a="b"} != x{a="c"}"#,
            "x # | json",
        ];
        for query in either {
            assert!(!is_surely(query), "{query}");
        }
    }
}
