//! A system for which nobody has written this yet: everything compiles, and making a channel
//! answers `Unsupported`.

use std::io::{self, IoSlice};

use ipc_core::OsHandle;
use ipc_core::{Deadline, Unreadable};

use super::{Interest, NotReceived, NotSent, NotStored, ReceivedDatagram};

#[cfg(unix)]
pub(crate) type Borrowed<'a> = std::os::fd::BorrowedFd<'a>;
#[cfg(windows)]
pub(crate) type Borrowed<'a> = std::os::windows::io::BorrowedHandle<'a>;
#[cfg(not(any(unix, windows)))]
pub(crate) type Borrowed<'a> = &'a OsHandle;

#[cfg(unix)]
pub(crate) fn borrow(fd: &OsHandle) -> Borrowed<'_> {
    std::os::fd::AsFd::as_fd(fd)
}
#[cfg(windows)]
pub(crate) fn borrow(fd: &OsHandle) -> Borrowed<'_> {
    std::os::windows::io::AsHandle::as_handle(fd)
}
#[cfg(not(any(unix, windows)))]
pub(crate) fn borrow(fd: &OsHandle) -> Borrowed<'_> {
    fd
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "channels over sockets are not there on this system yet",
    ))
}

pub(crate) fn pair() -> io::Result<(OsHandle, OsHandle)> {
    unsupported()
}
pub(crate) fn is_socket(_fd: Borrowed<'_>) -> bool {
    false
}
// Nobody gets here without a socket, and nobody gets a socket.
pub(crate) fn send(
    _fd: Borrowed<'_>,
    _bytes: &[u8],
    _handles: &[OsHandle],
    _wait: bool,
) -> Result<(), NotSent> {
    Err(NotSent::Gone)
}
pub(crate) fn receive(
    _fd: Borrowed<'_>,
    _into: &mut [u8],
    _handles: &mut Vec<OsHandle>,
    _wait: bool,
) -> Result<ReceivedDatagram, NotReceived> {
    Err(NotReceived::Gone)
}
pub(crate) fn seal_to_memfd(_bytes: &[u8]) -> Result<OsHandle, NotStored> {
    Err(NotStored::OutOfMemory)
}
pub(crate) struct SealedMapping(std::convert::Infallible);
impl SealedMapping {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self.0 {}
    }
}
pub(crate) fn map_sealed(_fd: Borrowed<'_>, _len: u64) -> Result<SealedMapping, Unreadable> {
    Err(Unreadable::Malformed("sealed memory files are not supported on this system yet"))
}
pub(crate) fn message_memfd() -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn seal(_memfd: Borrowed<'_>) -> bool {
    false
}
pub(crate) fn pipe() -> io::Result<(OsHandle, OsHandle)> {
    unsupported()
}
pub(crate) fn is_pipe(_fd: Borrowed<'_>, _writes: bool) -> bool {
    false
}
pub(crate) fn write_packet(_fd: Borrowed<'_>, _bytes: &[u8]) -> Result<(), NotSent> {
    Err(NotSent::Gone)
}
pub(crate) fn read_packet(_fd: Borrowed<'_>, _into: &mut [u8]) -> Result<usize, NotReceived> {
    Err(NotReceived::Gone)
}
pub(crate) fn store() -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn is_store(_fd: Borrowed<'_>) -> bool {
    false
}
pub(crate) fn put(_store: Borrowed<'_>, _offset: u64, _bytes: &[u8]) -> Result<(), NotStored> {
    Err(NotStored::OutOfMemory)
}
pub(crate) fn get(
    _store: Borrowed<'_>,
    _offset: u64,
    _len: u64,
    _bytes: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    Err(Unreadable::OutOfMemory)
}
pub(crate) fn free(_store: Borrowed<'_>, _offset: u64, _len: u64) {}
pub(crate) fn writable(_fd: Borrowed<'_>) -> bool {
    false
}
pub(crate) fn send_part(_: &OsHandle, _: &[IoSlice<'_>], _: &[OsHandle]) -> io::Result<usize> {
    unsupported()
}
pub(crate) fn too_many_in_flight(_: &io::Error) -> bool {
    false
}
pub(crate) fn receive_part(_: &OsHandle, _: &mut [u8], _: &mut Vec<OsHandle>) -> io::Result<usize> {
    unsupported()
}
pub(crate) fn gone(_fd: Borrowed<'_>) -> bool {
    true
}
pub(crate) fn ready(_fd: Borrowed<'_>, _interest: Interest, _deadline: Deadline) -> bool {
    true
}
pub(crate) fn unread(_fd: Borrowed<'_>) -> usize {
    0
}
pub(crate) fn unsent(_fd: Borrowed<'_>) -> usize {
    0
}
pub(crate) fn room(_fd: Borrowed<'_>) -> usize {
    0
}
pub(crate) fn end_of_sending(_fd: Borrowed<'_>) {}

pub(crate) fn end_of_receiving(_fd: Borrowed<'_>) {}
pub(crate) type Identity = (u64, u64);
pub(crate) fn identity(_fd: Borrowed<'_>) -> Option<Identity> {
    None
}
pub(crate) fn counters() -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) struct Words(std::convert::Infallible);
impl Words {
    pub(crate) fn map(_fd: Borrowed<'_>) -> io::Result<Words> {
        unsupported()
    }
    pub(crate) fn get(&self, _index: usize) -> &std::sync::atomic::AtomicU64 {
        match self.0 {}
    }
}

/// Kills this process.
#[cfg(killpoints)]
pub(crate) fn die() -> ! {
    std::process::abort()
}
