//! Locks, events and semaphores for tasks: the calls that block, as futures.
//!
//! A task waits as a waiter for several things does ([`ready`](super::ready)), and repeats the call
//! that does not block. A guard belongs to the thread that polled the future when it was ready.

use std::borrow::Borrow;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use ipc_core::__private::ready::{Outcome, Ready, Selectable};
use ipc_core::__private::task::Wait;

use super::event::Event;
use super::mutex::{Mutex, MutexGuard};
use super::poison::{LockError, LockResult, Refused, TryLockError, TryLockResult};
use super::ready::{EventWait, LockWait, WriteTurn};
use super::rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use super::semaphore::{Permit, Semaphore};
use super::value::Value;

/// Repeats an attempt until it has a result. Waits for an `X`, owned or borrowed, between two.
struct Repeated<X: Ready, E: Borrow<X>, F> {
    /// `None` if the attempt fails at once.
    end: Option<E>,
    wait: Wait,
    attempt: F,
    _end: PhantomData<fn() -> X>,
}

impl<X: Ready, E: Borrow<X>, F> Repeated<X, E, F> {
    fn new(end: Result<E, Refused>, attempt: F) -> Self {
        Repeated { end: end.ok(), wait: Wait::new(), attempt, _end: PhantomData }
    }
}

// Nothing in it is pinned.
impl<X: Ready, E: Borrow<X>, F> Unpin for Repeated<X, E, F> {}

impl<X: Ready, E: Borrow<X>, R, F: FnMut() -> Option<R>> Future for Repeated<X, E, F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let Repeated { end, wait, attempt, .. } = &mut *self;
        match end {
            Some(end) => wait.poll((*end).borrow(), context, attempt),
            None => match attempt() {
                Some(result) => Poll::Ready(result),
                None => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            },
        }
    }
}

impl<X: Ready, E: Borrow<X>, F> Drop for Repeated<X, E, F> {
    fn drop(&mut self) {
        if let Some(end) = &self.end {
            self.wait.leave(end.borrow(), Outcome::Unused);
        }
    }
}

/// Returns nothing while another thread holds the lock.
fn unless_held<G>(result: TryLockResult<G>) -> Option<LockResult<G>> {
    match result {
        Ok(guard) => Some(Ok(guard)),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Poisoned(poisoned)) => Some(Err(LockError::Poisoned(poisoned))),
        Err(TryLockError::Refused(why)) => Some(Err(LockError::Refused(why))),
    }
}

impl<T: Value + ?Sized> Mutex<T> {
    /// Locks the mutex, as a future. Otherwise as [`lock`](Mutex::lock).
    ///
    /// The guard belongs to the thread that polled the future when it was ready. Do not hold it
    /// while the task waits for something else: the other processes wait for the task then.
    /// Dropping the future before it is ready takes nothing.
    ///
    /// # Errors
    ///
    /// As [`lock`](Mutex::lock).
    pub fn lock_async(&self) -> impl Future<Output = LockResult<MutexGuard<'_, T>>> {
        Repeated::<LockWait<'_>, _, _>::new(LockWait::mutex(self), || unless_held(self.try_lock()))
    }
}

impl<T: Value + ?Sized> RwLock<T> {
    /// Locks to read, as a future. Otherwise as [`read`](RwLock::read), and as
    /// [`Mutex::lock_async`].
    ///
    /// # Errors
    ///
    /// As [`read`](RwLock::read).
    pub fn read_async(&self) -> impl Future<Output = LockResult<RwLockReadGuard<'_, T>>> {
        Repeated::<LockWait<'_>, _, _>::new(LockWait::read(self), || unless_held(self.try_read()))
    }

    /// Locks to write, as a future. Otherwise as [`write`](RwLock::write), and as
    /// [`Mutex::lock_async`].
    ///
    /// While the future waits for the last readers, no new ones are admitted. Dropping it admits
    /// them.
    ///
    /// # Errors
    ///
    /// As [`write`](RwLock::write).
    pub async fn write_async(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let claim = || WriteTurn::claim(self).transpose();
        let turn = Repeated::<LockWait<'_>, _, _>::new(LockWait::turn(self), claim)
            .await
            .map_err(LockError::Refused)?;
        let end = Ok(turn.waits());
        let mut turn = Some(turn);
        let finish = || match turn.take()?.lock() {
            Ok(locked) => Some(locked),
            Err(back) => {
                turn = Some(back);
                None
            }
        };
        Repeated::<LockWait<'_>, _, _>::new(end, finish).await
    }
}

impl Semaphore {
    /// Acquires a permit, as a future. Otherwise as [`acquire`](Semaphore::acquire).
    ///
    /// Dropping the future before it is ready takes nothing.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Semaphore::acquire).
    pub fn acquire_async(&self) -> impl Future<Output = Result<Permit<'_>, Refused>> {
        Repeated::<Semaphore, _, _>::new(Ok(self), || Some(self.acquire_claimed(self.claim()?)))
    }
}

impl Event {
    /// Waits until the event is set, as a future. Otherwise as [`wait`](Event::wait).
    ///
    /// The wait begins with this call, not with the first poll. Dropping the future before it is
    /// ready takes nothing.
    ///
    /// # Errors
    ///
    /// As [`wait`](Event::wait).
    pub fn wait_async(&self) -> impl Future<Output = Result<(), Refused>> {
        let wait = EventWait::new(self);
        Repeated::<EventWait<'_>, _, _>::new(Ok(wait), move || Some(wait.complete(wait.claim()?)))
    }
}
