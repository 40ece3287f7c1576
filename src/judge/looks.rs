//! What an analysis comes to by its judgements, whichever judge gave them. Pure.

use crate::canary::{CanaryClassifierThresholdsConfig, CanaryJudgeResult, LookWindow, Outcome};

/// What one judgement of an analysis came to.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    pub score: f64,
    /// Without its doubts.
    pub verdict: Outcome,
    pub outcome: Outcome,
}

impl Standing {
    pub fn of(judged: &CanaryJudgeResult) -> Self {
        Self {
            score: judged.score.score,
            verdict: Outcome::of_verdict(judged.score.classification),
            outcome: Outcome::of_judged(judged),
        }
    }

    /// Of a canary that was not judged.
    pub const fn without_verdict(outcome: Outcome) -> Self {
        Self {
            score: 0.0,
            verdict: outcome,
            outcome,
        }
    }

    /// Its doubts made it worse than its score tells.
    fn is_turned_to(&self, outcome: Outcome) -> bool {
        self.outcome == outcome && self.verdict != outcome
    }
}

/// Whether the next judgement is awaited: the score must be above marginal, not at it.
pub fn goes_on(score: f64, marginal: f64) -> bool {
    marginal < score
}

/// The last judgement decides, unless an earlier one looked at what it did not see.
pub fn outcome(
    looks: &[Standing],
    thresholds: CanaryClassifierThresholdsConfig,
    window: LookWindow,
) -> Outcome {
    let Some(last) = looks.last() else {
        return Outcome::Error;
    };
    if !last.outcome.has_score() {
        return last.outcome;
    }
    let seen = match window {
        LookWindow::Growing => std::slice::from_ref(last),
        LookWindow::Sliding => looks,
    };
    let any = |outcome| seen.iter().any(|look| look.is_turned_to(outcome));
    let is_undecided = |look: &Standing| look.outcome == Outcome::Inconclusive;
    let scored = if last.is_turned_to(Outcome::Pass) {
        // What keeps its score down is for who reads only that.
        Outcome::Pass
    } else {
        Outcome::of_score(last.score, thresholds)
    };
    match scored {
        Outcome::Pass | Outcome::Marginal if any(Outcome::Fail) => Outcome::Fail,
        Outcome::Pass if seen.iter().any(is_undecided) => Outcome::Inconclusive,
        Outcome::Pass if last.is_turned_to(Outcome::Marginal) => Outcome::Marginal,
        scored => scored,
    }
}

#[cfg(test)]
mod tests {
    use super::LookWindow::{Growing, Sliding};
    use super::Outcome::{Error, Fail, Inconclusive, Marginal, Pass};
    use super::*;

    const THRESHOLDS: CanaryClassifierThresholdsConfig = CanaryClassifierThresholdsConfig {
        pass: Some(95.0),
        marginal: Some(75.0),
    };

    fn of(looks: &[(f64, Outcome)], window: LookWindow) -> Outcome {
        let looks = looks.iter();
        let looks: Vec<Standing> = looks
            .map(|&(score, outcome)| Standing {
                score,
                verdict: Outcome::of_score(score, THRESHOLDS),
                outcome,
            })
            .collect();
        outcome(&looks, THRESHOLDS, window)
    }

    #[test]
    fn the_last_judgement_decides_and_what_only_an_earlier_one_saw() {
        let cases = [
            (vec![], Growing, Error),
            (vec![(95.0, Pass)], Growing, Pass),
            (vec![(80.0, Marginal)], Growing, Marginal),
            (vec![(100.0, Pass), (60.0, Fail)], Growing, Fail),
            (vec![(100.0, Inconclusive), (100.0, Pass)], Growing, Pass),
            (
                vec![(100.0, Inconclusive), (100.0, Pass)],
                Sliding,
                Inconclusive,
            ),
            (
                vec![(100.0, Inconclusive), (80.0, Marginal)],
                Sliding,
                Marginal,
            ),
            (vec![(100.0, Inconclusive), (10.0, Fail)], Sliding, Fail),
            (
                vec![(100.0, Pass), (0.0, Inconclusive)],
                Growing,
                Inconclusive,
            ),
            (vec![(100.0, Error)], Growing, Error),
            // With infinite values, a regression has the score of a pass.
            (vec![(100.0, Fail)], Growing, Fail),
            (vec![(100.0, Fail), (100.0, Pass)], Growing, Pass),
            (vec![(100.0, Fail), (100.0, Pass)], Sliding, Fail),
            (vec![(100.0, Marginal)], Growing, Marginal),
            // What was not measured keeps the score down, and cannot turn the verdict.
            (vec![(85.0, Pass)], Growing, Pass),
            (
                vec![(100.0, Inconclusive), (85.0, Pass)],
                Sliding,
                Inconclusive,
            ),
        ];
        for (looks, windows, expected) in cases {
            assert_eq!(of(&looks, windows), expected, "{looks:?} {windows:?}");
        }
    }

    #[test]
    fn a_doubt_never_passes_and_never_excuses() {
        let scores = [0.0, 75.0, 80.0, 95.0, 100.0];
        let judged = |score| Outcome::of_score(score, THRESHOLDS);
        for windows in [Growing, Sliding] {
            for (first, last) in scores.into_iter().flat_map(|a| scores.map(|b| (a, b))) {
                let plain = of(&[(first, judged(first)), (last, judged(last))], windows);
                let doubted = of(&[(first, Inconclusive), (last, judged(last))], windows);
                assert!(doubted == plain || plain == Pass && doubted == Inconclusive);
                let doubted = of(&[(first, judged(first)), (last, Inconclusive)], windows);
                assert_eq!(doubted, Inconclusive);
            }
        }
    }
}
