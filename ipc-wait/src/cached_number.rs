//! A number that a process measures once.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number of this machine, never 0, that is measured when it is first used.
///
/// It is not a lock. Another thread may be in here when a process forks, and the child would wait
/// for that thread.
#[derive(Debug, Default)]
pub struct CachedNumber(AtomicU64);

impl CachedNumber {
    /// Makes a number that is not known yet.
    #[must_use]
    pub const fn new() -> CachedNumber {
        CachedNumber(AtomicU64::new(0))
    }

    /// Returns the number. Threads that call this at the same time may each measure it.
    #[inline]
    pub fn get(&self, find: impl FnOnce() -> u64) -> u64 {
        match self.0.load(Relaxed) {
            0 => self.find(find),
            known => known,
        }
    }

    #[cold]
    fn find(&self, find: impl FnOnce() -> u64) -> u64 {
        let found = find();
        self.0.store(found, Relaxed); // Relaxed: no data depends on the number.
        found
    }
}
