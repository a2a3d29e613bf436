//! Files in memory: there are none.

use std::io;

use memmap2::MmapRaw;

use super::unsupported;
use crate::OsHandle;
use crate::types::descriptor::Borrowed;

pub(crate) fn create(_name: &str) -> io::Result<OsHandle> {
    unsupported()
}

pub(crate) fn file_limit() -> Option<u64> {
    None
}

pub(crate) fn set_len(_fd: Borrowed<'_>, _len: usize) -> io::Result<()> {
    unsupported()
}

pub(crate) fn allocate(_fd: Borrowed<'_>, _offset: usize, _len: usize) -> io::Result<()> {
    unsupported()
}

pub(crate) fn release(_fd: Borrowed<'_>, _offset: usize, _len: usize) -> io::Result<()> {
    unsupported()
}

pub(crate) fn may_reach(_fd: Borrowed<'_>, _end: usize) -> io::Result<()> {
    unsupported()
}

pub(crate) fn allocate_growing(_fd: Borrowed<'_>, _offset: usize, _len: usize) -> io::Result<()> {
    unsupported()
}

pub(crate) fn seal_against_shrinking(_fd: Borrowed<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn sealed_against_shrinking(_fd: Borrowed<'_>) -> bool {
    false
}

pub(crate) fn seal(_fd: Borrowed<'_>) -> io::Result<()> {
    unsupported()
}

pub(crate) fn sealed(_fd: Borrowed<'_>) -> bool {
    false
}

pub(crate) fn len(_fd: Borrowed<'_>) -> io::Result<usize> {
    unsupported()
}

pub(crate) fn read_at(_fd: Borrowed<'_>, _bytes: &mut [u8], _offset: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn map(_fd: Borrowed<'_>, _len: usize) -> io::Result<MmapRaw> {
    unsupported()
}

pub(crate) fn map_at(_fd: Borrowed<'_>, _offset: u64, _len: usize) -> io::Result<MmapRaw> {
    unsupported()
}

pub(crate) fn map_read_only(_fd: Borrowed<'_>, _len: usize) -> io::Result<MmapRaw> {
    unsupported()
}

pub(crate) fn populate(_mapping: &MmapRaw) -> io::Result<()> {
    unsupported()
}

pub(crate) fn pin(_mapping: &MmapRaw) -> io::Result<()> {
    unsupported()
}

pub(crate) fn mappable(_fd: Borrowed<'_>) -> io::Result<bool> {
    unsupported()
}

pub(crate) fn write_at(_fd: Borrowed<'_>, _bytes: &[u8], _offset: u64) -> io::Result<()> {
    unsupported()
}

pub(crate) fn create_huge(_name: &str) -> io::Result<OsHandle> {
    unsupported()
}

pub(crate) fn granule(_fd: Borrowed<'_>) -> io::Result<usize> {
    unsupported()
}
