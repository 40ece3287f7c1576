//! `/ui/runs/{id}/compare`: a run beside the last that passed, or beside any other one.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};

use super::find;
use super::forms::Fields;
use super::page::Page;
use super::shell::Shell;
use crate::access::Caller;
use crate::app::App;
use crate::canary::{CanaryExecutionStatusResponse, Execution, Outcome};
use crate::error::{Error, Result};
use crate::report::beside::{self, Beside, Both, Sketches, Standing};
use crate::report::view::{self, RunView};
use crate::storage::{Place, Search};

type Run = CanaryExecutionStatusResponse;

#[derive(Template)]
#[template(path = "run_compare.html", config = "src/ui/askama.toml")]
pub struct Compared {
    shell: Shell,
    this: RunView,
    /// None where there is none to compare with.
    other: Option<Other>,
}

struct Other {
    run: RunView,
    cautions: Vec<&'static str>,
    /// Of which runs there are no series any more.
    without_series: Option<&'static str>,
    beside: Beside,
}

pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(address): Query<Fields>,
) -> Result<Page<Compared>> {
    let this: Run = find::execution(&app, &caller, &id, "run").await?;
    let other = match address.given("with") {
        Some(id) => Some(id.to_owned()),
        None => last_passed(&app, &caller, &this).await?,
    };
    let shell = Shell::of(&caller);
    let Some(other) = other else {
        return Ok(Page(Compared {
            shell,
            this: view::run(&this, None),
            other: None,
        }));
    };
    let other: Run = find::execution(&app, &caller, &other, "run").await?;
    let (this, other) = (Arc::new(this), Arc::new(other));
    // One after the other: the pairs of both at once may be more than there is room for.
    let sketches = Both {
        this: sketches(&app, &this).await?,
        other: sketches(&app, &other).await?,
    };
    let made = tokio::task::spawn_blocking(move || {
        let runs = Both {
            this: &*this,
            other: &*other,
        };
        compared(shell, runs, sketches)
    });
    made.await.map(Page).map_err(|cause| not_shown(&cause))
}

fn compared(shell: Shell, runs: Both<&Run>, sketches: Both<Option<Sketches>>) -> Compared {
    let mut views = runs.map(|run| view::run(run, None));
    let metrics = Both {
        this: std::mem::take(&mut views.this.metrics),
        other: std::mem::take(&mut views.other.metrics),
    };
    let without_series = match (&sketches.this, &sketches.other) {
        (None, None) => Some("either run"),
        (None, _) => Some("this run"),
        (_, None) => Some("the other run"),
        _ => None,
    };
    let sketches = sketches.map(Option::unwrap_or_default);
    Compared {
        shell,
        this: views.this,
        other: Some(Other {
            run: views.other,
            cautions: beside::cautions(runs),
            without_series,
            beside: beside::draw(runs, metrics, &sketches),
        }),
    }
}

/// None where the series are not kept any more.
async fn sketches(app: &App, run: &Arc<Run>) -> Result<Option<Sketches>> {
    let Some(pairs) = find::pairs(app, run).await else {
        return Ok(None);
    };
    let run = Arc::clone(run);
    let made = tokio::task::spawn_blocking(move || beside::sketches(&run, &pairs));
    made.await.map(Some).map_err(|cause| not_shown(&cause))
}

fn not_shown(cause: &tokio::task::JoinError) -> Error {
    Error::Internal(format!("two runs cannot be compared: {cause}"))
}

/// The newest run that passed of those by the same config, of the same application, that began before
/// this one.
pub async fn last_passed(app: &App, caller: &Caller, run: &Run) -> Result<Option<String>> {
    let told = run.told();
    let id = view::stored_config(Some(told.config_id));
    // One that came with its run has no id.
    let name = Some(told.config_name().to_owned()).filter(|name| !name.is_empty());
    let Some(config) = id.or(name) else {
        return Ok(None);
    };
    let search = Search {
        accounts: app.stores(),
        application: Some(told.application.to_owned()),
        config: Some(config),
        outcome: Some(Outcome::Pass),
        after: Some(Place {
            build_time: run.build_time(),
            id: told.id.to_owned(),
        }),
        limit: 1,
        ..Search::default()
    };
    let found = app.seen_by(caller).search::<Run>(&search).await?;
    Ok(found.into_iter().next().map(|line| line.id))
}
