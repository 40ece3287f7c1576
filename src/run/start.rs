//! One way in for whatever is started: who asks, for which application, by which config, with which accounts.

use serde_json::{Value, json};

use super::admission::new_id;
use super::sources;
use crate::access::Caller;
use crate::app::App;
use crate::audit::{Deed, Entry};
use crate::canary::{CanaryConfig, Id, Kind, Look};
use crate::error::Result;
use crate::storage::{FlaggerKey, IdempotencyKey};

/// What an execution is made of; the storage account is resolved.
#[derive(Clone, Debug)]
pub struct Admission<R> {
    pub(super) caller: Caller,
    /// As the document tells it; none where nobody is known.
    pub(super) started_by: Option<String>,
    pub(super) application: Option<String>,
    /// Who is said to have asked for an analysis.
    pub user: Option<String>,
    pub parent_pipeline_execution_id: Option<String>,
    /// None for a config that came with the request.
    pub canary_config_id: Option<String>,
    pub config: CanaryConfig,
    pub request: R,
    /// As the request names it; without a name, the only one that answers the first metric.
    pub metrics_account: Option<String>,
    pub storage_account: String,
    pub configuration_account: Option<String>,
    pub key: Option<IdempotencyKey>,
    pub flagger: Option<ForFlagger>,
    /// What its client should know of the request.
    pub warning: Option<String>,
    /// The execution that it judges again.
    pub repeats: Option<String>,
    /// Which judgement of an analysis it is.
    pub look: Option<Look>,
}

/// The revision whose run an analysis is to be.
#[derive(Clone, Debug)]
pub struct ForFlagger {
    pub key: FlaggerKey,
    /// The run that it had, which nobody can find any more.
    pub gone: Option<Id>,
}

/// What was accepted, or had been accepted before with the same key.
#[derive(Clone, Debug)]
pub struct Admitted {
    pub id: Id,
    pub is_new: bool,
}

/// What can be started: a canary or an analysis, by its request.
pub trait Startable: Default + Send {
    /// What is to be called as it goes on.
    fn actions(&self) -> Option<&Value>;

    /// Accepts it under an id; one that is there already stays as it is.
    fn accept(
        app: &App,
        id: String,
        admission: Admission<Self>,
    ) -> impl Future<Output = Result<Admitted>> + Send;
}

impl<R: Startable> Admission<R> {
    /// For a caller who may start something for that application, if the rest may be, too.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` when it may not.
    pub fn asked_by(app: &App, caller: &Caller, application: Option<String>) -> Result<Self> {
        app.seen_by(caller).may_start(application.as_deref(), [])?;
        let is_known = !caller.is_anonymous();
        let started_by = is_known.then(|| caller.name().to_owned());
        Ok(Self::new(caller.clone(), started_by, application))
    }

    /// For serin itself, which goes on with what somebody was let start.
    pub(super) fn going_on(started_by: Option<String>, application: Option<String>) -> Self {
        Self::new(Caller::anyone(), started_by, application)
    }

    fn new(caller: Caller, started_by: Option<String>, application: Option<String>) -> Self {
        Self {
            caller,
            started_by,
            application,
            user: None,
            parent_pipeline_execution_id: None,
            canary_config_id: None,
            config: CanaryConfig::default(),
            request: R::default(),
            metrics_account: None,
            storage_account: String::new(),
            configuration_account: None,
            key: None,
            flagger: None,
            warning: None,
            repeats: None,
            look: None,
        }
    }

    /// What the record says of its start.
    pub(super) fn recorded(&self, kind: Kind, id: &str) -> Entry {
        let deed = match self.repeats {
            Some(_) => Deed::Repeated,
            None => Deed::Started,
        };
        let entry = Entry::new(&self.caller, deed, kind.into(), id);
        let application = self.application.as_deref().unwrap_or("ad-hoc");
        entry.of(application).with(&json!({
            "canaryConfigId": self.canary_config_id,
            "metricsAccountName": self.metrics_account,
            "parentPipelineExecutionId": self.parent_pipeline_execution_id,
            "user": self.user,
            "repeats": self.repeats,
        }))
    }

    /// Whether who asks may have these accounts asked and these others called. The metrics account is known
    /// then.
    ///
    /// # Errors
    /// `Unknown` or `Forbidden` when that may not be, `Invalid` when it is not clear which account is asked.
    pub(super) fn permit(&mut self, app: &App) -> Result<()> {
        let named = self.metrics_account.as_deref();
        let accounts = sources::accounts(app, named, &self.config)?;
        let (seen, application) = (app.seen_by(&self.caller), self.application.as_deref());
        seen.may_start(application, accounts.iter().map(String::as_str))?;
        let config = self.config.actions.as_ref();
        if config.into_iter().chain(self.request.actions()).any(calls) {
            seen.may_act(application)?;
        }
        self.metrics_account = accounts.into_iter().next();
        Ok(())
    }
}

/// Whether anything is to be called.
fn calls(actions: &Value) -> bool {
    !actions.is_null() && actions.as_object().is_none_or(|events| !events.is_empty())
}

/// Accepts an execution: when this returns, it will be run to its end, whatever happens.
///
/// # Errors
/// `Unknown` or `Forbidden` when who asks may not start it; `Invalid` when config and request do not fit
/// together, or the windows make no sense; `Unavailable` when enough wait already, `Reused` when the key came
/// with another request.
pub async fn start<R: Startable>(app: &App, admission: Admission<R>) -> Result<Admitted> {
    let id = new_id(app.clock.now_millis());
    Box::pin(start_as(app, id, admission)).await
}

/// Under an id of the caller's; one that is there already stays as it is.
pub(super) async fn start_as<R: Startable>(
    app: &App,
    id: String,
    mut admission: Admission<R>,
) -> Result<Admitted> {
    app.check_open()?;
    admission.permit(app)?;
    Box::pin(R::accept(app, id, admission)).await
}
