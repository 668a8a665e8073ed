//! Buffers that live for one write only, taken in turn from a small stack of each worker: the last one that was given
//! back is still in the processor's cache, which a buffer of the connection's own would not be.

use std::cell::RefCell;

use crate::limits::WRITE_BUFFER_BYTES;

/// Buffers kept by a worker; with more writes than that on their way at once new ones are made.
const KEPT_MAX: usize = 64;
/// A round of gathered writes with the overhead of its TLS records fits; a larger buffer is not kept.
const CAPACITY_MAX: usize = 2 * WRITE_BUFFER_BYTES;

thread_local! {
    static KEPT: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer.
pub(super) fn take() -> Vec<u8> {
    KEPT.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Gives a buffer back.
pub(super) fn give(mut buffer: Vec<u8>) {
    buffer.clear();
    if (1..=CAPACITY_MAX).contains(&buffer.capacity()) {
        KEPT.with_borrow_mut(|kept| {
            if kept.len() < KEPT_MAX {
                kept.push(buffer);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_buffer_comes_back_empty_and_a_huge_one_does_not() {
        give(Vec::with_capacity(100));
        give(b"secret".repeat(100));
        give(Vec::with_capacity(CAPACITY_MAX + 1));
        give(Vec::new());
        assert_eq!((take().len(), take().capacity(), take().capacity()), (0, 100, 0));
        (0..2 * KEPT_MAX).for_each(|_| give(Vec::with_capacity(1)));
        assert_eq!(KEPT.with_borrow(Vec::len), KEPT_MAX);
    }
}
