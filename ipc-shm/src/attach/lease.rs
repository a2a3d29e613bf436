//! Leases: how the kernel says which participants are alive.
//!
//! Each participant has two bytes far behind the segment's end. An exclusive lock of an open file
//! description lies on each:
//!
//! - *life*: held by the participant. It closes the description as soon as it has mapped the
//!   segment from it. The lock then lives exactly as long as the mapping through which the process
//!   could still write. It survives `close`, `close_range` and `fork` (the mapping is
//!   `MADV_DONTFORK`). It ends with `munmap`, `exec`, and death of any kind. On its way to another
//!   process, the description itself holds it.
//! - *repair*: held by the process that recovers what the participant left, and while the id is
//!   given out.
//!
//! A participant is dead if and only if its life byte can be locked. No pid, heartbeat or timeout
//! decides it: a stopped process is alive.

use std::io;

use ipc_sys as sys;

use crate::killpoint::kill_point;

/// The questions that the protocol asks the kernel.
pub(crate) trait Leases {
    /// Returns whether a process holds the life lease of `id`.
    ///
    /// In doubt, returns true: no living participant is ever taken for dead.
    fn alive(&self, id: u64) -> bool;
    /// Takes the repair lease of `id`, if it is free.
    fn try_repair(&self, id: u64) -> bool;
    /// Releases the repair lease of `id`.
    fn end_repair(&self, id: u64);
}

/// Where the leases begin: behind any data.
///
/// No segment is so long (`layout::MAX_LEN`).
const LEASES: u64 = 1 << 60;

const fn life(id: u64) -> u64 {
    LEASES + 2 * id
}

const fn repair(id: u64) -> u64 {
    LEASES + 2 * id + 1
}

/// Leases as locks on bytes of this open file.
///
/// No other process and no other attachment uses the file.
pub(crate) struct ByteLocks<'a>(pub(crate) sys::Borrowed<'a>);

impl ByteLocks<'_> {
    /// Takes the life lease of `id` on this description, if it is free.
    pub(crate) fn take_life(&self, id: u64) -> io::Result<bool> {
        sys::lease::try_lock(self.0, life(id))
    }

    /// Releases a life lease that was taken on this description.
    pub(crate) fn end_life(&self, id: u64) {
        // If it fails, the lease ends when the description is closed, right after.
        let _ = sys::lease::unlock(self.0, life(id));
    }

    /// Moves the life lease of `id` here from the description `from`, which arrived in a message.
    ///
    /// A child that was forked when it arrived may have a copy of `from`, and would keep the lease
    /// there. No child has this description.
    ///
    /// Returns false if another process took the lease in between.
    pub(crate) fn move_life(&self, id: u64, from: &ByteLocks<'_>) -> io::Result<bool> {
        from.end_life(id);
        kill_point!("adopt.moving");
        self.take_life(id)
    }
}

impl Leases for ByteLocks<'_> {
    fn alive(&self, id: u64) -> bool {
        sys::lease::locked(self.0, life(id)).unwrap_or(true)
    }

    fn try_repair(&self, id: u64) -> bool {
        sys::lease::try_lock(self.0, repair(id)).unwrap_or(false)
    }

    fn end_repair(&self, id: u64) {
        // This fails on no open description. If it did, the lease would end with this process.
        let _ = sys::lease::unlock(self.0, repair(id));
    }
}
