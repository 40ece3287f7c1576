//! Margins that were learned: kept under an id, and found by the configs that name it.

use super::calibration::{calibration, store};
use crate::access::Caller;
use crate::app::App;
use crate::audit::{Deed, What};
pub use crate::calibration::SECOND_JUDGE;
use crate::canary::{CanaryConfig, Fault, Id, KeptMargins, Learned, Path};
use crate::error::{Error, Result};
use crate::storage::nothing_learned;

/// Where a config names a calibration.
pub const NAMED_AT: &str = "judge.judgeConfigurations.calibration";
/// More are not read by anybody in one sentence.
const MOST_TOLD: usize = 20;

/// What the config names, for its canary to be judged with; none where it names nothing.
///
/// # Errors
/// `Invalid` when there is none of that name, with those that there are.
pub async fn of(app: &App, caller: &Caller, config: &CanaryConfig) -> Result<Option<Learned>> {
    match known(app, caller, config).await? {
        Known::Nothing => Ok(None),
        Known::Learned(learned) => Ok(Some(learned)),
        Known::Missing(fault) => Err(fault.into()),
    }
}

/// What is known of the calibration that a config names.
#[derive(Clone, Debug)]
pub enum Known {
    /// It names none.
    Nothing,
    Learned(Learned),
    Missing(Fault),
}

/// The same, and when it was looked up.
#[derive(Clone, Debug)]
pub struct Calibrated {
    pub known: Known,
    /// Epoch milliseconds.
    pub now: i64,
}

/// For who can do without: none where the store does not answer.
pub async fn look_up(app: &App, caller: &Caller, config: &CanaryConfig) -> Option<Calibrated> {
    let now = app.clock.now_millis();
    match known(app, caller, config).await {
        Ok(known) => Some(Calibrated { known, now }),
        Err(error) => {
            tracing::warn!(%error, "cannot look a calibration up");
            None
        }
    }
}

/// # Errors
/// When the store does not answer.
pub async fn known(app: &App, caller: &Caller, config: &CanaryConfig) -> Result<Known> {
    let Some(named) = config.calibration() else {
        return Ok(Known::Nothing);
    };
    let account = store(app)?;
    let found = match Id::parse(&named) {
        Ok(id) => app.seen_by(caller).margins(account, &id).await?,
        Err(_) => None,
    };
    if let Some(kept) = found {
        return Ok(Known::Learned(kept.learned));
    }
    let ids = app.seen_by(caller).margin_ids(account).await?;
    let others = ids.len().saturating_sub(MOST_TOLD);
    let told: Vec<String> = ids
        .iter()
        .take(MOST_TOLD)
        .map(|id| format!("'{id}'"))
        .collect();
    let there_are = match (told.as_slice(), others) {
        ([], _) => "none is stored yet".to_owned(),
        (told, 0) => format!("there are {}", told.join(", ")),
        (told, others) => format!("there are {} and {others} more", told.join(", ")),
    };
    let told = format!(
        "no calibration is stored as '{}': {there_are}",
        named.escape_default()
    );
    Ok(Known::Missing(Fault::new(Path::of(NAMED_AT), told)))
}

/// Keeps what a calibration taught under another id, for configs to name.
///
/// # Errors
/// `NotFound` when there is no such calibration, `Invalid` when it has taught nothing.
pub async fn keep_of(app: &App, caller: &Caller, of: &Id, id: &Id) -> Result<Learned> {
    let made = calibration(app, caller, of).await?;
    let applications = made.applications.as_deref().unwrap_or_default();
    let seen = app.seen_by(caller);
    seen.may_teach(store(app)?, applications, id).await?;
    let learned = made.learned.clone();
    let learned = learned
        .ok_or_else(|| Error::Invalid(format!("the calibration '{of}' has taught nothing")))?;
    let learned = Learned {
        calibration: id.to_string(),
        ..learned
    };
    let kept = made.margins(learned.clone());
    let (on, of) = ((What::Learned, id.as_str()), applications.join(", "));
    seen.does(Deed::LearnedStored, on, &of, keep(app, &kept))
        .await?;
    Ok(learned)
}

/// Keeps what was learned elsewhere.
///
/// # Errors
/// `Invalid` when it holds nothing that a judge could take.
pub async fn keep_learned(
    app: &App,
    caller: &Caller,
    id: &Id,
    learned: Learned,
) -> Result<Learned> {
    let seen = app.seen_by(caller);
    seen.may_teach(store(app)?, &[], id).await?;
    let kept = KeptMargins {
        learned: Learned {
            calibration: id.to_string(),
            ..learned
        },
        applications: None,
        taught_by: None,
    };
    let on = (What::Learned, id.as_str());
    seen.does(Deed::LearnedStored, on, "", keep(app, &kept))
        .await?;
    Ok(kept.learned)
}

/// # Errors
/// `Invalid` when it holds nothing that a judge could take.
pub(super) async fn keep(app: &App, kept: &KeptMargins) -> Result<()> {
    check(app, &kept.learned)?;
    app.storage.put_learned(store(app)?, kept).await
}

/// # Errors
/// `NotFound` when there is none.
pub async fn learned(app: &App, caller: &Caller, id: &Id) -> Result<Learned> {
    let seen = app.seen_by(caller);
    seen.reads()?;
    let found = seen.margins(store(app)?, id).await?;
    found
        .map(|kept| kept.learned)
        .ok_or_else(|| nothing_learned(id))
}

pub async fn learned_ids(app: &App, caller: &Caller) -> Result<Vec<String>> {
    let seen = app.seen_by(caller);
    seen.reads()?;
    seen.margin_ids(store(app)?).await
}

/// # Errors
/// `NotFound` when there is none.
pub async fn delete_learned(app: &App, caller: &Caller, id: &Id) -> Result<()> {
    app.seen_by(caller).delete_margins(store(app)?, id).await
}

fn check(app: &App, learned: &Learned) -> Result<()> {
    let most = app.config.executions.max_metrics;
    let invalid = |told: String| Err(Error::Invalid(told));
    if learned.metrics.is_empty() {
        return invalid("it has learned nothing of any metric".to_owned());
    }
    if most < learned.metrics.len() {
        return invalid(format!(
            "it has more than {most} metrics (executions.maxMetrics)"
        ));
    }
    for metric in &learned.metrics {
        if let Some(margin) = metric.margin
            && !(0.0..=10.0).contains(&margin)
        {
            return invalid(format!(
                "the margin of '{}' is {margin}, and 0 to 10 is wanted, as 0.12 for 12 %",
                metric.metric.escape_default()
            ));
        }
    }
    Ok(())
}
