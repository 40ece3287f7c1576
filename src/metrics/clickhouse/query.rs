//! SQL for one metric of one side.

use super::statement::{self, Pasting, Statement};
use crate::canary::Instant;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::metrics::library::Template;
use crate::metrics::range::Range;
use crate::metrics::template::{self, Expansion};
use crate::metrics::{Doubt, Draft, Language, Member, MetricRequest, query_of_kind};

pub const KIND: &str = "clickhouse";

/// The SQL of ClickHouse.
pub struct Sql;

impl Language for Sql {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn members(&self) -> &'static [Member] {
        &[]
    }

    fn template(&self) -> &'static str {
        "the whole statement, as in SELECT avg(latency) AS value, toStartOfInterval(at, INTERVAL ${step} SECOND) AS time \
         FROM requests WHERE at >= fromUnixTimestamp(${startEpochSeconds}) AND at < fromUnixTimestamp(${endEpochSeconds}) \
         AND version = '${scope}' GROUP BY time ORDER BY time"
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &["step", "startEpochSeconds", "endEpochSeconds"]
    }

    fn templates(&self) -> Vec<Template> {
        super::library::templates()
    }

    fn needed_to_fetch(&self) -> &'static [&'static str] {
        &["step"]
    }

    fn text(&self, own: &Config, request: &MetricRequest<'_>) -> Result<String> {
        let pasting = if own.sources.clickhouse.raw_values {
            Pasting::Raw
        } else {
            Pasting::Unchecked
        };
        // Where a config is only looked at, there is no time yet.
        let range = Range::of(request.scope).unwrap_or(Range {
            start: at(0),
            end: at(3_600),
            step: request.scope.step.or(Some(60)),
        });
        Ok(statement_for(request, &range, pasting)?.shown)
    }

    /// Parameters are variables of another spelling.
    fn written(&self, request: &MetricRequest<'_>) -> Result<Vec<(&'static str, String)>> {
        let template = template::of(request.config, request.metric)?;
        let written = template.map(|text| ("", statement::with_variables(&text)));
        Ok(written.into_iter().collect())
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        let template = draft.template().unwrap_or_default();
        if template.is_empty() {
            return Vec::new();
        }
        let mut doubts = Vec::new();
        let names = |name: &str| {
            let spellings = [
                format!("${{{name}}}"),
                format!("${{{name}:-"),
                format!("{{{name}:"),
            ];
            spellings.iter().any(|it| template.contains(it))
        };
        if !names("startEpochSeconds") || !names("endEpochSeconds") {
            doubts.push(Doubt::broken(
                "",
                "nothing is added to a statement, so that it reads some other time than that of the scope",
                "add WHERE time >= fromUnixTimestamp(${startEpochSeconds}) AND time < fromUnixTimestamp(${endEpochSeconds})",
            ));
        }
        let upper = template.to_uppercase();
        let words: Vec<&str> = upper
            .split(|it: char| !it.is_alphanumeric() && it != '_')
            .collect();
        let has = |word: &str| words.contains(&word);
        let follow = |one: &str, other: &str| {
            let words: Vec<&&str> = words.iter().filter(|word| !word.is_empty()).collect();
            words
                .windows(2)
                .any(|pair| *pair[0] == one && *pair[1] == other)
        };
        let has_time = super::answer::TIMES
            .iter()
            .any(|name| follow("AS", &name.to_uppercase()));
        if !has_time && !follow("ORDER", "BY") {
            doubts.push(Doubt::doubtful(
                "",
                "its rows have no column 'time', and come in no order of their own",
                "select the time of a row AS time, or add ORDER BY",
            ));
        }
        if has("SETTINGS") {
            doubts.push(Doubt::doubtful(
                "",
                "SETTINGS of a statement are refused, as they could take away what bounds a query",
                "set them for the user of the account",
            ));
        }
        doubts
    }
}

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// As it is told.
    pub text: String,
    pub sql: String,
    pub params: Vec<(String, String)>,
    pub range: Range,
}

pub fn asked(request: &MetricRequest<'_>, pasting: Pasting) -> Result<Asked> {
    let range = Range::of(request.scope)?;
    let Statement { sql, shown, params } = statement_for(request, &range, pasting)?;
    Ok(Asked {
        text: shown,
        sql,
        params,
        range,
    })
}

fn statement_for(
    request: &MetricRequest<'_>,
    range: &Range,
    pasting: Pasting,
) -> Result<Statement> {
    query_of_kind(request, KIND)?;
    let written = template::of(request.config, request.metric)?;
    let Some(written) = written.filter(|text| !text.trim().is_empty()) else {
        return Err(Error::Invalid(
            "Clickhouse canary metrics must define either customInlineTemplate or customFilterTemplate containing \
             the SQL query to execute."
                .to_owned(),
        ));
    };
    let seconds = |instant: Instant| instant.as_millis().div_euclid(1000).to_string();
    let params = request.scope.extended_scope_params.as_ref();
    let has_step = params.is_some_and(|params| params.contains_key("step"));
    let expansion = || {
        let expansion = Expansion::of(request)
            .with("startEpochSeconds", seconds(range.start))
            .with("endEpochSeconds", seconds(range.end));
        match range.step.filter(|_| !has_step) {
            Some(step) => expansion.with("step", step.to_string()),
            None => expansion,
        }
    };
    statement::of(request, &written, expansion, pasting)
}

fn at(seconds: i64) -> Instant {
    Instant(jiff::Timestamp::from_second(seconds).unwrap_or_default())
}
