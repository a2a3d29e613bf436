//! Files of shared memory by their names: there are none.

use std::io;
use std::path::Path;

use super::unsupported;
use crate::OsHandle;
use crate::types::descriptor::Borrowed;
use crate::types::file::FileStat;

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

pub(crate) fn set_mode(_fd: Borrowed<'_>, _mode: u32) -> io::Result<()> {
    unsupported()
}

pub(crate) fn remove(_path: &Path) -> io::Result<()> {
    unsupported()
}
