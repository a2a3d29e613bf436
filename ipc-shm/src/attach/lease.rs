//! Leases: how the kernel tells who is alive.
//!
//! Each participant has two bytes far behind the segment's end, each under an exclusive lock of an
//! open file description:
//!
//! - *life*: held by the participant. Its description is closed as soon as the segment is mapped
//!   from it; the lock then lives exactly as long as the mapping through which the process could
//!   still write. It survives `close`, `close_range` and `fork` (the mapping is `MADV_DONTFORK`),
//!   and goes with `munmap`, `exec`, and death of any kind. On its way to another process it sits
//!   on the description itself.
//! - *repair*: held by whoever repairs what the participant left, and while the id is given out.
//!
//! A participant is dead if and only if its life byte can be had. Never by pid, heartbeat or
//! timeout: a stopped process is alive.

use std::io;

use ipc_sys as sys;

/// What the protocol asks of the kernel.
pub(crate) trait Leases {
    /// Whether somebody holds the life lease of `id`. In doubt, yes: nobody alive is ever taken for
    /// dead.
    fn alive(&self, id: u64) -> bool;
    /// Takes the repair lease of `id`, if nobody has it.
    fn try_repair(&self, id: u64) -> bool;
    /// Gives the repair lease of `id` back.
    fn end_repair(&self, id: u64);
}

/// Behind any data: no segment is so long (`layout::MAX_LEN`).
const LEASES: u64 = 1 << 60;

const fn life(id: u64) -> u64 {
    LEASES + 2 * id
}

const fn repair(id: u64) -> u64 {
    LEASES + 2 * id + 1
}

/// Leases as locks on bytes of this open file, which no other process and no other attachment uses.
pub(crate) struct ByteLocks<'a>(pub(crate) sys::Borrowed<'a>);

impl ByteLocks<'_> {
    /// Takes the life lease of `id` on this description, if nobody has it.
    pub(crate) fn take_life(&self, id: u64) -> io::Result<bool> {
        sys::lease::try_lock(self.0, life(id))
    }

    /// Gives a life lease back that was taken on this description.
    pub(crate) fn end_life(&self, id: u64) {
        // If it fails, the lease goes when the description is closed, right after.
        let _ = sys::lease::unlock(self.0, life(id));
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
        // Fails on no open description; were it to, the lease would go with this process.
        let _ = sys::lease::unlock(self.0, repair(id));
    }
}
