//! What can be told of a query by its tree: raw counters, quantiles that are none, and the labels
//! that keep the series of both sides apart.

use std::collections::BTreeSet;

use promql_parser::label::{METRIC_NAME, Matcher};
use promql_parser::parser::{
    AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector,
};

/// Functions that make something of a counter, or ask only whether it is there.
const OF_COUNTERS: [&str; 13] = [
    "rate",
    "irate",
    "increase",
    "delta",
    "idelta",
    "resets",
    "changes",
    "deriv",
    "absent",
    "absent_over_time",
    "present_over_time",
    "count_over_time",
    "timestamp",
];

/// Aggregations of series as they are.
const OF_WHOLE_SERIES: [&str; 4] = ["topk", "bottomk", "limitk", "limit_ratio"];

/// A counter that is looked at as it is: it only grows, so the older side has more.
pub fn bare_counter(tree: &Expr) -> Option<String> {
    let mut bare = Vec::new();
    bare_selectors(tree, &mut bare);
    let names: Vec<&str> = bare.into_iter().filter_map(name).collect();
    let is_counter = |name: &str| {
        let of_pair = |ending, other| {
            let stem = name.strip_suffix(ending);
            stem.is_some_and(|stem| names.contains(&format!("{stem}{other}").as_str()))
        };
        let endings = ["_total", "_bucket", "_seconds_count", "_bytes_count"];
        endings.iter().any(|ending| name.ends_with(ending))
            || of_pair("_sum", "_count")
            || of_pair("_count", "_sum")
    };
    let counter = names.iter().find(|name| is_counter(name))?;
    Some((*counter).to_owned())
}

/// The selectors whose values are looked at as they are.
fn bare_selectors<'a>(tree: &'a Expr, found: &mut Vec<&'a VectorSelector>) {
    match tree {
        Expr::VectorSelector(selector) => found.push(selector),
        Expr::MatrixSelector(matrix) => found.push(&matrix.vs),
        Expr::Call(call) if OF_COUNTERS.contains(&call.func.name) => {}
        Expr::Aggregate(all) if matches!(all.op.to_string().as_str(), "count" | "group") => {}
        Expr::Binary(binary) => match binary.op.to_string().as_str() {
            // An increase, done by hand.
            "-" => {}
            "and" | "unless" => bare_selectors(&binary.lhs, found),
            _ => {
                bare_selectors(&binary.lhs, found);
                bare_selectors(&binary.rhs, found);
            }
        },
        other => {
            for inner in operands(other) {
                bare_selectors(inner, found);
            }
        }
    }
}

fn name(selector: &VectorSelector) -> Option<&str> {
    let matchers = &selector.matchers.matchers;
    let named = matchers.iter().find(|matcher| matcher.name == METRIC_NAME);
    let named = named.map(|matcher| matcher.value.as_str());
    selector.name.as_deref().or(named)
}

/// A quantile that is no number from 0 to 1.
pub fn impossible_quantile(tree: &Expr) -> Option<f64> {
    let asked: Vec<&Expr> = match tree {
        Expr::Call(call) => {
            let arguments = call.args.args.iter().map(|argument| &**argument);
            match call.func.name {
                "histogram_quantile" | "quantile_over_time" => arguments.take(1).collect(),
                "histogram_quantiles" => arguments.skip(2).collect(),
                _ => Vec::new(),
            }
        }
        Expr::Aggregate(all) if all.op.to_string() == "quantile" => {
            all.param.iter().map(|param| &**param).collect()
        }
        _ => Vec::new(),
    };
    let mut numbers = asked.into_iter().filter_map(number);
    let impossible = numbers.find(|number| !(0.0..=1.0).contains(number));
    impossible.or_else(|| operands(tree).into_iter().find_map(impossible_quantile))
}

fn number(tree: &Expr) -> Option<f64> {
    match tree {
        Expr::NumberLiteral(number) => Some(number.val),
        Expr::Paren(inner) => number(&inner.expr),
        Expr::Unary(inner) => number(&inner.expr).map(|number| -number),
        _ => None,
    }
}

/// The labels of the result by whose matchers the sides are told apart: series that have them are
/// never paired.
pub fn kept_labels(tree: &Expr, tells_apart: &dyn Fn(&Matcher) -> bool) -> BTreeSet<String> {
    let of = |tree: &Expr| kept_labels(tree, tells_apart);
    match tree {
        Expr::VectorSelector(selector) => {
            let all = &selector.matchers;
            let all = all.matchers.iter().chain(all.or_matchers.iter().flatten());
            let told = all.filter(|matcher| matcher.name != METRIC_NAME && tells_apart(matcher));
            told.map(|matcher| matcher.name.clone()).collect()
        }
        Expr::MatrixSelector(matrix) => of(&Expr::VectorSelector(matrix.vs.clone())),
        Expr::Aggregate(all) => aggregated(all, of(&all.expr)),
        Expr::Call(call) => called(call, &of),
        Expr::Binary(binary) => matched(binary, of(&binary.lhs), of(&binary.rhs)),
        other => operands(other).into_iter().flat_map(of).collect(),
    }
}

fn aggregated(all: &AggregateExpr, labels: BTreeSet<String>) -> BTreeSet<String> {
    if OF_WHOLE_SERIES.contains(&all.op.to_string().as_str()) {
        return labels;
    }
    match &all.modifier {
        None => BTreeSet::new(),
        modifier => modified(labels, modifier.as_ref()),
    }
}

fn modified(mut labels: BTreeSet<String>, modifier: Option<&LabelModifier>) -> BTreeSet<String> {
    match modifier {
        Some(LabelModifier::Include(kept)) => labels.retain(|label| kept.labels.contains(label)),
        Some(LabelModifier::Exclude(lost)) => labels.retain(|label| !lost.labels.contains(label)),
        None => {}
    }
    labels
}

fn called(call: &Call, of: &dyn Fn(&Expr) -> BTreeSet<String>) -> BTreeSet<String> {
    let arguments = &call.args.args;
    match call.func.name {
        "scalar" | "vector" => BTreeSet::new(),
        "label_replace" | "label_join" => {
            let mut labels = arguments
                .first()
                .map_or_else(BTreeSet::new, |first| of(first));
            // What the label is then is not known.
            if let Some(Expr::StringLiteral(written)) = arguments.get(1).map(|label| &**label) {
                labels.remove(&written.val);
            }
            labels
        }
        _ => arguments.iter().flat_map(|argument| of(argument)).collect(),
    }
}

fn matched(
    binary: &BinaryExpr,
    left: BTreeSet<String>,
    right: BTreeSet<String>,
) -> BTreeSet<String> {
    let operator = binary.op.to_string();
    if operator == "or" {
        return left.into_iter().chain(right).collect();
    }
    if operator == "and" || operator == "unless" {
        return left;
    }
    let modifier = binary.modifier.as_ref();
    match modifier.map(|modifier| &modifier.card) {
        Some(VectorMatchCardinality::ManyToOne(more)) => with(left, &right, &more.labels),
        Some(VectorMatchCardinality::OneToMany(more)) => with(right, &left, &more.labels),
        _ => {
            let both = left.into_iter().chain(right).collect();
            modified(
                both,
                modifier.and_then(|modifier| modifier.matching.as_ref()),
            )
        }
    }
}

/// The labels of the side that has many, with those that are taken over from the other.
fn with(many: BTreeSet<String>, one: &BTreeSet<String>, more: &[String]) -> BTreeSet<String> {
    let taken = more.iter().filter(|label| one.contains(*label)).cloned();
    many.into_iter().chain(taken).collect()
}

/// What a part of a query is made of.
fn operands(tree: &Expr) -> Vec<&Expr> {
    match tree {
        Expr::Aggregate(all) => vec![&all.expr],
        Expr::Unary(inner) => vec![&inner.expr],
        Expr::Paren(inner) => vec![&inner.expr],
        Expr::Subquery(inner) => vec![&inner.expr],
        Expr::Binary(binary) => vec![&binary.lhs, &binary.rhs],
        Expr::Call(call) => call.args.args.iter().map(|argument| &**argument).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::promql::parse;

    fn tree(query: &str) -> Expr {
        parse(query).unwrap().unwrap()
    }

    #[test]
    fn counters_want_a_rate() {
        let cases = [
            ("sum(http_requests_total)", Some("http_requests_total")),
            ("sum(rate(http_requests_total[1m]))", None),
            ("avg(up{job=\"a_total\"})", None),
            ("{__name__=\"x_total\",a=\"b\"}", Some("x_total")),
            ("sum(rate(a_total[1m])) / sum(b_total)", Some("b_total")),
            ("sum(x_sum) / sum(x_count)", Some("x_sum")),
            ("sum(x_count)", None),
            ("sum(x_seconds_count)", Some("x_seconds_count")),
            ("sum(rate(x_sum[1m])) / sum(rate(x_count[1m]))", None),
            ("max_over_time(x_total[5m])", Some("x_total")),
            ("x_total - x_total offset 1m", None),
            ("count(x_total)", None),
            ("up and x_total", None),
            ("-x_total", Some("x_total")),
            ("histogram_quantile(0.9, x_bucket)", Some("x_bucket")),
            ("max_over_time(sum(rate(x_total[1m]))[10m:1m])", None),
        ];
        for (query, counter) in cases {
            assert_eq!(bare_counter(&tree(query)).as_deref(), counter, "{query}");
        }
    }

    #[test]
    fn quantiles_lie_between_0_and_1() {
        let cases = [
            ("histogram_quantile(0.95, x)", None),
            ("histogram_quantile(95, x)", Some(95.0)),
            ("sum(histogram_quantile(-0.5, x))", Some(-0.5)),
            ("quantile(99, x)", Some(99.0)),
            ("quantile(1, x) + quantile(0, x)", None),
            ("1 + quantile_over_time((50), x[1m])", Some(50.0)),
            ("histogram_quantile(scalar(x), y)", None),
            ("topk(5, x)", None),
        ];
        for (query, expected) in cases {
            assert_eq!(impossible_quantile(&tree(query)), expected, "{query}");
        }
    }

    #[test]
    fn labels_that_tell_the_sides_apart_must_go() {
        let keep = [
            "x{v=\"S\"}",
            "rate(x{v=\"S\"}[1m])",
            "sum by (v) (x{v=\"S\"})",
            "sum by (a, v) (x{v=~\"S-.*\"})",
            "sum without (pod) (x{v=\"S\"})",
            "topk(3, x{v=\"S\"})",
            "abs(-x{v=\"S\"}) * 100",
            "x{v=\"S\"} / x{v=\"S\"}",
            "x{v=\"S\"} / ignoring (code) y",
            "x{v=\"S\"} / on (v) y",
            "x{v=\"S\"} * on (pod) group_left () y",
            "y * on (pod) group_left (v) x{v=\"S\"}",
            "x{v=\"S\"} and y",
            "sum(y) or x{v=\"S\"}",
            "max_over_time(x{v=\"S\"}[10m:1m])",
            "histogram_quantile(0.9, sum by (le, v) (rate(x_bucket{v=\"S\"}[1m])))",
            "absent(x{v=\"S\"})",
            "label_replace(x{v=\"S\"}, \"w\", \"$1\", \"v\", \"(.*)\")",
        ];
        let lose = [
            "sum(x{v=\"S\"})",
            "sum without (v) (x{v=\"S\"})",
            "sum by (code) (rate(x{v=\"S\"}[1m]))",
            "x{v=\"other\"}",
            "x{v=\"S\"} / ignoring (v) y",
            "x{v=\"S\"} / on (code) y",
            "y and x{v=\"S\"}",
            "y unless x{v=\"S\"}",
            "y * on (pod) group_left () x{v=\"S\"}",
            "label_replace(x{v=\"S\"}, \"v\", \"\", \"\", \"\")",
            "scalar(x{v=\"S\"})",
            "absent(sum(x{v=\"S\"}))",
            "{__name__=\"S\"}",
            "count(topk(3, x{v=\"S\"}))",
        ];
        let tells_apart = |matcher: &Matcher| matcher.value.contains('S');
        for (queries, is_kept) in [(&keep[..], true), (&lose[..], false)] {
            for query in queries {
                let kept = kept_labels(&tree(query), &tells_apart);
                assert_eq!(kept.contains("v"), is_kept, "{query}: {kept:?}");
            }
        }
    }
}
