//! `/ui/configs/labels`: labels of a metric, and values of one of them, for who writes a query.

use axum::Json;
use axum::extract::{Query, State};

use super::check_start;
use crate::access::Caller;
use crate::app::App;
use crate::config::AccountType::MetricsStore;
use crate::error::Result;
use crate::ui::forms::Fields;

/// More nobody looks through.
const MOST: usize = 1000;

/// Of `account`, those that the series of `metric` have; with `label`, what that has for values. Who does not
/// answer has none.
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(address): Query<Fields>,
) -> Result<Json<Vec<String>>> {
    check_start(&caller, &[])?;
    let account = &app.account(address.given("account"), MetricsStore)?.name;
    app.seen_by(&caller).may_ask(account)?;
    let source = app.metric_source(Some(account))?;
    let labels = source.labels(address.text("metric"), address.given("label"));
    let mut labels = labels.await.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot list labels");
        Vec::new()
    });
    labels.truncate(MOST);
    Ok(Json(labels))
}
