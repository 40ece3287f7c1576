//! The SignalFlow program for one metric of one side.

use serde_json::Value;

use crate::canary::CanaryMetricSetQueryConfig;
use crate::config::{Config, SignalFxAccount, Source};
use crate::error::Result;
use crate::metrics::keyed::{self, Keyed, Keys};
use crate::metrics::library::Template;
use crate::metrics::quoted::{self, Quoting};
use crate::metrics::range::Range;
use crate::metrics::{
    Doubt, Draft, Language, Member, MetricRequest, Shape, query_of_kind, template,
};

pub const KIND: &str = "signalfx";

const MEMBERS: &[Member] = &[
    Member::text(
        "metricName",
        "without a template: the metric, asked with filters for the scope, the location and the pairs",
    ),
    Member::of(
        "queryPairs",
        Shape::Pairs,
        "more filters; ! before a key turns one round, and a value with commas is any of several",
    ),
    Member::text(
        "aggregationMethod",
        "what makes one series of all: mean, if it is not given",
    ),
];

const QUOTING: Quoting = Quoting {
    quotes: "'\"",
    comment: Some('#'),
    has_braces: false,
    never: "\\",
    way_back: None,
};

/// The language of SignalFx.
pub struct SignalFlow;

impl Language for SignalFlow {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn members(&self) -> &'static [Member] {
        MEMBERS
    }

    fn template(&self) -> &'static str {
        "the whole program, as in data('latency', filter=filter('version', '${scope}')).mean().publish()"
    }

    fn templates(&self) -> Vec<Template> {
        super::library::templates()
    }

    fn text(&self, own: &Config, request: &MetricRequest<'_>) -> Result<String> {
        let keys = own
            .accounts
            .iter()
            .find_map(|account| match &account.source {
                Some(Source::SignalFx(account)) => Some(keys_of(account)),
                _ => None,
            });
        text(request, &keys.unwrap_or_else(Keys::some))
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        let query = draft.query;
        let template = draft.template().unwrap_or_default();
        let mut doubts = Vec::new();
        let pairs = pairs(query);
        let twice = pairs
            .iter()
            .enumerate()
            .find(|(at, (key, _))| pairs[..*at].iter().any(|(before, _)| before == key));
        if let Some((_, (key, _))) = twice {
            doubts.push(Doubt::broken(
                "queryPairs",
                format!("two pairs have the key '{key}', and the pairs are the tags of the series"),
                "write one pair with both values, as in \"500,502\"",
            ));
        }
        if pairs.iter().any(|(_, value)| value.contains("${")) {
            doubts.push(Doubt::doubtful(
                "queryPairs",
                "variables in the values of pairs are not filled in",
                "give the value as a parameter of the scope, or write a customInlineTemplate",
            ));
        }
        let method = query.text("aggregationMethod");
        if template.is_empty() && method.is_some_and(|method| method.trim().is_empty()) {
            doubts.push(Doubt::broken(
                "aggregationMethod",
                "without a name of the aggregation the program cannot be read",
                "leave it out for the mean, or name one, as sum",
            ));
        }
        if !template.is_empty() && !template.contains("publish(") {
            doubts.push(Doubt::broken(
                "",
                "a program that publishes nothing answers nothing",
                "end it with .publish()",
            ));
        }
        let aggregations = [
            "mean(",
            "sum(",
            "max(",
            "min(",
            "count(",
            "percentile(",
            "median(",
        ];
        if !template.is_empty() && !aggregations.iter().any(|it| template.contains(it)) {
            doubts.push(Doubt::doubtful(
                "",
                "without an aggregation a program may have several values at one time, which is refused",
                "aggregate it, as in .mean()",
            ));
        }
        doubts
    }
}

pub fn keys_of(account: &SignalFxAccount) -> Keys {
    Keys {
        scope: account.default_scope_key.clone(),
        location: account.default_location_key.clone(),
    }
}

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    pub program: String,
    pub range: Range,
    /// They are the tags of the series.
    pub pairs: Vec<(String, String)>,
}

impl Asked {
    /// Milliseconds.
    pub fn resolution(&self) -> i64 {
        self.range.step.unwrap_or_default().saturating_mul(1000)
    }
}

pub fn asked(request: &MetricRequest<'_>, keys: &Keys) -> Result<Asked> {
    let query = query_of_kind(request, KIND)?;
    let range = Range::of(request.scope)?;
    if range.step.is_none_or(|step| step <= 0) {
        return invalid(
            request,
            "the scope has no 'step', which is the resolution in seconds",
        );
    }
    Ok(Asked {
        program: text(request, keys)?,
        range,
        pairs: pairs(query),
    })
}

pub fn text(request: &MetricRequest<'_>, keys: &Keys) -> Result<String> {
    let query = query_of_kind(request, KIND)?;
    let written = template::of(request.config, request.metric)?.unwrap_or_default();
    if !written.is_empty() {
        let text = template::custom_filter(request)?;
        quoted::check_template(request, &written, &QUOTING)?;
        return Ok(text);
    }
    let Some(metric) = query.text("metricName").filter(|name| !name.is_empty()) else {
        return invalid(
            request,
            "'metricName' is missing, or a template with the whole program",
        );
    };
    let Keyed {
        scope: (scope_key, scope),
        location,
        params,
    } = keys.of(request, "property")?;
    let mut filters = Vec::new();
    for (key, value) in pairs(query) {
        filters.push(filter_of(request, &key, &value)?);
    }
    filters.push(filter(request, &scope_key, scope)?);
    if let Some((key, location)) = &location {
        filters.push(filter(request, key, location)?);
    }
    for (key, value) in &params {
        filters.push(filter(request, key, value)?);
    }
    let by = params.iter().map(|(name, _)| *name);
    let by = by
        .chain(location.iter().map(|(key, _)| key.as_str()))
        .chain([scope_key.as_str()]);
    let by: Vec<String> = by.map(|name| format!("'{name}'")).collect();
    let given = query.value("queryPairs");
    if given.is_some_and(|given| !given.is_array() && !given.is_null()) {
        return invalid(
            request,
            "'queryPairs' must be a list of pairs, each with a 'key' and a 'value'",
        );
    }
    let method = query
        .text("aggregationMethod")
        .unwrap_or_else(|| "mean".to_owned());
    Ok(format!(
        "data({}, filter={}).{method}(by=[{}]).publish()",
        string(request, "metricName", &metric)?,
        filters.join(" and "),
        by.join(", ")
    ))
}

/// In their order; what has no text is empty.
fn pairs(query: &CanaryMetricSetQueryConfig) -> Vec<(String, String)> {
    let pairs = query.value("queryPairs").and_then(Value::as_array);
    let text = |pair: &Value, member| match pair.get(member) {
        Some(Value::String(text)) => text.clone(),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => String::new(),
    };
    let pairs = pairs.into_iter().flatten();
    pairs
        .map(|pair| (text(pair, "key"), text(pair, "value")))
        .collect()
}

/// `!` before a key turns it round; a value with commas is any of several.
fn filter_of(request: &MetricRequest<'_>, key: &str, value: &str) -> Result<String> {
    let (is_not, name) = match key.strip_prefix('!') {
        Some(name) => (true, name),
        None => (false, key),
    };
    if name.is_empty() || value.is_empty() {
        return invalid(
            request,
            "a pair of 'queryPairs' needs a 'key' and a 'value'",
        );
    }
    let mut values: Vec<&str> = value.split(',').map(str::trim).collect();
    while values.last().is_some_and(|value| value.is_empty()) {
        values.pop();
    }
    let values = values.into_iter().map(|value| string(request, name, value));
    let values = values.collect::<Result<Vec<_>>>()?.join(",");
    let filter = format!("filter({}, {values})", string(request, "key", name)?);
    Ok(if is_not {
        format!("(not {filter})")
    } else {
        filter
    })
}

fn filter(request: &MetricRequest<'_>, key: &str, value: &str) -> Result<String> {
    let (key, value) = (string(request, "key", key)?, string(request, key, value)?);
    Ok(format!("filter({key}, {value})"))
}

/// A string of the program.
fn string(request: &MetricRequest<'_>, name: &str, value: &str) -> Result<String> {
    quoted::check_value(request, name, value, '\'', &QUOTING)?;
    Ok(format!("'{value}'"))
}

fn invalid<T>(request: &MetricRequest<'_>, what: &str) -> Result<T> {
    Err(keyed::invalid(request, what))
}
