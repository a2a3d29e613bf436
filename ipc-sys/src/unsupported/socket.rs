//! Local sockets: there are none.

use std::io::{self, IoSlice};

use ipc_core::Deadline;

use super::unsupported;
use crate::OsHandle;
use crate::types::descriptor::Borrowed;
use crate::types::socket::{Credentials, Interest, NotReceived, NotSent, ReceivedDatagram};

pub(crate) fn pair() -> io::Result<(OsHandle, OsHandle)> {
    unsupported()
}
pub(crate) fn is_socket(_fd: Borrowed<'_>) -> bool {
    false
}
// Not reached without a socket, and there is none.
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
pub(crate) fn send_part(_: &OsHandle, _: &[IoSlice<'_>], _: &[OsHandle]) -> io::Result<usize> {
    unsupported()
}
pub(crate) fn too_many_in_flight(_: &io::Error) -> bool {
    false
}
pub(crate) fn receive_part(_: &OsHandle, _: &mut [u8], _: &mut Vec<OsHandle>) -> io::Result<usize> {
    unsupported()
}
pub(crate) fn peek(_: &OsHandle, _: &mut [u8]) -> io::Result<usize> {
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
pub(crate) fn accept(_socket: &OsHandle) -> io::Result<Option<OsHandle>> {
    unsupported()
}
pub(crate) fn credentials(_socket: Borrowed<'_>) -> io::Result<Credentials> {
    unsupported()
}
pub(crate) fn peer_pidfd(_socket: Borrowed<'_>) -> io::Result<OsHandle> {
    unsupported()
}
