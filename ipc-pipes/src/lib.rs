//! Channels over sockets and pipes, between any processes.
//!
//! They have crossbeam-channel's API, need no shared memory, and messages may hold handles.
//!
//! ```
//! let (here, there) = ipc_pipes::duplex::<u32, String>()?;
//! here.send(7)?;
//! there.send(format!("got {}", there.recv()?))?;
//! assert_eq!(here.recv()?, "got 7");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`channel()`]: one way, for any number of senders and receivers.
//! - [`pipe::channel`]: the same over an anonymous pipe, without handles.
//! - [`duplex()`]: both directions over one connection, for messages or bytes.
//! - [`Handle`]: a file, socket or pipe in a message. Ends of channels of any route can be in
//!   messages as they are.
//! - [`Listener`], [`connect()`]: a meeting place for processes that know a [`Name`].
//! - [`OneShotServer`]: one connection to a program that this process has started.
//! - `ipc_channel`, with the feature `ipc-channel`: that crate's channels behind the same API.
//!
//! # When a process dies
//!
//! The kernel closes its descriptors, and a process that waits for it is woken at once. The
//! messages that it had sent can still be received. The messages that it had already taken out are
//! lost with it, because these routes keep no copy.

#![deny(unsafe_code)]

mod batch;
mod carrier;
mod channel;
mod claims;
mod connect;
mod duplex;
mod frame;
#[cfg(feature = "ipc-channel")]
pub mod ipc_channel;
mod killpoint;
pub mod listener;
mod message;
mod name;
mod one_shot;
mod packets;
mod peer;
pub mod pipe;
mod poll_backoff;
mod shared_counters;
mod shared_end;
mod socket;
mod types;

pub use channel::{Local, Receiver, Ref, Sender, channel};
pub use connect::{Connector, connect, connect_timeout};
pub use duplex::{Duplex, RecvBytesError, duplex};
pub use ipc_core::Handle;
pub use ipc_core::error::*;
pub use listener::Listener;
pub use name::{Name, ToName};
pub use one_shot::{ChildExited, OneShotClient, OneShotServer};
pub use peer::Peer;

/// What the facade and the tests use. No part of the public API: any release may change it.
#[doc(hidden)]
pub mod __private {
    pub use crate::channel::{Rx, Tx};

    /// Frames over a stream socket.
    pub mod frame {
        pub use crate::frame::*;
    }
}
