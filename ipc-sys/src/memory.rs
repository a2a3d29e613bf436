//! Files in memory: their size, their seals, their bytes, and mappings of them.

use std::io;

pub use memmap2::MmapRaw;

use crate::OsHandle;
use crate::descriptor::Borrowed;
use crate::os::memory as os;

/// Makes a new anonymous file in memory of no size, not executable. (`memfd_create`)
#[inline]
pub fn create(name: &str) -> io::Result<OsHandle> {
    os::create(name)
}

/// Makes a file as [`create`] does, of huge pages. (`memfd_create(MFD_HUGETLB)`)
#[inline]
pub fn create_huge(name: &str) -> io::Result<OsHandle> {
    os::create_huge(name)
}

/// Returns the size of the pages of a file. (`fstatfs`)
#[inline]
pub fn granule(fd: Borrowed<'_>) -> io::Result<usize> {
    os::granule(fd)
}

/// Returns the longest length that this process may give to a file.
///
/// Returns `None` if there is no limit, or if the call is forbidden, as in some sandboxes. Beyond
/// the limit the kernel sends a signal that kills. (`getrlimit(RLIMIT_FSIZE)`)
#[inline]
pub fn file_limit() -> Option<u64> {
    os::file_limit()
}

/// Sets the size of a file; an error if it is beyond [`file_limit`]. (`ftruncate`)
#[inline]
pub fn set_len(fd: Borrowed<'_>, len: usize) -> io::Result<()> {
    os::set_len(fd, len)
}

/// Returns the size of a file. (`fstat`)
#[inline]
pub fn len(fd: Borrowed<'_>) -> io::Result<usize> {
    os::len(fd)
}

/// Fails if the file is shorter than `end`, and may not get so long. (`getrlimit`)
#[inline]
pub fn may_reach(fd: Borrowed<'_>, end: usize) -> io::Result<()> {
    os::may_reach(fd, end)
}

/// Allocates memory for a part of a file, whose size stays as it is.
///
/// Afterwards no access to that part fails for want of memory. (`fallocate`)
#[inline]
pub fn allocate(fd: Borrowed<'_>, offset: usize, len: usize) -> io::Result<()> {
    os::allocate(fd, offset, len)
}

/// Allocates memory as [`allocate`] does; the file gets longer if the part is behind its end.
/// (`fallocate`)
#[inline]
pub fn allocate_growing(fd: Borrowed<'_>, offset: usize, bytes: usize) -> io::Result<()> {
    os::allocate_growing(fd, offset, bytes)
}

/// Frees the memory of a part of a file, whose bytes are zero afterwards.
/// (`fallocate(FALLOC_FL_PUNCH_HOLE)`)
#[inline]
pub fn release(fd: Borrowed<'_>, offset: usize, len: usize) -> io::Result<()> {
    os::release(fd, offset, len)
}

/// Seals a file so that its size never changes again. (`fcntl(F_ADD_SEALS)`)
#[inline]
pub fn seal(fd: Borrowed<'_>) -> io::Result<()> {
    os::seal(fd)
}

/// Returns whether the file is sealed by [`seal`]. (`fcntl(F_GET_SEALS)`)
#[inline]
pub fn sealed(fd: Borrowed<'_>) -> bool {
    os::sealed(fd)
}

/// Seals a file so that it never gets shorter. (`fcntl(F_ADD_SEALS)`)
#[inline]
pub fn seal_against_shrinking(fd: Borrowed<'_>) -> io::Result<()> {
    os::seal_against_shrinking(fd)
}

/// Returns whether the file is sealed by [`seal_against_shrinking`]. (`fcntl(F_GET_SEALS)`)
#[inline]
pub fn sealed_against_shrinking(fd: Borrowed<'_>) -> bool {
    os::sealed_against_shrinking(fd)
}

/// Copies all these bytes out of a file. (`pread`)
#[inline]
pub fn read_at(fd: Borrowed<'_>, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    os::read_at(fd, bytes, offset)
}

/// Writes all these bytes to a file, which may get longer. (`pwrite`)
#[inline]
pub fn write_at(fd: Borrowed<'_>, bytes: &[u8], offset: u64) -> io::Result<()> {
    os::write_at(fd, bytes, offset)
}

/// Returns whether the open file is read-write, so that [`map`] can share it. (`fcntl(F_GETFL)`)
#[inline]
pub fn mappable(fd: Borrowed<'_>) -> io::Result<bool> {
    os::mappable(fd)
}

/// Maps the first `len` bytes of a file, shared.
///
/// A forked child does not inherit the mapping, and no core dump holds it. Both hold for all
/// mappings of this module. (`mmap`, `madvise(MADV_DONTFORK, MADV_DONTDUMP)`)
#[inline]
pub fn map(fd: Borrowed<'_>, len: usize) -> io::Result<MmapRaw> {
    os::map(fd, len)
}

/// Maps a part of a file, which may reach beyond its end. (`mmap`)
#[inline]
pub fn map_at(fd: Borrowed<'_>, offset: u64, len: usize) -> io::Result<MmapRaw> {
    os::map_at(fd, offset, len)
}

/// Maps the first `len` bytes of a file, to be read only. (`mmap(PROT_READ)`)
#[inline]
pub fn map_read_only(fd: Borrowed<'_>, len: usize) -> io::Result<MmapRaw> {
    os::map_read_only(fd, len)
}

/// Maps all pages of a mapping now, or fails. (`madvise(MADV_POPULATE_WRITE)`)
#[inline]
pub fn populate(mapping: &MmapRaw) -> io::Result<()> {
    os::populate(mapping)
}

/// Keeps all pages of a mapping in memory. (`mlock`)
#[inline]
pub fn pin(mapping: &MmapRaw) -> io::Result<()> {
    os::pin(mapping)
}
