//! The end of an execution, as the log and the metrics tell it.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use tracing::Span;

use crate::app::App;
use crate::canary::{Execution, ExecutionStatus, names};
use crate::storage::Claim;
use crate::telemetry::traces;

/// Applications that are counted each for itself: clients choose their names, and what is counted once stays in
/// memory.
const MOST_COUNTED: usize = 100;

/// All that came later.
const OTHER: &str = "other";

static COUNTED: LazyLock<Mutex<HashSet<String>>> = LazyLock::new(Mutex::default);

/// The span of an attempt, below what accepted the execution.
pub fn span<E: Execution>(claim: &Claim, document: &E, traceparent: Option<&str>) -> Span {
    traces::of_execution(
        claim.kind.as_str(),
        &claim.id,
        document.application(),
        traceparent,
    )
}

pub fn tell<E: Execution>(app: &App, document: &E, span: &Span, what: &str) {
    let told = document.told();
    let kind = told.kind.as_str();
    let outcome = told.outcome.as_str();
    let public = app.config.server.public_url.as_deref().unwrap_or_default();
    tracing::info!(
        status = document.status().as_str(),
        outcome,
        score = told.score,
        application = told.application,
        config = told.config_name(),
        link = format!("{public}{}/{}", told.kind.page(), told.id),
        "{what}"
    );
    span.record("serin.outcome", outcome);
    span.record("serin.score", told.score);
    if document.status() != ExecutionStatus::Succeeded {
        span.record("otel.status_code", "ERROR");
    }
    let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    let application = counted_as(&mut counted, told.application);
    ::metrics::counter!("serin_outcomes_total", "kind" => kind, "application" => application, "outcome" => outcome)
        .increment(1);
}

fn counted_as(counted: &mut HashSet<String>, application: &str) -> String {
    let name = names::cut(application.to_owned());
    if counted.contains(&name) {
        return name;
    }
    if MOST_COUNTED <= counted.len() {
        return OTHER.to_owned();
    }
    counted.insert(name.clone());
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applications_past_the_bound_are_counted_as_one() {
        let mut counted = HashSet::new();
        for at in 0..MOST_COUNTED {
            let name = at.to_string();
            assert_eq!(counted_as(&mut counted, &name), name);
        }
        assert_eq!(counted_as(&mut counted, "one-more"), OTHER);
        assert_eq!(counted_as(&mut counted, "0"), "0");
        assert_eq!(counted.len(), MOST_COUNTED);
    }
}
