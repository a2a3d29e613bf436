//! Sleeping until one of several things changes: words, files, or a waker of this thread.
//!
//! | what is waited for | how this thread sleeps, on Linux |
//! |---|---|
//! | one word | `FUTEX_WAIT` |
//! | up to 127 words, or a waker | `futex_waitv`, with one word more that the waker changes |
//! | files only | `ppoll` |
//! | files and words | `futex_waitv`, while the [`reactor`] waits for the files and calls the waker |
//!
//! Where there are more words, or the system has no `futex_waitv`, ends are asked to call a waker
//! instead ([`Sleeper::most_words`]). Words that are left are checked every millisecond.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use ipc_core::__private::ready::Source;
use ipc_core::__private::select::Sleeper;

use crate::futex::{self, Word};
use crate::os::sleep as os;
pub use crate::types::sleep::File;
use crate::{barrier, reactor};

/// The most words in one call of [`futex::wait_any`], without the thread's own.
pub const MOST_WORDS: usize = 127;

/// How often words are checked that no system call can wait for together.
const CHECK: Duration = Duration::from_millis(1);

/// Waits until a file is ready, or closed at its other end, for at most `timeout`. (`ppoll`)
#[must_use]
pub fn ready(file: File<'_>, timeout: Duration) -> bool {
    os::poll(&[file], timeout)
}

/// The calling thread, as a sleeper.
#[derive(Clone, Copy, Debug)]
pub struct ThisThread;

/// The word that the wakers of a thread change.
struct Own {
    word: AtomicU64,
}

impl Wake for Own {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: with the Acquire in `sleep`. What the waker's caller did before is seen there.
        self.word.fetch_add(1, Ordering::Release);
        futex::wake_private(&self.word, 1);
    }
}

struct Local {
    own: Arc<Own>,
    waker: Waker,
    /// The low half of the word at the end of the last sleep.
    seen: Cell<u32>,
}

impl Local {
    fn new() -> Local {
        let own = Arc::new(Own { word: AtomicU64::new(0) });
        Local { waker: Waker::from(own.clone()), own, seen: Cell::new(0) }
    }
}

thread_local! {
    static LOCAL: Local = Local::new();
}

impl Sleeper for ThisThread {
    fn with_waker<R>(&self, with: impl FnOnce(&Waker) -> R) -> R {
        let mut with = Some(with);
        let mut call = |waker: &Waker| with.take().map(|with| with(waker));
        // A thread that is being torn down has none: it looks again after each slice.
        let done = LOCAL.try_with(|local| call(&local.waker)).ok().flatten();
        match done.or_else(|| call(Waker::noop())) {
            Some(done) => done,
            None => unreachable!("it is called once"),
        }
    }

    fn poll(&self, files: &[Source<'_>]) -> bool {
        let files = files.iter().filter_map(|source| match *source {
            #[cfg(unix)]
            Source::File { fd, writable } => Some(File { fd, writable }),
            _ => None,
        });
        os::poll(&files.collect::<Vec<_>>(), Duration::ZERO)
    }

    fn barrier(&self) -> bool {
        // SeqCst: for processes that issue a fence of their own, where the call below fails.
        fence(Ordering::SeqCst);
        barrier::issue()
    }

    fn most_words(&self) -> usize {
        if futex::waits_for_any() { MOST_WORDS } else { 0 }
    }

    fn sleep(&self, sources: &[Source<'_>], timeout: Duration) -> bool {
        let (mut words, mut files, mut waker) = (Vec::new(), Vec::new(), false);
        for source in sources {
            match *source {
                Source::Word { word, seen, shared } => words.push(Word { word, seen, shared }),
                #[cfg(unix)]
                Source::File { fd, writable } => files.push(File { fd, writable }),
                Source::Waker => waker = true,
                _ => {}
            }
        }
        if words.is_empty() && !waker && !files.is_empty() {
            return os::poll(&files, timeout);
        }
        if files.is_empty() && !waker && !words.is_empty() {
            return sleep_on(&words, timeout);
        }
        let slept = LOCAL.try_with(|local| {
            let own = Word { word: &local.own.word, seen: local.seen.get(), shared: false };
            let armed: Vec<_> =
                files.iter().map(|file| reactor::arm(*file, &local.waker)).collect();
            let mut all = words.clone();
            all.push(own);
            let woken = if armed.iter().all(Result::is_ok) {
                sleep_on(&all, timeout)
            } else {
                // Neither a thread nor a descriptor is left for the reactor.
                check_often(&all, &files, timeout)
            };
            drop(armed);
            // Acquire: with the Release in `wake_by_ref`.
            local.seen.set(own.word.load(Ordering::Acquire) as u32);
            woken
        });
        slept.unwrap_or_else(|_| check_often(&words, &files, timeout))
    }
}

/// Sleeps until one of the words has changed, and returns whether one has.
fn sleep_on(words: &[Word<'_>], timeout: Duration) -> bool {
    match words {
        [one] => one.wait(timeout),
        // The own word is one more.
        _ if words.len() <= MOST_WORDS + 1 && futex::wait_any(words, timeout) => {}
        _ => return check_often(words, &[], timeout),
    }
    words.iter().any(Word::changed)
}

/// Checks everything every millisecond, where no one call waits for it.
#[cold]
fn check_often(words: &[Word<'_>], files: &[File<'_>], timeout: Duration) -> bool {
    let began = Instant::now();
    loop {
        if words.iter().any(Word::changed) || os::poll(files, Duration::ZERO) {
            return true;
        }
        let left = timeout.saturating_sub(began.elapsed());
        if left.is_zero() {
            return false;
        }
        match words.first() {
            Some(word) => word.wait(left.min(CHECK)),
            None => return os::poll(files, left),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "sleep_tests.rs"]
mod tests;
