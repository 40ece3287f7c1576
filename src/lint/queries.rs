//! What would be asked for each side, as far as it can be told without asking.

use std::collections::BTreeSet;

use super::{Code, Found, Given, Severity, sequential, variables};
use crate::canary::near::near;
use crate::canary::{CanaryConfig, CanaryMetricConfig, Path};
use crate::config::Config;
use crate::judge::ENOUGH_POINTS;
use crate::metrics::{self, Doubt, DoubtKind, Draft, library};

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
        let draft = Draft {
            own,
            config: canary,
            metric,
            query,
            language,
            scopes: given.scopes.as_ref(),
            step: given.step,
        };
        let path = path.member("query");
        let minutes = given.duration_minutes;
        found.extend(
            Asked {
                draft,
                path,
                minutes,
            }
            .check(),
        );
    }
    found
}

/// The query of one metric.
struct Asked<'a> {
    draft: Draft<'a>,
    path: Path,
    /// Of a window, where that is known.
    minutes: Option<i64>,
}

impl Asked<'_> {
    fn check(&self) -> Vec<Found> {
        // Even an empty one.
        let filter = self.draft.query.text("customFilter");
        if self.draft.language.refuses_custom_filter() && filter.is_some() {
            return vec![self.deprecated_filter()];
        }
        let mut found = Vec::from_iter(self.shadowed());
        let Ok(written) = self.draft.written() else {
            found.push(self.unknown_template());
            return found;
        };
        for (member, text) in &written {
            let (path, draft) = (self.place(member), &self.draft);
            found.extend(variables::check(
                &path,
                text,
                draft.language.fills_in(),
                draft.metric,
                draft.scopes,
            ));
        }
        found.extend(self.told(self.draft.language.doubts(&self.draft)));
        // What is refused has no sides, nor has what only some requests can ask for.
        let is_sent =
            |found: &Found| found.severity != Severity::Error && found.code != Code::NoFilter;
        if found.iter().all(is_sent) {
            found.extend(self.sides());
        }
        found
    }

    fn told(&self, doubts: Vec<Doubt>) -> Vec<Found> {
        let doubts = doubts.into_iter();
        let told = doubts.map(|doubt| {
            let path = self.place(doubt.member);
            let found = Found {
                within: doubt.at,
                ..Found::new(doubt.kind.into(), path, doubt.sentence, doubt.fix)
            };
            match doubt.kind {
                DoubtKind::NoPrefixOfKayenta => Found {
                    severity: Severity::Warning,
                    ..found
                },
                _ => found,
            }
        });
        told.collect()
    }

    /// What both sides would be sent: in itself, and beside each other.
    fn sides(&self) -> Vec<Found> {
        let advice = self.draft.language.advice();
        let sides = self.draft.sent();
        let (control, experiment) = match (sides.control, sides.experiment) {
            (Ok(control), Ok(experiment)) => (control, experiment),
            (Err(error), _) | (_, Err(error)) => {
                let sentence = error.to_string();
                let path = self.member_in(&sentence);
                let path = path.unwrap_or_else(|| self.template_path());
                let fix = advice.unbuildable;
                return vec![Found::new(Code::UnbuildableQuery, path, sentence, fix)];
            }
        };
        let mut found = self.told(self.draft.language.doubts_of_text(&self.draft, &control));
        if sequential::judges(self.draft.config) {
            // It reckons with what neighbours share.
            found.retain(|found| found.code != Code::SharedData);
            let (path, step) = (self.template_path(), self.draft.step);
            found.extend(sequential::samples(&path, &control, step, self.minutes));
        }
        if control == experiment {
            found.push(Found::new(
                Code::EqualQueries,
                self.template_path(),
                "both sides would send the same query, so unless their times differ, a side is \
                 compared with itself",
                advice.equal,
            ));
        }
        found
    }

    /// The member that a sentence about the query names first.
    fn member_in(&self, sentence: &str) -> Option<Path> {
        let name = self.draft.metric.name.as_deref().unwrap_or_default();
        let metric = format!("metric '{name}': ");
        let sentence = sentence.strip_prefix(&metric).unwrap_or(sentence);
        let members = self.draft.language.members().iter();
        let named = members.filter_map(|member| {
            let at = sentence.find(&format!("'{}'", member.name))?;
            Some((at, member.name))
        });
        let (_, member) = named.min()?;
        Some(self.path.clone().member(member))
    }

    fn deprecated_filter(&self) -> Found {
        Found::new(
            Code::DeprecatedFilter,
            self.path.clone().member("customFilter"),
            "customFilter is refused when the metric is fetched",
            "call it customInlineTemplate, or template",
        )
    }

    fn shadowed(&self) -> Option<Found> {
        let (first, _) = self.draft.query.inline_template()?;
        let name = self.draft.text("customFilterTemplate")?;
        Some(Found::new(
            Code::ShadowedTemplate,
            self.path.clone().member("customFilterTemplate"),
            format!("template '{name}' is not used: {first} comes first"),
            "take one of them out",
        ))
    }

    fn unknown_template(&self) -> Found {
        let name = self.draft.text("customFilterTemplate").unwrap_or_default();
        let library = library::all();
        let of_name = library.iter().find(|template| template.name == name);
        let own = self
            .draft
            .config
            .templates
            .iter()
            .flat_map(indexmap::IndexMap::keys);
        let library = library.iter();
        let library = library.filter(|template| template.kind == self.draft.query.kind());
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

    /// Where a member stands; none is that of the template.
    fn place(&self, member: &str) -> Path {
        match member {
            "" => self.template_path(),
            member => self.path.clone().member(member),
        }
    }

    /// Where the text of the template stands.
    fn template_path(&self) -> Path {
        if let Some((member, _)) = self.draft.query.inline_template() {
            return self.path.clone().member(member);
        }
        match self.draft.text("customFilterTemplate") {
            Some(name) if self.has_template(&name) => Path::of("templates").member(&name),
            Some(_) => self.path.clone().member("customFilterTemplate"),
            None => self.path.clone(),
        }
    }

    fn has_template(&self, name: &str) -> bool {
        let templates = self.draft.config.templates.as_ref();
        templates.is_some_and(|templates| templates.contains_key(name))
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
