//! Files in memory: their size, their seals, their bytes, and mappings of them.

use std::io;

pub use memmap2::MmapRaw;

use crate::OsHandle;
use crate::descriptor::Borrowed;
use crate::os::memory as os;

contract! {
    /// Makes a new anonymous file in memory of no size, not executable. (`memfd_create`)
    pub fn create(name: &str) -> io::Result<OsHandle>;

    /// Makes a file as [`create`] does, of huge pages. (`memfd_create(MFD_HUGETLB)`)
    pub fn create_huge(name: &str) -> io::Result<OsHandle>;

    /// Returns the size of the pages of a file. (`fstatfs`)
    pub fn granule(fd: Borrowed<'_>) -> io::Result<usize>;

    /// Returns the longest length that this process may give to a file.
    ///
    /// Returns `None` if there is no limit, or if the call is forbidden, as in some sandboxes.
    /// Beyond the limit the kernel sends a signal that kills. (`getrlimit(RLIMIT_FSIZE)`)
    pub fn file_limit() -> Option<u64>;

    /// Sets the size of a file; an error if it is beyond [`file_limit`]. (`ftruncate`)
    pub fn set_len(fd: Borrowed<'_>, len: usize) -> io::Result<()>;

    /// Returns the size of a file. (`fstat`)
    pub fn len(fd: Borrowed<'_>) -> io::Result<usize>;

    /// Fails if the file is shorter than `end`, and may not get so long. (`getrlimit`)
    pub fn may_reach(fd: Borrowed<'_>, end: usize) -> io::Result<()>;

    /// Allocates memory for a part of a file, whose size stays as it is.
    ///
    /// Afterwards no access to that part fails for want of memory. (`fallocate`)
    pub fn allocate(fd: Borrowed<'_>, offset: usize, len: usize) -> io::Result<()>;

    /// Allocates memory as [`allocate`] does; the file gets longer if the part is behind its end.
    /// (`fallocate`)
    pub fn allocate_growing(fd: Borrowed<'_>, offset: usize, bytes: usize) -> io::Result<()>;

    /// Frees the memory of a part of a file, whose bytes are zero afterwards.
    /// (`fallocate(FALLOC_FL_PUNCH_HOLE)`)
    pub fn release(fd: Borrowed<'_>, offset: usize, len: usize) -> io::Result<()>;

    /// Seals a file so that its size never changes again. (`fcntl(F_ADD_SEALS)`)
    pub fn seal(fd: Borrowed<'_>) -> io::Result<()>;

    /// Returns whether the file is sealed by [`seal`]. (`fcntl(F_GET_SEALS)`)
    pub fn sealed(fd: Borrowed<'_>) -> bool;

    /// Seals a file so that it never gets shorter. (`fcntl(F_ADD_SEALS)`)
    pub fn seal_against_shrinking(fd: Borrowed<'_>) -> io::Result<()>;

    /// Returns whether the file is sealed by [`seal_against_shrinking`]. (`fcntl(F_GET_SEALS)`)
    pub fn sealed_against_shrinking(fd: Borrowed<'_>) -> bool;

    /// Copies all these bytes out of a file. (`pread`)
    pub fn read_at(fd: Borrowed<'_>, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all these bytes to a file, which may get longer. (`pwrite`)
    pub fn write_at(fd: Borrowed<'_>, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Returns whether the open file is read-write, so that [`map`] can share it.
    /// (`fcntl(F_GETFL)`)
    pub fn mappable(fd: Borrowed<'_>) -> io::Result<bool>;

    /// Maps the first `len` bytes of a file, shared.
    ///
    /// A forked child does not inherit the mapping, and no core dump holds it. Both hold for all
    /// mappings of this module. (`mmap`, `madvise(MADV_DONTFORK, MADV_DONTDUMP)`)
    pub fn map(fd: Borrowed<'_>, len: usize) -> io::Result<MmapRaw>;

    /// Maps a part of a file, which may reach beyond its end. (`mmap`)
    pub fn map_at(fd: Borrowed<'_>, offset: u64, len: usize) -> io::Result<MmapRaw>;

    /// Maps the first `len` bytes of a file, to be read only. (`mmap(PROT_READ)`)
    pub fn map_read_only(fd: Borrowed<'_>, len: usize) -> io::Result<MmapRaw>;

    /// Maps all pages of a mapping now, or fails. (`madvise(MADV_POPULATE_WRITE)`)
    pub fn populate(mapping: &MmapRaw) -> io::Result<()>;

    /// Keeps all pages of a mapping in memory. (`mlock`)
    pub fn pin(mapping: &MmapRaw) -> io::Result<()>;
}
