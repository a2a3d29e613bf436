//! The files in memory for messages, and the counters of a channel.

// Mapped memory that others write needs pointers.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;

use ipc_core::Unreadable;
use memmap2::{Advice, Mmap, MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::io::{Errno, retry_on_intr};

use super::memory::{
    file_limit, memory_file, seal, seal_against_shrinking, sealed, sealed_against_shrinking,
};
use crate::types::store::{NotStored, WORDS};

pub(crate) fn store() -> io::Result<OwnedFd> {
    let fd = memory_file("multiprocess-store", MemfdFlags::empty())?;
    seal_against_shrinking(fd.as_fd())?;
    Ok(fd)
}

pub(crate) fn is_store(fd: BorrowedFd<'_>) -> bool {
    sealed_against_shrinking(fd)
}

pub(crate) fn put(store: BorrowedFd<'_>, offset: u64, bytes: &[u8]) -> Result<(), NotStored> {
    let limit = file_limit();
    if let Some(limit) = limit.filter(|limit| bytes.len() as u64 > *limit) {
        return Err(NotStored::TooLarge(usize::try_from(limit).unwrap_or(usize::MAX)));
    }
    let end = offset.checked_add(bytes.len() as u64).filter(|end| i64::try_from(*end).is_ok());
    if end.is_none_or(|end| limit.is_some_and(|limit| end > limit)) {
        return Err(NotStored::OutOfMemory);
    }
    let (mut rest, mut at) = (bytes, offset);
    while !rest.is_empty() {
        match retry_on_intr(|| rustix::io::pwrite(store, rest, at)) {
            Ok(written) if written > 0 => {
                rest = &rest[written..];
                at += written as u64;
            }
            _ => {
                // On the shelf, too: there is little memory.
                free(store, offset, bytes.len() as u64);
                return Err(NotStored::OutOfMemory);
            }
        }
    }
    Ok(())
}

pub(crate) fn get(
    store: BorrowedFd<'_>,
    offset: u64,
    len: u64,
    bytes: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    let lie = || Unreadable::Malformed("its bytes are not where it says");
    let stat = rustix::fs::fstat(store).map_err(|_| lie())?;
    // Bytes that the file does not hold are not there, whatever its length.
    let held = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
    let file = u64::try_from(stat.st_size).unwrap_or(0);
    if len > held || offset.checked_add(len).is_none_or(|end| end > file) {
        return Err(lie());
    }
    let len = usize::try_from(len).map_err(|_| lie())?;
    bytes.clear();
    bytes.try_reserve_exact(len).map_err(|_| Unreadable::OutOfMemory)?;
    while bytes.len() < len {
        let at = offset + bytes.len() as u64;
        match rustix::io::pread(store, rustix::buffer::spare_capacity(bytes), at) {
            Err(Errno::INTR) => {}
            Err(_) | Ok(0) => return Err(lie()),
            Ok(_) => {}
        }
    }
    // There may have been more room, and something behind it.
    bytes.truncate(len);
    Ok(())
}

pub(crate) fn free(store: BorrowedFd<'_>, offset: u64, len: u64) {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    // If it fails, the memory goes with the channel.
    let _ = retry_on_intr(|| rustix::fs::fallocate(store, flags, offset, len));
}

const SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW);

/// How many files are tried, one after the other, if the kernel refuses to seal.
const FILES: usize = 8;

pub(crate) fn seal_to_memfd(bytes: &[u8]) -> Result<OwnedFd, NotStored> {
    let limit = file_limit();
    if limit.is_some_and(|limit| bytes.len() as u64 > limit) {
        return Err(NotStored::TooLarge(limit.map_or(0, |limit| limit as usize)));
    }
    let failed = |error| match error {
        Errno::MFILE | Errno::NFILE => NotStored::OutOfHandles,
        _ => NotStored::OutOfMemory,
    };
    let mut tried = 1;
    loop {
        let fd = memory_file("multiprocess-message", MemfdFlags::empty()).map_err(failed)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match retry_on_intr(|| rustix::io::write(&fd, rest)).map_err(failed)? {
                0 => return Err(NotStored::OutOfMemory),
                written => rest = &rest[written..],
            }
        }
        match rustix::fs::fcntl_add_seals(&fd, SEALS) {
            Ok(()) => return Ok(fd),
            // The call has waited 0.1 s for a page that the kernel itself holds, to move it or to
            // write it out. It need not hold one of another file.
            Err(Errno::BUSY) if tried < FILES => tried += 1,
            Err(error) => return Err(failed(error)),
        }
    }
}

pub(crate) fn message_memfd() -> io::Result<OwnedFd> {
    Ok(memory_file("multiprocess-message", MemfdFlags::empty())?)
}

pub(crate) fn seal_message(memfd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_add_seals(memfd, SEALS).is_ok()
}

/// The bytes of a sealed memory file, mapped.
#[derive(Debug)]
pub struct SealedMapping(Mmap);

impl SealedMapping {
    /// Returns the bytes, which never change.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

pub(crate) fn map_sealed(fd: BorrowedFd<'_>, len: u64) -> Result<SealedMapping, Unreadable> {
    // Only memory files have seals. A file with these never changes again, in no process.
    if !rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(SEALS)) {
        return Err(Unreadable::Malformed("its bytes are in a file that is not sealed"));
    }
    let malformed = Unreadable::Malformed;
    let stat = rustix::fs::fstat(fd).map_err(|_| malformed("its bytes are in no file"))?;
    let too_long = |_| malformed("it is longer than the address space");
    let len = usize::try_from(len).map_err(too_long)?;
    if len == 0 || u64::try_from(stat.st_size).ok() != Some(len as u64) {
        return Err(malformed("its bytes are in a file of another length"));
    }
    // SAFETY: no process can change the file's bytes or its length, now or later: it is sealed
    // against that, and the seals cannot be taken off. The kernel seals only a file that no process
    // can write any more.
    let mapping = unsafe { MmapOptions::new().len(len).populate().map(fd.as_raw_fd()) };
    // A file of that length and kind can be mapped, unless limits forbid it.
    let mapping = mapping.map_err(|_| Unreadable::OutOfMemory)?;
    // If it fails, a core dump holds the message as it holds the rest of this process' memory.
    let _ = mapping.advise(Advice::DontDump);
    Ok(SealedMapping(mapping))
}

pub(crate) fn counters() -> io::Result<OwnedFd> {
    let fd = memory_file("multiprocess-counters", MemfdFlags::empty())?;
    retry_on_intr(|| rustix::fs::ftruncate(&fd, COUNTERS_LEN as u64))?;
    // Or touching it could be a SIGBUS, if there is no memory.
    let all = FallocateFlags::empty();
    retry_on_intr(|| rustix::fs::fallocate(&fd, all, 0, COUNTERS_LEN as u64))?;
    seal(fd.as_fd())?;
    Ok(fd)
}

/// Words that all processes of a channel share.
#[derive(Debug)]
pub struct Words(MmapRaw);

/// A word has two lines of the cache to itself.
const STRIDE: usize = 128;

const COUNTERS_LEN: usize = STRIDE * WORDS;

impl Words {
    /// Maps a file of [`counters`](crate::store::counters).
    ///
    /// # Errors
    ///
    /// If it is not such a file, or cannot be mapped.
    pub fn map(fd: BorrowedFd<'_>) -> io::Result<Words> {
        if !sealed(fd) || rustix::fs::fstat(fd)?.st_size != COUNTERS_LEN as _ {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file does not hold the counters of a channel",
            ));
        }
        let mapping = MmapOptions::new().len(COUNTERS_LEN).map_raw(fd.as_raw_fd())?;
        // The processes that survive this one keep the file: a dump must not touch it.
        mapping.advise(Advice::DontDump)?;
        Ok(Words(mapping))
    }

    /// Returns a word.
    ///
    /// # Panics
    ///
    /// If there is no word of this index.
    #[inline]
    pub fn get(&self, index: usize) -> &AtomicU64 {
        assert!(index < WORDS);
        let word = self.0.as_mut_ptr().wrapping_add(index * STRIDE).cast::<AtomicU64>();
        // SAFETY: within the mapping, by the check above: the file is `COUNTERS_LEN` long, and
        // sealed to stay so. It begins with a page, so the word is aligned. It lives as long as
        // `self`, and this process only accesses it as an atomic; what a peer writes there is a
        // number like any other.
        unsafe { &*word }
    }
}
