//! The readers-writer protocol: one word for the writer, one count of readers per participant.
//!
//! # Words
//!
//! ```text
//!   turn      a lock word with a mode: the writer, the upgradable reader, or the waiting writer
//!   drained   incremented when a participant's last reader has released while a writer waits
//!   highest   no participant with a higher id has ever read, so a writer stops there
//!   readers   per participant { generation, count }, spread so that neighbours share no cache line
//! ```
//!
//! A reader adds itself to its participant's count and then loads `turn`. A writer claims `turn`
//! and then loads the counts. So readers of different processes write different cache lines. (These
//! are Brandenburg and Anderson's distributed counters, and the big-reader lock of Linux 2.4.) A
//! count whose generation has died is the count of a killed process. `highest` only grows: a
//! participant raises it when it reads for the first time. It lies beside `turn`, which readers
//! load anyway.
//!
//! # Modes of `turn`
//!
//! ```text
//!        0 ──write──▶ A pending ──no reader is left──▶ A active ──▶ 0
//!        0 ──upgradable──▶ A upgradable ──upgrade──▶ A pending       (a deadline leads back)
//!   readers admitted     yes        yes, 0            no                no
//! ```
//!
//! *Preference*: a writer that has claimed the turn keeps new readers out, so readers do not starve
//! writers. A thread that already reads is admitted all the same, because the writer waits for it.
//! Threads that wait for the turn are served in no order.
//!
//! # Edges
//!
//! | edge | from → to | over | order | what it carries |
//! |---|---|---|---|---|
//! | RWLOCK-E1 | write unlock → read, write | `turn` | Release / Acquire | what the lock protects, and the mark |
//! | RWLOCK-E2 | read unlock → write | `readers` | Release / Acquire | the reads are over |
//! | RWLOCK-E3 | reader: `highest`, its count, then `turn`; writer: `turn`, then `highest`, the counts | all of them | SeqCst | at least one of the two sees the other |
//! | RWLOCK-E4 | read unlock → sleeping writer | `drained` | Release / Acquire | the count that was given back |
//!
//! Taking over uses DEATH-E1 ([`word`](crate::lock::word)), which carries every store of the dead
//! process.
//!
//! RWLOCK-E3: all four accesses are in the single total order of SeqCst. The reader adds its count
//! and then loads `turn`. The writer claims `turn` and then loads the counts. Suppose neither saw
//! the other. Then each load would come before the other's write, and so before itself. The same
//! holds for `highest`, because the reader has raised it, or found it high enough, before it
//! counts.
//!
//! # If a process dies
//!
//! | the process is killed | it leaves | the others |
//! |---|---|---|
//! | reading, or after it has counted itself | its count | a writer that waits for the readers finds the generation dead, and sets the count to 0 |
//! | waiting for readers, or upgradable | its name in `turn` | a thread that waits for the turn takes it over or frees it; nothing is poisoned |
//! | writing | its name, *active* | the same, and the thread that takes over marks the lock poisoned |
//! | after it has released a count or the turn, before it has woken | sleeping waiters | see the release at the end of their slices |

use ipc_core::Deadline;

use crate::killpoint::kill_point;
use crate::lock::parking::{Parked, Parking};
use crate::lock::poison::{LockAttemptError, PoisonedBy, Refused, mark};
use crate::lock::raw::mutex::{AWAKE, CORRUPT, contend, is_orphaned};
use crate::lock::raw::of_id;
use crate::lock::word::{
    CONTENDED, Liveness, LockEnv, generation, holder, id, names_a_thread, owner,
};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sync::model_fence;

/// The owner of the turn is the upgradable reader.
pub(crate) const UPGRADABLE: u64 = 0;
/// The owner of the turn waits until no participant reads.
pub(crate) const PENDING: u64 = 2;
/// The owner of the turn writes.
pub(crate) const ACTIVE: u64 = 4;
const MODE: u64 = 6;

/// The words of a readers-writer lock.
#[derive(Clone, Copy)]
pub(crate) struct RawRwLock<'a> {
    pub(crate) turn: &'a AtomicU64,
    pub(crate) mark: &'a AtomicU64,
    pub(crate) drained: &'a AtomicU64,
    pub(crate) highest: &'a AtomicU64,
    pub(crate) readers: &'a [AtomicU64],
    /// The one of `readers` that belongs to this process.
    pub(crate) mine: &'a AtomicU64,
}

const COUNT: u64 = u32::MAX as u64;

const fn readers_of(generation: u32, count: u64) -> u64 {
    (generation as u64) << 32 | count
}

/// Returns whether `turn` admits readers.
const fn admits(turn: u64) -> bool {
    holder(turn) == 0 || turn & MODE == UPGRADABLE
}

impl RawRwLock<'_> {
    /// Adds the caller to the count of its participant.
    #[inline(always)]
    fn count_in(&self, me: u64) -> Result<(), Refused> {
        let word = self.mine;
        let ours = generation(owner(me));
        let id = u64::from(id(owner(me)));
        // SeqCst: RWLOCK-E3, as in `raise_highest`.
        if self.highest.load(SeqCst) < id {
            self.raise_highest(id);
        }
        let mut found = word.load(Relaxed); // Relaxed: the CAS decides.
        loop {
            // A count of another generation belongs to a dead process.
            let count = if (found >> 32) as u32 == ours { found & COUNT } else { 0 };
            if count == COUNT {
                return Err(Refused::TooMany);
            }
            kill_point!("read.count");
            // SeqCst: RWLOCK-E3.
            match word.compare_exchange(found, readers_of(ours, count + 1), SeqCst, Relaxed) {
                Ok(_) => break,
                Err(now) => found = now,
            }
        }
        kill_point!("read.counted");
        model_fence(); // RWLOCK-E3.
        Ok(())
    }

    /// Raises `highest` when this participant reads for the first time.
    #[cold]
    fn raise_highest(&self, id: u64) {
        kill_point!("read.highest");
        self.highest.fetch_max(id, SeqCst); // SeqCst: RWLOCK-E3.
        kill_point!("read.raised");
    }

    /// Removes the caller from the count of its participant.
    #[inline(always)]
    fn count_out(&self, env: &impl LockEnv, me: u64) -> Result<(), Refused> {
        let word = self.mine;
        let ours = generation(owner(me));
        let mut found = word.load(Relaxed); // Relaxed: the CAS decides.
        loop {
            if (found >> 32) as u32 != ours || found & COUNT == 0 {
                return Err(Refused::NotOwner);
            }
            kill_point!("read.uncount");
            // SeqCst: RWLOCK-E3, and its Release is RWLOCK-E2.
            match word.compare_exchange(found, found - 1, SeqCst, Relaxed) {
                Ok(_) => break,
                Err(now) => found = now,
            }
        }
        kill_point!("read.uncounted");
        model_fence(); // RWLOCK-E3.
        // SeqCst: RWLOCK-E3. If this load does not see a writer, that writer sees the new count.
        if found & COUNT == 1 && !admits(self.turn.load(SeqCst)) {
            self.wake_writer(env);
        }
        Ok(())
    }

    /// Wakes the writer that waits until no participant reads.
    #[cold]
    fn wake_writer(&self, env: &impl LockEnv) {
        self.drained.fetch_add(1, Release); // Release: RWLOCK-E4.
        kill_point!("read.drained");
        env.wake(self.drained, 1);
        kill_point!("read.woken");
    }

    /// Acquires the lock to read if no writer has it or waits for it.
    ///
    /// `again` is true if the calling thread already reads. A reader that sees the writer does not
    /// count itself, so it need not wake the writer afterwards.
    #[inline(always)]
    pub(crate) fn try_read(&self, env: &impl LockEnv, me: u64, again: bool) -> bool {
        // Relaxed: loaded again after `count_in`.
        if !(again || admits(self.turn.load(Relaxed))) || self.count_in(me).is_err() {
            return false;
        }
        // SeqCst: RWLOCK-E3; its Acquire is RWLOCK-E1.
        if again || admits(self.turn.load(SeqCst)) {
            return true;
        }
        // This cannot fail, because this thread has counted itself.
        let _ = self.count_out(env, me);
        false
    }

    /// Acquires the lock to read. `again` is true if the calling thread already reads.
    #[inline(always)]
    pub(crate) fn read(
        &self,
        env: &impl LockEnv,
        me: u64,
        again: bool,
        deadline: Deadline,
    ) -> Result<(), LockAttemptError> {
        if self.try_read(env, me, again) {
            return Ok(());
        }
        if again {
            // There is nothing to wait for: `count_in` failed because there are too many readers.
            return Ok(self.count_in(me)?);
        }
        self.read_slow(env, me, deadline)
    }

    /// Acquires the lock to read, after waiting for a writer.
    #[cold]
    fn read_slow(
        &self,
        env: &impl LockEnv,
        me: u64,
        deadline: Deadline,
    ) -> Result<(), LockAttemptError> {
        let mut parking = Parking::new(env, deadline);
        loop {
            loop {
                let w = self.turn.load(Relaxed); // Relaxed: loaded again after `count_in`.
                if admits(w) {
                    break;
                }
                if deadline != Deadline::Now && holder(w) == holder(me) && names_a_thread(me) {
                    return Err(Refused::WouldDeadlock.into());
                }
                let Some(parked) = self.wait_for_turn(env, &mut parking, w, deadline) else {
                    continue;
                };
                match env.liveness(owner(w)) {
                    Liveness::Alive if parked == Parked::TimedOut => {
                        return Err(LockAttemptError::Busy);
                    }
                    Liveness::Alive => {}
                    Liveness::Unknown => return Err(Refused::Corrupt(CORRUPT).into()),
                    Liveness::Dead => self.release_dead_writer(env, w | CONTENDED, me),
                }
            }
            self.count_in(me)?;
            // SeqCst: RWLOCK-E3; its Acquire is RWLOCK-E1.
            if admits(self.turn.load(SeqCst)) {
                return Ok(());
            }
            self.count_out(env, me)?;
        }
    }

    /// Waits while `turn` is `w`: spins, or sets *contended* and sleeps.
    ///
    /// Returns `None` if the caller should read `turn` again, else how the sleep ended: then the
    /// caller asks whether the owner is dead.
    fn wait_for_turn(
        &self,
        env: &impl LockEnv,
        parking: &mut Parking,
        w: u64,
        deadline: Deadline,
    ) -> Option<Parked> {
        if deadline != Deadline::Now && w & CONTENDED == 0 && parking.spin() {
            return None;
        }
        if w & CONTENDED == 0 {
            kill_point!("turn.contend");
            // Relaxed: this CAS publishes nothing.
            if self.turn.compare_exchange(w, w | CONTENDED, Relaxed, Relaxed).is_err() {
                return None;
            }
            kill_point!("turn.contended");
        }
        match parking.park(env, self.turn, w | CONTENDED) {
            Parked::Changed => None,
            parked => Some(parked),
        }
    }

    /// Registers a waiter that may wait for other things too, and returns the word of `turn` on
    /// which it sleeps. It tries again before it sleeps.
    ///
    /// With `read` it waits until readers are admitted, else until the turn is free. Each time it
    /// is released, all waiters are woken, so this one has nothing to pass on.
    pub(crate) fn register(&self, read: bool) -> u64 {
        let keeps_out = |w| if read { !admits(w) } else { holder(w) != 0 };
        contend(self.turn, keeps_out).unwrap_or(AWAKE)
    }

    /// Returns whether a waiter that has [registered](RawRwLock::register) may try.
    pub(crate) fn is_due(&self, read: bool) -> bool {
        let w = self.turn.load(Relaxed); // Relaxed: a hint, and the next attempt decides.
        if read { admits(w) } else { holder(w) == 0 }
    }

    /// Returns whether the turn is that of a dead process, so that the next attempt takes it over.
    pub(crate) fn is_orphaned(&self, env: &impl LockEnv) -> bool {
        is_orphaned(env, self.turn)
    }

    /// Frees the turn of a dead process, for a caller that only wants to read.
    fn release_dead_writer(&self, env: &impl LockEnv, w: u64, me: u64) {
        if let Some(w) = self.take_over(env, w, me, PENDING) {
            debug_assert_eq!(holder(w), holder(me));
            // This cannot fail, because this thread has the turn now.
            let _ = self.leave(env, me);
        }
    }

    /// Takes the turn of a dead process over, and returns the new word.
    ///
    /// An *active* turn stays active until the lock is marked. If this process dies before that,
    /// the next process that takes over marks it.
    fn take_over(&self, env: &impl LockEnv, w: u64, me: u64, mode: u64) -> Option<u64> {
        let pid = env.pid(owner(w));
        let wrote = w & MODE == ACTIVE;
        let mine = holder(me) | if wrote { ACTIVE } else { mode } | CONTENDED;
        kill_point!("turn.take_over");
        // SeqCst: RWLOCK-E3, as where a free turn is claimed. Its Acquire is RWLOCK-E1 for what the
        // earlier writers wrote, and DEATH-E1 for what the dead writer wrote.
        self.turn.compare_exchange(w, mine, SeqCst, Relaxed).ok()?;
        kill_point!("turn.taken_over");
        model_fence(); // RWLOCK-E3.
        if wrote {
            // Relaxed: this thread has the turn, and RWLOCK-E1 carries the mark.
            self.mark.store(mark::of(PoisonedBy::OwnerDied { pid }), Relaxed);
            kill_point!("turn.marked");
        }
        Some(mine)
    }

    /// Claims the turn, as pending or upgradable, and returns the new word.
    ///
    /// The word is active if the turn was that of a dead writer. `reading` is true if the calling
    /// thread reads. Then it must not wait for a writer, since that writer waits for its read to
    /// end.
    fn take_turn(
        &self,
        env: &impl LockEnv,
        me: u64,
        mode: u64,
        reading: bool,
        deadline: Deadline,
    ) -> Result<u64, LockAttemptError> {
        let mut parking = Parking::new(env, deadline);
        loop {
            let w = self.turn.load(Relaxed); // Relaxed: the CAS decides.
            if holder(w) == 0 {
                let mine = holder(me) | mode | if parking.slept { CONTENDED } else { 0 };
                kill_point!("turn.claim");
                // SeqCst: RWLOCK-E3; its Acquire is RWLOCK-E1.
                if self.turn.compare_exchange(w, mine, SeqCst, Relaxed).is_ok() {
                    kill_point!("turn.claimed");
                    model_fence(); // RWLOCK-E3.
                    return Ok(mine);
                }
                continue;
            }
            if deadline != Deadline::Now && holder(w) == holder(me) && names_a_thread(me) {
                return Err(Refused::WouldDeadlock.into());
            }
            let Some(parked) = self.wait_for_turn(env, &mut parking, w, deadline) else {
                continue;
            };
            match env.liveness(owner(w)) {
                Liveness::Alive if reading && w & MODE == PENDING && deadline != Deadline::Now => {
                    return Err(Refused::WouldDeadlock.into());
                }
                Liveness::Alive if parked == Parked::TimedOut => {
                    return Err(LockAttemptError::Busy);
                }
                Liveness::Alive => {}
                Liveness::Unknown => return Err(Refused::Corrupt(CORRUPT).into()),
                Liveness::Dead => {
                    if let Some(mine) = self.take_over(env, w | CONTENDED, me, mode) {
                        return Ok(mine);
                    }
                }
            }
        }
    }

    /// Claims the turn, and waits until no participant reads.
    #[inline]
    pub(crate) fn write(
        &self,
        env: &impl LockEnv,
        me: u64,
        deadline: Deadline,
    ) -> Result<(), LockAttemptError> {
        let turn = self.take_turn(env, me, PENDING, false, deadline)?;
        if turn & MODE == ACTIVE {
            return Ok(());
        }
        let drained = self.drain(env, me, deadline);
        if drained.is_err() {
            // This cannot fail, because this thread has the turn.
            let _ = self.leave(env, me);
        }
        drained
    }

    /// Claims the turn for a writer that may wait for other things too. Never waits.
    ///
    /// The caller calls [`finish_write`](RawRwLock::finish_write) until that succeeds, or
    /// [`leave`](RawRwLock::leave). Meanwhile no new reader is admitted.
    pub(crate) fn begin_write(&self, env: &impl LockEnv, me: u64) -> Result<(), LockAttemptError> {
        self.take_turn(env, me, PENDING, false, Deadline::Now)?;
        Ok(())
    }

    /// Makes the turn of the caller active if no participant reads. Returns whether it did.
    pub(crate) fn finish_write(&self, env: &impl LockEnv, me: u64) -> Result<bool, Refused> {
        if self.any_reader(env, false) {
            return Ok(false);
        }
        self.set_mode(env, me, ACTIVE)?;
        Ok(true)
    }

    /// Returns the word of `drained` on which a writer sleeps that has the turn. It tries again
    /// before it sleeps.
    pub(crate) fn register_to_drain(&self) -> u64 {
        self.drained.load(Acquire) // Acquire: RWLOCK-E4.
    }

    /// Returns whether no participant reads any more, once the counts of dead readers are reset.
    pub(crate) fn is_drained(&self, env: &impl LockEnv) -> bool {
        !self.any_reader(env, true)
    }

    /// Makes another thread of the same process the owner of the caller's turn.
    pub(crate) fn hand_over(&self, me: u64, to: u64) -> Result<(), Refused> {
        let mut w = self.turn.load(Relaxed); // Relaxed: the CAS decides.
        loop {
            if holder(w) != holder(me) {
                return Err(Refused::NotOwner);
            }
            kill_point!("turn.hand_over");
            let handed = holder(to) | w & !holder(w);
            // Relaxed: this CAS publishes nothing. RWLOCK-E1 begins where the turn is released.
            match self.turn.compare_exchange(w, handed, Relaxed, Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => w = now,
            }
        }
    }

    /// Acquires the lock as the one reader that can become the writer.
    ///
    /// `reading` is true if the calling thread already reads.
    pub(crate) fn upgradable(
        &self,
        env: &impl LockEnv,
        me: u64,
        reading: bool,
        deadline: Deadline,
    ) -> Result<(), LockAttemptError> {
        let turn = self.take_turn(env, me, UPGRADABLE, reading, deadline)?;
        if turn & MODE == ACTIVE {
            self.set_mode(env, me, UPGRADABLE)?;
        }
        Ok(())
    }

    /// Turns the upgradable reader into the writer, with no other writer in between.
    ///
    /// After a failure the caller is the upgradable reader again.
    pub(crate) fn upgrade(
        &self,
        env: &impl LockEnv,
        me: u64,
        deadline: Deadline,
    ) -> Result<(), LockAttemptError> {
        self.set_mode(env, me, PENDING)?;
        let drained = self.drain(env, me, deadline);
        if drained.is_err() {
            self.set_mode(env, me, UPGRADABLE)?;
        }
        drained
    }

    /// Turns the writer into the upgradable reader.
    pub(crate) fn downgrade_to_upgradable(
        &self,
        env: &impl LockEnv,
        me: u64,
    ) -> Result<(), Refused> {
        self.set_mode(env, me, UPGRADABLE)
    }

    /// Turns the writer, or the upgradable reader, into an ordinary reader.
    pub(crate) fn downgrade(&self, env: &impl LockEnv, me: u64) -> Result<(), Refused> {
        self.count_in(me)?;
        self.leave(env, me)
    }

    /// Releases the lock of a reader.
    #[inline(always)]
    pub(crate) fn unlock_read(&self, env: &impl LockEnv, me: u64) -> Result<(), Refused> {
        self.count_out(env, me)
    }

    /// Releases the turn, and wakes every thread that waits for it.
    #[inline]
    pub(crate) fn leave(&self, env: &impl LockEnv, me: u64) -> Result<(), Refused> {
        if !self.has_turn(me) {
            return Err(Refused::NotOwner);
        }
        kill_point!("turn.free");
        // Release: RWLOCK-E1. Since `has_turn` read the word, another can only have added
        // *contended*.
        let w = self.turn.swap(0, Release);
        kill_point!("turn.freed");
        self.wake_contended(env, w);
        Ok(())
    }

    /// Returns whether `me` has the turn.
    pub(crate) fn has_turn(&self, me: u64) -> bool {
        // Relaxed: if the word names this thread, this thread wrote it.
        holder(self.turn.load(Relaxed)) == holder(me)
    }

    /// Wakes every thread that waits for the turn, if `w` says that there may be one.
    fn wake_contended(&self, env: &impl LockEnv, w: u64) {
        if w & CONTENDED != 0 {
            env.wake(self.turn, u32::MAX);
            kill_point!("turn.woken");
        }
    }

    /// Changes the mode of the caller's turn. If the new mode admits readers, wakes the waiters.
    fn set_mode(&self, env: &impl LockEnv, me: u64, mode: u64) -> Result<(), Refused> {
        let mut w = self.turn.load(Relaxed); // Relaxed: the CAS decides.
        loop {
            if holder(w) != holder(me) {
                return Err(Refused::NotOwner);
            }
            kill_point!("turn.mode");
            // SeqCst: RWLOCK-E3, where the new mode keeps readers out. Its Release is RWLOCK-E1,
            // where the new mode lets them in.
            match self.turn.compare_exchange(w, w & !MODE | mode, SeqCst, Relaxed) {
                Ok(_) => break,
                Err(now) => w = now,
            }
        }
        kill_point!("turn.changed");
        model_fence(); // RWLOCK-E3.
        if mode == UPGRADABLE {
            self.wake_contended(env, w);
        }
        Ok(())
    }

    /// Waits until no participant reads, and makes the turn active.
    fn drain(
        &self,
        env: &impl LockEnv,
        me: u64,
        deadline: Deadline,
    ) -> Result<(), LockAttemptError> {
        // A caller that does not wait checks at once which readers are dead.
        let mut check_deaths = deadline == Deadline::Now;
        let mut parking = None;
        loop {
            let seen = self.drained.load(Acquire); // Acquire: RWLOCK-E4.
            if !self.any_reader(env, check_deaths) {
                break;
            }
            let parking = parking.get_or_insert_with(|| Parking::new(env, deadline));
            if parking.spin() && deadline != Deadline::Now {
                continue;
            }
            match parking.park(env, self.drained, seen) {
                Parked::Changed => {}
                Parked::Elapsed => check_deaths = true,
                Parked::TimedOut if check_deaths => return Err(LockAttemptError::Busy),
                Parked::TimedOut => check_deaths = true,
            }
        }
        Ok(self.set_mode(env, me, ACTIVE)?)
    }

    /// Returns whether a participant reads.
    ///
    /// With `check_deaths`, first resets the counts of dead readers.
    fn any_reader(&self, env: &impl LockEnv, check_deaths: bool) -> bool {
        // SeqCst: RWLOCK-E3. The bound holds whatever a peer wrote there.
        let highest = self.highest.load(SeqCst).min(env.max_participants() as u64);
        for id in 1..=highest as u16 {
            let Some(word) = of_id(self.readers, id) else { return false };
            let found = word.load(SeqCst); // SeqCst: RWLOCK-E3; its Acquire is RWLOCK-E2.
            if found & COUNT == 0 {
                continue;
            }
            let owner = found >> 32 << 16 | u64::from(id);
            if !check_deaths || env.liveness(owner) != Liveness::Dead {
                return true;
            }
            kill_point!("write.subtract");
            // Acquire: DEATH-E1, and RWLOCK-E2 for earlier reads. If the CAS fails, the id has a
            // new reader.
            if word.compare_exchange(found, 0, Acquire, Relaxed).is_err() {
                return true;
            }
            kill_point!("write.subtracted");
        }
        false
    }

    /// Returns whether a live process writes or, with `shared`, reads.
    pub(crate) fn is_locked(&self, env: &impl LockEnv, shared: bool) -> bool {
        let w = self.turn.load(Relaxed); // Relaxed: the answer may be old when it is returned.
        let wanted = w & MODE == ACTIVE || shared && w & MODE == UPGRADABLE;
        if wanted && holder(w) != 0 && env.liveness(owner(w)) == Liveness::Alive {
            return true;
        }
        // Relaxed: as above. The bound holds whatever a peer wrote there.
        let highest = self.highest.load(Relaxed).min(env.max_participants() as u64);
        shared
            && (1..=highest as u16).any(|id| {
                // Relaxed: as above.
                let found = of_id(self.readers, id).map_or(0, |word| word.load(Relaxed));
                found & COUNT != 0
                    && env.liveness(found >> 32 << 16 | u64::from(id)) == Liveness::Alive
            })
    }

    /// Returns why the lock is poisoned, if it is.
    pub(crate) fn cause(&self) -> Option<PoisonedBy> {
        mark::cause(self.mark.load(Relaxed)) // Relaxed: RWLOCK-E1 carries it.
    }

    /// Poisons the lock, or ends the poisoning.
    pub(crate) fn set_cause(&self, cause: Option<PoisonedBy>) {
        kill_point!("turn.mark");
        self.mark.store(cause.map_or(0, mark::of), Relaxed); // Relaxed: RWLOCK-E1 carries it.
    }
}
