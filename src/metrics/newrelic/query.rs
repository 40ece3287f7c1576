//! NRQL for one metric of one side.

use crate::canary::{CanaryMetricSetQueryConfig, Instant};
use crate::config::{Config, NewRelicAccount, Source};
use crate::error::Result;
use crate::metrics::keyed::{self, Keyed, Keys};
use crate::metrics::library::Template;
use crate::metrics::quoted::{self, Quoting};
use crate::metrics::range::Range;
use crate::metrics::template::{self, Expansion};
use crate::metrics::{Doubt, Draft, Language, Member, MetricRequest, query_of_kind};

pub const KIND: &str = "newrelic";

/// New Relic answers a TIMESERIES with at most so many entries.
const MOST_ENTRIES: i64 = 366;
/// A longer window is asked for in so many pieces at most.
const MOST_PIECES: i64 = 40;

const MEMBERS: &[Member] = &[
    Member::text(
        "select",
        "without a template: what is asked for and of which events, as in SELECT average(duration) FROM Transaction",
    ),
    Member::text("q", "a condition beside those for scope and location"),
];

const QUOTING: Quoting = Quoting {
    quotes: "'\"`",
    comment: None,
    has_braces: false,
    never: "\\",
    way_back: None,
};

/// The query language of New Relic.
pub struct Nrql;

impl Language for Nrql {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn members(&self) -> &'static [Member] {
        MEMBERS
    }

    fn template(&self) -> &'static str {
        "the whole statement, as in SELECT average(duration) FROM Transaction TIMESERIES ${step} seconds \
         SINCE ${startEpochSeconds} UNTIL ${endEpochSeconds} WHERE version = '${scope}'"
    }

    fn fills_in(&self) -> &'static [&'static str] {
        &["step", "startEpochSeconds", "endEpochSeconds"]
    }

    fn templates(&self) -> Vec<Template> {
        super::library::templates()
    }

    fn text(&self, own: &Config, request: &MetricRequest<'_>) -> Result<String> {
        let keys = own
            .accounts
            .iter()
            .find_map(|account| match &account.source {
                Some(Source::NewRelic(account)) => Some(keys_of(account)),
                _ => None,
            });
        // Where a config is only looked at, there is no time yet.
        let range = Range::of(request.scope).unwrap_or(Range {
            start: at(0),
            end: at(3_600),
            step: request.scope.step.or(Some(60)),
        });
        text_for(request, &keys.unwrap_or_else(Keys::some), &range)
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        let template = draft.template().unwrap_or_default();
        let select = draft.text("select").unwrap_or_default();
        let (member, text) = if template.is_empty() {
            ("select", &select)
        } else {
            ("", &template)
        };
        let mut doubts = Vec::new();
        let upper = text.to_uppercase();
        if upper.split_whitespace().any(|word| word == "FACET") {
            doubts.push(Doubt::broken(
                member,
                "FACET gives a series for each value, which New Relic answers in another form",
                "ask for one value in a WHERE, in a metric of its own",
            ));
        }
        if has_several_functions(&upper) {
            doubts.push(Doubt::doubtful(
                member,
                "of several functions only one is judged",
                "write a metric for each",
            ));
        }
        if !template.is_empty() && !upper.contains("TIMESERIES") {
            doubts.push(Doubt::broken(
                "",
                "without TIMESERIES there is one number for the whole window",
                "add TIMESERIES ${step} seconds",
            ));
        }
        let names_times = ["${startEpochSeconds}", "${endEpochSeconds}"];
        if !template.is_empty() && !names_times.iter().all(|name| template.contains(name)) {
            doubts.push(Doubt::broken(
                "",
                "nothing is added to a template, so that it is asked for some other time than that of the scope",
                "add SINCE ${startEpochSeconds} UNTIL ${endEpochSeconds}",
            ));
        }
        doubts
    }
}

/// Whether a comma parts what is selected.
fn has_several_functions(upper: &str) -> bool {
    let selected = upper.split_once("SELECT").map_or(upper, |(_, after)| after);
    let selected = selected.split(" FROM ").next().unwrap_or_default();
    let mut depth = 0_i32;
    selected.chars().any(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 0
    })
}

pub fn keys_of(account: &NewRelicAccount) -> Keys {
    Keys {
        scope: account.default_scope_key.clone(),
        location: account.default_location_key.clone(),
    }
}

/// All that an answer depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// For the whole window.
    pub text: String,
    /// For one part of it after the other.
    pub pieces: Vec<String>,
    pub range: Range,
}

impl Asked {
    /// Milliseconds; 0 leaves it to New Relic.
    pub fn step(&self) -> i64 {
        self.range.step.unwrap_or_default().saturating_mul(1000)
    }
}

pub fn asked(request: &MetricRequest<'_>, keys: &Keys) -> Result<Asked> {
    let range = Range::of(request.scope)?;
    let Some(step) = range.step.filter(|step| 0 <= *step) else {
        return Err(keyed::invalid(
            request,
            "the scope has no 'step', which is the seconds of an entry; 0 leaves it to New Relic",
        ));
    };
    let text = text_for(request, keys, &range)?;
    let (start, end) = (seconds(range.start), seconds(range.end));
    let whole = step.saturating_mul(MOST_ENTRIES);
    let length = end.saturating_sub(start);
    if step == 0 || length <= whole {
        let pieces = vec![text.clone()];
        return Ok(Asked {
            text,
            pieces,
            range,
        });
    }
    if whole.saturating_mul(MOST_PIECES) < length {
        return Err(keyed::invalid(
            request,
            &format!(
                "the window has more than {} steps of {step} s: a larger step or a shorter window is wanted",
                MOST_ENTRIES * MOST_PIECES
            ),
        ));
    }
    let mut pieces = Vec::new();
    let mut from = start;
    while from < end {
        let to = from.saturating_add(whole).min(end);
        let part = Range {
            start: at(from),
            end: at(to),
            ..range
        };
        pieces.push(text_for(request, keys, &part)?);
        from = to;
    }
    if pieces.contains(&text) {
        return Err(keyed::invalid(
            request,
            &format!(
                "the window has more than {MOST_ENTRIES} steps, which New Relic does not answer at once, and the \
                 template has no ${{startEpochSeconds}} and ${{endEpochSeconds}} to ask for it in parts"
            ),
        ));
    }
    Ok(Asked {
        text,
        pieces,
        range,
    })
}

pub fn text(request: &MetricRequest<'_>, keys: &Keys) -> Result<String> {
    text_for(request, keys, &Range::of(request.scope)?)
}

fn text_for(request: &MetricRequest<'_>, keys: &Keys, range: &Range) -> Result<String> {
    let query = query_of_kind(request, KIND)?;
    let written = template::of(request.config, request.metric)?.unwrap_or_default();
    let (start, end) = (seconds(range.start), seconds(range.end));
    if !written.is_empty() {
        let params = request.scope.extended_scope_params.as_ref();
        let has_step = params.is_some_and(|params| params.contains_key("step"));
        let mut expansion = Expansion::of(request)
            .with("startEpochSeconds", start.to_string())
            .with("endEpochSeconds", end.to_string());
        if let Some(step) = range.step.filter(|_| !has_step) {
            expansion = expansion.with("step", step.to_string());
        }
        let text = expansion.expand(&written)?;
        quoted::check_template(request, &written, &QUOTING)?;
        return Ok(text);
    }
    let conditions = conditions(request, query, keys)?;
    let timeseries = match range.step {
        Some(0) | None => "MAX".to_owned(),
        Some(step) => format!("{step} seconds"),
    };
    let select = select(request, query)?;
    Ok(format!(
        "{select} TIMESERIES {timeseries} SINCE {start} UNTIL {end} WHERE {conditions}"
    ))
}

fn select(request: &MetricRequest<'_>, query: &CanaryMetricSetQueryConfig) -> Result<String> {
    let Some(select) = query.text("select") else {
        return Err(keyed::invalid(
            request,
            "'select' is missing, or a template with the whole statement",
        ));
    };
    // Kayenta leaves the blanks of one that begins with the word.
    let has_word = select
        .get(..6)
        .is_some_and(|word| word.eq_ignore_ascii_case("select"));
    Ok(if has_word {
        select
    } else {
        format!("SELECT {}", select.trim())
    })
}

fn conditions(
    request: &MetricRequest<'_>,
    query: &CanaryMetricSetQueryConfig,
    keys: &Keys,
) -> Result<String> {
    let Keyed {
        scope: (key, scope),
        location,
        params,
    } = keys.of(request, "attribute")?;
    let mut conditions: Vec<String> = query
        .text("q")
        .filter(|q| !q.is_empty())
        .into_iter()
        .collect();
    for (name, value) in params {
        conditions.push(like(request, name, value)?);
    }
    conditions.push(like(request, &key, scope)?);
    if let Some((key, location)) = location {
        conditions.push(like(request, &key, location)?);
    }
    Ok(conditions.join(" AND "))
}

fn like(request: &MetricRequest<'_>, name: &str, value: &str) -> Result<String> {
    let plain = name
        .strip_prefix('`')
        .and_then(|name| name.strip_suffix('`'));
    let is_name = match plain {
        Some(name) => !name.contains(['`', '\\', '\n', '\r']),
        None => {
            !name.is_empty()
                && name
                    .chars()
                    .all(|letter| letter.is_alphanumeric() || "_.:-".contains(letter))
        }
    };
    if !is_name {
        let told = format!(
            "'{name}' is no name of an attribute: letters, digits and _ . : - are taken, and anything between backticks"
        );
        return Err(keyed::invalid(request, &told));
    }
    quoted::check_value(request, name, value, '\'', &QUOTING)?;
    Ok(format!("{name} LIKE '{value}'"))
}

fn seconds(instant: Instant) -> i64 {
    instant.as_millis().div_euclid(1000)
}

fn at(seconds: i64) -> Instant {
    Instant(jiff::Timestamp::from_second(seconds).unwrap_or_default())
}
