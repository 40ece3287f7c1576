//! What an analysis comes to by its judgements, whichever judge gave them. Pure.

use crate::canary::{CanaryClassifierThresholdsConfig, Outcome};

/// One judgement of an analysis.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub score: f64,
    pub outcome: Outcome,
}

/// What a judgement of an analysis looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Windows {
    /// All since the start: the last one saw what the earlier ones saw.
    Growing,
    /// A piece of its own.
    Sliding,
}

/// Whether the next judgement is awaited: the score must be above marginal, not at it.
pub fn goes_on(score: f64, marginal: f64) -> bool {
    marginal < score
}

/// The last judgement decides, unless an earlier one looked at what it did not see.
pub fn outcome(
    looks: &[Look],
    thresholds: CanaryClassifierThresholdsConfig,
    windows: Windows,
) -> Outcome {
    let Some(last) = looks.last() else {
        return Outcome::Error;
    };
    if !last.outcome.has_score() {
        return last.outcome;
    }
    let scored = |look: &Look| Outcome::of_score(look.score, thresholds);
    let is_undecided = |look: &Look| look.outcome == Outcome::Inconclusive;
    // By its doubts alone: it has the score of a pass.
    let has_failed = |look: &Look| look.outcome == Outcome::Fail && scored(look) != Outcome::Fail;
    let is_sliding = windows == Windows::Sliding;
    match (scored(last), last.outcome) {
        (_, Outcome::Fail) => Outcome::Fail,
        (Outcome::Pass, _) if is_sliding && looks.iter().any(has_failed) => Outcome::Fail,
        (Outcome::Pass, _) if is_sliding && looks.iter().any(is_undecided) => Outcome::Inconclusive,
        (Outcome::Pass, Outcome::Marginal) => Outcome::Marginal,
        (scored, _) => scored,
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Error, Fail, Inconclusive, Marginal, Pass};
    use super::Windows::{Growing, Sliding};
    use super::*;

    const THRESHOLDS: CanaryClassifierThresholdsConfig = CanaryClassifierThresholdsConfig {
        pass: Some(95.0),
        marginal: Some(75.0),
    };

    fn of(looks: &[(f64, Outcome)], windows: Windows) -> Outcome {
        let looks = looks.iter();
        let looks: Vec<Look> = looks
            .map(|&(score, outcome)| Look { score, outcome })
            .collect();
        outcome(&looks, THRESHOLDS, windows)
    }

    #[test]
    fn the_last_judgement_decides_and_what_only_an_earlier_one_saw() {
        let cases = [
            (vec![], Growing, Error),
            (vec![(95.0, Pass)], Growing, Pass),
            (vec![(80.0, Marginal)], Growing, Marginal),
            (vec![(100.0, Pass), (60.0, Fail)], Growing, Fail),
            (vec![(75.0, Marginal)], Growing, Fail),
            (vec![(100.0, Fail)], Growing, Fail),
            (vec![(100.0, Marginal)], Growing, Marginal),
            (vec![(100.0, Fail), (100.0, Pass)], Growing, Pass),
            (vec![(100.0, Fail), (100.0, Pass)], Sliding, Fail),
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
