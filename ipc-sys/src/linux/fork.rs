//! Which process an object belongs to: a page that the kernel clears in each forked child.

// The page that a fork wipes needs pointers.
#![allow(unsafe_code)]

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use rustix::mm::{MapFlags, ProtFlags};

/// The token where the system cannot wipe a page (before Linux 4.14): no process ever looks forked.
static NEVER_WIPED: AtomicU64 = AtomicU64::new(0);

/// The number that this process, or the one it was forked from, took last.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The word that holds the number of this process: 0 in a forked child until it asks for its own.
///
/// No lock: another thread may be in here when a process forks, and the child would wait for it.
fn token() -> &'static AtomicU64 {
    static TOKEN: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
    // Acquire: with the exchange below, the page is mapped.
    let known = TOKEN.load(Ordering::Acquire);
    if !known.is_null() {
        // SAFETY: the exchange below stored it, and what it stores is never unmapped.
        return unsafe { &*known };
    }
    let made = wiped_page().unwrap_or(ptr::from_ref(&NEVER_WIPED).cast_mut());
    // If another thread was first, this page stays unused: a page for each such race, and there are
    // few.
    match TOKEN.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: a page that was mapped just now, or a static.
        Ok(_) => unsafe { &*made },
        // SAFETY: as above, of the other thread.
        Err(other) => unsafe { &*other },
    }
}

/// A zeroed word on a page of its own, which is zero again in every forked child.
fn wiped_page() -> Option<*mut AtomicU64> {
    let len = rustix::param::page_size();
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: an anonymous mapping at a place of the kernel's choice overlaps nothing.
    let page =
        unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), len, access, MapFlags::PRIVATE) }
            .ok()?;
    // SAFETY: the page was mapped just now, with this length, and holds nothing yet.
    let wiped = unsafe { rustix::mm::madvise(page, len, rustix::mm::Advice::LinuxWipeOnFork) };
    wiped.ok()?;
    Some(page.cast())
}

/// The process that made an object.
///
/// Each process that uses this crate has a number, which differs from those of all processes that
/// it was forked from. An object keeps the number of its process and compares before each
/// operation: a load of a word that is written once in a process.
#[derive(Clone, Copy, Debug)]
pub struct ForkCheck {
    token: &'static AtomicU64,
    process: u64,
}

#[allow(clippy::new_without_default, reason = "it is this process, not a value to start from")]
impl ForkCheck {
    /// Identifies this process.
    pub fn new() -> Self {
        let token = token();
        // Relaxed, here and below: the number says nothing about other memory.
        let known = token.load(Ordering::Relaxed);
        if known != 0 || ptr::eq(token, &NEVER_WIPED) {
            return ForkCheck { token, process: known };
        }
        // A forked child has a copy of `LAST`, which was counted up before its parent's number was
        // in use.
        let new = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        let process = match token.compare_exchange(0, new, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => new,
            Err(other) => other,
        };
        ForkCheck { token, process }
    }

    /// Returns whether this process was forked from the one that made the object.
    #[inline]
    pub fn forked(self) -> bool {
        // Relaxed: see `new`.
        self.token.load(Ordering::Relaxed) != self.process
    }
}
