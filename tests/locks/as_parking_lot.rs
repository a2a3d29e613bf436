//! What parking_lot does and `std::sync` does not.

use std::thread;

use multiprocess::shm::lock::{LockError, Refused, TryLockError};
use multiprocess::shm::{Mutex, ReentrantMutex, RwLock};
use testkit::watchdog;

use crate::support::sleeper;

// fault 130
#[test]
fn a_reader_may_read_upgradably_unless_a_writer_waits_for_it() {
    let _watchdog = watchdog();
    let lock = RwLock::new(0u32).unwrap();
    let reader = lock.read().unwrap();
    let upgradable = lock.upgradable_read().unwrap();
    assert_eq!((*reader, *upgradable), (0, 0));
    thread::scope(|scope| {
        scope.spawn(|| assert!(lock.try_upgradable_read().unwrap_err().is_would_block()));
        scope.spawn(|| assert_eq!(*lock.try_read().unwrap(), 0));
    });
    assert!(
        matches!(lock.try_upgradable_read(), Err(TryLockError::WouldBlock)),
        "there is one only"
    );
    let upgradable = upgradable.try_upgrade().unwrap_err();
    drop(reader);
    *upgradable.upgrade().unwrap() = 1;

    let reader = lock.read().unwrap();
    let theirs = lock.clone();
    let writer = sleeper(move || *theirs.write().unwrap() = 2);
    assert!(matches!(lock.upgradable_read(), Err(LockError::Refused(Refused::WouldDeadlock))));
    assert!(lock.try_upgradable_read().unwrap_err().is_would_block());
    drop(reader);
    writer.join().unwrap();
    assert_eq!(*lock.upgradable_read().unwrap(), 2);
}

// fault 130
#[test]
fn each_lock_says_whether_it_is_locked() {
    let _watchdog = watchdog();
    let mutex = Mutex::new(0u32).unwrap();
    assert!(!mutex.is_locked());
    let guard = mutex.lock().unwrap();
    assert!(mutex.is_locked());
    drop(guard);
    assert!(!mutex.is_locked());

    let reentrant = ReentrantMutex::new(0u32).unwrap();
    assert!(!reentrant.is_locked() && !reentrant.is_owned_by_current_thread());
    let guards = (reentrant.lock().unwrap(), reentrant.lock().unwrap());
    thread::scope(|scope| {
        scope.spawn(|| assert!(reentrant.is_locked() && !reentrant.is_owned_by_current_thread()));
    });
    drop(guards.0);
    assert!(reentrant.is_locked() && reentrant.is_owned_by_current_thread());
    drop(guards.1);
    assert!(!reentrant.is_locked());

    let lock = RwLock::new(0u32).unwrap();
    let locked = || (lock.is_locked(), lock.is_locked_exclusive());
    assert_eq!(locked(), (false, false));
    let reader = lock.read().unwrap();
    assert_eq!(locked(), (true, false));
    drop(reader);
    assert_eq!(locked(), (false, false));
    let upgradable = lock.upgradable_read().unwrap();
    assert_eq!(locked(), (true, false));
    let writer = upgradable.upgrade().unwrap();
    assert_eq!(locked(), (true, true));
    drop(writer);
    assert_eq!(locked(), (false, false));
}
