//! `/ui/configs/{id}`: one config, as one would explain it.

use askama::Template;
use axum::extract::{Path, Query, State};

use super::history::{self, History};
use super::{May, Store, applications, newest_runs};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{CanaryConfig, CanaryMetricConfig, Id};
use crate::error::{Error, Result};
use crate::judge::policy::{Direction, Effect, Measure, MetricPolicy, NanStrategy};
use crate::lint;
use crate::metrics::{shown_query, supports};
use crate::report::view::Moment;
use crate::run::configs;
use crate::run::learned;
use crate::ui::forms::Fields;
use crate::ui::page::Page;
use crate::ui::shell::Shell;

#[derive(Template)]
#[template(path = "config.html", config = "src/ui/askama.toml")]
pub struct View {
    shell: Shell,
    may: May,
    store: Store,
    id: Id,
    config: CanaryConfig,
    /// Who stored it as it is, where that is known.
    by: Option<String>,
    metrics: Vec<Metric>,
    groups: Vec<Group>,
    /// Why no canary could be judged by it.
    warnings: Vec<String>,
    /// What is to be said of the margins that it is judged with.
    margins: Vec<String>,
    judge_configurations: String,
    /// As it is stored.
    document: String,
    history: Option<History>,
    /// Nothing was ever judged by it.
    is_untried: bool,
}

struct Metric {
    name: String,
    groups: Vec<String>,
    scope: String,
    kind: String,
    query: Asked,
    /// None where the judge would refuse it; the warnings say why.
    policy: Option<Policy>,
}

/// What the metric asks for.
enum Asked {
    Text(String),
    /// Members as they are, of a type that serin does not fetch or that lacks something.
    Members {
        text: String,
        problem: String,
    },
}

struct Policy {
    direction: &'static str,
    marks: Vec<&'static str>,
    effect: Vec<String>,
    outliers: String,
    without_data: &'static str,
}

struct Group {
    name: String,
    weight: Option<f64>,
    metrics: usize,
}

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
) -> Result<Page<View>> {
    let (store, id) = (Store::of(&app, &address)?, Id::parse(&id)?);
    let config = app.seen_by(&caller).canary_config(&store.name, &id).await?;
    let document = pretty(&config)?;
    let judge = config.judge.as_ref();
    let judge_configurations = judge.and_then(|judge| judge.judge_configurations.as_ref());
    let judge_configurations = judge_configurations.filter(|members| !members.is_empty());
    let warnings = configs::examine(&app.config, &document).1.into_iter();
    let calibrated = learned::look_up(&app, &caller, &config).await;
    let by = app.seen_by(&caller).last_stored(&id).await?;
    let newest = newest_runs(&app, &caller, Some(id.as_str()), history::RUNS).await?;
    Ok(Page(View {
        is_untried: newest.is_empty(),
        history: history::draw(&newest),
        shell: Shell::of(&caller),
        by,
        may: May::of(&app, &caller, applications(&config)),
        margins: lint::of_margins(&config, calibrated.as_ref()),
        metrics: metrics(&app, &config)?,
        groups: groups(&config),
        warnings: warnings.map(|finding| finding.fault.words()).collect(),
        judge_configurations: judge_configurations
            .map(pretty)
            .transpose()?
            .unwrap_or_default(),
        store,
        id,
        config,
        document,
    }))
}

impl View {
    fn created(&self) -> Option<Moment> {
        self.config.created_timestamp.and_then(Moment::of_millis)
    }

    fn updated(&self) -> Option<Moment> {
        self.config.updated_timestamp.and_then(Moment::of_millis)
    }

    fn judge(&self) -> &str {
        let named = self
            .config
            .judge
            .as_ref()
            .and_then(|judge| judge.name.as_deref());
        named.unwrap_or_else(|| crate::judge::all()[0].name())
    }
}

fn metrics(app: &App, config: &CanaryConfig) -> Result<Vec<Metric>> {
    let metrics = config.metrics.iter().flatten().map(|metric| {
        let kind = metric.query.as_ref().map_or("", |query| query.kind());
        Ok(Metric {
            name: metric.name.clone().unwrap_or_default(),
            groups: metric.groups.clone().unwrap_or_default(),
            scope: metric.scope_name.clone().unwrap_or_default(),
            kind: kind.to_owned(),
            query: query(app, config, metric)?,
            policy: MetricPolicy::of(metric).ok().map(|policy| told(&policy)),
        })
    });
    metrics.collect()
}

fn query(app: &App, config: &CanaryConfig, metric: &CanaryMetricConfig) -> Result<Asked> {
    let problem = match &metric.query {
        None => "it has no query".to_owned(),
        Some(query) if !supports(query.kind()) => "serin cannot fetch this type".to_owned(),
        Some(_) => match shown_query(&app.config, config, metric) {
            Ok(text) => return Ok(Asked::Text(text)),
            Err(error) => error.to_string(),
        },
    };
    let text = metric.query.as_ref().map(pretty).transpose()?;
    Ok(Asked::Members {
        text: text.unwrap_or_default(),
        problem,
    })
}

fn told(policy: &MetricPolicy) -> Policy {
    let marks = [
        (policy.critical, "critical"),
        (policy.must_have_data, "must have data"),
        (policy.muted, "muted"),
    ];
    let marks = marks
        .into_iter()
        .filter_map(|(is_set, mark)| is_set.then_some(mark));
    let mut effect = limits("counts", policy, &policy.allowed);
    if policy.critical {
        effect.extend(limits("critical", policy, &policy.critical_effect));
    }
    Policy {
        direction: match policy.direction {
            Direction::Increase => "increase",
            Direction::Decrease => "decrease",
            Direction::Either => "either",
        },
        marks: marks.collect(),
        effect,
        outliers: match policy.outlier_factor {
            Some(factor) => format!("removed beyond {factor} × IQR"),
            None => "kept".to_owned(),
        },
        without_data: match policy.nan_strategy {
            NanStrategy::Remove => "left out",
            NanStrategy::Replace => "counts as 0",
        },
    }
}

/// The limits that were set, for the directions that matter: "counts from +10 %".
fn limits(verb: &str, policy: &MetricPolicy, limits: &Effect) -> Vec<String> {
    let neutral = match policy.measure {
        Measure::MeanRatio => 1.0,
        Measure::Cles => 0.5,
    };
    let sides = [
        (Direction::Decrease, limits.increase, "above"),
        (Direction::Increase, limits.decrease, "below"),
    ];
    let set = sides.into_iter().filter(|(without, limit, _)| {
        policy.direction != *without && limit.total_cmp(&neutral).is_ne()
    });
    set.map(|(_, limit, side)| match policy.measure {
        Measure::MeanRatio => format!("{verb} from {} %", percent(limit)),
        Measure::Cles => format!("{verb} {side} CLES {limit}"),
    })
    .collect()
}

/// A ratio of means as a change: 1.1 is +10.
fn percent(ratio: f64) -> String {
    let change = ((ratio - 1.0) * 10_000.0).round() / 100.0;
    if change < 0.0 {
        format!("−{}", change.abs())
    } else {
        format!("+{change}")
    }
}

/// The groups with a weight, and those that metrics name without one.
fn groups(config: &CanaryConfig) -> Vec<Group> {
    let classifier = config.classifier.as_ref();
    let weights = classifier.and_then(|classifier| classifier.group_weights.as_ref());
    let counted = |name: &str| {
        let metrics = config.metrics.iter().flatten();
        let in_group = metrics.filter(|metric| metric.groups.iter().flatten().any(|g| g == name));
        in_group.count()
    };
    let weighted = weights.into_iter().flatten().map(|(name, weight)| Group {
        name: name.clone(),
        weight: Some(*weight),
        metrics: counted(name),
    });
    let mut groups: Vec<Group> = weighted.collect();
    for name in config
        .metrics
        .iter()
        .flatten()
        .flat_map(|metric| metric.groups.iter().flatten())
    {
        if !groups.iter().any(|group| group.name == *name) {
            groups.push(Group {
                name: name.clone(),
                weight: None,
                metrics: counted(name),
            });
        }
    }
    groups
}

fn pretty(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|cause| Error::storage("a canary config cannot be written", cause))
}
