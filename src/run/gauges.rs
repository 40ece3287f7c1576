//! What the newest canary of an application and a config came to, for a Prometheus.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::canary::{Event, Told};

/// Pairs of an application and a config that are told: clients choose the names of both.
const MOST_TOLD: usize = 1_000;

/// Those that are told, and whether a score of them is.
static TOLD: LazyLock<Mutex<HashMap<[String; 2], bool>>> = LazyLock::new(Mutex::default);

/// A verdict that does not stand has no score; an older one would be taken for it.
pub fn tell(canary: &Told<'_>) {
    let config = match canary.config_name() {
        "" => "ad-hoc",
        name => name,
    };
    let labels = [canary.application.to_owned(), config.to_owned()];
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if MOST_TOLD <= told.len() && !told.contains_key(&labels) {
        return;
    }
    let [application, config] = labels.clone();
    let has_score = told.entry(labels).or_insert(false);
    *has_score |= canary.score.is_some();
    if *has_score {
        let labels = [
            ("application", application.clone()),
            ("config", config.clone()),
        ];
        let score = canary.score.unwrap_or(f64::NAN);
        ::metrics::gauge!("serin_canary_score", &labels).set(score);
    }
    let came_to = Event::of_end(canary.outcome);
    for end in Event::ENDS {
        let labels = [
            ("application", application.clone()),
            ("config", config.clone()),
            ("outcome", end.as_str().to_owned()),
        ];
        let is_it = f64::from(u8::from(came_to == Some(end)));
        ::metrics::gauge!("serin_canary_outcome", &labels).set(is_it);
    }
}
