//! Locks in shared memory that survive the death of their owner: `std::sync` between processes.
//!
//! If a process is killed while it holds a lock, the next process that locks gets the guard and
//! learns of the death. No process waits for a dead one. Each process holds a lease on its mapping
//! of the segment, and by this lease the kernel decides which processes are alive. Pids, heartbeats
//! and timeouts play no part. A stopped process is alive, and no other process takes its locks.
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
//! Each lock is a handle: `Clone`, `Send`, `Sync` and `Serialize`. So a program can pass it to a
//! child in `spawn`'s arguments, or send it in a message of a route that carries handles.
//!
//! # Beside `std::sync` and Python
//!
//! Names, arguments and return values are those of `std`, except for the differences listed here.
//! Each method that waits has a variant with `_timeout(Duration)` and one with
//! `_deadline(Instant)`. Each row has a test of its own in `tests/locks`.
//!
//! | `std::sync` | here | what differs | `multiprocessing` |
//! |---|---|---|---|
//! | `Mutex` | [`Mutex`] | the data is a type that can be checked ([`Value`]), or a slice of it; `get`, `set`, `update` copy; no `get_mut` and `into_inner`, because other processes have handles | `Lock`, `Value(…)`, `Array(…)` |
//! | `PoisonError` | [`PoisonError`], in [`LockError::Poisoned`] | gives the reason: [`PoisonedBy`] | – (a killed owner makes the others hang) |
//! | a thread that locks twice | [`Refused::WouldDeadlock`] | `std` waits for ever, or panics | waits for ever |
//! | `TryLockError::WouldBlock` | the same | `try_lock` takes over from a dead holder | `acquire(False)` returns `False` |
//! | `ReentrantLock` | [`ReentrantMutex`] | guards copy the value | `RLock` |
//! | `RwLock` | [`RwLock`] | prefers writers, by contract; a thread that reads may read again, also upgradably | – |
//! | `RwLockWriteGuard::downgrade` | the same | – | – |
//! | `Condvar` | [`Condvar`] | notifies waiters in the order of their arrival; works with any mutexes; notifying returns the number of notified waiters, or [`Refused::Forked`] | `Condition` |
//! | `WaitTimeoutResult` | [`WaitTimeoutResult`] | – | `wait` returns `False` |
//! | – | [`Semaphore`], [`BoundedSemaphore`] | the permits of a dead holder are recovered | the same |
//! | `Barrier` | [`Barrier`] | breaks when a party dies; `abort`, `reset`, an action and a default timeout as in Python | `Barrier` |
//! | – | [`Event`] | also automatic | `Event` |
//! | `Once` | [`Once`] | poison is an error and not a panic; if the initialiser dies, the next caller runs its own | – |
//! | `OnceLock` | [`OnceLock`] | data as for a `Mutex`, but no slices; `copied` copies; no `take` and `into_inner` | – |
//! | `LazyLock` | [`LazyLock`] | `force` returns a `Result`; no `Deref`; the function stays in its process | – |
//!
//! # When a process dies
//!
//! | the dead process held | the next process |
//! |---|---|
//! | a mutex, or a lock to write | acquires it, poisoned: [`PoisonedBy::OwnerDied`] |
//! | a mutex inside [`update`](Mutex::update) | acquires it with the old value or the new one, not poisoned |
//! | a lock to read or upgradable, or it waited for one | acquires it |
//! | a notification, or it was about to notify | wakes up and checks its condition, as all waiters do |
//! | permits | acquires them |
//! | a handle of a barrier | gets an error: the barrier is broken |
//! | the right to initialise | initialises |
//!
//! A waiter checks for dead processes after 1 to 8 ms in the first second, and every 48 ms from
//! then on.
//!
//! An event that a dead process would have set has no owner, and neither has a permit that it would
//! have added. So a waiter for one of them waits on. Where that may happen, wait with a deadline,
//! for a condition, or for a channel, which reports the death of its last sender.
//!
//! # Forks
//!
//! In a process that was forked without exec, every call on an inherited lock returns
//! [`Refused::Forked`], and dropping an inherited guard does nothing. The value that such a guard
//! lends is not mapped, so never read it. The parent is unaffected. The child may make, open and
//! receive locks of its own, also those that its parent has.
//!
//! # How it works
//!
//! `word` is the lock word, and the trait by which the protocols ask the kernel. `parking` is how
//! to wait. `ready` makes locks, events and semaphores things that a waiter waits for together with
//! others. Each module below `raw` is a protocol, with its states, its memory orderings and what a
//! death leaves. `location` places it in a segment, and `handle` makes, opens and sends it. `guard`
//! acquires it, poisons it and releases it, the same way for all locks with guards. The other
//! modules beside `raw` give each lock the interface of `std`. Begin with `raw::mutex`.

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
mod future;
#[cfg(not(loom))]
mod guard;
#[cfg(not(loom))]
mod handle;
#[cfg(not(loom))]
mod lazy;
#[cfg(not(loom))]
pub(crate) mod location;
#[cfg(not(loom))]
mod mutex;
#[cfg(not(loom))]
mod once;
#[cfg(not(loom))]
mod once_lock;
#[cfg(not(loom))]
pub(crate) mod ready;
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
pub use once::{Once, OnceError, OnceState};
#[cfg(not(loom))]
pub use once_lock::OnceLock;
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
