//! InfluxQL, or Flux, for one metric of one side.

use serde_json::Value;

use super::flux;
use crate::canary::CanaryMetricSetQueryConfig;
use crate::error::Result;
use crate::metrics::keyed::invalid;
use crate::metrics::quoted::{self, Quoting};
use crate::metrics::range::Range;
use crate::metrics::template::{self, Expansion};
use crate::metrics::{MetricRequest, query_of_kind};

pub const KIND: &str = "influxdb";

const QUOTING: Quoting = Quoting {
    quotes: "'\"",
    comment: None,
    has_braces: false,
    never: "\\",
    way_back: None,
};

pub const TIME: &str = "timeFilter";
pub const SCOPE: &str = "scope";
pub const BUCKET: &str = "bucket";

/// What may follow SHOW: nothing that a canary asks for.
const SHOWN: [&str; 15] = [
    "CONTINUOUS QUERIES",
    "DATABASES",
    "DIAGNOSTICS",
    "FIELD",
    "TAG",
    "USERS",
    "GRANTS",
    "MEASUREMENT",
    "QUERIES",
    "RETENTION POLICIES",
    "SERIES",
    "SHARD",
    "STATS",
    "SUBSCRIPTIONS",
    "CARDINALITY",
];

/// What an account says of where its data are.
#[derive(Clone, Debug, Default)]
pub struct Home {
    pub database: Option<String>,
    pub retention_policy: Option<String>,
    pub bucket: Option<String>,
    pub org: Option<String>,
}

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    pub text: String,
    pub of: Of,
    pub range: Range,
}

/// What is asked, by the language.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    InfluxQl {
        database: String,
        policy: Option<String>,
    },
    Flux {
        org: Option<String>,
    },
}

pub fn asked(request: &MetricRequest<'_>, home: &Home) -> Result<Asked> {
    let query = query_of_kind(request, KIND)?;
    let own = |member: &str| query.text(member).filter(|text| !text.is_empty());
    let of = if is_flux(query) {
        Of::Flux {
            org: own("org").or_else(|| home.org.clone()),
        }
    } else {
        // A bucket is a database, with its policy behind a slash.
        let bucket = |bucket: Option<String>| {
            let bucket = bucket?;
            let (database, policy) = match bucket.split_once('/') {
                Some((database, policy)) => (database, Some(policy.to_owned())),
                None => (bucket.as_str(), None),
            };
            Some((database.to_owned(), policy))
        };
        let database = |name: Option<String>| name.map(|name| (name, None));
        let named = database(own("database"))
            .or_else(|| bucket(own(BUCKET)))
            .or_else(|| database(home.database.clone()))
            .or_else(|| bucket(home.bucket.clone()));
        // As Kayenta does, for want of another.
        let (database, policy) =
            named.unwrap_or_else(|| (request.metric.name.clone().unwrap_or_default(), None));
        let policy = own("retentionPolicy").or(policy);
        Of::InfluxQl {
            database,
            policy: policy.or_else(|| home.retention_policy.clone()),
        }
    };
    Ok(Asked {
        text: text_of(request, home)?,
        of,
        range: Range::of(request.scope)?,
    })
}

pub fn is_flux(query: &CanaryMetricSetQueryConfig) -> bool {
    let language = query.text("language").unwrap_or_default();
    language.eq_ignore_ascii_case("flux")
}

pub fn text_of(request: &MetricRequest<'_>, home: &Home) -> Result<String> {
    let query = query_of_kind(request, KIND)?;
    let language = query.text("language").unwrap_or_default();
    if !matches!(language.to_lowercase().as_str(), "" | "influxql" | "flux") {
        let told = format!("'language' is 'influxql' or 'flux', not '{language}'");
        return Err(invalid(request, &told));
    }
    let range = Range::of(request.scope)?;
    if is_flux(query) {
        return script(request, query, &range, home);
    }
    let time = format!("time >= '{}' AND time < '{}'", range.start, range.end);
    let filter = scope_filter(request)?;
    if let Some(template) = template_of(query) {
        return of_template(request, &template, &time, filter.as_deref());
    }
    let Some(measurement) = query.text("metricName").filter(|name| !name.is_empty()) else {
        return Err(invalid(
            request,
            "'metricName' is missing, which is the measurement, or a template with the whole statement",
        ));
    };
    let fields = match fields(query) {
        fields if fields.is_empty() => "*::field".to_owned(),
        fields => fields.join(", "),
    };
    let statement = format!("SELECT {fields} FROM {measurement} WHERE {time}");
    check(request, &statement)?;
    Ok(match filter {
        Some(filter) => format!("{statement} AND {filter}"),
        None => statement,
    })
}

/// None, too, of one that is empty.
pub fn template_of(query: &CanaryMetricSetQueryConfig) -> Option<String> {
    let (_, text) = query.inline_template()?;
    Some(template::unescaped(&text)).filter(|text| !text.is_empty())
}

/// Flux has no other than the whole script.
fn script(
    request: &MetricRequest<'_>,
    query: &CanaryMetricSetQueryConfig,
    range: &Range,
    home: &Home,
) -> Result<String> {
    let Some(template) = template_of(query) else {
        return Err(invalid(
            request,
            "a query in Flux is a template with the whole script",
        ));
    };
    check_variables(request, &template)?;
    let Some((tag, value)) = tag_of_scope(request)? else {
        return Err(invalid(request, NO_SCOPE));
    };
    let condition = flux::condition(tag, value).replace("${", "$${");
    let mut expansion = Expansion::of(request)
        .with(TIME, flux::time_filter(range))
        .with(SCOPE, condition);
    if let Some(step) = range.step.filter(|step| 0 < *step) {
        expansion = expansion.with("step", format!("{step}s"));
    }
    let bucket = query.text(BUCKET).filter(|name| !name.is_empty());
    if let Some(bucket) = bucket.or_else(|| home.bucket.clone()) {
        expansion = expansion.with(BUCKET, bucket.replace("${", "$${"));
    }
    flux::script(request, &template, expansion)
}

const NO_SCOPE: &str = "the request has no scope: it is a tag and its value, as in 'version:v2'";

fn check_variables(request: &MetricRequest<'_>, template: &str) -> Result<()> {
    for name in [TIME, SCOPE] {
        let variable = format!("${{{name}}}");
        if !template.contains(&variable) {
            let told = format!(
                "{variable} is required in the template, as in … WHERE ${{{TIME}}} AND ${{{SCOPE}}}"
            );
            return Err(invalid(request, &told));
        }
    }
    Ok(())
}

fn of_template(
    request: &MetricRequest<'_>,
    template: &str,
    time: &str,
    filter: Option<&str>,
) -> Result<String> {
    check_variables(request, template)?;
    let Some(filter) = filter else {
        return Err(invalid(request, NO_SCOPE));
    };
    // The value of a scope stands in quotes of its own, where it can do nothing: variables in it are none, as
    // theirs would not be escaped.
    let with_scope = |scope: &str| {
        let mut expansion = Expansion::of(request)
            .with(TIME, time.to_owned())
            .with(SCOPE, scope.replace("${", "$${"));
        if let Some(step) = request.scope.step {
            expansion = expansion.with("step", format!("{step}s"));
        }
        expansion.expand(template)
    };
    if template.contains("${step}") && request.scope.step.is_none_or(|step| step <= 0) {
        let told = "the scope has no 'step', which is what ${step} is in the template";
        return Err(invalid(request, told));
    }
    check(request, &with_scope("scope")?)?;
    quoted::check_template(request, template, &QUOTING)?;
    with_scope(filter)
}

/// `server:app-v1`
fn tag_of_scope<'a>(request: &MetricRequest<'a>) -> Result<Option<(&'a str, &'a str)>> {
    let Some(scope) = &request.scope.scope else {
        return Ok(None);
    };
    let parts: Vec<&str> = scope.split(':').collect();
    let (name, value) = match parts.as_slice() {
        [name, value] if !name.trim().is_empty() && !value.is_empty() => (name.trim(), *value),
        _ => {
            let told = format!(
                "Scope expected in the format of 'name:value'. e.g. autoscaling_group:myapp-prod-v002, received: {scope}"
            );
            return Err(invalid(request, &told));
        }
    };
    if value.chars().any(char::is_control) {
        let told = "the value of 'scope' holds a control character";
        return Err(invalid(request, told));
    }
    Ok(Some((name, value)))
}

/// `server:app-v1` is `server = 'app-v1'`.
fn scope_filter(request: &MetricRequest<'_>) -> Result<Option<String>> {
    let Some((name, value)) = tag_of_scope(request)? else {
        return Ok(None);
    };
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let begins_well = !name.starts_with(|first: char| first.is_ascii_digit());
    let name = if name.chars().all(is_word) && begins_well {
        name.to_owned()
    } else {
        format!("\"{}\"", escaped(name, '"'))
    };
    Ok(Some(format!("{name} = '{}'", escaped(value, '\''))))
}

fn escaped(text: &str, quote: char) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter == quote || letter == '\\' {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

pub fn fields(query: &CanaryMetricSetQueryConfig) -> Vec<String> {
    let fields = query.value("fields").and_then(Value::as_array);
    let fields = fields.into_iter().flatten();
    let fields = fields.filter_map(|field| field.as_str().map(str::to_owned));
    fields.collect()
}

/// What Kayenta blocks, in any case.
fn check(request: &MetricRequest<'_>, statement: &str) -> Result<()> {
    let upper = statement.to_uppercase();
    let mut words = upper.split_whitespace().peekable();
    let mut is_shown = false;
    while let Some(word) = words.next() {
        let next = words.peek().copied().unwrap_or_default();
        is_shown |= word == "SHOW"
            && SHOWN
                .iter()
                .any(|what| what.starts_with(next) || next.starts_with(what));
    }
    let why = if statement.contains(';') {
        "';'"
    } else if statement.contains("--") {
        "'--'"
    } else if is_shown {
        "SHOW"
    } else {
        return Ok(());
    };
    Err(invalid(
        request,
        &format!("Query type not allowed: {why} in the statement"),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::canary::CanaryConfig;

    #[test]
    fn quotes_are_escaped() {
        assert_eq!(escaped(r"o'brien\", '\''), r"o\'brien\\");
        assert_eq!(escaped("a\"b'c", '"'), "a\\\"b'c");
    }

    /// Asked for the hour of a scope that has no step.
    fn made(query: &Value, scope: &str, params: &Value) -> Result<String> {
        let scope = json!({"scope": scope, "start": "2024-06-01T00:00:00Z", "end": "2024-06-01T01:00:00Z",
            "extendedScopeParams": params});
        let metric = serde_json::from_value(json!({"name": "m", "query": query}));
        let request = MetricRequest {
            config: &CanaryConfig::default(),
            metric: &metric.unwrap(),
            scope: &serde_json::from_value(scope).unwrap(),
            longest: 1000,
            is_reused: true,
        };
        asked(&request, &Home::default()).map(|asked| asked.text)
    }

    #[test]
    fn a_step_is_wanted_where_it_is_written() {
        let of_template = |end: &str| {
            let template = format!("SELECT v FROM m WHERE ${{timeFilter}} AND ${{scope}} {end}");
            json!({"type": KIND, "customInlineTemplate": template})
        };
        let cases = [
            (json!({"type": KIND, "metricName": "m"}), true),
            (of_template("GROUP BY time(1m)"), true),
            (of_template("GROUP BY time(${step})"), false),
        ];
        for (query, is_made) in cases {
            let made = made(&query, "version:v2", &json!({}));
            assert_eq!(made.is_ok(), is_made, "{query}: {made:?}");
        }
    }

    #[test]
    fn a_scope_puts_in_one_value_and_nothing_else() {
        let template = "SELECT mean(v) FROM m WHERE ${timeFilter} AND ${scope}";
        let with_template = json!({"type": KIND, "customInlineTemplate": template});
        let without = json!({"type": KIND, "metricName": "m", "fields": ["mean(v)"]});
        let cases = [
            ("v2", "'v2'"),
            ("it's; DROP", r"'it\'s; DROP'"),
            ("${p}", "'${p}'"),
            ("$${p}", "'$${p}'"),
            ("${scope}", "'${scope}'"),
        ];
        for query in [with_template, without] {
            for (value, expected) in cases {
                let params = json!({"p": "' OR ''='"});
                let made = made(&query, &format!("version:{value}"), &params);
                let asked = "SELECT mean(v) FROM m WHERE time >= '2024-06-01T00:00:00Z' AND \
                             time < '2024-06-01T01:00:00Z' AND version = ";
                assert_eq!(made.unwrap(), format!("{asked}{expected}"), "{value}");
            }
        }
    }
}
