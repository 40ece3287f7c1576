//! `dredd-v1.0`: a verdict by lot, to try out what comes after the judge.

use super::describe::describe;
use super::noise::Noise;
use super::{Judge, Judgement, conclude, groups_of, other};
use crate::canary::result::SideMetadata;
use crate::canary::{CanaryAnalysisResult, CanaryJudgeResult, Label, MetricSetPair};
use crate::error::Result;

pub struct DreddJudge;

impl Judge for DreddJudge {
    fn name(&self) -> &'static str {
        "dredd-v1.0"
    }

    fn is_visible(&self) -> bool {
        false
    }

    fn judge(&self, judgement: &Judgement<'_>) -> Result<CanaryJudgeResult> {
        let mut lots = Noise::new(seed(judgement.pairs));
        let results = judgement
            .pairs
            .iter()
            .map(|pair| {
                let stats = describe(pair.values.as_ref().map(Vec::as_slice));
                let mut result = CanaryAnalysisResult {
                    name: pair.name.clone(),
                    tags: pair.tags.clone(),
                    id: pair.id.clone(),
                    classification: label(lots.uniform() * 100.0),
                    classification_reason: None,
                    groups: groups_of(judgement.metric_of(pair)?)?,
                    experiment_metadata: SideMetadata {
                        stats: stats.experiment,
                    },
                    control_metadata: SideMetadata {
                        stats: stats.control,
                    },
                    result_metadata: None,
                    critical: false,
                    muted: false,
                    explanation: None,
                };
                let traits = other::explain(judgement, self.name(), Some(pair), &mut result);
                Ok((result, traits))
            })
            .collect::<Result<(Vec<_>, Vec<_>)>>()?;
        conclude(judgement, self.name(), results)
    }
}

fn label(lot: f64) -> Label {
    let lot = (lot * 100.0).round() / 100.0;
    if lot >= 66.0 {
        Label::High
    } else if lot >= 33.0 {
        Label::Pass
    } else {
        Label::Low
    }
}

/// Of the ids of the pairs in their order (FNV-1a): the same pairs draw the same lots.
fn seed(pairs: &[MetricSetPair]) -> i64 {
    let bytes = pairs.iter().flat_map(|pair| pair.id.bytes().chain([0]));
    bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
        .cast_signed()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::canary::{CanaryClassifierThresholdsConfig, CanaryConfig};
    use crate::judge::Doubting;

    fn judge(ids: &[&str]) -> CanaryJudgeResult {
        let config: CanaryConfig = serde_json::from_value(json!({
            "metrics": [{"name": "m", "groups": ["g"]}],
            "classifier": {"groupWeights": {"g": 100}},
        }))
        .unwrap();
        let pairs: Vec<MetricSetPair> = ids
            .iter()
            .map(|id| {
                let pair = json!({"name": "m", "id": id, "values": {"control": ["NaN"], "experiment": []}});
                serde_json::from_value(pair).unwrap()
            })
            .collect();
        let judgement = Judgement {
            config: &config,
            thresholds: CanaryClassifierThresholdsConfig {
                pass: Some(95.0),
                marginal: Some(75.0),
            },
            pairs: &pairs,
            noise_seed: 0,
            doubting: Doubting::Tell,
            look: None,
            learned: None,
        };
        DreddJudge.judge(&judgement).unwrap()
    }

    #[test]
    fn the_same_pairs_draw_the_same_lots() {
        let ids: Vec<String> = (0..60).map(|i| format!("id-{i}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let labels = |result: &CanaryJudgeResult| -> Vec<Label> {
            result.results.iter().map(|r| r.classification).collect()
        };
        let first = judge(&ids);
        assert_eq!(labels(&first), labels(&judge(&ids)));
        for label in [Label::High, Label::Pass, Label::Low] {
            assert!(labels(&first).contains(&label), "{label:?}");
        }
        assert_eq!(first.results[0].control_metadata.stats.count, 1);
    }

    #[test]
    fn a_lot_has_its_label() {
        let cases = [
            (0.0, Label::Low),
            (32.99, Label::Low),
            (32.996, Label::Pass),
            (65.99, Label::Pass),
            (66.0, Label::High),
        ];
        for (lot, expected) in cases {
            assert_eq!(label(lot), expected, "{lot}");
        }
    }
}
