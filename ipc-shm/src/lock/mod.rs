//! Locks in shared memory, that survive their owners: `std::sync` between processes.
//!
//! A process that is killed with a lock in its hands is told to the next one that locks, together
//! with the guard; nobody waits for the dead. Who is alive is the kernel's verdict, by a lease on
//! each process' mapping of the segment: never a pid, a heartbeat or a timeout. A stopped process
//! is alive, and nothing is taken from it.
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
//!
//! # Where they lie
//!
//! | call | place |
//! |---|---|
//! | `new` | an anonymous segment of its own: one descriptor, and some pages |
//! | `new_in(&segment, …)` | next to what is in a segment: a mutex of a word takes 64 bytes |
//! | `create(name, …)`, `open(name)`, `open_or_create(name, …)` | a segment of its own that has the name |
//! | `at(&segment, offset)` | where `new_in` has put it: `offset()` |
//!
//! Each is a handle: `Clone`, `Send`, `Sync`, and `Serialize`, so that it goes to a child in
//! `spawn`'s arguments, or in a message of a route that carries handles.
//!
//! # Beside `std::sync` and Python
//!
//! Names, arguments and answers are those of `std` but for what is said here. All that waits has a
//! twin with `_timeout(Duration)` and one with `_deadline(Instant)`. Each row has a test of its own
//! in `tests/locks`.
//!
//! | `std::sync` | here | what differs | `multiprocessing` |
//! |---|---|---|---|
//! | `Mutex` | [`Mutex`] | data that can be checked ([`Value`]) or a slice of it; `get`, `set`, `update` copy; no `get_mut`, `into_inner`: there are others | `Lock`, `Value(…)`, `Array(…)` |
//! | `PoisonError` | [`PoisonError`], in [`LockError::Poisoned`] | says why: [`PoisonedBy`] | – (a killed owner hangs the others) |
//! | a thread that locks twice | [`Refused::WouldDeadlock`] | `std` waits for ever, or panics | waits for ever |
//! | `TryLockError::WouldBlock` | the same | takes over from a dead holder | `acquire(False)` is `False` |
//! | `ReentrantLock` | [`ReentrantMutex`] | guards copy | `RLock` |
//! | `RwLock` | [`RwLock`] | prefers writers, and says so; a thread that reads may read again, upgradably too | – |
//! | `RwLockWriteGuard::downgrade` | the same | – | – |
//! | `Condvar` | [`Condvar`] | first come, first notified; any mutexes; notifying returns how many were, or [`Refused::Forked`] | `Condition` |
//! | `WaitTimeoutResult` | [`WaitTimeoutResult`] | – | `wait` is `False` |
//! | – | [`Semaphore`], [`BoundedSemaphore`] | permits come back from the dead | the same |
//! | `Barrier` | [`Barrier`] | breaks when a party dies; `abort`, `reset`, an action and a default timeout as Python's | `Barrier` |
//! | – | [`Event`] | also automatic | `Event` |
//! | `Once` | [`Once`] | poisoned is an error and no panic; the next one runs if the initialiser dies | – |
//! | `OnceLock` | [`OnceLock`] | data as for a `Mutex`, no slices; `copied` copies; no `take`, `into_inner` | – |
//! | `LazyLock` | [`LazyLock`] | `force` answers a `Result`; no `Deref`; the function does not travel | – |
//!
//! # When a process dies
//!
//! | it held | the next one |
//! |---|---|
//! | a mutex, or a lock to write | gets it, poisoned: [`PoisonedBy::OwnerDied`] |
//! | a mutex inside [`update`](Mutex::update) | gets it with the old value, or the new one, and no poison |
//! | a lock to read, upgradable, or waited for one | gets it |
//! | a notification, or owed one | wakes up and looks, as all that wait do |
//! | permits | gets them |
//! | a handle of a barrier | is told that the barrier is broken |
//! | the right to initialise | initialises |
//!
//! Who waits looks who is dead after 1 to 8 ms in the first second, and every 48 ms from then on.
//!
//! An event that a dead process would have set, and a permit that it would have added, nobody owns:
//! who waits for one waits on. Where that may happen, wait with a deadline, for a condition, or for
//! a channel, whose last sender's death is told.
//!
//! # Forks
//!
//! In a process that was forked without exec every call on an inherited lock answers
//! [`Refused::Forked`], and dropping an inherited guard does nothing. What such a guard lends is
//! not there: never look at it. The parent is unaffected. The child may make, open and receive
//! locks of its own, also those that its parent has.
//!
//! # How it works
//!
//! `word` is the lock word and what is asked of the kernel, `parking` how to wait. Each module
//! below `raw` is a protocol, with its states, its memory orderings and what a death leaves; the
//! modules beside it put it into a segment (`location`) and give it `std`'s face. `raw::mutex` is
//! the one to begin with.

#[cfg(any(loom, fuzzing, test))]
#[doc(hidden)]
pub mod model;
pub(crate) mod parking;
mod poison;
pub(crate) mod raw;
pub(crate) mod word;

#[cfg(not(loom))]
mod barrier;
#[cfg(not(loom))]
mod condvar;
#[cfg(not(loom))]
mod event;
#[cfg(not(loom))]
mod lazy;
#[cfg(not(loom))]
pub(crate) mod location;
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
pub use lazy::LazyLock;
#[cfg(not(loom))]
pub use mutex::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub use once::{Once, OnceError, OnceLock, OnceState};
pub use poison::{
    LockError, LockResult, LockTimeoutError, LockTimeoutResult, PoisonError, PoisonedBy, Refused,
    TryLockError, TryLockResult,
};
#[cfg(not(loom))]
pub use reentrant::{ReentrantMutex, ReentrantMutexGuard};
#[cfg(not(loom))]
pub use rwlock::{RwLock, RwLockReadGuard, RwLockUpgradableGuard, RwLockWriteGuard};
#[cfg(not(loom))]
pub use semaphore::{BoundedSemaphore, Permit, Semaphore};
#[cfg(not(loom))]
pub use value::Value;
