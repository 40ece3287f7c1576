//! What is asked of CloudWatch for one metric of one side.

use serde_json::{Map, Value, json};

use super::expression::{self, is_several};
use super::{period, stat};
use crate::canary::CanaryMetricSetQueryConfig;
use crate::config::Config;
use crate::error::Result;
use crate::metrics::keyed::invalid;
use crate::metrics::library::Template;
use crate::metrics::range::Range;
use crate::metrics::template::{self, Expansion};
use crate::metrics::{Doubt, Draft, Language, Member, MetricRequest, Shape, query_of_kind};

pub const KIND: &str = "cloudwatch";

const MEMBERS: &[Member] = &[
    Member::text(
        "namespace",
        "without an expression: where the metric is, as in AWS/ApplicationELB",
    ),
    Member::text(
        "metricName",
        "without an expression: the metric, as in TargetResponseTime",
    ),
    Member::of(
        "dimensions",
        Shape::Named,
        "all that the series of the metric has, by name, with variables in their values, as in {\"TargetGroup\": \
         \"${scope}\"}",
    ),
    Member::text(
        "stat",
        "what makes one point of a period: Average, if it is not given; Sum, Minimum, Maximum, SampleCount, p99, \
         tm99, IQM and the like",
    ),
    Member::text("unit", "points of that unit only"),
    Member::text(
        "period",
        "seconds of a point; the step of the request, if it is not given",
    ),
    Member::text(
        "expression",
        "instead of a template: metric math, SEARCH or a query of Metrics Insights",
    ),
    Member::of(
        "queries",
        Shape::Named,
        "metrics by name, for an expression over them: each has members as above, or is an expression itself",
    ),
    Member::text(
        "label",
        "what tells several series apart, as in $${PROP('Dim.AvailabilityZone')}",
    ),
];

/// Those of one metric.
const OF_METRIC: [&str; 5] = ["namespace", "metricName", "dimensions", "stat", "unit"];

/// AWS takes no more in one request, and no more dimensions of a metric.
const MOST_QUERIES: usize = 500;
const MOST_DIMENSIONS: usize = 30;

/// Where a config is only looked at, there may be no step yet.
const USUAL_PERIOD: i64 = 60;

/// The metrics and expressions of CloudWatch.
pub struct CloudWatchQuery;

impl Language for CloudWatchQuery {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn members(&self) -> &'static [Member] {
        MEMBERS
    }

    fn template(&self) -> &'static str {
        "an expression, as in SELECT AVG(CPUUtilization) FROM SCHEMA(\"AWS/EC2\", AutoScalingGroupName) WHERE \
         AutoScalingGroupName = '${scope}'"
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &["step"]
    }

    fn templates(&self) -> Vec<Template> {
        super::library::templates()
    }

    fn text(&self, _: &Config, request: &MetricRequest<'_>) -> Result<String> {
        text(request)
    }

    fn written(&self, request: &MetricRequest<'_>) -> Result<Vec<(&'static str, String)>> {
        let query = query_of_kind(request, KIND)?;
        let template = template::of(request.config, request.metric)?;
        let mut written: Vec<_> = template.map(|text| ("", text)).into_iter().collect();
        for member in ["expression", "label"] {
            let text = query.text(member);
            written.extend(text.map(|text| (member, template::unescaped(&text))));
        }
        for name in OF_METRIC {
            let texts = query.value(name).map(|value| texts_of(name, value));
            written.extend(texts.into_iter().flatten().map(|text| (name, text)));
        }
        for entry in entries(query).into_iter().flat_map(Map::values) {
            match entry {
                Value::Object(members) => {
                    let texts = members
                        .iter()
                        .flat_map(|(name, value)| texts_of(name, value));
                    written.extend(texts.map(|text| ("queries", text)));
                }
                entry => {
                    let text = text_of(entry).map(|text| template::unescaped(&text));
                    written.extend(text.map(|text| ("queries", text)));
                }
            }
        }
        Ok(written)
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        super::doubts::of(draft)
    }
}

/// Of a member of a metric, those that may have variables.
fn texts_of(name: &str, value: &Value) -> Vec<String> {
    let values = match (name, value) {
        ("dimensions", Value::Object(dimensions)) => dimensions.values().collect(),
        ("namespace" | "metricName", value) => vec![value],
        _ => Vec::new(),
    };
    let texts = values.into_iter().filter_map(text_of);
    texts.map(|text| template::unescaped(&text)).collect()
}

/// Numbers count as text.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub fn entries(query: &CanaryMetricSetQueryConfig) -> Option<&Map<String, Value>> {
    query.value("queries").and_then(Value::as_object)
}

/// The members of a query that are those of a metric.
pub fn own_metric(query: &CanaryMetricSetQueryConfig) -> Map<String, Value> {
    let members = OF_METRIC.into_iter();
    let given = members.filter_map(|name| Some((name, query.value(name)?)));
    let given = given.filter(|(_, value)| !value.is_null() && *value != "");
    given
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect()
}

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    pub text: String,
    /// As they are sent, in JSON.
    pub queries: String,
    /// Seconds since the epoch; the end is no part of it.
    pub start: i64,
    pub end: i64,
    /// Seconds between two points.
    pub period: i64,
    /// Whether there may be several series, which their labels tell apart.
    pub is_several: bool,
    pub remark: Option<String>,
}

impl Asked {
    /// One page of it.
    pub fn body(&self, next: Option<&str>) -> String {
        let Self {
            queries,
            start,
            end,
            ..
        } = self;
        let next = next.map(|token| format!(",\"NextToken\":{}", Value::from(token)));
        let next = next.unwrap_or_default();
        format!(
            "{{\"MetricDataQueries\":{queries},\"StartTime\":{start},\"EndTime\":{end},\
             \"ScanBy\":\"TimestampAscending\"{next}}}"
        )
    }
}

pub fn asked(request: &MetricRequest<'_>, now_millis: i64) -> Result<Asked> {
    let range = Range::of(request.scope)?;
    let Some(wanted) = wanted(request)? else {
        let told =
            "the scope has no 'step', which is the seconds of a point, and the query no 'period'";
        return Err(invalid(request, told));
    };
    let age = now_millis
        .saturating_sub(range.start.as_millis())
        .div_euclid(1000);
    let period = period::of(wanted, age);
    let built = build(request, period.seconds)?;
    // CloudWatch rounds it down, to before the window.
    let rounding = period.rounding.saturating_mul(1000);
    let begun = range.start.as_millis().div_euclid(rounding);
    let is_whole = range.start.as_millis().rem_euclid(rounding) == 0;
    let start = (begun + i64::from(!is_whole)) * period.rounding;
    let end = range.end.as_millis().div_euclid(1000);
    if end <= start {
        let told = format!(
            "the window from {} to {} has no point of {} s in it: a longer window is wanted",
            range.start, range.end, period.seconds
        );
        return Err(invalid(request, &told));
    }
    Ok(Asked {
        text: built.text,
        queries: Value::from(built.queries).to_string(),
        start,
        end,
        period: period.seconds,
        is_several: built.is_several,
        remark: period.remark,
    })
}

pub fn text(request: &MetricRequest<'_>) -> Result<String> {
    let wanted = wanted(request)?;
    let seconds = wanted.map_or(USUAL_PERIOD, |wanted| period::of(wanted, 0).seconds);
    Ok(build(request, seconds)?.text)
}

/// Seconds between two points, as they are wanted.
fn wanted(request: &MetricRequest<'_>) -> Result<Option<i64>> {
    let query = query_of_kind(request, KIND)?;
    let Some(given) = query.text("period").filter(|text| !text.is_empty()) else {
        return Ok(request.scope.step.filter(|step| 0 < *step));
    };
    let period = given.trim().parse().ok();
    match period.filter(|period| period::is_right(*period)) {
        Some(period) => Ok(Some(period)),
        None => Err(invalid(
            request,
            &format!("'period' is '{given}': must be {}", period::RIGHT),
        )),
    }
}

struct Built {
    text: String,
    queries: Vec<Value>,
    is_several: bool,
}

fn build(request: &MetricRequest<'_>, period: i64) -> Result<Built> {
    let query = query_of_kind(request, KIND)?;
    let params = request.scope.extended_scope_params.as_ref();
    let mut expansion = Expansion::of(request);
    if !params.is_some_and(|params| params.contains_key("step")) {
        expansion = expansion.with("step", period.to_string());
    }
    let expression = written_expression(request, query)?;
    let own = own_metric(query);
    if let (Some(name), true) = (
        own.keys().next(),
        expression.is_some() || query.value("queries").is_some(),
    ) {
        let told = format!(
            "'{name}' is of a metric, and there is an expression or 'queries' too: a metric that is a part of an \
             expression stands in 'queries', by a name"
        );
        return Err(invalid(request, &told));
    }
    let mut making = Making {
        request,
        expansion,
        period,
    };
    let label = query.text("label").filter(|label| !label.is_empty());
    let label = label.map(|label| making.expansion.expand(&template::unescaped(&label)));
    let label = label.transpose()?;
    let (text, mut queries, is_several) = match (query.value("queries"), expression) {
        (None, None) => {
            let (text, query) = making.metric("m", &own, "")?;
            (text, vec![query], false)
        }
        (None, Some(written)) => {
            let (text, query) = making.expression("e", &written)?;
            let is_several = is_several(&text, &[]);
            (text, vec![query], is_several)
        }
        (Some(entries), expression) => making.several(entries, expression)?,
    };
    if let (Some(label), Some(last)) = (label, queries.last_mut()) {
        last["Label"] = label.into();
    }
    Ok(Built {
        text,
        queries,
        is_several,
    })
}

fn written_expression(
    request: &MetricRequest<'_>,
    query: &CanaryMetricSetQueryConfig,
) -> Result<Option<String>> {
    let template = template::of(request.config, request.metric)?;
    let template = template.filter(|text| !text.trim().is_empty());
    let own = query.text("expression");
    let own = own.filter(|text| !text.trim().is_empty());
    match (template, own) {
        (Some(_), Some(_)) => Err(invalid(
            request,
            "'expression' and a template are given: only one of them can be meant",
        )),
        (template, own) => Ok(template.or(own.map(|text| template::unescaped(&text)))),
    }
}

/// What the queries of a request are made with.
struct Making<'a> {
    request: &'a MetricRequest<'a>,
    expansion: Expansion<'a>,
    period: i64,
}

impl Making<'_> {
    /// The last of them is what is judged.
    fn several(
        &mut self,
        entries: &Value,
        expression: Option<String>,
    ) -> Result<(String, Vec<Value>, bool)> {
        let request = self.request;
        let Some(entries) = entries.as_object().filter(|entries| !entries.is_empty()) else {
            let told = "'queries' is an object of names with a metric or an expression each";
            return Err(invalid(request, told));
        };
        if MOST_QUERIES <= entries.len() {
            let told = format!("'queries' has more than {} of them", MOST_QUERIES - 1);
            return Err(invalid(request, &told));
        }
        let (mut texts, mut queries, mut arrays) = (Vec::new(), Vec::new(), Vec::new());
        for (name, entry) in entries {
            check_name(request, name)?;
            let (text, mut query) = match entry {
                Value::String(written) => {
                    let made = self.expression(name, &template::unescaped(written))?;
                    if is_several(&made.0, &arrays) {
                        arrays.push(name.as_str());
                    }
                    made
                }
                Value::Object(members) => self.metric(name, members, name)?,
                _ => {
                    let told = format!(
                        "'queries' has '{name}', which is neither a metric nor an expression"
                    );
                    return Err(invalid(request, &told));
                }
            };
            query["ReturnData"] = false.into();
            texts.push((name, text));
            queries.push(query);
        }
        let Some(written) = expression else {
            let [(_, text)] = &texts[..] else {
                let told = "several 'queries' need an 'expression', as in '100 * errors / all'";
                return Err(invalid(request, told));
            };
            queries[0]["ReturnData"] = true.into();
            return Ok((text.clone(), queries, !arrays.is_empty()));
        };
        let mut name = "result".to_owned();
        while entries.contains_key(&name) {
            name.push('_');
        }
        let (mut text, query) = self.expression(&name, &written)?;
        let is_several = is_several(&text, &arrays);
        queries.push(query);
        for (name, part) in texts {
            text = format!("{text}; {name} = {part}");
        }
        Ok((text, queries, is_several))
    }

    fn expression(&mut self, id: &str, written: &str) -> Result<(String, Value)> {
        let text = expression::expanded(self.request, &mut self.expansion, written)?;
        let mut query = json!({"Id": id, "Expression": text});
        if expression::has_period(&text) {
            query["Period"] = self.period.into();
        }
        Ok((text, query))
    }

    /// `name` is that among several.
    fn metric(
        &mut self,
        id: &str,
        members: &Map<String, Value>,
        name: &str,
    ) -> Result<(String, Value)> {
        let request = self.request;
        let of = if name.is_empty() {
            String::new()
        } else {
            format!("'queries' has '{name}', and there ")
        };
        let unknown = members
            .keys()
            .find(|key| !OF_METRIC.contains(&key.as_str()));
        if let Some(unknown) = unknown {
            let told = format!(
                "{of}'{unknown}' is unknown: there are {}",
                OF_METRIC.join(", ")
            );
            return Err(invalid(request, &told));
        }
        let mut filled = |member: &str| {
            let text = members.get(member).and_then(text_of);
            let text = text.filter(|text| !text.trim().is_empty());
            let text = text.map(|text| self.expansion.expand(&template::unescaped(&text)));
            text.transpose()?.ok_or_else(|| {
                let or = if name.is_empty() {
                    ", or a template with an expression"
                } else {
                    ""
                };
                invalid(request, &format!("{of}'{member}' is missing{or}"))
            })
        };
        let (namespace, metric) = (filled("namespace")?, filled("metricName")?);
        let stat = members.get("stat").and_then(text_of);
        let stat = stat.filter(|stat| !stat.trim().is_empty());
        let stat = stat.unwrap_or_else(|| stat::USUAL.to_owned());
        if let Some(why) = stat::wrong(&stat) {
            return Err(invalid(request, &format!("{of}'stat' is '{stat}': {why}")));
        }
        let dimensions = self.dimensions(members.get("dimensions"), &of)?;
        let shown = dimensions.iter();
        let shown = shown.map(|(name, value)| format!("{name}={}", Value::from(value.as_str())));
        let shown: Vec<String> = shown.collect();
        let mut text = format!("{stat}({namespace} {metric}{{{}}}", shown.join(","));
        let dimensions = dimensions.into_iter();
        let dimensions = dimensions.map(|(name, value)| json!({"Name": name, "Value": value}));
        let dimensions: Vec<Value> = dimensions.collect();
        let metric = json!({
            "Namespace": namespace, "MetricName": metric, "Dimensions": dimensions,
        });
        let mut query = json!({
            "Id": id, "MetricStat": {"Metric": metric, "Period": self.period, "Stat": stat},
        });
        let unit = members.get("unit").and_then(text_of);
        if let Some(unit) = unit.filter(|unit| !unit.is_empty()) {
            text = format!("{text}, {unit}");
            query["MetricStat"]["Unit"] = unit.into();
        }
        Ok((text + ")", query))
    }

    fn dimensions(&mut self, given: Option<&Value>, of: &str) -> Result<Vec<(String, String)>> {
        let request = self.request;
        let given = match given {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Object(given)) => given,
            Some(_) => {
                let told = format!(
                    "{of}'dimensions' is an object of names and values, as in {{\"TargetGroup\": \"${{scope}}\"}}"
                );
                return Err(invalid(request, &told));
            }
        };
        if MOST_DIMENSIONS < given.len() {
            let told = format!("{of}'dimensions' has more than {MOST_DIMENSIONS} of them");
            return Err(invalid(request, &told));
        }
        let dimensions = given.iter().map(|(name, value)| {
            let value = text_of(value).map(|text| template::unescaped(&text));
            let value = value.map(|text| self.expansion.expand(&text)).transpose()?;
            let value = value.filter(|value| !value.is_empty());
            let value = value.ok_or_else(|| {
                let told = format!("{of}'dimensions' has no value for '{name}'");
                invalid(request, &told)
            })?;
            Ok((name.clone(), value))
        });
        dimensions.collect()
    }
}

fn check_name(request: &MetricRequest<'_>, name: &str) -> Result<()> {
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if begins_well && name.chars().all(is_word) {
        return Ok(());
    }
    let told = format!(
        "'queries' has '{name}': a name begins with a small letter and has letters, digits and _"
    );
    Err(invalid(request, &told))
}
