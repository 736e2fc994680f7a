//! Which requests are recorded, and how much a recorded one counts.
//!
//! Two ways lead into the record. The uniform sample takes each request with probability `rate`;
//! its counters add 1/rate on average, so that sums estimate the traffic without bias. The
//! `always` rules keep a request for what it turned out to be; it counts 1, whether or not it was
//! in the sample, because every such request is kept. Histograms hold the uniform sample alone.

/// A random number generator, one per VM: xorshift64* (S. Vigna, "An experimental exploration of
/// Marsaglia's xorshift generators, scrambled", 2016). Cheap, and good in its high bits.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator with this seed; any value will do.
    pub fn new(seed: u64) -> Self {
        // The first step spreads seeds that are close to each other; zero would stay zero.
        let mixed = (seed ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self(if mixed == 0 { 1 } else { mixed ^ (mixed >> 31) | 1 })
    }

    /// The next number, uniform in 1 to 2⁶⁴ − 1.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// 2⁶⁴ as a double.
const SPAN: f64 = 18_446_744_073_709_551_616.0;

/// A share of 2⁶⁴; saturates.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and the value is a share of 2⁶⁴"
)]
fn threshold(share: f64) -> u64 {
    (share * SPAN) as u64
}

/// A sampling rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    rate: f64,
    threshold: u64,
    whole: u64,
    /// Share of 2⁶⁴ of the draws that add one more than `whole`.
    extra: u64,
}

impl Rate {
    /// The rate `p`, which configuration has checked to be in 0 to 1.
    pub fn new(p: f64) -> Self {
        let weight = if p > 0.0 { 1.0 / p } else { 0.0 };
        // A weight must fit a counter's increment; 10⁻¹⁵ is far below any real rate.
        let weight = weight.min(1e15);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1e15")]
        let whole = weight as u64;
        Self { rate: p, threshold: threshold(p), whole, extra: threshold(weight.fract()) }
    }

    /// Whether everything is in the sample.
    #[inline]
    pub fn is_all(&self) -> bool {
        self.rate >= 1.0
    }

    /// Whether nothing is recorded, `always` rules included.
    #[inline]
    pub fn is_none(&self) -> bool {
        self.rate <= 0.0
    }

    /// The rate in parts per million.
    pub fn ppm(&self) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1e6")]
        let ppm = (self.rate * 1e6).round() as u64;
        ppm
    }

    /// Whether a request is in the uniform sample.
    #[inline]
    pub fn draw(&self, random: &mut Random) -> bool {
        self.is_all() || random.next_u64() < self.threshold
    }

    /// What a request of the uniform sample adds to a counter: 1/rate, rounded up or down at
    /// random so that the mean is exact.
    #[inline]
    pub fn weight(&self, random: &mut Random) -> u64 {
        if self.is_all() || self.extra == 0 {
            return self.whole.max(1);
        }
        self.whole + u64::from(random.next_u64() < self.extra)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    #[test]
    fn the_ends_of_the_scale_are_certain() {
        let mut random = Random::new(7);
        for _ in 0..1000 {
            assert!(Rate::new(1.0).draw(&mut random));
            assert!(!Rate::new(0.0).draw(&mut random));
            assert_eq!(Rate::new(1.0).weight(&mut random), 1);
        }
    }

    /// Draws and weights estimate the traffic within four standard errors, for each rate and over
    /// seeds that lie side by side.
    #[test]
    fn weighted_sums_are_unbiased() {
        let requests = 200_000u32;
        for rate in [0.5, 0.3, 0.1, 0.01, 0.7] {
            let p = Rate::new(rate);
            let mut mean = 0.0;
            let seeds = 20;
            for seed in 0..seeds {
                let mut random = Random::new(seed);
                let sum: u64 = (0..requests)
                    .map(|_| if p.draw(&mut random) { p.weight(&mut random) } else { 0 })
                    .sum();
                // Variance of one request: E[w²]·p − 1, where rounding adds f(1 − f) to w².
                let fraction = f64::fract(1.0 / rate);
                let variance = rate * (1.0 / (rate * rate) + fraction * (1.0 - fraction)) - 1.0;
                let error =
                    (sum as f64 - f64::from(requests)) / (variance * f64::from(requests)).sqrt();
                assert!(error.abs() < 4.5, "rate {rate} seed {seed}: {error} standard errors");
                mean += error / f64::from(u32::try_from(seeds).unwrap());
            }
            let bound = 4.0 / (seeds as f64).sqrt();
            assert!(mean.abs() < bound, "rate {rate}: mean of {mean} standard errors");
        }
    }
}
