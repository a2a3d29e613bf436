//! How often a process looks who is dead, where it is asked more often than it need be.

use crate::sync::unmodelled::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Microseconds between two looks.
const INTERVAL: u64 = 1000;

/// When somebody last looked.
pub(crate) struct Throttle {
    made: Instant,
    /// Microseconds after `made`. Relaxed throughout: a time, nothing rides on it.
    last: AtomicU64,
}

impl Throttle {
    /// The first look is due.
    pub(crate) fn new() -> Throttle {
        Throttle { made: Instant::now(), last: AtomicU64::new(0) }
    }

    /// Whether the last look was at least a millisecond ago. If so, this one begins.
    pub(crate) fn due(&self) -> bool {
        let now = self.now();
        let due = now.saturating_sub(self.last.load(Relaxed)) >= INTERVAL;
        if due {
            self.last.store(now, Relaxed);
        }
        due
    }

    /// Begins a look that was not asked for here.
    pub(crate) fn begin(&self) {
        self.last.store(self.now(), Relaxed);
    }

    fn now(&self) -> u64 {
        self.made.elapsed().as_micros() as u64 + INTERVAL
    }
}
