//! Shared memory between any processes: channels through it, the memory itself, and locks in it.
//!
//! The channels have the same pair of types as the other routes. The statically typed channels of
//! [`ipc_shm`] are here too, for plain data and for the last nanosecond: [`pod`], [`mod@slice`],
//! [`bytes`].
//!
//! Types for data that stays in place, and is shared instead of sent:
//!
//! | here | between threads | in Python |
//! |---|---|---|
//! | [`Segment`] | a `Box<[u8]>` that all threads see | `multiprocessing.shared_memory.SharedMemory` |
//! | [`Segment::view`] | `Arc<[u8]>` | `memoryview.toreadonly` |
//! | [`Shared<T>`](Shared) | `Arc<AtomicU64>`, and its like | `multiprocessing.Value(…, lock=False)` |
//! | [`SharedSlice<T>`](SharedSlice) | `split_at_mut`, `chunks_mut` of a slice | `multiprocessing.Array(…, lock=False)`, numpy over a `SharedMemory` |
//! | [`SeqLock<T>`](SeqLock) | the `seqlock` crate; Linux's `seqcount_t` | – |
//! | [`Mutex<T>`](Mutex) | [`std::sync::Mutex`] | `Lock`, and the lock of `Value(…)` and `Array(…)` |
//! | [`ReentrantMutex<T>`](ReentrantMutex) | `std`'s `ReentrantLock` | `RLock` |
//! | [`RwLock<T>`](RwLock) | [`std::sync::RwLock`] | – |
//! | [`Condvar`] | [`std::sync::Condvar`] | `Condition` |
//! | [`Semaphore`], [`BoundedSemaphore`] | – | `Semaphore`, `BoundedSemaphore` |
//! | [`Barrier`] | [`std::sync::Barrier`] | `Barrier` |
//! | [`Event`] | – | `Event` |
//! | [`Once`], [`OnceLock<T>`](OnceLock), [`LazyLock<T>`](LazyLock) | [`std::sync::Once`], [`std::sync::OnceLock`], [`std::sync::LazyLock`] | – |
//!
//! Each of them is a handle. It can be cloned, sent in the arguments of [`spawn`](crate::spawn) or
//! in a message of a route that carries handles, or opened by its name. A process
//! that is killed never leaves one locked. [`mod@lock`] describes what the locks return, and what
//! happens to the locks of a process that died.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use ipc_shm::lock::{
    Barrier, BoundedSemaphore, Condvar, Event, LazyLock, Mutex, MutexGuard, Once, OnceLock,
    ReentrantMutex, RwLock, Semaphore,
};
pub use ipc_shm::{Builder, bytes, lock, pod, slice};
pub use ipc_shm::{
    Checked, Integer, Lifetime, Segment, SegmentBuilder, SegmentInfo, SeqLock, SeqWriter, Shared,
    SharedSlice, Stored, View, Word,
};

use crate::any::{AnyRx, AnyTx};
use crate::{Receiver, Sender};

/// Makes a channel through shared memory with room for `capacity` messages.
///
/// A message is encoded once: up to 240 bytes into the ring itself, a larger one into a block. It
/// outlives its sender. The memory is freed when the last process that uses the channel has dropped
/// its ends or died.
///
/// # Two bounded channels in a circle
///
/// A program may send all its jobs over one channel, and only then receive the results over
/// another. It waits for ever if there are more jobs than both channels and the workers hold. The
/// workers wait for room for their results, so they take no more jobs, so there is no room for the
/// next job. No process has died, and each one waits correctly, so there is no error. A larger
/// capacity only raises the number of jobs at which this happens. Solutions:
///
/// - a thread that receives while another one sends (below);
/// - one thread that sends with `try_send`, and receives a result whenever that returns `Full`;
/// - a capacity for results that is at least the number of jobs;
/// - `send_timeout`, if the program must notice it.
///
/// ```
/// use multiprocess::{Receiver, Sender};
///
/// fn square((jobs, results): (Receiver<u64>, Sender<u64>)) {
///     for n in jobs {
///         results.send(n * n).expect("the parent receives");
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// multiprocess::init();
/// let (jobs, for_worker) = multiprocess::bounded(16)?;
/// let (from_worker, results) = multiprocess::bounded::<u64>(16)?;
/// let worker = multiprocess::spawn(square, (for_worker, from_worker))?;
/// let sum = std::thread::scope(|scope| {
///     let sum = scope.spawn(move || results.iter().sum::<u64>());
///     for n in 0..1000 {
///         jobs.send(n)?; // Alone, this would stop at some 33 jobs.
///     }
///     drop(jobs); // The worker ends, and with it the results.
///     Ok::<u64, multiprocess::SendError<u64>>(sum.join().expect("it only adds"))
/// })?;
/// assert_eq!(sum, 332_833_500);
/// worker.join()?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`Builder::typed`]. The error names the step, and nothing stays behind.
///
/// - `InvalidInput` if `capacity` is not possible.
/// - `Unsupported` on systems that this crate does not support yet.
/// - Others: the system has no memory or no descriptor left.
pub fn bounded<T: Serialize + DeserializeOwned>(
    capacity: usize,
) -> io::Result<(Sender<T>, Receiver<T>)> {
    Ok(erase(Builder::new(capacity).typed()?))
}

/// Converts the ends of a channel of this route to the types of all routes.
#[must_use]
pub fn erase<T: Serialize + DeserializeOwned>(
    (tx, rx): (ipc_shm::Sender<T>, ipc_shm::Receiver<T>),
) -> (Sender<T>, Receiver<T>) {
    (Sender::new(AnyTx::Shm(tx.into_route())), Receiver::new(AnyRx::Shm(rx.into_route())))
}
