//! `/ui/configs/{id}/calibrate`: how often a config would stop a release in which nothing changed; and
//! `/ui/configs/new/calibrate`, of a text that is being edited.

use askama::Template;
use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;

use super::{Of, Store, applications, check_start, metrics_accounts, score, text};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{CalibrationRequest, CanaryConfig, Id};
use crate::error::{Error, Result};
use crate::run::calibration::admit_calibration;
use crate::ui::forms::{Field, Fields};
use crate::ui::page::Page;
use crate::ui::shell::Shell;

const MINUTES_OF_A_DAY: u64 = 24 * 60;

#[derive(Template)]
#[template(path = "config_calibrate.html", config = "src/ui/askama.toml")]
pub struct Calibrate {
    shell: Shell,
    store: Store,
    of: Of,
    config: CanaryConfig,
    /// Why nothing was started.
    problem: Option<String>,
    metrics_accounts: Vec<String>,
    metrics_account: Field,
    control: Field,
    against: Field,
    shift: Field,
    location: Field,
    window: Field,
    interval: Field,
    lookback: Field,
    windows: Field,
    step: Field,
    marginal: Field,
    pass: Field,
    write: Field,
}

/// The form, and once it is filled in, the calibration.
pub async fn of_text(
    State(app): State<App>,
    caller: Caller,
    Query(address): Query<Fields>,
    Form(fields): Form<Fields>,
) -> Result<Response> {
    check_start(&caller, &[])?;
    let store = Store::of(&app, &address)?;
    let text = fields.lines("config").trim_end().to_owned();
    let (config, problem) = match text::storable(&app.config, &text) {
        Ok(config) => (config, None),
        Err(problem) => (CanaryConfig::default(), Some(problem.to_string())),
    };
    let mut page = Calibrate::new(&app, &caller, store, Of::Text(text), config);
    if problem.is_some() {
        page.problem = problem;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, Page(page)).into_response());
    }
    if !fields.has("control") {
        return Ok(Page(page).into_response());
    }
    page.start(&app, &caller, &fields).await
}

pub async fn ask(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
) -> Result<Page<Calibrate>> {
    Calibrate::of(&app, &caller, &id, &address).await.map(Page)
}

pub async fn start(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
    Form(fields): Form<Fields>,
) -> Result<Response> {
    let page = Calibrate::of(&app, &caller, &id, &address).await?;
    page.start(&app, &caller, &fields).await
}

impl Calibrate {
    async fn of(app: &App, caller: &Caller, id: &str, address: &Fields) -> Result<Self> {
        let (store, id) = (Store::of(app, address)?, Id::parse(id)?);
        let config = app.seen_by(caller).canary_config(&store.name, &id).await?;
        check_start(caller, applications(&config))?;
        Ok(Self::new(app, caller, store, Of::Stored(id), config))
    }

    fn new(app: &App, caller: &Caller, store: Store, of: Of, config: CanaryConfig) -> Self {
        // What is learned of a text that is not stored is looked at first.
        let named = match &of {
            Of::Stored(_) => config.calibration().or_else(|| config.name.clone()),
            Of::Text(_) => None,
        };
        Self {
            shell: Shell::of(caller),
            problem: None,
            metrics_accounts: metrics_accounts(app, caller),
            metrics_account: Field::new("metricsAccountName", ""),
            control: Field::new("control", ""),
            against: Field::new("against", ""),
            shift: Field::new("shift", ""),
            location: Field::new("location", ""),
            window: Field::new("window", "60"),
            interval: Field::new("interval", "10"),
            lookback: Field::new("lookback", ""),
            windows: Field::new("windows", "200"),
            step: Field::new("step", "60"),
            marginal: Field::new("marginal", "75"),
            pass: Field::new("pass", "95"),
            write: Field::new("write", named.unwrap_or_default()),
            store,
            of,
            config,
        }
    }

    async fn start(mut self, app: &App, caller: &Caller, fields: &Fields) -> Result<Response> {
        self.fill(fields);
        let Some(request) = self.request() else {
            self.problem = Some("see what is marked below".to_owned());
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, Page(self)).into_response());
        };
        let account = self.metrics_account.given();
        match admit_calibration(app, caller, request, account, Some(&self.store.name)).await {
            Ok(id) => Ok(Redirect::to(&format!("/ui/calibrations/{id}")).into_response()),
            Err(error @ Error::Internal(_)) => Err(error),
            Err(error) => {
                self.problem = Some(error.to_string());
                let status = error.into_response().status();
                Ok((status, Page(self)).into_response())
            }
        }
    }

    fn fields(&mut self) -> [&mut Field; 13] {
        [
            &mut self.metrics_account,
            &mut self.control,
            &mut self.against,
            &mut self.shift,
            &mut self.location,
            &mut self.window,
            &mut self.interval,
            &mut self.lookback,
            &mut self.windows,
            &mut self.step,
            &mut self.marginal,
            &mut self.pass,
            &mut self.write,
        ]
    }

    fn fill(&mut self, fields: &Fields) {
        for field in self.fields() {
            field.fill(fields);
        }
    }

    /// None where a field has a problem; it says which.
    fn request(&mut self) -> Option<CalibrationRequest> {
        let window = self.window.parsed(whole);
        let interval = self.interval.parsed(optional);
        let lookback = self.lookback.parsed(optional);
        let windows = self.windows.parsed(whole);
        let step = self.step.parsed(whole);
        let shift = self.shift.parsed(optional);
        let marginal = self.marginal.parsed(score);
        let pass = self.pass.parsed(score);
        let location = self.location.given();
        let scope = |name: &str| json!({"scope": name, "location": location});
        let others = self.against.value.split([',', '\n']).map(str::trim);
        let others: Vec<_> = others.filter(|name| !name.is_empty()).map(scope).collect();
        let days = shift?.map(|days| days.saturating_mul(MINUTES_OF_A_DAY));
        let (id, config) = match &self.of {
            Of::Stored(id) => (Some(id.as_str()), None),
            Of::Text(_) => (None, Some(&self.config)),
        };
        let request = json!({
            "canaryConfigId": id, "canaryConfig": config, "control": scope(&self.control.value), "against": others,
            "shiftMins": days, "windowMins": window?, "intervalMins": interval?,
            "lookbackMins": lookback?, "windows": windows?, "step": step?,
            "thresholds": {"marginal": marginal?, "pass": pass?}, "write": self.write.given(),
        });
        match serde_json::from_value(request) {
            Ok(request) => Some(request),
            Err(cause) => {
                self.window.problem = Some(cause.to_string());
                None
            }
        }
    }
}

fn whole(text: &str) -> Result<u64, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..1_000_000).contains(number));
    number.ok_or_else(|| format!("'{text}' is no whole number from 1"))
}

fn optional(text: &str) -> Result<Option<u64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    whole(text).map(Some)
}
