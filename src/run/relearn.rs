//! Margins that stored configs name, learned anew once they are old enough (`calibration.every`).

use std::collections::HashMap;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;

use super::calibration::{MOST_LISTED, admit_calibration, store};
use super::rounds;
use crate::access::Caller;
use crate::app::App;
use crate::canary::{CalibrationRequest, Id, KeptMargins};
use crate::config::AccountType::ConfigurationStore;
use crate::error::{Error, Result};

/// How often a replica asks whether it is to look, and how often one of them is.
const ASK_EVERY: Duration = Duration::from_mins(10);
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// What could not be learned is tried again after that.
const TRY_AGAIN: Duration = Duration::from_hours(24);
/// Of one look, so that others find a place.
const MOST_BEGUN: usize = 4;
const READ_AT_ONCE: usize = 8;

/// By what a config names, the accounts and ids of the configs that do.
type Naming = HashMap<String, Vec<(String, String)>>;

/// Until `stopping`.
pub async fn work(app: App, every: Duration, stopping: CancellationToken) {
    let pause = every.min(ASK_EVERY);
    let failed = "cannot see which margins are to be learned anew";
    rounds::every(pause, &app, &stopping, failed, || look(&app, every)).await;
}

async fn look(app: &App, every: Duration) -> Result<()> {
    let now = app.clock.now_millis();
    let next = now.saturating_add(millis(every.min(LOOK_EVERY)));
    if !app.storage.take_recalibration(now, next).await? {
        return Ok(());
    }
    let due = due(app, every, now).await?;
    if due.is_empty() {
        return Ok(());
    }
    let naming = naming(app).await?;
    let mut begun = 0;
    for kept in due {
        if begun == MOST_BEGUN {
            break;
        }
        let margins = kept.learned.calibration.clone();
        let Some((request, account, metrics)) = once_more(kept, &naming) else {
            tracing::debug!(margins, "no stored config names these margins any more");
            continue;
        };
        match admit_calibration(
            app,
            &Caller::anyone(),
            request,
            metrics.as_deref(),
            Some(&account),
        )
        .await
        {
            Ok(id) => {
                tracing::info!(margins, calibration = %id, "margins are learned anew");
                begun += 1;
            }
            Err(error @ Error::Unavailable(_)) => return Err(error),
            Err(error) => tracing::warn!(margins, %error, "margins cannot be learned anew"),
        }
    }
    Ok(())
}

/// The oldest first.
async fn due(app: &App, every: Duration, now: i64) -> Result<Vec<KeptMargins>> {
    let account = store(app)?;
    let mut due = Vec::new();
    for id in app.storage.learned_ids(account).await? {
        match app.storage.kept_margins(account, &Id::parse(&id)?).await {
            Ok(Some(kept)) => due.push(kept),
            Ok(None) => {}
            Err(error) => tracing::warn!(margins = id, %error, "cannot read margins"),
        }
    }
    due.retain(|kept| {
        let is_old = kept.learned.made_millis.saturating_add(millis(every)) <= now;
        is_old && kept.taught_by.is_some()
    });
    if due.is_empty() {
        return Ok(due);
    }
    // One that is under way, or could not be made, is not tried at once again.
    let tried = app
        .storage
        .calibrations(account, MOST_LISTED, |made| {
            (made.request.write, made.build_time_millis)
        })
        .await?;
    let since = now.saturating_sub(millis(every.min(TRY_AGAIN)));
    due.retain(|kept| {
        let id = Some(&kept.learned.calibration);
        !tried
            .iter()
            .any(|(write, built)| write.as_ref() == id && since < *built)
    });
    due.sort_by_key(|kept| kept.learned.made_millis);
    Ok(due)
}

async fn naming(app: &App) -> Result<Naming> {
    let mut naming = Naming::new();
    let accounts = app.accounts().into_iter();
    let accounts = accounts.filter(|account| account.serves(ConfigurationStore));
    for account in accounts {
        let name = &account.name;
        let configs = app.storage.canary_configs(name, &[]).await?;
        let read = configs.into_iter().map(|summary| async move {
            let id = Id::parse(&summary.id)?;
            match app.storage.canary_config(name, &id).await {
                Ok(config) => Ok::<_, Error>(config.calibration().map(|named| (named, summary.id))),
                // It has just been deleted, or is none that canaries could begin with.
                Err(error) => {
                    tracing::debug!(config = summary.id, %error, "cannot read a config");
                    Ok(None)
                }
            }
        });
        let read: Vec<_> = stream::iter(read)
            .buffered(READ_AT_ONCE)
            .try_collect()
            .await?;
        for (named, id) in read.into_iter().flatten() {
            naming.entry(named).or_default().push((name.clone(), id));
        }
    }
    Ok(naming)
}

/// As it was asked for, of the config as it stands now: that which taught it, or another that names it. With the
/// accounts of the config and of the series; none where no config names it.
fn once_more(
    kept: KeptMargins,
    naming: &Naming,
) -> Option<(CalibrationRequest, String, Option<String>)> {
    let taught_by = kept.taught_by?;
    let all = naming.get(&kept.learned.calibration)?;
    let former = taught_by.request.canary_config_id.as_ref();
    let same = all.iter().find(|(_, id)| Some(id) == former);
    let (account, id) = same.or(all.first())?.clone();
    let request = CalibrationRequest {
        canary_config_id: Some(id),
        write: Some(kept.learned.calibration),
        ..taught_by.request
    };
    Some((request, account, taught_by.metrics_account_name))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn margins_are_learned_anew_by_the_config_that_taught_them() {
        let kept = |config: serde_json::Value| -> KeptMargins {
            serde_json::from_value(json!({
                "calibration": "checkout", "madeMillis": 0, "fromMillis": 0, "toMillis": 1, "metrics": [],
                "taughtBy": {"metricsAccountName": "prod", "request": {
                    "canaryConfigId": config, "control": {"scope": "a"}, "against": [{"scope": "b"}], "windows": 20}},
            }))
            .unwrap()
        };
        let naming: Naming = [(
            "checkout".to_owned(),
            ["one", "two"]
                .map(|id| ("local".to_owned(), id.to_owned()))
                .to_vec(),
        )]
        .into();
        for (former, expected) in [
            (json!("two"), "two"),
            (json!("gone"), "one"),
            (json!(null), "one"),
        ] {
            let (request, account, metrics) = once_more(kept(former), &naming).unwrap();
            assert_eq!(request.canary_config_id.as_deref(), Some(expected));
            assert_eq!(request.write.as_deref(), Some("checkout"));
            assert_eq!(
                (request.windows, account.as_str(), metrics.as_deref()),
                (20, "local", Some("prod"))
            );
        }
        assert!(once_more(kept(json!("one")), &Naming::new()).is_none());
        let mut elsewhere = kept(json!("one"));
        elsewhere.taught_by = None;
        assert!(once_more(elsewhere, &naming).is_none());
    }
}
