//! A process of a test's own, and lines that show when descriptors are closed.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

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
