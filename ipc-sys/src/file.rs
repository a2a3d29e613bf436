//! Files by their names, for named shared memory. Symbolic links are not followed.

use std::io;
use std::path::Path;

use crate::OsHandle;
use crate::descriptor::Borrowed;
use crate::os::file as os;
pub use crate::types::file::FileStat;

contract! {
    /// Returns the directory with the names of shared memory: `/dev/shm`.
    pub fn directory() -> &'static Path;

    /// Returns the kind and the owner of an open file. (`fstat`)
    pub fn stat_file(fd: Borrowed<'_>) -> io::Result<FileStat>;

    /// Returns the kind and the owner of the file at a path. (`fstatat`)
    pub fn stat_path(path: &Path) -> io::Result<FileStat>;

    /// Opens the file at a path. Never blocks, whatever is there. (`open(O_NOFOLLOW)`)
    pub fn open_file(path: &Path, write: bool) -> io::Result<OsHandle>;

    /// Makes a private file without a name, which goes with its last descriptor.
    ///
    /// `None` if the file system cannot. (`open(O_TMPFILE)`)
    pub fn create_unnamed(directory: &Path) -> io::Result<Option<OsHandle>>;

    /// Gives a file a name; false if that name is taken. (`linkat`)
    pub fn name_file(fd: Borrowed<'_>, path: &Path) -> io::Result<bool>;

    /// Makes a private file at a path; `None` if there is one. (`open(O_EXCL)`)
    pub fn create_named(path: &Path) -> io::Result<Option<OsHandle>>;

    /// Sets the mode of a file, whatever the umask. (`fchmod`)
    pub fn set_mode(fd: Borrowed<'_>, mode: u32) -> io::Result<()>;

    /// Removes a name. (`unlink`)
    pub fn remove(path: &Path) -> io::Result<()>;
}
