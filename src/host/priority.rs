//! Which threads give way to others.

use rustix::process::setpriority_process;
use rustix::thread::gettid;

/// Nice value of threads that no message waits for: beside others that want the same processor they get a tenth of it,
/// on an idle one all.
const GIVES_WAY: i32 = 10;

/// Lets the calling thread, and those that it starts from here on, give way to all others. Their bursts (the time-stamps of
/// some seconds, records of monitoring, indexes of the log) then take what is idle, in place of stopping a pinned worker for a tenth of
/// a second.
pub fn give_way() {
    // A process with a higher value already may not lower it, and need not.
    let _ = setpriority_process(Some(gettid()), GIVES_WAY);
}

#[cfg(test)]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;

    #[test]
    fn it_is_the_thread_alone_and_what_it_starts() {
        let nice = || getpriority_process(Some(gettid())).unwrap();
        let before = nice();
        let those = std::thread::spawn(move || {
            give_way();
            (nice(), std::thread::spawn(nice).join().unwrap())
        });
        let expected = before.max(GIVES_WAY);
        assert_eq!(those.join().unwrap(), (expected, expected));
        assert_eq!((nice(), std::thread::spawn(nice).join().unwrap()), (before, before));
    }
}
