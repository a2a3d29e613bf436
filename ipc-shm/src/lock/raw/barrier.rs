//! The barrier protocol: one word counts arrivals, one count of handles per participant.
//!
//! ```text
//!   state     { history: 7, round: 32, arrived: 20, broken: 1 }
//!   parties   per participant { generation, handles }
//! ```
//!
//! ```text
//!   round r, k arrived ──arrive──▶ k + 1 … ──the last──▶ round r + 1, 0 arrived  (outcome: passed)
//!             │ abort, a deadline, or a party dies
//!             ▼
//!           broken ──reset──▶ round r + 1, 0 arrived                             (outcome: broken)
//! ```
//!
//! A party that sleeps through more than one round reads from *history* how its own round ended.
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | BARRIER-E1 | arrive → pass | `state` | AcqRel chain / Acquire | what each party did before it arrived |
//!
//! Breaking comes after DEATH-E1 ([`word`](crate::lock::word)), which carries nothing here.
//!
//! # If a process dies
//!
//! | the process is killed | the others |
//! |---|---|
//! | with a handle, whether it waits or not yet | a waiter breaks the barrier, at the end of a slice or at its deadline; `reset` forgets the dead party |
//! | after it has dropped its handles | nothing: it is no party any more |
//! | while it runs an action | the same as with a handle |
//! | after it has arrived as the last, before it has woken | the waiters see the new round at the end of their slices |

use ipc_core::Deadline;

use crate::killpoint::kill_point;
use crate::lock::parking::{Parked, Parking};
use crate::lock::poison::Refused;
use crate::lock::raw::of_id;
use crate::lock::word::{Liveness, LockEnv, generation, id, owner};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed};

const BROKEN: u64 = 1;
const ARRIVED_SHIFT: u32 = 1;
/// The maximum number of parties.
pub(crate) const MAX_PARTIES: u32 = (1 << 20) - 1;
const ROUND_SHIFT: u32 = 21;
const HISTORY_SHIFT: u32 = 53;
const HISTORY: u64 = 127;
const REMEMBERED: u32 = 7;

const fn arrived(state: u64) -> u32 {
    (state >> ARRIVED_SHIFT) as u32 & MAX_PARTIES
}
const fn round(state: u64) -> u32 {
    (state >> ROUND_SHIFT) as u32
}
const fn history(state: u64) -> u64 {
    state >> HISTORY_SHIFT & HISTORY
}
/// Returns the state of the next round, with how this round ended in its history.
const fn next(state: u64, broken: bool) -> u64 {
    let history = (history(state) << 1 | broken as u64) & HISTORY;
    history << HISTORY_SHIFT | (round(state).wrapping_add(1) as u64) << ROUND_SHIFT
}

/// The words of a barrier.
#[derive(Clone, Copy)]
pub(crate) struct RawBarrier<'a> {
    /// `{ history, round, arrived, broken }`.
    pub(crate) state: &'a AtomicU64,
    /// The count of handles of each participant.
    pub(crate) handles: &'a [AtomicU64],
    pub(crate) parties: u32,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitOutcome {
    Leader,
    Follower,
    Broken,
    TimedOut,
}

const HANDLES: u64 = u32::MAX as u64;

impl RawBarrier<'_> {
    /// Returns the count of handles of this process.
    fn mine(&self, me: u64) -> &AtomicU64 {
        of_id(self.handles, id(owner(me))).expect("a participant of this segment")
    }

    /// Adds a handle of this process.
    pub(crate) fn join(&self, env: &impl LockEnv, me: u64) -> Result<(), Refused> {
        let (word, ours) = (self.mine(me), u64::from(generation(owner(me))) << 32);
        let mut found = word.load(Relaxed); // Relaxed: the CAS decides.
        loop {
            let mut count = found & HANDLES;
            if found & !HANDLES != ours {
                if count > 0 {
                    // The previous participant with this id died with a handle, and no waiter has
                    // seen that.
                    self.break_up(env, None);
                }
                count = 0;
            }
            if count == HANDLES {
                return Err(Refused::TooMany);
            }
            kill_point!("barrier.join");
            // AcqRel: a count, and after the breaking.
            match word.compare_exchange(found, ours | (count + 1), AcqRel, Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => found = now,
            }
        }
    }

    /// Removes a handle of this process.
    pub(crate) fn leave(&self, me: u64) {
        let (word, ours) = (self.mine(me), u64::from(generation(owner(me))) << 32);
        let mut found = word.load(Relaxed); // Relaxed: the CAS decides.
        while found & !HANDLES == ours && found & HANDLES > 0 {
            kill_point!("barrier.leave");
            match word.compare_exchange(found, found - 1, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => found = now,
            }
        }
    }

    /// Arrives, and waits until all parties have arrived.
    pub(crate) fn wait(&self, env: &impl LockEnv, deadline: Deadline) -> WaitOutcome {
        self.wait_then(env, deadline, None::<fn()>)
    }

    /// Arrives, and waits until all parties have arrived.
    ///
    /// The last party runs its action, if it has one, before it lets the others pass. While the
    /// action runs, all parties have arrived, and the round has not ended.
    pub(crate) fn wait_then(
        &self,
        env: &impl LockEnv,
        deadline: Deadline,
        mut action: Option<impl FnOnce()>,
    ) -> WaitOutcome {
        let mut parking = Parking::new(env, deadline);
        let parties = self.parties.max(1);
        let mut s = self.state.load(Acquire); // Acquire: BARRIER-E1.
        let mine = loop {
            if s & BROKEN != 0 {
                return WaitOutcome::Broken;
            }
            if arrived(s) >= parties {
                // The last party of this round runs its action. The caller belongs to the next
                // round.
                if !parking.spin() {
                    match parking.park(env, self.state, s) {
                        Parked::Changed => {}
                        Parked::Elapsed => {
                            if self.any_party_died(env) {
                                self.break_up(env, Some(round(s)));
                            }
                        }
                        Parked::TimedOut => {
                            let died = self.any_party_died(env);
                            if self.break_up(env, Some(round(s))) && !died {
                                return WaitOutcome::TimedOut;
                            }
                        }
                    }
                }
                s = self.state.load(Acquire); // Acquire: BARRIER-E1.
                continue;
            }
            let last = arrived(s) + 1 >= parties;
            let to =
                if last && action.is_none() { next(s, false) } else { s + (1 << ARRIVED_SHIFT) };
            kill_point!("barrier.arrive");
            // AcqRel: BARRIER-E1.
            match self.state.compare_exchange(s, to, AcqRel, Acquire) {
                Ok(_) if last => {
                    if let Some(action) = action.take() {
                        return self.act(env, to, action);
                    }
                    self.pass(env);
                    return WaitOutcome::Leader;
                }
                Ok(_) => break round(s),
                Err(now) => s = now,
            }
        };
        kill_point!("barrier.arrived");
        loop {
            let s = self.state.load(Acquire); // Acquire: BARRIER-E1.
            if let Some(passed) = self.outcome(s, mine) {
                return passed;
            }
            if parking.spin() {
                continue;
            }
            match parking.park(env, self.state, s) {
                Parked::Changed => {}
                Parked::Elapsed => {
                    if self.any_party_died(env) {
                        self.break_up(env, Some(mine));
                    }
                }
                Parked::TimedOut => {
                    // On a busy machine a short wait may end before its first slice does.
                    let died = self.any_party_died(env);
                    if self.break_up(env, Some(mine)) && !died {
                        return WaitOutcome::TimedOut;
                    }
                }
            }
        }
    }

    /// Wakes every waiter after a round has ended.
    fn pass(&self, env: &impl LockEnv) {
        kill_point!("barrier.pass");
        env.wake(self.state, u32::MAX);
        kill_point!("barrier.woken");
    }

    /// Runs the action of the last party while the state is `full`, and ends the round.
    ///
    /// A panic breaks the barrier.
    fn act(&self, env: &impl LockEnv, full: u64, action: impl FnOnce()) -> WaitOutcome {
        struct Unwinds<F: FnMut()>(F);
        impl<F: FnMut()> Drop for Unwinds<F> {
            fn drop(&mut self) {
                (self.0)();
            }
        }
        let unwinds = Unwinds(|| _ = self.break_up(env, Some(round(full))));
        action();
        std::mem::forget(unwinds);
        // AcqRel: BARRIER-E1, with what the action did. The CAS fails if the barrier was broken or
        // reset meanwhile.
        if self.state.compare_exchange(full, next(full, false), AcqRel, Relaxed).is_err() {
            return WaitOutcome::Broken;
        }
        self.pass(env);
        WaitOutcome::Leader
    }

    /// Returns how the round `mine` ended, if it has.
    fn outcome(&self, s: u64, mine: u32) -> Option<WaitOutcome> {
        let since = round(s).wrapping_sub(mine);
        if since == 0 {
            return (s & BROKEN != 0).then_some(WaitOutcome::Broken);
        }
        let broken = since > REMEMBERED || history(s) >> (since - 1) & 1 != 0;
        Some(if broken { WaitOutcome::Broken } else { WaitOutcome::Follower })
    }

    /// Returns whether a process died with a handle.
    fn any_party_died(&self, env: &impl LockEnv) -> bool {
        (1..=env.max_participants() as u16).any(|id| {
            // Acquire: orders the count before the check of its owner's death.
            let word = of_id(self.handles, id).map_or(0, |word| word.load(Acquire));
            word & HANDLES > 0 && env.liveness(word >> 32 << 16 | u64::from(id)) == Liveness::Dead
        })
    }

    /// Breaks the barrier if it is still in this round, or in any round if none is given.
    ///
    /// Returns false if this call did not break it.
    pub(crate) fn break_up(&self, env: &impl LockEnv, in_round: Option<u32>) -> bool {
        let mut s = self.state.load(Relaxed); // Relaxed: the CAS decides.
        loop {
            if s & BROKEN != 0 || in_round.is_some_and(|mine| mine != round(s)) {
                return false;
            }
            kill_point!("barrier.break");
            match self.state.compare_exchange(s, s | BROKEN, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => s = now,
            }
        }
        kill_point!("barrier.broken");
        env.wake(self.state, u32::MAX);
        true
    }

    /// Begins a new round. Waiters see that their round was broken. Forgets dead parties.
    pub(crate) fn reset(&self, env: &impl LockEnv) {
        for id in 1..=env.max_participants() as u16 {
            let Some(word) = of_id(self.handles, id) else { break };
            let found = word.load(Acquire); // Acquire: as in `any_party_died`.
            if found & HANDLES > 0
                && env.liveness(found >> 32 << 16 | u64::from(id)) == Liveness::Dead
            {
                kill_point!("barrier.forget");
                // If the CAS fails, a new participant has the id.
                let _ = word.compare_exchange(found, 0, AcqRel, Relaxed);
            }
        }
        let mut s = self.state.load(Relaxed); // Relaxed: the CAS decides.
        loop {
            if s & BROKEN == 0 && arrived(s) == 0 {
                return; // The barrier is as new.
            }
            kill_point!("barrier.reset");
            match self.state.compare_exchange(s, next(s, true), AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => s = now,
            }
        }
        kill_point!("barrier.renewed");
        env.wake(self.state, u32::MAX);
    }

    /// Returns whether the barrier is broken.
    pub(crate) fn is_broken(&self) -> bool {
        self.state.load(Acquire) & BROKEN != 0 // Acquire: BARRIER-E1.
    }

    /// Returns how many parties wait now.
    pub(crate) fn waiting(&self) -> u32 {
        arrived(self.state.load(Relaxed)) // Relaxed: the number may be old when it is returned.
    }
}
