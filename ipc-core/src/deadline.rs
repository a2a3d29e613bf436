//! How long an operation may wait.

use std::time::{Duration, Instant};

/// How long an operation may wait: not at all, until a point in time, or for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// `try_*`: answer now.
    Never,
    /// `*_timeout`, `*_deadline`: answer when this point of the monotonic clock is reached.
    Until(Instant),
    /// Wait as long as it takes.
    Forever,
}

impl Patience {
    /// Waits for this long from now; a duration beyond the clock's end is for ever.
    #[must_use]
    pub fn timeout(duration: Duration) -> Patience {
        match Instant::now().checked_add(duration) {
            Some(deadline) => Patience::Until(deadline),
            None => Patience::Forever,
        }
    }

    /// How much of it is left, at most `slice`; `None` when it is used up.
    #[must_use]
    pub fn left(self, slice: Duration) -> Option<Duration> {
        match self {
            Patience::Never => None,
            Patience::Forever => Some(slice),
            Patience::Until(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
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
        assert_eq!(Patience::timeout(Duration::MAX), Patience::Forever);
        assert_eq!(Patience::timeout(Duration::ZERO).left(Duration::MAX), None);
        let long = Patience::timeout(Duration::from_secs(1 << 20));
        assert_eq!(long.left(Duration::from_millis(50)), Some(Duration::from_millis(50)));
    }
}
