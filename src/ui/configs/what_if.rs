//! `/ui/replay`: what if past runs had been judged by something else?

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::edit::editable;
use super::{Store, applications, check_change, text};
use crate::access::Caller;
use crate::app::App;
use crate::canary::number::score;
use crate::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryExecutionStatusResponse, Id, Replay,
    ReplayRequest, ReplayedVerdict, WhatIf,
};
use crate::error::{Error, Result};
use crate::report::view::Moment;
use crate::run::judges;
use crate::run::replay::{Change, MOST_RUNS, RUNS, replay};
use crate::ui::find;
use crate::ui::forms::{Field, Fields};
use crate::ui::page::Page;
use crate::ui::shell::Shell;

#[derive(Template)]
#[template(path = "what_if.html", config = "src/ui/askama.toml")]
pub struct WhatIfPage {
    shell: Shell,
    store: Store,
    judges: Vec<&'static str>,
    runs: Field,
    application: Field,
    config: Field,
    last: Field,
    judge: Field,
    margin: Field,
    pass: Field,
    marginal: Field,
    /// Whether the text below counts.
    by_text: bool,
    text: String,
    problem: Option<String>,
    replay: Option<Replay>,
    adoption: Option<Adoption>,
}

/// A stored config as it would be.
struct Adoption {
    id: Id,
    name: String,
    text: String,
}

pub async fn ask(
    State(app): State<App>,
    caller: Caller,
    Query(address): Query<Fields>,
) -> Result<Page<WhatIfPage>> {
    let mut page = WhatIfPage::of(&app, &caller, &address)?;
    let config = page.config_at_hand(&app, &caller).await?;
    page.text = config
        .as_ref()
        .map(editable)
        .transpose()?
        .unwrap_or_default();
    Ok(Page(page))
}

pub async fn judge(
    State(app): State<App>,
    caller: Caller,
    Query(address): Query<Fields>,
    Form(fields): Form<Fields>,
) -> Result<Response> {
    let mut page = WhatIfPage::of(&app, &caller, &address)?.filled(&fields);
    page.by_text = fields.given("by") == Some("text");
    page.text = fields.lines("text");
    let asked = match page.request(&app) {
        Ok(asked) => asked,
        Err(problem) => {
            page.problem = Some(problem);
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, Page(page)).into_response());
        }
    };
    match replay(&app, &caller, &asked).await {
        Ok(told) => {
            page.adoption = page.adoption(&app, &caller, &asked.what_if, &told).await?;
            page.replay = Some(told);
            Ok(Page(page).into_response())
        }
        Err(error @ Error::Internal(_)) => Err(error),
        Err(error) => {
            page.problem = Some(error.to_string());
            let status = error.into_response().status();
            Ok((status, Page(page)).into_response())
        }
    }
}

impl WhatIfPage {
    fn of(app: &App, caller: &Caller, fields: &Fields) -> Result<Self> {
        let field = |name: &str| Field::new(name, fields.text(name));
        let last = match fields.given("last") {
            None if fields.given("runs").is_none() => Field::new("last", RUNS.to_string()),
            _ => field("last"),
        };
        Ok(Self {
            shell: Shell::of(caller),
            store: Store::of(app, fields)?,
            judges: judges::all(&app.config)
                .filter(|judge| judge.is_visible())
                .map(judges::AnyJudge::name)
                .collect(),
            runs: field("runs"),
            application: field("application"),
            config: field("config"),
            last,
            judge: field("judge"),
            margin: field("margin"),
            pass: field("pass"),
            marginal: field("marginal"),
            by_text: false,
            text: String::new(),
            problem: None,
            replay: None,
            adoption: None,
        })
    }

    fn filled(mut self, fields: &Fields) -> Self {
        let own = [
            &mut self.runs,
            &mut self.application,
            &mut self.config,
            &mut self.last,
            &mut self.judge,
            &mut self.margin,
            &mut self.pass,
            &mut self.marginal,
        ];
        for field in own {
            field.fill(fields);
        }
        self
    }

    /// To begin with: that of the run, or the stored one.
    async fn config_at_hand(&self, app: &App, caller: &Caller) -> Result<Option<CanaryConfig>> {
        if let [id] = self.runs.value.split_whitespace().collect::<Vec<_>>()[..] {
            let run: CanaryExecutionStatusResponse =
                find::execution(app, caller, id, "run").await?;
            return Ok(run.config);
        }
        match Id::parse(&self.config.value) {
            Ok(id) => self.stored(app, caller, &id).await,
            Err(_) => Ok(None),
        }
    }

    async fn stored(&self, app: &App, caller: &Caller, id: &Id) -> Result<Option<CanaryConfig>> {
        match app
            .seen_by(caller)
            .canary_config(&self.store.name, id)
            .await
        {
            Ok(config) => Ok(Some(config)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What the fields ask for, or why that is nothing.
    fn request(&mut self, app: &App) -> Result<ReplayRequest, String> {
        let given = |field: &Field| field.given().map(str::to_owned);
        let number = |text: &str| match text {
            "" => Ok(None),
            text => {
                let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
                let wanted = || format!("'{text}' is no number");
                number.map(Some).ok_or_else(wanted)
            }
        };
        let numbers = [&mut self.margin, &mut self.pass, &mut self.marginal];
        let [margin, pass, marginal] = numbers.map(|field| field.parsed(number));
        let last = self.last.parsed(|text| match text {
            "" => Ok(None),
            text => {
                let wanted = || format!("'{text}' is no number of runs");
                text.parse().map(Some).map_err(|_| wanted())
            }
        });
        let (Some(margin), Some(pass), Some(marginal), Some(last)) = (margin, pass, marginal, last)
        else {
            return Err("see what is marked below".to_owned());
        };
        let canary_config = if self.by_text {
            Some(self.written(app)?)
        } else {
            None
        };
        let runs = self.runs.value.split_whitespace();
        let runs: Vec<String> = runs.map(str::to_owned).collect();
        let is_search = runs.is_empty();
        let thresholds = CanaryClassifierThresholdsConfig { pass, marginal };
        let has_thresholds = thresholds != CanaryClassifierThresholdsConfig::default();
        Ok(ReplayRequest {
            runs,
            application: given(&self.application).filter(|_| is_search),
            config: given(&self.config).filter(|_| is_search),
            last: last.filter(|_| is_search),
            what_if: WhatIf {
                canary_config,
                judge: given(&self.judge),
                margin,
                thresholds: has_thresholds.then_some(thresholds),
                ..WhatIf::default()
            },
        })
    }

    fn written(&self, app: &App) -> Result<CanaryConfig, String> {
        text::readable(&app.config, &self.text)
            .map_err(|why| format!("the config below cannot be read: {why}"))
    }

    /// The stored config of all runs, if there is one, with what was changed of it.
    async fn adoption(
        &self,
        app: &App,
        caller: &Caller,
        what_if: &WhatIf,
        replay: &Replay,
    ) -> Result<Option<Adoption>> {
        if what_if.canary_config.is_none() && what_if.judge.is_none() && what_if.margin.is_none() {
            return Ok(None);
        }
        let mut ids = replay.runs.iter().map(|run| run.config_id.as_str());
        let first = ids.next().unwrap_or_default();
        let (Ok(id), true) = (Id::parse(first), ids.all(|id| id == first)) else {
            return Ok(None);
        };
        let Some(stored) = self.stored(app, caller, &id).await? else {
            return Ok(None);
        };
        if check_change(app, caller, applications(&stored)).is_err() {
            return Ok(None);
        }
        let change = Change {
            config: what_if.canary_config.clone(),
            judge: what_if.judge.clone(),
            margin: what_if.margin,
            ..Change::default()
        };
        let proposed = change.of_config(&stored);
        Ok(Some(Adoption {
            name: stored.name.clone().unwrap_or_else(|| id.to_string()),
            text: editable(&proposed)?,
            id,
        }))
    }

    /// Thresholds are asked for with every run, and stand in no config.
    fn has_thresholds(&self) -> bool {
        !self.pass.value.is_empty() || !self.marginal.value.is_empty()
    }

    fn moment(millis: Option<&i64>) -> Option<Moment> {
        millis.copied().and_then(Moment::of_millis)
    }

    fn score(verdict: &ReplayedVerdict) -> Option<String> {
        verdict.score.map(score)
    }

    const fn most() -> usize {
        MOST_RUNS
    }
}
