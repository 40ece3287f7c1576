//! `/ui/runs/{id}/like`: the form of a trial, filled in as a run was started.

use axum::extract::{Path, State};

use super::{Of, Store, Trial};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{CanaryExecutionStatusResponse, Id};
use crate::error::{Error, Result};
use crate::report::view;
use crate::ui::find;
use crate::ui::forms::{Field, Fields};
use crate::ui::page::Page;

/// By the config as it is stored now, or as the run brought it.
pub async fn like(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Page<Trial>> {
    let run: CanaryExecutionStatusResponse = find::execution(&app, &caller, &id, "run").await?;
    app.seen_by(&caller)
        .may_start(run.application.as_deref(), [])?;
    let store = store(&app, &run)?;
    let stored = view::stored_config(run.canary_config_id.as_deref());
    let stored = stored.and_then(|id| Id::parse(&id).ok());
    let stored = match stored {
        Some(id) => {
            let seen = app.seen_by(&caller);
            let config = seen.canary_config(&store.name, &id).await;
            config.ok().map(|config| (id, config))
        }
        None => None,
    };
    let mut trial = if let Some((id, config)) = stored {
        Trial::new(&app, &caller, store, Of::Stored(id), config)
    } else {
        let config = run.config.clone().unwrap_or_default();
        let text = serde_json::to_string_pretty(&config)
            .map_err(|cause| Error::storage("a canary config cannot be written", cause))?;
        Trial::new(&app, &caller, store, Of::Text(text), config)
    };
    trial.answer_as(&run);
    Ok(Page(trial))
}

/// That of the run; the first one where it is no more.
fn store(app: &App, run: &CanaryExecutionStatusResponse) -> Result<Store> {
    let named = run.configuration_account_name.as_deref();
    let address = Fields::of([("account", named.unwrap_or_default())]);
    Store::of(app, &address).or_else(|_| Store::of(app, &Fields::default()))
}

impl Trial {
    /// What the run does not tell stays as it is asked first.
    fn answer_as(&mut self, run: &CanaryExecutionStatusResponse) {
        let request = run.canary_execution_request.as_ref();
        let thresholds = request.and_then(|request| request.thresholds);
        let thresholds = thresholds.unwrap_or_default();
        let number = |value: Option<f64>| value.map(|value| value.to_string());
        let answers: [(&mut Field, Option<String>); 5] = [
            (&mut self.application, run.application.clone()),
            (&mut self.metrics_account, run.metrics_account_name.clone()),
            (&mut self.storage_account, run.storage_account_name.clone()),
            (&mut self.marginal, number(thresholds.marginal)),
            (&mut self.pass, number(thresholds.pass)),
        ];
        for (field, answer) in answers {
            field.value = answer.unwrap_or_else(|| std::mem::take(&mut field.value));
        }
        let scopes = request.and_then(|request| request.scopes.as_ref());
        for scope in &mut self.scopes {
            if let Some(pair) = scopes.and_then(|scopes| scopes.get(&scope.name)) {
                scope.answer_as(pair);
            }
        }
    }
}
