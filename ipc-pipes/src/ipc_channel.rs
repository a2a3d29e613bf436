//! `ipc-channel`'s channels behind the same API, with the feature `ipc-channel`.
//!
//! [`IpcSender`] and [`IpcReceiver`] become the ends of a route, so a program can change over one
//! channel at a time.
//!
//! ```
//! use ipc_pipes::ipc_channel::{Receiver, Sender};
//!
//! // A channel that the program has.
//! let (tx, rx) = ipc_channel::ipc::channel::<String>()?;
//! // The same channel, with this crate's methods; the other end may go on as it is.
//! let tx = Sender::new(tx.into());
//! tx.send("hello".to_owned())?;
//! assert_eq!(rx.recv()?, "hello");
//! let rx = Receiver::new(rx.into());
//! assert!(rx.try_recv().unwrap_err().is_empty());
//! // And back.
//! let tx: ipc_channel::ipc::IpcSender<String> = tx.into_route().into();
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

mod fd_extractor;
mod rx;
mod tx;

use std::cell::Cell;
use std::io;

use ipc_core::__private::handle;
use ipc_core::CodecError;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use ::ipc_channel::ipc::{IpcReceiver, IpcSender};
pub use rx::{Busy, Rx};
pub use tx::Tx;

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
    Ok((Sender::new(tx.into()), Receiver::new(rx.into())))
}

thread_local! {
    /// Whether `ipc-channel` encodes or decodes a message on this thread for an end of this module.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Encodes or decodes a message of `ipc-channel`. Returns also whether an end of another route was
/// refused.
fn inside<R>(f: impl FnOnce() -> R) -> (R, bool) {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            INSIDE.set(self.0);
        }
    }
    let _restore = Restore(INSIDE.replace(true));
    handle::refuse(|| {
        let result = f();
        (result, handle::refused())
    })
}

/// Returns whether an end that is encoded or decoded now is part of a message of `ipc-channel`.
/// That is a message of this module, or one of the program's own, which opens no scope.
fn is_inside() -> bool {
    INSIDE.get() || !handle::in_scope()
}

/// Returns the reason why a message does not encode or decode, as far as `ipc-channel` reports it.
fn codec_error(error: &(dyn std::error::Error + 'static)) -> CodecError {
    let cause = error.source().and_then(|source| source.downcast_ref::<postcard::Error>());
    match cause {
        Some(postcard::Error::DeserializeUnexpectedEnd) => CodecError::Truncated,
        Some(postcard::Error::SerdeDeCustom | postcard::Error::SerdeSerCustom) => {
            CodecError::Refused(
                "its type refused, with a text that `ipc-channel` does not keep".into(),
            )
        }
        Some(postcard::Error::WontImplement) => CodecError::Refused(
            "`ipc-channel` encodes in the postcard format, which cannot hold the type".into(),
        ),
        _ => CodecError::Invalid,
    }
}
