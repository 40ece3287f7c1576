//! How a query of an HTTP API is written, and what is wrong with one.

use serde_json::Value;

use super::filling::{ENDS, OWN, STARTS, scalar_text};
use super::places::Places;
use super::query::{KIND, body_of, body_text, looked_at};
use crate::config::{Config, JsonApiAccount, Source};
use crate::error::Result;
use crate::metrics::library::{Signal, Template};
use crate::metrics::template::{self, variables};
use crate::metrics::{
    Advice, Doubt, Draft, Language, Member, MetricRequest, Shape, query_of_kind, stand_in,
};

const MEMBERS: &[Member] = &[
    Member::text(
        "path",
        "what is asked for, below the address of the account; a value is one part of it, as in /logs-${scope}/_search",
    ),
    Member::text("method", "GET or POST; POST where there is a body"),
    Member::of(
        "parameters",
        Shape::Named,
        "parameters of the address by name; values may have variables in them",
    ),
    Member::text(
        "body",
        "what is posted: JSON, or a text with JSON in it, in whose strings values are escaped; it may be a template instead",
    ),
    Member::text(
        "contentType",
        "of the body: application/json, application/x-www-form-urlencoded or text/plain",
    ),
    Member::text(
        "series",
        "JSONPath to each series of the answer; the answer, if it is not given. What follows is looked for in each",
    ),
    Member::text(
        "points",
        "JSONPath to each point; times and values are then looked for in each, and a value may be missing",
    ),
    Member::text("times", "JSONPath to the times, or to one list of them"),
    Member::text("values", "JSONPath to the values, or to one list of them"),
    Member::text(
        "timeUnit",
        "seconds, milliseconds, microseconds, nanoseconds or iso; without it, what a time looks like",
    ),
    Member::of(
        "labels",
        Shape::Named,
        "JSONPaths by the name of a label, or one to an object of labels",
    ),
    Member::of(
        "groupBy",
        Shape::Named,
        "JSONPaths within a point, by the name of a label: points that have the same there are one series",
    ),
    Member::texts(
        "partial",
        "JSONPaths to what says that there is more than was answered, where it is not false, 0 or empty",
    ),
    Member::texts("warnings", "JSONPaths to what else is told with the series"),
];

type Text = &'static [(&'static str, &'static str)];

/// Queries of whatever answers in JSON.
pub struct JsonQuery;

impl Language for JsonQuery {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn members(&self) -> &'static [Member] {
        MEMBERS
    }

    fn template(&self) -> &'static str {
        "the body, where the query has none, as in {\"query\": \"version:${scope}\", \"from\": ${startEpochMillis}}"
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &OWN
    }

    fn examples(&self) -> Vec<Template> {
        // Of Elasticsearch and OpenSearch.
        const MEMBERS: [Text; 3] = [
            &[
                ("path", "/logs/_search"),
                ("points", "$.aggregations.over_time.buckets[*]"),
                ("times", "$.key"),
                ("values", "$.errors.doc_count"),
            ],
            &[
                ("path", "/logs/_search"),
                ("points", "$.aggregations.over_time.buckets[*]"),
                ("times", "$.key"),
                ("values", "$.latency.values['99.0']"),
            ],
            &[
                ("path", "/metrics/_search"),
                ("points", "$.aggregations.over_time.buckets[*]"),
                ("times", "$.key"),
                ("values", "$.cpu.value"),
            ],
        ];
        let examples = [
            (
                Signal::Errors,
                "errors",
                r#""errors": {"filter": {"range": {"status": {"gte": 500}}}}"#,
            ),
            (
                Signal::Latency,
                "latency",
                r#""latency": {"percentiles": {"field": "duration", "percents": [99]}}"#,
            ),
            (
                Signal::Saturation,
                "cpu",
                r#""cpu": {"avg": {"field": "cpu"}}"#,
            ),
        ];
        let examples = examples.into_iter().zip(MEMBERS);
        let examples = examples.map(|((signal, name, asked), members)| {
            let text = format!(
                r#"{{"size": 0, "query": {{"bool": {{"filter": [{{"term": {{"version": "${{scope}}"}}}}, {{"range": {{"@timestamp": {{"gte": "${{startIso}}", "lt": "${{endIso}}"}}}}}}]}}}}, "aggs": {{"over_time": {{"date_histogram": {{"field": "@timestamp", "fixed_interval": "${{step}}s"}}, "aggs": {{{asked}}}}}}}}}"#
            );
            Template::example(KIND, signal, name, members, text)
        });
        examples.collect()
    }

    fn text(&self, _: &Config, request: &MetricRequest<'_>) -> Result<String> {
        Ok(looked_at(request)?.text)
    }

    fn written(&self, request: &MetricRequest<'_>) -> Result<Vec<(&'static str, String)>> {
        let query = query_of_kind(request, KIND)?;
        let mut written = Vec::new();
        written.extend(query.text("path").map(|path| ("path", path)));
        let parameters = query.value("parameters").and_then(Value::as_object);
        let values = parameters.into_iter().flatten();
        let values = values.filter_map(|(_, value)| Some(("parameters", scalar_text(value)?)));
        written.extend(values);
        written.extend(body_of(request)?.map(|(member, body)| (member, body_text(&body))));
        let unescaped = written.into_iter();
        Ok(unescaped
            .map(|(member, text)| (member, template::unescaped(&text)))
            .collect())
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        if let Err((member, why)) = Places::of(draft.query) {
            let fix = "a JSONPath begins with $, as in $.result[*].data[*].values";
            doubts.push(Doubt::broken(member, format!("'{member}' {why}"), fix));
        }
        if draft.query.value("body").is_some() && draft.template().is_some() {
            doubts.push(Doubt::doubtful(
                "body",
                "the query has a 'body' and a template, which is not sent",
                "take one of them out",
            ));
        }
        let Ok(written) = draft.written() else {
            return doubts;
        };
        let has = |names: &[&str]| {
            let mut variables = written.iter().flat_map(|(_, text)| variables(text));
            variables.any(|variable| names.contains(&variable.name))
        };
        let place = if draft.query.value("body").is_some() {
            "body"
        } else if draft.template().is_some() {
            ""
        } else {
            "parameters"
        };
        match (has(&STARTS), has(&ENDS)) {
            (true, true) => {}
            (false, _) => doubts.push(Doubt::broken(
                place,
                "nothing is added to a request, so that it asks for some other time than that of the scope",
                "put ${startEpochSeconds} or ${startIso} and its end where the service takes its times",
            )),
            (true, false) => doubts.push(Doubt::doubtful(
                place,
                "the request has a begin and no end, so that it asks for all that came later, too",
                "put ${endEpochSeconds} or ${endIso} where the service takes its end",
            )),
        }
        doubts.extend(forbidden(draft, &written));
        doubts
    }

    fn advice(&self) -> Advice {
        Advice {
            equal: "select the side by ${scope}, in the path, a parameter or the body",
            ..Advice::default()
        }
    }
}

/// A path that no account lets queries ask for.
fn forbidden(draft: &Draft<'_>, written: &[(&str, String)]) -> Option<Doubt> {
    let accounts = draft.own.accounts.iter();
    let accounts: Vec<(&str, &JsonApiAccount)> = accounts
        .filter_map(|account| match &account.source {
            Some(Source::JsonApi(api)) => Some((account.name.as_str(), api)),
            _ => None,
        })
        .collect();
    let made_up = || stand_in::made_up(written).control;
    let scope = draft
        .scopes
        .map_or_else(made_up, |scopes| scopes.control.clone());
    let asked = looked_at(&draft.request(&scope)).ok()?;
    if accounts.is_empty() || accounts.iter().any(|(_, api)| api.allows(&asked.path)) {
        return None;
    }
    let paths = accounts.iter().map(|(name, api)| {
        let paths = api.paths.join(", ");
        format!("'{name}' takes {paths}")
    });
    let paths = paths.collect::<Vec<_>>().join("; ");
    Some(Doubt::broken(
        "path",
        format!("no account lets queries ask for '{}': {paths}", asked.path),
        "ask for one of these, or add it to the 'paths' of the account",
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::canary::CanaryConfig;
    use crate::config::{LoadOptions, load_from};

    /// What is told of a query, where an account takes some paths only.
    fn told(query: &Value) -> Vec<(&'static str, String)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("serin.yml");
        let text = "kayenta: {http: {enabled: true, accounts: [{name: a, paths: [/x, '/*/_search'], \
                    endpoint: {baseUrl: 'http://h'}}]}}";
        std::fs::write(&file, text).unwrap();
        let options = LoadOptions {
            file: Some(file),
            ..LoadOptions::default()
        };
        let own = load_from(&options, &BTreeMap::new()).unwrap().config;
        let metric = json!({"name": "m", "query": query});
        let metric = serde_json::from_value(metric).unwrap();
        let config = CanaryConfig::default();
        let draft = Draft {
            own: &own,
            config: &config,
            metric: &metric,
            query: metric.query.as_ref().unwrap(),
            language: &JsonQuery,
            scopes: None,
            step: 60,
        };
        let doubts = JsonQuery.doubts(&draft).into_iter();
        let doubts = doubts.map(|doubt| (doubt.member, doubt.sentence));
        let sent = draft.sent().control;
        let unbuildable = sent.err().map(|error| ("", error.to_string()));
        doubts.chain(unbuildable).collect()
    }

    /// Beside what any query has.
    fn told_of(members: &Value) -> Vec<(&'static str, String)> {
        let window = json!({"from": "${startIso}", "to": "${endIso}", "v": "${scope}"});
        let mut query = json!({"type": KIND, "path": "/x", "parameters": window, "times": "$.t", "values": "$.v"});
        for (name, value) in members.as_object().unwrap() {
            query[name] = value.clone();
        }
        told(&query)
    }

    fn are_told(cases: &[(Value, &str, &str)]) {
        for (members, member, expected) in cases {
            let told = told_of(members);
            let is_told =
                |(place, sentence): &(&str, String)| place == member && sentence.contains(expected);
            assert!(told.iter().any(is_told), "{members}: {told:#?}");
        }
    }

    #[test]
    fn nothing_is_told_of_a_query_that_can_be_asked() {
        let body = r#"{"a": ${least}, "b": [${step}, "${tenant}"]}"#;
        let template = "[${startEpochMillis}, ${endEpochMillis}]";
        let cases = [
            json!({}),
            json!({"path": "/${scope}/_search"}),
            json!({"path": "/logs-${day}/_search"}),
            json!({"body": body}),
            json!({"parameters": null, "customInlineTemplate": template}),
        ];
        for members in cases {
            assert_eq!(told_of(&members), [], "{members}");
        }
    }

    #[test]
    fn what_is_doubtful_is_told_at_its_member() {
        let (window, first) = ("some other time", json!({"from": "${startIso}"}));
        are_told(&[
            (
                json!({"path": "/y"}),
                "path",
                "for '/y': 'a' takes /x, /*/_search",
            ),
            (json!({"path": "/${scope}/x"}), "path", "for '/control/x'"),
            (json!({"times": "$.t["}), "times", "which is wrong at"),
            (
                json!({"series": "$..a"}),
                "series",
                "'..' may not stand here",
            ),
            (
                json!({"labels": {"h": "h"}}),
                "labels",
                "must begin with '$'",
            ),
            (
                json!({"timeUnit": "ms"}),
                "timeUnit",
                "must be one of 'seconds'",
            ),
            (
                json!({"groupBy": {"h": "$.h"}}),
                "groupBy",
                "needs 'points'",
            ),
            (
                json!({"parameters": {"v": "${scope}"}}),
                "parameters",
                window,
            ),
            (
                json!({"parameters": null, "body": {"v": 1}}),
                "body",
                window,
            ),
            (json!({"parameters": first}), "parameters", "no end"),
            (json!({"body": {}, "template": "{}"}), "body", "is not sent"),
        ]);
    }

    #[test]
    fn what_cannot_be_sent_is_told() {
        are_told(&[
            (json!({"body": r#"{"a": }"#}), "", "'body' is no JSON"),
            (
                json!({"method": "DELETE"}),
                "",
                "'method' is 'DELETE', and must",
            ),
            (
                json!({"method": "GET", "body": {}}),
                "",
                "GET, which has no body",
            ),
            (
                json!({"contentType": "a", "body": {}}),
                "",
                "'contentType' is 'a'",
            ),
            (json!({"path": "/a/../b"}), "", "could lead elsewhere"),
            (json!({"path": null}), "", "'path' is missing"),
            (
                json!({"parameters": [1]}),
                "",
                "'parameters' must be an object",
            ),
        ]);
    }
}
