//! The series that a run was judged by, as long as they are kept.

use crate::app::App;
use crate::budget::Share;
use crate::canary::{CanaryExecutionStatusResponse, Id, MetricSetPair};
use crate::error::{Error, Result};
use crate::metrics;
use crate::storage::Large;

/// How often pairs are there while they are judged, in bytes of their document.
const COPIES: u64 = 3;

/// The pairs of a run; `None` when there are none, or none any more. With a share, memory is taken from
/// it before they are read.
///
/// # Errors
/// `Storage` when a store does not answer, `Invalid` when they are more than a share may have.
pub async fn kept_pairs(
    app: &App,
    run: &CanaryExecutionStatusResponse,
    share: Option<&Share>,
) -> Result<Option<Large<Vec<MetricSetPair>>>> {
    let list = run.metric_set_pair_list_id.as_deref();
    let Some(list) = list.and_then(|list| Id::parse(list).ok()) else {
        return Ok(None);
    };
    // The account may have had another name where the run was judged.
    let own = run.storage_account_name.clone();
    let others = app.stores().into_iter();
    let others = others.filter(|name| own.as_ref() != Some(name));
    for account in own.iter().cloned().chain(others) {
        match read(app, &account, &list, share).await {
            Ok(pairs) => return Ok(Some(pairs)),
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

async fn read(
    app: &App,
    account: &str,
    list: &Id,
    share: Option<&Share>,
) -> Result<Large<Vec<MetricSetPair>>> {
    // An account that is not there any more has none.
    let gone = |error| match error {
        Error::Invalid(message) => Error::NotFound(message),
        error => error,
    };
    if let Some(share) = share {
        let bytes = app.storage.metric_set_pairs_bytes(account, list).await;
        let wanted = bytes.map_err(gone)?.saturating_mul(COPIES);
        let taken = share.take_in_turn(usize::try_from(wanted).unwrap_or(usize::MAX));
        taken.await.map_err(metrics::too_large)?;
    }
    app.storage
        .metric_set_pairs(account, list)
        .await
        .map_err(gone)
}
