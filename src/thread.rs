//! Channels between the threads of one process, with the same pair of types as the other routes.
//!
//! They behave as those of crossbeam-channel. Messages are moved, never encoded. The ends cannot
//! leave the process: sending one to another process fails.
//!
//! A child made by `fork` has a copy of the channel, as of all memory, and neither copy knows of
//! the other. Do not use it there if other threads of the parent did. An operation that one of them
//! was in the middle of is never finished in the child, and a call that waits for it never ends.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::any::{AnyRx, AnyTx};
use crate::{Receiver, Sender};

/// Makes a channel between threads with room for `capacity` messages.
///
/// With a capacity of 0, `send` blocks until a receiver takes the message.
///
/// # Errors
///
/// None. The type of the result is that of the other routes.
pub fn bounded<T>(capacity: usize) -> io::Result<(Sender<T>, Receiver<T>)>
where
    T: Serialize + DeserializeOwned,
{
    Ok(erase(ipc_thread::bounded(capacity)))
}

/// Makes a channel between threads that only memory bounds. Sending never blocks.
///
/// # Errors
///
/// None. The type of the result is that of the other routes.
pub fn unbounded<T>() -> io::Result<(Sender<T>, Receiver<T>)>
where
    T: Serialize + DeserializeOwned,
{
    Ok(erase(ipc_thread::unbounded()))
}

fn erase<T>((tx, rx): (ipc_thread::Tx<T>, ipc_thread::Rx<T>)) -> (Sender<T>, Receiver<T>)
where
    T: Serialize + DeserializeOwned,
{
    (Sender::new(AnyTx::Thread(tx)), Receiver::new(AnyRx::Thread(rx)))
}
