//! Locks in shared memory, that survive their owners: `std::sync` between processes.
//!
//! A process that is killed with a lock in its hands is told to the next one that locks, together with the
//! guard; nobody waits for the dead. Who is alive is the kernel's verdict ([`lease`](crate::lease)): a stopped
//! process is, and nothing is taken from it.
//!
//! ```
//! use ipc_shm::lock::{LockError, Mutex};
//!
//! let balance = Mutex::new(100u64)?;
//! match balance.lock() {
//!     Ok(mut guard) => *guard += 1,
//!     Err(LockError::Poisoned(poisoned)) => {
//!         eprintln!("{}", poisoned.cause()); // "process 4711 died while it held it"
//!         let mut guard = poisoned.into_inner();
//!         *guard = 0;
//!         balance.clear_poison();
//!     }
//!     Err(error) => return Err(error.to_string().into()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(loom)]
#[doc(hidden)]
pub mod model;
pub(crate) mod parking;
pub mod poison;
pub(crate) mod raw;
pub(crate) mod word;

#[cfg(not(loom))]
mod barrier;
#[cfg(not(loom))]
mod condvar;
#[cfg(not(loom))]
mod event;
#[cfg(not(loom))]
pub(crate) mod home;
#[cfg(not(loom))]
mod mutex;
#[cfg(not(loom))]
mod once;
#[cfg(not(loom))]
mod reentrant;
#[cfg(not(loom))]
mod rwlock;
#[cfg(not(loom))]
mod semaphore;
#[cfg(not(loom))]
pub(crate) mod thread;
#[cfg(not(loom))]
mod value;

#[cfg(not(loom))]
pub use barrier::{Barrier, BarrierError, BarrierWaitResult};
#[cfg(not(loom))]
pub use condvar::{Condvar, WaitTimeoutResult};
#[cfg(not(loom))]
pub use event::Event;
#[cfg(not(loom))]
pub use mutex::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub use once::{Once, OnceError, OnceLock, OnceState};
pub use poison::{
    Cause, LockError, LockResult, LockTimeoutError, LockTimeoutResult, PoisonError, Refused, TryLockError,
    TryLockResult,
};
#[cfg(not(loom))]
pub use reentrant::{ReentrantMutex, ReentrantMutexGuard};
#[cfg(not(loom))]
pub use rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableGuard, RwLockWriteGuard};
#[cfg(not(loom))]
pub use semaphore::{BoundedSemaphore, Permit, Semaphore};
#[cfg(not(loom))]
pub use value::Value;
