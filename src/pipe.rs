//! Channels through sockets and pipes, between any processes: the same pair of types as the other
//! routes.
//!
//! They are slower than shared memory, and do what that cannot: a message may hold handles, and
//! ends of channels of any route; a connection goes both ways; what the kernel holds, no process
//! can break.
//!
//! The statically typed ends are in [`ipc_pipes`].

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use ipc_pipes::{
    ChildExited, Connector, Listener, Name, OneShotClient, OneShotServer, Peer, ToName, connect,
    connect_timeout, listener,
};
pub use ipc_pipes::{Duplex, Handle, RecvBytesError, duplex};

#[cfg(feature = "ipc-channel")]
pub use ipc_pipes::ipc_channel;

use crate::any::{AnyRx, AnyTx};
use crate::{Receiver, Sender};

/// Makes a channel through a pair of sockets.
///
/// It has no capacity of its own: the kernel's buffer bounds it, at some hundred small messages. As
/// [`ipc_pipes::channel`].
///
/// # Errors
///
/// As [`ipc_pipes::channel`].
pub fn channel<T: Serialize + DeserializeOwned>() -> io::Result<(Sender<T>, Receiver<T>)> {
    Ok(erase(ipc_pipes::channel()?))
}

/// Makes a channel through an anonymous pipe: no handles in messages. As
/// [`ipc_pipes::pipe::channel`].
///
/// # Errors
///
/// As [`ipc_pipes::pipe::channel`].
pub fn anonymous<T: Serialize + DeserializeOwned>() -> io::Result<(Sender<T>, Receiver<T>)> {
    Ok(erase(ipc_pipes::pipe::channel()?))
}

/// Gives ends of this route the types that all routes have.
#[must_use]
pub fn erase<T: Serialize + DeserializeOwned>(
    (tx, rx): (ipc_pipes::Sender<T>, ipc_pipes::Receiver<T>),
) -> (Sender<T>, Receiver<T>) {
    (Sender::new(AnyTx::Pipe(tx.into_route())), Receiver::new(AnyRx::Pipe(rx.into_route())))
}
