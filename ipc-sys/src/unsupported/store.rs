//! Files in memory for messages: there are none.

#![allow(missing_docs, reason = "the contract has the documentation")]

use std::io;

use ipc_core::Unreadable;

use super::unsupported;
use crate::OsHandle;
use crate::types::descriptor::Borrowed;
use crate::types::store::NotStored;

pub(crate) fn seal_to_memfd(_bytes: &[u8]) -> Result<OsHandle, NotStored> {
    Err(NotStored::OutOfMemory)
}
#[derive(Debug)]
pub struct SealedMapping(std::convert::Infallible);
impl SealedMapping {
    pub fn bytes(&self) -> &[u8] {
        match self.0 {}
    }
}
pub(crate) fn map_sealed(_fd: Borrowed<'_>, _len: u64) -> Result<SealedMapping, Unreadable> {
    Err(Unreadable::Malformed("sealed memory files are not supported on this system yet"))
}
pub(crate) fn message_memfd() -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn seal_message(_memfd: Borrowed<'_>) -> bool {
    false
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
pub(crate) fn counters() -> io::Result<OsHandle> {
    unsupported()
}
#[derive(Debug)]
pub struct Words(std::convert::Infallible);
impl Words {
    pub fn map(_fd: Borrowed<'_>) -> io::Result<Words> {
        unsupported()
    }
    pub fn get(&self, _index: usize) -> &std::sync::atomic::AtomicU64 {
        match self.0 {}
    }
}
