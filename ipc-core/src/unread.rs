//! Messages that could not be read, which later calls report.
//!
//! A call that receives several messages returns those that it could read. The error of another one
//! is kept, and the next call returns it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::error::{RecvTimeoutError, Unreadable};

/// The errors of messages that could not be read, and that no call has returned yet.
#[derive(Debug, Default)]
pub struct Unread {
    causes: Mutex<VecDeque<Unreadable>>,
    any: AtomicBool,
}

impl Unread {
    /// Keeps an error for the next call.
    #[cold]
    pub fn keep(&self, cause: Unreadable) {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        causes.push_back(cause);
        self.any.store(true, Relaxed); // Relaxed: the lock orders the rest.
    }

    /// Returns whether an error is kept.
    #[inline]
    pub fn any(&self) -> bool {
        self.any.load(Relaxed) // Relaxed: the lock orders the rest.
    }

    /// Returns the oldest error that is kept, once.
    #[inline]
    pub fn check(&self) -> Result<(), RecvTimeoutError> {
        if self.any() { self.report() } else { Ok(()) }
    }

    #[cold]
    fn report(&self) -> Result<(), RecvTimeoutError> {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let first = causes.pop_front();
        self.any.store(!causes.is_empty(), Relaxed);
        first.map_or(Ok(()), |cause| Err(RecvTimeoutError::Unreadable(cause)))
    }
}
