//! What would be asked for each side, as far as it can be told without asking.

use std::collections::BTreeSet;

use promql_parser::label::Matcher;
use promql_parser::parser::Expr;

use crate::canary::near::near;

use super::variables;
use super::{Code, Found, Given, Severity};
use crate::canary::number::number;
use crate::canary::{
    CanaryConfig, CanaryMetricConfig, CanaryMetricSetQueryConfig, CanaryScope, Path,
};
use crate::config::Config;
use crate::error::Result;
use crate::judge::ENOUGH_POINTS;
use crate::metrics::promql::doubts::syntax::{self, Broken, Read};
use crate::metrics::promql::doubts::{buckets, filters, tree};
use crate::metrics::promql::{KIND, PREFIX, has_prefix_in_other_letters};
use crate::metrics::{self, IMPLICIT, Language, Marks, MetricRequest, library};

pub fn check(own: &Config, canary: &CanaryConfig, given: &Given) -> Vec<Found> {
    let mut found = unused_templates(canary);
    found.extend(few_points(given));
    for (at, metric) in canary.metrics.iter().flatten().enumerate() {
        let path = Path::element("metrics", at);
        found.extend(doubtful_scope_name(&path, metric));
        let Some(query) = &metric.query else { continue };
        let Some(language) = metrics::language(query.kind()) else {
            continue;
        };
        let asked = Asked {
            own,
            canary,
            metric,
            query,
            given,
            path: path.member("query"),
        };
        found.extend(if language.kind() == KIND {
            asked.check()
        } else {
            asked.check_other(language)
        });
    }
    found
}

/// The query of one metric.
struct Asked<'a> {
    own: &'a Config,
    canary: &'a CanaryConfig,
    metric: &'a CanaryMetricConfig,
    query: &'a CanaryMetricSetQueryConfig,
    given: &'a Given,
    path: Path,
}

impl Asked<'_> {
    fn check(&self) -> Vec<Found> {
        if self.text("customFilter").is_some() {
            return vec![Found::new(
                Code::DeprecatedFilter,
                self.path.clone().member("customFilter"),
                "customFilter is refused when the metric is fetched",
                "call it customInlineTemplate, or template",
            )];
        }
        let mut found = Vec::new();
        found.extend(self.shadowed());
        let Ok(template) = metrics::template_of(self.canary, self.metric) else {
            found.push(self.unknown_template());
            return found;
        };
        match &template {
            Some(template) => found.extend(self.template(template)),
            None if self.text("resourceType").is_none() && self.given.scopes.is_none() => {
                found.push(self.without_filter());
            }
            None => found.extend(self.sides("")),
        }
        found
    }

    /// Of a language that is not read as a tree.
    fn check_other(&self, language: &dyn Language) -> Vec<Found> {
        let mut found: Vec<Found> = self.shadowed().into_iter().collect();
        let mut request = MetricRequest {
            config: self.canary,
            metric: self.metric,
            scope: &CanaryScope::default(),
        };
        let Ok(written) = language.written(&request) else {
            found.push(self.unknown_template());
            return found;
        };
        let scopes = self.given.scopes.as_ref();
        for (member, text) in &written {
            let path = self.place(member);
            found.extend(variables::check(&path, text, self.metric, scopes));
        }
        let written: Vec<String> = written.into_iter().map(|(_, text)| text).collect();
        let written = written.join("\n");
        let made_up = metrics::made_up(&written);
        request.scope = &scopes.unwrap_or(&made_up).control;
        let doubts = language.doubts(&request).into_iter();
        found.extend(doubts.map(|doubt| {
            let code = if doubt.is_broken {
                Code::BrokenQuery
            } else {
                Code::DoubtfulQuery
            };
            Found::new(code, self.place(doubt.member), doubt.sentence, doubt.fix)
        }));
        let is_broken = found.iter().any(|found| found.severity == Severity::Error);
        if !is_broken {
            found.extend(self.equal_sides(language, &written));
        }
        found
    }

    /// Whether both sides send the same; why one could not be sent.
    fn equal_sides(&self, language: &dyn Language, written: &str) -> Option<Found> {
        let scopes = self.given.scopes.clone();
        let scopes = scopes.unwrap_or_else(|| metrics::made_up(written));
        let sides = scopes.as_ref().map(|scope| self.query_of(scope));
        let path = self.template_path();
        match (sides.control, sides.experiment) {
            (Ok(control), Ok(experiment)) => (control == experiment).then(|| {
                Found::new(
                    Code::EqualQueries,
                    path,
                    "both sides would send the same query, so unless their times differ, a side is \
                     compared with itself",
                    "select the side by ${scope}",
                )
            }),
            (Err(error), _) | (_, Err(error)) => {
                let sentence = error.to_string();
                let path = self.member_in(language, &sentence).unwrap_or(path);
                let fix = "give the query what is missing";
                Some(Found::new(Code::UnbuildableQuery, path, sentence, fix))
            }
        }
    }

    /// The member that a sentence about the query names first.
    fn member_in(&self, language: &dyn Language, sentence: &str) -> Option<Path> {
        let name = self.metric.name.as_deref().unwrap_or_default();
        let metric = format!("metric '{name}': ");
        let sentence = sentence.strip_prefix(&metric).unwrap_or(sentence);
        let members = language.members().iter();
        let named = members.filter_map(|member| {
            let at = sentence.find(&format!("'{}'", member.name))?;
            Some((at, member.name))
        });
        let (_, member) = named.min()?;
        Some(self.path.clone().member(member))
    }

    fn template(&self, template: &str) -> Vec<Found> {
        let path = self.template_path();
        let scopes = self.given.scopes.as_ref();
        let mut found = variables::check(&path, template, self.metric, scopes);
        if let Some(filter) = filters::foreign(template) {
            found.push(Found::new(
                Code::ForeignFilter,
                path,
                filter.sentence,
                filter.fix,
            ));
            return found;
        }
        let is_asked_for = self.text("metricName").is_some() && buckets::is_query(template);
        if has_prefix_in_other_letters(template) || (is_asked_for && !template.starts_with(PREFIX))
        {
            found.push(self.without_prefix(path, template));
            return found;
        }
        if self.text("metricName").is_none() && !template.starts_with(PREFIX) {
            found.push(whole(path));
        }
        let is_stopped = |found: &Found| {
            matches!(
                found.code,
                Code::MisspeltVariable | Code::UnsetVariable | Code::ForeignVariable
            )
        };
        if !found.iter().any(is_stopped) {
            found.extend(self.sides(template));
        }
        found
    }

    /// The prefix is missing, unless there is more that is.
    fn without_prefix(&self, path: Path, template: &str) -> Found {
        let (scope, marks) = metrics::marked(template);
        let request = MetricRequest {
            config: self.canary,
            metric: self.metric,
            scope: &scope,
        };
        let marked = metrics::custom_filter(&request).unwrap_or_default();
        if let Read::Broken(broken) = syntax::read(after_prefix(&marked)) {
            let sentence = marks.named(&broken.sentence);
            return Found::new(
                Code::BrokenQuery,
                path,
                format!("this is neither a list of label matchers nor PromQL: {sentence}"),
                "write label matchers, as in version=\"${scope}\", or PromQL: and a query",
            );
        }
        let why = if has_prefix_in_other_letters(template) {
            "the prefix is 'PromQL:', in these letters and first of all"
        } else {
            "a template without it is taken for label matchers of 'metricName'"
        };
        Found::new(
            Code::NoPromqlPrefix,
            path,
            format!("PromQL needs a prefix: {why}"),
            "begin it with 'PromQL:'",
        )
    }

    /// The queries of both sides: in themselves, and beside each other.
    fn sides(&self, template: &str) -> Vec<Found> {
        let scopes = self.given.scopes.clone();
        let scopes = scopes.unwrap_or_else(|| metrics::made_up(template));
        let sides = scopes.as_ref().map(|scope| self.query_of(scope));
        let path = self.template_path();
        let (control, experiment) = match (sides.control, sides.experiment) {
            (Ok(control), Ok(experiment)) => (control, experiment),
            (Err(error), _) | (_, Err(error)) => {
                return vec![Found::new(
                    Code::UnbuildableQuery,
                    path,
                    error.to_string(),
                    "give the query what is missing, or a template that begins with 'PromQL:'",
                )];
            }
        };
        let mut found = self.parsed(&path, template, &control);
        if !found.iter().any(|found| found.code == Code::BrokenQuery) {
            found.extend(self.query(&path, &control));
        }
        if control == experiment {
            found.push(Found::new(
                Code::EqualQueries,
                path,
                "both sides would send the same query, so unless their times differ, a side is \
                 compared with itself",
                "select the side by a label, as in version=\"${scope}\"",
            ));
        }
        found
    }

    fn query_of(&self, scope: &CanaryScope) -> Result<String> {
        let request = MetricRequest {
            config: self.canary,
            metric: self.metric,
            scope,
        };
        metrics::text_of(self.own, &request)
    }

    /// What a parser tells: of the query with its variables, and where their values are known, of
    /// that of one side.
    fn parsed(&self, path: &Path, template: &str, side: &str) -> Vec<Found> {
        let (scope, marks) = metrics::marked(template);
        let Ok(marked) = self.query_of(&scope) else {
            return Vec::new();
        };
        let read = syntax::read(&marked);
        if self.given.scopes.is_some()
            && let Read::Broken(broken) = syntax::read(side)
        {
            return vec![self.broken(path, Code::BrokenQuery, side, &marks, broken)];
        }
        match read {
            Read::Parsed(tree) => self.tree(path, template, &tree, &marks),
            Read::Doubtful(broken) => {
                vec![self.broken(path, Code::DoubtfulQuery, &marked, &marks, broken)]
            }
            Read::Broken(broken) if self.given.scopes.is_none() => {
                vec![self.broken(path, Code::BrokenQuery, &marked, &marks, broken)]
            }
            Read::Broken(_) | Read::Unknown => Vec::new(),
        }
    }

    fn broken(&self, path: &Path, code: Code, query: &str, marks: &Marks, broken: Broken) -> Found {
        let (_, written) = self.query.inline_template().unwrap_or_default();
        let is_whole = !written.starts_with(PREFIX) && self.text("metricName").is_none();
        let prefix = match written.as_str() {
            "" => None,
            _ if is_whole => Some(0),
            written => written.starts_with(PREFIX).then_some(PREFIX.len()),
        };
        let place = broken
            .at
            .zip(prefix)
            .map_or_else(String::new, |(at, prefix)| {
                let before = prefix + marks.named(&query[..at]).chars().count();
                format!("at letter {}, ", before + 1)
            });
        let sentence = marks.named(&broken.sentence);
        let told = match code {
            Code::DoubtfulQuery => {
                format!("Prometheus refuses it, though another database may not: {place}{sentence}")
            }
            _ => format!("this is no PromQL: {place}{sentence}"),
        };
        let fix = if is_whole && !buckets::is_query(&written) {
            "write a whole query, or name the metric of these label matchers in 'metricName'".into()
        } else {
            broken.fix
        };
        Found::new(code, path.clone(), told, fix)
    }

    fn tree(&self, path: &Path, template: &str, tree: &Expr, marks: &Marks) -> Vec<Found> {
        let told = |code, sentence, fix: &str| Found::new(code, path.clone(), sentence, fix);
        let mut found = Vec::new();
        if let Some(counter) = tree::bare_counter(tree) {
            found.push(told(
                Code::CounterWithoutRate,
                format!(
                    "'{counter}' only grows, so what is compared is how long each side has been up"
                ),
                "compare rates, as in PromQL:sum(rate(…[1m]))",
            ));
        }
        if let Some(quantile) = tree::impossible_quantile(tree) {
            found.push(told(
                Code::QuantileOutOfRange,
                format!(
                    "there is no quantile {}: they go from 0 to 1, and beyond, all values are infinite",
                    number(quantile)
                ),
                "write the share, such as 0.95 for the 95th percentile",
            ));
        }
        let apart = self.tell_apart(template, marks);
        let is_apart = |matcher: &Matcher| matcher.value.contains(&apart[..]);
        if let Some(label) = tree::kept_labels(tree, &is_apart).into_iter().next() {
            found.push(told(
                Code::KeptLabel,
                format!(
                    "the label '{label}' tells the sides apart and stays on their series, so none is \
                     paired with another"
                ),
                &format!("aggregate it away, as in sum(…) or sum without ({label}) (…)"),
            ));
        }
        found
    }

    /// The marks of the variables that differ between the sides, as far as it is known.
    fn tell_apart(&self, template: &str, marks: &Marks) -> Vec<char> {
        let Some(scopes) = &self.given.scopes else {
            let has_scope = metrics::variables(template).any(|variable| variable.name == "scope");
            return marks.of(|name| {
                if has_scope {
                    name == "scope"
                } else {
                    !IMPLICIT.contains(&name)
                }
            });
        };
        let value = |scope: &CanaryScope, name: &str| match name {
            "scope" => scope.scope.clone(),
            "location" => scope.location.clone(),
            name => scope.extended_scope_params.as_ref()?.get(name).cloned(),
        };
        marks.of(|name| value(&scopes.control, name) != value(&scopes.experiment, name))
    }

    fn query(&self, path: &Path, query: &str) -> Vec<Found> {
        let told = |code, sentence, fix: &str| Found::new(code, path.clone(), sentence, fix);
        let mut found = Vec::new();
        if buckets::is_quantile_without_le(query) {
            found.push(told(
                Code::QuantileWithoutLe,
                "the buckets are summed without their label 'le', so there is no quantile"
                    .to_owned(),
                "sum by (le)",
            ));
        }
        let step = self.given.step;
        if let Some(range) = buckets::beyond(query, step) {
            found.push(told(
                Code::SharedData,
                format!(
                    "the query looks {range} back at every point, and the points lie {step} s \
                     apart: neighbours share data, so differences look surer than they are"
                ),
                "let the range be no longer than the step of the canary",
            ));
        }
        found
    }

    fn shadowed(&self) -> Option<Found> {
        let (first, _) = self.query.inline_template()?;
        let name = self.text("customFilterTemplate")?;
        Some(Found::new(
            Code::ShadowedTemplate,
            self.path.clone().member("customFilterTemplate"),
            format!("template '{name}' is not used: {first} comes first"),
            "take one of them out",
        ))
    }

    fn unknown_template(&self) -> Found {
        let name = self.text("customFilterTemplate").unwrap_or_default();
        let library = library::all();
        let of_name = library.iter().find(|template| template.name == name);
        let own = self
            .canary
            .templates
            .iter()
            .flat_map(indexmap::IndexMap::keys);
        let library = library.iter();
        let library = library.filter(|template| template.kind == self.query.kind());
        let library = library.map(|template| &template.name);
        let known: Vec<&str> = own.chain(library).map(String::as_str).collect();
        Found::new(
            Code::UnknownTemplate,
            self.path.clone().member("customFilterTemplate"),
            match of_name {
                Some(other) => format!(
                    "template '{name}' of serin's library is for queries of type '{}'",
                    other.kind
                ),
                None => format!(
                    "there is no template '{name}', neither in the config nor in serin's library"
                ),
            },
            match near(&name, &known) {
                Some(meant) => format!("write '{meant}'"),
                None => "add it to the config's templates".to_owned(),
            },
        )
    }

    fn without_filter(&self) -> Found {
        Found::new(
            Code::NoFilter,
            self.path.clone(),
            "nothing selects a side, so this is refused unless the request's extendedScopeParams \
             have a resourceType",
            "add a template, as in \"customInlineTemplate\": \"version=\\\"${scope}\\\"\"",
        )
    }

    /// Where a member stands; none is that of the template.
    fn place(&self, member: &str) -> Path {
        match member {
            "" => self.template_path(),
            member => self.path.clone().member(member),
        }
    }

    /// Where the text of the template stands.
    fn template_path(&self) -> Path {
        if let Some((member, _)) = self.query.inline_template() {
            return self.path.clone().member(member);
        }
        match self.text("customFilterTemplate") {
            Some(name) if self.has_template(&name) => Path::of("templates").member(&name),
            Some(_) => self.path.clone().member("customFilterTemplate"),
            None => self.path.clone(),
        }
    }

    fn has_template(&self, name: &str) -> bool {
        let templates = self.canary.templates.as_ref();
        templates.is_some_and(|templates| templates.contains_key(name))
    }

    fn text(&self, member: &str) -> Option<String> {
        let text = self.query.text(member);
        text.filter(|text| !text.trim().is_empty())
    }
}

/// A query without a prefix that is not quite one.
fn after_prefix(query: &str) -> &str {
    let query = query.trim_start();
    match query.split_once(':') {
        Some((prefix, query)) if prefix.trim_end().eq_ignore_ascii_case("promql") => query,
        _ => query,
    }
}

fn unused_templates(canary: &CanaryConfig) -> Vec<Found> {
    let queries = canary.metrics.iter().flatten();
    let queries = queries.filter_map(|metric| metric.query.as_ref());
    let used: BTreeSet<String> = queries
        .filter_map(|query| query.text("customFilterTemplate"))
        .collect();
    let names = canary.templates.iter().flat_map(indexmap::IndexMap::keys);
    names
        .filter(|name| !used.contains(*name))
        .map(|name| {
            Found::new(
                Code::UnusedTemplate,
                Path::of("templates").member(name),
                format!("no metric names the template '{name}'"),
                "take it out, or name it in a customFilterTemplate",
            )
        })
        .collect()
}

fn few_points(given: &Given) -> Option<Found> {
    let seconds = given.duration_minutes?.checked_mul(60)?;
    let points = seconds.checked_div(given.step)? + 1;
    let enough = i64::try_from(ENOUGH_POINTS).ok()?;
    (points < enough).then(|| {
        Found::new(
            Code::FewPoints,
            Path::default(),
            format!(
                "{} min with a point every {} s are {points} points a side: from {enough} on, \
                 smaller differences are found",
                seconds / 60,
                given.step
            ),
            format!(
                "let it last {} min, or let the step be {} s",
                (given.step * (enough - 1) + 59) / 60,
                (seconds / (enough - 1)).max(1)
            ),
        )
    })
}

/// Without a metric that it could filter, a template is a query: so it is here, and not in Kayenta.
fn whole(path: Path) -> Found {
    let sentence =
        "without a metricName beside it this is taken for a whole query, which Kayenta refuses";
    let fix = "begin it with 'PromQL:'";
    Found {
        severity: Severity::Warning,
        ..Found::new(Code::NoPromqlPrefix, path, sentence, fix)
    }
}

fn doubtful_scope_name(path: &Path, metric: &CanaryMetricConfig) -> Option<Found> {
    let name = metric.scope_name.as_deref()?;
    let meant = near(name, &["default"]).filter(|meant| *meant != name)?;
    Some(Found::new(
        Code::DoubtfulScopeName,
        path.clone().member("scopeName"),
        format!("requests must have a scope '{name}', and commonly have '{meant}'"),
        format!("write '{meant}'"),
    ))
}
