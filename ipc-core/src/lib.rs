//! The channel API of [`multiprocess`](https://docs.rs/multiprocess), written once for every route.
//!
//! A *route* is a way for messages to travel from one end to the other: shared memory, a pipe, a
//! channel between threads. This crate has what all routes have in common, and does not depend on
//! an operating system:
//!
//! - [`Sender`] and [`Receiver`], with crossbeam-channel's methods and a few more; [`iter`]: their
//!   iterators.
//! - [`future`]: their futures, streams and sinks.
//! - [`error`]: their errors. An error of sending returns the message.
//! - [`Handle`]: a file, socket or pipe in a message.
//! - [`name_type`]: gives a type that two programs define differently one name for both.
//! - [`route`]: the traits in the bounds of `Sender` and `Receiver`; [`Deadline`]: until when an
//!   operation may block.
//!
//! Most programs want the facade, `multiprocess`, or one of the routes, such as `ipc-shm`.
//!
//! The module `__private` is for the other crates of the workspace. Its contents may change in any
//! release.

#![forbid(unsafe_code)]

mod channel;
mod codec;
mod deadline;
pub mod error;
pub mod future;
mod handle;
pub mod iter;
#[cfg(killpoints)]
mod killpoint;
mod poll;
mod process_wide;
mod ready;
mod registration;
pub mod route;
mod select;
mod send_failure;
mod shape;
mod step;
mod task;
mod task_queue;
mod unread;
mod wait;

pub use channel::{Receiver, Sender};
pub use deadline::Deadline;
pub use error::{
    CodecError, DisconnectCause, Mismatch, NotCarried, RecvError, RecvTimeoutError, SendError,
    SendManyError, SendTimeoutError, SizeLimit, TryRecvError, TrySendError, Unreadable, Unsendable,
};
pub use handle::{Handle, MAX_HANDLES, OsHandle};
pub use route::Route;
pub use shape::name_type;

/// Items for the routes and the facade. Not part of the public API: any release may change them.
#[doc(hidden)]
pub mod __private {
    pub use crate::send_failure::SendFailure;
    pub use crate::step::step;
    pub use crate::unread::Unread;

    /// Messages as bytes.
    pub mod codec {
        pub use crate::codec::*;
    }
    /// The rules by which OS handles travel inside messages.
    pub mod handle {
        pub use crate::handle::*;
    }
    /// Places at which tests kill a process.
    #[cfg(killpoints)]
    pub mod killpoint {
        pub use crate::killpoint::*;
    }
    /// The loop that waits for one of several ends.
    pub mod select {
        pub use crate::select::*;
    }
    /// What two programs must agree on to exchange messages of a type.
    pub mod shape {
        pub use crate::shape::*;
    }
    /// Operations of tasks.
    pub mod poll {
        pub use crate::poll::*;
    }
    /// What a call waits for.
    pub mod ready {
        pub use crate::ready::*;
    }
    /// How tasks wait.
    pub mod task {
        pub use crate::task::*;
    }
    /// The blocking loop.
    pub mod wait {
        pub use crate::wait::*;
    }
}
