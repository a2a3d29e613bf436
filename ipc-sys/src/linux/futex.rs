//! Futexes.

// The half of a word, as the kernel wants it, needs a pointer, and so does a word that may be gone.
#![allow(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex;
use rustix::time::{ClockId, Timespec};

use crate::types::futex::{Address, Waited, Word};

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

fn wake_as(word: &AtomicU64, flags: futex::Flags, n: u32) -> usize {
    futex::wake(low_half(word), flags, n.min(i32::MAX as u32)).unwrap_or(0)
}

pub(crate) fn wait(word: &AtomicU64, seq: u32, timeout: Duration) {
    wait_word(&Word { word, seen: seq, shared: true }, timeout);
}

pub(crate) fn wait_word(word: &Word<'_>, timeout: Duration) {
    let timeout =
        Timespec { tv_sec: timeout.as_secs() as _, tv_nsec: timeout.subsec_nanos().into() };
    let flags = if word.shared { SHARED } else { PRIVATE };
    // Woken, changed before (EAGAIN), a signal, the timeout: the caller looks at the word again.
    let _ = futex::wait(low_half(word.word), flags, word.seen, Some(&timeout));
}

/// The system has no `futex_waitv`, or forbids it.
static MISSING: AtomicBool = AtomicBool::new(false);

pub(crate) fn waits_for_any() -> bool {
    !MISSING.load(Relaxed) // Relaxed: a hint.
}

pub(crate) fn wait_any(words: &[Word<'_>], timeout: Duration) -> bool {
    let address = |word: &Word<'_>| Address::new(word.word, word.seen, word.shared);
    let words: Vec<Address> = words.iter().map(address).collect();
    // Woken, changed, a signal, the timeout: the caller looks at the words again.
    wait_any_address(&words, Some(timeout)) != Waited::Unsupported
}

pub(crate) fn wait_any_address(words: &[Address], timeout: Option<Duration>) -> Waited {
    if !waits_for_any() {
        return Waited::Unsupported;
    }
    let waits: Vec<futex::Wait> = words
        .iter()
        .map(|word| {
            let mut wait = futex::Wait::new();
            wait.val = word.seen.into();
            wait.uaddr = futex::WaitPtr::new(std::ptr::with_exposed_provenance_mut(word.address));
            wait.flags = futex::WaitFlags::SIZE_U32;
            if !word.shared {
                wait.flags |= futex::WaitFlags::PRIVATE;
            }
            wait
        })
        .collect();
    // The call takes a point of the clock. One beyond what the clock can represent is no limit.
    let now = rustix::time::clock_gettime(ClockId::Monotonic);
    let until = timeout
        .and_then(|timeout| Timespec::try_from(timeout).ok())
        .and_then(|timeout| now.checked_add(timeout));
    match futex::waitv(&waits, futex::WaitvFlags::empty(), until.as_ref(), ClockId::Monotonic) {
        Ok(index) => Waited::Woken(index),
        Err(Errno::NOSYS | Errno::PERM) => {
            MISSING.store(true, Relaxed); // Relaxed: as above.
            Waited::Unsupported
        }
        Err(Errno::TIMEDOUT | Errno::INTR) => Waited::Elapsed,
        Err(Errno::AGAIN | Errno::FAULT) => Waited::Changed,
        // No memory for the call.
        Err(_) => {
            std::thread::yield_now();
            Waited::Changed
        }
    }
}

/// Calls `futex` with an address that may be gone. `more` is the fourth argument: a time, or a
/// number.
fn call(word: &Address, operation: i32, value: u32, more: usize) -> Result<usize, Errno> {
    let private = if word.shared { 0 } else { libc::FUTEX_PRIVATE_FLAG };
    // The second word, where a call needs one, is the same.
    let (address, operation) = (word.address, operation | private);
    // SAFETY: the kernel checks the addresses, and answers EFAULT where nothing is mapped. What it
    // finds there it compares, and never writes. A time is a pointer to a `timespec` that lives
    // during the call.
    let result = unsafe {
        libc::syscall(libc::SYS_futex, address, operation, value, more, address, word.seen)
    };
    usize::try_from(result)
        .map_err(|_| Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

pub(crate) fn has_changed(word: &Address) -> bool {
    // Wakes none and moves none, but compares. EFAULT counts as a change.
    matches!(call(word, libc::FUTEX_CMP_REQUEUE, 0, 0), Err(Errno::AGAIN | Errno::FAULT))
}

pub(crate) fn wake_address(word: &Address) {
    let _ = call(word, libc::FUTEX_WAKE, 1, 0);
}

pub(crate) fn wait_address(word: &Address, timeout: Option<Duration>) {
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let pointer = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // Woken, changed before, a signal, the timeout: the caller looks again.
    let _ = call(word, libc::FUTEX_WAIT, word.seen, pointer.expose_provenance());
}

pub(crate) fn wake(word: &AtomicU64, n: u32) -> usize {
    wake_as(word, SHARED, n)
}

pub(crate) fn wait_private(word: &AtomicU64, seq: u32, timeout: Duration) {
    wait_word(&Word { word, seen: seq, shared: false }, timeout);
}

pub(crate) fn wake_private(word: &AtomicU64, n: u32) -> usize {
    wake_as(word, PRIVATE, n)
}
