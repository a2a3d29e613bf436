//! `ipc-channel`'s channels behind the same API, with the feature `ipc-channel`.
//!
//! [`IpcSender`] and [`IpcReceiver`] become the ends of a route, so a program can change over one
//! channel at a time.
//!
//! ```
//! use ipc_pipes::ipc_channel::{into_ipc_sender, receiver, sender};
//!
//! // A channel that the program has.
//! let (tx, rx) = ipc_channel::ipc::channel::<String>()?;
//! // The same channel, with this crate's methods. The other end may stay as it is.
//! let tx = sender(tx);
//! tx.send("hello".to_owned())?;
//! assert_eq!(rx.recv()?, "hello");
//! let rx = receiver(rx);
//! assert!(rx.try_recv().unwrap_err().is_empty());
//! // And back.
//! let tx: ipc_channel::ipc::IpcSender<String> = into_ipc_sender(tx);
//! drop(tx);
//! assert!(rx.recv().unwrap_err().is_disconnected());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Differences
//!
//! | | |
//! |---|---|
//! | `capacity` | `None`: the buffer of a socket bounds it |
//! | `try_send`, `send_timeout` | `ipc-channel` has only a `send` that blocks. So these check whether the socket has room, with 32 KiB to spare, and then call `send`. It blocks only if many others take that room at the same moment. A message above 200 KiB goes in pieces, and waits for its receiver whatever the deadline |
//! | `len`, `is_empty` of a sender | 0 if nothing is unread, 1 for any number: a socket does not return more |
//! | `len`, `is_empty`, `is_disconnected` of a receiver | messages are taken out to be counted, up to 1,024, and kept for the next `recv`. If this process is killed, they are lost |
//! | `disconnect_cause` | `Dropped`, also if a process died: the channel does not know |
//! | `sender_count` | `None`, or 0 if all senders are gone |
//! | `receiver_count` | of a receiver the number of its clones, all of which are in its process; of a sender 1, or 0 if the receiver is gone |
//! | clones of a receiver | share the one receiver of this process; each message goes to one of them |
//!
//! A sender that is killed in the middle of a large message has sent nothing. Its pieces are
//! skipped, whereas `IpcReceiver::recv` returns that all senders are gone.
//!
//! # In messages
//!
//! | | in a message of `ipc-channel`, or of this route | in a message of a route that carries handles |
//! |---|---|---|
//! | [`Sender`] | travels | travels |
//! | [`Receiver`] | travels, if it has no clones and holds no messages that were counted; it is gone here, as `IpcReceiver` is | refused |
//! | `IpcSender`, `IpcReceiver` as they are | travel | must not be in such a message, and no error says so: all that they write is a number. The receiver panics over it, and the next message of `ipc-channel` from that thread takes the end along. Make them ends of this module first |
//!
//! Do not use it with peers that are not trusted: `ipc-channel` relies on what a peer's message
//! says of itself. It needs rustc 1.86. On systems other than Linux, `try_send` and timeouts always
//! return `Full` and `Timeout`.

mod error;
mod fd_extractor;
mod inside;
mod rx;
mod tx;

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use ::ipc_channel::ipc::{IpcReceiver, IpcSender};

use rx::Rx;
use tx::Tx;

/// The route over `ipc-channel`.
#[derive(Clone, Copy, Debug)]
pub struct Adapter;

/// The sending end of an `ipc-channel`.
pub type Sender<T> = ipc_core::Sender<T, Adapter>;
/// The receiving end of an `ipc-channel`.
pub type Receiver<T> = ipc_core::Receiver<T, Adapter>;

impl<T: Serialize + DeserializeOwned> ipc_core::Route<T> for Adapter {
    type Tx = Tx<T>;
    type Rx = Rx<T>;
}

/// Makes an `ipc-channel`.
///
/// # Errors
///
/// As [`ipc_channel::ipc::channel`].
pub fn channel<T: Serialize + DeserializeOwned>() -> io::Result<(Sender<T>, Receiver<T>)> {
    let (tx, rx) = ::ipc_channel::ipc::channel()?;
    Ok((sender(tx), receiver(rx)))
}

/// Gives a sender of `ipc-channel` the methods of this crate. It sends into the same channel.
#[must_use]
pub fn sender<T: Serialize + DeserializeOwned>(sender: IpcSender<T>) -> Sender<T> {
    Sender::new(Tx::new(sender.to_opaque()))
}

/// Gives a receiver of `ipc-channel` the methods of this crate. It receives from the same channel.
#[must_use]
pub fn receiver<T: Serialize + DeserializeOwned>(receiver: IpcReceiver<T>) -> Receiver<T> {
    Receiver::new(Rx::new(receiver))
}

/// Converts a sender back into one of `ipc-channel`.
#[must_use]
pub fn into_ipc_sender<T: Serialize + DeserializeOwned>(sender: Sender<T>) -> IpcSender<T> {
    sender.into_route().into_sender().to()
}

/// Converts a receiver back into one of `ipc-channel`.
///
/// # Errors
///
/// Returns the receiver if it has clones in this process, or holds messages that were taken out to
/// be counted. Drop the clones, and receive the messages.
pub fn into_ipc_receiver<T: Serialize + DeserializeOwned>(
    receiver: Receiver<T>,
) -> Result<IpcReceiver<T>, Receiver<T>> {
    receiver.into_route().into_receiver().map_err(Receiver::new)
}
