//! Sleeping and waking: an eventcount that packs `{ tokens, seq }` into one word.
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
//! A lost wake-up delays a waiter but never hangs it, because waiters sleep in slices
//! (`ipc-core/src/wait.rs`).

use std::time::Duration;

use ipc_core::__private::wait::Woken;
use ipc_sys as sys;

use crate::channel::memory::Memory;
use crate::killpoint::kill_point;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use crate::sync::{AtomicU64, fence};

const TOKEN: u64 = 1 << 32;

const fn seq(word: u64) -> u32 {
    word as u32
}
const fn tokens(word: u64) -> u32 {
    (word >> 32) as u32
}
const fn wait_word(tokens: u32, seq: u32) -> u64 {
    (tokens as u64) << 32 | seq as u64
}

/// Selects one of the two bells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Receivers wait on this bell for a message.
    Receivers,
    /// Senders wait on this bell for room.
    Senders,
}

/// A waiter's registration, with the `seq` under which it was made.
pub(crate) struct Ticket {
    seq: u32,
    /// Whether the barrier covers both sides. If not, the waiter sleeps in short slices only.
    sound: bool,
}

/// The longest sleep when the barrier failed.
const UNSOUND_SLICE: Duration = Duration::from_millis(1);

/// How this process orders a publication before its load of the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// The process is registered for `membarrier`: the waiters issue the barrier for it.
    Theirs,
    /// The process issues its own fence.
    Ours,
}

impl Barrier {
    /// Registers this process for `membarrier`, if the system supports it.
    pub(crate) fn register() -> Barrier {
        if !cfg!(loom) && sys::barrier::register() { Barrier::Theirs } else { Barrier::Ours }
    }
}

impl Memory {
    #[inline]
    fn bell(&self, side: Side) -> &AtomicU64 {
        match side {
            Side::Receivers => &self.header().recv_wait.0,
            Side::Senders => &self.header().send_wait.0,
        }
    }

    /// Wakes up to `n` waiters of this side, after a publication that concerns them.
    #[inline(always)]
    pub(crate) fn ring(&self, side: Side, n: u64, barrier: Barrier) {
        match barrier {
            // K1: the waiters' barrier stands in (see the module documentation). The compiler must
            // keep the order too.
            Barrier::Theirs => crate::sync::unmodelled::compiler_fence(SeqCst),
            // K1: SeqCst, because S1 and S2 are the other half.
            Barrier::Ours => fence(SeqCst),
        }
        // K2. Relaxed: K1 orders this load.
        if tokens(self.bell(side).load(Relaxed)) != 0 {
            self.ring_slow(side, n.min(u64::from(u32::MAX)) as u32);
        }
    }

    #[cold]
    fn ring_slow(&self, side: Side, n: u32) {
        let bell = self.bell(side);
        let mut w = bell.load(Relaxed); // Relaxed: the CAS decides.
        loop {
            let k = n.min(tokens(w));
            if k == 0 {
                return;
            }
            let notified = wait_word(tokens(w) - k, seq(w).wrapping_add(1));
            kill_point!("ring.token");
            // K3. AcqRel: a woken waiter loads `seq`, so it sees what was published before.
            match bell.compare_exchange(w, notified, AcqRel, Relaxed) {
                Ok(_) => {
                    kill_point!("ring.wake");
                    // K4.
                    if self.wake(side, k) == 0 {
                        kill_point!("ring.surplus");
                        // No waiter sleeps in the futex, so all older tokens are surplus: their
                        // owners are dead, or will see the new `seq`. Relaxed on failure: another
                        // process rang or registered meanwhile.
                        let _ = bell.compare_exchange(
                            notified,
                            wait_word(0, seq(notified)),
                            AcqRel,
                            Relaxed,
                        );
                    }
                    return;
                }
                Err(now) => w = now,
            }
        }
    }

    /// Wakes all waiters of this side.
    #[cold]
    pub(crate) fn ring_all(&self, side: Side) {
        let bell = self.bell(side);
        // SeqCst: as in `ring`, it orders what was changed before.
        fence(SeqCst);
        let mut w = bell.load(Relaxed);
        loop {
            kill_point!("ring_all.tokens");
            match bell.compare_exchange(w, wait_word(0, seq(w).wrapping_add(1)), AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => w = now,
            }
        }
        kill_point!("ring_all.wake");
        self.wake(side, u32::MAX);
        kill_point!("ring_all.woken");
    }

    /// Wakes the waiters of both sides, so that they read the changed participant table.
    ///
    /// A process that joins calls this. It is cheap where no process sleeps.
    ///
    /// A waiter registers its token before it reads the participant table. So either the waiter
    /// sees the change, or this function sees its token. If another process has already removed the
    /// token, that process wakes the waiter. If that process dies first, the process that observes
    /// its death rings regardless of tokens.
    pub(crate) fn ring_sleepers(&self) {
        // SeqCst: orders the change before the load of the tokens. S1 and S2 are the other half.
        fence(SeqCst);
        for side in [Side::Receivers, Side::Senders] {
            // Relaxed: the fence orders this load.
            if tokens(self.bell(side).load(Relaxed)) != 0 {
                self.ring_all(side);
            }
        }
    }

    /// Registers the caller as a waiter that is about to sleep on this side: S1 and S2.
    pub(crate) fn register(&self, side: Side) -> Ticket {
        kill_point!("sleep.announce");
        let w = self.bell(side).fetch_add(TOKEN, SeqCst); // S1.
        kill_point!("sleep.announced");
        fence(SeqCst); // S2, against processes that issue their own fence.
        let sound = cfg!(loom) || sys::barrier::issue();
        kill_point!("sleep.barrier");
        Ticket { seq: seq(w), sound }
    }

    /// Unregisters a waiter: S4.
    pub(crate) fn unregister(&self, side: Side, ticket: &Ticket) {
        let bell = self.bell(side);
        let mut w = bell.load(Relaxed); // Relaxed: the CAS decides.
        // If `seq` has changed, the token was used or will be dropped.
        while seq(w) == ticket.seq && tokens(w) > 0 {
            kill_point!("sleep.withdraw");
            match bell.compare_exchange(w, w - TOKEN, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(now) => w = now,
            }
        }
    }

    /// Sleeps until notified, at most for `timeout`: S5 and S6.
    ///
    /// If the time elapses, the waiter stays registered. Whatever is published after S2 finds its
    /// token, also between two sleeps.
    pub(crate) fn sleep(&self, side: Side, ticket: &Ticket, timeout: Duration) -> Woken {
        let timeout = if ticket.sound { timeout } else { timeout.min(UNSOUND_SLICE) };
        kill_point!("sleep.wait");
        self.futex_wait(side, ticket.seq, timeout);
        kill_point!("sleep.woken");
        // Acquire: pairs with K3, so that what was published before the ring is visible.
        if seq(self.bell(side).load(Acquire)) != ticket.seq {
            return Woken::Notified;
        }
        Woken::Elapsed
    }

    #[cfg(not(loom))]
    fn futex_wait(&self, side: Side, seq: u32, timeout: Duration) {
        sys::futex::wait(self.bell(side), seq, timeout);
    }

    #[cfg(not(loom))]
    fn wake(&self, side: Side, n: u32) -> usize {
        sys::futex::wake(self.bell(side), n)
    }

    #[cfg(loom)]
    fn futex_wait(&self, side: Side, seq: u32, _timeout: Duration) {
        self.header().futexes[side as usize].wait(self.bell(side), seq);
    }

    #[cfg(loom)]
    fn wake(&self, side: Side, n: u32) -> usize {
        self.header().futexes[side as usize].wake(n)
    }
}
