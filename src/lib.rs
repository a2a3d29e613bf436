//! Channels, locks and shared data between processes, which feel like those between threads and
//! survive kill -9.
//!
//! ```no_run
//! use multiprocess::{Receiver, Sender};
//!
//! fn shout((texts, shouts): (Receiver<String>, Sender<String>)) {
//!     for text in texts {
//!         shouts.send(text.to_uppercase()).expect("the parent listens");
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     multiprocess::init(); // A child process turns into its function here.
//!     let (texts, for_child) = multiprocess::bounded(16)?;
//!     let (from_child, shouts) = multiprocess::bounded(16)?;
//!     let child = multiprocess::spawn(shout, (for_child, from_child))?;
//!     texts.send("hello".to_owned())?;
//!     drop(texts); // The child's loop ends when the last sender is gone.
//!     assert_eq!(shouts.recv()?, "HELLO");
//!     Ok(child.join()?)
//! }
//! ```
//!
//! - [`Sender`] and [`Receiver`]: one pair of types for every route, with crossbeam-channel's
//!   methods.
//! - [`bounded`]: makes a channel through shared memory, the default route.
//! - [`shm`]: that route, and its statically typed channels. [`pipe`]: channels through sockets.
//!   [`thread`]: channels between threads. [`Route`]: chooses a route at run time.
//! - [`pipe::Handle`]: files, sockets and ends of channels in messages; [`pipe::duplex`]: both
//!   directions over one connection.
//! - [`shm::Segment`], [`shm::Shared`], [`shm::Mutex`] and more: data that is shared instead of
//!   sent, and its locks.
//! - [`init`], [`spawn`], [`JoinHandle`], [`process`]: processes as easily as threads.
//! - [`select!`], [`Select`]: wait for several channels, timers ([`after`], [`tick`]), children and
//!   files at once; [`waiting`] compares, and says what it costs.
//! - [`recv_async`](Receiver::recv_async), [`send_async`](Sender::send_async) and more: futures, on
//!   any executor.
//! - [`which_route`]: when to use which route, according to measurements, and when threads are the
//!   better choice.
//! - Errors are those of crossbeam, with one more on each side: [`Unsendable`] and [`Unreadable`].
//!
//! # When a process dies
//!
//! The death of a process drops every end that it held. The messages that it had sent can still be
//! received. A message that it was receiving goes to another receiver. A process that waits for it
//! is woken with an error. `DESIGN.md` has a table of the points where a process can die, and of
//! what the other processes observe.

#![deny(unsafe_code)]

mod any;
pub mod pipe;
pub mod process;
mod route;
mod select;
pub mod shm;
pub mod thread;
mod timer;
#[doc = include_str!("../docs/waiting.md")]
pub mod waiting {}
#[doc = include_str!("../docs/which-route.md")]
pub mod which_route {}

pub use any::{Any, Ref};
pub use ipc_core::error::*;
pub use ipc_core::name_type;
pub use process::{JoinError, JoinHandle, init, spawn};
pub use route::{Route, UnknownRoute};
pub use select::{
    ReadyTimeoutError, Select, SelectTimeoutError, SelectedOperation, TryReadyError, TrySelectError,
};
pub use shm::bounded;
pub use timer::{Timer, after, at, never, tick};

/// The sending end of a channel, for every route.
///
/// `R` is the route: [`Any`], or a route that is fixed at compile time, such as [`shm::pod::Pod`].
pub type Sender<T, R = Any> = ipc_core::Sender<T, R>;
/// The receiving end of a channel, for every route.
///
/// `R` is the route, as in [`Sender`].
pub type Receiver<T, R = Any> = ipc_core::Receiver<T, R>;

/// The future of [`Receiver::recv_async`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (tx, rx) = multiprocess::bounded(4)?;
/// tx.send(5)?;
/// let future: multiprocess::RecvFuture<'_, u64> = rx.recv_async();
/// assert_eq!(futures_executor::block_on(future), Ok(5));
/// # Ok(()) }
/// ```
pub type RecvFuture<'a, T, R = Any> = ipc_core::future::RecvFuture<'a, T, R>;
/// The future of [`Receiver::recv_ref_async`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (tx, rx) = multiprocess::bounded(4)?;
/// tx.send("job".to_owned())?;
/// let job = futures_executor::block_on(rx.recv_ref_async())?;
/// assert_eq!((job.as_str(), job.deliveries()), ("job", 1));
/// # Ok(()) }
/// ```
pub type RecvRefFuture<'a, T, R = Any> = ipc_core::future::RecvRefFuture<'a, T, R>;
/// The future of [`Sender::send_async`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (tx, rx) = multiprocess::bounded(1)?;
/// futures_executor::block_on(tx.send_async(1))?;
/// // The channel is full. The message comes back.
/// assert_eq!(tx.send_async(2).into_message(), Some(2));
/// assert_eq!(rx.recv(), Ok(1));
/// # Ok(()) }
/// ```
pub type SendFuture<'a, T, R = Any> = ipc_core::future::SendFuture<'a, T, R>;
/// The stream of [`Receiver::stream`] and [`Receiver::into_stream`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures_util::TryStreamExt;
///
/// let (tx, rx) = multiprocess::bounded(4)?;
/// tx.send_many([1, 2, 3])?;
/// drop(tx);
/// let all: Vec<u64> = futures_executor::block_on(rx.into_stream().try_collect())?;
/// assert_eq!(all, [1, 2, 3]);
/// # Ok(()) }
/// ```
pub type RecvStream<'a, T, R = Any> = ipc_core::future::RecvStream<'a, T, R>;
/// The sink of [`Sender::sink`] and [`Sender::into_sink`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures_util::SinkExt;
///
/// let (tx, rx) = multiprocess::bounded(4)?;
/// futures_executor::block_on(async {
///     let mut sink = tx.into_sink();
///     sink.feed(1).await?;
///     sink.send(2).await
/// })?;
/// assert_eq!(rx.iter().sum::<u64>(), 3);
/// # Ok(()) }
/// ```
pub type SendSink<'a, T, R = Any> = ipc_core::future::SendSink<'a, T, R>;

/// The iterator of [`Receiver::iter`], which receives until disconnected and empty.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// fn total(numbers: multiprocess::Iter<'_, u64>) -> u64 {
///     numbers.sum()
/// }
/// let (tx, rx) = multiprocess::bounded(4)?;
/// tx.send_many([1, 2, 3])?;
/// drop(tx);
/// assert_eq!(total(rx.iter()), 6);
/// # Ok(()) }
/// ```
pub type Iter<'a, T, R = Any> = ipc_core::iter::Iter<'a, T, R>;
/// The iterator of [`Receiver::try_iter`], which receives what is there and never waits.
pub type TryIter<'a, T, R = Any> = ipc_core::iter::TryIter<'a, T, R>;
/// An iterator that owns a receiver, and receives until disconnected and empty.
pub type IntoIter<T, R = Any> = ipc_core::iter::IntoIter<T, R>;
/// The iterator of [`Receiver::drain`], which receives what is there, in batches.
pub type Drain<'a, T, R = Any> = ipc_core::iter::Drain<'a, T, R>;

/// Items for the tests. Not part of the public API: any release may change it.
#[doc(hidden)]
pub mod __private {
    pub use crate::any::{AnyRx, AnyTx};

    /// What `select!` expands to.
    pub mod select {
        pub use ipc_core::Deadline;

        pub use crate::select::{Operation, Order, choose};
    }
}

// The README's program is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
