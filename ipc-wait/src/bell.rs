//! Sleeping and waking: an eventcount that packs `{ arms, tokens, seq }` into one word.
//!
//! A waiter registers a token, checks its condition once more, and sleeps while `seq` stays the
//! same. A publisher that finds a token removes it and increments `seq`. The columns show the two
//! processes, and why no wake-up is lost:
//!
//! ```text
//!   waiter                             waker
//!   S1 tokens += 1        SeqCst       P  publish (slot, Release)
//!   S2 barrier in every process        K1 the barrier of S2, or a fence of its own
//!   S3 check again                     K2 any tokens?
//!   S5 sleep while seq == s            K3 { seq + 1, tokens - 1 }   K4 wake one
//! ```
//!
//! P and K2 are a store and a load of different words, which every processor may reorder. So are S1
//! and S3. With both barriers, either S3 sees P or K2 sees S1.
//!
//! A barrier of the waker is on the hot path, and costs 5 to 15 %. So the waiter issues it for both
//! sides: `membarrier` returns only after every running thread of every registered process has
//! executed a full barrier. If P is before that barrier, S3 sees P. If P is after it, K2 is after
//! it too, and sees S1.
//!
//! A process that could not register for `membarrier` issues its own fence. Both kinds of process
//! may share a ring.
//!
//! The word counts tokens, not sleepers. A killed waiter leaves one token, which costs one futile
//! wake-up and is then gone. In a count of sleepers it would cost one futile wake-up for each
//! message, for ever.
//!
//! # Waiters that do not sleep on the word
//!
//! A waker that wakes no thread drops all tokens. So a process whose threads do not sleep on the
//! word has no token. It has a bit and a bell socket ([`sockets`](crate::sockets)), and `arms`
//! shows that a bit may be set:
//!
//! ```text
//!   waiter                             waker
//!   S1 sets its bit, arms + 1  SeqCst  P, K1, K2 as above, and tokens first: K3, K4
//!   S2, S3 as above                    K5 arms == 0: done
//!   S5 waits for a datagram            K6 claims a bit, sends a datagram
//!                                      K7 no bit is set: { arms = 0, seq + 1 }
//! ```
//!
//! `arms` does not count waiters. It counts registrations since it was 0. After its last value it
//! begins again at 1, with `seq + 1`. So every registration changes the word. K7 changes the word
//! only if it is still that of K5, apart from the tokens. If a bit is set after K6 has looked at
//! it, the registration changes the word, K7 fails, and `arms` stays. The step of `seq` in K7 keeps
//! the same word from coming again.
//!
//! Threads come first. Sockets are woken if fewer threads were asleep than the waker wants to wake.
//!
//! A lost wake-up delays a waiter but never hangs it, because waiters sleep in slices
//! (`ipc-core/src/wait.rs`).

use std::time::Duration;

use ipc_core::__private::ready::{self, Outcome};
use ipc_core::__private::wait::Woken;
use ipc_sys as sys;

use crate::killpoint::kill_point;
#[cfg(loom)]
use crate::model_futex::ModelFutex;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use crate::sync::{AtomicU64, fence};

// The packed word: 63..54 arms, 53..32 tokens, 31..0 seq.
const TOKEN: u64 = 1 << 32;
const TOKENS: u64 = (1 << 22) - 1;
/// Half of the tokens that the word can count. Waiters that were notified for other reasons leave
/// theirs behind, until a waker finds no thread asleep.
const MANY: u32 = 1 << 21;
const ARM: u64 = 1 << 54;
pub(crate) const MOST_ARMS: u32 = (1 << 10) - 1;

pub(crate) const fn seq(word: u64) -> u32 {
    word as u32
}
pub(crate) const fn tokens(word: u64) -> u32 {
    (word >> 32 & TOKENS) as u32
}
pub(crate) const fn arms(word: u64) -> u32 {
    (word / ARM) as u32
}
/// Returns whether there may be a waiter.
pub(crate) const fn waiters(word: u64) -> bool {
    word >> 32 != 0
}
pub(crate) const fn wait_word(arms: u32, tokens: u32, seq: u32) -> u64 {
    (ARM * arms as u64) | ((tokens as u64) << 32) | seq as u64
}

/// A waiter's registration, with the `seq` under which it was made.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket {
    seq: u32,
    /// Whether the barrier covers both sides. If not, the waiter sleeps in short slices only.
    sound: bool,
}

/// The bit of an unsound registration in a number.
const UNSOUND: u64 = 1 << 32;

impl From<Ticket> for ready::Ticket {
    fn from(ticket: Ticket) -> Self {
        ready::Ticket(u64::from(ticket.seq) | if ticket.sound { 0 } else { UNSOUND })
    }
}

impl From<ready::Ticket> for Ticket {
    fn from(ready::Ticket(number): ready::Ticket) -> Self {
        Ticket { seq: seq(number), sound: number & UNSOUND == 0 }
    }
}

/// How this process orders a publication before its load of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// The process is registered for `membarrier`: the waiters issue the barrier for it.
    Theirs,
    /// The process issues its own fence.
    Ours,
}

impl Barrier {
    /// Registers this process for `membarrier`, if the system supports it.
    #[must_use]
    pub fn register() -> Barrier {
        if !cfg!(loom) && sys::barrier::register() { Barrier::Theirs } else { Barrier::Ours }
    }
}

/// A view of the word on which waiters sleep. The word begins as 0.
#[derive(Clone, Copy)]
pub struct Bell<'a> {
    pub(crate) word: &'a AtomicU64,
    /// Whether waiters and wakers are in different processes. All users of a word agree on this,
    /// because the kernel keeps two kinds of sleepers apart.
    shared: bool,
    #[cfg(loom)]
    futex: &'a ModelFutex,
}

impl<'a> Bell<'a> {
    /// Makes a view of a word of memory that processes share.
    #[cfg(not(loom))]
    #[inline(always)]
    #[must_use]
    pub fn shared(word: &'a AtomicU64) -> Bell<'a> {
        Bell { word, shared: true }
    }

    /// Makes a view of a word that only the threads of this process use.
    #[cfg(not(loom))]
    #[inline(always)]
    #[must_use]
    pub fn private(word: &'a AtomicU64) -> Bell<'a> {
        Bell { word, shared: false }
    }

    /// Makes a view of a word of memory that processes share, and of its model's waiters.
    #[cfg(loom)]
    #[must_use]
    pub fn shared(word: &'a AtomicU64, futex: &'a ModelFutex) -> Bell<'a> {
        Bell { word, shared: true, futex }
    }

    /// Makes a view of a word of one process, and of its model's waiters.
    #[cfg(loom)]
    #[must_use]
    pub fn private(word: &'a AtomicU64, futex: &'a ModelFutex) -> Bell<'a> {
        Bell { word, shared: false, futex }
    }

    /// Wakes up to `n` waiters, after a publication that concerns them.
    #[inline(always)]
    pub fn ring(self, n: u64, barrier: Barrier) {
        if self.must_ring(barrier) {
            self.ring_threads(n.min(u64::from(u32::MAX)) as u32);
        }
    }

    /// Returns whether there may be a waiter, after a publication: K1 and K2.
    #[inline(always)]
    #[must_use]
    pub fn must_ring(self, barrier: Barrier) -> bool {
        match barrier {
            // K1: the waiters' barrier stands in (see the module documentation). The compiler must
            // keep the order too.
            Barrier::Theirs => crate::sync::unmodelled::compiler_fence(SeqCst),
            // K1: SeqCst, because S1 and S2 are the other half.
            Barrier::Ours => fence(SeqCst),
        }
        // K2. Relaxed: K1 orders this load.
        waiters(self.word.load(Relaxed))
    }

    /// Wakes up to `n` threads that sleep on the word, and returns how many.
    #[cold]
    pub(crate) fn ring_threads(self, n: u32) -> u32 {
        let mut w = self.word.load(Relaxed); // Relaxed: the CAS decides.
        loop {
            let k = n.min(tokens(w));
            if k == 0 {
                return 0;
            }
            let notified = wait_word(arms(w), tokens(w) - k, seq(w).wrapping_add(1));
            kill_point!("ring.token");
            // K3. AcqRel: a woken waiter loads `seq`, so it sees what was published before.
            match self.word.compare_exchange(w, notified, AcqRel, Relaxed) {
                Ok(_) => {
                    kill_point!("ring.wake");
                    // K4.
                    let woken = self.wake(k);
                    if woken == 0 {
                        kill_point!("ring.surplus");
                        // No waiter sleeps in the futex, so all older tokens are surplus: their
                        // owners are dead, or will see the new `seq`. Relaxed on failure: another
                        // waker rang or a waiter registered meanwhile.
                        let _ = self.word.compare_exchange(
                            notified,
                            wait_word(arms(notified), 0, seq(notified)),
                            AcqRel,
                            Relaxed,
                        );
                    }
                    return woken as u32;
                }
                Err(now) => w = now,
            }
        }
    }

    /// Wakes all threads that sleep on the word.
    #[cold]
    pub fn wake_all(self) {
        // SeqCst: as in `ring`, it orders what was changed before.
        fence(SeqCst);
        let mut w = self.word.load(Relaxed);
        loop {
            kill_point!("wake_all.tokens");
            let notified = wait_word(arms(w), 0, seq(w).wrapping_add(1));
            match self.word.compare_exchange(w, notified, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => w = now,
            }
        }
        kill_point!("wake_all.wake");
        self.wake(u32::MAX);
        kill_point!("wake_all.woken");
    }

    /// Registers the caller as a waiter that is about to sleep: S1 and S2.
    #[must_use]
    pub fn register(self) -> Ticket {
        let ticket = self.announce();
        Ticket { sound: Self::barrier(), ..ticket }
    }

    /// Adds a token: S1. The caller issues a [`barrier`](Bell::barrier) before it checks again.
    ///
    /// One barrier covers any number of tokens. If it fails, the caller sleeps for
    /// [`UNSOUND_SLICE`](ready::UNSOUND_SLICE) at most.
    #[must_use]
    pub fn announce(self) -> Ticket {
        kill_point!("sleep.announce");
        let mut w = self.word.fetch_add(TOKEN, SeqCst); // S1.
        if tokens(w) >= MANY {
            // Long before they overflow. All waiters look again.
            self.wake_all();
            w = self.word.fetch_add(TOKEN, SeqCst); // S1, again.
        }
        kill_point!("sleep.announced");
        Ticket { seq: seq(w), sound: true }
    }

    /// Issues a barrier in every process that is registered for it, and in this thread: S2.
    ///
    /// Returns false if the system cannot.
    #[must_use]
    pub fn barrier() -> bool {
        fence(SeqCst); // S2, against processes that issue their own fence.
        let sound = cfg!(loom) || sys::barrier::issue();
        kill_point!("sleep.barrier");
        sound
    }

    /// Unregisters a waiter: S4. Returns false if it was notified, and so has no token any more.
    pub fn unregister(self, ticket: &Ticket) -> bool {
        let mut w = self.word.load(Relaxed); // Relaxed: the CAS decides.
        // If `seq` has changed, the token was used or will be dropped.
        while seq(w) == ticket.seq && tokens(w) > 0 {
            kill_point!("sleep.withdraw");
            match self.word.compare_exchange(w, w - TOKEN, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(now) => w = now,
            }
        }
        seq(w) == ticket.seq
    }

    /// Ends the registration of a waiter that may wait for other things too.
    ///
    /// If the waiter was notified and did not check its condition afterwards, another waiter is
    /// woken instead: the notification may be the only one for what was published.
    pub fn leave(self, ticket: &Ticket, outcome: Outcome, barrier: Barrier) {
        if !self.unregister(ticket) && outcome == Outcome::Unused {
            self.ring(1, barrier);
        }
    }

    /// Returns whether the registration was notified, and so is used up.
    #[must_use]
    pub fn notified(self, ticket: &Ticket) -> bool {
        // Acquire: pairs with K3, so that what was published before the ring is visible.
        seq(self.word.load(Acquire)) != ticket.seq
    }

    /// Sleeps until notified, at most for `timeout`: S5 and S6.
    ///
    /// If the time elapses, the waiter stays registered. Whatever is published after S2 finds its
    /// token, also between two sleeps.
    pub fn sleep(self, ticket: &Ticket, timeout: Duration) -> Woken {
        let timeout = if ticket.sound { timeout } else { timeout.min(ready::UNSOUND_SLICE) };
        kill_point!("sleep.wait");
        self.wait(ticket.seq, timeout);
        kill_point!("sleep.woken");
        if self.notified(ticket) { Woken::Notified } else { Woken::Elapsed }
    }

    /// Returns what a waiter sleeps on that waits for other things too.
    #[cfg(not(loom))]
    #[must_use]
    pub fn source(self, ticket: &Ticket) -> ready::Source<'a> {
        ready::Source::Word { word: self.word, seen: ticket.seq, shared: self.shared }
    }

    /// Returns whether a waker would look for waiters, which changes at any time.
    #[must_use]
    pub fn has_waiters(self) -> bool {
        waiters(self.word.load(Acquire)) // Acquire: for models, which look when all is done.
    }

    /// Returns the number of tokens, which changes at any time.
    #[must_use]
    pub fn tokens(self) -> u32 {
        tokens(self.word.load(Acquire)) // Acquire: for models, which look when all is done.
    }

    #[cfg(not(loom))]
    fn wait(self, seq: u32, timeout: Duration) {
        if self.shared {
            sys::futex::wait(self.word, seq, timeout);
        } else {
            sys::futex::wait_private(self.word, seq, timeout);
        }
    }

    #[cfg(not(loom))]
    fn wake(self, n: u32) -> usize {
        if self.shared {
            sys::futex::wake(self.word, n)
        } else {
            sys::futex::wake_private(self.word, n)
        }
    }

    #[cfg(loom)]
    fn wait(self, seq: u32, _timeout: Duration) {
        self.futex.wait(self.word, seq);
    }

    #[cfg(loom)]
    fn wake(self, n: u32) -> usize {
        self.futex.wake(n)
    }
}

impl std::fmt::Debug for Bell<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bell").field("shared", &self.shared).finish_non_exhaustive()
    }
}
