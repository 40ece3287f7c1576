//! Whether each side has series where they come from.

use std::collections::BTreeSet;

use futures::future::try_join;

use super::{Code, Found, Given};
use crate::budget::Budget;
use crate::canary::{CanaryConfig, CanaryMetricConfig, CanaryScope, MetricSet, Pair, Path};
use crate::error::{Error, Result};
use crate::metrics::{MetricRequest, MetricSource};

/// # Errors
/// `Fetch` when the source does not answer.
pub async fn check(
    canary: &CanaryConfig,
    given: &Given,
    source: &dyn MetricSource,
    budget: &Budget,
) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let Some(scopes) = &given.scopes else {
        return Ok(found);
    };
    for (at, metric) in canary.metrics.iter().flatten().enumerate() {
        let query = metric.query.as_ref();
        let kind = source.language().kind();
        if query.is_none_or(|query| query.kind() != kind) {
            continue;
        }
        let path = Path::element("metrics", at).member("query");
        found.extend(of_metric(&path, canary, metric, scopes, source, budget).await?);
    }
    Ok(found)
}

async fn of_metric(
    path: &Path,
    config: &CanaryConfig,
    metric: &CanaryMetricConfig,
    scopes: &Pair<CanaryScope>,
    source: &dyn MetricSource,
    budget: &Budget,
) -> Result<Vec<Found>> {
    let share = budget.share();
    let request = scopes.as_ref().map(|scope| MetricRequest {
        config,
        metric,
        scope,
    });
    let fetched = try_join(
        source.fetch(&request.control, &share),
        source.fetch(&request.experiment, &share),
    );
    let (control, experiment) = match fetched.await {
        Ok(fetched) => fetched,
        Err(error) => return refused(path, error.of_metric(metric.name.as_deref())),
    };
    let (control, experiment) = (labels(&control), labels(&experiment));
    let mut found = Vec::new();
    for (side, series) in [("control", &control), ("experiment", &experiment)] {
        if series.is_empty() {
            found.push(Found::new(
                Code::NoSeries,
                path.clone(),
                format!("the {side} side has no series now"),
                "check the names of the metric and its labels, and the scope",
            ));
        }
    }
    if found.is_empty() && control.is_disjoint(&experiment) {
        found.push(Found::new(
            Code::UnpairedSeries,
            path.clone(),
            "the series of the sides have different labels, so none is compared with another",
            "aggregate the labels away that differ, as in sum(…) or sum without (pod) (…)",
        ));
    }
    Ok(found)
}

/// A query that was not understood is a finding; what cannot be asked for has been told of.
fn refused(path: &Path, error: Error) -> Result<Vec<Found>> {
    match error {
        Error::Fetch(fetch) if matches!(fetch.status, Some(400 | 422)) => Ok(vec![Found::new(
            Code::BrokenQuery,
            path.clone(),
            format!("Prometheus refuses '{}': {}", fetch.query, fetch.message),
            "write a query that it answers",
        )]),
        Error::Invalid(_) => Ok(Vec::new()),
        error => Err(error),
    }
}

/// The labels of every series that has a value.
fn labels(series: &[MetricSet]) -> BTreeSet<Vec<(&str, &str)>> {
    let with_values = series
        .iter()
        .filter(|series| series.values.iter().any(|value| !value.is_nan()));
    with_values
        .map(|series| {
            let tags = series.tags.iter();
            let mut labels: Vec<_> = tags
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            labels.sort_unstable();
            labels
        })
        .collect()
}
