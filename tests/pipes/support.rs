//! What a test can see of descriptors, and raw access to sockets.

use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

/// Descriptors that this process has open.
pub(crate) fn descriptors() -> usize {
    // One is the directory itself.
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Runs `f` in a process of its own, where no other test opens or closes descriptors.
pub(crate) fn alone(f: fn(())) {
    multiprocess::spawn(f, ()).unwrap().join().unwrap();
}

/// One end to keep, and one to give away: the kept one hears when all copies of the other are
/// closed.
pub(crate) fn line() -> (UnixStream, OwnedFd) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (ours, theirs.into())
}

/// Whether every copy of the other end is closed.
pub(crate) fn closed(line: &mut UnixStream) -> bool {
    line.set_nonblocking(true).unwrap();
    matches!(line.read(&mut [0]), Ok(0))
}

/// Sends any bytes with any descriptors.
pub(crate) fn send_raw(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        assert!(control.push(SendAncillaryMessage::ScmRights(fds)));
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::empty()).unwrap();
}
