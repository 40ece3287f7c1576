//! An execution that has ended, as every report tells it.

use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use crate::canary::told::Times;
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Execution, Kind, Outcome,
};
use crate::command::client::Client;
use crate::command::exit::Exit;
use crate::report::analysis::{AnalysisView, analysis};
use crate::report::view::{self, FailureView, RunView, Thresholds};

pub struct Ending {
    pub id: String,
    pub application: String,
    pub config_name: String,
    pub outcome: Outcome,
    pub score: Option<String>,
    pub thresholds: Option<Thresholds>,
    /// Why the verdict is what it is.
    pub sentence: String,
    pub failure: Option<FailureView>,
    /// What is compared, and when.
    pub title: String,
    /// The canary that decided: the only one, or the last of an analysis.
    pub run: Option<RunView>,
    pub analysis: Option<AnalysisView>,
    /// To the page of it.
    pub link: Option<String>,
    pub begun: Option<i64>,
    /// From its start to its end.
    pub took: Option<Duration>,
    /// As the server told it.
    pub document: Value,
}

impl Ending {
    /// Asks the server for the last canary of an analysis.
    pub async fn of(
        client: &Client,
        kind: Kind,
        title: String,
        link: Option<String>,
        document: Value,
    ) -> anyhow::Result<Self> {
        let ending = match kind {
            Kind::Analysis => Self::of_analysis(client, title, document).await?,
            Kind::Canary | Kind::Comparison => Self::of_canary(title, document)?,
        };
        Ok(Self { link, ..ending })
    }

    fn of_canary(title: String, document: Value) -> anyhow::Result<Self> {
        let canary: CanaryExecutionStatusResponse =
            serde_json::from_value(document.clone()).context("the execution cannot be read")?;
        let run = view::run(&canary, None);
        let times = canary.told().times;
        Ok(Self {
            begun: times.begun(),
            took: took(times),
            id: run.id.clone(),
            application: run.application.clone(),
            config_name: run.config_name.clone(),
            outcome: run.outcome,
            score: run.score.clone(),
            thresholds: run.thresholds.clone(),
            sentence: run.sentence.clone(),
            failure: run.failure.clone(),
            title,
            run: Some(run),
            analysis: None,
            link: None,
            document,
        })
    }

    async fn of_analysis(client: &Client, title: String, document: Value) -> anyhow::Result<Self> {
        let whole: CanaryAnalysisExecutionStatusResponse =
            serde_json::from_value(document.clone()).context("the analysis cannot be read")?;
        let told = whole.told();
        let last = told.looks.iter().rev().find_map(|look| look.run);
        let last: Option<CanaryExecutionStatusResponse> = match last {
            Some(id) => {
                let found = client.get(&format!("{}/{id}", Kind::Canary.path())).await?;
                Some(serde_json::from_value(found).context("the execution cannot be read")?)
            }
            None => None,
        };
        let shown = analysis(&whole, last.as_slice(), None);
        Ok(Self {
            begun: told.times.begun(),
            took: took(told.times),
            id: shown.id.clone(),
            application: shown.application.clone(),
            config_name: shown.config_name.clone(),
            outcome: shown.outcome,
            score: shown.score.clone(),
            thresholds: shown.thresholds.clone(),
            sentence: shown.sentence.clone(),
            failure: shown.failure.clone(),
            title,
            run: last.map(|last| view::run(&last, None)),
            analysis: Some(shown),
            link: None,
            document,
        })
    }

    /// What the end means for a pipeline.
    pub const fn exit(&self) -> Exit {
        match self.outcome {
            Outcome::Pass => Exit::Pass,
            Outcome::Marginal => Exit::Marginal,
            Outcome::Fail => Exit::Fail,
            Outcome::Inconclusive => Exit::Inconclusive,
            Outcome::Waiting | Outcome::Running | Outcome::Error | Outcome::Canceled => {
                Exit::Unavailable
            }
        }
    }
}

fn took(times: Times) -> Option<Duration> {
    let millis = times.ended?.checked_sub(times.begun()?)?;
    u64::try_from(millis).ok().map(Duration::from_millis)
}
