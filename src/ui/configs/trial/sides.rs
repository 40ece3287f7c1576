//! The fields of both sides: what the queries of a config want to be told, and no more.

use indexmap::IndexMap;

use crate::canary::{CanaryConfig, CanaryScope, CanaryScopePair, Instant, Pair, iso_from_millis};
use crate::config::Config;
use crate::metrics::{self, MetricRequest, variables};
use crate::ui::forms::Field;
use crate::ui::times;

/// The fields of one pair of scopes.
pub struct Scope {
    pub name: String,
    pub step: Field,
    pub sides: Pair<Side>,
    /// Where the values that a scope can have are told.
    pub offer: Option<Offer>,
    /// Whether the scope of each side is asked for.
    pub which: Ask,
    pub location: Ask,
    /// What else its queries have.
    pub parameters: Vec<(String, Ask)>,
}

/// Whether something is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Not,
    Maybe,
    /// It must be told.
    Surely,
}

impl Ask {
    fn of(has: bool, needs: bool) -> Self {
        match (has, needs) {
            (_, true) => Self::Surely,
            (true, false) => Self::Maybe,
            (false, false) => Self::Not,
        }
    }

    pub fn is_asked(self) -> bool {
        self != Self::Not
    }

    /// The attributes of its field.
    pub fn with(self, attributes: &str) -> String {
        match self {
            Self::Surely => format!("{attributes} required"),
            _ => attributes.to_owned(),
        }
    }

    /// What is told, or that it is not.
    fn told(self, name: &str, text: &str) -> Result<Option<String>, String> {
        match text {
            "" if self == Self::Surely => {
                Err(format!("the queries have ${{{name}}}: say what it is"))
            }
            text => Ok(Some(text.to_owned()).filter(|text| !text.is_empty())),
        }
    }
}

/// The label of a metric whose values are scopes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub metric: String,
    pub label: String,
}

impl Offer {
    /// Of a query that has its scope as `metric{label="${scope}"}`.
    fn of(query: &str) -> Option<Self> {
        let (before, after) = query.split_once("${scope}")?;
        let before = before.strip_suffix('"')?;
        after.starts_with('"').then_some(())?;
        let before = before.strip_suffix('=').or(before.strip_suffix("=~"))?;
        let (labels, label) = before.rsplit_once(['{', ',', ' '])?;
        let metric = match labels.rsplit_once('{') {
            Some((metric, _)) => metric,
            None => labels,
        };
        let is_named = |sign: char| sign.is_ascii_alphanumeric() || matches!(sign, '_' | ':');
        let metric = metric.rsplit(|sign| !is_named(sign)).next()?;
        let is_offered = !metric.is_empty() && !label.is_empty() && label.chars().all(is_named);
        is_offered.then(|| Self {
            metric: metric.to_owned(),
            label: label.to_owned(),
        })
    }
}

pub struct Side {
    pub scope: Field,
    pub location: Field,
    pub start: Field,
    pub end: Field,
    /// In the order of those of the scope.
    pub own: Vec<Field>,
    /// All others.
    pub parameters: Field,
}

/// Those that the metrics name, in their order.
pub fn scopes(own: &Config, config: &CanaryConfig, window: &(String, String)) -> Vec<Scope> {
    let metrics = config.metrics.iter().flatten();
    let mut names: Vec<&String> = Vec::new();
    for name in metrics.filter_map(|metric| metric.scope_name.as_ref()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let numbered = names.into_iter().enumerate();
    numbered
        .map(|(at, name)| Scope::of(at, name, &Wanted::of(own, config, name), window))
        .collect()
}

/// What the queries of a pair of scopes are made of.
#[derive(Default)]
struct Wanted {
    /// Every variable, and whether it must have a value.
    variables: IndexMap<String, bool>,
    has_scope: bool,
    has_location: bool,
    offer: Option<Offer>,
}

impl Wanted {
    fn of(own: &Config, config: &CanaryConfig, name: &str) -> Self {
        let mut wanted = Self::default();
        for metric in config.metrics.iter().flatten() {
            if metric.scope_name.as_deref() != Some(name) {
                continue;
            }
            let language = metric.query.as_ref();
            let language = language.and_then(|query| metrics::language(query.kind()));
            let nothing = CanaryScope::default();
            let unasked = MetricRequest {
                config,
                metric,
                scope: &nothing,
                longest: own.limits.query_text,
                is_reused: true,
            };
            let written = language.map(|language| language.written(&unasked));
            let (Some(language), Some(Ok(written))) = (language, written) else {
                (wanted.has_scope, wanted.has_location) = (true, true);
                continue;
            };
            let mut texts = written.iter().map(|(_, text)| text.as_str());
            wanted.offer = wanted.offer.or_else(|| texts.find_map(Offer::of));
            for variable in written.iter().flat_map(|(_, text)| variables(text)) {
                if !language.fills_in().contains(&variable.name) {
                    let needed = wanted.variables.entry(variable.name.to_owned());
                    *needed.or_insert(false) |= variable.default.is_none();
                }
            }
            // A query may take its side without a variable: its text tells.
            let text = |scope: &str, location: &str| {
                let scope = filled(scope, location, wanted.variables.keys());
                let request = MetricRequest {
                    scope: &scope,
                    ..unasked
                };
                language.text(own, &request).ok()
            };
            let both = text("a", "a");
            wanted.has_scope |= both.is_none() || both != text("b", "a");
            wanted.has_location |= both.is_none() || both != text("a", "b");
        }
        wanted
    }

    fn needs(&self, variable: &str) -> bool {
        self.variables.get(variable) == Some(&true)
    }
}

/// A scope in which everything has a value.
fn filled<'a>(
    scope: &str,
    location: &str,
    variables: impl Iterator<Item = &'a String>,
) -> CanaryScope {
    CanaryScope {
        scope: Some(scope.to_owned()),
        location: Some(location.to_owned()),
        start: Instant::from_millis(0),
        end: Instant::from_millis(60_000),
        step: Some(60),
        extended_scope_params: Some(
            variables
                .filter(|name| !["scope", "location"].contains(&name.as_str()))
                .map(|name| (name.clone(), "a".to_owned()))
                .collect(),
        ),
    }
}

impl Scope {
    fn of(at: usize, name: &str, wanted: &Wanted, (start, end): &(String, String)) -> Self {
        let variables = wanted.variables.iter();
        let others = variables.filter(|(name, _)| !["scope", "location"].contains(&name.as_str()));
        let parameters: Vec<_> = others
            .map(|(name, needed)| (name.clone(), Ask::of(true, *needed)))
            .collect();
        let side = |side: &str| Side {
            scope: Field::new(format!("scopes.{at}.{side}.scope"), ""),
            location: Field::new(format!("scopes.{at}.{side}.location"), ""),
            start: Field::new(format!("scopes.{at}.{side}.start"), start),
            end: Field::new(format!("scopes.{at}.{side}.end"), end),
            own: parameters
                .iter()
                .map(|(name, _)| Field::new(format!("scopes.{at}.{side}.parameters.{name}"), ""))
                .collect(),
            parameters: Field::new(format!("scopes.{at}.{side}.parameters"), ""),
        };
        Self {
            name: name.to_owned(),
            step: Field::new(format!("scopes.{at}.step"), "60"),
            sides: Pair {
                control: side("control"),
                experiment: side("experiment"),
            },
            offer: wanted.offer.clone(),
            which: Ask::of(wanted.has_scope, wanted.needs("scope")),
            location: Ask::of(wanted.has_location, wanted.needs("location")),
            parameters,
        }
    }

    /// The attributes of the field of a scope.
    pub fn asked(&self, example: &str) -> String {
        let list = match self.offer {
            Some(_) => format!(" list=\"{}-offered\"", self.step.name),
            None => String::new(),
        };
        self.which.with(&format!("placeholder=\"{example}\"{list}"))
    }

    pub fn fields(&mut self) -> impl Iterator<Item = &mut Field> {
        let sides = [&mut self.sides.control, &mut self.sides.experiment];
        let fields = sides.into_iter().flat_map(|side| {
            let fields = [
                &mut side.scope,
                &mut side.location,
                &mut side.start,
                &mut side.end,
                &mut side.parameters,
            ];
            fields.into_iter().chain(&mut side.own)
        });
        [&mut self.step].into_iter().chain(fields)
    }

    /// Fills in what was compared before.
    pub fn answer_as(&mut self, pair: &CanaryScopePair) {
        let sides = [
            (&mut self.sides.control, &pair.control_scope),
            (&mut self.sides.experiment, &pair.experiment_scope),
        ];
        for (side, scope) in sides {
            let Some(scope) = scope else { continue };
            if let Some(step) = scope.step {
                self.step.value = step.to_string();
            }
            side.answer_as(scope, &self.parameters);
        }
    }

    /// The control against itself, an equally long window before.
    pub fn compare_with_itself(&mut self, now: i64) {
        let (control, experiment) = (&mut self.sides.control, &mut self.sides.experiment);
        let of = |field: &Field| instant(&field.value, now).ok().map(Instant::as_millis);
        let (start, end) = (of(&control.start), of(&control.end));
        let fields = [
            (&mut experiment.scope, &control.scope),
            (&mut experiment.location, &control.location),
            (&mut experiment.start, &control.start),
            (&mut experiment.end, &control.end),
            (&mut experiment.parameters, &control.parameters),
        ];
        let own = experiment.own.iter_mut().zip(&control.own);
        for (to, from) in fields.into_iter().chain(own) {
            to.value.clone_from(&from.value);
        }
        let (Some(start), Some(end)) = (start, end) else {
            return;
        };
        control.start.value = iso_from_millis(start - (end - start));
        control.end.value = iso_from_millis(start);
    }

    /// None where a field has a problem; it says which.
    pub fn pair(&mut self, now: i64) -> Option<(String, CanaryScopePair)> {
        let step = self.step.parsed(step);
        let needs = Needs {
            scope: self.which,
            location: self.location,
            parameters: &self.parameters,
        };
        let control = self.sides.control.scope(&needs, step, now);
        let experiment = self.sides.experiment.scope(&needs, step, now);
        step?;
        let pair = CanaryScopePair {
            control_scope: Some(control?),
            experiment_scope: Some(experiment?),
        };
        Some((self.name.clone(), pair))
    }
}

/// What must be told of each side.
struct Needs<'a> {
    scope: Ask,
    location: Ask,
    parameters: &'a [(String, Ask)],
}

impl Side {
    fn answer_as(&mut self, scope: &CanaryScope, own: &[(String, Ask)]) {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        self.scope.value = text(&scope.scope);
        self.location.value = text(&scope.location);
        for (field, time) in [(&mut self.start, scope.start), (&mut self.end, scope.end)] {
            if let Some(time) = time {
                field.value = time.to_string();
            }
        }
        let mut others = scope.extended_scope_params.clone().unwrap_or_default();
        for (field, (name, _)) in self.own.iter_mut().zip(own) {
            field.value = others.shift_remove(name).unwrap_or_default();
        }
        let lines = others.iter().map(|(name, value)| format!("{name}={value}"));
        self.parameters.value = lines.collect::<Vec<_>>().join("\n");
    }

    fn scope(&mut self, needs: &Needs<'_>, step: Option<i64>, now: i64) -> Option<CanaryScope> {
        let start = self.start.parsed(|text| instant(text, now));
        let end = self.end.parsed(|text| match instant(text, now)? {
            end if start.is_some_and(|start| end <= start) => {
                Err("the end must be after the start".to_owned())
            }
            end => Ok(end),
        });
        let others = self.parameters.parsed(parameters);
        // What stands among the others is told, too.
        let is_told = |name: &str| others.as_ref().is_some_and(|it| it.contains_key(name));
        let scope = self.scope.parsed(|text| needs.scope.told("scope", text));
        let location = self
            .location
            .parsed(|text| needs.location.told("location", text));
        let own: Vec<_> = needs
            .parameters
            .iter()
            .zip(&mut self.own)
            .map(|((name, ask), field)| {
                let ask = if is_told(name) { Ask::Maybe } else { *ask };
                let value = field.parsed(|text| ask.told(name, text))?;
                Some((name.clone(), value))
            })
            .collect();
        let own: Option<Vec<_>> = own.into_iter().collect();
        let mut params: IndexMap<_, _> = others?;
        params.extend(
            own?.into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        Some(CanaryScope {
            scope: scope?,
            location: location?,
            start: Some(start?),
            end: Some(end?),
            step,
            extended_scope_params: Some(params),
        })
    }
}

fn instant(text: &str, now: i64) -> Result<Instant, String> {
    times::instant(text, now).ok_or_else(|| {
        format!("'{text}' is no time; one like 2024-05-01T10:00:00Z or now-1h is wanted")
    })
}

fn step(text: &str) -> Result<i64, String> {
    let step = text.parse().ok().filter(|step| 0 < *step);
    step.ok_or_else(|| format!("'{text}' is no step; a number of seconds such as 60 is wanted"))
}

/// A `name=value` on every line.
pub fn parameters(text: &str) -> Result<IndexMap<String, String>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pairs = lines.map(|line| {
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| format!("'{line}' is no parameter; name=value is wanted"))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_tells_the_label_whose_values_are_scopes() {
        let cases = [
            ("errors{version=\"${scope}\"}", Some(("errors", "version"))),
            (
                "rate(a:b_c{x=\"y\",pod=~\"${scope}\"}[5m])",
                Some(("a:b_c", "pod")),
            ),
            ("sum(m{x=\"1\", v=\"${scope}\"})", Some(("m", "v"))),
            ("{version=\"${scope}\"}", None),
            ("errors{version=\"${scope}-x\"}", None),
            ("errors{version=\"x-${scope}\"}", None),
            ("${scope}", None),
            ("errors", None),
        ];
        for (query, expected) in cases {
            let offer = Offer::of(query);
            let told = offer
                .as_ref()
                .map(|it| (it.metric.as_str(), it.label.as_str()));
            assert_eq!(told, expected, "{query}");
        }
    }
}
