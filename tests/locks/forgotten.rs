//! Guards that are forgotten: the lock stays locked, and no thread that comes later is taken for
//! its holder.

use std::mem::forget;
use std::thread;
use std::time::Duration;

use multiprocess::shm::lock::{LockTimeoutError, PoisonedBy, TryLockError};
use multiprocess::shm::{Event, Mutex, ReentrantMutex, RwLock};
use testkit::watchdog;

use crate::support::{child_with, kill, stay};

type Locks = (Mutex<u32>, ReentrantMutex<u32>, RwLock<u32>, RwLock<u32>);

fn locks() -> Locks {
    (
        Mutex::new(1).unwrap(),
        ReentrantMutex::new(1).unwrap(),
        RwLock::new(1).unwrap(),
        RwLock::new(1).unwrap(),
    )
}

/// A thread locks each of them, forgets the guards, and ends.
fn forget_all((mutex, reentrant, written, upgradable): &Locks) {
    thread::scope(|scope| {
        scope.spawn(|| {
            forget(mutex.lock().unwrap());
            forget(reentrant.lock().unwrap());
            forget(written.write().unwrap());
            forget(upgradable.upgradable_read().unwrap());
        });
    });
}

/// What a thread finds that holds none of them: each is held by another thread, which is not dead.
fn are_held((mutex, reentrant, written, upgradable): &Locks) {
    let short = Duration::from_millis(1);
    assert!(mutex.try_lock().unwrap_err().is_would_block());
    assert!(mutex.lock_timeout(short).unwrap_err().is_timeout());
    assert!(reentrant.try_lock().unwrap_err().is_would_block());
    assert!(reentrant.lock_timeout(short).unwrap_err().is_timeout());
    assert!(written.try_read().unwrap_err().is_would_block());
    assert!(matches!(written.write_timeout(short), Err(LockTimeoutError::Timeout)));
    assert!(matches!(upgradable.try_write(), Err(TryLockError::WouldBlock)));
    assert!(matches!(upgradable.write_timeout(short), Err(LockTimeoutError::Timeout)));
    assert_eq!(*upgradable.read().unwrap(), 1);
}

// fault 112
#[test]
fn no_later_thread_is_taken_for_one_that_ended_with_its_guards_forgotten() {
    let _watchdog = watchdog();
    let locks = locks();
    forget_all(&locks);
    for _ in 0..20 {
        thread::scope(|scope| {
            scope.spawn(|| are_held(&locks));
        });
    }
}

// fault 112
#[test]
fn what_a_thread_of_another_process_has_forgotten_stays_locked_until_that_process_ends() {
    multiprocess::init();
    let _watchdog = watchdog();
    let locks = locks();
    let child = child_with(&locks, |(locks, here): (Locks, Event)| {
        forget_all(&locks);
        are_held(&locks); // Of this process, too.
        stay(&here);
    });
    are_held(&locks);
    let pid = kill(child);
    let (mutex, reentrant, written, upgradable) = &locks;
    let cause = Some(PoisonedBy::OwnerDied { pid });
    assert_eq!(mutex.lock().unwrap_err().cause(), cause);
    assert_eq!(reentrant.lock().unwrap_err().cause(), cause);
    assert_eq!(written.write().unwrap_err().cause(), cause);
    assert_eq!(*upgradable.write().unwrap(), 1, "a reader's death spoils nothing");
}

// fault 112
#[test]
fn a_forgotten_readers_guard_does_not_read_the_next_lock_at_its_address() {
    let _watchdog = watchdog();
    for _ in 0..20 {
        let lock = RwLock::new(1u32).unwrap();
        forget(lock.read().unwrap());
        // The kernel maps the next lock where this one was.
        drop(lock);
        let next = RwLock::new(1u32).unwrap();
        thread::scope(|scope| {
            let (tx, rx) = std::sync::mpsc::channel::<()>();
            let (held, is_held) = std::sync::mpsc::channel::<()>();
            let next = &next;
            scope.spawn(move || {
                let _guard = next.write().unwrap();
                held.send(()).unwrap();
                let _ = rx.recv();
            });
            is_held.recv().unwrap();
            assert!(next.try_read().unwrap_err().is_would_block());
            drop(tx);
        });
    }
}
