//! `/ui/configs/{id}/try`: a run over a time that has passed already.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use indexmap::IndexMap;

use super::{Store, accounts_for, applications, check_start, metrics_accounts};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryExecutionRequest, CanaryScope,
    CanaryScopePair, Id, Instant, Pair, iso_from_millis,
};
use crate::config::Account;
use crate::config::AccountType::{MetricsStore, ObjectStore};
use crate::error::{Error, Result};
use crate::run::asked::{self, Asked};
use crate::run::{self, Admission};
use crate::ui::forms::{Field, Fields};
use crate::ui::page::Page;
use crate::ui::shell::Shell;
use crate::ui::times;

const MINUTE: i64 = 60_000;

#[derive(Template)]
#[template(path = "config_try.html", config = "src/ui/askama.toml")]
pub struct Trial {
    shell: Shell,
    store: Store,
    id: Id,
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
    scopes: Vec<Scope>,
}

/// The fields of one pair of scopes.
struct Scope {
    name: String,
    step: Field,
    sides: Pair<Side>,
}

struct Side {
    scope: Field,
    location: Field,
    start: Field,
    end: Field,
    parameters: Field,
}

pub async fn ask(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
) -> Result<Page<Trial>> {
    Trial::of(&app, &caller, &id, &address).await.map(Page)
}

pub async fn start(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
    Form(fields): Form<Fields>,
) -> Result<Response> {
    let mut trial = Trial::of(&app, &caller, &id, &address).await?;
    trial.fill(&fields);
    let now = app.clock.now_millis();
    let Some(request) = trial.request(now) else {
        trial.problem = Some("see what is marked below".to_owned());
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Page(trial)).into_response());
    };
    let mut notes = request.notes(now);
    notes.extend(asked::of_config(&trial.config));
    if !notes.is_empty() {
        trial.problem = Some(notes.join("; "));
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Page(trial)).into_response());
    }
    let admitted = match trial.admission(&app, &caller, request) {
        Ok(admission) => run::start(&app, admission).await,
        Err(error) => Err(error),
    };
    match admitted {
        Ok(run) => Ok(Redirect::to(&format!("/ui/runs/{}", run.id)).into_response()),
        Err(error @ Error::Internal(_)) => Err(error),
        Err(error) => {
            trial.problem = Some(error.to_string());
            let status = error.into_response().status();
            Ok((status, Page(trial)).into_response())
        }
    }
}

impl Trial {
    /// As it is asked first: the last hour, with the thresholds that most use.
    async fn of(app: &App, caller: &Caller, id: &str, address: &Fields) -> Result<Self> {
        let (store, id) = (Store::of(app, address)?, Id::parse(id)?);
        let config = app.seen_by(caller).canary_config(&store.name, &id).await?;
        check_start(caller, applications(&config))?;
        let end = app.clock.now_millis() / MINUTE * MINUTE;
        let window = (iso_from_millis(end - 60 * MINUTE), iso_from_millis(end));
        let metrics = answering(app, &config);
        let locations = metrics.map(|account| match account.recommended_locations.as_slice() {
            [] => account.locations.clone(),
            recommended => recommended.to_vec(),
        });
        let metrics_account = metrics.map_or("", |account| account.name.as_str());
        let metrics_accounts = metrics_accounts(app, caller);
        let storage_accounts = accounts_for(app, ObjectStore);
        let first = |names: &[String]| names.first().cloned().unwrap_or_default();
        Ok(Self {
            application: Field::new("application", first(applications(&config))),
            metrics_account: Field::new("metricsAccountName", metrics_account),
            storage_account: Field::new("storageAccountName", first(&storage_accounts)),
            marginal: Field::new("marginal", "75"),
            pass: Field::new("pass", "95"),
            scopes: scopes(&config, &window),
            shell: Shell::of(caller),
            problem: None,
            locations: locations.unwrap_or_default(),
            store,
            id,
            config,
            metrics_accounts,
            storage_accounts,
        })
    }

    fn fill(&mut self, fields: &Fields) {
        let own = [
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
        let marginal = self.marginal.parsed(score);
        let pass = self.pass.parsed(score);
        // All of them, so that all problems are told at once.
        let scopes: Vec<_> = self
            .scopes
            .iter_mut()
            .map(|scope| scope.pair(now))
            .collect();
        let scopes: Option<IndexMap<_, _>> = scopes.into_iter().collect();
        Some(CanaryExecutionRequest {
            scopes: Some(scopes?),
            thresholds: Some(CanaryClassifierThresholdsConfig {
                pass: Some(pass?),
                marginal: Some(marginal?),
            }),
            ..CanaryExecutionRequest::default()
        })
    }

    fn admission(
        &self,
        app: &App,
        caller: &Caller,
        request: CanaryExecutionRequest,
    ) -> Result<Admission<CanaryExecutionRequest>> {
        let given = |field: &Field| Some(field.value.clone()).filter(|value| !value.is_empty());
        let storage = app.store(given(&self.storage_account).as_deref(), ObjectStore)?;
        let mut admission = Admission::asked_by(app, caller, given(&self.application))?;
        admission.canary_config_id = Some(self.id.to_string());
        admission.config = CanaryConfig {
            // A trial on past data moves no traffic.
            actions: None,
            ..self.config.clone()
        };
        admission.request = request;
        admission.metrics_account = given(&self.metrics_account);
        storage.clone_into(&mut admission.storage_account);
        admission.configuration_account = Some(self.store.name.clone());
        Ok(admission)
    }
}

/// The first account that answers a metric, in the order of the metrics; else the first of all.
fn answering<'a>(app: &'a App, config: &CanaryConfig) -> Option<&'a Account> {
    let mut accounts = app.accounts();
    accounts.retain(|account| account.serves(MetricsStore));
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

/// Those that the metrics name, in their order.
fn scopes(config: &CanaryConfig, (start, end): &(String, String)) -> Vec<Scope> {
    let metrics = config.metrics.iter().flatten();
    let mut names: Vec<&String> = Vec::new();
    for name in metrics.filter_map(|metric| metric.scope_name.as_ref()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let numbered = names.into_iter().enumerate();
    numbered
        .map(|(at, name)| {
            let side = |side: &str| Side {
                scope: Field::new(format!("scopes.{at}.{side}.scope"), ""),
                location: Field::new(format!("scopes.{at}.{side}.location"), ""),
                start: Field::new(format!("scopes.{at}.{side}.start"), start),
                end: Field::new(format!("scopes.{at}.{side}.end"), end),
                parameters: Field::new(format!("scopes.{at}.{side}.parameters"), ""),
            };
            Scope {
                name: name.clone(),
                step: Field::new(format!("scopes.{at}.step"), "60"),
                sides: Pair {
                    control: side("control"),
                    experiment: side("experiment"),
                },
            }
        })
        .collect()
}

impl Scope {
    fn fields(&mut self) -> impl Iterator<Item = &mut Field> {
        let sides = [&mut self.sides.control, &mut self.sides.experiment];
        let fields = sides.into_iter().flat_map(|side| {
            [
                &mut side.scope,
                &mut side.location,
                &mut side.start,
                &mut side.end,
                &mut side.parameters,
            ]
        });
        [&mut self.step].into_iter().chain(fields)
    }

    fn pair(&mut self, now: i64) -> Option<(String, CanaryScopePair)> {
        let step = self.step.parsed(step);
        let control = self.sides.control.scope(step, now);
        let experiment = self.sides.experiment.scope(step, now);
        step?;
        let pair = CanaryScopePair {
            control_scope: Some(control?),
            experiment_scope: Some(experiment?),
        };
        Some((self.name.clone(), pair))
    }
}

impl Side {
    fn scope(&mut self, step: Option<i64>, now: i64) -> Option<CanaryScope> {
        let given = |field: &Field| Some(field.value.clone()).filter(|value| !value.is_empty());
        let start = self.start.parsed(|text| instant(text, now));
        let end = self.end.parsed(|text| match instant(text, now)? {
            end if start.is_some_and(|start| end <= start) => {
                Err("the end must be after the start".to_owned())
            }
            end => Ok(end),
        });
        let parameters = self.parameters.parsed(parameters);
        Some(CanaryScope {
            scope: given(&self.scope),
            location: given(&self.location),
            start: Some(start?),
            end: Some(end?),
            step,
            extended_scope_params: Some(parameters?),
        })
    }
}

fn instant(text: &str, now: i64) -> Result<Instant, String> {
    times::instant(text, now).ok_or_else(|| {
        format!("'{text}' is no time; one like 2024-05-01T10:00:00Z or now-1h is wanted")
    })
}

fn step(text: &str) -> Result<i64, String> {
    let step = text.parse().ok().filter(|step| 0 < *step);
    step.ok_or_else(|| format!("'{text}' is no step; a number of seconds such as 60 is wanted"))
}

fn score(text: &str) -> Result<f64, String> {
    let score = text
        .parse()
        .ok()
        .filter(|score| (0.0..=100.0).contains(score));
    score.ok_or_else(|| format!("'{text}' is no score; a number from 0 to 100 is wanted"))
}

/// A `name=value` on every line.
fn parameters(text: &str) -> Result<IndexMap<String, String>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let pairs = lines.map(|line| {
        let (name, value) = line
            .split_once('=')
            .ok_or_else(|| format!("'{line}' is no parameter; name=value is wanted"))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    });
    pairs.collect()
}
