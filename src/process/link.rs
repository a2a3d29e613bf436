//! The connection of a child to its parent.

use std::io;
use std::process::exit;
use std::time::Duration;

use ipc_core::OsHandle;
use ipc_pipes::__private::frame::{
    Frame, FrameReader, Payload, Progress, send_frame, send_payload,
};
use ipc_sys::spawn::{self as sys, Interest};
use serde::Serialize;

use super::causes::Refusal;
use super::protocol;

/// How often a waiting child checks whether its parent is still the same.
const PARENT_CHECK: Duration = Duration::from_secs(1);

/// The connection of a child to its parent.
pub(super) struct Link {
    socket: OsHandle,
    reader: FrameReader,
    parent: u32,
}

/// The error that the parent is dead, or has closed its end of the socket.
pub(super) struct Gone;

impl Link {
    pub(super) fn new(socket: OsHandle) -> Self {
        Link { socket, reader: FrameReader::new(), parent: sys::parent_id() }
    }

    /// Returns the number of the parent.
    pub(super) fn parent(&self) -> u32 {
        self.parent
    }

    /// Sleeps until the socket is ready. The parent's death makes the socket ready, unless a
    /// process that the parent forked holds it open as well. So this also checks the number of the
    /// parent.
    fn wait(socket: &OsHandle, parent: u32, interest: Interest) -> io::Result<()> {
        loop {
            if sys::wait(None, Some((socket, interest)), Some(PARENT_CHECK))?.socket {
                return Ok(());
            }
            if sys::parent_id() != parent {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    }

    /// Sends a frame. If the system refuses, there is no way left to report it to the parent, so
    /// this prints the error to stderr and exits. A part of a frame is worth nothing without the
    /// rest.
    pub(super) fn send(&mut self, kind: u32, body: &[u8]) -> Result<(), Gone> {
        let (socket, parent) = (&self.socket, self.parent);
        let mut wait = || Link::wait(socket, parent, Interest::Write);
        Link::sent(send_frame(socket, kind, body, &[], &mut wait))
    }

    /// As [`send`](Self::send).
    pub(super) fn send_payload(
        &mut self,
        kind: u32,
        payload: Payload,
        handles: Vec<OsHandle>,
    ) -> Result<(), Gone> {
        let (socket, parent) = (&self.socket, self.parent);
        let mut wait = || Link::wait(socket, parent, Interest::Write);
        Link::sent(send_payload(socket, kind, payload, handles, &mut wait))
    }

    fn sent(sent: io::Result<()>) -> Result<(), Gone> {
        match sent {
            Ok(()) => Ok(()),
            Err(error) if is_gone(&error) => Err(Gone),
            Err(error) => {
                eprintln!("multiprocess: a child cannot send to its parent: {error}");
                exit(protocol::EXIT_REFUSED)
            }
        }
    }

    /// Receives the next frame, which must be of this kind.
    pub(super) fn expect(&mut self, kind: u32) -> Result<Result<Frame, String>, Gone> {
        loop {
            match self.reader.advance(&self.socket) {
                Ok(Progress::Frame(frame)) if frame.kind == kind => return Ok(Ok(frame)),
                Ok(Progress::Frame(frame)) => {
                    let text =
                        format!("a message of kind {} where {kind} was expected", frame.kind);
                    return Ok(Err(text));
                }
                Ok(Progress::Some) => {}
                Ok(Progress::Drained) => {
                    Link::wait(&self.socket, self.parent, Interest::Read).map_err(|_| Gone)?;
                }
                Ok(Progress::Closed) => return Err(Gone),
                Err(error) if is_gone(&error) => return Err(Gone),
                Err(error) => return Ok(Err(format!("receiving from the parent: {error}"))),
            }
        }
    }

    /// Sends the parent the reason why the function does not start, and exits.
    pub(super) fn refuse(&mut self, why: &Refusal) -> ! {
        match self.send(protocol::REFUSED, &encoded(why)) {
            Ok(()) => exit(protocol::EXIT_REFUSED),
            Err(Gone) => exit(protocol::EXIT_ORPHANED),
        }
    }
}

/// Encodes a message of the protocol itself.
pub(super) fn encoded(message: &impl Serialize) -> Vec<u8> {
    // The only possible error is a lack of memory.
    postcard::to_stdvec(message).unwrap_or_default()
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}
