//! How long to look again before falling asleep.
//!
//! Sleeping and being woken costs some microseconds on each side, in the waker's system call as
//! well. Where the other side is at work on another processor, what one waits for comes sooner than
//! that. So whoever finds nothing looks again for a while: longer after it has paid, and next to
//! nothing after it has not, as it never does on one processor, or with a peer that has other
//! things to do.

use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// How many looks pay at most: some 40 microseconds, what two sleeps cost.
const MOST: u32 = 32;
/// How many at least, to find out when it begins to pay.
const LEAST: u32 = 1;

/// What an end has learnt. Relaxed throughout: a guess, which says nothing about other memory.
pub(crate) struct PollBackoff(AtomicU32);

impl PollBackoff {
    pub(crate) fn new() -> PollBackoff {
        let one = thread::available_parallelism().is_ok_and(|processors| processors.get() == 1);
        PollBackoff(AtomicU32::new(if one { 0 } else { MOST / 2 }))
    }

    /// Looks again, each time after about a microsecond in which the other side may get ahead;
    /// `None` if that did not help.
    #[cold]
    pub(crate) fn look_again<R>(&self, mut look: impl FnMut() -> Option<R>) -> Option<R> {
        let looks = self.0.load(Ordering::Relaxed);
        for _ in 0..looks {
            for _ in 0..PAUSES {
                hint::spin_loop();
            }
            if let Some(found) = look() {
                if looks < MOST {
                    self.0.store((looks * 2).min(MOST), Ordering::Relaxed);
                }
                return Some(found);
            }
        }
        if looks > LEAST {
            self.0.store(looks / 2, Ordering::Relaxed);
        }
        None
    }
}

/// About a microsecond.
const PAUSES: u32 = 30;
