//! What the newest canary of an application and a config came to, for a Prometheus.

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;

use crate::canary::{Event, Told, names};
use crate::telemetry::Families;

/// Pairs of an application and a config that are told: clients choose the names of both. Beyond,
/// what was told longest ago is forgotten.
const MOST_TOLD: usize = 300;

static GAUGES: LazyLock<Mutex<Gauges>> = LazyLock::new(Mutex::default);

/// A verdict that does not stand has no score; an older one would be taken for it.
pub fn tell(canary: &Told<'_>) {
    gauges().tell(canary);
}

/// In Prometheus's text format. The recorder of the other metrics never forgets one.
pub fn text() -> String {
    gauges().text()
}

fn gauges() -> MutexGuard<'static, Gauges> {
    GAUGES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was told last comes last.
#[derive(Default)]
struct Gauges(IndexMap<Labels, Newest>);

#[derive(PartialEq, Eq, Hash)]
struct Labels {
    application: String,
    config: String,
}

struct Newest {
    /// None while there never was one.
    score: Option<f64>,
    came_to: Option<Event>,
}

impl Gauges {
    fn tell(&mut self, canary: &Told<'_>) {
        let config = match canary.config_name() {
            "" => "ad-hoc",
            name => name,
        };
        let labels = Labels {
            application: names::cut(canary.application.to_owned()),
            config: names::cut(config.to_owned()),
        };
        let before = self.0.shift_remove(&labels);
        let had_score = before.is_some_and(|newest| newest.score.is_some());
        let newest = Newest {
            score: canary.score.or(had_score.then_some(f64::NAN)),
            came_to: Event::of_end(canary.outcome),
        };
        self.0.insert(labels, newest);
        if MOST_TOLD < self.0.len() {
            self.0.shift_remove_index(0);
        }
    }

    fn text(&self) -> String {
        let mut families = Families::default();
        families.begin("serin_canary_score");
        for (labels, newest) in &self.0 {
            if let Some(score) = newest.score {
                families.tell(&labels.pairs(), score);
            }
        }
        families.begin("serin_canary_outcome");
        for (labels, newest) in &self.0 {
            let [application, config] = labels.pairs();
            for end in Event::ENDS {
                let is_it = u8::from(newest.came_to == Some(end));
                let labels = [application, config, ("outcome", end.as_str())];
                families.tell(&labels, is_it.into());
            }
        }
        families.text()
    }
}

impl Labels {
    fn pairs(&self) -> [(&str, &str); 2] {
        [("application", &self.application), ("config", &self.config)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canary::{CanaryExecutionStatusResponse, Execution};

    #[test]
    fn what_was_told_longest_ago_is_forgotten_and_long_names_are_cut() {
        let mut gauges = Gauges::default();
        for at in 0..1_000 {
            let canary = CanaryExecutionStatusResponse {
                application: Some(format!("{at}-{}", "n".repeat(100_000))),
                ..CanaryExecutionStatusResponse::default()
            };
            gauges.tell(&canary.told());
        }
        let text = gauges.text();
        assert!(text.len() < 1_000_000, "{}", text.len());
        let outcomes = text.matches("outcome=\"pass\"").count();
        assert_eq!(outcomes, MOST_TOLD);
        assert!(text.contains("application=\"999-nnn"));
        assert!(!text.contains("application=\"699-nnn"));
    }
}
