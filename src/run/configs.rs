//! From a text to a stored canary config: every check that its author hears about at once.

use uuid::Uuid;

use super::{admission, judges};
use crate::access::Caller;
use crate::actions;
use crate::app::App;
use crate::canary::{CanaryConfig, Fault, Id, Position, fault};
use crate::config::Config;
use crate::error::{Error, Result};

/// More are not read by anybody at once, and each is looked up in the whole text.
const MOST_FINDINGS: usize = 20;

/// Stores a new config. An id that it has is kept; else one is made.
///
/// # Errors
/// `Invalid` when it is refused, or when the id, or the name in one of the applications, is taken.
pub async fn create(
    app: &App,
    caller: &Caller,
    account: &str,
    mut config: CanaryConfig,
) -> Result<Id> {
    app.seen_by(caller).may_store(&config)?;
    let now = app.clock.now_millis();
    config.created_timestamp.get_or_insert(now);
    config.updated_timestamp = config.updated_timestamp.or(config.created_timestamp);
    config.stamp();
    if config.id.as_ref().is_none_or(String::is_empty) {
        config.id = Some(Uuid::new_v4().to_string());
    }
    check(app, &mut config)?;
    let id = Id::parse(config.id.as_deref().unwrap_or_default())?;
    app.storage
        .create_canary_config(account, &id, &config, caller.into())
        .await?;
    Ok(id)
}

/// Replaces a stored config, whatever it is now.
///
/// # Errors
/// `Invalid` when it is refused, when there is none of that id, or when another one has the name.
pub async fn replace(
    app: &App,
    caller: &Caller,
    account: &str,
    id: &Id,
    config: CanaryConfig,
) -> Result<()> {
    let config = renewed(app, caller, account, id, config).await?;
    let may_go = may_go(app, caller, id);
    let storage = &app.storage;
    storage
        .update_canary_config(account, id, &config, caller.into(), may_go)
        .await
}

/// Replaces the config that was stored at that time, by its `updatedTimestamp`.
///
/// # Errors
/// Those of [`replace`], and `Changed` when it is another one by now.
pub async fn replace_known(
    app: &App,
    caller: &Caller,
    account: &str,
    id: &Id,
    config: CanaryConfig,
    updated: Option<i64>,
) -> Result<()> {
    let config = renewed(app, caller, account, id, config).await?;
    let may_go = may_go(app, caller, id);
    app.storage
        .update_known_canary_config(account, id, &config, updated, caller.into(), may_go)
        .await
}

/// Whether a stored config may be replaced; one that may not be read is not there.
fn may_go(app: &App, caller: &Caller, id: &Id) -> impl Fn(&CanaryConfig) -> Result<()> {
    let unknown = move || Error::Invalid(format!("Canary config '{id}' does not exist."));
    move |stored| app.seen_by(caller).may_change_config(stored, unknown)
}

async fn renewed(
    app: &App,
    caller: &Caller,
    account: &str,
    id: &Id,
    mut config: CanaryConfig,
) -> Result<CanaryConfig> {
    let seen = app.seen_by(caller);
    seen.may_change_configs()?;
    seen.may_store(&config)?;
    if config.created_timestamp.is_none() {
        config.created_timestamp = match app.storage.canary_config(account, id).await {
            Ok(stored) => stored.created_timestamp,
            Err(error @ Error::Unavailable(_)) => return Err(error),
            // One that is not there is refused later, one that cannot be read is replaced.
            Err(_) => None,
        };
    }
    config.updated_timestamp = Some(app.clock.now_millis());
    config.stamp();
    if config.id.as_ref().is_none_or(String::is_empty) {
        config.id = Some(id.to_string());
    }
    check(app, &mut config)?;
    Ok(config)
}

fn check(app: &App, config: &mut CanaryConfig) -> Result<()> {
    match refusals(&app.config, config).into_iter().next() {
        Some(fault) => Err(fault.into()),
        None => Ok(()),
    }
}

/// Why a config is not stored. What is removed when it is stored is gone afterwards.
fn refusals(own: &Config, config: &mut CanaryConfig) -> Vec<Fault> {
    let mut faults = config.name_faults();
    faults.extend(config.faults(own.metric_name_validation));
    match admission::too_many_metrics(own, config) {
        Some(fault) => faults.push(fault),
        None => faults.extend(admission::too_long_queries(own, config)),
    }
    config.drop_nulls();
    faults.extend(judges::refusals(own, config));
    faults
}

/// What its author should know of a config.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub severity: Severity,
    pub fault: Fault,
    /// Where it is in the text.
    pub position: Option<Position>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It is not stored.
    Refused,
    /// It is stored, and no canary can be judged by it.
    Unusable,
}

/// Reads a text as it would be read when it is stored.
///
/// # Errors
/// What is wrong with it, the worst first.
pub fn read(own: &Config, text: &str) -> Result<CanaryConfig, Vec<Finding>> {
    let (config, findings) = examine(own, text);
    let refused = |finding: &Finding| finding.severity == Severity::Refused;
    match config {
        Some(config) if !findings.iter().any(refused) => Ok(config),
        _ => Err(findings),
    }
}

/// The config of a text that may become one, if it can be read, and what is to be said of it.
pub fn examine(own: &Config, text: &str) -> (Option<CanaryConfig>, Vec<Finding>) {
    let finding = |severity, fault: Fault| Finding {
        position: fault.path.position(text),
        severity,
        fault,
    };
    let config: CanaryConfig = match fault::read(text.as_bytes()) {
        Ok(config) => config,
        Err(unreadable) => {
            let (fault, position) = unreadable.explain(text);
            let severity = Severity::Refused;
            let finding = Finding {
                severity,
                fault,
                position,
            };
            return (None, vec![finding]);
        }
    };
    let mut stored = config.clone();
    let refused = refusals(own, &mut stored);
    let mut warned = admission::unusable(&stored);
    warned.extend(judges::unusable(own, &stored));
    warned.extend(actions::faults(own, &stored));
    warned.retain(|fault| !refused.contains(fault));
    let refused = refused.into_iter().map(|fault| (Severity::Refused, fault));
    let warned = warned.into_iter().map(|fault| (Severity::Unusable, fault));
    let told = refused.chain(warned).take(MOST_FINDINGS);
    let findings = told.map(|(severity, fault)| finding(severity, fault));
    (Some(config), findings.collect())
}
