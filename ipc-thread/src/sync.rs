//! The atomics and locks of the channels, either the system's or those of a model.

#[cfg(all(loom, not(shuttle)))]
pub(crate) use loom::{
    sync::{Arc, Mutex, MutexGuard},
    thread,
};
#[cfg(any(not(loom), shuttle))]
pub(crate) use std::{
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

pub(crate) use ipc_wait::sync::cell::UnsafeCell;
pub(crate) use ipc_wait::sync::{AtomicPtr, AtomicU64, Ordering, fence};

/// Locks. A panic leaves nothing half done behind any lock of this crate.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Memory in cache lines of its own, because processors fetch lines in pairs.
#[repr(align(128))]
pub(crate) struct Line<T>(pub(crate) T);

/// Pauses between two attempts that other threads spoil. Each further pause is longer.
pub(crate) struct Backoff(u32);

impl Backoff {
    /// From so many pauses on, the thread that is waited for may need this processor.
    #[cfg_attr(loom, allow(dead_code))]
    const SPINS: u32 = 7;

    pub(crate) const fn new() -> Backoff {
        Backoff(0)
    }

    /// Pauses after a lost race: some thread has made progress.
    #[inline]
    pub(crate) fn lost(&mut self) {
        #[cfg(not(loom))]
        for _ in 0..1u32 << self.0.min(6) {
            std::hint::spin_loop();
        }
        #[cfg(loom)]
        thread::yield_now();
        self.0 += 1;
    }

    /// Pauses while another thread is in the middle of an operation.
    pub(crate) fn wait(&mut self) {
        #[cfg(not(loom))]
        if self.0 >= Self::SPINS {
            return thread::yield_now();
        }
        self.lost();
    }
}

/// How often the processor is yielded before a call sleeps, as in `ipc_core`.
pub(crate) const YIELDS: u32 = ipc_core::__private::wait::YIELDS;
