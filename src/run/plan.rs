//! The windows of a standalone canary analysis. Pure.

use indexmap::IndexMap;
use jiff::{SignedDuration, Timestamp};

use crate::canary::{
    AnalysisStage, CanaryAnalysisExecutionRequest, CanaryAnalysisExecutionRequestScope,
    CanaryClassifierThresholdsConfig, CanaryExecutionRequest, CanaryScope, CanaryScopePair,
    Instant, Look, LookWindow,
};
use crate::error::{Error, Result};

/// When which canary runs, and over what.
#[derive(Clone, Debug)]
pub struct Plan {
    request: CanaryAnalysisExecutionRequest,
    thresholds: CanaryClassifierThresholdsConfig,
    marginal: f64,
    planned_at: Timestamp,
    starts: Vec<Timestamp>,
    interval: SignedDuration,
    lifetime: SignedDuration,
    runs: u32,
    /// Minutes at the end that no canary judges.
    left_over: i64,
    /// The windows lie in the past: nothing is waited for.
    is_retrospective: bool,
}

impl Plan {
    /// # Errors
    /// `Invalid` in the words that Kayenta would use later, where it has words.
    pub fn of(request: &CanaryAnalysisExecutionRequest, planned_at: i64) -> Result<Self> {
        let scopes = request.scopes.as_deref().unwrap_or_default();
        let Some(first) = scopes.first() else {
            return invalid("Canary StageExecution configuration must contain at least one scope.");
        };
        let Some(thresholds) = request.thresholds else {
            return invalid("scoreThresholds is marked non-null but is null");
        };
        let (Some(marginal), Some(_)) = (thresholds.marginal, thresholds.pass) else {
            return invalid("thresholds must have a pass and a marginal score, e.g. 95 and 75");
        };
        let planned_at = Timestamp::from_millisecond(planned_at).unwrap_or_default();
        let start = instant(first.start_time_iso.as_deref())?;
        let end = instant(first.end_time_iso.as_deref())?;
        let lifetime = match (end, request.lifetime_duration_mins) {
            (Some(end), _) => end.duration_since(start.unwrap_or(planned_at)).as_secs() / 60,
            (None, Some(minutes)) => minutes,
            (None, None) => {
                return invalid(
                    "Canary StageExecution configuration must include either `endTime` or `lifetimeDuration`.",
                );
            }
        };
        if lifetime <= 0 {
            return invalid(format!(
                "the analysis would last {lifetime} minutes; from its start to its end there must be one at least"
            ));
        }
        let interval = request
            .analysis_interval_mins
            .filter(|minutes| 0 < *minutes && *minutes <= lifetime)
            .unwrap_or(lifetime);
        for (name, minutes) in [
            ("beginAfterMins", request.begin_after_mins),
            ("lookbackMins", request.lookback_mins),
            ("lifetimeDurationMins", lifetime),
        ] {
            // A year, so that no window leaves the calendar.
            if !(0..=527_040).contains(&minutes) {
                return invalid(format!(
                    "'{minutes}' is out of range; {name} may be 0 to 527040"
                ));
            }
        }
        let rest = lifetime % interval;
        let judges_rest = 0 < rest && request.judge_remainder;
        let runs = lifetime / interval + i64::from(judges_rest);
        if runs > 1000 {
            return invalid(format!(
                "{runs} canaries are too many for one analysis; with a larger analysisIntervalMins there may be 1000"
            ));
        }
        let starts = scopes
            .iter()
            .map(|scope| {
                let own = instant(scope.start_time_iso.as_deref())?;
                instant(scope.end_time_iso.as_deref())?;
                Ok(own.or(start).unwrap_or(planned_at))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            request: request.clone(),
            thresholds,
            marginal,
            planned_at,
            starts,
            interval: SignedDuration::from_mins(interval),
            lifetime: SignedDuration::from_mins(lifetime),
            runs: u32::try_from(runs).unwrap_or(1),
            left_over: if judges_rest { 0 } else { rest },
            is_retrospective: end.is_some(),
        })
    }

    /// How many canaries there are.
    pub const fn runs(&self) -> u32 {
        self.runs
    }

    /// What is never judged, because the interval does not divide the lifetime.
    pub fn left_over(&self) -> Option<String> {
        let minutes = |duration: SignedDuration| duration.as_mins();
        (0 < self.left_over).then(|| {
            format!(
                "the remaining {} of {} minutes are not judged: an interval of {} does not divide them",
                self.left_over,
                minutes(self.lifetime),
                minutes(self.interval)
            )
        })
    }

    /// From the start to the end of the canary of that number.
    fn grown(&self, run: u32) -> SignedDuration {
        let whole = self.interval * i32::try_from(run).unwrap_or(1);
        whole.min(self.lifetime)
    }

    /// Which judgement the canary of that number is.
    pub const fn look(&self, run: u32) -> Look {
        Look {
            number: run,
            planned: self.runs,
            window: LookWindow::of(self.request.lookback_mins),
        }
    }

    pub const fn marginal(&self) -> f64 {
        self.marginal
    }

    /// Waits and canaries in their order, none of them started.
    pub fn stages(&self) -> Vec<AnalysisStage> {
        let mut stages = Vec::new();
        if self.request.begin_after_mins > 0 && !self.is_retrospective {
            stages.push(AnalysisStage::new(AnalysisStage::WAIT, "Warmup Wait"));
        }
        for run in 1..=self.runs {
            if !self.is_retrospective {
                let name = format!("Interval Wait #{run}");
                stages.push(AnalysisStage::new(AnalysisStage::WAIT, name));
            }
            let name = format!("Run Canary #{run}");
            stages.push(AnalysisStage::new(AnalysisStage::RUN_CANARY, name));
        }
        stages
    }

    /// When a wait is over: at the end of the window that the next canary judges. An interval
    /// that began late does not end late.
    pub fn due_millis(&self, stages: &[AnalysisStage], at: usize) -> i64 {
        let warmup = SignedDuration::from_mins(self.request.begin_after_mins);
        let waited = if stages[at].name == "Warmup Wait" {
            warmup
        } else {
            warmup + self.grown(run_number(stages, at))
        };
        self.planned_at
            .saturating_add(waited)
            .unwrap_or(self.planned_at)
            .as_millisecond()
    }

    /// What the canary of that number judges, from 1.
    pub fn request(&self, run: u32) -> CanaryExecutionRequest {
        let scopes = self.request.scopes.as_deref().unwrap_or_default();
        let scopes: IndexMap<String, CanaryScopePair> = scopes
            .iter()
            .zip(&self.starts)
            .map(|(scope, start)| (scope.scope_name.clone(), self.pair(scope, *start, run)))
            .collect();
        CanaryExecutionRequest {
            scopes: Some(scopes),
            thresholds: Some(self.thresholds),
            metadata: None,
            site_local: self.request.site_local.clone(),
            // The analysis takes them.
            actions: None,
        }
    }

    /// The same scopes from their start to a later end, which has passed: nothing is waited for.
    pub fn until(&self, end: Instant) -> CanaryAnalysisExecutionRequest {
        let later = end.0.duration_since(self.end().0);
        let scopes = self.request.scopes.iter().flatten().zip(&self.starts);
        let scopes = scopes.map(|(scope, start)| {
            let begin = add(*start, self.warmup());
            let end = add(begin, self.lifetime + later);
            CanaryAnalysisExecutionRequestScope {
                start_time_iso: Some(Instant(begin).to_string()),
                end_time_iso: Some(Instant(end).to_string()),
                ..scope.clone()
            }
        });
        CanaryAnalysisExecutionRequest {
            scopes: Some(scopes.collect()),
            lifetime_duration_mins: None,
            begin_after_mins: 0,
            judge_remainder: true,
            actions: None,
            ..self.request.clone()
        }
    }

    /// When the last window of all sides ends.
    pub fn end(&self) -> Instant {
        let scopes = self.request.scopes.iter().flatten().zip(&self.starts);
        let ends = scopes.map(|(scope, start)| {
            let ahead = (-scope.control_offset_in_minutes).max(0);
            let ahead = SignedDuration::from_mins(ahead);
            add(*start, self.warmup() + self.lifetime + ahead)
        });
        Instant(ends.max().unwrap_or(self.planned_at))
    }

    /// When the canary of that number judges, in epoch milliseconds.
    pub fn judges_at(&self, run: u32) -> i64 {
        let waited = self.warmup() + self.grown(run);
        add(self.planned_at, waited).as_millisecond()
    }

    /// The lifetime that its canaries judge, in epoch milliseconds.
    pub fn lifetime(&self) -> (i64, i64) {
        let start = self.starts.iter().min().copied();
        let start = add(start.unwrap_or(self.planned_at), self.warmup());
        (
            start.as_millisecond(),
            add(start, self.lifetime).as_millisecond(),
        )
    }

    fn warmup(&self) -> SignedDuration {
        if self.is_retrospective {
            SignedDuration::ZERO
        } else {
            SignedDuration::from_mins(self.request.begin_after_mins)
        }
    }

    fn pair(
        &self,
        scope: &CanaryAnalysisExecutionRequestScope,
        start: Timestamp,
        run: u32,
    ) -> CanaryScopePair {
        let warmup = self.warmup();
        let to = add(start, warmup + self.grown(run));
        let from = match self.request.lookback_mins {
            0 => add(start, warmup),
            minutes => add(to, -SignedDuration::from_mins(minutes)),
        };
        let offset = -SignedDuration::from_mins(scope.control_offset_in_minutes);
        let side = |name: &Option<String>, location: &Option<String>, shift| CanaryScope {
            scope: name.clone(),
            location: location.clone(),
            start: Some(Instant(add(from, shift))),
            end: Some(Instant(add(to, shift))),
            step: Some(scope.step),
            extended_scope_params: Some(scope.extended_scope_params.clone()),
        };
        CanaryScopePair {
            control_scope: Some(side(&scope.control_scope, &scope.control_location, offset)),
            experiment_scope: Some(side(
                &scope.experiment_scope,
                &scope.experiment_location,
                SignedDuration::ZERO,
            )),
        }
    }
}

fn add(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.saturating_add(duration).unwrap_or(time)
}

/// The number of the canary at, or after, a stage; from 1.
pub fn run_number(stages: &[AnalysisStage], at: usize) -> u32 {
    let before = stages[..at].iter().filter(|stage| stage.is_run()).count();
    u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
}

fn instant(text: Option<&str>) -> Result<Option<Timestamp>> {
    let Some(text) = text else {
        return Ok(None);
    };
    match Instant::parse(text) {
        Some(instant) => Ok(Some(instant.0)),
        None => invalid(format!("Text '{text}' could not be parsed at index 0")),
    }
}

fn invalid<T>(message: impl Into<String>) -> Result<T> {
    Err(Error::Invalid(message.into()))
}

#[cfg(test)]
mod tests;
