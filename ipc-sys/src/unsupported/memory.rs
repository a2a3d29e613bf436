//! A system for which nobody has written this yet: everything compiles, and creating answers
//! `Unsupported`.

use std::io;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ipc_core::OsHandle;
use memmap2::MmapRaw;

#[cfg(unix)]
pub(crate) type Borrowed<'a> = std::os::fd::BorrowedFd<'a>;
#[cfg(windows)]
pub(crate) type Borrowed<'a> = std::os::windows::io::BorrowedHandle<'a>;

#[cfg(unix)]
pub(crate) fn borrow(fd: &OsHandle) -> Borrowed<'_> {
    std::os::fd::AsFd::as_fd(fd)
}
#[cfg(windows)]
pub(crate) fn borrow(fd: &OsHandle) -> Borrowed<'_> {
    std::os::windows::io::AsHandle::as_handle(fd)
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "shared-memory channels are not there on this system yet",
    ))
}

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
pub(crate) fn reopen(_fd: Borrowed<'_>) -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) type Identity = (u64, u64);
pub(crate) fn identity(_fd: Borrowed<'_>) -> io::Result<Identity> {
    unsupported()
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
pub(crate) fn try_lock(_fd: Borrowed<'_>, _byte: u64) -> io::Result<bool> {
    unsupported()
}
pub(crate) fn unlock(_fd: Borrowed<'_>, _byte: u64) -> io::Result<()> {
    unsupported()
}
pub(crate) fn locked(_fd: Borrowed<'_>, _byte: u64) -> io::Result<bool> {
    unsupported()
}
// Nobody gets here without a segment, and nobody gets a segment.
pub(crate) fn wait(_word: &AtomicU64, _seq: u32, _timeout: Duration) {
    std::thread::yield_now();
}
pub(crate) fn wake(_word: &AtomicU64, _n: u32) -> usize {
    0
}
pub(crate) fn register_barrier() -> bool {
    false
}
pub(crate) fn barrier() -> bool {
    false
}
#[cfg(not(loom))]
pub(crate) fn can_run(_pid: u32) -> bool {
    false
}

pub(crate) struct Unforked(OsHandle);
impl Unforked {
    pub(crate) fn open(open: impl FnOnce() -> io::Result<OsHandle>) -> io::Result<Unforked> {
        open().map(Unforked)
    }
    pub(crate) fn open_if(
        open: impl FnOnce() -> io::Result<Option<OsHandle>>,
    ) -> io::Result<Option<Unforked>> {
        Ok(open()?.map(Unforked))
    }
    pub(crate) fn fd(&self) -> Borrowed<'_> {
        borrow(&self.0)
    }
    pub(crate) fn send(self) -> OsHandle {
        self.0
    }
    pub(crate) fn forget(self) {
        std::mem::forget(self.0);
    }
}
pub(crate) fn pid_identity() -> u64 {
    crate::layout::who::NOBODY
}
// Nobody is watched without a line, and there is none.
pub(crate) fn pidfd_open(_pid: u32) -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn line() -> io::Result<(OsHandle, OsHandle)> {
    unsupported()
}
pub(crate) fn say(_line: Borrowed<'_>) -> bool {
    false
}
pub(crate) fn heard(_line: Borrowed<'_>) -> bool {
    false
}
pub(crate) fn hang_up(_line: Borrowed<'_>) {}
pub(crate) fn poll(_fds: &[Borrowed<'_>], _sleep: bool) -> io::Result<Vec<bool>> {
    unsupported()
}
pub(crate) fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    work()
}
#[derive(Clone, Copy)]
pub(crate) struct Number;
pub(crate) fn number(_fd: &OsHandle) -> Number {
    Number
}
pub(crate) fn own_table(_keep: Number) -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn cpus() -> usize {
    1
}
pub(crate) fn cpu() -> usize {
    0
}
