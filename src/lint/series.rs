//! Whether each side has series where they come from.

use std::collections::BTreeSet;

use futures::future::try_join;

use super::{Code, Found, Given};
use crate::budget::Budget;
use crate::canary::{CanaryConfig, CanaryMetricConfig, CanaryScope, MetricSet, Pair, Path};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::metrics::{MetricRequest, MetricSource};

/// # Errors
/// `Fetch` when the source does not answer.
pub async fn check(
    own: &Config,
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
        let of_metric = of_metric(&path, canary, metric, scopes, source, own, budget).await;
        found.extend(match of_metric {
            Ok(found) => found,
            Err(error) => refused(own, &path, error.of_metric(metric.name.as_deref()))?,
        });
    }
    Ok(found)
}

async fn of_metric(
    path: &Path,
    config: &CanaryConfig,
    metric: &CanaryMetricConfig,
    scopes: &Pair<CanaryScope>,
    source: &dyn MetricSource,
    own: &Config,
    budget: &Budget,
) -> Result<Vec<Found>> {
    let share = budget.share();
    let request = scopes.as_ref().map(|scope| MetricRequest {
        config,
        metric,
        scope,
        longest: own.limits.query_text,
        is_reused: true,
    });
    let fetched = try_join(
        source.fetch(&request.control, &share),
        source.fetch(&request.experiment, &share),
    );
    let (control, experiment) = fetched.await?;
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
fn refused(own: &Config, path: &Path, error: Error) -> Result<Vec<Found>> {
    match error {
        Error::Fetch(fetch) if matches!(fetch.status, Some(400 | 422)) => Ok(vec![Found::new(
            Code::BrokenQuery,
            path.clone(),
            format!(
                "{} refuses '{}': {}",
                service(own, &fetch.account),
                fetch.query,
                fetch.message
            ),
            "write a query that it answers",
        )]),
        Error::Invalid(_) => Ok(Vec::new()),
        error => Err(error),
    }
}

/// What answers for an account, as people call it.
fn service<'a>(own: &'a Config, account: &'a str) -> &'a str {
    let named = own.accounts.iter().find(|known| known.name == account);
    named.map_or(account, |account| account.face.title)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::config::{LoadOptions, Shorthands, load_from};
    use crate::error::FetchError;

    #[test]
    fn who_refuses_a_query_is_told_by_its_name() {
        let options = LoadOptions {
            shorthands: Shorthands {
                prometheus: Some("http://127.0.0.1:9".to_owned()),
                ..Shorthands::default()
            },
            ..LoadOptions::default()
        };
        let own = load_from(&options, &BTreeMap::new()).unwrap().config;
        for (account, sentence) in [
            ("prometheus", "Prometheus refuses 'x y': no"),
            ("gone", "gone refuses 'x y': no"),
        ] {
            let error = Error::Fetch(Box::new(FetchError {
                message: "no".to_owned(),
                status: Some(400),
                query: "x y".to_owned(),
                account: account.to_owned(),
                ..FetchError::default()
            }));
            let found = refused(&own, &Path::default(), error).unwrap();
            assert_eq!(found[0].sentence, sentence);
        }
    }
}
