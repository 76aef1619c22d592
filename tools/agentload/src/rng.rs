// SPDX-License-Identifier: GPL-2.0-only
//! A small deterministic random source: the same seed gives the same numbers on every machine.
//!
//! SplitMix64 for the bits; everything above it uses only IEEE basic operations (no libm), so
//! that generated plans are the same bytes everywhere.

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A stream of its own for each `(seed, stream)`: adding agents does not change earlier ones.
    pub fn new(seed: u64, stream: u64) -> Rng {
        let mut r = Rng(seed ^ stream.wrapping_mul(0xD1B5_4A32_D192_ED03));
        r.next_u64();
        r
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `[lo, hi)`.
    pub fn uniform(&mut self, lo: f64, hi: f64) -> f64 {
        lo + (hi - lo) * self.unit()
    }

    /// Uniform integer in `0..n`; `n` must be at least 1.
    pub fn below(&mut self, n: u64) -> u64 {
        ((self.next_u64() as u128 * n as u128) >> 64) as u64
    }

    /// Exponential with the given mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * ln(1.0 - self.unit())
    }

    /// A value whose quantiles are `knots`: `(probability, value)`, rising, from 0 to 1, linear
    /// in between.
    pub fn quantile(&mut self, knots: &[(f64, f64)]) -> f64 {
        let u = self.unit();
        at_quantile(knots, u)
    }

    /// One of `items`, each with its weight.
    pub fn weighted<T: Copy>(&mut self, items: &[(T, u32)]) -> T {
        let total: u64 = items.iter().map(|i| i.1 as u64).sum();
        let mut left = self.below(total.max(1));
        for (item, weight) in items {
            if left < *weight as u64 {
                return *item;
            }
            left -= *weight as u64;
        }
        items[items.len() - 1].0
    }

    /// `n` different indices of `0..len` in random order (`n` at most `len`).
    pub fn choose(&mut self, len: usize, n: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..len).collect();
        for i in 0..n.min(len) {
            let j = i + self.below((len - i) as u64) as usize;
            all.swap(i, j);
        }
        all.truncate(n);
        all
    }
}

/// The value at probability `u` of a piecewise linear quantile function.
pub fn at_quantile(knots: &[(f64, f64)], u: f64) -> f64 {
    for pair in knots.windows(2) {
        let ((p0, v0), (p1, v1)) = (pair[0], pair[1]);
        if u < p1 {
            return v0 + (v1 - v0) * (u - p0) / (p1 - p0);
        }
    }
    knots.last().map_or(0.0, |k| k.1)
}

/// Natural logarithm of a positive normal number, from basic operations only.
fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1023;
    let mantissa = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) | (1023 << 52));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    let mut term = s;
    let mut sum = 0.0;
    // 2 * atanh(s), s at most 1/3: 24 terms are below the rounding error.
    for k in 0..24 {
        sum += term / (2 * k + 1) as f64;
        term *= s2;
    }
    2.0 * sum + exponent as f64 * std::f64::consts::LN_2
}

/// Rounds to three decimals, so that files stay small and stable.
pub fn round3(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_agrees_with_the_library() {
        for x in [1e-12, 0.1, 0.5, 0.999, 1.0, 1.5, 2.0, 12345.678] {
            assert!((ln(x) - f64::ln(x)).abs() < 1e-12 * (1.0 + f64::ln(x).abs()), "{x}");
        }
    }

    #[test]
    fn known_splitmix_values() {
        // First outputs of SplitMix64 with state 0.
        let mut r = Rng(0);
        assert_eq!(r.next_u64(), 0xE220_A839_7B1D_CDAF);
        assert_eq!(r.next_u64(), 0x6E78_9E6A_A1B9_65F4);
    }

    #[test]
    fn exponential_has_its_mean() {
        let mut r = Rng::new(7, 0);
        let mean = (0..20000).map(|_| r.exponential(2000.0)).sum::<f64>() / 20000.0;
        assert!((1950.0..2050.0).contains(&mean), "{mean}");
    }

    #[test]
    fn quantile_interpolates() {
        let k = [(0.0, 0.0), (0.5, 10.0), (1.0, 30.0)];
        assert_eq!(at_quantile(&k, 0.25), 5.0);
        assert_eq!(at_quantile(&k, 0.75), 20.0);
        assert_eq!(at_quantile(&k, 1.0), 30.0);
    }

    #[test]
    fn choose_gives_different_indices() {
        let mut c = Rng::new(1, 1).choose(10, 10);
        c.sort();
        assert_eq!(c, (0..10).collect::<Vec<_>>());
    }
}
