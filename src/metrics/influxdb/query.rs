//! InfluxQL for one metric of one side.

use serde_json::Value;

use crate::canary::CanaryMetricSetQueryConfig;
use crate::config::Config;
use crate::error::Result;
use crate::metrics::keyed::invalid;
use crate::metrics::library::{Signal, Template};
use crate::metrics::quoted::{self, Quoting};
use crate::metrics::range::Range;
use crate::metrics::template::{self, Expansion};
use crate::metrics::{Doubt, Draft, Language, Member, MetricRequest, query_of_kind};

pub const KIND: &str = "influxdb";

const MEMBERS: &[Member] = &[
    Member::text("metricName", "without a template: the measurement"),
    Member::texts(
        "fields",
        "without a template: the fields, or functions of them; all, if none is given",
    ),
    Member::text(
        "database",
        "the database; that of the account, if it is not given, and else the name of the metric",
    ),
];

const QUOTING: Quoting = Quoting {
    quotes: "'\"",
    comment: None,
    has_braces: false,
    never: "\\",
    way_back: None,
};

const TIME: &str = "timeFilter";
const SCOPE: &str = "scope";

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

/// The query language of InfluxDB 1, which 2 and 3 understand too.
pub struct InfluxQl;

impl Language for InfluxQl {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn members(&self) -> &'static [Member] {
        MEMBERS
    }

    fn template(&self) -> &'static str {
        "the whole statement, with ${timeFilter} and ${scope} in its WHERE, as in SELECT mean(latency) FROM http \
         WHERE ${timeFilter} AND ${scope} GROUP BY time(${step}) fill(null)"
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &[TIME, "step"]
    }

    fn needed_to_fetch(&self) -> &'static [&'static str] {
        &["step"]
    }

    fn examples(&self) -> Vec<Template> {
        let examples = [
            (
                Signal::Errors,
                "errors",
                "sum(errors) / sum(requests) FROM http",
            ),
            (
                Signal::Latency,
                "latency",
                "percentile(latency, 99) FROM http",
            ),
            (Signal::Saturation, "cpu", "mean(usage_user) FROM cpu"),
        ];
        let examples = examples.into_iter().map(|(signal, name, selected)| {
            let text = format!(
                "SELECT {selected} WHERE ${{timeFilter}} AND ${{scope}} GROUP BY time(${{step}}) fill(null)"
            );
            Template::example(KIND, signal, name, &[], text)
        });
        examples.collect()
    }

    /// Where a config is only looked at, there is no time yet, and a scope without a tag.
    fn text(&self, _: &Config, request: &MetricRequest<'_>) -> Result<String> {
        let mut scope = request.scope.clone();
        let seconds = |seconds| jiff::Timestamp::from_second(seconds).unwrap_or_default();
        scope
            .start
            .get_or_insert(crate::canary::Instant(seconds(0)));
        scope
            .end
            .get_or_insert(crate::canary::Instant(seconds(3_600)));
        scope.step.get_or_insert(60);
        let tag = scope.scope.take().unwrap_or_default();
        scope.scope = Some(if tag.contains(':') {
            tag
        } else {
            format!("tag:{tag}")
        });
        text(&MetricRequest {
            scope: &scope,
            ..*request
        })
    }

    /// Of templates only those in the query are read, as in Kayenta.
    fn written(&self, request: &MetricRequest<'_>) -> Result<Vec<(&'static str, String)>> {
        let template = template_of(query_of_kind(request, KIND)?);
        Ok(template.map(|text| ("", text)).into_iter().collect())
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        let template = template_of(draft.query).unwrap_or_default();
        let mut doubts = Vec::new();
        if template.is_empty() {
            let fields = fields(draft.query);
            if fields.is_empty() {
                doubts.push(Doubt::doubtful(
                    "fields",
                    "without fields every field of the measurement is judged, and each is a series",
                    "name the one that is meant",
                ));
            }
            doubts.push(match draft.text("customFilterTemplate") {
                Some(_) => Doubt::doubtful(
                    "customFilterTemplate",
                    "templates with a name are not read where InfluxDB is asked",
                    "write the statement as customInlineTemplate",
                ),
                None => Doubt::doubtful(
                    "metricName",
                    "without a template raw points are asked for, at whatever times they were written",
                    "write a customInlineTemplate with GROUP BY time(${step}) fill(null)",
                ),
            });
        } else if !template.to_uppercase().contains("GROUP BY TIME") {
            doubts.push(Doubt::doubtful(
                "",
                "without GROUP BY time raw points are asked for, at whatever times they were written",
                "add GROUP BY time(${step}) fill(null)",
            ));
        }
        for name in [TIME, SCOPE] {
            let variable = format!("${{{name}}}");
            if !template.is_empty() && !template.contains(&variable) {
                doubts.push(Doubt::broken(
                    "",
                    format!("{variable} is required in a template of InfluxDB"),
                    format!("add it to the WHERE: … WHERE ${{{TIME}}} AND ${{{SCOPE}}}"),
                ));
            }
        }
        doubts
    }
}

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    pub text: String,
    pub database: String,
    pub range: Range,
}

pub fn asked(request: &MetricRequest<'_>, database: Option<&str>) -> Result<Asked> {
    let query = query_of_kind(request, KIND)?;
    let own = query.text("database").filter(|name| !name.is_empty());
    let own = own.or_else(|| database.map(str::to_owned));
    Ok(Asked {
        text: text(request)?,
        // As Kayenta does, for want of another.
        database: own.unwrap_or_else(|| request.metric.name.clone().unwrap_or_default()),
        range: Range::of(request.scope)?,
    })
}

pub fn text(request: &MetricRequest<'_>) -> Result<String> {
    let query = query_of_kind(request, KIND)?;
    let range = Range::of(request.scope)?;
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
fn template_of(query: &CanaryMetricSetQueryConfig) -> Option<String> {
    let (_, text) = query.inline_template()?;
    Some(template::unescaped(&text)).filter(|text| !text.is_empty())
}

fn of_template(
    request: &MetricRequest<'_>,
    template: &str,
    time: &str,
    filter: Option<&str>,
) -> Result<String> {
    for name in [TIME, SCOPE] {
        let variable = format!("${{{name}}}");
        if !template.contains(&variable) {
            let told = format!(
                "{variable} is required in the template, as in … WHERE ${{{TIME}}} AND ${{{SCOPE}}}"
            );
            return Err(invalid(request, &told));
        }
    }
    let Some(filter) = filter else {
        let told = "the request has no scope: it is a tag and its value, as in 'version:v2'";
        return Err(invalid(request, told));
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

/// `server:app-v1` is `server = 'app-v1'`.
fn scope_filter(request: &MetricRequest<'_>) -> Result<Option<String>> {
    let Some(scope) = &request.scope.scope else {
        return Ok(None);
    };
    let parts: Vec<&str> = scope.split(':').collect();
    let (name, value) = match parts.as_slice() {
        [name, value] if !name.trim().is_empty() && !value.is_empty() => (name.trim(), value),
        _ => {
            let told = format!(
                "Scope expected in the format of 'name:value'. e.g. autoscaling_group:myapp-prod-v002, received: {scope}"
            );
            return Err(invalid(request, &told));
        }
    };
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let begins_well = !name.starts_with(|first: char| first.is_ascii_digit());
    let name = if name.chars().all(is_word) && begins_well {
        name.to_owned()
    } else {
        format!("\"{}\"", escaped(name, '"'))
    };
    if value.chars().any(char::is_control) {
        let told = "the value of 'scope' holds a control character";
        return Err(invalid(request, told));
    }
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

fn fields(query: &CanaryMetricSetQueryConfig) -> Vec<String> {
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
        asked(&request, None).map(|asked| asked.text)
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
