//! Files in memory: there are none.

use std::io;

use memmap2::MmapRaw;

use crate::OsHandle;
use crate::types::descriptor::Borrowed;

unsupported! {
    fn create(&str) -> io::Result<OsHandle>;
    fn file_limit() -> Option<u64> = None;
    fn set_len(Borrowed<'_>, usize) -> io::Result<()>;
    fn allocate(Borrowed<'_>, usize, usize) -> io::Result<()>;
    fn release(Borrowed<'_>, usize, usize) -> io::Result<()>;
    fn may_reach(Borrowed<'_>, usize) -> io::Result<()>;
    fn allocate_growing(Borrowed<'_>, usize, usize) -> io::Result<()>;
    fn seal_against_shrinking(Borrowed<'_>) -> io::Result<()>;
    fn sealed_against_shrinking(Borrowed<'_>) -> bool = false;
    fn seal(Borrowed<'_>) -> io::Result<()>;
    fn sealed(Borrowed<'_>) -> bool = false;
    fn len(Borrowed<'_>) -> io::Result<usize>;
    fn read_at(Borrowed<'_>, &mut [u8], u64) -> io::Result<()>;
    fn map(Borrowed<'_>, usize) -> io::Result<MmapRaw>;
    fn map_at(Borrowed<'_>, u64, usize) -> io::Result<MmapRaw>;
    fn map_read_only(Borrowed<'_>, usize) -> io::Result<MmapRaw>;
    fn populate(&MmapRaw) -> io::Result<()>;
    fn pin(&MmapRaw) -> io::Result<()>;
    fn mappable(Borrowed<'_>) -> io::Result<bool>;
    fn write_at(Borrowed<'_>, &[u8], u64) -> io::Result<()>;
    fn create_huge(&str) -> io::Result<OsHandle>;
    fn granule(Borrowed<'_>) -> io::Result<usize>;
}
