//! Files by their names.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::{Errno, retry_on_intr};

use crate::types::file::FileStat;

pub(crate) fn directory() -> &'static Path {
    Path::new("/dev/shm")
}

fn known(stat: &Stat) -> FileStat {
    FileStat {
        regular: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
        owner: stat.st_uid,
        mode: stat.st_mode & 0o7777,
        second_name: stat.st_nlink > 1,
        identity: (stat.st_dev, stat.st_ino),
        len: usize::try_from(stat.st_size).unwrap_or(0),
    }
}

pub(crate) fn stat_file(fd: BorrowedFd<'_>) -> io::Result<FileStat> {
    Ok(known(&rustix::fs::fstat(fd)?))
}

pub(crate) fn stat_path(path: &Path) -> io::Result<FileStat> {
    Ok(known(&rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?))
}

pub(crate) fn open_file(path: &Path, write: bool) -> io::Result<OwnedFd> {
    // Not blocking: something else than a file may have come there.
    let flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let access = if write { OFlags::RDWR } else { OFlags::RDONLY };
    Ok(retry_on_intr(|| rustix::fs::open(path, flags | access, Mode::empty()))?)
}

const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

pub(crate) fn create_unnamed(directory: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    match retry_on_intr(|| rustix::fs::open(directory, flags, PRIVATE)) {
        // A file system, or a kernel, that does not know it.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
        made => Ok(Some(made?)),
    }
}

pub(crate) fn name_file(fd: BorrowedFd<'_>, path: &Path) -> io::Result<bool> {
    let from = format!("/proc/self/fd/{}", fd.as_raw_fd());
    match retry_on_intr(|| {
        rustix::fs::linkat(CWD, from.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)
    }) {
        Err(Errno::EXIST) => Ok(false),
        done => Ok(done.map(|()| true)?),
    }
}

pub(crate) fn create_named(path: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match retry_on_intr(|| rustix::fs::open(path, flags, PRIVATE)) {
        Err(Errno::EXIST) => Ok(None),
        made => Ok(Some(made?)),
    }
}

pub(crate) fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))?)
}

pub(crate) fn remove(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(CWD, path, AtFlags::empty())?)
}
