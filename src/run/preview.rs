//! One metric over a time that has passed, fetched, mixed and judged as in a canary. Nothing of it is kept.

use std::sync::Arc;

use futures::future::try_join;

use super::canary::within;
use super::judges::{self, Question};
use super::{learned, sources};
use crate::access::Caller;
use crate::app::App;
use crate::budget::Share;
use crate::canary::{
    CanaryClassifierThresholdsConfig, CanaryConfig, CanaryJudgeResult, CanaryMetricSetQueryConfig,
    CanaryScope, MetricSet, MetricSetPair, Pair, Window,
};
use crate::error::{Error, Result};
use crate::metrics::{self, MetricRequest, MetricSource, mix};

/// What most canaries are judged by; of one metric, they decide nothing.
const THRESHOLDS: CanaryClassifierThresholdsConfig = CanaryClassifierThresholdsConfig {
    pass: Some(95.0),
    marginal: Some(75.0),
};

/// What is to be looked at.
#[derive(Clone, Debug)]
pub struct Preview {
    /// With one metric.
    pub config: CanaryConfig,
    /// With their times.
    pub scopes: Pair<CanaryScope>,
    /// The metrics account; the only one of its kind, if not given.
    pub account: Option<String>,
}

/// What was found, and the memory that pays for it.
pub struct Previewed {
    pub pairs: Arc<Vec<MetricSetPair>>,
    pub judged: CanaryJudgeResult,
    _share: Arc<Share>,
}

/// Asks both sides, and judges what comes.
///
/// # Errors
/// `Forbidden` to who may not ask the account; `Fetch` when it does not answer; `Invalid` when there is not one
/// metric, no account, or nothing that can be asked or judged; `Unavailable` when nothing new is begun.
pub async fn preview(app: &App, caller: &Caller, asked: Preview) -> Result<Previewed> {
    app.check_open()?;
    let config = Arc::new(asked.config);
    let [metric] = config.metrics.as_deref().unwrap_or_default() else {
        return Err(Error::Invalid("one metric is wanted".to_owned()));
    };
    let account = sources::account(app, asked.account.as_deref(), &config)?;
    app.seen_by(caller).may_ask(&account)?;
    let kind = metric.query.as_ref();
    let kind = kind.map_or("", CanaryMetricSetQueryConfig::kind);
    let name = metric.name.as_deref().unwrap_or_default();
    let source = sources::of(app, Some(&account), kind, name)?;
    let share = app.budget.share_by_hand();
    let request = asked.scopes.as_ref().map(|scope| MetricRequest {
        config: &config,
        metric,
        scope,
        longest: app.config.limits.query_text,
        is_reused: true,
    });
    let (control, experiment) = try_join(
        fetched(app, source.as_ref(), &request.control, &share),
        fetched(app, source.as_ref(), &request.experiment, &share),
    )
    .await?;

    let matched = mix::matched(
        &config,
        Pair {
            control,
            experiment,
        },
    )?;
    let padding = matched.iter().map(mix::Matched::padding);
    let padding = metrics::cost_of_padding(padding.fold(0_usize, usize::saturating_add));
    let paid = share.take_in_turn(padding).await;
    paid.map_err(metrics::too_large)?;
    let mut count = 0_u32;
    let pairs = Arc::new(mix::mix(matched, || {
        count += 1;
        count.to_string()
    }));
    let question = Question {
        learned: learned::of(app, caller, &config).await?.map(Arc::new),
        thresholds: THRESHOLDS,
        pairs: Arc::clone(&pairs),
        look: None,
        config,
    };
    Ok(Previewed {
        judged: judges::judge(app, question).await?,
        pairs,
        _share: share,
    })
}

/// Of the one metric.
async fn fetched(
    app: &App,
    source: &dyn MetricSource,
    request: &MetricRequest<'_>,
    share: &Arc<Share>,
) -> Result<Vec<Vec<MetricSet>>> {
    let window = Window::of(request.scope, app.clock.now_millis());
    Ok(vec![within(window, source.fetch(request, share).await?)])
}
