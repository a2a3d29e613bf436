//! Descriptors out of `ipc-channel`'s senders, and into them.
//!
//! `ipc-channel` hides its descriptors, but it sends them. So each process has one sender of
//! `ipc-channel` that is connected to a plain socket of this crate:
//!
//! ```text
//! out  IpcSender ──▶ ipc-channel: "here is a sender" + descriptor ──▶ socket: bytes, descriptor
//! in   bytes, another descriptor ──▶ copy of a channel's socket ──▶ ipc-channel: IpcSender
//! ```
//!
//! `ipc-channel` defines the bytes. This module sends the bytes that it received, and replaces only
//! the descriptor beside them.

use std::io;
use std::sync::Mutex;
use std::time::Duration;

use ::ipc_channel::ipc::{self, OpaqueIpcSender};
use ipc_core::Deadline;
use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::per_process::PerProcess;

use crate::listener::Listener;
use crate::name::Name;

/// The sender of this process that leads to a socket of ours. A forked child makes its own: with
/// the two ends of its parent it would take what the parent sent.
struct FdExtractor {
    sender: OpaqueIpcSender,
    socket: OsHandle,
}

static EXTRACTOR: PerProcess<Mutex<Option<FdExtractor>>> = PerProcess::new();

impl FdExtractor {
    fn new() -> io::Result<FdExtractor> {
        // It connects to a file only; this one is gone at once, and only this user may look for it.
        let random = u128::from_ne_bytes(sys::process::random()?);
        let name = Name::new(format!("ipc-channel-{random:032x}"))?;
        let listener = Listener::bind(&name)?;
        let path = name.file()?.into_os_string().into_string().map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, "the directory of plain names is not UTF-8")
        })?;
        let sender = ipc::IpcSender::<OpaqueIpcSender>::connect(path)?.to_opaque();
        loop {
            // It is there already.
            let socket =
                listener.accept_socket(Deadline::after(Duration::from_secs(1)), &mut |_| Ok(()))?;
            if sys::socket::credentials(sys::borrow(&socket))?.pid == std::process::id() {
                return Ok(FdExtractor { sender, socket });
            }
        }
    }

    fn extract(&self, sender: &OpaqueIpcSender) -> io::Result<(OsHandle, Vec<u8>)> {
        let across = self.sender.clone().to::<OpaqueIpcSender>();
        across.send(sender.clone()).map_err(failed)?;
        let (mut bytes, mut handles) = (vec![0; 4096], Vec::new());
        let arrived =
            sys::socket::receive(sys::borrow(&self.socket), &mut bytes, &mut handles, false);
        let arrived = arrived.map_err(|error| io::Error::other(format!("{error:?}")))?;
        match (handles.pop(), arrived.lost || arrived.cut) {
            (Some(handle), false) => {
                bytes.truncate(arrived.len);
                Ok((handle, bytes))
            }
            _ => Err(io::Error::other("no descriptor left (RLIMIT_NOFILE)")),
        }
    }
}

fn failed(error: ::ipc_channel::IpcError) -> io::Error {
    io::Error::other(error)
}

/// A copy of a sender's descriptor, and the message that it came in.
fn take_out(sender: &OpaqueIpcSender) -> io::Result<(OsHandle, Vec<u8>)> {
    let mut extractor = EXTRACTOR.lock();
    let extractor = match &mut *extractor {
        Some(extractor) => extractor,
        none => none.insert(FdExtractor::new()?),
    };
    extractor.extract(sender)
}

/// A copy of a sender's descriptor.
pub(super) fn descriptor(sender: &OpaqueIpcSender) -> io::Result<OsHandle> {
    Ok(take_out(sender)?.0)
}

/// The sender that a descriptor is of.
pub(super) fn sender(descriptor: OsHandle) -> io::Result<OpaqueIpcSender> {
    let (tx, rx) = ipc::channel::<OpaqueIpcSender>()?;
    let (socket, bytes) = take_out(&tx.to_opaque())?;
    let sent = sys::socket::send(sys::borrow(&socket), &bytes, &[descriptor], false);
    sent.map_err(|error| io::Error::other(format!("{error:?}")))?;
    rx.recv().map_err(failed)
}

/// Discards what an encoding that failed has left on this thread. Otherwise `ipc-channel` would
/// send it with the next message, to any receiver.
#[cold]
pub(super) fn clear() {
    if let Ok((tx, _rx)) = ipc::channel::<()>() {
        // More than it can send makes it panic, when it has taken them.
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| tx.send(())));
    }
}
