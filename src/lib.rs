//! Channels, locks and shared data between processes that feel like those between threads, and
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
//! - [`Sender`] and [`Receiver`]: one pair of types, whatever the route, with crossbeam-channel's
//!   methods.
//! - [`bounded`]: through shared memory, the default route; [`shm`] has it and the statically typed
//!   channels, [`pipe`] the same through sockets, [`thread`] between threads, [`Route`] the choice
//!   at run time.
//! - [`pipe::Handle`]: files, sockets and ends of channels in messages; [`pipe::duplex`]: both
//!   directions at once.
//! - [`shm::Segment`], [`shm::Shared`], [`shm::Mutex`] and more: data that is shared instead of
//!   sent, and its locks.
//! - [`init`], [`spawn`], [`JoinHandle`], [`process`]: processes as easily as threads.
//! - [`which_route`]: which of them when, by what was measured, and when threads are the better
//!   choice.
//! - Errors are crossbeam's, with one more answer on each side: [`Unsendable`] and [`Unreadable`].
//!
//! # When a process dies
//!
//! Death counts as dropping every end. What a process had sent is there; what it was receiving goes
//! to another receiver; who waits for it is told. `DESIGN.md` has a table of where a process can
//! die, and what the others see.

#![deny(unsafe_code)]

mod any;
pub mod pipe;
pub mod process;
mod route;
pub mod shm;
pub mod thread;
mod thread_ends;
#[doc = include_str!("../docs/which-route.md")]
pub mod which_route {}

pub use any::{Any, Ref};
pub use ipc_core::error::*;
pub use ipc_core::name_type;
pub use process::{JoinError, JoinHandle, init, spawn};
pub use route::{Route, UnknownRoute};
pub use shm::bounded;

/// The sending end of a channel, whatever its route.
///
/// `R` is the route: [`Any`], or a route that the program chose when it was compiled, such as
/// [`shm::pod::Pod`].
pub type Sender<T, R = Any> = ipc_core::Sender<T, R>;
/// The receiving end of a channel, whatever its route.
///
/// `R` is the route, as in [`Sender`].
pub type Receiver<T, R = Any> = ipc_core::Receiver<T, R>;

/// Receives until the channel is disconnected and empty: what [`Receiver::iter`] returns.
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
/// Receives what is there and never waits: what [`Receiver::try_iter`] returns.
pub type TryIter<'a, T, R = Any> = ipc_core::iter::TryIter<'a, T, R>;
/// Receives until the channel is disconnected and empty, and owns its receiver.
pub type IntoIter<T, R = Any> = ipc_core::iter::IntoIter<T, R>;
/// Takes what is there, in batches: what [`Receiver::drain`] returns.
pub type Drain<'a, T, R = Any> = ipc_core::iter::Drain<'a, T, R>;

/// What the tests use. No part of the public API: any release may change it.
#[doc(hidden)]
pub mod __private {
    pub use crate::any::{AnyRx, AnyTx};
    pub use crate::thread_ends::{ThreadRx, ThreadTx};
}

// The README's program is compiled and run with the doctests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
