//! Numbers that look drawn by chance, the same for the same seed.

/// A stream of numbers (SplitMix64).
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    /// The next whole number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number from 0 to 1.
    pub(crate) fn share(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_and_repeat_with_their_seed() {
        let (mut a, mut b) = (SplitMix64(7), SplitMix64(7));
        let all: Vec<f64> = (0..200).map(|_| a.share()).collect();
        assert!(all.iter().all(|x| (0. ..=1.).contains(x) && *x == b.share()));
        assert!(all.iter().any(|x| *x < 0.1) && all.iter().any(|x| *x > 0.9));
    }
}
