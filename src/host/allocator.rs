//! How long the allocator keeps what was freed.

use libmimalloc_sys::{mi_option_set_default, mi_option_t};

/// `mi_option_purge_delay` of version 2, which the bindings do not name.
const PURGE_DELAY: mi_option_t = 15;
/// In milliseconds. Messages come in batches some milliseconds apart: with the allocator's own 10 ms the memory of one batch
/// is given back to the system before the next one needs it, and its pages are taken and cleared again; that was a
/// seventh of a server's processor time under load.
const KEPT_MS: std::ffi::c_long = 1000;

/// Lets the allocator keep freed memory for a second before the system gets it back, unless `MIMALLOC_PURGE_DELAY` in the
/// environment says how long. To be called first of all, by programs whose allocator it is.
#[allow(unsafe_code)]
pub fn keep_freed_memory() {
    // SAFETY: it writes one number of a static table. It is not thread safe, and called before there is a second thread.
    unsafe { mi_option_set_default(PURGE_DELAY, KEPT_MS) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(unsafe_code)]
    fn the_option_is_the_one_that_is_meant() {
        // SAFETY: it reads one number of a static table, which no other test touches.
        let value = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
            assert_eq!(value(), 10, "the allocator's own setting");
            keep_freed_memory();
            assert_eq!(value(), KEPT_MS);
        }
    }
}
