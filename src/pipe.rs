//! Channels through sockets and pipes, between any processes, with the same pair of types as the
//! other routes.
//!
//! They are slower than shared memory, but have advantages over it. A message may hold handles, and
//! ends of channels of any route. A connection has both directions. No process can damage the state
//! that the kernel holds.
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

/// Makes a channel through a pair of sockets; see [`ipc_pipes::channel`].
///
/// It has no capacity of its own. The kernel's buffer bounds it, at some hundred small messages.
///
/// # Errors
///
/// As [`ipc_pipes::channel`]: an error of the system if it has no more sockets or files,
/// `Unsupported` on systems without them.
pub fn channel<T: Serialize + DeserializeOwned>() -> io::Result<(Sender<T>, Receiver<T>)> {
    Ok(erase(ipc_pipes::channel()?))
}

/// Makes a channel through an anonymous pipe; see [`ipc_pipes::pipe::channel`].
///
/// Its messages cannot hold handles.
///
/// # Errors
///
/// As [`ipc_pipes::pipe::channel`]: an error of the system if it has no more pipes or files,
/// `Unsupported` on systems without them.
pub fn anonymous<T: Serialize + DeserializeOwned>() -> io::Result<(Sender<T>, Receiver<T>)> {
    Ok(erase(ipc_pipes::pipe::channel()?))
}

/// Converts the ends of a channel of this route to the types of all routes.
#[must_use]
pub fn erase<T: Serialize + DeserializeOwned>(
    (tx, rx): (ipc_pipes::Sender<T>, ipc_pipes::Receiver<T>),
) -> (Sender<T>, Receiver<T>) {
    (Sender::new(AnyTx::Pipe(tx.into_route())), Receiver::new(AnyRx::Pipe(rx.into_route())))
}
