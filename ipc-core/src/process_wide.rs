//! Locks of statics, in a process that may be forked.
//!
//! `fork` copies a lock as it is. If another thread of the parent holds it at that moment, no
//! thread of the child will ever unlock it. So nothing that the process keeps for itself may be
//! waited for without a limit, and such a static is a plain `Mutex`: a `LazyLock` or a `OnceLock`
//! that is being initialized waits for ever in the child.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

/// Locks a static; `None` if this process was forked while another thread held the lock.
///
/// No code of the user's may run while it is locked, so that it is held for moments only. A holder
/// that panicked must have left nothing half done. A caller that gets `None` goes on without what
/// the static would have remembered.
///
/// A forked child waits for a lock that its parent held for one second, once. After that it gives
/// up any lock at once that it cannot have.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    /// The last process that has waited in vain.
    static IN_VAIN: AtomicU32 = AtomicU32::new(0);
    lock_or_give_up(mutex, &IN_VAIN)
}

fn lock_or_give_up<'a, T>(mutex: &'a Mutex<T>, in_vain: &AtomicU32) -> Option<MutexGuard<'a, T>> {
    /// No thread keeps it as long as this: it looks something up.
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
