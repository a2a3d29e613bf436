//! The atomics of the protocols, either the processor's or those of a model.
//!
//! `--cfg loom` makes a model of the crate, whose threads loom schedules. If `--cfg shuttle` is
//! added, shuttle schedules them.

/// The scheduler of a model's threads.
#[cfg(all(loom, not(shuttle)))]
pub use ::loom as scheduler;
#[cfg(shuttle)]
pub use ::shuttle as scheduler;

/// A fence between two SeqCst accesses of different words, needed by models only.
///
/// It stands where the protocol relies on SeqCst's single order of all accesses, which loom has for
/// fences only. Outside models it does nothing.
#[inline(always)]
pub fn model_fence() {
    #[cfg(loom)]
    fence(Ordering::SeqCst);
}

#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering, fence};

/// The processor's own atomics, also in a model.
///
/// They are for words of one process, which no peer sees, and for the values that users put into
/// shared memory, which no protocol reads.
pub mod unmodelled {
    pub use std::sync::atomic::*;
}

#[cfg(loom)]
pub use scheduler::sync::atomic::{AtomicPtr, Ordering, fence};

#[cfg(shuttle)]
pub use scheduler::sync::atomic::AtomicU64;

#[cfg(all(loom, not(shuttle)))]
pub use word::AtomicU64;

#[cfg(not(target_has_atomic = "64"))]
compile_error!("ipc-wait needs 64-bit atomics: every word of its protocol is one");

/// The items that only models need, from the scheduler or from the standard library.
///
/// The latter is for fuzzing and tests, where a model runs in one thread.
#[cfg(any(loom, fuzzing, feature = "model"))]
pub mod models {
    #[cfg(loom)]
    pub use super::scheduler::{
        sync::{Condvar, Mutex},
        thread_local,
    };

    #[cfg(not(loom))]
    pub use std::{
        sync::{Condvar, Mutex},
        thread_local,
    };

    pub use super::cell::UnsafeCell;
}

/// Plain memory that threads share. A model detects unordered accesses.
pub mod cell {
    #[cfg(all(loom, not(shuttle)))]
    pub use loom::cell::UnsafeCell;

    /// The standard library's cell, with the methods of loom's, which detects races.
    #[derive(Debug)]
    #[cfg(any(not(loom), shuttle))]
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    // SAFETY: shuttle runs all threads of a model in one thread of the system.
    #[cfg(shuttle)]
    #[allow(unsafe_code)]
    unsafe impl<T: Send> Sync for UnsafeCell<T> {}

    #[cfg(any(not(loom), shuttle))]
    impl<T> UnsafeCell<T> {
        /// Makes a cell.
        pub fn new(value: T) -> Self {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }
        /// Calls `look` with a pointer to the value.
        #[inline(always)]
        pub fn with<R>(&self, look: impl FnOnce(*const T) -> R) -> R {
            look(self.0.get())
        }
        /// Calls `change` with a pointer to the value.
        #[inline(always)]
        pub fn with_mut<R>(&self, change: impl FnOnce(*mut T) -> R) -> R {
            change(self.0.get())
        }
    }
}

#[cfg(all(loom, not(shuttle)))]
#[allow(missing_docs, reason = "the methods are those of the standard library's word")]
mod word {
    use super::Ordering::{self, Relaxed};
    use loom::sync::atomic::AtomicU64 as Word;

    /// loom's word, with two additions for what loom (0.7) does not model.
    ///
    /// *A store takes its place in the modification order.* A signer's CAS of `Free` and the
    /// owner's store of `Ready` race. Their order follows because a CAS comes right after the value
    /// that it read. So the store is either before `Free`, which it is not, or after the CAS. loom
    /// leaves such a pair unordered, and lets every later load return either value. So a store is a
    /// swap here. That weakens models a little: a load that reads the store, if the store is
    /// Release, is ordered after it, and also after the stores that it overwrote.
    ///
    /// *A load is a reason to try another order.* loom remembers the last access to a word, and not
    /// the last one of each thread. If a thread loads a word before it stores it, loom compares its
    /// store with its own load. It forgets that another thread's load came before. loom then runs a
    /// send against a receive in one order only. So each access first stores to a twin of the word,
    /// which orders nothing.
    pub struct AtomicU64 {
        word: Word,
        twin: Word,
    }

    impl AtomicU64 {
        pub fn new(value: u64) -> Self {
            AtomicU64 { word: Word::new(value), twin: Word::new(0) }
        }
        fn announced(&self) -> &Word {
            self.twin.store(0, Relaxed);
            &self.word
        }
        pub fn load(&self, order: Ordering) -> u64 {
            self.announced().load(order)
        }
        pub fn store(&self, value: u64, order: Ordering) {
            self.announced().swap(value, order);
        }
        pub fn swap(&self, value: u64, order: Ordering) -> u64 {
            self.announced().swap(value, order)
        }
        pub fn compare_exchange(
            &self,
            from: u64,
            to: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.announced().compare_exchange(from, to, success, failure)
        }
        pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.announced().fetch_add(value, order)
        }
        pub fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
            self.announced().fetch_sub(value, order)
        }
        pub fn fetch_or(&self, bits: u64, order: Ordering) -> u64 {
            self.announced().fetch_or(bits, order)
        }
        pub fn fetch_and(&self, bits: u64, order: Ordering) -> u64 {
            self.announced().fetch_and(bits, order)
        }
        pub fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
            self.announced().fetch_max(value, order)
        }
    }
}
