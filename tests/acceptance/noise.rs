//! Series of the acceptance table, from seeds.

/// `SplitMix64`, and normal deviates by the polar method.
pub struct Random {
    state: u64,
    spare: Option<f64>,
}

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self {
            state: seed,
            spare: None,
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("it is below a usize")
    }

    pub fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        loop {
            let [a, b] = [(); 2].map(|()| 2.0 * self.uniform() - 1.0);
            let size = a * a + b * b;
            if 0.0 < size && size < 1.0 {
                let scale = (-2.0 * size.ln() / size).sqrt();
                self.spare = Some(b * scale);
                return a * scale;
            }
        }
    }

    pub fn exponential(&mut self) -> f64 {
        -(1.0 - self.uniform()).ln()
    }

    /// By the product of uniforms, which is quick for small rates.
    pub fn poisson(&mut self, rate: f64) -> f64 {
        let limit = (-rate).exp();
        let (mut count, mut product) = (0.0, self.uniform());
        while limit < product {
            count += 1.0;
            product *= self.uniform();
        }
        count
    }

    /// Student's with three degrees of freedom, of variance 1.
    pub fn student(&mut self) -> f64 {
        let squares: f64 = (0..3).map(|_| self.normal().powi(2)).sum();
        self.normal() / (squares / 3.0).sqrt() / 3.0_f64.sqrt()
    }
}

/// What one side varies by, of variance 1.
#[derive(Clone, Copy)]
pub enum Noise {
    White,
    Student,
    /// Each is that part of the one before.
    Ar(f64),
    /// Sums of so many neighbours of the white or the correlated.
    Rate(usize, f64),
    /// 0.6 of AR .9, 0.8 white.
    Drift,
}

impl Noise {
    pub fn series(self, random: &mut Random, length: usize) -> Vec<f64> {
        match self {
            Self::White => (0..length).map(|_| random.normal()).collect(),
            Self::Student => (0..length).map(|_| random.student()).collect(),
            Self::Ar(part) => {
                let mut value = random.normal();
                let innovation = (1.0 - part * part).sqrt();
                let mut next = || {
                    let now = value;
                    value = part * value + innovation * random.normal();
                    now
                };
                (0..length).map(|_| next()).collect()
            }
            Self::Rate(range, part) => {
                let all = Self::Ar(part).series(random, length + range - 1);
                sums(&all, range).collect()
            }
            Self::Drift => {
                let slow = Self::Ar(0.9).series(random, length);
                let slow = slow.into_iter().map(|value| 0.6 * value);
                slow.map(|value| value + 0.8 * random.normal()).collect()
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "some minutes")]
fn sums(values: &[f64], range: usize) -> impl Iterator<Item = f64> {
    let scale = (range as f64).sqrt();
    let windows = values.windows(range);
    windows.map(move |window| window.iter().sum::<f64>() / scale)
}

/// Bursts of a minute, `rate` of them, each of so many events on average.
pub fn burst(random: &mut Random, rate: f64, size: f64) -> f64 {
    let bursts = random.poisson(rate);
    let mut events = 0.0;
    let mut burst = 0.0;
    while burst < bursts {
        events += 1.0 + (random.exponential() / -(1.0 - 1.0 / size).ln()).floor();
        burst += 1.0;
    }
    events
}
