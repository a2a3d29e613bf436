//! The channel API of [`multiprocess`](https://docs.rs/multiprocess), written once for every route.
//!
//! A *route* is a way for messages to get from one end to the other: shared memory, a pipe, a
//! channel between threads. This crate holds what they have in common, and knows no operating
//! system:
//!
//! - [`Sender`] and [`Receiver`], with crossbeam-channel's methods and a few more; [`iter`] their
//!   iterators.
//! - [`error`]: every answer that is not a message. Messages come back inside.
//! - [`route`]: what a route must provide; [`wait`]: the blocking loop for routes that sleep on a
//!   word.
//! - [`shape`]: what two programs must agree on to exchange messages of a type.
//! - [`codec`]: messages as bytes; [`handle`]: how handles and endpoints travel inside messages.
//! - [`Deadline`]: until when an operation may wait.
//!
//! Most programs want the facade, `multiprocess`, or one of the routes, such as `ipc-shm`.

#![forbid(unsafe_code)]

mod channel;
pub mod codec;
mod deadline;
pub mod error;
pub mod handle;
pub mod iter;
#[cfg(killpoints)]
#[doc(hidden)]
pub mod killpoint;
pub mod route;
pub mod shape;
mod step;
pub mod wait;

pub use channel::{Receiver, Sender};
pub use deadline::Deadline;
pub use error::{
    DisconnectCause, Mismatch, RecvError, RecvTimeoutError, SendError, SendManyError,
    SendTimeoutError, SizeLimit, TryRecvError, TrySendError, Unreadable, Unsendable,
};
pub use route::Route;
