//! Whether a message id is certainly not in a segment.

use std::io;

use super::layout::Head;
use super::{Opened, damaged};

/// Bits of memory for each record: about one wrong "perhaps" in a hundred.
const BITS_PER_RECORD: usize = 10;
const BLOCK_BYTES: usize = 64;
const PROBES: u32 = 6;

/// A Bloom filter in blocks of a cache line.
#[derive(Debug)]
pub(super) struct Bloom(Vec<u8>);

impl Bloom {
    /// Over these hashes.
    pub fn new(hashes: impl ExactSizeIterator<Item = u64>) -> Self {
        let bytes = (hashes.len() * BITS_PER_RECORD).div_ceil(8).next_multiple_of(BLOCK_BYTES);
        let mut bloom = Self(vec![0; bytes]);
        for hash in hashes {
            let Some(block) = bloom.block(hash) else { continue };
            for (byte, bit) in bits(hash) {
                if let Some(byte) = bloom.0.get_mut(block + byte) {
                    *byte |= bit;
                }
            }
        }
        bloom
    }

    /// Reads the filter of an index and checks it.
    pub fn read(opened: &Opened<'_>, head: &Head) -> io::Result<Self> {
        let mut bytes = vec![0; usize::try_from(head.bloom.len).map_err(|_| damaged())?];
        opened.read(&mut bytes, head.bloom.offset)?;
        if crc32fast::hash(&bytes) != head.bloom_crc {
            return Err(damaged());
        }
        Ok(Self(bytes))
    }

    /// Whether a record may have this hash.
    pub fn may_contain(&self, hash: u64) -> bool {
        let Some(block) = self.block(hash) else { return false };
        bits(hash).all(|(byte, bit)| self.0.get(block + byte).is_some_and(|byte| byte & bit != 0))
    }

    /// The bytes to be stored.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes of memory.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn block(&self, hash: u64) -> Option<usize> {
        let blocks = self.0.len() / BLOCK_BYTES;
        (blocks > 0).then(|| ((u128::from(hash) * blocks as u128) >> 64) as usize * BLOCK_BYTES)
    }
}

// The low bits choose the bits in a block, which the high ones have chosen.
fn bits(hash: u64) -> impl Iterator<Item = (usize, u8)> {
    (0..PROBES).map(move |probe| {
        let bit = (hash >> (9 * probe)) as usize & 511;
        (bit / 8, 1 << (bit % 8))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::sealed::layout;

    #[test]
    fn what_is_there_is_always_perhaps_there_and_little_else_is() {
        let hash = |at: u32| layout::hash(1, &at.to_string());
        let bloom = Bloom::new((0..20_000).map(hash).collect::<Vec<_>>().into_iter());
        assert!((0..20_000).all(|at| bloom.may_contain(hash(at))));
        let wrong = (20_000..40_000).filter(|at| bloom.may_contain(hash(*at))).count();
        assert!(wrong < 600, "{wrong} of 20,000");
        assert!(!Bloom::new([].into_iter()).may_contain(1));
    }
}
