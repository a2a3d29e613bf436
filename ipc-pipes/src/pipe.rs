//! Channels over anonymous pipes.
//!
//! The same ends as those of [`channel()`](crate::channel()), with the kernel's oldest carrier
//! underneath: a little faster for small messages where sender and receiver take turns, and no
//! handles in messages, which are [`Unsendable`](crate::Unsendable::Handles) here. `packets` says
//! how messages lie, and what a death leaves behind.

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
/// It has no capacity of its own: the pipe bounds it, at 64 messages, or at 16 where the user's
/// pipes have used up what the system allows them (`fs.pipe-user-pages-soft`); a batch of small
/// messages to a single receiver that takes batches counts as one. A message of more than 4088
/// bytes travels through a file in memory that goes with the channel, and keeps up to 4 MiB for the
/// next ones.
///
/// # Errors
///
/// The system's, if it has no more pipes or files for us; `Unsupported` where there are none.
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
