//! Limits how often a process checks for dead participants, when its callers ask more often.

use crate::sync::unmodelled::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// The microseconds between two checks.
const INTERVAL: u64 = 1000;

/// The time of the last check.
pub(crate) struct Throttle {
    made: Instant,
    /// Microseconds after `made`. Relaxed throughout: it is a time, and no data depends on it.
    last: AtomicU64,
}

impl Clone for Throttle {
    /// Returns a throttle of its own: the first check is due.
    fn clone(&self) -> Throttle {
        Throttle::new()
    }
}

impl Throttle {
    /// The first check is due.
    pub(crate) fn new() -> Throttle {
        Throttle { made: Instant::now(), last: AtomicU64::new(0) }
    }

    /// Returns whether the last check was at least a millisecond ago.
    ///
    /// If so, a new check begins.
    pub(crate) fn due(&self) -> bool {
        let now = self.now();
        let due = now.saturating_sub(self.last.load(Relaxed)) >= INTERVAL;
        if due {
            self.last.store(now, Relaxed);
        }
        due
    }

    /// Records the begin of a check that does not depend on the limit.
    pub(crate) fn begin(&self) {
        self.last.store(self.now(), Relaxed);
    }

    fn now(&self) -> u64 {
        self.made.elapsed().as_micros() as u64 + INTERVAL
    }
}
