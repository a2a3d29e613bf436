//! A handle as a value in a message.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::{OsHandle, attach_copy, record_cause, take};
use crate::shape;

/// A handle of the operating system that travels in messages: a file, a socket, an end of a pipe.
///
/// The receiver gets a handle of its own to the same open file. The sender's handle is closed when
/// its message is dropped, after it was sent or came back in an error. On the way the handle counts
/// as open: a peer sees no end of file while an unread message holds the handle.
///
/// Routes that carry handles accept it, and so do the arguments and the result of a spawned
/// process. On other routes the message is [`Unsendable`](crate::Unsendable::Handles).
///
/// ```
/// # #[cfg(unix)] {
/// use std::os::fd::OwnedFd;
/// use ipc_core::Handle;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Job {
///     name: String,
///     log: Handle,
/// }
/// let file = std::fs::File::open("/dev/null")?;
/// let job = Job { name: "count".into(), log: file.into() };
/// // Sent, and received somewhere else:
/// let log = std::fs::File::from(OwnedFd::from(job.log));
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Handle(OsHandle);

impl Handle {
    /// Wraps a handle.
    #[must_use]
    pub fn new(handle: OsHandle) -> Self {
        Handle(handle)
    }

    /// Unwraps the handle.
    #[must_use]
    pub fn into_inner(self) -> OsHandle {
        self.0
    }

    /// Borrows the handle.
    #[must_use]
    pub fn get(&self) -> &OsHandle {
        &self.0
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.0).finish()
    }
}

impl From<Handle> for OsHandle {
    fn from(handle: Handle) -> OsHandle {
        handle.0
    }
}

macro_rules! from {
    ($($(#[$attribute:meta])* $Owner:ty;)*) => {
        $($(#[$attribute])*
        impl From<$Owner> for Handle {
            fn from(owner: $Owner) -> Handle {
                Handle(owner.into())
            }
        })*
    };
}

#[cfg(any(unix, windows))]
from! {
    OsHandle;
    std::fs::File;
    std::process::ChildStdin;
    std::process::ChildStdout;
    std::process::ChildStderr;
}

#[cfg(unix)]
from! {
    std::net::TcpListener;
    std::net::TcpStream;
    std::net::UdpSocket;
    std::os::unix::net::UnixDatagram;
    std::os::unix::net::UnixListener;
    std::os::unix::net::UnixStream;
}

impl Serialize for Handle {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let index =
            attach_copy(&self.0).map_err(|error| ser::Error::custom(record_cause(error)))?;
        index.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Handle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if shape::tracing() {
            return Err(shape::other("Handle", deserializer));
        }
        let index = u32::deserialize(deserializer)?;
        let missing = "a handle that did not come with the message";
        take(index).map(Handle).ok_or_else(|| de::Error::custom(record_cause(missing)))
    }
}
