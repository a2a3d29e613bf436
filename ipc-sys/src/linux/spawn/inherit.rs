//! The start of a child: its inherited socket and its environment.
//!
//! This file opts in to `unsafe`: descriptors that were inherited, and the environment.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::FileType;
use rustix::io::FdFlags;

use super::{maps, parent_id};
use crate::OsHandle;
use crate::types::spawn::Inherited;

pub(crate) fn in_executable() -> bool {
    let here = in_executable as fn() -> bool as usize as u64;
    maps::code_ranges()
        .map_or(true, |ranges| ranges.iter().any(|r| (r.start..r.end).contains(&here)))
}

/// # Safety
///
/// As [`inherited`](crate::spawn::inherited).
pub(crate) unsafe fn inherited(marker: &str) -> io::Result<Inherited> {
    let mut numbers = marker.split(' ').map(|number| number.parse::<u64>().ok());
    let (Some(Some(number)), Some(Some(inode)), Some(Some(spawner)), None) =
        (numbers.next(), numbers.next(), numbers.next(), numbers.next())
    else {
        return Ok(Inherited::Nothing);
    };
    let Some(number) = RawFd::try_from(number).ok().filter(|number| *number > 2) else {
        return Ok(Inherited::Nothing);
    };
    // SAFETY: not -1; it is used for questions only, until it is known what it is.
    let socket = unsafe { BorrowedFd::borrow_raw(number) };
    if socket_inode(socket) != Some(inode) {
        return Ok(if u64::from(parent_id()) == spawner {
            Inherited::Refused("the socket to its parent is closed")
        } else {
            Inherited::Nothing
        });
    }
    if maps::secure() {
        return Ok(Inherited::Refused(
            "it runs with more rights than its parent (set-user-ID, file capabilities?) and must not obey it",
        ));
    }
    // Not rustix's: its number of a process cannot be 0, which is that of a parent in another PID
    // namespace.
    let peer = super::super::socket::credentials(socket)?;
    // The superuser may start children that run as others.
    if peer.uid != rustix::process::geteuid().as_raw() && peer.uid != 0 {
        return Ok(Inherited::Refused(
            "its socket was made by another user, which it must not obey",
        ));
    }
    rustix::io::fcntl_setfd(socket, FdFlags::CLOEXEC)?;
    // SAFETY: the parent made this descriptor for this process alone, and told its number to no
    // other. It was open when this program started, and no code but this owns it: the caller says
    // that this is the first call. A parent that lies, which may execute whatever it likes in our
    // place anyway, names a socket that other code uses.
    Ok(Inherited::Socket(unsafe { OwnedFd::from_raw_fd(number) }))
}

pub(crate) fn is_socket(socket: &OsHandle) -> bool {
    socket_inode(socket.as_fd()).is_some()
}

/// Returns the number of the socket behind this descriptor, if it is one.
fn socket_inode(socket: BorrowedFd<'_>) -> Option<u64> {
    let stat = rustix::fs::fstat(socket).ok()?;
    (FileType::from_raw_mode(stat.st_mode) == FileType::Socket).then_some(stat.st_ino)
}

pub(crate) fn forget(variable: &str) {
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1);
    if alone {
        // SAFETY: there is no other thread that could be reading the environment.
        unsafe { std::env::remove_var(variable) };
    }
}

pub(crate) fn as_before_main() {
    // SAFETY: ignoring a signal runs no code. `main` would find it ignored too: a child that writes
    // where no process reads gets an error and no signal.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}
