//! Files in memory, and mappings of them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::fs::{FallocateFlags, MemfdFlags, OFlags, SealFlags};
use rustix::io::{Errno, retry_on_intr};

pub(crate) use super::limits::file_limit;
use super::limits::{no_descriptor, no_memory, not_mapped, within_limit};
use super::unforked::without_fork;

pub(super) fn memory_file(name: &str, more: MemfdFlags) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | more;
    match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3.
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags),
        made => made,
    }
}

pub(crate) fn create(name: &str) -> io::Result<OwnedFd> {
    memory_file(name, MemfdFlags::empty()).map_err(no_descriptor)
}

pub(crate) fn create_huge(name: &str) -> io::Result<OwnedFd> {
    Ok(memory_file(name, MemfdFlags::HUGETLB)?)
}

pub(crate) fn set_len(fd: BorrowedFd<'_>, len: usize) -> io::Result<()> {
    within_limit(len)?;
    Ok(retry_on_intr(|| rustix::fs::ftruncate(fd, len as u64))?)
}

pub(crate) fn allocate(fd: BorrowedFd<'_>, offset: usize, len: usize) -> io::Result<()> {
    let flags = FallocateFlags::KEEP_SIZE;
    retry_on_intr(|| rustix::fs::fallocate(fd, flags, offset as u64, len as u64))
        .map_err(|error| no_memory(error, len))
}

pub(crate) fn release(fd: BorrowedFd<'_>, offset: usize, len: usize) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(retry_on_intr(|| rustix::fs::fallocate(fd, flags, offset as u64, len as u64))?)
}

/// Whether the file may get so long, if it is not: it is sealed against getting shorter.
pub(crate) fn may_reach(fd: BorrowedFd<'_>, end: usize) -> io::Result<()> {
    if end > len(fd)? { within_limit(end) } else { Ok(()) }
}

/// Allocates memory for a part of the file, which gets longer if the part is behind its end.
pub(crate) fn allocate_growing(fd: BorrowedFd<'_>, offset: usize, bytes: usize) -> io::Result<()> {
    may_reach(fd, offset.saturating_add(bytes))?;
    let flags = FallocateFlags::empty();
    retry_on_intr(|| rustix::fs::fallocate(fd, flags, offset as u64, bytes as u64))
        .map_err(|error| no_memory(error, bytes))
}

const KEEPS: SealFlags = SealFlags::SHRINK.union(SealFlags::SEAL);

pub(crate) fn seal_against_shrinking(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(fd, KEEPS)?)
}

pub(crate) fn sealed_against_shrinking(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(KEEPS))
}

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

pub(crate) fn seal(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(fd, SEALS)?)
}

pub(crate) fn sealed(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(SEALS))
}

pub(crate) fn len(fd: BorrowedFd<'_>) -> io::Result<usize> {
    Ok(usize::try_from(rustix::fs::fstat(fd)?.st_size).unwrap_or(0))
}

pub(crate) fn read_at(fd: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match retry_on_intr(|| rustix::io::pread(fd, &mut bytes[done..], offset + done as u64))? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => done += n,
        }
    }
    Ok(())
}

pub(crate) fn map(fd: BorrowedFd<'_>, len: usize) -> io::Result<MmapRaw> {
    map_at(fd, 0, len)
}

pub(crate) fn map_at(fd: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<MmapRaw> {
    // A child that is forked before the advice would keep the mapping, and the leases with it.
    without_fork(|| {
        let mapping = MmapOptions::new().offset(offset).len(len).map_raw(fd.as_raw_fd());
        own(mapping.map_err(|error| not_mapped(error, len))?)
    })
}

pub(crate) fn map_read_only(fd: BorrowedFd<'_>, len: usize) -> io::Result<MmapRaw> {
    without_fork(|| {
        let mapping = MmapOptions::new().len(len).map_raw_read_only(fd.as_raw_fd());
        own(mapping.map_err(|error| not_mapped(error, len))?)
    })
}

/// Keeps a mapping out of forked children and out of core dumps. A dump would read every page of
/// the mapping. So it would allocate memory for the holes of a file that other processes keep, and
/// hold this process' leases meanwhile.
fn own(mapping: MmapRaw) -> io::Result<MmapRaw> {
    mapping.advise(Advice::DontFork)?;
    mapping.advise(Advice::DontDump)?;
    Ok(mapping)
}

pub(crate) fn populate(mapping: &MmapRaw) -> io::Result<()> {
    match mapping.advise(Advice::PopulateWrite) {
        // Before Linux 5.14; the memory is allocated, only the page faults are to come.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        done => done,
    }
}

pub(crate) fn pin(mapping: &MmapRaw) -> io::Result<()> {
    mapping.lock()
}

/// Returns whether the open file is read-write and an object that `map` can share.
pub(crate) fn mappable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    Ok(flags.contains(OFlags::RDWR))
}

pub(crate) fn write_at(fd: BorrowedFd<'_>, bytes: &[u8], offset: u64) -> io::Result<()> {
    within_limit(usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(bytes.len()))?;
    let mut done = 0;
    while done < bytes.len() {
        match retry_on_intr(|| rustix::io::pwrite(fd, &bytes[done..], offset + done as u64))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => done += n,
        }
    }
    Ok(())
}

pub(crate) fn granule(fd: BorrowedFd<'_>) -> io::Result<usize> {
    // Of a file in hugetlbfs, the size of a page.
    Ok(usize::try_from(rustix::fs::fstatfs(fd)?.f_bsize).unwrap_or(0))
}
