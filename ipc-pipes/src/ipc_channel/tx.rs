//! The sending end.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};

use ::ipc_channel::IpcError;
use ::ipc_channel::ipc::OpaqueIpcSender;
use ipc_core::__private::SendFailure;
use ipc_core::__private::codec::{self, CodecError};
use ipc_core::__private::handle::{self, NotCarried, OsHandle};
use ipc_core::error::{DisconnectCause, SendTimeoutError};
use ipc_core::route::{End, Transmit};
use ipc_core::{Deadline, Unsendable};
use ipc_sys as sys;
use ipc_sys::socket::Interest;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::error::{NOT_POSTCARD, codec_error};
use super::fd_extractor;
use super::inside::{inside, is_inside};

/// The sending end of an `ipc-channel`, which [`Sender`](super::Sender) wraps.
pub struct Tx<T> {
    sender: OpaqueIpcSender,
    shared: Arc<Shared>,
    messages: PhantomData<fn(T)>,
}

/// The state that the clones of one sender share.
#[derive(Default)]
struct Shared {
    /// A copy of its descriptor, from the first time that it is needed.
    descriptor: OnceLock<OsHandle>,
}

impl<T> Tx<T> {
    /// Makes an end of a sender of `ipc-channel`.
    pub(super) fn new(sender: OpaqueIpcSender) -> Self {
        Tx { sender, shared: Arc::default(), messages: PhantomData }
    }

    /// Returns the sender of `ipc-channel`.
    pub(super) fn into_sender(self) -> OpaqueIpcSender {
        self.sender
    }

    fn descriptor(&self) -> io::Result<&OsHandle> {
        if self.shared.descriptor.get().is_none() {
            let descriptor = fd_extractor::descriptor(&self.sender)?;
            // Another thread may have been first; then this copy is closed.
            let _ = self.shared.descriptor.set(descriptor);
        }
        self.shared.descriptor.get().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Returns whether a message can be sent now without waiting, or the receiver is gone.
    fn has_room(fd: &OsHandle) -> bool {
        let fd = sys::borrow(fd);
        // The kernel takes any message while what is unread is less than the whole buffer.
        let room = sys::socket::room(fd);
        sys::socket::unsent(fd) < room - SPARE.min(room / 2) || sys::socket::gone(fd)
    }

    /// Waits until there is room, or the receiver is gone.
    fn room(&self, deadline: Deadline) -> bool {
        match self.descriptor() {
            Ok(fd) => {
                Self::has_room(fd) || sys::socket::ready(sys::borrow(fd), Interest::Send, deadline)
            }
            // Whether there is room is unknown. A call without a deadline waits in `send`.
            Err(_) => deadline == Deadline::Never,
        }
    }
}

/// The room that is left free, for senders that send at the same moment.
const SPARE: usize = 32 * 1024;

/// A message of the caller: `ipc-channel` takes ownership and returns nothing on an error.
struct BorrowedMessage<'a, T> {
    message: &'a T,
    /// Whether it was encoded: what panics later is not the message's own code.
    encoded: &'a Cell<bool>,
}

impl<T: Serialize> Serialize for BorrowedMessage<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let encoded = self.message.serialize(serializer);
        self.encoded.set(true);
        encoded
    }
}

// A sender's type must have it; senders never decode.
impl<'de, T> Deserialize<'de> for BorrowedMessage<'_, T> {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(de::Error::custom("a borrowed message is never received"))
    }
}

impl<T: Serialize> Tx<T> {
    fn send_borrowed(&self, message: &T, deadline: Deadline) -> Result<(), SendFailure> {
        if !self.room(deadline) {
            return Err(SendFailure::Timeout);
        }
        loop {
            let encoded = Cell::new(false);
            let sender = self.sender.clone().to::<BorrowedMessage<'_, T>>();
            let borrowed = BorrowedMessage { message, encoded: &encoded };
            let (sent, refused) =
                inside(|| catch_unwind(AssertUnwindSafe(|| sender.send(borrowed))));
            return match sent {
                Ok(Ok(())) => Ok(()),
                // Nothing, or the first piece of a message whose rest never comes, and which is
                // skipped.
                Ok(Err(IpcError::Io(error))) if error.kind() == io::ErrorKind::Interrupted => {
                    continue;
                }
                Ok(Err(IpcError::SerializationError(_))) => {
                    let cause = match refused {
                        true => Unsendable::Handles(NotCarried::BytesOnly),
                        false => Unsendable::Encode(why(message)),
                    };
                    fd_extractor::clear();
                    Err(SendFailure::Unsendable(cause))
                }
                Ok(Err(error)) => Err(cause(&error)),
                // It asserts that a message has at most 64 handles.
                Err(_) if encoded.get() => {
                    Err(SendFailure::Unsendable(Unsendable::Handles(NotCarried::TooMany)))
                }
                Err(panic) => {
                    fd_extractor::clear();
                    resume_unwind(panic)
                }
            };
        }
    }
}

/// Returns why a message does not encode. `ipc-channel` discards the error of the message's type,
/// so the message is encoded again.
#[cold]
fn why<T: Serialize>(message: &T) -> CodecError {
    match codec::to_bytes(message) {
        Err(Unsendable::Encode(cause)) => cause,
        _ => CodecError::Refused(NOT_POSTCARD.into()),
    }
}

#[cold]
fn cause(error: &IpcError) -> SendFailure {
    match error {
        IpcError::SerializationError(error) => {
            SendFailure::Unsendable(Unsendable::Encode(codec_error(error)))
        }
        IpcError::Disconnected => SendFailure::Disconnected,
        IpcError::Io(error) => match error.kind() {
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::NotConnected => SendFailure::Disconnected,
            // No buffer for a piece, no descriptor for the socket that the other pieces take.
            _ => SendFailure::Unsendable(Unsendable::OutOfMemory),
        },
    }
}

impl<T: Serialize + DeserializeOwned> Transmit<T> for Tx<T> {
    fn send_copy(&self, message: &T, deadline: Deadline) -> Option<Result<(), SendFailure>> {
        Some(self.send_borrowed(message, deadline))
    }

    fn send(&self, message: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        self.send_borrowed(&message, deadline).map_err(|failure| failure.with(message))
    }
}

impl<T> Clone for Tx<T> {
    fn clone(&self) -> Self {
        Tx { sender: self.sender.clone(), shared: self.shared.clone(), messages: PhantomData }
    }
}

impl<T> fmt::Debug for Tx<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Tx { .. }")
    }
}

impl<T> End for Tx<T> {
    fn len(&self) -> usize {
        usize::from(self.descriptor().is_ok_and(|fd| sys::socket::unsent(sys::borrow(fd)) > 0))
    }

    fn capacity(&self) -> Option<usize> {
        None
    }

    fn is_full(&self) -> bool {
        !self.room(Deadline::Now)
    }

    fn same_channel(&self, other: &Self) -> bool {
        let identity = |tx: &Self| {
            tx.descriptor().ok().and_then(|fd| sys::descriptor::identity(sys::borrow(fd)).ok())
        };
        Arc::ptr_eq(&self.shared, &other.shared)
            || identity(self).is_some_and(|this| Some(this) == identity(other))
    }

    fn is_disconnected(&self) -> bool {
        self.descriptor().is_ok_and(|fd| sys::socket::gone(sys::borrow(fd)))
    }

    fn disconnect_cause(&self) -> Option<DisconnectCause> {
        self.is_disconnected().then_some(DisconnectCause::Dropped)
    }

    fn sender_count(&self) -> Option<usize> {
        // The number of clones, and of their processes, is unknown.
        None
    }

    fn receiver_count(&self) -> Option<usize> {
        Some(usize::from(!self.is_disconnected()))
    }
}

/// Sends a copy: as a sender of `ipc-channel` in its messages, else as a handle.
impl<T> Serialize for Tx<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if is_inside() {
            return self.sender.serialize(serializer);
        }
        handle::carried().map_err(|error| ser::Error::custom(handle::record_cause(error)))?;
        let attached = match self.descriptor() {
            Ok(fd) => handle::attach_copy(fd),
            Err(_) => Err(NotCarried::Exhausted),
        };
        let index = attached.map_err(|error| ser::Error::custom(handle::record_cause(error)))?;
        index.serialize(serializer)
    }
}

impl<'de, T> Deserialize<'de> for Tx<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if is_inside() {
            return Ok(Tx::new(OpaqueIpcSender::deserialize(deserializer)?));
        }
        let index = u32::deserialize(deserializer)?;
        let fd = handle::take(index).filter(|fd| sys::socket::is_socket(sys::borrow(fd)));
        let fd = fd.ok_or_else(|| {
            de::Error::custom(handle::record_cause("the socket of a sender did not come with it"))
        })?;
        let sender = fd_extractor::sender(fd).map_err(|error| {
            de::Error::custom(handle::record_cause(format!("making a sender of a socket: {error}")))
        })?;
        Ok(Tx::new(sender))
    }
}
