//! Files on a system for which nobody has written this yet.

use std::io;
use std::path::Path;

use ipc_core::OsHandle;

use super::FileStat;
use super::os::Borrowed;

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "shared memory is not there on this system yet"))
}

pub(crate) fn directory() -> &'static Path {
    Path::new("")
}
pub(crate) fn stat_file(_fd: Borrowed<'_>) -> io::Result<FileStat> {
    unsupported()
}
pub(crate) fn stat_path(_path: &Path) -> io::Result<FileStat> {
    unsupported()
}
pub(crate) fn open_file(_path: &Path, _write: bool) -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn create_unnamed(_directory: &Path) -> io::Result<Option<OsHandle>> {
    unsupported()
}
pub(crate) fn name_file(_fd: Borrowed<'_>, _path: &Path) -> io::Result<bool> {
    unsupported()
}
pub(crate) fn create_named(_path: &Path) -> io::Result<Option<OsHandle>> {
    unsupported()
}
pub(crate) fn write_at(_fd: Borrowed<'_>, _bytes: &[u8], _offset: u64) -> io::Result<()> {
    unsupported()
}
pub(crate) fn set_mode(_fd: Borrowed<'_>, _mode: u32) -> io::Result<()> {
    unsupported()
}
pub(crate) fn remove(_path: &Path) -> io::Result<()> {
    unsupported()
}
pub(crate) fn user() -> u32 {
    0
}
pub(crate) fn reopen_read_only(_fd: Borrowed<'_>) -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn create_huge(_name: &str) -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn granule(_fd: Borrowed<'_>) -> io::Result<usize> {
    unsupported()
}
pub(crate) fn at_exit(_run: extern "C" fn()) {}
