//! `/ui/configs/{id}/try`: a run over a time that has passed already; and `/ui/configs/new/try`, by a text that is
//! being edited.

mod like;
mod live;
mod sides;

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use indexmap::IndexMap;

pub use self::like::like;
use self::sides::Scope;
pub use self::sides::parameters;
use super::{Of, Store, accounts_for, applications, check_start, metrics_accounts, score, text};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryExecutionRequest, Id, Kind,
    iso_from_millis,
};
use crate::config::Account;
use crate::config::AccountType::ObjectStore;
use crate::error::{Error, Result};
use crate::run::asked::{self, Asked};
use crate::run::{self, Admission, Startable};
use crate::ui::forms::{Field, Fields};
use crate::ui::page::Page;
use crate::ui::shell::Shell;

const MINUTE: i64 = 60_000;

#[derive(Template)]
#[template(path = "config_try.html", config = "src/ui/askama.toml")]
pub struct Trial {
    shell: Shell,
    store: Store,
    of: Of,
    config: CanaryConfig,
    /// Why nothing was started.
    problem: Option<String>,
    metrics_accounts: Vec<String>,
    storage_accounts: Vec<String>,
    /// What the metrics account suggests.
    locations: Vec<String>,
    application: Field,
    metrics_account: Field,
    storage_account: Field,
    pass: Field,
    marginal: Field,
    when: When,
    lifetime: Field,
    interval: Field,
    scopes: Vec<Scope>,
}

/// Which time is judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Past,
    /// From now on: an analysis.
    Live,
}

pub async fn ask(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
) -> Result<Page<Trial>> {
    Trial::stored(&app, &caller, &id, &address).await.map(Page)
}

/// The form, and once it is filled in, the run.
pub async fn of_text(
    State(app): State<App>,
    caller: Caller,
    Query(address): Query<Fields>,
    Form(fields): Form<Fields>,
) -> Result<Response> {
    check_start(&caller, &[])?;
    let store = Store::of(&app, &address)?;
    let written = fields.lines("config").trim_end().to_owned();
    let (config, problem) = match text::readable(&app.config, &written) {
        Ok(config) => (config, None),
        Err(problem) => (CanaryConfig::default(), Some(problem.to_string())),
    };
    let mut trial = Trial::new(&app, &caller, store, Of::Text(written), config);
    if problem.is_some() {
        trial.problem = problem;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Page(trial)).into_response());
    }
    if !fields.has("pass") {
        return Ok(Page(trial).into_response());
    }
    trial.start(&app, &caller, &fields).await
}

pub async fn start(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
    Form(fields): Form<Fields>,
) -> Result<Response> {
    let trial = Trial::stored(&app, &caller, &id, &address).await?;
    trial.start(&app, &caller, &fields).await
}

impl Trial {
    async fn stored(app: &App, caller: &Caller, id: &str, address: &Fields) -> Result<Self> {
        let (store, id) = (Store::of(app, address)?, Id::parse(id)?);
        let config = app.seen_by(caller).canary_config(&store.name, &id).await?;
        check_start(caller, applications(&config))?;
        Ok(Self::new(app, caller, store, Of::Stored(id), config))
    }

    /// As it is asked first: the last hour, with the thresholds that most use.
    fn new(app: &App, caller: &Caller, store: Store, of: Of, config: CanaryConfig) -> Self {
        let end = app.clock.now_millis() / MINUTE * MINUTE;
        let window = (iso_from_millis(end - 60 * MINUTE), iso_from_millis(end));
        let metrics_accounts = metrics_accounts(app, caller);
        let metrics = answering(app, &config, &metrics_accounts);
        let locations = metrics.map(|account| match account.recommended_locations.as_slice() {
            [] => account.locations.clone(),
            recommended => recommended.to_vec(),
        });
        let metrics_account = metrics.map_or("", |account| account.name.as_str());
        let storage_accounts = accounts_for(app, ObjectStore);
        let first = |names: &[String]| names.first().cloned().unwrap_or_default();
        Self {
            application: Field::new("application", first(applications(&config))),
            metrics_account: Field::new("metricsAccountName", metrics_account),
            storage_account: Field::new("storageAccountName", first(&storage_accounts)),
            marginal: Field::new("marginal", "75"),
            pass: Field::new("pass", "95"),
            when: When::Past,
            lifetime: Field::new("lifetime", "60"),
            interval: Field::new("interval", "20"),
            scopes: sides::scopes(&app.config, &config, &window),
            shell: Shell::of(caller),
            problem: None,
            locations: locations.unwrap_or_default(),
            store,
            of,
            config,
            metrics_accounts,
            storage_accounts,
        }
    }

    async fn start(mut self, app: &App, caller: &Caller, fields: &Fields) -> Result<Response> {
        self.fill(fields);
        if fields.has("alike") {
            // From now on, both sides would have the same values, which tells nothing.
            self.when = When::Past;
            let control = self.scopes.iter_mut();
            control.for_each(|scope| scope.compare_with_itself(app.clock.now_millis()));
        }
        match self.when {
            When::Past => self.judge_past(app, caller).await,
            When::Live => self.watch(app, caller).await,
        }
    }

    async fn judge_past(mut self, app: &App, caller: &Caller) -> Result<Response> {
        let now = app.clock.now_millis();
        let Some(request) = self.request(now) else {
            self.problem = Some("see what is marked below".to_owned());
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, Page(self)).into_response());
        };
        let mut notes = request.notes(now);
        notes.extend(asked::of_config(&self.config));
        if !notes.is_empty() {
            self.problem = Some(notes.join("; "));
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, Page(self)).into_response());
        }
        // A trial on past data moves no traffic.
        let config = CanaryConfig {
            actions: None,
            ..self.config.clone()
        };
        self.begin(app, caller, config, request, Kind::Canary).await
    }

    async fn begin<R: Startable>(
        mut self,
        app: &App,
        caller: &Caller,
        config: CanaryConfig,
        request: R,
        kind: Kind,
    ) -> Result<Response> {
        let admitted = match self.admission(app, caller, config, request) {
            Ok(admission) => run::start(app, admission).await,
            Err(error) => Err(error),
        };
        match admitted {
            Ok(begun) => {
                let page = format!("{}/{}", kind.page(), begun.id);
                Ok(Redirect::to(&page).into_response())
            }
            Err(error @ Error::Internal(_)) => Err(error),
            Err(error) => {
                self.problem = Some(error.to_string());
                let status = error.into_response().status();
                Ok((status, Page(self)).into_response())
            }
        }
    }

    fn fill(&mut self, fields: &Fields) {
        self.when = match fields.text("when") {
            "live" => When::Live,
            _ => When::Past,
        };
        let own = [
            &mut self.lifetime,
            &mut self.interval,
            &mut self.application,
            &mut self.metrics_account,
            &mut self.storage_account,
            &mut self.marginal,
            &mut self.pass,
        ];
        let scopes = self.scopes.iter_mut().flat_map(Scope::fields);
        own.into_iter()
            .chain(scopes)
            .for_each(|field| field.fill(fields));
    }

    /// None where a field has a problem; it says which.
    fn request(&mut self, now: i64) -> Option<CanaryExecutionRequest> {
        let thresholds = self.thresholds();
        // All of them, so that all problems are told at once.
        let scopes: Vec<_> = self
            .scopes
            .iter_mut()
            .map(|scope| scope.pair(now))
            .collect();
        let scopes: Option<IndexMap<_, _>> = scopes.into_iter().collect();
        Some(CanaryExecutionRequest {
            scopes: Some(scopes?),
            thresholds: Some(thresholds?),
            ..CanaryExecutionRequest::default()
        })
    }

    fn thresholds(&mut self) -> Option<CanaryClassifierThresholdsConfig> {
        let marginal = self.marginal.parsed(score);
        let pass = self.pass.parsed(score);
        Some(CanaryClassifierThresholdsConfig {
            pass: Some(pass?),
            marginal: Some(marginal?),
        })
    }

    fn admission<R: Startable>(
        &self,
        app: &App,
        caller: &Caller,
        config: CanaryConfig,
        request: R,
    ) -> Result<Admission<R>> {
        let given = |field: &Field| field.given().map(str::to_owned);
        let storage = app.store(self.storage_account.given(), ObjectStore)?;
        let mut admission = Admission::asked_by(app, caller, given(&self.application))?;
        if let Of::Stored(id) = &self.of {
            admission.canary_config_id = Some(id.to_string());
        }
        admission.config = config;
        admission.request = request;
        admission.metrics_account = given(&self.metrics_account);
        storage.clone_into(&mut admission.storage_account);
        admission.configuration_account = Some(self.store.name.clone());
        Ok(admission)
    }
}

/// Of these, the first account that answers a metric, in the order of the metrics; else the first.
fn answering<'a>(app: &'a App, config: &CanaryConfig, names: &[String]) -> Option<&'a Account> {
    let mut accounts = app.accounts();
    accounts.retain(|account| names.contains(&account.name));
    let kind_of = |account: &Account| {
        let source = app.metric_sources.get(&account.name)?;
        Some(source.language().kind())
    };
    let queries = config.metrics.iter().flatten();
    let mut queries = queries.filter_map(|metric| metric.query.as_ref());
    let of_kind = queries.find_map(|query| {
        let mut accounts = accounts.iter();
        accounts.find(|account| kind_of(account) == Some(query.kind()))
    });
    of_kind.or(accounts.first()).copied()
}
