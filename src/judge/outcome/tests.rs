use indexmap::IndexMap;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::canary::result::SideMetadata;
use crate::canary::{CanaryClassifierThresholdsConfig, CanaryConfig, Explanation};

const GROUPS: [&str; 3] = ["a", "b", "c"];

/// A metric as far as scores hear of it.
#[derive(Clone, Debug)]
struct Metric {
    label: Label,
    group: usize,
    is_critical: bool,
    must_have_data: bool,
    muted: bool,
    causes: Vec<DoubtCause>,
}

impl Metric {
    fn judged(&self, at: usize) -> (CanaryAnalysisResult, Traits) {
        let stats = crate::canary::CanaryJudgeStats::default();
        let doubts = self.causes.iter().map(|&cause| Doubt {
            cause,
            sentence: String::new(),
        });
        let result = CanaryAnalysisResult {
            name: format!("m{at}"),
            tags: IndexMap::new(),
            id: String::new(),
            classification: self.label,
            classification_reason: None,
            groups: vec![GROUPS[self.group].to_owned()],
            experiment_metadata: SideMetadata { stats },
            control_metadata: SideMetadata { stats },
            result_metadata: None,
            critical: self.is_critical
                && matches!(self.label, Label::High | Label::Low | Label::Nodata),
            muted: self.muted,
            explanation: Some(Explanation {
                rule: Rule::OtherJudge,
                sentence: String::new(),
                test: None,
                sequential: None,
                points: Pair::default(),
                warnings: Vec::new(),
                doubts: doubts.collect(),
                queries: None,
            }),
        };
        let has_data = self.label != Label::Nodata;
        let traits = Traits {
            doubt: None,
            is_critical: self.is_critical,
            must_have_data: self.must_have_data,
            has_data: Pair {
                control: has_data,
                experiment: has_data,
            },
            fails_as: None,
            cap: Cap::None,
        };
        (result, traits)
    }
}

fn outcome(metrics: &[Metric], weights: [u32; 3]) -> Outcome {
    let weights: IndexMap<&str, u32> = GROUPS.into_iter().zip(weights).collect();
    let config = json!({"classifier": {"groupWeights": weights}});
    let config: CanaryConfig = serde_json::from_value(config).unwrap();
    let judgement = Judgement {
        config: &config,
        thresholds: CanaryClassifierThresholdsConfig {
            pass: Some(90.0),
            marginal: Some(50.0),
        },
        pairs: &[],
        noise_seed: 0,
        doubting: Doubting::Tell,
        look: None,
        learned: None,
    };
    let judged = metrics.iter().enumerate();
    let judged = judged.map(|(at, metric)| metric.judged(at)).unzip();
    let judged = crate::judge::conclude(&judgement, "j", judged).unwrap();
    judged.summary.unwrap().outcome.unwrap()
}

fn cause() -> impl Strategy<Value = DoubtCause> {
    // Not those that question failures: these are there to take a High back.
    prop::sample::select(vec![
        DoubtCause::OneSided,
        DoubtCause::Infinite,
        DoubtCause::Coverage,
        DoubtCause::Partial,
        DoubtCause::Dropped,
        DoubtCause::TooFew,
    ])
}

fn label() -> impl Strategy<Value = Label> {
    use Label::{Error, High, Low, Nodata, NodataFailMetric, Pass};
    prop::sample::select(vec![
        Pass,
        Pass,
        Pass,
        Pass,
        High,
        Low,
        Nodata,
        NodataFailMetric,
        Error,
    ])
}

prop_compose! {
    fn metric()(
        label in label(),
        group in 0..3_usize,
        is_critical in prop::bool::weighted(0.1),
        must_have_data in prop::bool::weighted(0.2),
        muted in prop::bool::weighted(0.1),
        cause in prop::option::weighted(0.3, prop_oneof![
            cause(), Just(DoubtCause::Counter), Just(DoubtCause::RatioOfMeans),
        ]),
    ) -> Metric {
        let mut causes: Vec<DoubtCause> = cause.into_iter().collect();
        match label {
            Label::Error => causes.push(DoubtCause::NotTested),
            Label::Nodata if is_critical && !must_have_data => causes.push(DoubtCause::NoData),
            _ => {}
        }
        Metric { label, group, is_critical, must_have_data, muted, causes }
    }
}

#[test]
fn that_half_has_no_data_is_no_failure_beside_a_doubt_of_a_critical_one() {
    let metric = |label, group, is_critical, causes: &[DoubtCause]| Metric {
        label,
        group,
        is_critical,
        must_have_data: false,
        muted: false,
        causes: causes.to_vec(),
    };
    let mut metrics = vec![
        metric(Label::Nodata, 0, false, &[]),
        metric(Label::Pass, 2, false, &[]),
        metric(Label::Nodata, 0, false, &[]),
        metric(Label::Nodata, 1, true, &[DoubtCause::NoData]),
    ];
    assert_eq!(outcome(&metrics, [0, 30, 20]), Outcome::Inconclusive);
    metrics[1].label = Label::High;
    metrics[1].is_critical = true;
    assert_eq!(outcome(&metrics, [0, 30, 20]), Outcome::Fail);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_doubt_takes_no_failure_and_gives_no_pass(
        metrics in prop::collection::vec(metric(), 1..8),
        weights in [0..=33_u32, 0..=33_u32, 0..=34_u32],
        at in any::<prop::sample::Index>(),
        cause in cause(),
    ) {
        let before = outcome(&metrics, weights);
        let mut doubted = metrics;
        let at = at.index(doubted.len());
        doubted[at].causes.push(cause);
        let after = outcome(&doubted, weights);
        prop_assert!(before != Outcome::Fail || after == Outcome::Fail, "{before:?} to {after:?}");
        prop_assert!(after != Outcome::Pass || before == Outcome::Pass, "{before:?} to {after:?}");
    }
}
