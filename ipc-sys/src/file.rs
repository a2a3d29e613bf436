//! Files by their names, for named shared memory. Symbolic links are not followed.

use std::io;
use std::path::Path;

use crate::OsHandle;
use crate::descriptor::Borrowed;
use crate::os::file as os;
pub use crate::types::file::FileStat;

/// Returns the directory with the names of shared memory: `/dev/shm`.
#[inline]
pub fn directory() -> &'static Path {
    os::directory()
}

/// Returns the kind and the owner of an open file. (`fstat`)
#[inline]
pub fn stat_file(fd: Borrowed<'_>) -> io::Result<FileStat> {
    os::stat_file(fd)
}

/// Returns the kind and the owner of the file at a path. (`fstatat`)
#[inline]
pub fn stat_path(path: &Path) -> io::Result<FileStat> {
    os::stat_path(path)
}

/// Opens the file at a path. Never blocks, whatever is there. (`open(O_NOFOLLOW)`)
#[inline]
pub fn open_file(path: &Path, write: bool) -> io::Result<OsHandle> {
    os::open_file(path, write)
}

/// Makes a private file without a name, which goes with its last descriptor.
///
/// `None` if the file system cannot. (`open(O_TMPFILE)`)
#[inline]
pub fn create_unnamed(directory: &Path) -> io::Result<Option<OsHandle>> {
    os::create_unnamed(directory)
}

/// Gives a file a name; false if that name is taken. (`linkat`)
#[inline]
pub fn name_file(fd: Borrowed<'_>, path: &Path) -> io::Result<bool> {
    os::name_file(fd, path)
}

/// Makes a private file at a path; `None` if there is one. (`open(O_EXCL)`)
#[inline]
pub fn create_named(path: &Path) -> io::Result<Option<OsHandle>> {
    os::create_named(path)
}

/// Sets the mode of a file, whatever the umask. (`fchmod`)
#[inline]
pub fn set_mode(fd: Borrowed<'_>, mode: u32) -> io::Result<()> {
    os::set_mode(fd, mode)
}

/// Removes a name. (`unlink`)
#[inline]
pub fn remove(path: &Path) -> io::Result<()> {
    os::remove(path)
}
