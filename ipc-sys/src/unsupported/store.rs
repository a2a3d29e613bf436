//! Files in memory for messages: there are none.

#![allow(missing_docs, reason = "the contract has the documentation")]

use std::io;

use ipc_core::Unreadable;

use super::unsupported;
use crate::OsHandle;
use crate::types::descriptor::Borrowed;
use crate::types::store::NotStored;

unsupported! {
    fn seal_to_memfd(&[u8]) -> Result<OsHandle, NotStored> = Err(NotStored::OutOfMemory);
    fn map_sealed(Borrowed<'_>, u64) -> Result<SealedMapping, Unreadable> =
        Err(Unreadable::Malformed("sealed memory files are not supported on this system yet"));
    fn message_memfd() -> io::Result<OsHandle>;
    fn seal_message(Borrowed<'_>) -> bool = false;
    fn store() -> io::Result<OsHandle>;
    fn is_store(Borrowed<'_>) -> bool = false;
    fn put(Borrowed<'_>, u64, &[u8]) -> Result<(), NotStored> = Err(NotStored::OutOfMemory);
    fn get(Borrowed<'_>, u64, u64, &mut Vec<u8>) -> Result<(), Unreadable> =
        Err(Unreadable::OutOfMemory);
    fn free(Borrowed<'_>, u64, u64) -> () = ();
    fn counters() -> io::Result<OsHandle>;
}

#[derive(Debug)]
pub struct SealedMapping(std::convert::Infallible);
impl SealedMapping {
    pub fn bytes(&self) -> &[u8] {
        match self.0 {}
    }
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
