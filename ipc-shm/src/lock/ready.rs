//! Locks, events and semaphores as what a waiter waits for together with other things.
//!
//! A waiter registers by setting the waiters' bit in the lock's word, and sleeps on that word. The
//! bit counts no waiters. A waiter that was woken and does not wait any more
//! passes on its wake-up, or sets the bit again for those that still sleep.
//!
//! A claim takes an automatic event, or a permit. If it is given back, the event is set again, and
//! the permit is there again.

use std::task::Waker;

use ipc_core::__private::ready::{
    Claim, Outcome, Pace, Ready, Registration, Selectable, Source, Tasks, Ticket,
};
use ipc_sys::tasks::ThisProcess;

use super::event::Event;
use super::guard::HeldLock;
use super::location::LockLocation;
use super::mutex::Mutex;
use super::poison::{LockAttemptError, LockError, LockResult, Refused};
use super::raw::mutex::RawMutex;
use super::raw::rwlock::RawRwLock;
use super::rwlock::{RwLock, RwLockWriteGuard};
use super::semaphore::{Permit, Semaphore};
use super::thread;
use super::value::Value;
use super::word::LockEnv;
use crate::sync::AtomicU64;
use crate::sync::Ordering::Acquire;
use crate::throttle::Throttle;

/// Returns the registration of a waiter that sleeps while the low half of `word` is that of `seen`.
///
/// No barrier is needed: waiters and wakers change the same word.
fn registration(word: &AtomicU64, seen: u64) -> Registration<'_> {
    let source = Source::Word { word, seen: seen as u32, shared: true };
    Registration { source, ticket: Ticket(u64::from(seen as u32)), barrier: false }
}

/// What a forked process registers for. It has no mapping of the word, and every attempt fails at
/// once.
const FORKED: Registration<'static> =
    Registration { source: Source::Time, ticket: Ticket(0), barrier: false };

/// Returns whether the word is not any more what the waiter sleeps on.
fn changed(word: &AtomicU64, ticket: Ticket) -> bool {
    // Acquire: what was done before the change is visible to the waiter that it wakes.
    u64::from(word.load(Acquire) as u32) != ticket.0
}

/// One wait for an [`Event`].
#[derive(Clone, Copy)]
pub struct EventWait<'a> {
    event: &'a Event,
    /// How often the event was set when the wait began.
    began: u64,
}

impl<'a> EventWait<'a> {
    /// Begins to wait.
    #[must_use]
    pub fn new(event: &'a Event) -> EventWait<'a> {
        let mut wait = EventWait { event, began: 0 };
        wait.begin();
        wait
    }

    /// Returns what is waited for.
    #[must_use]
    pub fn event(&self) -> &'a Event {
        self.event
    }

    /// Begins to wait anew. A manual event that was set and cleared before counts no more.
    pub fn begin(&mut self) {
        if !self.event.location.forked() {
            self.began = self.event.raw().begin();
        }
    }

    /// Ends the wait that was claimed.
    ///
    /// # Errors
    ///
    /// As [`Event::wait`].
    pub fn complete(&self, _claim: Claim) -> Result<(), Refused> {
        self.event.location.check()
    }
}

impl Pace for EventWait<'_> {
    fn spins(&self) -> u32 {
        LockEnv::spins(&self.event.location)
    }
}

impl Ready for EventWait<'_> {
    fn is_ready(&self) -> bool {
        self.event.location.forked() || self.event.raw().is_due(self.began)
    }

    fn register(&self, _waker: &Waker) -> Registration<'_> {
        if self.event.location.forked() {
            return FORKED;
        }
        let raw = self.event.raw();
        registration(raw.state, raw.register())
    }

    fn unregister(&self, _ticket: Ticket, _outcome: Outcome) {
        if !self.event.location.forked() {
            self.event.raw().pass_on(&self.event.location);
        }
    }

    fn tasks(&self) -> &'static dyn Tasks {
        &ThisProcess
    }

    fn recovers(&self) -> bool {
        true
    }

    fn notified(&self, ticket: Ticket) -> bool {
        !self.event.location.forked() && changed(self.event.raw().state, ticket)
    }

    fn monitors_deaths(&self) -> bool {
        false
    }
}

impl Selectable for EventWait<'_> {
    fn claim(&self) -> Option<Claim> {
        let Event { location, auto, .. } = self.event;
        if location.forked() {
            return Some(Claim::Ready);
        }
        let raw = self.event.raw();
        if *auto {
            raw.take().then_some(Claim::Place(0, 0))
        } else {
            raw.is_due(self.began).then_some(Claim::Ready)
        }
    }

    fn give_back(&self, claim: Claim) {
        if let Claim::Place(..) = claim {
            // A forked process has taken nothing.
            let _ = self.event.set();
        }
    }
}

impl Pace for Semaphore {
    fn spins(&self) -> u32 {
        LockEnv::spins(&self.location)
    }
}

impl Ready for Semaphore {
    fn is_ready(&self) -> bool {
        self.location.forked() || self.available_permits() > 0
    }

    fn register(&self, _waker: &Waker) -> Registration<'_> {
        if self.location.forked() {
            return FORKED;
        }
        let raw = self.raw();
        match raw.register() {
            Ok(seen) => registration(raw.grant, seen),
            // The next attempt fails.
            Err(_) => FORKED,
        }
    }

    fn unregister(&self, _ticket: Ticket, _outcome: Outcome) {
        if !self.location.forked() {
            self.raw().pass_on(&self.location);
        }
    }

    fn tasks(&self) -> &'static dyn Tasks {
        &ThisProcess
    }

    fn recovers(&self) -> bool {
        true
    }

    fn notified(&self, ticket: Ticket) -> bool {
        !self.location.forked() && changed(self.raw().grant, ticket)
    }

    fn recover_dead(&self) -> bool {
        self.looked.begin();
        // A failure is that of the next attempt too.
        !self.location.forked() && self.raw().reclaim_dead_permits(&self.location) == Ok(true)
    }

    fn recover_dead_throttled(&self) -> bool {
        self.looked.due() && self.recover_dead()
    }

    /// As [`Semaphore::try_acquire`], which looks for dead holders each time.
    fn settle(&self) -> bool {
        self.recover_dead()
    }

    fn monitors_deaths(&self) -> bool {
        false
    }
}

impl Selectable for Semaphore {
    fn claim(&self) -> Option<Claim> {
        if self.location.forked() {
            return Some(Claim::Ready);
        }
        let me = LockEnv::me(&self.location);
        match self.raw().take_now(&self.location, me) {
            Ok(taken) => taken.then_some(Claim::Place(me, 0)),
            Err(_) => Some(Claim::Ready),
        }
    }

    fn give_back(&self, claim: Claim) {
        if let Claim::Place(me, _) = claim {
            drop(Permit::claimed(self, me));
        }
    }
}

impl Semaphore {
    /// Returns the permit that was claimed.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Semaphore::acquire).
    #[doc(hidden)]
    pub fn acquire_claimed(&self, claim: Claim) -> Result<Permit<'_>, Refused> {
        match claim {
            Claim::Place(me, _) if !self.location.forked() => Ok(Permit::claimed(self, me)),
            // Nothing was claimed, because this call fails.
            _ => self.acquire(),
        }
    }
}

/// What a [`LockWait`] waits for.
#[derive(Clone, Copy)]
enum Until<'a> {
    /// A mutex is free.
    Free(RawMutex<'a>),
    /// Readers are admitted; or, with false, no writer holds the lock or waits for it.
    Turn(RawRwLock<'a>, bool),
    /// No participant reads any more. The waiter has the turn.
    Drained(RawRwLock<'a>),
}

/// One wait for a lock: for a moment at which an attempt to lock it may succeed.
///
/// | wait | attempt |
/// |---|---|
/// | [`mutex`](LockWait::mutex) | `try_lock` |
/// | [`read`](LockWait::read) | `try_read` |
/// | [`turn`](LockWait::turn) | `try_upgradable_read`, or [`WriteTurn::claim`] |
/// | [`WriteTurn::waits`] | [`WriteTurn::lock`] |
///
/// An attempt takes the lock over from a dead holder. The wait ends with [`Ready::unregister`],
/// after an attempt that has succeeded too.
pub struct LockWait<'a> {
    location: &'a LockLocation,
    until: Until<'a>,
    looked: Throttle,
}

impl<'a> LockWait<'a> {
    fn new(location: &'a LockLocation, until: Until<'a>) -> LockWait<'a> {
        LockWait { location, until, looked: Throttle::new() }
    }

    /// Begins to wait for a mutex.
    ///
    /// # Errors
    ///
    /// [`Forked`](Refused::Forked) in a forked process.
    pub fn mutex<T: Value + ?Sized>(mutex: &'a Mutex<T>) -> Result<LockWait<'a>, Refused> {
        mutex.location.check()?;
        Ok(LockWait::new(&mutex.location, Until::Free(mutex.raw())))
    }

    /// Begins to wait until readers are admitted.
    ///
    /// # Errors
    ///
    /// As [`LockWait::mutex`].
    pub fn read<T: Value + ?Sized>(lock: &'a RwLock<T>) -> Result<LockWait<'a>, Refused> {
        lock.location.check()?;
        Ok(LockWait::new(&lock.location, Until::Turn(lock.raw(), true)))
    }

    /// Begins to wait until there is neither a writer nor an upgradable reader.
    ///
    /// # Errors
    ///
    /// As [`LockWait::mutex`].
    pub fn turn<T: Value + ?Sized>(lock: &'a RwLock<T>) -> Result<LockWait<'a>, Refused> {
        lock.location.check()?;
        Ok(LockWait::new(&lock.location, Until::Turn(lock.raw(), false)))
    }

    fn word(&self) -> &'a AtomicU64 {
        match self.until {
            Until::Free(mutex) => mutex.state,
            Until::Turn(lock, _) => lock.turn,
            Until::Drained(lock) => lock.drained,
        }
    }
}

impl Pace for LockWait<'_> {
    fn spins(&self) -> u32 {
        LockEnv::spins(self.location)
    }
}

impl Ready for LockWait<'_> {
    fn is_ready(&self) -> bool {
        self.location.forked()
            || match self.until {
                Until::Free(mutex) => mutex.is_free(),
                Until::Turn(lock, read) => lock.is_due(read),
                Until::Drained(_) => true,
            }
    }

    fn register(&self, _waker: &Waker) -> Registration<'_> {
        if self.location.forked() {
            return FORKED;
        }
        let seen = match self.until {
            Until::Free(mutex) => mutex.register(),
            Until::Turn(lock, read) => lock.register(read),
            Until::Drained(lock) => lock.register_to_drain(),
        };
        registration(self.word(), seen)
    }

    fn unregister(&self, _ticket: Ticket, _outcome: Outcome) {
        // Releasing the turn of a readers-writer lock wakes every waiter. Only its owner waits for
        // readers to leave.
        if let Until::Free(mutex) = self.until {
            if !self.location.forked() {
                mutex.pass_on(self.location);
            }
        }
    }

    fn tasks(&self) -> &'static dyn Tasks {
        &ThisProcess
    }

    fn recovers(&self) -> bool {
        true
    }

    fn notified(&self, ticket: Ticket) -> bool {
        !self.location.forked() && changed(self.word(), ticket)
    }

    /// Returns whether the holder is dead, or was the last reader. The next attempt succeeds.
    fn recover_dead(&self) -> bool {
        self.looked.begin();
        !self.location.forked()
            && match self.until {
                Until::Free(mutex) => mutex.is_orphaned(self.location),
                Until::Turn(lock, _) => lock.is_orphaned(self.location),
                Until::Drained(lock) => lock.is_drained(self.location),
            }
    }

    fn recover_dead_throttled(&self) -> bool {
        self.looked.due() && self.recover_dead()
    }

    fn monitors_deaths(&self) -> bool {
        false
    }
}

/// The turn of a writer that waits until no participant reads any more. It keeps new readers out.
///
/// It belongs to the process, not to a thread. Dropping it gives the turn up.
pub struct WriteTurn<'a, T: Value + ?Sized> {
    lock: &'a RwLock<T>,
    me: u64,
}

impl<'a, T: Value + ?Sized> WriteTurn<'a, T> {
    /// Claims the turn if it is free, or that of a dead process.
    ///
    /// # Errors
    ///
    /// [`Forked`](Refused::Forked) in a forked process, [`Corrupt`](Refused::Corrupt) if the memory
    /// is corrupt.
    pub fn claim(lock: &'a RwLock<T>) -> Result<Option<WriteTurn<'a, T>>, Refused> {
        lock.location.check()?;
        // Of no thread: another one may finish.
        let me = lock.location.me;
        match lock.raw().begin_write(&lock.location, me) {
            Ok(()) => Ok(Some(WriteTurn { lock, me })),
            Err(LockAttemptError::Busy) => Ok(None),
            Err(LockAttemptError::Refused(why)) => Err(why),
        }
    }

    /// Returns the wait for the readers.
    #[must_use]
    pub fn waits(&self) -> LockWait<'a> {
        LockWait::new(&self.lock.location, Until::Drained(self.lock.raw()))
    }

    /// Returns the guard of the calling thread if no participant reads any more, else the turn.
    ///
    /// # Errors
    ///
    /// As [`RwLock::write`].
    pub fn lock(self) -> Result<LockResult<RwLockWriteGuard<'a, T>>, Self> {
        let WriteTurn { lock, me } = self;
        let (raw, location) = (lock.raw(), &lock.location);
        let here = LockEnv::me(location);
        let finished = location.check().and_then(|()| raw.finish_write(location, me));
        let handed_over = finished.and_then(|finished| match finished {
            true => raw.hand_over(me, here).map(|()| true),
            false => Ok(false),
        });
        match handed_over {
            Ok(false) => Err(self),
            Ok(true) => {
                std::mem::forget(self);
                thread::count_acquired();
                Ok(HeldLock::new(lock, here).checked().map_err(LockError::from))
            }
            Err(why) => Ok(Err(LockError::Refused(why))),
        }
    }
}

impl<T: Value + ?Sized> Drop for WriteTurn<'_, T> {
    fn drop(&mut self) {
        if !self.lock.location.forked() {
            // It fails only if a peer breaks the protocol.
            let _ = self.lock.raw().leave(&self.lock.location, self.me);
        }
    }
}
