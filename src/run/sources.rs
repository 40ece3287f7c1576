//! Which accounts answer the metrics of a canary: the one that is named those of its kind, the only one of
//! their kind the others.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::app::App;
use crate::canary::{CanaryConfig, CanaryMetricSetQueryConfig};
use crate::config::AccountType;
use crate::error::{Error, Result};
use crate::metrics::{self, MetricSource};

/// The account that a request means: the one that it names, or that of the first metric.
///
/// # Errors
/// `Invalid` when it is not there, when it answers no metric of the config, or when it is not clear
/// which account answers one of them.
pub(super) fn account(app: &App, named: Option<&str>, config: &CanaryConfig) -> Result<String> {
    let kinds = kinds(config);
    let named = match named {
        Some(name) => Some(app.account(Some(name), AccountType::MetricsStore)?),
        None => None,
    };
    let Some(account) = named else {
        let answering = kinds.iter().map(|(kind, metric)| only(app, kind, metric));
        let answering = answering.collect::<Result<Vec<_>>>()?;
        return match answering.into_iter().next() {
            Some((name, _)) => Ok(name),
            None => Ok(app.account(None, AccountType::MetricsStore)?.name.clone()),
        };
    };
    let own = app.metric_source(Some(&account.name))?.language().kind();
    if !kinds.is_empty() && !kinds.contains_key(own) {
        let types: Vec<&str> = kinds.into_keys().collect();
        return Err(Error::Invalid(format!(
            "metricsAccountName is '{}', which answers queries of type '{own}', and the config has none: its \
             queries are of type '{}'. {}",
            account.name,
            types.join("', '"),
            there_are(app)
        )));
    }
    for (kind, metric) in kinds.iter().filter(|(kind, _)| **kind != own) {
        only(app, kind, metric)?;
    }
    Ok(account.name.clone())
}

/// All accounts that are asked: the one that a request means, and those of the other metrics.
///
/// # Errors
/// Those of [`account`].
pub(super) fn accounts(
    app: &App,
    named: Option<&str>,
    config: &CanaryConfig,
) -> Result<Vec<String>> {
    let mut all = vec![account(app, named, config)?];
    let own = app.metric_source(Some(&all[0]))?.language().kind();
    for (kind, metric) in kinds(config).iter().filter(|(kind, _)| **kind != own) {
        all.push(only(app, kind, metric)?.0);
    }
    Ok(all)
}

/// What answers queries of that type.
pub(super) fn of(
    app: &App,
    named: Option<&str>,
    kind: &str,
    metric: &str,
) -> Result<Arc<dyn MetricSource>> {
    if named.is_some() {
        let source = app.metric_source(named)?;
        if source.language().kind() == kind {
            return Ok(Arc::clone(source));
        }
    }
    let (_, source) = only(app, kind, metric)?;
    Ok(source)
}

/// The types of the queries, each with the first metric that has it.
fn kinds(config: &CanaryConfig) -> IndexMap<&str, &str> {
    let mut kinds = IndexMap::new();
    for metric in config.metrics.iter().flatten() {
        let query = metric.query.as_ref();
        let kind = query.map(CanaryMetricSetQueryConfig::kind);
        // Others are refused as such.
        if let Some(kind) = kind.filter(|kind| metrics::supports(kind)) {
            let name = metric.name.as_deref().unwrap_or_default();
            kinds.entry(kind).or_insert(name);
        }
    }
    kinds
}

fn only(app: &App, kind: &str, metric: &str) -> Result<(String, Arc<dyn MetricSource>)> {
    let mut of_kind = answering(app);
    of_kind.retain(|(_, source)| source.language().kind() == kind);
    if 1 < of_kind.len() {
        let names: Vec<String> = of_kind.into_iter().map(|(name, _)| name).collect();
        return Err(Error::Invalid(format!(
            "metric '{metric}': its query is of type '{kind}', and {} accounts answer that: metricsAccountName \
             must name one of '{}'",
            names.len(),
            names.join("', '")
        )));
    }
    of_kind.pop().ok_or_else(|| {
        Error::Invalid(format!(
            "metric '{metric}': its query is of type '{kind}', and no account answers that. {}",
            there_are(app)
        ))
    })
}

fn answering(app: &App) -> Vec<(String, Arc<dyn MetricSource>)> {
    let accounts = app.accounts().into_iter();
    let accounts =
        accounts.filter(|account| account.supported_types.contains(&AccountType::MetricsStore));
    let sources = accounts.filter_map(|account| {
        let source = app.metric_sources.get(&account.name)?;
        Some((account.name.clone(), Arc::clone(source)))
    });
    sources.collect()
}

/// `The metrics accounts are 'a' (datadog), 'b' (prometheus).`
fn there_are(app: &App) -> String {
    let accounts = answering(app).into_iter();
    let accounts =
        accounts.map(|(name, source)| format!("'{name}' ({})", source.language().kind()));
    let accounts: Vec<String> = accounts.collect();
    if accounts.is_empty() {
        return "There is no metrics account.".to_owned();
    }
    format!("The metrics accounts are {}.", accounts.join(", "))
}
