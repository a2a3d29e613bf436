//! Bell sockets: there are none.

use std::io;

use super::unsupported;
use crate::OsHandle;
use crate::types::bell_socket::Sent;
use crate::types::descriptor::Borrowed;

pub(crate) fn socket() -> io::Result<OsHandle> {
    unsupported()
}

pub(crate) fn new(_name: &[u8; 16]) -> io::Result<OsHandle> {
    unsupported()
}

pub(crate) fn room() -> usize {
    0
}

pub(crate) fn namespace() -> Option<u64> {
    None
}

pub(crate) fn send(_from: Borrowed<'_>, _name: &[u8; 16], _tag: u64) -> Sent {
    Sent::Failed
}

pub(crate) fn receive(_socket: Borrowed<'_>) -> Option<Option<u64>> {
    None
}
