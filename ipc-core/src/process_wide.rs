//! Locks of statics, in a process that may be forked.
//!
//! `fork` copies a lock as it is. If another thread of the parent holds it at that moment, no
//! thread of the child will ever unlock it. So no call may wait without a limit for state of the
//! whole process. Such a static is a plain `Mutex`. A `LazyLock` or a `OnceLock` that is being
//! initialized would wait for ever in the child.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

/// Locks a static. Returns `None` if this process was forked while another thread held the lock.
///
/// No code of the user may run while it is locked, so it is held for moments only. A holder that
/// panicked must have left the state complete. A caller that gets `None` continues without the
/// content of the static.
///
/// A forked child waits one second, once, for a lock that its parent held. After that it gives up
/// at once each lock that is not free.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    /// The last process that has waited in vain.
    static IN_VAIN: AtomicU32 = AtomicU32::new(0);
    lock_or_give_up(mutex, &IN_VAIN)
}

fn lock_or_give_up<'a, T>(mutex: &'a Mutex<T>, in_vain: &AtomicU32) -> Option<MutexGuard<'a, T>> {
    /// No thread holds the lock for this long, because it only looks something up.
    const LIMIT: Duration = Duration::from_secs(1);
    let mut began = None;
    loop {
        match mutex.try_lock() {
            Ok(guard) => return Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
        let process = std::process::id();
        // Relaxed: a hint.
        if in_vain.load(Relaxed) == process {
            return None;
        }
        if began.get_or_insert_with(Instant::now).elapsed() > LIMIT {
            in_vain.store(process, Relaxed); // Relaxed: as above.
            return None;
        }
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // fault 116
    #[test]
    fn a_lock_that_is_never_unlocked_is_given_up() {
        let (held, free) = (Mutex::new(1), Mutex::new(2));
        let in_vain = AtomicU32::new(0);
        std::mem::forget(held.lock());
        assert!(lock_or_give_up(&held, &in_vain).is_none());
        assert_eq!(in_vain.load(Relaxed), std::process::id());
        assert!(lock_or_give_up(&held, &in_vain).is_none());
        assert_eq!(lock_or_give_up(&free, &in_vain).as_deref(), Some(&2));
    }
}
