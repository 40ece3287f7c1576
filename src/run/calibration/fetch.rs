//! The series of all windows at once: one query for each metric and pod.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::stream::{self, StreamExt, TryStreamExt};

use super::Work;
use crate::app::App;
use crate::budget::Share;
use crate::calibration::Twin;
use crate::canary::{CanaryMetricSetQueryConfig, CanaryScope, Instant, MetricSet};
use crate::error::{Error, Result};
use crate::metrics::MetricRequest;
use crate::run::sources;

/// The account bounds what is under way; what waits beyond has no text yet.
const QUERIES_AT_ONCE: usize = 32;

/// By pod, then by metric.
pub async fn all(app: &App, work: &Work, share: &Arc<Share>) -> Result<Vec<Vec<Vec<MetricSet>>>> {
    let metrics = work.config.metrics.as_deref().unwrap_or_default();
    let scopes = (0..work.plan.pods()).map(|pod| scope(work, pod));
    let scopes = scopes.collect::<Result<Vec<_>>>()?;
    let named = work.calibration.metrics_account_name.as_deref();
    let scopes = &scopes;
    let all = (0..scopes.len()).flat_map(|pod| (0..metrics.len()).map(move |metric| (pod, metric)));
    let queries = all.map(|(pod, metric)| async move {
        let (scope, metric) = (&scopes[pod], &metrics[metric]);
        let kind = metric.query.as_ref().map(CanaryMetricSetQueryConfig::kind);
        let name = metric.name.as_deref();
        let source = sources::of(
            app,
            named,
            kind.unwrap_or_default(),
            name.unwrap_or_default(),
        )?;
        let asked = MetricRequest {
            config: &work.config,
            metric,
            scope,
            longest: app.config.limits.query_text,
            // Nobody asks for so long a time again.
            is_reused: false,
        };
        let fetched = source.fetch(&asked, share).await;
        let fetched = fetched.map_err(|error| error.of_metric(name))?;
        work.live.fetched.fetch_add(1, Ordering::Relaxed);
        Ok::<_, Error>(fetched)
    });
    let mut fetched: Vec<Vec<MetricSet>> = stream::iter(queries)
        .buffered(QUERIES_AT_ONCE)
        .try_collect()
        .await?;
    let pods = (0..scopes.len()).map(|_| {
        let rest = fetched.split_off(metrics.len());
        std::mem::replace(&mut fetched, rest)
    });
    Ok(pods.collect())
}

/// A pod over the whole time. The end of the last window belongs to none.
fn scope(work: &Work, pod: usize) -> Result<CanaryScope> {
    let (plan, request) = (&work.plan, &work.calibration.request);
    let end = plan.start_of(pod) + plan.end() - plan.start;
    let of = match (plan.twin, pod) {
        (Twin::Shift(_), _) | (_, 0) => &request.control,
        (Twin::Pods(_), other) => &request.against[other - 1],
    };
    let time = |millis| {
        Instant::from_millis(millis)
            .ok_or_else(|| Error::Invalid("the windows lie beyond all times".to_owned()))
    };
    Ok(CanaryScope {
        start: Some(time(plan.series_of(pod))?),
        end: Some(time(end - plan.step)?),
        step: Some(plan.step / 1000),
        ..of.clone()
    })
}
