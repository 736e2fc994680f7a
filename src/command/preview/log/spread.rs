//! How numbers are spread, in constant memory.

/// Counts by octave and eighth of it, so quantiles are within 7 %.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    counts: Vec<u32>,
    /// How many numbers.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

/// The least number that is told from smaller ones is 2⁻³², the largest 2⁶⁴.
const LOWEST: u64 = 1023 - 32;
const OCTAVES: u64 = 96;

impl Spread {
    /// Exponent and the first three bits behind it, as IEEE 754 has them.
    fn place(value: f64) -> usize {
        let eighths = (value.to_bits() >> 49) & 0x7fff;
        usize::try_from(eighths.clamp(LOWEST * 8, (LOWEST + OCTAVES) * 8 - 1) - LOWEST * 8)
            .unwrap_or(0)
    }

    /// The middle of a place.
    fn middle(place: usize) -> f64 {
        f64::from_bits(((place as u64 + LOWEST * 8) << 49) | (1 << 48))
    }

    /// Adds a number; what is below 0 counts as 0.
    pub fn add(&mut self, value: f64) {
        let value = value.max(0.0);
        let place = Self::place(value);
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(place) {
            *count = count.saturating_add(1);
        }
        self.count += 1;
        self.sum += value;
    }

    /// Adds the numbers of another one, each times `factor`.
    pub fn add_all(&mut self, other: &Self, factor: f64) {
        for (place, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let place = Self::place(Self::middle(place) * factor);
            if self.counts.len() <= place {
                self.counts.resize(place + 1, 0);
            }
            if let Some(sum) = self.counts.get_mut(place) {
                *sum = sum.saturating_add(*count);
            }
        }
        self.count += other.count;
        self.sum += other.sum * factor;
    }

    /// The middle of where the quantile lies; `None` where nothing was added.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let target = (q * self.count as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        for (place, count) in self.counts.iter().enumerate() {
            below += u64::from(*count);
            if below >= target {
                return Some(Self::middle(place));
            }
        }
        None
    }

    /// The mean; `None` where nothing was added.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_seven_percent() {
        for scale in [1e-6, 1.0, 1e9] {
            let mut spread = Spread::default();
            (1..=1000).for_each(|n| spread.add(f64::from(n) * scale));
            for (q, exact) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
                let found = spread.quantile(q).unwrap() / scale;
                assert!((found / exact - 1.0).abs() < 0.07, "{found} for {exact} at {scale}");
            }
            assert!((spread.mean().unwrap() / scale - 500.5).abs() < 1e-6);
            let mut scaled = Spread::default();
            scaled.add_all(&spread, 1000.0);
            assert!((scaled.quantile(0.5).unwrap() / scale / 500e3 - 1.0).abs() < 0.14);
        }
    }

    #[test]
    fn any_number_has_a_place() {
        let mut spread = Spread::default();
        for value in [0.0, -1.0, f64::MIN_POSITIVE, 1e300, f64::INFINITY, f64::NAN] {
            spread.add(value);
        }
        assert_eq!(spread.count, 6);
        assert!(spread.quantile(0.99).unwrap().is_finite());
        assert_eq!(Spread::default().quantile(0.5), None);
    }
}
