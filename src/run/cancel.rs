//! Ends executions as canceled, whoever works on them.

use crate::actions::{self, Happened};
use crate::app::App;
use crate::audit::{By, Deed, Entry};
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Event, Execution, Id,
    Kind,
};
use crate::error::{Error, Result};
use crate::storage::{ExecutionRow, Outbox};

/// Ends an execution of any kind; of an analysis, its canary too.
///
/// # Errors
/// `NotFound` when there is no such execution among those that have not been archived for long.
pub async fn cancel(app: &App, by: &By, id: &Id) -> Result<()> {
    let canary = match app.storage.pipeline(id).await?.kind {
        Kind::Canary => Some(id.clone()),
        Kind::Analysis => {
            let analysis = end::<CanaryAnalysisExecutionStatusResponse>(app, by, id).await?;
            let canary = analysis.and_then(|analysis| analysis.running_canary());
            canary.map(|id| Id::parse(&id)).transpose()?
        }
        Kind::Comparison => None,
    };
    if let Some(id) = canary {
        end::<CanaryExecutionStatusResponse>(app, by, &id).await?;
    }
    Ok(())
}

/// The same for what nobody asks for any more; one that was archived long ago has ended.
pub async fn cancel_unasked(app: &App, by: &By, id: &Id) -> Result<()> {
    match cancel(app, by, id).await {
        Err(Error::NotFound(_)) => Ok(()),
        canceled => canceled,
    }
}

/// Ends the canary of an analysis that has ended itself.
pub async fn cancel_orphan(app: &App, analysis: &Id, canary: &Id) -> Result<()> {
    if app.storage.has_ended(analysis).await? {
        end::<CanaryExecutionStatusResponse>(app, &By::serin(), canary).await?;
    }
    Ok(())
}

/// The document as it was before, unless it was complete.
async fn end<S: Execution>(app: &App, by: &By, id: &Id) -> Result<Option<S>> {
    let outbox = |row: &ExecutionRow, subject: &S| Outbox {
        // Who cancels knows; traffic does not.
        turn: actions::turn(
            app,
            row.parent.as_deref(),
            subject,
            &[Happened::of(Event::Error)],
        ),
        record: Some(
            Entry::new(by.clone(), Deed::Canceled, S::KIND.into(), id.as_str())
                .of(subject.application()),
        ),
        ..Outbox::default()
    };
    app.storage.cancel(id, outbox).await
}
