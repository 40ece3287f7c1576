//! The rank-sum statistic of one sample shifted against another, for many shifts.
//!
//! Mann and Whitney (1947) with mid-ranks, tie and continuity correction. Sorted once, each
//! evaluation is one merge: subtracting the shift keeps the order of the shifted sample.

/// An order-preserving image of a double: -0.0 below 0.0, as Java's `Double.compare` has it.
pub fn order_key(value: f64) -> u64 {
    let bits = value.to_bits();
    // All bits of a negative number are flipped, and the sign of a positive one.
    let sign = (bits.cast_signed() >> 63).cast_unsigned();
    bits ^ (sign | (1 << 63))
}

/// The double that has this key.
pub fn from_order_key(key: u64) -> f64 {
    let sign = (key.cast_signed() >> 63).cast_unsigned();
    f64::from_bits(key ^ (!sign | (1 << 63)))
}

/// Two samples, prepared for many evaluations. Its buffers are kept from one use to the next.
#[derive(Clone, Debug, Default)]
pub struct RankSum {
    /// The sample that is shifted, descending.
    experiment: Vec<f64>,
    /// `START`, keys of the control ascending, `END`, keys of the shifted experiment descending,
    /// `START`: so that of two keys that are compared in a merge, the distance is known.
    keys: Vec<u64>,
    n_control: usize,
    /// The sum of t³ − t over groups of equal values, each side for itself.
    ties: f64,
    /// The smallest difference between neighbours of the experiment that differ.
    gap: f64,
    /// Standard deviation of the rank sum when no value stands on both sides.
    deviation: f64,
}

/// Below the key of every number.
const START: u64 = 0;
/// Above the key of every number.
const END: u64 = u64::MAX;

impl RankSum {
    /// Takes the sorted keys of both sides; neither is empty, none stands for NaN.
    pub fn prepare(&mut self, experiment: &[u64], control: &[u64]) {
        self.experiment.clear();
        let descending = experiment.iter().rev();
        self.experiment
            .extend(descending.map(|key| from_order_key(*key)));
        self.n_control = control.len();
        self.keys.clear();
        self.keys.push(START);
        self.keys.extend_from_slice(control);
        self.keys.push(END);
        self.keys
            .resize(control.len() + experiment.len() + 3, START);
        let neighbours = experiment.windows(2).filter(|keys| keys[0] != keys[1]);
        self.gap = neighbours
            .map(|keys| from_order_key(keys[1]) - from_order_key(keys[0]))
            .fold(f64::INFINITY, f64::min);
        self.ties = ties_within(experiment) + ties_within(control);
        self.deviation = deviation(experiment.len(), control.len(), self.ties);
    }

    /// The standardised rank sum of the experiment shifted down by `shift`; `None` when all values
    /// are tied.
    pub fn statistic(&mut self, shift: f64) -> Option<f64> {
        let (m, n) = (self.experiment.len(), self.n_control);
        let keeps_ties = self.keeps_ties(shift);
        if keeps_ties && let Some(count) = self.count_apart(shift) {
            return standardise(&count, m, n);
        }
        for (key, value) in self.keys[n + 2..].iter_mut().zip(&self.experiment) {
            *key = order_key(value - shift);
        }
        if keeps_ties && let Some(below) = count_below(&self.keys, n) {
            let pairs = as_double(m * n);
            return corrected(as_double(below) - pairs / 2.0, self.deviation);
        }
        let (control, shifted) = self.keys.split_at_mut(n + 2);
        let shifted = &mut shifted[..m];
        settle_nan(shifted);
        shifted.reverse();
        let count = count_with_ties(shifted, &control[1..=n]);
        standardise(&count, m, n)
    }

    /// Whether it is sure that no two values of the experiment fall together by the shift.
    fn keeps_ties(&self, shift: f64) -> bool {
        let (Some(greatest), Some(least)) = (self.experiment.first(), self.experiment.last())
        else {
            return false;
        };
        // Rounding moves each of two neighbours by at most 2^-53 of the largest magnitude, so twice
        // that is the closest they can be without falling together; the factor 2 more is for the
        // rounding of the gap itself. Infinities and NaN fail the comparison.
        let magnitude = (least - shift).abs().max((greatest - shift).abs());
        magnitude < f64::INFINITY && self.gap > 2.0 * f64::EPSILON * magnitude
    }

    /// What is known at once when the samples at most touch; else `None`.
    fn count_apart(&self, shift: f64) -> Option<Count> {
        let control = &self.keys[1..=self.n_control];
        let (greatest, least) = (self.experiment.first()?, self.experiment.last()?);
        let (lowest, highest) = (order_key(least - shift), order_key(greatest - shift));
        let pairs = self.experiment.len() * control.len();
        let values = self.experiment.iter();
        let (all, own, other) = if *control.last()? <= lowest {
            let own = run(values.rev(), least);
            (2 * pairs, own, run(control.iter().rev(), &lowest))
        } else if highest <= *control.first()? {
            let own = run(values, greatest);
            (0, own, run(control.iter(), &highest))
        } else {
            return None;
        };
        let tied = own * other;
        Some(Count {
            twice_below: all.abs_diff(tied),
            ties: self.ties + 3.0 * as_double(tied) * as_double(own + other),
        })
    }
}

/// NaN, of infinities on both sides of a subtraction, ranks with positive infinity.
fn settle_nan(keys: &mut [u64]) {
    let infinity = order_key(f64::INFINITY);
    let smallest = order_key(f64::NEG_INFINITY);
    for key in keys {
        if *key > infinity || *key < smallest {
            *key = infinity;
        }
    }
}

/// The statistic as it is written: sort and rank everything, in every evaluation.
///
/// What [`RankSum`] must equal, bit for bit; for tests and benchmarks.
pub fn plain_statistic(experiment: &[f64], control: &[f64], shift: f64) -> Option<f64> {
    let shifted = experiment.iter().map(|value| {
        let shifted = value - shift;
        if shifted.is_nan() {
            f64::INFINITY
        } else {
            shifted
        }
    });
    let mut all: Vec<(f64, bool)> = shifted
        .map(|value| (value, true))
        .chain(control.iter().map(|value| (*value, false)))
        .collect();
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut rank_sum = 0.0;
    let mut ties = 0.0;
    let mut start = 0;
    for group in all.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let size = as_double(group.len());
        let middle = as_double(start) + f64::midpoint(size, 1.0);
        let members = group
            .iter()
            .filter(|(_, of_experiment)| *of_experiment)
            .count();
        rank_sum += middle * as_double(members);
        ties += size * size * size - size;
        start += group.len();
    }
    let (m, n) = (as_double(experiment.len()), as_double(control.len()));
    let distance = rank_sum - m * (m + 1.0) / 2.0 - m * n / 2.0;
    corrected(distance, deviation(experiment.len(), control.len(), ties))
}

/// Twice the pairs in which the experiment is greater, a tie counting half. Both in sorted keys.
pub fn twice_below(experiment: &[u64], control: &[u64]) -> usize {
    count_with_ties(experiment, control).twice_below
}

struct Count {
    /// Twice the pairs whose control value is below, ties counting half.
    twice_below: usize,
    /// The sum of t³ − t over groups of equal values of both sides together.
    ties: f64,
}

/// One merge over groups of equal values.
fn count_with_ties(experiment: &[u64], control: &[u64]) -> Count {
    let mut count = Count {
        twice_below: 0,
        ties: 0.0,
    };
    let (mut i, mut j) = (0, 0);
    while i < experiment.len() || j < control.len() {
        let key = match (experiment.get(i), control.get(j)) {
            (Some(a), Some(b)) => *a.min(b),
            (Some(key), None) | (None, Some(key)) => *key,
            (None, None) => break,
        };
        let of_experiment = run(experiment[i..].iter(), &key);
        let of_control = run(control[j..].iter(), &key);
        count.twice_below += of_experiment * (2 * j + of_control);
        count.ties += cube_less_self(of_experiment + of_control);
        i += of_experiment;
        j += of_control;
    }
    count
}

/// How many elements in front equal `wanted`.
fn run<'a, T: PartialEq + 'a>(elements: impl Iterator<Item = &'a T>, wanted: &T) -> usize {
    elements.take_while(|element| *element == wanted).count()
}

/// Pairs whose control key is below the experiment key; `None` when a key stands on both sides.
/// `keys` are those of [`RankSum`].
///
/// Every step of a merge starts before control key j and takes it, or takes an experiment key that
/// is above j control keys. So the sum of j over all steps is what is wanted, and once each j of
/// the steps that took a control key, which is known beforehand.
fn count_below(keys: &[u64], n_control: usize) -> Option<usize> {
    let steps = keys.len() - 3;
    // Two merges run up, from the start and from the middle, and two run down to meet them: none
    // waits for a comparison of another.
    let quarter = steps / 4;
    let middle = cross(keys, n_control, 2 * quarter);
    let (mut first, mut second, mut third, mut fourth) = (0, middle, middle, n_control);
    // A tie across the middle is compared neither on the way up nor on the way down.
    let mut tied = keys[middle + 1] == keys[middle + steps + 2 - 2 * quarter];
    let mut sum = 0;
    let up = |j: &mut usize, distance: usize| {
        let (below, above) = (keys[*j + 1], keys[*j + 1 + distance]);
        let start = *j;
        *j += usize::from(below < above);
        (start, below == above)
    };
    let down = |j: &mut usize, distance: usize| {
        let (below, above) = (keys[*j], keys[*j + distance]);
        *j -= usize::from(below >= above);
        (*j, below == above)
    };
    for step in 0..quarter {
        let found = [
            up(&mut first, steps - step),
            down(&mut second, steps + 2 - 2 * quarter + step),
            up(&mut third, steps - 2 * quarter - step),
            down(&mut fourth, 2 + step),
        ];
        for (start, tie) in found {
            sum += start;
            tied |= tie;
        }
    }
    for step in 3 * quarter..steps - quarter {
        let (start, tie) = up(&mut third, steps - step);
        sum += start;
        tied |= tie;
    }
    (!tied).then(|| sum - n_control * (n_control - 1) / 2)
}

/// How many control keys are among the first `diagonal` keys of the merge.
fn cross(keys: &[u64], n_control: usize, diagonal: usize) -> usize {
    let steps = keys.len() - 3;
    let n_experiment = steps - n_control;
    let (mut low, mut high) = (
        diagonal.saturating_sub(n_experiment),
        diagonal.min(n_control),
    );
    while low < high {
        let middle = usize::midpoint(low, high);
        if keys[middle + 1] < keys[middle + steps + 2 - diagonal] {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn ties_within(sorted: &[u64]) -> f64 {
    sorted
        .chunk_by(|a, b| a == b)
        .map(|group| cube_less_self(group.len()))
        .sum()
}

fn cube_less_self(count: usize) -> f64 {
    let t = as_double(count);
    t * t * t - t
}

fn deviation(n_experiment: usize, n_control: usize, ties: f64) -> f64 {
    let (m, n) = (as_double(n_experiment), as_double(n_control));
    ((m * n / 12.0) * ((m + n + 1.0) - ties / ((m + n) * (m + n - 1.0)))).sqrt()
}

fn standardise(count: &Count, n_experiment: usize, n_control: usize) -> Option<f64> {
    let pairs = as_double(n_experiment * n_control);
    let distance = (as_double(count.twice_below) - pairs) / 2.0;
    corrected(distance, deviation(n_experiment, n_control, count.ties))
}

/// With continuity correction.
fn corrected(distance: f64, deviation: f64) -> Option<f64> {
    if deviation == 0.0 {
        return None;
    }
    let correction = if distance > 0.0 {
        0.5
    } else if distance < 0.0 {
        -0.5
    } else {
        0.0
    };
    Some((distance - correction) / deviation)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no series has 2^53 points, below that it is exact"
)]
fn as_double(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(values: &[f64]) -> Vec<u64> {
        let mut keys: Vec<u64> = values.iter().map(|value| order_key(*value)).collect();
        keys.sort_unstable();
        keys
    }

    fn fast(experiment: &[f64], control: &[f64], shift: f64) -> Option<f64> {
        let mut rank_sum = RankSum::default();
        rank_sum.prepare(&keys(experiment), &keys(control));
        rank_sum.statistic(shift)
    }

    #[test]
    fn the_statistic_of_small_samples_can_be_worked_out_by_hand() {
        let cases = [
            // name       control            experiment         shift  z
            (
                "disjoint",
                &[1.0, 2.0][..],
                &[3.0, 4.0][..],
                0.0,
                Some(1.5 / f64::sqrt(5.0 / 3.0)),
            ),
            (
                "one tie",
                &[1.0, 2.0],
                &[3.0, 4.0],
                1.0,
                Some(1.0 / f64::sqrt(1.5)),
            ),
            ("all tied", &[7.0], &[7.0], 0.0, None),
            ("balanced", &[1.0, 4.0], &[2.0, 3.0], 0.0, Some(0.0)),
        ];
        for (name, control, experiment, shift, expected) in cases {
            assert_eq!(fast(experiment, control, shift), expected, "{name}");
        }
    }

    #[test]
    fn the_statistic_is_that_of_the_reference() {
        let (x, y) = ([1.0, 2.0, 3.0, 4.0, 5.0], [3.0, 4.0, 4.0, 6.0]);
        let cases = [
            (-6.0, 2.336_772_175_818_745),
            (-2.0, 0.628_280_862_437_543_2),
            (-1.0, -0.125_656_172_487_508_65),
            (-0.5, -0.614_940_046_268_090_8),
            (0.0, -1.000_869_187_473_958_8),
            (0.5, -1.352_868_101_789_799_9),
            (1.0, -1.751_521_078_079_428),
            (2.0, -2.223_144_817_900_069),
        ];
        for (shift, expected) in cases {
            let bits = fast(&x, &y, shift).map(f64::to_bits);
            assert_eq!(bits, Some(f64::to_bits(expected)), "{shift}");
        }
    }

    #[test]
    fn keys_keep_the_order_and_lead_back() {
        let ascending = [
            f64::NEG_INFINITY,
            -1.0,
            -0.0,
            0.0,
            5e-324,
            1.0,
            f64::INFINITY,
        ];
        for pair in ascending.windows(2) {
            assert!(order_key(pair[0]) < order_key(pair[1]), "{pair:?}");
        }
        for value in ascending {
            assert_eq!(from_order_key(order_key(value)).to_bits(), value.to_bits());
        }
    }

    /// Values that meet: few distinct ones, zeros of both signs, infinities, neighbours in the last
    /// bit, and some that meet nobody.
    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => (-4_i8..5).prop_map(f64::from),
            3 => (-40_i8..40).prop_map(|tenths| f64::from(tenths) / 10.0),
            1 => Just(0.0),
            1 => Just(-0.0),
            1 => (0_u64..4).prop_map(|ulps| f64::from_bits(1.0_f64.to_bits() + ulps)),
            1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(1e308), Just(-1e308)],
            4 => -5.0..5.0,
        ]
    }

    fn plain_value() -> impl Strategy<Value = f64> {
        prop_oneof![3 => -5.0..5.0, 1 => (-40_i8..40).prop_map(|tenths| f64::from(tenths) / 10.0)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]

        #[test]
        fn one_merge_equals_sorting_everything(
            experiment in prop_oneof![
                prop::collection::vec(value(), 1..40),
                prop::collection::vec(plain_value(), 1..150),
            ],
            control in prop_oneof![
                prop::collection::vec(value(), 1..40),
                prop::collection::vec(plain_value(), 1..150),
            ],
            other in value(),
            (i, j) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            let meeting = experiment[i.index(experiment.len())] - control[j.index(control.len())];
            for shift in [0.0, -0.0, other, meeting] {
                let fast = fast(&experiment, &control, shift);
                let plain = plain_statistic(&experiment, &control, shift);
                prop_assert_eq!(fast.map(f64::to_bits), plain.map(f64::to_bits), "shift {}", shift);
            }
        }
    }
}
