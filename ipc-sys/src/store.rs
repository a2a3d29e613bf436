//! Files in memory for messages, and the counters that the processes of a channel share.
//!
//! | item | what it promises | on Linux |
//! |---|---|---|
//! | [`SealedMapping::bytes`] | bytes that never change; they are in no core dump | `madvise(MADV_DONTDUMP)` |
//! | [`Words::map`] | the words of a file of [`counters`]; they are in no core dump | `mmap`, `madvise(MADV_DONTDUMP)` |
//! | [`Words::get`] | one word, which other processes may change at any time | |

use std::io;
use std::sync::atomic::AtomicU64;

use ipc_core::Unreadable;

use crate::OsHandle;
use crate::descriptor::Borrowed;
use crate::os::store as os;
pub use crate::os::store::{SealedMapping, Words};
pub use crate::types::store::{NotStored, WORDS};

contract! {
    /// Makes a file in memory that grows and never shrinks. (`memfd_create`)
    pub fn store() -> io::Result<OsHandle>;

    /// Returns whether it is a file of [`store`]. (`fcntl(F_GET_SEALS)`)
    pub fn is_store(fd: Borrowed<'_>) -> bool;

    /// Writes bytes to a store, all or none. (`pwrite`)
    pub fn put(store: Borrowed<'_>, offset: u64, bytes: &[u8]) -> Result<(), NotStored>;

    /// Reads bytes from a store. (`pread`)
    pub fn get(
        store: Borrowed<'_>,
        offset: u64,
        len: u64,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Unreadable>;

    /// Frees the memory of some bytes. (`fallocate(FALLOC_FL_PUNCH_HOLE)`)
    pub fn free(store: Borrowed<'_>, offset: u64, len: u64);

    /// Makes a file in memory with these bytes, which can never be changed. (`memfd_create`,
    /// `fcntl(F_ADD_SEALS)`)
    pub fn seal_to_memfd(bytes: &[u8]) -> Result<OsHandle, NotStored>;

    /// Maps a file of [`seal_to_memfd`], or returns why it is not one. (`fcntl(F_GET_SEALS)`,
    /// `mmap`)
    pub fn map_sealed(fd: Borrowed<'_>, len: u64) -> Result<SealedMapping, Unreadable>;

    /// Makes a file in memory that [`put`] fills, until it is sealed. (`memfd_create`)
    pub fn message_memfd() -> io::Result<OsHandle>;

    /// Seals it like a file of [`seal_to_memfd`]; false if the kernel refuses.
    /// (`fcntl(F_ADD_SEALS)`)
    pub fn seal_message(memfd: Borrowed<'_>) -> bool;

    /// Makes a file in memory with [`WORDS`] words, whose size stays. (`memfd_create`, `fallocate`)
    pub fn counters() -> io::Result<OsHandle>;
}

const _: for<'a> fn(&'a SealedMapping) -> &'a [u8] = SealedMapping::bytes;
const _: fn(Borrowed<'_>) -> io::Result<Words> = Words::map;
const _: for<'a> fn(&'a Words, usize) -> &'a AtomicU64 = Words::get;
