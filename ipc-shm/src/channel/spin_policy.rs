//! The policy of how a side spins before it sleeps.
//!
//! It is what makes two processes fast together.
//!
//! A sender and a receiver that work on neighbouring slots share each cache line, and every message
//! costs several transfers of about 50 ns. With some distance between them a line moves once per
//! direction, and they run several times as fast.
//!
//! So a side that has caught up with a streaming peer *lets its peer run ahead*. It stays away for
//! a moment while the peer's position moves fast, at most for a few microseconds. A side that waits
//! for a single message must not do so: it polls closely.

use crate::sync::unmodelled::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ipc_core::__private::wait::Ended;
use ipc_sys as sys;

use crate::cached_number::CachedNumber;
use crate::channel::memory::{Memory, Side};
use crate::channel::ring::{NOWHERE, Participant};
use crate::layout::pos;

/// Nanoseconds between two polls of a slot that this side waits for.
pub(crate) const POLL: u64 = 50;
/// Polls before the processor is yielded. They take about as long as a sleep and a wake-up.
const MOST_SPINS: u32 = 160;
/// The number of messages without a wait from which on messages count as a stream.
const STREAM: u64 = 4;
/// Nanoseconds between two loads of the other side's position while it runs ahead.
const LOOK: (u64, u64) = (430, 860);
/// The most nanoseconds for which the other side may run ahead.
const RUN_AHEAD: u64 = 4300;
/// Nanoseconds per message from which on the other side counts as paced, not streaming.
const PACED: u64 = 430;
/// A yield that takes longer has let another thread run.
const SWITCH: Duration = Duration::from_micros(1);

/// The measurements of a handle. All words are hints.
pub(crate) struct SpinPolicy {
    /// The number of polls that are worth making.
    limit: AtomicU32,
    /// The position from which on messages may stream.
    since: AtomicU64,
    /// The number of waits since then.
    waits: AtomicU32,
}

impl SpinPolicy {
    pub(crate) fn new() -> SpinPolicy {
        SpinPolicy {
            limit: AtomicU32::new(MOST_SPINS),
            since: AtomicU64::new(NOWHERE),
            waits: AtomicU32::new(0),
        }
    }

    /// Returns how often to poll, which is 0 if the other side cannot run meanwhile.
    pub(crate) fn spins(&self, memory: &Memory, side: Side) -> u32 {
        if alone() || same_cpu(memory, side) { 0 } else { self.limit.load(Relaxed) }
    }

    pub(crate) fn waited(&self, ended: Ended) {
        let limit = self.limit.load(Relaxed);
        let step = 1 + MOST_SPINS / 8;
        self.limit.store(
            match ended {
                Ended::Spinning => (limit + step).min(MOST_SPINS),
                Ended::Yielding(after) if after <= SWITCH => (limit + step).min(MOST_SPINS),
                Ended::Yielding(_) => limit / 2,
                // So that polling is tried again now and then.
                Ended::Sleeping => (limit + 1).min(MOST_SPINS),
            },
            Relaxed,
        );
    }

    /// Lets the other side run ahead, if messages stream. Returns whether it did.
    pub(crate) fn let_peer_run_ahead(
        &self,
        memory: &Memory,
        participant: &Participant,
        side: Side,
    ) -> bool {
        let g = &memory.geometry;
        let last = participant.last.load(Relaxed);
        let since = self.since.load(Relaxed);
        let waits = self.waits.load(Relaxed) + 1;
        self.waits.store(waits, Relaxed);
        let restart = || {
            self.since.store(last, Relaxed);
            self.waits.store(0, Relaxed);
        };
        if last == NOWHERE || since == NOWHERE {
            restart();
            return false;
        }
        // Each wait ended with a message too. These messages do not count.
        let immediate = g.distance(since, last).saturating_sub(u64::from(waits));
        if immediate < STREAM || alone() || same_cpu(memory, side) {
            return false;
        }
        let got_ahead = look_ahead(memory, last, side);
        if !got_ahead {
            restart();
        }
        got_ahead
    }
}

/// Waits until the other side is far enough ahead, while its position moves fast.
fn look_ahead(memory: &Memory, last: u64, side: Side) -> bool {
    let g = &memory.geometry;
    let other = match side {
        Side::Receivers => memory.tail(),
        Side::Senders => memory.head(),
    };
    // Relaxed throughout: the positions are estimates, and no data depends on them.
    let mut seen = pos(other.load(Relaxed));
    let (mut wait, mut spent, mut moved) = (LOOK.0, 0, false);
    let goal = g.capacity / 4;
    while spent < RUN_AHEAD {
        pause(wait);
        spent += wait;
        let now = pos(other.load(Relaxed));
        let came = g.distance(seen, now);
        if came == 0 {
            return moved;
        }
        // Saturating, because a peer can move the position backwards.
        if came.saturating_mul(PACED) < wait {
            // The peer is paced, not streaming, so each message is needed as soon as it is
            // published.
            return false;
        }
        (moved, seen) = (true, now);
        // The messages to receive, or the room to send.
        let have = match side {
            Side::Receivers => g.distance(last, now),
            Side::Senders => g.capacity.saturating_sub(g.distance(now, last)),
        };
        if have >= goal {
            return true;
        }
        wait = (wait * (goal - have) / came).clamp(LOOK.0, LOOK.1);
    }
    true
}

/// Returns whether there is only one processor.
fn alone() -> bool {
    static CPUS: CachedNumber = CachedNumber::new();
    CPUS.get(|| sys::process::cpus() as u64) < 2
}

/// Returns whether the other side last waited on the current processor.
///
/// Records the current processor for the other side.
fn same_cpu(memory: &Memory, side: Side) -> bool {
    let hints = &memory.header().hints;
    let (mine, other) = match side {
        Side::Senders => (&hints.senders_cpu, &hints.receivers_cpu),
        Side::Receivers => (&hints.receivers_cpu, &hints.senders_cpu),
    };
    let here = sys::process::cpu() as u64 + 1;
    // Loaded first, because reading a line that no process writes costs nothing.
    if mine.load(crate::sync::Ordering::Relaxed) != here {
        mine.store(here, crate::sync::Ordering::Relaxed);
    }
    other.load(crate::sync::Ordering::Relaxed) == here
}

/// Pauses for about so many nanoseconds, without reading a clock.
pub(crate) fn pause(nanos: u64) {
    static PICOS: CachedNumber = CachedNumber::new();
    let picos = PICOS.get(|| {
        // The shortest of a few measurements, because an interruption only makes one longer.
        let measure = || {
            let begin = Instant::now();
            (0..256).for_each(|_| std::hint::spin_loop());
            begin.elapsed().as_nanos() as u64 * 1000 / 256
        };
        (0..4).map(|_| measure()).min().unwrap_or(0).max(100)
    });
    for _ in 0..(nanos * 1000 / picos).max(1) {
        std::hint::spin_loop();
    }
}
