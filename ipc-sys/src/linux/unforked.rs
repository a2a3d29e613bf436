//! Open files that a forked child does not keep.
//!
//! Leases and locks belong to the open file. An open file lasts as long as any process has a
//! descriptor of it, and a child that is forked without exec gets a copy of each descriptor. If the
//! child kept one with a lease or a lock on it, its parent would look alive after it was killed. So
//! each forked child closes them before `fork` returns in it (`pthread_atfork`), and no fork comes
//! between opening one and recording it.
//!
//! A process that is cloned directly by a system call, without the C library, keeps them until it
//! ends.

// Descriptors by their numbers, and handlers that the C library calls.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CStr;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::descriptor::identity;
use crate::fork::ForkCheck;
use crate::per_process::PerProcess;
use crate::types::descriptor::Identity;

/// An open file that no forked child keeps.
#[derive(Debug)]
pub struct Unforked {
    fd: ManuallyDrop<OwnedFd>,
    process: ForkCheck,
}

/// The descriptors of this process that its forks close, by their numbers.
#[derive(Default)]
struct Open {
    files: HashMap<RawFd, File>,
    /// How many there are when those that were closed unnoticed are removed next.
    full: usize,
}

#[derive(Clone, Copy)]
struct File {
    identity: Identity,
    /// The file travels in a message, and its later owner closes it without a record here. So its
    /// number may be that of another file now.
    sent: bool,
}

static OPEN: PerProcess<Mutex<Open>> = PerProcess::new();

/// Locks the table. While the guard lives, no thread of this process forks. One thread must not
/// lock it twice.
fn open_files() -> MutexGuard<'static, Open> {
    // Relaxed: it guards no other memory; if two threads ask, the handlers find out. A forked child
    // inherits both.
    static ASKED: AtomicBool = AtomicBool::new(false);
    if !ASKED.swap(true, Ordering::Relaxed) {
        // SAFETY: three functions of this program, which unwind nowhere. If there is no room for
        // them, forked children keep the descriptors.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(in_parent), Some(in_child)) };
    }
    OPEN.lock()
}

/// Runs `work`, which must be short, while no thread of this process forks.
pub(super) fn without_fork<T>(work: impl FnOnce() -> T) -> T {
    let _no_fork = open_files();
    work()
}

impl Unforked {
    /// Opens a file with `open` and records it. `open` must be short, and must not call this
    /// function.
    pub fn open(open: impl FnOnce() -> io::Result<OwnedFd>) -> io::Result<Unforked> {
        Self::open_if(|| open().map(Some))
            .map(|open| open.expect("it was opened, or there was an error"))
    }

    /// Opens a file as [`open`](Unforked::open) does, if `open` opens one.
    pub fn open_if(
        open: impl FnOnce() -> io::Result<Option<OwnedFd>>,
    ) -> io::Result<Option<Unforked>> {
        let mut files = open_files();
        let Some(fd) = open()? else { return Ok(None) };
        let identity = identity(fd.as_fd())?;
        files.note(fd.as_raw_fd(), File { identity, sent: false });
        Ok(Some(Unforked { fd: ManuallyDrop::new(fd), process: ForkCheck::new() }))
    }

    /// Borrows the descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Releases the descriptor, to travel in a message. While it is open and a lease is on it,
    /// forks close it all the same.
    pub fn send(self) -> OwnedFd {
        let mut this = ManuallyDrop::new(self);
        if let Some(file) = open_files().files.get_mut(&this.fd.as_raw_fd()) {
            file.sent = true;
        }
        // SAFETY: once, and `this` is never dropped.
        unsafe { ManuallyDrop::take(&mut this.fd) }
    }

    /// Forgets the number, which may be that of another file: the program has closed this one.
    pub fn forget(self) {
        open_files().files.remove(&self.fd.as_raw_fd());
        std::mem::forget(self);
    }
}

impl Drop for Unforked {
    fn drop(&mut self) {
        if self.process.forked() {
            return; // Closed already, and its number may be another file's.
        }
        let mut files = open_files();
        files.files.remove(&self.fd.as_raw_fd());
        // With the lock: no fork in between keeps it.
        // SAFETY: once, here.
        unsafe { ManuallyDrop::drop(&mut self.fd) };
    }
}

impl Open {
    fn note(&mut self, fd: RawFd, file: File) {
        if self.files.len() >= self.full {
            self.files.retain(|fd, file| !file.sent || is(*fd, file.identity));
            self.full = 2 * self.files.len() + 64;
        }
        self.files.insert(fd, file);
    }
}

/// Returns whether the descriptor of this number is open, and of this object.
fn is(fd: RawFd, wanted: Identity) -> bool {
    // SAFETY: it is asked what it is, and if it is not open the kernel says so; not -1, as it was
    // open once.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    identity(fd).is_ok_and(|identity| identity == wanted)
}

/// How long a fork waits for other threads. They need microseconds; one that is interrupted by a
/// signal handler, which forks, never ends meanwhile.
const FORK_TIMEOUT: Duration = Duration::from_secs(1);

thread_local! {
    /// Held by a thread that forks, from before the fork until after it.
    static FORKING: RefCell<Option<MutexGuard<'static, Open>>> = const { RefCell::new(None) };
}

/// Calls `f` with the guard that this thread took before it forked.
fn forking(f: impl FnOnce(&mut Option<MutexGuard<'static, Open>>)) {
    // A thread that has ended its thread-locals forks unguarded.
    let _ = FORKING.try_with(|forking| forking.try_borrow_mut().map(|mut forking| f(&mut forking)));
}

extern "C" fn before_fork() {
    forking(|forking| {
        let until = Instant::now() + FORK_TIMEOUT;
        while forking.is_none() {
            match OPEN.get().try_lock() {
                Ok(open) => *forking = Some(open),
                Err(TryLockError::Poisoned(open)) => *forking = Some(open.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() >= until => return,
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_micros(50)),
            }
        }
    });
}

extern "C" fn in_parent() {
    forking(|forking| *forking = None);
}

extern "C" fn in_child() {
    forking(|forking| {
        let Some(open) = forking.take() else { return };
        for (fd, file) in &open.files {
            if is(*fd, file.identity) && (!file.sent || has_lease(*fd)) {
                // SAFETY: a descriptor of this child, which is the parent's object's copy; in the
                // child nothing uses it: what would, compares processes first.
                drop(unsafe { OwnedFd::from_raw_fd(*fd) });
            }
        }
        // The lock is the parent's: this process makes its own.
        std::mem::forget(open);
    });
}

/// Returns whether the open file of this number has a lock of this crate. Allocates nothing.
fn has_lease(fd: RawFd) -> bool {
    let mut path = [0; 40];
    let written = write!(&mut path[..], "/proc/self/fdinfo/{fd}\0");
    let Ok(path) = CStr::from_bytes_until_nul(&path) else { return false };
    let mut text = [0; 1024];
    let read = written.ok().and_then(|()| {
        let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        rustix::io::read(&file, &mut text).ok()
    });
    text[..read.unwrap_or(0)].windows(6).any(|word| word == b"OFDLCK")
}
