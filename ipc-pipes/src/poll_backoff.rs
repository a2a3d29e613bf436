//! How often to poll before sleeping.
//!
//! Sleeping and waking cost some microseconds on each side, in the waker's system call as well. If
//! the other side is at work on another processor, its answer comes sooner than that. So a call
//! that finds nothing polls for a while. It polls longer after polling has paid, and next to never
//! after it has not: on one processor, or with a peer that has other work.

use std::hint;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// How many polls pay at most: some 40 microseconds, the cost of two sleeps.
const MOST: u32 = 32;
/// How many polls there are at least, to find out when they begin to pay.
const LEAST: u32 = 1;

/// The number of polls that an end has learnt. Relaxed throughout: a guess, on which no other
/// memory depends.
pub(crate) struct PollBackoff(AtomicU32);

impl PollBackoff {
    pub(crate) fn new() -> PollBackoff {
        let one = thread::available_parallelism().is_ok_and(|processors| processors.get() == 1);
        PollBackoff(AtomicU32::new(if one { 0 } else { MOST / 2 }))
    }

    /// Polls again, each time after about a microsecond in which the other side may get ahead;
    /// returns `None` if that did not help.
    #[cold]
    pub(crate) fn poll<R>(&self, mut attempt: impl FnMut() -> Option<R>) -> Option<R> {
        let polls = self.0.load(Ordering::Relaxed);
        for _ in 0..polls {
            for _ in 0..PAUSES {
                hint::spin_loop();
            }
            if let Some(found) = attempt() {
                if polls < MOST {
                    self.0.store((polls * 2).min(MOST), Ordering::Relaxed);
                }
                return Some(found);
            }
        }
        if polls > LEAST {
            self.0.store(polls / 2, Ordering::Relaxed);
        }
        None
    }
}

/// About a microsecond.
const PAUSES: u32 = 30;
