//! The stages that clients see, and what went wrong in one of them.

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::canary::{CanaryConfig, Pair, StageException, date_from_millis};
use crate::error::{Error, FetchError};

/// One stage; fetches carry the index of their metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Setup,
    FetchControl(usize),
    FetchExperiment(usize),
    Mix,
    Judge,
}

impl Stage {
    /// Whose series it fetches.
    pub const fn side(self) -> &'static str {
        match self {
            Self::FetchControl(_) => "control",
            Self::FetchExperiment(_) => "experiment",
            Self::Setup | Self::Mix | Self::Judge => "",
        }
    }

    /// The task name that an exception carries.
    fn operation(self, config: Option<&CanaryConfig>) -> String {
        match self {
            Self::Setup => "setupCanary".to_owned(),
            Self::FetchControl(index) | Self::FetchExperiment(index) => fetch(config, index),
            Self::Mix => "metricSetMixer".to_owned(),
            Self::Judge => "canaryJudge".to_owned(),
        }
    }
}

/// The task that fetches a metric: `prometheusFetch`.
pub fn fetch(config: Option<&CanaryConfig>, index: usize) -> String {
    let metric = config.and_then(|config| config.metrics.as_ref()?.get(index));
    let query = metric.and_then(|metric| metric.query.as_ref());
    format!("{}Fetch", query.map_or("", |query| query.kind()))
}

/// A step that did not work.
#[derive(Debug)]
pub struct Failure {
    pub stage: Stage,
    pub error: Error,
}

impl Failure {
    /// The failure in the shape that Orca's clients show.
    pub fn exception(&self, config: Option<&CanaryConfig>, now_millis: i64) -> StageException {
        let (kind, details) = match &self.error {
            Error::Fetch(fetch) => fetch_details(fetch),
            Error::Invalid(message) => ("IllegalArgumentException", task_failure(message)),
            Error::NotFound(message) => ("NotFoundException", task_failure(message)),
            other => ("IllegalStateException", task_failure(&other.to_string())),
        };
        StageException {
            exception_type: Some(kind.to_owned()),
            operation: Some(self.stage.operation(config)),
            details,
            timestamp: Some(date_from_millis(now_millis)),
            should_retry: false,
        }
    }
}

fn task_failure(message: &str) -> Map<String, Value> {
    members(json!({"error": "Unexpected Task Failure", "errors": [message], "stackTrace": ""}))
}

fn fetch_details(fetch: &FetchError) -> (&'static str, Map<String, Value>) {
    let FetchError {
        status,
        method,
        url,
        query,
        account,
        metric,
        ..
    } = fetch;
    let message = fetch.to_string();
    let (kind, error) = match status {
        Some(status) => (
            "SpinnakerHttpException",
            format!("Status: {status}, URL: {url}, Message: {message}"),
        ),
        None => ("SpinnakerNetworkException", message.clone()),
    };
    let mut details = members(json!({
        "error": error,
        "errors": [message],
        "stackTrace": "",
        "kind": if status.is_some() { "HTTP" } else { "NETWORK" },
        "url": url,
        "method": method,
        "query": query,
        "account": account,
    }));
    if let Some(status) = status {
        details.insert("status".to_owned(), (*status).into());
    }
    if let Some(metric) = metric {
        details.insert("metric".to_owned(), metric.as_str().into());
    }
    (kind, details)
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    Fetching,
    Mixing,
    Judging,
    End,
    Failed(Stage),
}

/// How far an execution is, told as Kayenta tells it: there the metrics of one side are fetched
/// one after the other, so a side shows as done up to the first metric that is not.
#[derive(Clone, Debug)]
pub struct Stages {
    fetched: Pair<Vec<bool>>,
    /// The metric that failed, by side: when one cannot be asked for, the other often cannot either.
    failed: Pair<Option<usize>>,
    reached: Reached,
}

impl Stages {
    pub fn new(metrics: usize) -> Self {
        Self {
            fetched: Pair {
                control: vec![false; metrics],
                experiment: vec![false; metrics],
            },
            failed: Pair::default(),
            reached: Reached::Fetching,
        }
    }

    pub fn fetched(&mut self, stage: Stage) {
        match stage {
            Stage::FetchControl(index) => self.fetched.control[index] = true,
            Stage::FetchExperiment(index) => self.fetched.experiment[index] = true,
            Stage::Setup | Stage::Mix | Stage::Judge => {}
        }
    }

    /// The one that is under way; of those that are fetched, the first.
    pub fn current(&self) -> Stage {
        let first = |fetched: &[bool]| fetched.iter().position(|done| !done);
        match self.reached {
            Reached::Fetching => match (
                first(&self.fetched.control),
                first(&self.fetched.experiment),
            ) {
                (Some(at), _) => Stage::FetchControl(at),
                (None, Some(at)) => Stage::FetchExperiment(at),
                (None, None) => Stage::Mix,
            },
            Reached::Mixing => Stage::Mix,
            Reached::Judging | Reached::End => Stage::Judge,
            Reached::Failed(stage) => stage,
        }
    }

    pub const fn mixing(&mut self) {
        self.reached = Reached::Mixing;
    }

    pub const fn judging(&mut self) {
        self.reached = Reached::Judging;
    }

    pub const fn complete(&mut self) {
        self.reached = Reached::End;
    }

    pub fn fail(&mut self, stage: Stage) {
        // The first metric of a side counts: as if those behind it had never been asked for.
        let first = |failed: Option<usize>, index| Some(failed.map_or(index, |old| old.min(index)));
        match stage {
            Stage::FetchControl(index) => self.failed.control = first(self.failed.control, index),
            Stage::FetchExperiment(index) => {
                self.failed.experiment = first(self.failed.experiment, index);
            }
            Stage::Setup | Stage::Mix | Stage::Judge => {}
        }
        self.reached = Reached::Failed(stage);
    }

    /// State by stage name.
    pub fn status(&self) -> IndexMap<String, String> {
        let mut status = IndexMap::new();
        let mut put = |name: String, state: &str| status.insert(name, state.to_owned());
        put(
            "setupContext".to_owned(),
            match self.reached {
                Reached::Failed(Stage::Setup) => "terminal",
                _ => "succeeded",
            },
        );
        for (name, fetched, failed) in [
            ("fetchControl", &self.fetched.control, self.failed.control),
            (
                "fetchExperiment",
                &self.fetched.experiment,
                self.failed.experiment,
            ),
        ] {
            for (index, state) in self.side(fetched, failed).into_iter().enumerate() {
                put(format!("{name}{index}"), state);
            }
        }
        put("mixMetrics".to_owned(), self.later(Stage::Mix));
        put("judge".to_owned(), self.later(Stage::Judge));
        status
    }

    fn side(&self, fetched: &[bool], failed: Option<usize>) -> Vec<&'static str> {
        let unfinished = match self.reached {
            Reached::Failed(_) => "canceled",
            _ => "running",
        };
        let frontier = fetched.iter().position(|done| !done);
        (0..fetched.len())
            .map(|index| match (failed, frontier) {
                (Some(failed), _) if index == failed => "terminal",
                (Some(failed), _) if index > failed => "not_started",
                (Some(_), _) if !fetched[index] => "canceled",
                (None, Some(frontier)) if index == frontier => unfinished,
                (None, Some(frontier)) if index > frontier => "not_started",
                _ => "succeeded",
            })
            .collect()
    }

    fn later(&self, stage: Stage) -> &'static str {
        match (self.reached, stage) {
            (Reached::End, _) | (Reached::Judging | Reached::Failed(Stage::Judge), Stage::Mix) => {
                "succeeded"
            }
            (Reached::Failed(failed), _) if failed == stage => "terminal",
            (Reached::Mixing, Stage::Mix) | (Reached::Judging, Stage::Judge) => "running",
            _ => "not_started",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(stages: &Stages) -> String {
        let status = stages.status();
        let short = |state: &String| state.chars().next().unwrap_or('?').to_string();
        status.values().map(short).collect()
    }

    #[test]
    fn a_side_shows_as_done_up_to_the_first_metric_that_is_not() {
        // setup, control 0..3, experiment 0..3, mix, judge
        let mut stages = Stages::new(3);
        assert_eq!(told(&stages), "srnnrnnnn");
        stages.fetched(Stage::FetchControl(1));
        assert_eq!(told(&stages), "srnnrnnnn");
        stages.fetched(Stage::FetchControl(0));
        assert_eq!(told(&stages), "sssrrnnnn");
        stages.fail(Stage::FetchControl(2));
        assert_eq!(told(&stages), "ssstcnnnn");
        stages.fail(Stage::FetchExperiment(0));
        assert_eq!(told(&stages), "sssttnnnn");
    }

    #[test]
    fn later_stages_follow() {
        let mut stages = Stages::new(1);
        stages.fetched(Stage::FetchControl(0));
        stages.fetched(Stage::FetchExperiment(0));
        stages.mixing();
        assert_eq!(told(&stages), "sssrn");
        stages.judging();
        assert_eq!(told(&stages), "ssssr");
        stages.fail(Stage::Judge);
        assert_eq!(told(&stages), "sssst");
        stages.fail(Stage::Mix);
        assert_eq!(told(&stages), "ssstn");
        stages.complete();
        assert_eq!(told(&stages), "sssss");
    }
}
