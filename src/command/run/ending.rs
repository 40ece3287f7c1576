//! An execution that has ended, as every report tells it.

use anyhow::Context;
use serde_json::Value;

use super::request::{Kind, Start};
use super::verdict::{self, Decision};
use crate::canary::{
    CanaryAnalysisExecutionStatusResponse, CanaryExecutionStatusResponse, Outcome,
};
use crate::command::client::Client;
use crate::command::exit::Exit;
use crate::report::analysis::{AnalysisView, analysis};
use crate::report::view::{self, FailureView, RunView, Thresholds};

pub struct Ending {
    pub decision: Decision,
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
    /// As the server told it.
    pub document: Value,
}

impl Ending {
    /// Asks the server for the last canary of an analysis.
    pub async fn of(
        client: &Client,
        start: &Start,
        link: Option<String>,
        document: Value,
    ) -> anyhow::Result<Self> {
        let ending = match start.kind {
            Kind::Canary => Self::of_canary(start.title.clone(), document)?,
            Kind::Analysis => Self::of_analysis(client, start.title.clone(), document).await?,
        };
        Ok(Self { link, ..ending })
    }

    fn of_canary(title: String, document: Value) -> anyhow::Result<Self> {
        let canary: CanaryExecutionStatusResponse =
            serde_json::from_value(document.clone()).context("the execution cannot be read")?;
        let run = view::run(&canary, None);
        Ok(Self {
            decision: verdict::of_canary(&canary),
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
        let runs = whole.stage_status.iter().rev();
        let last = runs
            .filter(|stage| stage.is_run())
            .find_map(|stage| stage.execution_id.clone());
        let last: Option<CanaryExecutionStatusResponse> = match last {
            Some(id) => {
                let found = client.get(&format!("{}/{id}", Kind::Canary.path())).await?;
                Some(serde_json::from_value(found).context("the execution cannot be read")?)
            }
            None => None,
        };
        let shown = analysis(&whole, last.as_slice());
        Ok(Self {
            decision: verdict::of_analysis(&whole),
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

    /// The verdict in one word; a pass that stands on nothing is none.
    pub fn word(&self) -> &'static str {
        match self.decision.exit {
            Exit::Pass => "Pass",
            Exit::Marginal => "Marginal",
            Exit::Fail => "Fail",
            Exit::Undecided => "Could not tell",
            Exit::Usage | Exit::Unavailable | Exit::Interrupted => self.outcome.word(),
        }
    }

    /// The sentence of the verdict, behind what makes it none.
    pub fn reason(&self) -> String {
        match &self.decision.why {
            Some(why) => format!("{why}. {}", self.sentence),
            None => self.sentence.clone(),
        }
    }
}
