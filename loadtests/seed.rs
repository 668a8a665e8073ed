//! Numbers that look random and come again with the same seed (SplitMix64).

/// A sequence.
#[derive(Debug, Clone)]
pub struct Seed(u64);

impl Seed {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from 0 (included) to 1 (not).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_from_zero_to_one() {
        let (mut one, mut other) = (Seed::new(7), Seed::new(7));
        let mean = (0..10_000).map(|_| one.unit()).sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean));
        assert_ne!(other.next(), other.next());
        assert_eq!(Seed::new(7).next(), Seed::new(7).next());
    }
}
