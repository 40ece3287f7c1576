use super::*;
use crate::judge::aca::mann_whitney::shift_between;
use crate::judge::policy::Effect;

fn policy() -> MetricPolicy {
    let neutral = Effect {
        increase: 1.0,
        decrease: 1.0,
    };
    MetricPolicy {
        direction: Direction::Either,
        nan_strategy: NanStrategy::Remove,
        critical: false,
        must_have_data: false,
        muted: false,
        measure: Measure::MeanRatio,
        allowed: neutral,
        critical_effect: neutral,
        outlier_factor: None,
        doubt: None,
    }
}

fn classify(policy: &MetricPolicy, control: &[f64], experiment: &[f64]) -> Classification {
    let pair = Pair {
        control,
        experiment,
    };
    Workspace::default().classify(policy, pair, &mut Noise::new(42))
}

/// Value i is ((i·a + b) mod m)/d + off: the generator of the reference vectors.
#[expect(clippy::many_single_char_names, reason = "as the vectors name them")]
#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn series(n: usize, a: usize, b: usize, m: usize, d: f64, off: f64) -> Vec<f64> {
    (0..n).map(|i| ((i * a + b) % m) as f64 / d + off).collect()
}

fn every(n: usize, period: usize) -> Vec<f64> {
    (0..n)
        .map(|i| if i % period == 0 { 3.0 } else { 0.0 })
        .collect()
}

fn cycle(values: &[f64], n: usize) -> Vec<f64> {
    values.iter().copied().cycle().take(n).collect()
}

#[test]
fn shifts_and_labels_are_those_of_the_reference() {
    let d1 = (
        series(60, 37, 11, 101, 10.0, 0.0),
        series(60, 53, 7, 97, 10.0, 0.0),
    );
    #[rustfmt::skip]
    let cases = [
        // experiment, control, lower, upper, estimate, ratio, cles, label
        ("D1", d1.0.clone(), d1.1.clone(), -0.899_930_312_940_443_2, 1.700_001_123_954_977, 0.450_586_770_301_593_44, 1.096_411_743_385_284_5, 0.542_916_666_666_666_7, Label::Pass),
        ("D2", series(60, 37, 11, 101, 10.0, 5.0), d1.1.clone(), 4.100_069_687_059_554, 6.700_001_123_954_976, 5.443_360_739_743_184, 2.183_762_232_693_004_6, 0.898_888_888_888_888_8, Label::High),
        ("D3", d1.0.clone(), series(60, 53, 7, 97, 10.0, 5.0), -5.899_930_312_940_448, -3.299_998_876_045_023, -4.515_105_515_531_943_5, 0.525_264_802_917_173_1, 0.146_805_555_555_555_55, Label::Low),
        ("D4", series(60, 7, 3, 5, 1.0, 0.0), series(60, 11, 2, 6, 1.0, 0.0), -1.000_009_897_676_341_6, 9.897_676_341_767_331e-6, -0.5, 0.8, 0.416_666_666_666_666_7, Label::Pass),
        ("D5", series(60, 7, 3, 5, 1.0, 2.0), series(60, 11, 2, 6, 1.0, 0.0), 0.999_990_102_323_658_4, 2.000_009_897_676_341_6, 1.5, 1.6, 0.733_333_333_333_333_3, Label::High),
        ("D6", series(50, 37, 11, 101, 10.0, 1.0), series(20, 53, 7, 97, 10.0, 0.0), -1.000_008_702_952_793_3, 2.800_039_644_143_180_5, 0.899_963_090_143_882_4, 1.183_919_597_989_949_7, 0.5855, Label::Pass),
        ("D7", every(60, 10), every(60, 20), -3.857_083_492_067_505_5e-5, 2.626_370_115_866_250_5e-6, 4.006_126_380_199_269_6e-5, 1.999_999_999_999_999_6, 0.525, Label::Pass),
        ("D8", cycle(&[1.0, 2.0, 3.0], 30), vec![0.0; 30], 1.999_987_322_225_109_4, 2.000_012_677_774_890_3, 2.0, f64::NAN, 1.0, Label::High),
        ("D9", cycle(&[10.0, 11.0, 12.0], 30), vec![10.0; 30], 0.999_987_322_225_109_1, 1.000_012_677_774_891, 1.0, 1.1, 0.833_333_333_333_333_4, Label::High),
        ("D10", series(60, 37, 11, 101, 100_000.0, 0.0001), series(60, 53, 7, 97, 100_000.0, 0.0), 8.203_829_001_313_101e-6, 2.763_696_233_145_012e-4, 1.200_000_000_000_001e-4, 1.313_881_841_246_828_7, 0.636_666_666_666_666_7, Label::Pass),
        ("D11", series(60, 37, 11, 41, 1.0, 200.0), series(60, 53, 7, 43, 1.0, 180.0), 13.999_998_022_397_987, 24.999_968_467_326_16, 19.0, 1.094_661_803_713_527_8, 0.849_305_555_555_555_5, Label::High),
        ("D12", series(60, 37, 11, 41, 1.0, 300.0), series(60, 53, 7, 43, 1.0, 180.0), 113.999_998_022_398_02, 124.999_968_467_326_21, 119.0, 1.592_009_283_819_628_7, 1.0, Label::High),
        ("D13", vec![20.0, 22.0, 21.0, 25.0, 30.0], vec![1.0, 2.2, 1.1, 2.5, 3.0], 17.000_075_374_419_41, 28.999_921_735_698_56, 20.0, 12.040_816_326_530_614, 1.0, Label::High),
        ("D14", series(1000, 37, 11, 1009, 10.0, 3.0), series(1000, 53, 7, 1013, 10.0, 0.0), -0.399_957_636_785_637_34, 5.799_947_821_336_543, 2.699_946_785_572_263, 1.053_318_416_871_470_4, 0.526_215, Label::Pass),
        ("D15", series(1000, 37, 11, 1009, 10.0, 60.0), series(1000, 53, 7, 1013, 10.0, 0.0), 56.600_042_363_214_37, 62.799_947_821_336_56, 59.699_964_416_951_055, 2.183_954_488_922_742, 0.916_175, Label::High),
        ("D16", vec![1.0, 2.0, 3.0, 4.0, 5.0], vec![3.0, 4.0, 4.0, 6.0], -5.0, 2.0, -1.000_042_724_344_532, 0.705_882_352_941_176_5, 0.275, Label::Pass),
        ("D17", vec![10.0, 20.0, 30.0], vec![9.0, 19.0, 29.0], -19.0, 21.0, 1.0, 1.052_631_578_947_368_4, 0.666_666_666_666_666_6, Label::Pass),
        ("D18", vec![10.0, 11.0], vec![5.0, 6.0], 4.0, 6.0, 5.0, 1.909_090_909_090_909_2, 1.0, Label::High),
        ("D19", vec![10.0, 5.0], vec![6.0, 9.0], -4.0, 4.0, 0.0, 1.0, 0.5, Label::Pass),
    ];
    for (name, experiment, control, lower, upper, estimate, ratio, expected_cles, label) in cases {
        let pair = Pair {
            control: control.as_slice(),
            experiment: &experiment,
        };
        let found = shift_between(pair, QUANTILE).unwrap();
        let bits = [found.lower, found.upper, found.estimate].map(f64::to_bits);
        assert_eq!(bits, [lower, upper, estimate].map(f64::to_bits), "{name}");
        let keys = pair.map(|values| {
            let mut keys: Vec<u64> = values.iter().map(|v| order_key(*v)).collect();
            keys.sort_unstable();
            keys
        });
        let found = cles(keys.as_ref().map(Vec::as_slice));
        assert_eq!(found.to_bits(), f64::to_bits(expected_cles), "{name}");
        let found = classify(&policy(), &control, &experiment);
        assert_eq!(found.label, label, "{name}");
        let found = found.ratio.unwrap();
        let equal = found.to_bits() == ratio.to_bits() || (found.is_nan() && ratio.is_nan());
        assert!(equal, "{name}: ratio {found}");
    }
}

#[test]
fn a_side_without_data_is_judged_by_the_policy_alone() {
    let cases = [
        (NanStrategy::Remove, false, false, Label::Nodata, false),
        (NanStrategy::Remove, false, true, Label::Nodata, true),
        (
            NanStrategy::Remove,
            true,
            false,
            Label::NodataFailMetric,
            false,
        ),
        (NanStrategy::Remove, true, true, Label::Nodata, true),
        (NanStrategy::Replace, true, true, Label::Pass, false),
    ];
    for (nan_strategy, must_have_data, critical, label, fails) in cases {
        let policy = MetricPolicy {
            nan_strategy,
            critical,
            must_have_data,
            ..policy()
        };
        let found = classify(&policy, &[], &[1.0]);
        assert_eq!((found.label, found.critical), (label, fails), "{policy:?}");
        assert_eq!(found.ratio, Some(1.0));
    }
}

#[test]
fn series_that_say_the_same_pass() {
    let cases = [
        (&[1.0, 2.0][..], &[2.0, 1.0][..], true),
        (&[1.0, f64::NAN], &[1.0], true),
        (&[1.0, 1.0], &[1.0], false),
        (&[0.0, -0.0], &[-0.0, -0.0], true),
    ];
    for (control, experiment, identical) in cases {
        let found = classify(&policy(), control, experiment);
        assert_eq!(
            (found.label, found.rule == Rule::Identical),
            (Label::Pass, identical),
            "{control:?}"
        );
    }
}

#[test]
fn constant_series_are_told_apart_by_noise() {
    let found = classify(&policy(), &[1.0; 5], &[10.0; 5]);
    assert_eq!(found.label, Label::High);
    assert!(found.ratio.is_some_and(|ratio| (ratio - 10.0).abs() < 1e-3));
    assert_eq!(found.stats.experiment.std.to_bits(), 0);
}

#[test]
fn the_draws_foretold_are_those_that_are_taken() {
    let removing = MetricPolicy {
        outlier_factor: Some(3.0),
        ..policy()
    };
    let mut spiky = [1.0; 10];
    spiky[3] = 50.0;
    let cases = [
        (policy(), &[1.0; 3][..], &[2.0; 4][..], 7),
        (policy(), &[1.0; 3], &[1.0; 4], 0),
        (policy(), &[1.0, 2.0], &[3.0], 0),
        (policy(), &[1.0, f64::NAN], &[3.0], 2),
        (policy(), &[], &[3.0], 0),
        (policy(), &spiky, &[3.0], 0),
        (removing, &spiky, &[3.0], 10),
    ];
    for (policy, control, experiment, draws) in cases {
        let pair = Pair {
            control,
            experiment,
        };
        let mut workspace = Workspace::default();
        assert_eq!(workspace.draws(&policy, pair), draws, "{control:?}");
        let mut noise = Noise::new(1);
        workspace.classify(&policy, pair, &mut noise);
        let mut expected = Noise::new(1);
        for _ in 0..draws {
            expected.gaussian();
        }
        assert_eq!(noise.gaussian().to_bits(), expected.gaussian().to_bits());
    }
}
