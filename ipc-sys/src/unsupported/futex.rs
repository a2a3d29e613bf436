//! Futexes: there are none. A waiter checks its word in short intervals.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::types::futex::{Address, Waited, Word};

unsupported! {
    fn wait_any(&[Word<'_>], Duration) -> bool = false;
    fn wake(&AtomicU64, u32) -> usize = 0;
    fn wake_private(&AtomicU64, u32) -> usize = 0;
    fn wait_any_address(&[Address], Option<Duration>) -> Waited = Waited::Unsupported;
    // Without a kernel that checks the address, each word counts as changed.
    fn has_changed(&Address) -> bool = true;
    fn wake_address(&Address) -> () = ();
}

pub(crate) fn wait(_word: &AtomicU64, _seq: u32, _timeout: Duration) {
    std::thread::yield_now();
}

pub(crate) fn waits_for_any() -> bool {
    false
}

pub(crate) fn wait_word(_word: &Word<'_>, _timeout: Duration) {
    std::thread::yield_now();
}

// Threads of one process wait here, though nothing wakes them: they poll, and let others run.
pub(crate) fn wait_private(_word: &AtomicU64, _seq: u32, timeout: Duration) {
    std::thread::sleep(timeout.min(Duration::from_micros(100)));
}

pub(crate) fn wait_address(_word: &Address, timeout: Option<Duration>) {
    let slice = Duration::from_millis(1);
    std::thread::sleep(timeout.unwrap_or(slice).min(slice));
}
