//! What the allocator asks of the system: how long it keeps what was freed, and pages of which size.

use libmimalloc_sys::{mi_option_set_default, mi_option_t};

/// `mi_option_purge_delay` of version 2, which the bindings do not name.
const PURGE_DELAY: mi_option_t = 15;
/// In milliseconds. Messages come in batches some milliseconds apart: with the allocator's own 10 ms the memory of one batch
/// is given back to the system before the next one needs it, and its pages are taken and cleared again; that was a
/// seventh of a server's processor time under load.
const KEPT_MS: std::ffi::c_long = 1000;

/// Sets the allocator up for a server. To be called first of all, by programs whose allocator it is.
///
/// It keeps freed memory for a second before the system gets it back, unless `MIMALLOC_PURGE_DELAY` in the environment says
/// how long; and the program's memory has pages of 4 KiB, unless `MIMALLOC_ALLOW_THP` is there: with the system's pages of
/// 2 MiB each thread held some of them for little, which made a server two and a half times as large and no faster.
#[allow(unsafe_code)]
pub fn set_up_allocator() {
    // SAFETY: it writes one number of a static table. It is not thread safe, and called before there is a second thread.
    unsafe { mi_option_set_default(PURGE_DELAY, KEPT_MS) };
    if std::env::var_os("MIMALLOC_ALLOW_THP").is_none() {
        // Where the kernel does not know this, memory is larger and all else the same.
        let _ = rustix::thread::disable_transparent_huge_pages(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(unsafe_code)]
    fn the_options_are_those_that_are_meant() {
        // SAFETY: it reads one number of a static table, which no other test touches.
        let value = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
            assert_eq!(value(), 10, "the allocator's own setting");
            set_up_allocator();
            assert_eq!(value(), KEPT_MS);
        }
        set_up_allocator();
        let refused = std::env::var_os("MIMALLOC_ALLOW_THP").is_none();
        assert_eq!(rustix::thread::transparent_huge_pages_are_disabled().unwrap(), refused);
    }
}
