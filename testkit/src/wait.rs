//! Waits for what another thread or process does.

use std::thread;
use std::time::{Duration, Instant};

/// Waits until `holds` returns true.
///
/// # Panics
///
/// Panics with `what` if that takes longer than 20 seconds. Time in which this process does not run
/// counts little: a machine that stops it does not fail the test.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    const STEP: Duration = Duration::from_millis(50);
    let mut left = Duration::from_secs(20);
    let mut last = Instant::now();
    while !holds() {
        let now = Instant::now();
        left = left.saturating_sub((now - last).min(STEP));
        last = now;
        assert!(!left.is_zero(), "this did not come about in 20 s: {what}");
        thread::yield_now();
    }
}
