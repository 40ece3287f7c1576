//! Noise on constant series, which have no rank order of their own.

/// The pseudo-random generator that Java programs know, for its normal variates.
///
/// 48-bit linear congruential (Knuth, TAOCP 2, 3.2.1); normal variates by Marsaglia's polar method.
#[derive(Clone, Debug)]
pub struct Noise {
    state: u64,
    spare: Option<f64>,
}

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const MASK: u64 = (1 << 48) - 1;

impl Noise {
    pub const fn new(seed: i64) -> Self {
        Self {
            state: (seed.cast_unsigned() ^ MULTIPLIER) & MASK,
            spare: None,
        }
    }

    /// A standard normal variate.
    pub fn gaussian(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let first = 2.0 * self.uniform() - 1.0;
            let second = 2.0 * self.uniform() - 1.0;
            let square = first * first + second * second;
            if 0.0 < square && square < 1.0 {
                // The logarithm of fdlibm, as in Java; the platform's may differ in the last bit.
                let scale = (-2.0 * libm::log(square) / square).sqrt();
                self.spare = Some(second * scale);
                return first * scale;
            }
        }
    }

    /// Uniform in [0, 1), of 53 random bits.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
    pub fn uniform(&mut self) -> f64 {
        const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        let high = self.next(26) << 27;
        (high + self.next(27)) as f64 * UNIT
    }

    /// Adds noise to a constant: a standard deviation of 1e-5 of each value.
    pub fn disturb(&mut self, values: &mut [f64]) {
        for value in values {
            // The mean of the noise is added too: it makes -0.0 a 0.0.
            *value += 0.0 + (*value * 1e-5) * self.gaussian();
        }
    }

    fn next(&mut self, bits: u32) -> u64 {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(11) & MASK;
        self.state >> (48 - bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_variates_that_java_gives() {
        let mut noise = Noise::new(0);
        let drawn = [(); 3].map(|()| 1e-5 * noise.gaussian());
        let expected = [
            8.025_330_637_390_307e-6,
            -9.015_460_884_175_123e-6,
            2.080_920_790_428_163e-5,
        ];
        assert_eq!(drawn.map(f64::to_bits), expected.map(f64::to_bits));
    }

    #[test]
    fn zero_stays_zero() {
        let mut values = [0.0, -0.0, -0.0, -0.0];
        Noise::new(42).disturb(&mut values);
        assert_eq!(values.map(f64::to_bits), [0; 4]);
    }
}
