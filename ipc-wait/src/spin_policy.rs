//! The policy of how a side spins before it sleeps.
//!
//! It is what makes two processes, or two threads, fast together.
//!
//! A sender and a receiver that work on neighbouring slots share each cache line, and every message
//! costs several transfers of about 50 ns. With some distance between them a line moves once per
//! direction, and they run several times as fast.
//!
//! So a side that has caught up with a streaming peer *lets its peer run ahead*. It stays away for
//! a moment while the peer's position moves fast, at most for a few microseconds. A side that waits
//! for a single message must not do so: it polls closely.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ipc_core::__private::wait::Ended;
use ipc_sys as sys;

use crate::cached_number::CachedNumber;

/// What the policy of one side observes of its channel. All of it is hints.
pub trait Lane {
    /// Returns the position that the other side has reached.
    fn other(&self) -> u64;

    /// Returns the number of positions from `from` up to `to`.
    fn distance(&self, from: u64, to: u64) -> u64;

    /// Returns how many operations of this side at `mine` can be done at once when the other side
    /// is at `other`: the messages to receive, or the room to send.
    fn ready(&self, mine: u64, other: u64) -> u64;

    /// Returns how far ahead the other side may run.
    fn goal(&self) -> u64;

    /// Records the processor that this side runs on. Returns whether the other side last ran there.
    fn same_cpu(&self, here: u64) -> bool;
}

/// The value for "no position".
pub const NOWHERE: u64 = u64::MAX;
/// Nanoseconds between two polls of a slot that this side waits for.
pub const POLL: u64 = 50;
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
#[derive(Debug)]
pub struct SpinPolicy {
    /// The number of polls that are worth making.
    limit: AtomicU32,
    /// The position from which on messages may stream.
    since: AtomicU64,
    /// The number of waits since then.
    waits: AtomicU32,
}

impl SpinPolicy {
    /// Makes the measurements of a new handle.
    #[must_use]
    pub fn new() -> SpinPolicy {
        SpinPolicy {
            limit: AtomicU32::new(MOST_SPINS),
            since: AtomicU64::new(NOWHERE),
            waits: AtomicU32::new(0),
        }
    }

    /// Returns how often to poll, which is 0 if the other side cannot run meanwhile.
    pub fn spins(&self, lane: &impl Lane) -> u32 {
        if shares_processor(lane) { 0 } else { self.limit.load(Relaxed) }
    }

    /// Records how a wait ended.
    pub fn waited(&self, ended: Ended) {
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
    ///
    /// `last` is the position that this side has reached, or [`NOWHERE`].
    pub fn let_peer_run_ahead(&self, lane: &impl Lane, last: u64) -> bool {
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
        let immediate = lane.distance(since, last).saturating_sub(u64::from(waits));
        if immediate < STREAM || shares_processor(lane) {
            return false;
        }
        let got_ahead = look_ahead(lane, last);
        if !got_ahead {
            restart();
        }
        got_ahead
    }
}

impl Default for SpinPolicy {
    fn default() -> Self {
        SpinPolicy::new()
    }
}

/// Waits until the other side is far enough ahead, while its position moves fast.
fn look_ahead(lane: &impl Lane, last: u64) -> bool {
    // The positions are estimates, and no data depends on them.
    let mut seen = lane.other();
    let (mut wait, mut spent, mut moved) = (LOOK.0, 0, false);
    let goal = lane.goal();
    while spent < RUN_AHEAD {
        pause(wait);
        spent += wait;
        let now = lane.other();
        let came = lane.distance(seen, now);
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
        let have = lane.ready(last, now);
        if have >= goal {
            return true;
        }
        wait = (wait * (goal - have) / came).clamp(LOOK.0, LOOK.1);
    }
    true
}

/// Returns whether the other side cannot run while this thread spins, as far as is known.
#[must_use]
pub fn shares_processor(lane: &impl Lane) -> bool {
    alone() || same_cpu(lane)
}

/// Returns whether there is only one processor.
fn alone() -> bool {
    static CPUS: CachedNumber = CachedNumber::new();
    CPUS.get(|| sys::process::cpus() as u64) < 2
}

/// Returns whether the other side last waited on the current processor.
fn same_cpu(lane: &impl Lane) -> bool {
    lane.same_cpu(sys::process::cpu() as u64 + 1)
}

/// Records the processor `here` in the hint of this side, and returns whether the other side's hint
/// names it too.
pub fn record_cpu(
    mine: &crate::sync::AtomicU64,
    other: &crate::sync::AtomicU64,
    here: u64,
) -> bool {
    // Relaxed: hints. Loaded first, because reading a line that nothing writes costs nothing.
    if mine.load(crate::sync::Ordering::Relaxed) != here {
        mine.store(here, crate::sync::Ordering::Relaxed);
    }
    other.load(crate::sync::Ordering::Relaxed) == here
}

/// Pauses for about so many nanoseconds, without reading a clock.
pub fn pause(nanos: u64) {
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
