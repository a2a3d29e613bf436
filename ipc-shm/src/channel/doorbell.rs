//! Sleeping and waking: an eventcount with tokens in one word, `{ tokens, seq }`.
//!
//! A sleeper adds a token, looks once more, and sleeps while `seq` stands still. Who publishes
//! takes a token away and moves `seq`, if there is a token. Why no wake-up is lost, one column a
//! process:
//!
//! ```text
//!   sleeper                            waker
//!   S1 tokens += 1        SeqCst       P  publish (slot, Release)
//!   S2 barrier in every process        K1 the barrier of S2, or a fence of its own
//!   S3 look again                      K2 any tokens?
//!   S5 sleep while seq == s            K3 { seq + 1, tokens - 1 }   K4 wake one
//! ```
//!
//! P and K2 are a store and a load of different words, which every processor may reorder; so are S1
//! and S3. With both barriers, either S3 sees P or K2 sees S1. The waker's is on the hot path, and
//! costs 5 to 15 %; so the sleeper makes it for both: `membarrier` returns only after every running
//! thread of every registered process has executed a full barrier. P before that barrier: S3 sees
//! it. P after it: so is K2, and sees S1. A process that could not register keeps its own fence;
//! both kinds may share a ring.
//!
//! Tokens, not a count of sleepers: a killed sleeper leaves one token, which costs one futile
//! wake-up and is gone; in a count it would cost one with each message, for ever.
//!
//! Nothing here hangs for want of a wake-up: who sleeps, sleeps in slices (`ipc-core/src/wait.rs`).

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

/// Which of the two bells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Receivers sleep here, for a message.
    Receivers,
    /// Senders sleep here, for room.
    Senders,
}

/// A registration: the `seq` it was made under.
pub(crate) struct Ticket {
    seq: u32,
    /// Whether the barrier was made for both sides. If not, sleep in short slices only.
    sound: bool,
}

/// How long to sleep when the barrier failed.
const UNSOUND_SLICE: Duration = Duration::from_millis(1);

/// How this process orders publishing before the look at the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// Registered: sleepers make it for us.
    Theirs,
    /// A fence of our own.
    Ours,
}

impl Barrier {
    /// Registers this process, if the system can.
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

    /// Wakes up to `n` sleepers, after something was published for them.
    #[inline(always)]
    pub(crate) fn ring(&self, side: Side, n: u64, barrier: Barrier) {
        match barrier {
            // K1: see the module's words; the compiler must keep the order too.
            Barrier::Theirs => crate::sync::unmodelled::compiler_fence(SeqCst),
            // K1: SeqCst, the other half is S1 and S2.
            Barrier::Ours => fence(SeqCst),
        }
        // K2. Relaxed: ordered by K1.
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
            // K3. AcqRel: the woken, who load it, are after what was published.
            match bell.compare_exchange(w, notified, AcqRel, Relaxed) {
                Ok(_) => {
                    kill_point!("ring.wake");
                    // K4.
                    if self.wake(side, k) == 0 {
                        kill_point!("ring.surplus");
                        // All older tokens are surplus: their owners are dead, or will see the new
                        // seq. Relaxed on failure: somebody else rang or came.
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

    /// Wakes everybody who sleeps on this side.
    #[cold]
    pub(crate) fn ring_all(&self, side: Side) {
        let bell = self.bell(side);
        // SeqCst, both: as in `ring`, for whatever was changed before.
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

    /// Has everybody who sleeps, on either side, look who the participants are, after they have
    /// changed. Who joins does this, so it is cheap where nobody sleeps.
    ///
    /// Whoever adds a token and then looks at the participants either sees the change, or his token
    /// is seen here. A sleeper whose token somebody else took already is woken by him; if he dies
    /// before he does, by whoever hears of that, who rings without asking for tokens.
    pub(crate) fn ring_sleepers(&self) {
        // SeqCst: between what was changed and the tokens; the other half is S1 and S2.
        fence(SeqCst);
        for side in [Side::Receivers, Side::Senders] {
            // Relaxed: ordered by the fence.
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
        fence(SeqCst); // S2, against processes that make their own fence.
        let sound = cfg!(loom) || sys::barrier::issue();
        kill_point!("sleep.barrier");
        Ticket { seq: seq(w), sound }
    }

    /// Takes a registration back: S4.
    pub(crate) fn unregister(&self, side: Side, ticket: &Ticket) {
        let bell = self.bell(side);
        let mut w = bell.load(Relaxed); // Relaxed: the CAS decides.
        // Another seq: the token is used, or will be dropped.
        while seq(w) == ticket.seq && tokens(w) > 0 {
            kill_point!("sleep.withdraw");
            match bell.compare_exchange(w, w - TOKEN, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(now) => w = now,
            }
        }
    }

    /// Sleeps until notified, at most `timeout`: S5 and S6. If the time elapses the registration
    /// stands: whatever is published after S2 finds its token, also between two sleeps.
    pub(crate) fn sleep(&self, side: Side, ticket: &Ticket, timeout: Duration) -> Woken {
        let timeout = if ticket.sound { timeout } else { timeout.min(UNSOUND_SLICE) };
        kill_point!("sleep.wait");
        self.futex_wait(side, ticket.seq, timeout);
        kill_point!("sleep.woken");
        // Acquire: K3, what was published before the ring.
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
