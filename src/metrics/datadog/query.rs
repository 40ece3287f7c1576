//! What is asked of Datadog for one metric of one side.

use serde_json::{Map, Value, json};

use crate::canary::CanaryMetricSetQueryConfig;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::metrics::library::Template;
use crate::metrics::quoted::{self, Quoting};
use crate::metrics::range::Range;
use crate::metrics::{
    Doubt, Draft, Language, Member, MetricRequest, Shape, query_of_kind, template,
};

pub const KIND: &str = "datadog";

const MEMBERS: &[Member] = &[
    Member::text(
        "metricName",
        "without a template: a metric such as avg:system.cpu.user, asked with the scope as its tag filter",
    ),
    Member::text(
        "apiVersion",
        "v2 asks the newer API, which has the step of the request and takes formulas",
    ),
    Member::of(
        "queries",
        Shape::Named,
        "several queries by name, for a formula; of v2",
    ),
    Member::text("formula", "what is made of the queries, as in a / b; of v2"),
];

/// A tag filter stands between braces, and a value may not end it.
const QUOTING: Quoting = Quoting {
    quotes: "\"",
    comment: None,
    has_braces: true,
    never: "{}\"",
    way_back: None,
};

/// The queries of Datadog.
pub struct DatadogQuery;

impl Language for DatadogQuery {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn members(&self) -> &'static [Member] {
        MEMBERS
    }

    fn template(&self) -> &'static str {
        "the whole query, as in sum:http.errors{version:${scope}}.as_rate()"
    }

    fn written(&self, request: &MetricRequest<'_>) -> Result<Vec<(&'static str, String)>> {
        let queries = query_of_kind(request, KIND)?.value("queries");
        if let Some(queries) = queries.and_then(Value::as_object) {
            let texts = queries.values().filter_map(Value::as_str);
            return Ok(texts
                .map(|text| ("queries", template::unescaped(text)))
                .collect());
        }
        let template = template::of(request.config, request.metric)?;
        Ok(template.map(|text| ("", text)).into_iter().collect())
    }

    fn templates(&self) -> Vec<Template> {
        super::library::templates()
    }

    fn text(&self, _: &Config, request: &MetricRequest<'_>) -> Result<String> {
        text(request)
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        let query = draft.query;
        let name = query.text("metricName").unwrap_or_default();
        let template = draft.template().unwrap_or_default();
        let mut doubts = Vec::new();
        if template.is_empty() && name.contains('(') {
            doubts.push(Doubt::broken(
                "metricName",
                "a function in 'metricName' comes before the braces of its scope, which is no query",
                "write the whole query as customInlineTemplate, as in avg:m{${scope}}.rollup(avg, 60)",
            ));
        }
        if template.is_empty() && name.contains('{') {
            doubts.push(Doubt::broken(
                "metricName",
                "'metricName' gets the scope in braces of its own, so it may have none",
                "write the whole query as customInlineTemplate, as in avg:m{env:prod,${scope}}",
            ));
        }
        if name.contains(" by {") || template.contains(" by {") {
            doubts.push(Doubt::doubtful(
                if template.is_empty() { "metricName" } else { "" },
                "'by {…}' gives one series for each group, and each is judged by itself: a group that \
                 only one side has cannot be compared",
                "leave 'by' out, unless each group is to be judged",
            ));
        }
        let queries = query.value("queries").and_then(Value::as_object);
        let are_several = queries.is_some_and(|queries| 1 < queries.len());
        if is_v2(query) && are_several && query.text("formula").is_none() {
            doubts.push(Doubt::broken(
                "queries",
                "several queries need a 'formula' that makes one of them",
                "add \"formula\": \"a / b\" with the names of the queries",
            ));
        }
        doubts
    }
}

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    pub text: String,
    pub range: Range,
    /// Of v2, in JSON.
    pub body: Option<String>,
}

pub fn asked(request: &MetricRequest<'_>) -> Result<Asked> {
    let query = query_of_kind(request, KIND)?;
    let range = Range::of(request.scope)?;
    let text = text(request)?;
    let body = is_v2(query)
        .then(|| body(request, query, &range))
        .transpose()?;
    Ok(Asked { text, range, body })
}

/// The query, or a formula with its queries.
pub fn text(request: &MetricRequest<'_>) -> Result<String> {
    let query = query_of_kind(request, KIND)?;
    if !is_v2(query) {
        for member in ["queries", "formula"] {
            if query.value(member).is_some() {
                return invalid(request, &format!("'{member}' needs \"apiVersion\": \"v2\""));
            }
        }
        return one(request, query);
    }
    let queries = queries(request, query)?;
    let formula = formula(request, query, &queries)?;
    let is_plain = queries.len() == 1 && queries.contains_key(&formula);
    if let (true, Some((_, text))) = (is_plain, queries.iter().next()) {
        return Ok(text.clone());
    }
    let queries = queries
        .iter()
        .map(|(name, text)| format!("{name} = {text}"));
    Ok(format!(
        "{formula}; {}",
        queries.collect::<Vec<_>>().join("; ")
    ))
}

fn is_v2(query: &CanaryMetricSetQueryConfig) -> bool {
    query
        .text("apiVersion")
        .is_some_and(|version| version == "v2")
}

/// The text of a template as it is, else the scope as the filter of a metric.
fn one(request: &MetricRequest<'_>, query: &CanaryMetricSetQueryConfig) -> Result<String> {
    if let Some(version) = query
        .text("apiVersion")
        .filter(|it| !["v1", "v2"].contains(&it.as_str()))
    {
        return invalid(
            request,
            &format!("'apiVersion' is 'v1' or 'v2', not '{version}'"),
        );
    }
    let written = template::of(request.config, request.metric)?.unwrap_or_default();
    if !written.is_empty() {
        let text = template::custom_filter(request)?;
        quoted::check_template(request, &written, &QUOTING)?;
        return Ok(text);
    }
    let Some(name) = query.text("metricName").filter(|name| !name.is_empty()) else {
        return invalid(
            request,
            "'metricName' is missing, or a template with the whole query",
        );
    };
    let Some(scope) = &request.scope.scope else {
        return invalid(
            request,
            "the request has no scope: it is the tag filter, as in 'version:v2'",
        );
    };
    quoted::check_value(request, "scope", scope, '}', &QUOTING)?;
    let scope = if scope.is_empty() { "*" } else { scope };
    Ok(format!("{name}{{{scope}}}"))
}

/// Each under its name; `a` for one alone.
fn queries(
    request: &MetricRequest<'_>,
    query: &CanaryMetricSetQueryConfig,
) -> Result<indexmap::IndexMap<String, String>> {
    let Some(written) = query.value("queries") else {
        return Ok([("a".to_owned(), one(request, query)?)].into());
    };
    let written = written.as_object().filter(|written| !written.is_empty());
    let Some(written) = written else {
        return invalid(
            request,
            "'queries' is an object of names with their queries",
        );
    };
    let (mut expansion, mut left) = (template::Expansion::of(request), request.longest);
    let queries = written.iter().map(|(name, text)| {
        let Some(text) = text.as_str() else {
            return invalid(request, &format!("the query '{name}' is no text"));
        };
        // They stand in what is sent as they are.
        let too_long = || Error::Invalid(template::too_long(request.longest));
        left = left.checked_sub(name.len()).ok_or_else(too_long)?;
        let written = template::unescaped(text);
        let text = expansion.expand(&written)?;
        quoted::check_template(request, &written, &QUOTING)?;
        Ok((name.clone(), text))
    });
    queries.collect()
}

fn formula(
    request: &MetricRequest<'_>,
    query: &CanaryMetricSetQueryConfig,
    queries: &indexmap::IndexMap<String, String>,
) -> Result<String> {
    match (query.text("formula"), queries.keys().next()) {
        (Some(formula), _) if !formula.trim().is_empty() => Ok(formula),
        (_, Some(only)) if queries.len() == 1 => Ok(only.clone()),
        _ => invalid(request, "several 'queries' need a 'formula', as in 'a / b'"),
    }
}

fn body(
    request: &MetricRequest<'_>,
    query: &CanaryMetricSetQueryConfig,
    range: &Range,
) -> Result<String> {
    let queries = queries(request, query)?;
    let formula = formula(request, query, &queries)?;
    let queries: Vec<Value> = queries
        .into_iter()
        .map(|(name, text)| json!({"data_source": "metrics", "name": name, "query": text}))
        .collect();
    let mut attributes = Map::new();
    attributes.insert("from".to_owned(), range.start.as_millis().into());
    attributes.insert("to".to_owned(), range.end.as_millis().into());
    attributes.insert("queries".to_owned(), queries.into());
    attributes.insert("formulas".to_owned(), json!([{"formula": formula}]));
    if let Some(step) = range.step.filter(|step| 0 < *step) {
        attributes.insert("interval".to_owned(), step.saturating_mul(1000).into());
    }
    let body = json!({"data": {"type": "timeseries_request", "attributes": attributes}});
    Ok(body.to_string())
}

fn invalid<T>(request: &MetricRequest<'_>, what: &str) -> Result<T> {
    let name = request.metric.name.as_deref().unwrap_or_default();
    Err(Error::Invalid(format!("metric '{name}': {what}")))
}
