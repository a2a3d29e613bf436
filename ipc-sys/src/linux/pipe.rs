//! Pipes that keep the boundaries of packets.

// Signal masks are in no safe crate.
#![allow(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use ipc_core::Deadline;
use rustix::fs::{FileType, OFlags};
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};
use rustix::pipe::PipeFlags;

use super::socket::ready;
use crate::types::pipe::PACKET;
use crate::types::socket::{Interest, NotReceived, NotSent};

pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK | PipeFlags::DIRECT;
    let (reader, writer) = rustix::pipe::pipe_with(flags)?;
    // If the user's pipes have used up what they may, this one stays as it is.
    let _ = rustix::pipe::fcntl_setpipe_size(&writer, PACKETS * PACKET);
    Ok((reader, writer))
}

/// How many packets a pipe holds: a quarter of what any process may ask for.
const PACKETS: usize = 64;

pub(crate) fn is_pipe(fd: BorrowedFd<'_>, writes: bool) -> bool {
    let Ok(stat) = rustix::fs::fstat(fd) else { return false };
    let Ok(flags) = rustix::fs::fcntl_getfl(fd) else { return false };
    let expected = if writes { OFlags::WRONLY | OFlags::DIRECT } else { OFlags::RDONLY };
    FileType::from_raw_mode(stat.st_mode) == FileType::Fifo
        && flags.intersection(OFlags::ACCMODE | expected | OFlags::NONBLOCK)
            == expected | OFlags::NONBLOCK
}

/// Since Linux 6.18.
const NO_SIGNAL: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x100);

pub(crate) fn write_packet(pipe: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), NotSent> {
    /// Relaxed: it guards no other memory.
    static TOO_OLD: AtomicBool = AtomicBool::new(false);
    debug_assert!(bytes.len() <= PACKET, "a packet is written whole or not at all");
    let mut written = Err(Errno::OPNOTSUPP);
    if !TOO_OLD.load(Ordering::Relaxed) {
        let bytes = [IoSlice::new(bytes)];
        // At no offset: a pipe has none.
        written = retry_on_intr(|| rustix::io::pwritev2(pipe, &bytes, u64::MAX, NO_SIGNAL));
    }
    if matches!(written, Err(Errno::OPNOTSUPP | Errno::NOSYS)) {
        TOO_OLD.store(true, Ordering::Relaxed);
        written = without_sigpipe(|| retry_on_intr(|| rustix::io::write(pipe, bytes)));
    }
    match written {
        Ok(_) => Ok(()),
        Err(Errno::AGAIN) => Err(NotSent::Full),
        Err(Errno::NOMEM | Errno::NOBUFS) => Err(NotSent::OutOfMemory),
        Err(_) => Err(NotSent::Gone),
    }
}

/// Calls `write` so that a closed pipe is an error and no signal.
#[cold]
fn without_sigpipe(write: impl FnOnce() -> Result<usize, Errno>) -> Result<usize, Errno> {
    let mut set = MaybeUninit::uninit();
    let (mut before, mut pending) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: writes a set there, and always succeeds.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set was made just now; SIGPIPE is a signal.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: `pending` has room for a set; it is written in any case.
    unsafe { libc::sigpending(pending.as_mut_ptr()) };
    // SAFETY: it was written just now.
    let was_pending = unsafe { libc::sigismember(pending.as_ptr(), libc::SIGPIPE) } == 1;
    // SAFETY: `set` was made above, `before` has room for a set.
    let blocked =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr()) } == 0;
    let written = write();
    if written == Err(Errno::PIPE) && !was_pending {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // The signal of this very call: it is pending for this thread, and is taken before it is
        // unblocked. SAFETY: `set` was made above; no information is asked for.
        unsafe { libc::sigtimedwait(set.as_ptr(), std::ptr::null_mut(), &at_once) };
    }
    if blocked {
        // SAFETY: `before` was written by the call that succeeded.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    }
    written
}

pub(crate) fn read_packet(pipe: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize, NotReceived> {
    match retry_on_intr(|| rustix::io::read(pipe, &mut *into)) {
        Ok(0) => Err(NotReceived::Gone),
        Ok(len) => Ok(len),
        Err(Errno::AGAIN) => Err(NotReceived::Empty),
        Err(Errno::NOMEM) => Err(NotReceived::OutOfMemory),
        Err(_) => Err(NotReceived::Gone),
    }
}

pub(crate) fn writable(fd: BorrowedFd<'_>) -> bool {
    ready(fd, Interest::Send, Deadline::Now)
}
