//! `/ui/calibrations`: what was calibrated, and one calibration with its report.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Form, Router};

use super::forms::{Fields, own_pages_only};
use super::page::Page;
use super::shell::Shell;
use crate::access::{Caller, Role};
use crate::app::App;
use crate::canary::calibration::{MetricRates, Rate, Report};
use crate::canary::number::number;
use crate::canary::{Calibration, CalibrationSummary, ExecutionStatus, Id};
use crate::config::Server;
use crate::error::Result;
use crate::report::view::Moment;
use crate::run::{calibration, learned};

/// Lines of the list.
const LINES: usize = 50;

pub fn routes(server: &Server) -> Router<App> {
    Router::new()
        .route("/ui/calibrations", get(list))
        .route("/ui/calibrations/{id}", get(show))
        .route("/ui/calibrations/{id}/cancel", post(cancel))
        .route("/ui/calibrations/{id}/keep", post(keep))
        .layer(own_pages_only(server))
}

#[derive(Template)]
#[template(path = "calibrations.html", config = "src/ui/askama.toml")]
pub struct List {
    shell: Shell,
    lines: Vec<CalibrationSummary>,
    learned: Vec<String>,
    is_live: bool,
}

#[derive(Template)]
#[template(path = "calibration.html", config = "src/ui/askama.toml")]
pub struct One {
    shell: Shell,
    may_cancel: bool,
    may_keep: bool,
    made: Calibration,
}

async fn list(State(app): State<App>, caller: Caller) -> Result<Page<List>> {
    let lines = calibration::calibrations(&app, &caller, LINES).await?;
    Ok(Page(List {
        shell: Shell::of(&caller),
        is_live: lines.iter().any(|line| !line.complete),
        lines,
        learned: learned::learned_ids(&app, &caller).await?,
    }))
}

async fn show(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Page<One>> {
    let made = calibration::calibration(&app, &caller, &Id::parse(&id)?).await?;
    let of = made.applications.as_deref().unwrap_or_default();
    let may = |role| app.seen_by(&caller).may_on_all(role, of).is_ok();
    Ok(Page(One {
        may_cancel: may(Role::Start),
        may_keep: may(Role::Config),
        shell: Shell::of(&caller),
        made,
    }))
}

async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Redirect> {
    let id = Id::parse(&id)?;
    calibration::cancel_calibration(&app, &caller, &id).await?;
    Ok(page_of(&id))
}

async fn keep(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Redirect> {
    let id = Id::parse(&id)?;
    learned::keep_of(&app, &caller, &id, &Id::parse(fields.text("id"))?).await?;
    Ok(Redirect::to("/ui/calibrations"))
}

fn page_of(id: &Id) -> Redirect {
    let id: String = url::form_urlencoded::byte_serialize(id.as_str().as_bytes()).collect();
    Redirect::to(&format!("/ui/calibrations/{}", id.replace('+', "%20")))
}

impl List {
    fn badge(line: &CalibrationSummary) -> (&'static str, &'static str) {
        badge(line.status)
    }

    fn started(line: &CalibrationSummary) -> &str {
        &line.build_time_iso
    }
}

impl One {
    fn badge(&self) -> (&'static str, &'static str) {
        badge(self.made.status)
    }

    fn name(&self) -> &str {
        self.made.config_name.as_deref().unwrap_or("a config")
    }

    fn started(&self) -> Option<Moment> {
        Moment::of_millis(self.made.build_time_millis)
    }

    fn against(&self) -> String {
        let request = &self.made.request;
        if let Some(mins) = request.shift_mins {
            return format!("itself, {mins} minutes before");
        }
        let names = request.against.iter();
        let names = names.filter_map(|scope| scope.scope.as_deref());
        names.collect::<Vec<_>>().join(", ")
    }

    /// What the form proposes.
    fn proposed(&self) -> &str {
        let written = self.made.request.write.as_deref();
        written
            .or(self.made.config_name.as_deref())
            .unwrap_or_default()
    }

    fn kept(&self) -> Option<&str> {
        let learned = self.made.learned.as_ref()?;
        Some(learned.calibration.as_str()).filter(|id| !id.is_empty())
    }

    fn share(rate: &Rate) -> String {
        format!("{:.1} %", rate.share * 100.0)
    }

    /// The whole interval, as the ends of a bar from 0 to 100.
    fn between(rate: &Rate) -> String {
        format!("{:.1} to {:.1} %", rate.lower * 100.0, rate.upper * 100.0)
    }

    fn margin(metric: &MetricRates) -> String {
        match metric.margin {
            Some(margin) => format!("{} %", number(margin * 100.0)),
            None if metric.unfit => "none: unfit".to_owned(),
            None => "–".to_owned(),
        }
    }

    fn found(metric: &MetricRates) -> String {
        let found = metric
            .typical
            .and_then(|typical| typical.minimum_detectable_percent);
        found.map_or_else(
            || "–".to_owned(),
            |percent| format!("{} %", number(percent)),
        )
    }

    fn rest(report: &Report) -> &[String] {
        report.sentences.get(1..).unwrap_or_default()
    }
}

/// Its class and its word.
const fn badge(status: ExecutionStatus) -> (&'static str, &'static str) {
    match status {
        ExecutionStatus::Succeeded => ("pass", "Done"),
        ExecutionStatus::Canceled => ("canceled", "Canceled"),
        ExecutionStatus::Terminal => ("error", "Failed"),
        ExecutionStatus::NotStarted => ("running", "Waiting"),
        _ => ("running", "Running"),
    }
}
