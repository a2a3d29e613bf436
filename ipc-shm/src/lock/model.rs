//! Locks on the heap, for loom, shuttle and fuzzing.
//!
//! The words lie in vectors. The processes are threads of a model, or take turns in one thread. A
//! model of the kernel knows which processes are alive and which sleep. For internal use only:
//! nothing here is stable.
//!
//! A sleep ends with a wake. It also ends once for each value of a word after each death, as if a
//! slice had elapsed. So a wake that is lost without a death is a deadlock, which the scheduler
//! reports. Where processes take turns, some slices elapse. A process that still waits after that
//! is killed while it sleeps: see `killed_after`.

#![allow(missing_docs)]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use ipc_core::Deadline;

use super::poison::{LockAttemptError, PoisonedBy};
use super::raw::barrier::{RawBarrier, WaitOutcome};
use super::raw::condvar::{RawCondvar, Waiter};
use super::raw::event::RawEvent;
use super::raw::mutex::{RawMutex, UPDATING};
use super::raw::once::{Begin, End, RawOnce};
use super::raw::rwlock::RawRwLock;
use super::raw::semaphore::RawSemaphore;
use super::raw::{of_id, words_for};
use super::word::{Liveness, LockEnv, generation, held, id};
use crate::killpoint;
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Release, SeqCst};
use crate::sync::models::{Condvar, Mutex, UnsafeCell};

/// The maximum number of processes of a model.
const MOST: usize = 4;
/// How many slices of one operation elapse while no other process runs.
///
/// By then the operation has recovered all that dead processes held.
#[cfg(not(loom))]
const SLICES: usize = 8;

struct Kernel {
    /// The generation that is alive, per id, or 0.
    life: Vec<AtomicU64>,
    futexes: Mutex<Futexes>,
    changed: Condvar,
}

#[derive(Default)]
struct Futexes {
    /// The sleepers and their words, in the order of their arrival.
    sleepers: Vec<(usize, usize)>,
    #[cfg(loom)]
    came: usize,
    deaths: usize,
}

/// The value that a lock protects. With loom, an access that no edge orders is an error.
///
/// Elsewhere one thread runs at a time, up to its next access to a word.
pub struct Protected(UnsafeCell<u64>);

impl Protected {
    pub fn add(&self, n: u64) -> u64 {
        self.0.with_mut(|value| {
            // SAFETY: loom checks that no other thread accesses the value. Elsewhere no other
            // thread runs.
            let value = unsafe { &mut *value };
            *value += n;
            *value
        })
    }
    pub fn read(&self) -> u64 {
        // SAFETY: loom checks that no thread writes meanwhile. Elsewhere no other thread runs.
        self.0.with(|value| unsafe { *value })
    }
}

// SAFETY: loom checks every access. Elsewhere all threads of a model run in one thread of the
// system.
unsafe impl Send for Protected {}
// SAFETY: as above.
unsafe impl Sync for Protected {}

/// The words of every kind of lock, more than enough for each.
pub struct Shared {
    kernel: Kernel,
    words: Vec<AtomicU64>,
    each: [Vec<AtomicU64>; 2],
    pub value: Protected,
    /// The words of the mutex that belongs to a condition.
    mutex: [AtomicU64; 2],
    parties: u32,
    auto: bool,
}

fn words(n: usize) -> Vec<AtomicU64> {
    (0..n).map(|_| AtomicU64::new(0)).collect()
}

/// A process with one thread.
pub struct Peer {
    shared: Arc<Shared>,
    owner: u64,
    thread: u64,
    /// The number of deaths that have ended a slice of this process. Where processes take turns,
    /// the number of slices of this operation.
    seen: Cell<usize>,
    /// The word of the last sleep, and its value then.
    #[cfg(loom)]
    slept_on: Cell<(usize, u64)>,
}

/// Makes processes that share one lock.
pub fn processes<const N: usize>() -> [Peer; N] {
    with(0, false)
}

/// Makes processes that share a barrier with so many parties, or an event.
pub fn with<const N: usize>(parties: u32, auto: bool) -> [Peer; N] {
    let each = [words(words_for(MOST)), words(words_for(MOST))];
    let life = words(MOST + 1);
    for (id, life) in life.iter().enumerate().skip(1) {
        life.store(id as u64, Release);
    }
    let shared = Arc::new(Shared {
        kernel: Kernel { life, futexes: Mutex::new(Futexes::default()), changed: Condvar::new() },
        words: words(3 + 2 * MOST),
        each,
        value: Protected(UnsafeCell::new(0)),
        mutex: [AtomicU64::new(0), AtomicU64::new(0)],
        parties,
        auto,
    });
    std::array::from_fn(|i| {
        let id = i as u64 + 1;
        Peer::new(&shared, id << 16 | id)
    })
}

impl LockEnv for Peer {
    fn me(&self) -> u64 {
        held(self.owner, self.thread)
    }
    fn liveness(&self, owner: u64) -> Liveness {
        match self.shared.kernel.life.get(usize::from(id(owner))) {
            Some(life) if life.load(Acquire) == u64::from(generation(owner)) => Liveness::Alive,
            Some(_) => Liveness::Dead,
            None => Liveness::Unknown,
        }
    }
    fn deaths(&self) -> u64 {
        self.shared.kernel.futexes.lock().expect("no panic while it is held").deaths as u64
    }
    fn look_for_deaths(&self, _turn: usize) -> u64 {
        self.deaths()
    }
    fn look_for_deaths_throttled(&self) -> u64 {
        self.deaths()
    }
    fn pid(&self, owner: u64) -> u32 {
        u32::from(id(owner))
    }
    fn max_participants(&self) -> usize {
        MOST
    }
    #[cfg(not(loom))]
    fn sleep(&self, word: &AtomicU64, seen: u64, _timeout: Duration) {
        if word.load(SeqCst) as u32 != seen as u32 {
            return;
        }
        self.seen.set(self.seen.get() + 1);
        if self.seen.get() > SLICES {
            killpoint::die();
        }
    }
    #[cfg(loom)]
    fn sleep(&self, word: &AtomicU64, seen: u64, _timeout: Duration) {
        let kernel = &self.shared.kernel;
        let mut futexes = kernel.futexes.lock().expect("no panic while it is held");
        // Like the kernel, compares under the lock that wakers take. SeqCst: for loom this is
        // Acquire.
        if word.load(SeqCst) as u32 != seen as u32 {
            return;
        }
        let place = futexes.came;
        futexes.came += 1;
        let address = std::ptr::from_ref(word).addr();
        futexes.sleepers.push((address, place));
        let seen_here = if self.slept_on.get() == (address, seen) { self.seen.get() } else { 0 };
        while futexes.sleepers.iter().any(|(_, other)| *other == place)
            && futexes.deaths == seen_here
        {
            futexes = kernel.changed.wait(futexes).expect("no panic while it is held");
        }
        let elapsed = futexes.sleepers.iter().any(|(_, other)| *other == place);
        futexes.sleepers.retain(|(_, other)| *other != place);
        // A sleeper that is woken, or finds the word changed, does not check for deaths. Its slice
        // is still to elapse.
        if elapsed && word.load(SeqCst) as u32 == seen as u32 {
            self.seen.set(futexes.deaths);
            self.slept_on.set((address, seen));
        }
    }
    fn wake(&self, word: &AtomicU64, n: u32) -> usize {
        let kernel = &self.shared.kernel;
        let mut futexes = kernel.futexes.lock().expect("no panic while it is held");
        let mut left = n;
        futexes.sleepers.retain(|(at, _)| {
            let woken = *at == std::ptr::from_ref(word).addr() && left > 0;
            left -= u32::from(woken);
            !woken
        });
        drop(futexes);
        kernel.changed.notify_all();
        (n - left) as usize
    }
    fn spins(&self) -> u32 {
        0
    }
}

impl Peer {
    fn new(shared: &Arc<Shared>, owner: u64) -> Peer {
        Peer {
            shared: shared.clone(),
            owner,
            thread: 1,
            seen: Cell::new(0),
            #[cfg(loom)]
            slept_on: Cell::new((0, 0)),
        }
    }

    /// Runs `work` up to the `n`-th arrival at the kill point `name`, and dies.
    ///
    /// Returns the result of `work` if it ends before that.
    pub fn killed_at<T>(&self, name: &'static str, n: u32, work: impl FnOnce() -> T) -> Option<T> {
        let done = killpoint::killed_at(name, n, work);
        if done.is_none() {
            self.die();
        }
        done
    }

    /// Runs `work` up to the kill point after `n` others, or until it would sleep for ever, and
    /// dies.
    ///
    /// Returns the result of `work` if it ends before that, and the points that were reached.
    pub fn killed_after<T>(
        &self,
        n: u32,
        work: impl FnOnce() -> T,
    ) -> (Option<T>, Vec<&'static str>) {
        #[cfg(not(loom))]
        self.seen.set(0);
        let (done, reached) = killpoint::killed_after(n, work);
        if done.is_none() {
            self.die();
        }
        (done, reached)
    }

    /// Ends the process, and the next slice of every other process.
    pub fn die(&self) {
        let kernel = &self.shared.kernel;
        kernel.life[usize::from(id(self.owner))].store(0, Release);
        let mut futexes = kernel.futexes.lock().expect("no panic while it is held");
        futexes.deaths += 1;
        drop(futexes);
        kernel.changed.notify_all();
    }

    /// Makes another process with the id of this one, which is dead.
    pub fn successor(&self) -> Peer {
        let generation = generation(self.owner) as u64 + 10;
        let id = u64::from(id(self.owner));
        self.shared.kernel.life[id as usize].store(generation, Release);
        Peer::new(&self.shared, generation << 16 | id)
    }

    pub fn value(&self) -> &Protected {
        &self.shared.value
    }
}

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
            PoisonedBy::Panicked => panic!("nobody panicked"),
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
