//! What people did about an execution, and what they can do.

use super::Moment;
use crate::canary::{ByHand, Outcome, Told};

#[derive(Clone, Debug, Default)]
pub struct ByHandView {
    pub accepted: Option<AcceptedView>,
    pub repeats: Option<String>,
    pub repeated_by: Option<String>,
    pub can_be_accepted: bool,
    pub can_be_repeated: bool,
}

#[derive(Clone, Debug)]
pub struct AcceptedView {
    pub reason: String,
    pub by: Option<String>,
    pub time: Option<Moment>,
}

pub fn by_hand(told: &Told<'_>) -> ByHandView {
    let ByHand {
        accepted,
        repeats,
        repeated_by,
    } = told.by_hand;
    let text = |text: Option<&str>| text.map(str::to_owned);
    ByHandView {
        can_be_accepted: accepted.is_none() && told.outcome.can_be_accepted(),
        // What passed needs no other look.
        can_be_repeated: repeated_by.is_none()
            && told.outcome.is_final()
            && told.outcome != Outcome::Pass,
        accepted: accepted.map(|accepted| AcceptedView {
            reason: accepted.reason.clone(),
            by: accepted.by.clone(),
            time: Moment::of_millis(accepted.time_millis),
        }),
        repeats: text(repeats),
        repeated_by: text(repeated_by),
    }
}
