//! The hooks of Flagger, and what each is answered. Pure.

use crate::canary::Outcome;

/// When Flagger asks. In the order of a rollout, as far as they may start an analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// Before anything moves; a no waits. Flagger (1.44 as well) sends the checksum of the revision
    /// before with it, so that nothing may be started or told by it.
    ConfirmRollout,
    /// Before the first traffic; a no counts as a failed check.
    PreRollout,
    /// Before each step of traffic, the first one included; a no waits.
    ConfirmTrafficIncrease,
    /// At each interval while there is traffic; a no counts as a failed check.
    Rollout,
    /// Before the canary becomes the primary; a no waits.
    ConfirmPromotion,
    /// At each interval, first of all; a yes rolls back.
    Rollback,
    /// Once it has succeeded or failed; the answer is passed over.
    PostRollout,
    Event,
}

/// How the run of a revision stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    None,
    Running,
    Passed,
    /// Above the marginal threshold, below that of a pass.
    Marginal,
    /// What was measured cannot carry a verdict.
    Inconclusive,
    /// It did not pass, and somebody goes on with it all the same.
    Accepted,
    Failed,
    /// Without a verdict: an error, or somebody canceled it.
    Ended,
    /// It failed, and Flagger was told to roll back a moment ago.
    RolledBack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
}

/// What happens to the run before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    Nothing,
    /// The next hook starts anew; what still runs is canceled.
    Close,
    /// The same, but `rollback` keeps its answer for a while.
    RollBack,
}

impl Standing {
    /// Of the analysis of a revision.
    pub const fn of(outcome: Outcome, is_accepted: bool) -> Self {
        match outcome {
            _ if is_accepted => Self::Accepted,
            Outcome::Waiting | Outcome::Running => Self::Running,
            Outcome::Pass => Self::Passed,
            Outcome::Marginal => Self::Marginal,
            Outcome::Inconclusive => Self::Inconclusive,
            Outcome::Fail => Self::Failed,
            Outcome::Error | Outcome::Canceled => Self::Ended,
        }
    }
}

impl Hook {
    pub const ALL: [Self; 8] = [
        Self::ConfirmRollout,
        Self::PreRollout,
        Self::ConfirmTrafficIncrease,
        Self::Rollout,
        Self::ConfirmPromotion,
        Self::Rollback,
        Self::PostRollout,
        Self::Event,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfirmRollout => "confirm-rollout",
            Self::PreRollout => "pre-rollout",
            Self::ConfirmTrafficIncrease => "confirm-traffic-increase",
            Self::Rollout => "rollout",
            Self::ConfirmPromotion => "confirm-promotion",
            Self::Rollback => "rollback",
            Self::PostRollout => "post-rollout",
            Self::Event => "event",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|hook| hook.as_str() == name)
    }

    /// Whether its metadata describe an analysis.
    pub const fn describes(self) -> bool {
        !matches!(self, Self::Rollback | Self::PostRollout | Self::Event)
    }

    pub fn may_start(self) -> bool {
        self.describes() && self != Self::ConfirmRollout
    }

    /// Whether Flagger would go on without any analysis if the hook described none.
    pub const fn must_describe(self) -> bool {
        matches!(
            self,
            Self::ConfirmRollout | Self::PreRollout | Self::Rollout
        )
    }
}

/// The table of `docs/flagger.md`. What a hook starts is running.
pub const fn decide(hook: Hook, standing: Standing) -> (Answer, Deed) {
    use Answer::{No, Yes};
    use Standing::{
        Accepted, Ended, Failed, Inconclusive, Marginal, None, Passed, RolledBack, Running,
    };
    match hook {
        Hook::Event | Hook::ConfirmRollout => (Yes, Deed::Nothing),
        // An analysis needs traffic: who waited for its end here would wait for ever.
        Hook::PreRollout | Hook::ConfirmTrafficIncrease | Hook::Rollout => match standing {
            None | Running | Passed | Accepted | RolledBack => (Yes, Deed::Nothing),
            Marginal | Inconclusive | Failed | Ended => (No, Deed::Nothing),
        },
        Hook::ConfirmPromotion => match standing {
            Passed | Accepted => (Yes, Deed::Nothing),
            None | Running | Marginal | Inconclusive | Failed | Ended | RolledBack => {
                (No, Deed::Nothing)
            }
        },
        Hook::Rollback => match standing {
            Failed => (Yes, Deed::RollBack),
            // Its answer may have been lost, or Flagger may not have been able to roll back.
            RolledBack => (Yes, Deed::Nothing),
            None | Running | Passed | Marginal | Inconclusive | Accepted | Ended => {
                (No, Deed::Nothing)
            }
        },
        Hook::PostRollout => match standing {
            None => (Yes, Deed::Nothing),
            Running | Passed | Marginal | Inconclusive | Accepted | Failed | Ended | RolledBack => {
                (Yes, Deed::Close)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hook_is_answered_in_every_state() {
        use Standing::{
            Accepted, Ended, Failed, Inconclusive, Marginal, None, Passed, RolledBack, Running,
        };
        let states = [
            None,
            Running,
            Passed,
            Marginal,
            Inconclusive,
            Accepted,
            Failed,
            Ended,
            RolledBack,
        ];
        let go_on = "y y y n n y n n y";
        let cases = [
            (Hook::ConfirmRollout, "y y y y y y y y y"),
            (Hook::PreRollout, go_on),
            (Hook::ConfirmTrafficIncrease, go_on),
            (Hook::Rollout, go_on),
            (Hook::ConfirmPromotion, "n n y n n y n n n"),
            (Hook::Rollback, "n n n n n n r n y"),
            (Hook::PostRollout, "y c c c c c c c c"),
            (Hook::Event, "y y y y y y y y y"),
        ];
        for (hook, expected) in cases {
            let answers = states.map(|standing| match decide(hook, standing) {
                (Answer::Yes, Deed::Nothing) => "y",
                (Answer::No, Deed::Nothing) => "n",
                (Answer::Yes, Deed::Close) => "c",
                (Answer::Yes, Deed::RollBack) => "r",
                (Answer::No, Deed::Close | Deed::RollBack) => "nobody is told",
            });
            assert_eq!(answers.join(" "), expected, "{}", hook.as_str());
        }
    }

    #[test]
    fn names_are_those_of_flagger() {
        for hook in Hook::ALL {
            assert_eq!(Hook::parse(hook.as_str()), Some(hook));
        }
        assert_eq!(Hook::parse("Rollout"), None);
    }
}
