//! What a process of a model does with each kind of lock.

use std::time::Duration;

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
use crate::lock::word::{LockEnv, held, id};
use crate::sync::AtomicU64;

/// A lock as a waiter sees it that waits for other things too.
struct Together<'a> {
    word: &'a AtomicU64,
    register: &'a dyn Fn() -> u64,
    attempt: &'a dyn Fn() -> bool,
    pass_on: &'a dyn Fn(),
}

impl Together<'_> {
    /// Waits as `Select` does, until the attempt has succeeded.
    fn wait(&self, peer: &Peer) {
        while !self.wait_once(peer, self.attempt) {}
    }

    /// Waits as `Select` does, and stops waiting when woken.
    fn leave(&self, peer: &Peer, is_due: impl Fn() -> bool) {
        self.wait_once(peer, &is_due);
    }

    fn wait_once(&self, peer: &Peer, attempt: &dyn Fn() -> bool) -> bool {
        let seen = (self.register)();
        let done = attempt() || {
            peer.sleep(self.word, seen, Duration::MAX);
            attempt()
        };
        (self.pass_on)();
        done
    }
}

/// The mutex.
impl Peer {
    fn with_mutex<R>(&self, then: impl FnOnce(Together<'_>) -> R) -> R {
        let mutex = self.mutex();
        then(Together {
            word: mutex.state,
            register: &|| mutex.register(),
            attempt: &|| self.try_lock(),
            pass_on: &|| mutex.pass_on(self),
        })
    }
    /// Locks as one of several things that it waits for.
    pub fn lock_together(&self) {
        self.with_mutex(|mutex| mutex.wait(self));
    }
    /// Waits for the mutex, and stops waiting when woken.
    pub fn leave_mutex(&self) {
        self.with_mutex(|mutex| mutex.leave(self, || self.mutex().is_free()));
    }

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
    fn with_turn(&self, read: bool, attempt: &dyn Fn() -> bool) {
        let lock = self.rwlock();
        let register = || lock.register(read);
        Together { word: lock.turn, register: &register, attempt, pass_on: &|| () }.wait(self);
    }
    /// Locks to read as one of several things that it waits for.
    pub fn read_together(&self) {
        let lock = self.rwlock();
        self.with_turn(true, &|| lock.read(self, self.me(), false, Deadline::Now).is_ok());
    }
    /// Locks to write as one of several things that it waits for, under another name.
    pub fn write_together(&self) {
        let (lock, task) = (self.rwlock(), held(self.owner, 0));
        self.with_turn(false, &|| lock.begin_write(self, task).is_ok());
        let finish = || lock.finish_write(self, task) == Ok(true);
        let register = || lock.register_to_drain();
        let (attempt, pass_on) = (&finish, &|| ());
        Together { word: lock.drained, register: &register, attempt, pass_on }.wait(self);
        assert_eq!(lock.hand_over(task, self.me()), Ok(()));
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
    fn with_semaphore<R>(&self, then: impl FnOnce(Together<'_>) -> R) -> R {
        let semaphore = self.semaphore();
        then(Together {
            word: semaphore.grant,
            register: &|| semaphore.register().expect("it is not corrupt"),
            attempt: &|| semaphore.take_now(self, self.me()) == Ok(true),
            pass_on: &|| semaphore.pass_on(self),
        })
    }
    /// Takes a permit as one of several things that it waits for.
    pub fn take_together(&self) {
        self.with_semaphore(|semaphore| semaphore.wait(self));
    }
    /// Waits for a permit, and stops waiting when woken.
    pub fn leave_semaphore(&self) {
        self.with_semaphore(|semaphore| semaphore.leave(self, || self.left() > 0));
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
    /// Begins a wait for the event.
    pub fn begin_to_wait(&self) -> u64 {
        self.event().begin()
    }
    fn with_event<R>(&self, began: u64, then: impl FnOnce(Together<'_>) -> R) -> R {
        let event = self.event();
        then(Together {
            word: event.state,
            register: &|| event.register(),
            attempt: &|| if event.auto { event.take() } else { event.is_due(began) },
            pass_on: &|| event.pass_on(self),
        })
    }
    /// Waits for the event as for one of several things.
    pub fn wait_for_event_together(&self) {
        self.wait_for_event_since(self.begin_to_wait());
    }
    /// Goes on with a wait for the event as for one of several things.
    pub fn wait_for_event_since(&self, began: u64) {
        self.with_event(began, |event| event.wait(self));
    }
    /// Waits for the event, and stops waiting when woken.
    pub fn leave_event(&self) {
        self.with_event(self.begin_to_wait(), |event| event.leave(self, || self.is_set()));
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
