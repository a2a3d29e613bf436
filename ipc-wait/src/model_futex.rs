//! A futex for models, with the waiters of one word.

use std::sync::Arc;

use crate::sync::models::{Condvar, Mutex};
use crate::sync::{AtomicU64, Ordering};

/// The waiters of a word, which are woken in the order of their arrival.
pub struct ModelFutex {
    kernel: Arc<Kernel>,
    /// Which of the kernel's queues is this word's.
    queue: usize,
}

/// Two words on which a waiter can sleep at once.
struct Kernel {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of waiters that arrived.
    arrived: usize,
    queues: [Vec<usize>; 2],
    /// The waiters that were woken and have not returned.
    woken: Vec<usize>,
}

impl ModelFutex {
    /// Makes a futex without waiters.
    pub fn new() -> ModelFutex {
        let [one, _] = ModelFutex::pair();
        one
    }

    /// Makes two futexes without waiters, for [`wait_any`](ModelFutex::wait_any).
    pub fn pair() -> [ModelFutex; 2] {
        let kernel = Kernel { state: Mutex::new(State::default()), woken: Condvar::new() };
        let kernel = Arc::new(kernel);
        [0, 1].map(|queue| ModelFutex { kernel: kernel.clone(), queue })
    }

    /// Sleeps while the low half of the word is `seq`.
    ///
    /// The sleep has no timeout, so a lost wake-up is a deadlock that loom reports.
    pub fn wait(&self, word: &AtomicU64, seq: u32) {
        ModelFutex::wait_any(&[(self, word, seq)]);
    }

    /// Sleeps while the low half of each of these words is the number beside it. Two futexes are of
    /// one pair.
    pub fn wait_any(words: &[(&ModelFutex, &AtomicU64, u32)]) {
        let kernel = &*words.first().expect("there is a word to sleep on").0.kernel;
        let mut state = kernel.state.lock().expect("no panic while it is held");
        // As in the kernel, the words are compared under the lock that wakers take. SeqCst, which
        // for loom is Acquire: a waker that had the lock before has changed the word before.
        if words.iter().any(|(_, word, seq)| word.load(Ordering::SeqCst) as u32 != *seq) {
            return;
        }
        // A wake-up concerns waiters that slept already, never later ones.
        let me = state.arrived;
        state.arrived += 1;
        for (futex, ..) in words {
            assert!(std::ptr::eq(&*futex.kernel, kernel), "the two are no pair");
            state.queues[futex.queue].push(me);
        }
        while !state.woken.contains(&me) {
            state = kernel.woken.wait(state).expect("no panic while it is held");
        }
        // As in the kernel, this waiter may have used up a wake-up of the other word meanwhile.
        state.queues.iter_mut().for_each(|queue| queue.retain(|waiter| *waiter != me));
        state.woken.retain(|waiter| *waiter != me);
    }

    /// Wakes at most `n` waiters, and returns how many.
    pub fn wake(&self, n: u32) -> usize {
        let mut state = self.kernel.state.lock().expect("no panic while it is held");
        let n = state.queues[self.queue].len().min(n as usize);
        let woken: Vec<usize> = state.queues[self.queue].drain(..n).collect();
        state.woken.extend(woken);
        drop(state);
        if n > 0 {
            self.kernel.woken.notify_all();
        }
        n
    }
}
