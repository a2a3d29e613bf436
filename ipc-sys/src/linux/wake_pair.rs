//! Wake pairs: local sockets.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};

// A socket, not an eventfd, because its identity distinguishes it from any other file.
pub(crate) fn new() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

pub(crate) fn wake(end: BorrowedFd<'_>) -> bool {
    // If there is no room, enough words are on their way.
    matches!(
        retry_on_intr(|| rustix::net::send(end, &[1], SendFlags::NOSIGNAL)),
        Ok(_) | Err(Errno::AGAIN)
    )
}

pub(crate) fn drain(end: BorrowedFd<'_>) -> bool {
    let mut words = [0u8; 64];
    let got = retry_on_intr(|| rustix::net::recv(end, &mut words, RecvFlags::empty()));
    got.map_or_else(|error| error == Errno::AGAIN, |(read, _)| read > 0)
}

pub(crate) fn shut_down(end: BorrowedFd<'_>) {
    // Fails if it is down already.
    let _ = rustix::net::shutdown(end, Shutdown::Both);
}

pub(crate) fn readable(fds: &[BorrowedFd<'_>], sleep: bool) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let at_once = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 };
    let timeout = if sleep { None } else { Some(&at_once) };
    retry_on_intr(|| rustix::event::poll(&mut polled, timeout))?;
    Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect())
}
