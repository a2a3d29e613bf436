//! A futex for models, with the waiters of one word.

use crate::sync::models::{Condvar, Mutex};
use crate::sync::{AtomicU64, Ordering};

/// The waiters of a word, which are woken in the order of their arrival.
pub struct ModelFutex {
    /// The number of waiters that arrived, and how many of them, the first ones, were woken.
    state: Mutex<(usize, usize)>,
    woken: Condvar,
}

impl ModelFutex {
    /// Makes a futex without waiters.
    pub fn new() -> ModelFutex {
        ModelFutex { state: Mutex::new((0, 0)), woken: Condvar::new() }
    }

    /// Sleeps while the low half of the word is `seq`.
    ///
    /// The sleep has no timeout, so a lost wake-up is a deadlock that loom reports.
    pub fn wait(&self, word: &AtomicU64, seq: u32) {
        let mut state = self.state.lock().expect("no panic while it is held");
        // As in the kernel, the word is compared under the lock that wakers take. SeqCst, which for
        // loom is Acquire: a waker that had the lock before has changed the word before.
        if word.load(Ordering::SeqCst) as u32 != seq {
            return;
        }
        // A wake-up concerns waiters that slept already, never later ones.
        let place = state.0;
        state.0 += 1;
        while state.1 <= place {
            state = self.woken.wait(state).expect("no panic while it is held");
        }
    }

    /// Wakes at most `n` waiters, and returns how many.
    pub fn wake(&self, n: u32) -> usize {
        let mut state = self.state.lock().expect("no panic while it is held");
        let woken = (state.0 - state.1).min(n as usize);
        state.1 += woken;
        drop(state);
        if woken > 0 {
            self.woken.notify_all();
        }
        woken
    }
}
