//! What a process of a model does with each kind of lock.

use ipc_core::Deadline;

use super::kernel::{MOST, Peer};
use crate::lock::poison::{LockAttemptError, PoisonedBy};
use crate::lock::raw::barrier::{RawBarrier, WaitOutcome};
use crate::lock::raw::condvar::{RawCondvar, Waiter};
use crate::lock::raw::event::RawEvent;
use crate::lock::raw::mutex::{RawMutex, UPDATING};
use crate::lock::raw::of_id;
use crate::lock::raw::once::{Begin, End, RawOnce};
use crate::lock::raw::rwlock::RawRwLock;
use crate::lock::raw::semaphore::RawSemaphore;
use crate::lock::word::{LockEnv, id};

/// The mutex.
impl Peer {
    fn mutex(&self) -> RawMutex<'_> {
        RawMutex { state: &self.shared.mutex[0], mark: &self.shared.mutex[1] }
    }

    pub fn lock(&self) {
        let me = self.me();
        if !self.mutex().try_now(me) {
            assert_eq!(self.mutex().lock(self, me, Deadline::Never), Ok(()));
        }
    }

    pub fn try_lock(&self) -> bool {
        match self.mutex().lock(self, self.me(), Deadline::Now) {
            Ok(()) => true,
            Err(LockAttemptError::Busy) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Acquires the mutex to update, so the death of the holder does not poison it.
    pub fn lock_to_update(&self) {
        let me = self.me() | UPDATING;
        if !self.mutex().try_now(me) {
            assert_eq!(self.mutex().lock(self, me, Deadline::Never), Ok(()));
        }
    }

    pub fn unlock(&self) {
        assert_eq!(self.mutex().unlock(self, self.me()), Ok(()));
    }

    /// Returns the pid of the process that died while it held the mutex.
    pub fn died(&self) -> Option<u32> {
        self.mutex().cause().map(|cause| match cause {
            PoisonedBy::OwnerDied { pid } => pid,
            PoisonedBy::Panicked => panic!("no closure panicked"),
        })
    }
}

/// The readers-writer lock.
impl Peer {
    fn rwlock(&self) -> RawRwLock<'_> {
        let (words, readers) = (&self.shared.words, &self.shared.each[0]);
        let mine = of_id(readers, id(self.owner)).expect("a participant");
        let [turn, mark, drained, highest, ..] = &words[..] else { panic!("words of a lock") };
        RawRwLock { turn, mark, drained, highest, readers, mine }
    }
    pub fn read(&self) {
        assert_eq!(self.rwlock().read(self, self.me(), false, Deadline::Never), Ok(()));
    }
    pub fn unlock_read(&self) {
        assert_eq!(self.rwlock().unlock_read(self, self.me()), Ok(()));
    }
    pub fn write(&self) {
        assert_eq!(self.rwlock().write(self, self.me(), Deadline::Never), Ok(()));
    }
    pub fn try_write(&self) -> bool {
        self.rwlock().write(self, self.me(), Deadline::Now).is_ok()
    }
    pub fn upgradable(&self) {
        assert_eq!(self.rwlock().upgradable(self, self.me(), false, Deadline::Never), Ok(()));
    }
    pub fn upgrade(&self) {
        assert_eq!(self.rwlock().upgrade(self, self.me(), Deadline::Never), Ok(()));
    }
    pub fn downgrade(&self) {
        assert_eq!(self.rwlock().downgrade(self, self.me()), Ok(()));
    }
    /// Releases the lock of the writer, or of the upgradable reader.
    pub fn leave(&self) {
        assert_eq!(self.rwlock().leave(self, self.me()), Ok(()));
    }
    pub fn wrote(&self) -> Option<PoisonedBy> {
        self.rwlock().cause()
    }
}

/// The condition.
impl Peer {
    fn condvar(&self) -> RawCondvar<'_> {
        let words = &self.shared.words;
        let (places, since) = words[3..].split_at(MOST);
        RawCondvar {
            used: &words[0],
            tickets: &words[1],
            overflow_waiters: &words[2],
            places,
            since,
        }
    }
    /// Registers a waiter that holds the mutex.
    pub fn wait(&self) {
        let waiter = self.condvar().register(self, self.me());
        self.unlock();
        assert_eq!(self.condvar().wait(self, waiter, Deadline::Never), Ok(true));
        self.lock();
        self.condvar().unregister(waiter);
    }
    pub fn enter(&self) -> Entered {
        Entered(self.condvar().register(self, self.me()))
    }
    pub fn wait_as(&self, waiter: Entered) {
        assert_eq!(self.condvar().wait(self, waiter.0, Deadline::Never), Ok(true));
        self.condvar().unregister(waiter.0);
    }
    pub fn give_up(&self, waiter: Entered) {
        self.condvar().give_up(self, waiter.0);
    }
    pub fn notify_one(&self) {
        self.condvar().notify_one(self);
    }
    pub fn notify_all(&self) {
        self.condvar().notify_all(self);
    }
}

/// A registered waiter of the condition.
pub struct Entered(Waiter);

/// The semaphore.
impl Peer {
    fn semaphore(&self) -> RawSemaphore<'_> {
        let [held, generations] = &self.shared.each;
        RawSemaphore { grant: &self.shared.words[0], held, generations, bound: 9 }
    }
    /// Initialises the semaphore, before other processes use it.
    pub fn permits(&self, n: u32) {
        self.semaphore().initialise(n);
    }
    pub fn take(&self) {
        assert_eq!(self.semaphore().take(self, self.me(), Deadline::Never), Ok(()));
    }
    pub fn try_take(&self) -> bool {
        self.semaphore().take(self, self.me(), Deadline::Now).is_ok()
    }
    pub fn give(&self) {
        assert_eq!(self.semaphore().give(self, self.me(), true), Ok(()));
    }
    pub fn forget(&self) {
        assert_eq!(self.semaphore().give(self, self.me(), false), Ok(()));
    }
    pub fn add(&self, n: u32) {
        assert_eq!(self.semaphore().add(self, n), Ok(()));
    }
    pub fn left(&self) -> u32 {
        self.semaphore().permits()
    }
}

/// The once.
impl Peer {
    fn once(&self) -> RawOnce<'_> {
        RawOnce { state: &self.shared.words[0] }
    }
    /// Returns whether `f` ran.
    pub fn call_once(&self, f: impl FnOnce()) -> bool {
        match self.once().begin(self, self.me(), false, Deadline::Never) {
            Ok(Begin::Ours { .. }) => {
                f();
                assert_eq!(self.once().end(self, self.me(), End::Complete), Ok(()));
                true
            }
            Ok(Begin::Complete) => {
                assert!(self.once().is_complete());
                false
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The event and the barrier.
impl Peer {
    fn event(&self) -> RawEvent<'_> {
        RawEvent { state: &self.shared.words[0], auto: self.shared.auto }
    }
    pub fn set(&self) {
        self.event().set(self);
    }
    pub fn clear(&self) {
        self.event().clear();
    }
    pub fn wait_for_event(&self) {
        assert!(self.event().wait(self, Deadline::Never));
    }
    pub fn is_set(&self) -> bool {
        self.event().is_set()
    }

    fn barrier(&self) -> RawBarrier<'_> {
        let shared = &self.shared;
        RawBarrier { state: &shared.words[0], handles: &shared.each[0], parties: shared.parties }
    }
    pub fn join_barrier(&self) {
        assert_eq!(self.barrier().join(self, self.me()), Ok(()));
    }
    /// Returns whether the caller is the leader, or `None` if the barrier is broken.
    pub fn wait_at_barrier(&self) -> Option<bool> {
        match self.barrier().wait(self, Deadline::Never) {
            WaitOutcome::Leader => Some(true),
            WaitOutcome::Follower => Some(false),
            WaitOutcome::Broken => None,
            WaitOutcome::TimedOut => panic!("there is no time"),
        }
    }
}
