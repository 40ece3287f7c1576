//! A trial from now on: an analysis, which judges as time goes by.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use indexmap::IndexMap;

use super::sides::Scope;
use super::{Of, Trial};
use crate::access::Caller;
use crate::app::App;
use crate::canary::{
    CanaryAnalysisExecutionRequest, CanaryAnalysisExecutionRequestScope, CanaryConfig, CanaryScope,
    Kind,
};
use crate::error::Result;
use crate::run::asked;
use crate::ui::page::Page;

impl Trial {
    pub(super) async fn watch(mut self, app: &App, caller: &Caller) -> Result<Response> {
        let now = app.clock.now_millis();
        let Some(request) = self.analysis(now) else {
            self.problem = Some("see what is marked below".to_owned());
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, Page(self)).into_response());
        };
        let notes = asked::of_config(&self.config);
        if !notes.is_empty() {
            self.problem = Some(notes.join("; "));
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, Page(self)).into_response());
        }
        let config = match self.of {
            Of::Stored(_) => self.config.clone(),
            // What nobody has stored moves no traffic.
            Of::Text(_) => CanaryConfig {
                actions: None,
                ..self.config.clone()
            },
        };
        self.begin(app, caller, config, request, Kind::Analysis)
            .await
    }

    /// None where a field has a problem; it says which.
    fn analysis(&mut self, now: i64) -> Option<CanaryAnalysisExecutionRequest> {
        let thresholds = self.thresholds();
        let lifetime = self.lifetime.parsed(minutes);
        let interval = self.interval.parsed(minutes);
        let scopes = self.scopes.iter_mut();
        let scopes: Vec<_> = scopes.map(|scope| scope_of(scope, now)).collect();
        let scopes: Option<Vec<_>> = scopes.into_iter().collect();
        Some(CanaryAnalysisExecutionRequest {
            scopes: Some(scopes?),
            thresholds: Some(thresholds?),
            lifetime_duration_mins: Some(lifetime?),
            analysis_interval_mins: Some(interval?),
            judge_remainder: true,
            ..CanaryAnalysisExecutionRequest::default()
        })
    }
}

/// None where a field has a problem; it says which.
fn scope_of(scope: &mut Scope, now: i64) -> Option<CanaryAnalysisExecutionRequestScope> {
    // Nobody asks for these times, and they are fields of the same form.
    for side in [&mut scope.sides.control, &mut scope.sides.experiment] {
        "now-1h".clone_into(&mut side.start.value);
        "now".clone_into(&mut side.end.value);
    }
    let (name, pair) = scope.pair(now)?;
    let (control, experiment) = (pair.control_scope?, pair.experiment_scope?);
    let parameters = |scope: &CanaryScope| scope.extended_scope_params.clone().unwrap_or_default();
    let (own, others) = (parameters(&experiment), parameters(&control));
    if let Some(name) = differing(&own, &others) {
        let told = format!(
            "'{name}' is not the same on both sides: an analysis has one value of it for both"
        );
        scope.sides.experiment.parameters.problem = Some(told);
        return None;
    }
    Some(CanaryAnalysisExecutionRequestScope {
        scope_name: name,
        control_scope: control.scope,
        control_location: control.location,
        experiment_scope: experiment.scope,
        experiment_location: experiment.location,
        step: experiment.step.unwrap_or(60),
        extended_scope_params: own,
        ..CanaryAnalysisExecutionRequestScope::default()
    })
}

fn differing<'a>(
    one: &'a IndexMap<String, String>,
    other: &'a IndexMap<String, String>,
) -> Option<&'a str> {
    let mut names = one.keys().chain(other.keys());
    names
        .find(|name| one.get(*name) != other.get(*name))
        .map(String::as_str)
}

fn minutes(text: &str) -> Result<i64, String> {
    let minutes = text.parse().ok().filter(|minutes| 0 < *minutes);
    minutes.ok_or_else(|| format!("'{text}' is no number of minutes; one such as 60 is wanted"))
}
