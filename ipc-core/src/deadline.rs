//! Until when an operation may wait.

use std::time::{Duration, Instant};

/// Until when an operation may wait.
///
/// Not `#[non_exhaustive]`: there is no fourth case, and each route matches all three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    /// The deadline has passed: the operation does not wait (`try_*`).
    Now,
    /// The operation waits until the monotonic clock reaches this instant (`*_timeout`,
    /// `*_deadline`).
    At(Instant),
    /// There is no deadline: the operation waits as long as it takes.
    Never,
}

impl Deadline {
    /// Returns the deadline that lies `timeout` after now.
    ///
    /// If that instant is beyond what the clock can represent, the deadline is
    /// [`Never`](Deadline::Never).
    #[must_use]
    pub fn after(timeout: Duration) -> Deadline {
        match Instant::now().checked_add(timeout) {
            Some(instant) => Deadline::At(instant),
            None => Deadline::Never,
        }
    }

    /// Returns the time that is left, at most `slice`, or `None` if the deadline has passed.
    #[must_use]
    pub fn left(self, slice: Duration) -> Option<Duration> {
        match self {
            Deadline::Now => None,
            Deadline::Never => Some(slice),
            Deadline::At(instant) => {
                let left = instant.saturating_duration_since(Instant::now());
                (!left.is_zero()).then(|| left.min(slice))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // fault 31: timeouts 0 and Duration::MAX.
    #[test]
    fn extreme_durations_neither_overflow_nor_return_early() {
        assert_eq!(Deadline::after(Duration::MAX), Deadline::Never);
        assert_eq!(Deadline::after(Duration::ZERO).left(Duration::MAX), None);
        let long = Deadline::after(Duration::from_secs(1 << 20));
        assert_eq!(long.left(Duration::from_millis(50)), Some(Duration::from_millis(50)));
    }
}
