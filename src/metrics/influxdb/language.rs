//! What queries of InfluxDB can say, in either of its languages.

use super::query::{BUCKET, Home, KIND, SCOPE, TIME, fields, is_flux, template_of, text_of};
use crate::config::Config;
use crate::error::Result;
use crate::metrics::library::{Signal, Template};
use crate::metrics::{Doubt, Draft, Language, Member, MetricRequest, query_of_kind};

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
    Member::text(
        "retentionPolicy",
        "the retention policy; that of the account, if it is not given",
    ),
    Member::text(
        "bucket",
        "instead of database and policy: a bucket, as telegraf or telegraf/autogen; ${bucket} in Flux",
    ),
    Member::text(
        "language",
        "influxql, as without it, or flux: the template is then a script for InfluxDB 2",
    ),
    Member::text(
        "org",
        "for Flux: the organization; that of the account, if it is not given",
    ),
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
        &[TIME, "step", BUCKET]
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
        let request = MetricRequest {
            scope: &scope,
            ..*request
        };
        // Any will do where it is only looked at.
        let home = Home {
            bucket: Some("bucket".to_owned()),
            ..Home::default()
        };
        text_of(&request, &home)
    }

    /// Of templates only those in the query are read, as in Kayenta.
    fn written(&self, request: &MetricRequest<'_>) -> Result<Vec<(&'static str, String)>> {
        let template = template_of(query_of_kind(request, KIND)?);
        Ok(template.map(|text| ("", text)).into_iter().collect())
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        let template = template_of(draft.query).unwrap_or_default();
        if is_flux(draft.query) {
            return doubts_of_flux(&template);
        }
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
        if !template.is_empty() {
            doubts.extend(without_variables(
                &template,
                "add it to the WHERE: … WHERE ${timeFilter} AND ${scope}",
            ));
        }
        doubts
    }
}

/// What a template has not, and must.
fn without_variables(template: &str, fix: &str) -> Vec<Doubt> {
    let variables = [TIME, SCOPE].map(|name| format!("${{{name}}}"));
    let missing = variables.iter().filter(|it| !template.contains(*it));
    let doubts = missing.map(|variable| {
        let told = format!("{variable} is required in a template of InfluxDB");
        Doubt::broken("", told, fix)
    });
    doubts.collect()
}

fn doubts_of_flux(template: &str) -> Vec<Doubt> {
    if template.is_empty() {
        return Vec::new();
    }
    let fix = "write it as in |> ${timeFilter} |> filter(fn: (r) => r._field == \"latency\" and ${scope})";
    let mut doubts = without_variables(template, fix);
    if !template.contains("aggregateWindow") {
        doubts.push(Doubt::doubtful(
            "",
            "without aggregateWindow() raw points are asked for, at whatever times they were written",
            "add |> aggregateWindow(every: ${step}, fn: mean, createEmpty: true)",
        ));
    }
    doubts
}
