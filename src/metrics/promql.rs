//! PromQL: what is asked of a Prometheus, and how it is read, as a tree and as far as words and strings go.

mod doubts;
mod library;
pub mod logql;
pub mod lookback;
pub mod pointwise;
pub mod query;

use promql_parser::parser::{self, Expr};

use super::library::Template;
use super::strings::{is_closed, is_of_word};
use super::{Advice, Doubt, Draft, Language, Member, MetricRequest, query_of_kind};
use crate::canary::CanaryMetricSetQueryConfig;
use crate::config::Config;
use crate::error::Result;

pub const KIND: &str = "prometheus";

const MEMBERS: &[Member] = &[
    Member::text(
        "metricName",
        "the metric whose average is asked, with the template as its label matchers",
    ),
    Member::texts(
        "labelBindings",
        "more label matchers, each as in code=\"200\"",
    ),
    Member::texts("groupByFields", "labels that give a series each"),
    Member::text(
        "resourceType",
        "gce_instance or aws_ec2_instance: label matchers that need no template",
    ),
];

/// The language of Prometheus, and of what speaks its API.
pub struct PromQl;

impl Language for PromQl {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn members(&self) -> &'static [Member] {
        MEMBERS
    }

    fn template(&self) -> &'static str {
        "PromQL: and a query, or LogQL: and one for a Loki; without the prefix, label matchers of metricName"
    }

    fn text(&self, own: &Config, request: &MetricRequest<'_>) -> Result<String> {
        query::build(request, &own.sources.prometheus.scope_label)
    }

    fn templates(&self) -> Vec<Template> {
        library::templates()
    }

    fn needed_to_fetch(&self) -> &'static [&'static str] {
        &["step", "metricName"]
    }

    fn refuses_custom_filter(&self) -> bool {
        true
    }

    fn doubts(&self, draft: &Draft<'_>) -> Vec<Doubt> {
        doubts::of_draft(draft)
    }

    fn doubts_of_text(&self, draft: &Draft<'_>, side: &str) -> Vec<Doubt> {
        doubts::of_text(draft, side)
    }

    fn advice(&self) -> Advice {
        Advice {
            unbuildable: "give the query what is missing, or a template that begins with 'PromQL:'",
            equal: "select the side by a label, as in version=\"${scope}\"",
        }
    }
}

/// The query of a metric that a Prometheus answers.
pub fn query_of<'a>(request: &MetricRequest<'a>) -> Result<&'a CanaryMetricSetQueryConfig> {
    query_of_kind(request, KIND)
}

/// What a template begins with that is a query, and no list of label matchers.
pub const PREFIX: &str = "PromQL:";

/// Trees are walked by functions that call themselves, and are about as deep as this at most.
const MOST_NESTING: usize = 500;

/// The tree of a query; none of one that is larger than any that people write.
///
/// # Errors
/// What is wrong with it, in the words of the parser.
pub fn parse(query: &str) -> Option<std::result::Result<Expr, String>> {
    let bare = bare(query);
    let nests = |letter: char| "([+-*/%^<>=!@".contains(letter);
    let words = bare.split(|letter| !is_of_word(letter));
    let sets = words.filter(|word| ["and", "or", "unless", "atan2"].contains(word));
    let nesting = bare.matches(nests).count() + sets.count();
    (nesting <= MOST_NESTING).then(|| parser::parse(query))
}

const PREFIXES: [&str; 2] = [PREFIX, logql::PREFIX];

/// What stands behind the prefix of a template that is a query.
pub fn whole(template: &str) -> Option<&str> {
    PREFIXES
        .iter()
        .find_map(|prefix| template.strip_prefix(prefix))
}

/// The prefix that a template nearly begins with, and is not taken for.
pub fn prefix_in_other_letters(template: &str) -> Option<&'static str> {
    let begin = template.trim_start().split(':').next().unwrap_or_default();
    let nearly = |prefix: &&str| {
        begin
            .trim_end()
            .eq_ignore_ascii_case(&prefix[..prefix.len() - 1])
    };
    PREFIXES
        .into_iter()
        .find(nearly)
        .filter(|_| whole(template).is_none())
}

/// The query without strings and comments; blanks are kept only between words.
pub fn bare(query: &str) -> String {
    let mut bare = String::new();
    let mut characters = query.chars();
    let mut blank = false;
    while let Some(character) = characters.next() {
        match character {
            '"' | '\'' | '`' => {
                is_closed(&mut characters, character);
                bare.push(character);
            }
            '#' => {
                characters.by_ref().find(|c| *c == '\n');
                blank = true;
            }
            character if character.is_whitespace() => blank = true,
            character => {
                if blank && is_of_word(character) && bare.ends_with(is_of_word) {
                    bare.push(' ');
                }
                blank = false;
                bare.push(character);
            }
        }
    }
    bare
}
