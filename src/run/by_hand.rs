//! Accepting by hand what did not pass: it is told beside the outcome, which stays what was measured.

use crate::access::Caller;
use crate::app::App;
use crate::audit::Deed;
use crate::canary::{Acceptance, AcceptedByHand, Amendment, Execution, Id};
use crate::error::{Error, Result};

/// Accepts an execution that has ended, once. The same words again change nothing.
///
/// # Errors
/// `NotFound` when there is none, `Invalid` when it cannot be accepted or the texts are wrong,
/// `Changed` when somebody accepted it before, `Unavailable` while its archive cannot be written.
pub async fn accept<R: Execution>(
    app: &App,
    caller: &Caller,
    id: &Id,
    acceptance: Acceptance,
) -> Result<()> {
    app.seen_by(caller).may_accept::<R>(id).await?;
    let accepted = acceptance.at(app.clock.now_millis());
    let accepted = accepted.map_err(Error::Invalid)?;
    let note = |document: &R, analysis: Option<&str>| noted(document, analysis, &accepted);
    let (seen, stores) = (app.seen_by(caller), app.stores());
    let amended = app.storage.amend(&stores, id, note);
    seen.does_to::<R>(Deed::AcceptedByHand, &stores, id, amended)
        .await?;
    tracing::info!(
        execution.id = %id,
        by = accepted.by,
        reason = accepted.reason,
        "accepted by hand"
    );
    Ok(())
}

fn noted<R: Execution>(
    document: &R,
    analysis: Option<&str>,
    accepted: &AcceptedByHand,
) -> Result<Option<Amendment>> {
    let told = document.told();
    match told.by_hand.accepted {
        Some(before) if before.says(accepted) => return Ok(None),
        Some(before) => {
            let (time, said) = (&before.time_iso, before.sentence());
            return Err(Error::Changed(format!("it was accepted at {time}: {said}")));
        }
        None => {}
    }
    if let Some(analysis) = analysis {
        return Err(Error::Invalid(format!(
            "'{}' is a judgement of the analysis '{analysis}': accept that one",
            told.id
        )));
    }
    if !told.outcome.can_be_accepted() {
        return Err(Error::Invalid(format!(
            "the outcome of '{}' is '{}': there is nothing to accept by hand",
            told.id,
            told.outcome.as_str()
        )));
    }
    Ok(Some(Amendment {
        accepted_by_hand: Some(accepted.clone()),
        ..Amendment::default()
    }))
}
