//! What is wrong with PromQL, and what is doubtful, told without asking a Prometheus.

mod buckets;
mod filters;
mod syntax;
mod tree;

use promql_parser::label::Matcher;
use promql_parser::parser::Expr;

pub use self::syntax::unbalanced;
use self::syntax::{Broken, Read};
use super::{PREFIX, bare, logql, lookback, prefix_in_other_letters, whole};
use crate::canary::CanaryScope;
use crate::canary::number::{duration, number};
use crate::metrics::stand_in::{Marks, marked};
use crate::metrics::template::{IMPLICIT, custom_filter, variables};
use crate::metrics::{Doubt, DoubtKind, Draft};

/// Of a query as it is written.
pub fn of_draft(draft: &Draft<'_>) -> Vec<Doubt> {
    match draft.template() {
        None => without_filter(draft).into_iter().collect(),
        Some(template) => of_template(draft, &template).into_iter().collect(),
    }
}

/// Of what would be sent for one side.
pub fn of_text(draft: &Draft<'_>, side: &str) -> Vec<Doubt> {
    let template = draft.template().unwrap_or_default();
    if let Some(mut doubts) = logql::doubts(draft, &template, side) {
        if doubts.is_empty() {
            doubts.extend(shared_data(side, draft.step));
        }
        return doubts;
    }
    let mut doubts = parsed(draft, side);
    if doubts.iter().all(|doubt| doubt.kind != DoubtKind::Broken) {
        doubts.extend(quantile_without_le(side));
        doubts.extend(shared_data(side, draft.step));
    }
    doubts
}

fn without_filter(draft: &Draft<'_>) -> Option<Doubt> {
    (draft.text("resourceType").is_none() && draft.scopes.is_none()).then(|| {
        Doubt::of_template(
            DoubtKind::NoFilter,
            "nothing selects a side, so this is refused unless the request's extendedScopeParams \
             have a resourceType",
            "add a template, as in \"customInlineTemplate\": \"version=\\\"${scope}\\\"\"",
        )
    })
}

fn of_template(draft: &Draft<'_>, template: &str) -> Option<Doubt> {
    if let Some(filter) = filters::foreign(template) {
        let kind = DoubtKind::ForeignFilter;
        return Some(Doubt::of_template(kind, filter.sentence, filter.fix));
    }
    if let Some(prefix) = prefix_in_other_letters(template) {
        let why = format!("the prefix is '{prefix}', in these letters and first of all");
        return Some(without_prefix(draft, template, &why));
    }
    if whole(template).is_some() {
        return None;
    }
    if draft.text("metricName").is_none() {
        return Some(taken_whole(template));
    }
    let why = "a template without it is taken for label matchers of 'metricName'";
    is_query(template).then(|| without_prefix(draft, template, why))
}

/// The prefix is missing, unless there is more that is.
fn without_prefix(draft: &Draft<'_>, template: &str, why: &str) -> Doubt {
    let (scope, marks) = marked(template);
    let marked = custom_filter(&draft.request(&scope)).unwrap_or_default();
    let (name, prefix) = named(&marked);
    if prefix == logql::PREFIX {
        return Doubt::of_template(
            DoubtKind::NoPrefix,
            format!("{name} needs a prefix: {why}"),
            format!("begin it with '{prefix}'"),
        );
    }
    if let Read::Broken(broken) = syntax::read(after_prefix(&marked)) {
        let sentence = marks.named(&broken.sentence);
        return Doubt::of_template(
            DoubtKind::Broken,
            format!("this is neither a list of label matchers nor PromQL: {sentence}"),
            "write label matchers, as in version=\"${scope}\", or PromQL: and a query",
        );
    }
    Doubt::of_template(
        DoubtKind::NoPrefix,
        format!("{name} needs a prefix: {why}"),
        format!("begin it with '{prefix}'"),
    )
}

/// The language of a query, and what it begins with.
fn named(query: &str) -> (&'static str, &'static str) {
    let is_said = prefix_in_other_letters(query) == Some(logql::PREFIX);
    if is_said || logql::is_surely(query) {
        ("LogQL", logql::PREFIX)
    } else {
        ("PromQL", PREFIX)
    }
}

/// Without a metric that it could filter, a template is a query: so it is here, and not in Kayenta.
fn taken_whole(template: &str) -> Doubt {
    Doubt::of_template(
        DoubtKind::NoPrefixOfKayenta,
        "without a metricName beside it this is taken for a whole query, which Kayenta refuses",
        format!("begin it with '{}'", named(template).1),
    )
}

/// What a parser tells: of the query with its variables, and where their values are known, of that
/// of one side.
fn parsed(draft: &Draft<'_>, side: &str) -> Vec<Doubt> {
    let template = draft.template().unwrap_or_default();
    let (scope, marks) = marked(&template);
    let Ok(marked) = draft.sent_for(&scope) else {
        return Vec::new();
    };
    let read = syntax::read(&marked);
    if draft.scopes.is_some()
        && let Read::Broken(broken) = syntax::read(side)
    {
        return vec![refused(draft, DoubtKind::Broken, side, &marks, broken)];
    }
    match read {
        Read::Parsed(tree) => of_tree(draft, &template, &tree, &marks),
        Read::Doubtful(broken) => {
            vec![refused(draft, DoubtKind::Doubtful, &marked, &marks, broken)]
        }
        Read::Broken(broken) if draft.scopes.is_none() => {
            vec![refused(draft, DoubtKind::Broken, &marked, &marks, broken)]
        }
        Read::Broken(_) | Read::Unknown => Vec::new(),
    }
}

fn refused(
    draft: &Draft<'_>,
    kind: DoubtKind,
    query: &str,
    marks: &Marks,
    broken: Broken,
) -> Doubt {
    let (_, written) = draft.query.inline_template().unwrap_or_default();
    let is_whole = !written.starts_with(PREFIX) && draft.text("metricName").is_none();
    let prefix = match written.as_str() {
        "" => None,
        _ if is_whole => Some(0),
        written => written.starts_with(PREFIX).then_some(PREFIX.len()),
    };
    let before = broken.at.zip(prefix).map(|(at, prefix)| {
        let named = marks.named(&query[..at]);
        format!("{}{named}", &written[..prefix])
    });
    let place = before.as_deref().map_or_else(String::new, place);
    // Without what a default stands for.
    let at = before.filter(|before| written.starts_with(before.as_str()));
    let why = match kind {
        DoubtKind::Doubtful => "Prometheus refuses it, though another database may not",
        _ => "this is no PromQL",
    };
    let sentence = marks.named(&broken.sentence);
    let fix = if is_whole && !is_query(&written) {
        "write a whole query, or name the metric of these label matchers in 'metricName'".into()
    } else {
        broken.fix
    };
    Doubt {
        at: at.map(|before| before.chars().count()),
        ..Doubt::of_template(kind, format!("{why}: {place}{sentence}"), fix)
    }
}

/// `at letter 7, `, where that is what stands before it.
fn place(before: &str) -> String {
    let lines = before.matches('\n').count();
    let line = before.rsplit('\n').next().unwrap_or_default();
    let letter = line.chars().count() + 1;
    match lines {
        0 => format!("at letter {letter}, "),
        lines => format!("at letter {letter} of line {}, ", lines + 1),
    }
}

fn of_tree(draft: &Draft<'_>, template: &str, tree: &Expr, marks: &Marks) -> Vec<Doubt> {
    let apart = tell_apart(draft, template, marks);
    let counter = tree::bare_counter(tree).map(|counter| {
        Doubt::of_template(
            DoubtKind::CounterWithoutRate,
            format!(
                "'{counter}' only grows, so what is compared is how long each side has been up"
            ),
            "compare rates, as in PromQL:sum(rate(…[1m]))",
        )
    });
    let quantile = tree::impossible_quantile(tree).map(|quantile| {
        Doubt::of_template(
            DoubtKind::QuantileOutOfRange,
            format!(
                "there is no quantile {}: they go from 0 to 1, and beyond, all values are infinite",
                number(quantile)
            ),
            "write the share, such as 0.95 for the 95th percentile",
        )
    });
    let is_apart = |matcher: &Matcher| matcher.value.contains(&apart[..]);
    let kept = tree::kept_labels(tree, &is_apart).into_iter().next();
    let kept = kept.map(|label| {
        Doubt::of_template(
            DoubtKind::KeptLabel,
            format!(
                "the label '{label}' tells the sides apart and stays on their series, so none is \
                 paired with another"
            ),
            format!("aggregate it away, as in sum(…) or sum without ({label}) (…)"),
        )
    });
    counter.into_iter().chain(quantile).chain(kept).collect()
}

/// The marks of the variables that differ between the sides, as far as it is known.
fn tell_apart(draft: &Draft<'_>, template: &str, marks: &Marks) -> Vec<char> {
    let Some(scopes) = draft.scopes else {
        let has_scope = variables(template).any(|variable| variable.name == "scope");
        return marks.of(|name| {
            if has_scope {
                name == "scope"
            } else {
                !IMPLICIT.contains(&name)
            }
        });
    };
    let value = |scope: &CanaryScope, name: &str| match name {
        "scope" => scope.scope.clone(),
        "location" => scope.location.clone(),
        name => scope.extended_scope_params.as_ref()?.get(name).cloned(),
    };
    marks.of(|name| value(&scopes.control, name) != value(&scopes.experiment, name))
}

fn quantile_without_le(query: &str) -> Option<Doubt> {
    buckets::is_quantile_without_le(query).then(|| {
        Doubt::of_template(
            DoubtKind::QuantileWithoutLe,
            "the buckets are summed without their label 'le', so there is no quantile",
            "sum by (le)",
        )
    })
}

/// A range that is longer than the step in seconds.
fn shared_data(query: &str, step: i64) -> Option<Doubt> {
    let longest = lookback::longest(query)?;
    let millis = step.checked_mul(1000).filter(|millis| 0 < *millis)?;
    (millis < longest).then(|| {
        Doubt::of_template(
            DoubtKind::SharedData,
            format!(
                "the query looks {} back at every point, and the points lie {step} s apart: \
                 neighbours share data, so differences look surer than they are",
                duration(longest)
            ),
            "let the range be no longer than the step of the canary",
        )
    })
}

/// Whether a template without the prefix is PromQL, and not label matchers.
fn is_query(template: &str) -> bool {
    let plain = template.replace("${", "").replace('}', "");
    bare(&plain).contains(['(', '[', '{'])
}

/// A query without a prefix that is not quite one.
fn after_prefix(query: &str) -> &str {
    let query = query.trim_start();
    match query.split_once(':') {
        Some((prefix, query)) if prefix.trim_end().eq_ignore_ascii_case("promql") => query,
        _ => query,
    }
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
}
