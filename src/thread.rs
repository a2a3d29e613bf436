//! Channels between the threads of one process: crossbeam-channel inside, the same pair of types
//! outside.
//!
//! For programs that choose at run time, and to compare with. Messages are moved, never encoded.
//! The ends cannot leave the process: sending one of them to another process is refused.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::any::{AnyRx, AnyTx};
use crate::thread_ends::ends;
use crate::{Receiver, Sender};

/// Makes a channel between threads with room for `capacity` messages; with 0, `send` waits until a
/// receiver takes the message.
///
/// # Errors
///
/// None; the result is what the other routes have.
pub fn bounded<T>(capacity: usize) -> io::Result<(Sender<T>, Receiver<T>)>
where
    T: Serialize + DeserializeOwned,
{
    Ok(erase(crossbeam_channel::bounded(capacity)))
}

/// Makes a channel between threads that only memory bounds.
///
/// # Errors
///
/// None; the result is what the other routes have.
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
