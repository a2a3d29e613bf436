//! Statics that a forked child does not share with its parent.
//!
//! `fork` copies the statics of a process. They may hold a table of attachments that belong to the
//! parent, or a lock that another thread of the parent held and that no thread of the child will
//! ever release. So such state is in a [`PerProcess`]: a forked child starts with an empty one, and
//! never touches the copy.

// Keeps a pointer, because a lock could be held by another thread when the process forks.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fork::ForkCheck;

/// A value for each process, made at the first access.
pub struct PerProcess<T: 'static> {
    current: AtomicPtr<Owned<T>>,
}

struct Owned<T> {
    process: ForkCheck,
    value: T,
}

impl<T: Default + Send> PerProcess<Mutex<T>> {
    /// Locks the value of this process, also if a thread has panicked with the lock held.
    #[inline]
    pub fn lock(&'static self) -> MutexGuard<'static, T> {
        self.get().lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[allow(clippy::new_without_default, reason = "for statics only")]
impl<T: Default + Send + Sync> PerProcess<T> {
    /// Makes a static without a value.
    pub const fn new() -> Self {
        PerProcess { current: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Returns the value of this process. Never blocks.
    #[inline]
    pub fn get(&'static self) -> &'static T {
        // Acquire: with the exchange in `renew`, after which the value is complete.
        let current = self.current.load(Ordering::Acquire);
        // SAFETY: null, or stored by `renew`, which never frees what it has stored.
        match unsafe { current.as_ref() } {
            Some(owned) if !owned.process.forked() => &owned.value,
            _ => self.renew(current),
        }
    }

    #[cold]
    fn renew(&'static self, old: *mut Owned<T>) -> &'static T {
        let made =
            Box::into_raw(Box::new(Owned { process: ForkCheck::new(), value: T::default() }));
        // AcqRel: Release publishes the value; Acquire on failure sees that of the thread that was
        // first.
        match self.current.compare_exchange(old, made, Ordering::AcqRel, Ordering::Acquire) {
            // The parent's value stays as it is, because what it would drop belongs to the parent.
            // SAFETY: made above and stored, so it is never freed.
            Ok(_) => unsafe { &(*made).value },
            Err(now) => {
                // SAFETY: made above, and not stored.
                drop(unsafe { Box::from_raw(made) });
                // The first thread of this process has stored `now`: `old` was the only value to
                // replace. SAFETY: stored by `renew`, and never freed.
                unsafe { &(*now).value }
            }
        }
    }
}
