//! Channels between the threads of one process, with the same pair of types as the other routes.
//!
//! They are those of crossbeam-channel inside. They are for programs that choose a route at run
//! time, and for comparisons. Messages are moved, never encoded. The ends cannot leave the process:
//! sending one to another process fails.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::any::{AnyRx, AnyTx};
use crate::thread_ends::ends;
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
    Ok(erase(crossbeam_channel::bounded(capacity)))
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
    Ok(erase(crossbeam_channel::unbounded()))
}

fn erase<T>(
    inner: (crossbeam_channel::Sender<T>, crossbeam_channel::Receiver<T>),
) -> (Sender<T>, Receiver<T>)
where
    T: Serialize + DeserializeOwned,
{
    let (tx, rx) = ends(inner);
    (Sender::new(AnyTx::Thread(tx)), Receiver::new(AnyRx::Thread(rx)))
}
