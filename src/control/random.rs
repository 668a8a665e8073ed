//! The randomness of the control plane: delays that do not meet, sources in no fixed order.

/// A source of randomness, injected so that tests repeat.
pub trait Randomness: Send + Sync {
    /// Any value, uniformly.
    fn value(&self) -> u64;

    /// From 0 up to but not including 1.
    fn fraction(&self) -> f64 {
        (self.value() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandomness;

impl Randomness for SystemRandomness {
    fn value(&self) -> u64 {
        let mut bytes = [0; 8];
        // Without randomness every delay is its shortest and every order the given one, which still works.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}

/// Puts `items` into a random order.
pub(super) fn shuffle<T>(items: &mut [T], randomness: &dyn Randomness) {
    for end in (1..items.len()).rev() {
        let chosen = (randomness.fraction() * (end + 1) as f64) as usize;
        items.swap(end, chosen.min(end));
    }
}
