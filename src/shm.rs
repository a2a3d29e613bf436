//! Channels through shared memory, between any processes: the same pair of types as the other routes.
//!
//! For plain data, and for the last nanosecond, the statically typed channels of [`ipc_shm`] are here too:
//! [`pod`], [`mod@slice`], [`bytes`].

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use ipc_shm::{Builder, bytes, pod, slice};

use crate::any::{AnyRx, AnyTx};
use crate::{Receiver, Sender};

/// Makes a channel through shared memory with room for `capacity` messages.
///
/// A message is encoded once, up to 240 bytes into the ring itself and larger ones into a block, and
/// outlives its sender. The memory goes when the last process that uses the channel has gone.
///
/// # Errors
///
/// As [`Builder::typed`].
pub fn bounded<T: Serialize + DeserializeOwned>(capacity: usize) -> io::Result<(Sender<T>, Receiver<T>)> {
    Ok(erase(Builder::new(capacity).typed()?))
}

/// Gives ends of this route the types that all routes have.
#[must_use]
pub fn erase<T: Serialize + DeserializeOwned>(
    (tx, rx): (ipc_shm::Sender<T>, ipc_shm::Receiver<T>),
) -> (Sender<T>, Receiver<T>) {
    (Sender::new(AnyTx::Shm(tx.into_route())), Receiver::new(AnyRx::Shm(rx.into_route())))
}
