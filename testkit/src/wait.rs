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

/// Checks that a wait of this length, which began then, has just ended in time: not early, and late
/// only by what a machine that is as busy as this one may add.
#[track_caller]
pub fn in_time(began: Instant, wait: Duration) {
    const LATE: Duration = Duration::from_secs(2);
    let took = began.elapsed();
    assert!(took >= wait, "returned early: after {took:?} instead of {wait:?}");
    assert!(
        took < wait + LATE * crate::busy(),
        "returned late: after {took:?} instead of {wait:?}"
    );
}

/// Runs `f`, which must take this long, and returns what it returned: see [`in_time`].
#[track_caller]
pub fn takes<R>(wait: Duration, f: impl FnOnce() -> R) -> R {
    let began = Instant::now();
    let result = f();
    in_time(began, wait);
    result
}
