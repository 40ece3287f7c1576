//! `RemoteJudge-v1.0`: a judge over HTTP.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use serde::Serialize;

use crate::app::App;
use crate::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryJudgeResult, MetricSetPair,
};
use crate::config::RemoteJudge;
use crate::error::{Error, FetchError, Result};
use crate::http::{self, Unread, in_words};
use crate::judge::Judgement;

pub const NAME: &str = "RemoteJudge-v1.0";

/// For all attempts together; Kayenta gives its only one as much.
const DEADLINE: Duration = Duration::from_secs(90);

const ATTEMPTS: usize = 3;

const FIRST_WAIT: Duration = Duration::from_millis(500);

const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// How much of an error page is told.
const TOLD_CHARACTERS: usize = 500;

/// What a remote judge is asked; the names are Kayenta's.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Question<'a> {
    canary_config: &'a CanaryConfig,
    score_thresholds: CanaryClassifierThresholdsConfig,
    metric_set_pair_list: &'a [MetricSetPair],
}

/// One attempt that did not work, and whether another one may.
struct Failed {
    error: FetchError,
    again: bool,
}

/// # Errors
/// `Fetch` when the judge does not answer in time, or not with a verdict.
pub async fn judge(
    app: &App,
    remote: &RemoteJudge,
    judgement: &Judgement<'_>,
) -> Result<CanaryJudgeResult> {
    let url = format!("{}/judge", remote.base_url);
    let http = app
        .judge_client
        .get_or_try_init(async || client(&url))
        .await?;
    let question = serde_json::to_vec(&Question {
        canary_config: judgement.config,
        score_thresholds: judgement.thresholds,
        metric_set_pair_list: judgement.pairs,
    })
    .map_err(|cause| Error::Internal(format!("cannot write a question: {cause}")))?;
    let question = bytes::Bytes::from(question);

    let attempts = (|| ask(http, &url, &question))
        .retry(
            ExponentialBuilder::default()
                .with_min_delay(FIRST_WAIT)
                .with_max_times(ATTEMPTS - 1),
        )
        .when(|failed: &Failed| failed.again)
        .notify(|failed, wait| {
            tracing::warn!(error = %failed.error, ?wait, "the remote judge failed; asking again");
        });
    let error = match tokio::time::timeout(DEADLINE, attempts).await {
        Ok(Ok(result)) => return Ok(result),
        Ok(Err(failed)) => failed.error,
        Err(_) => failure(
            &url,
            None,
            format!("the remote judge did not answer within {DEADLINE:?}"),
        ),
    };
    Err(Error::Fetch(Box::new(error)))
}

fn client(url: &str) -> Result<reqwest::Client> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    // The question would not go with a redirect.
    let builder = http::client().redirect(reqwest::redirect::Policy::none());
    http::trusting(builder, scheme, Vec::new())
        .build()
        .map_err(|cause| Error::Internal(format!("cannot ask the remote judge: {cause}")))
}

async fn ask(
    http: &reqwest::Client,
    url: &str,
    question: &bytes::Bytes,
) -> Result<CanaryJudgeResult, Failed> {
    let request = http
        .post(url)
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .body(question.clone());
    let mut response = request.send().await.map_err(|cause| Failed {
        error: failure(
            url,
            None,
            format!("cannot reach the remote judge: {}", in_words(&cause)),
        ),
        again: true,
    })?;
    let status = response.status();
    let failed = |message: String, again| Failed {
        error: failure(url, Some(status.as_u16()), message),
        again,
    };
    let body = http::read(&mut response, MAX_ANSWER_BYTES).await;
    let body = body.map_err(|unread| match unread {
        Unread::Broken(cause) => {
            failed(format!("its answer broke off: {}", in_words(&cause)), true)
        }
        Unread::TooLong(_) => failed(
            format!("the remote judge answered more than {MAX_ANSWER_BYTES} bytes"),
            false,
        ),
    })?;
    if !status.is_success() {
        let page: String = String::from_utf8_lossy(&body)
            .chars()
            .take(TOLD_CHARACTERS)
            .collect();
        return Err(failed(
            format!("the remote judge answered {status}: {page}"),
            status.is_server_error(),
        ));
    }
    let mut reader = serde_json::Deserializer::from_slice(&body);
    serde_path_to_error::deserialize(&mut reader).map_err(|cause| {
        failed(
            format!(
                "the remote judge did not answer with a CanaryJudgeResult; at '{}': {}",
                cause.path(),
                cause.inner()
            ),
            false,
        )
    })
}

fn failure(url: &str, status: Option<u16>, message: String) -> FetchError {
    FetchError {
        message,
        status,
        method: "POST".to_owned(),
        url: url.to_owned(),
        query: String::new(),
        account: NAME.to_owned(),
        metric: None,
    }
}
