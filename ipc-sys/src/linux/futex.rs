//! Futexes.

// The half of a word, as the kernel wants it, needs a pointer.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Duration;

use rustix::thread::futex;

/// The futex: the low half of the word.
fn low_half(word: &AtomicU64) -> &AtomicU32 {
    let low = std::ptr::from_ref(word).cast::<AtomicU32>();
    let low = if cfg!(target_endian = "big") { low.wrapping_add(1) } else { low };
    // SAFETY: the pointer stays within the eight bytes of `word`, is aligned for four, and lives as
    // long. Only the kernel accesses the half through this reference, and only compares it.
    unsafe { &*low }
}

// Shared: the sleeper and the waker are different processes. With FUTEX_PRIVATE_FLAG neither would
// ever find the other.
const SHARED: futex::Flags = futex::Flags::empty();
// Private: the kernel finds sleepers by the address, without looking up what is mapped there.
const PRIVATE: futex::Flags = futex::Flags::PRIVATE;

fn wait_as(word: &AtomicU64, flags: futex::Flags, seq: u32, timeout: Duration) {
    let timeout = rustix::fs::Timespec {
        tv_sec: timeout.as_secs() as _,
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // Woken, changed before (EAGAIN), a signal, the timeout: the caller looks at the word again.
    let _ = futex::wait(low_half(word), flags, seq, Some(&timeout));
}

fn wake_as(word: &AtomicU64, flags: futex::Flags, n: u32) -> usize {
    futex::wake(low_half(word), flags, n.min(i32::MAX as u32)).unwrap_or(0)
}

pub(crate) fn wait(word: &AtomicU64, seq: u32, timeout: Duration) {
    wait_as(word, SHARED, seq, timeout);
}

pub(crate) fn wake(word: &AtomicU64, n: u32) -> usize {
    wake_as(word, SHARED, n)
}

pub(crate) fn wait_private(word: &AtomicU64, seq: u32, timeout: Duration) {
    wait_as(word, PRIVATE, seq, timeout);
}

pub(crate) fn wake_private(word: &AtomicU64, n: u32) -> usize {
    wake_as(word, PRIVATE, n)
}
