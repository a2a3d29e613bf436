//! Channels over anonymous pipes.
//!
//! Their ends are the same as those of [`channel()`](crate::channel()), over the kernel's oldest
//! carrier. They are a little faster for small messages if sender and receiver take turns. A
//! message that holds handles is [`Unsendable`](crate::Unsendable::Handles) here. `packets`
//! describes the layout of messages, and the state after a death.

use std::io;
use std::sync::Arc;

use ipc_core::__private::step;
use ipc_sys as sys;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::carrier::Carrier;
use crate::channel::{self, Receiver, Sender};
use crate::packets::Packets;
use crate::shared_counters::SharedCounters;

/// Makes a channel over an anonymous pipe.
///
/// It has no capacity of its own: the pipe bounds it, at 64 messages. If the user's pipes have used
/// up their limit (`fs.pipe-user-pages-soft`), the bound is 16. A batch of small messages counts as
/// one, if there is a single receiver that takes batches. A message of more than 4088 bytes travels
/// through a file in memory, which belongs to the channel and keeps up to 4 MiB for later messages.
///
/// # Errors
///
/// An error of the system if it has no more pipes or files; `Unsupported` on systems without them.
pub fn channel<T: Serialize + DeserializeOwned>() -> io::Result<(Sender<T>, Receiver<T>)> {
    const WHAT: &str = "pipe channel";
    let (reader, writer) = step(WHAT, "making a pipe", sys::pipe::pipe())?;
    let counters = Arc::new(SharedCounters::new(WHAT)?);
    let store = step(WHAT, "making the file in memory for what is large", sys::store::store())?;
    let copy = step(WHAT, "copying the descriptor of that file", store.try_clone())?;
    let tx = Carrier::Pipe(Packets::new(writer, copy, counters.clone()));
    let rx = Carrier::Pipe(Packets::new(reader, store, counters.clone()));
    Ok(channel::ends((tx, rx), counters))
}
