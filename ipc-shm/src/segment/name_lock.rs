//! The lock of a name, which lies on the first byte of the object that the name leads to.
//!
//! A process that has locked the byte checks whether the name still leads to this object. Only then
//! it may remove the name ([`names`](super::names)).

use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ipc_sys as sys;
use ipc_sys::lease::Unforked;

use crate::attach::descriptor::Descriptor;
use crate::killpoint::kill_point;

/// How long to wait for other processes at the same name. They need microseconds. A process that
/// takes longer is stopped.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The time between two attempts to lock it.
pub(super) const NAP: Duration = Duration::from_micros(100);

/// The offset of the first byte, whose lock is the object's name lock.
const LOCK_BYTE: u64 = 0;

/// The lock on an object's first byte, held until dropped.
pub(super) struct NameLockGuard<'a>(sys::Borrowed<'a>);

impl<'a> NameLockGuard<'a> {
    /// Waits for the lock until `until`. Returns `None` if another process still holds it.
    pub(super) fn take(
        open: sys::Borrowed<'a>,
        until: Instant,
    ) -> io::Result<Option<NameLockGuard<'a>>> {
        loop {
            if sys::lease::try_lock(open, LOCK_BYTE)? {
                kill_point!("name.turn");
                return Ok(Some(NameLockGuard(open)));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            thread::sleep(NAP);
        }
    }

    /// Returns the open file that the lock is on.
    pub(super) fn on(&self) -> sys::Borrowed<'a> {
        self.0
    }
}

impl Drop for NameLockGuard<'_> {
    fn drop(&mut self) {
        // Unlocked here, not by closing: a child that was forked meanwhile would keep the lock
        // until it execs.
        let _ = sys::lease::unlock(self.0, LOCK_BYTE);
    }
}

/// Returns whether a name leads to this object.
pub(super) fn leads_to(path: &Path, identity: sys::Identity) -> bool {
    sys::file::stat_path(path).is_ok_and(|stat| stat.identity == identity)
}

/// The open file through which a process that detaches from a segment locks its name.
pub(super) enum NameLock<'a> {
    Kept(sys::Borrowed<'a>),
    /// A file opened anew, because the program has closed the one that was kept.
    Opened(Unforked),
}

impl<'a> NameLock<'a> {
    /// Finds the file to lock. Returns `None` if the name does not lead to the segment.
    pub(super) fn of(descriptor: &'a Descriptor, path: &Path) -> Option<NameLock<'a>> {
        if !leads_to(path, descriptor.identity()) {
            return None;
        }
        if let Some(open) = descriptor.get() {
            return Some(NameLock::Kept(open));
        }
        let open = Unforked::open(|| sys::file::open_file(path, true)).ok()?;
        let identity = sys::descriptor::identity(open.fd()).ok()?;
        (identity == descriptor.identity()).then_some(NameLock::Opened(open))
    }

    /// Locks the name. Returns `None` if it cannot be locked.
    pub(super) fn lock(&self) -> Option<NameLockGuard<'_>> {
        let open = match self {
            NameLock::Kept(open) => *open,
            NameLock::Opened(open) => open.fd(),
        };
        NameLockGuard::take(open, Instant::now() + PATIENCE).ok().flatten()
    }
}

/// Removes the name if it leads to this object. The caller holds its lock.
pub(super) fn remove(path: &Path, identity: sys::Identity) {
    if leads_to(path, identity) {
        kill_point!("name.remove");
        // A name that cannot be removed stays, as if this process had been killed.
        let _ = sys::file::remove(path);
        kill_point!("name.removed");
    }
}
