//! A fork without exec: the locks that the child inherited answer an error, and the parent's go on.

use std::cell::Cell;

use multiprocess::shm::lock::{BarrierError, LockError, MutexGuard, OnceError, Refused};
use multiprocess::shm::{
    Barrier, Condvar, Event, Mutex, Once, OnceLock, ReentrantMutex, RwLock, Semaphore,
};
use testkit::{forked, watchdog};

use crate::support::in_child;

fn refused<R>(result: Result<R, LockError<impl Sized>>) {
    assert!(matches!(result, Err(LockError::Refused(Refused::Forked))));
}

// faults 85, 89
#[test]
fn an_inherited_lock_returns_errors_and_the_parents_still_works() {
    multiprocess::init();
    let _watchdog = watchdog();
    let test = |()| {
        let mutex = Mutex::new(1u64).unwrap();
        let reentrant = ReentrantMutex::new(1u64).unwrap();
        let lock = RwLock::new(1u64).unwrap();
        let semaphore = Semaphore::new(2).unwrap();
        let (barrier, event, condvar) =
            (Barrier::new(1).unwrap(), Event::new().unwrap(), Condvar::new().unwrap());
        let (once, cell) = (Once::new().unwrap(), OnceLock::new().unwrap());
        cell.set(7u64).unwrap().unwrap();
        let held = Mutex::new(5u64).unwrap();
        let guards = Cell::new(Some((
            held.lock().unwrap(),
            reentrant.lock().unwrap(),
            lock.read().unwrap(),
            semaphore.acquire().unwrap(),
        )));
        let to_unlock = Cell::new(Some(mutex.lock().unwrap()));
        let status = forked(|| {
            refused(mutex.lock());
            assert!(
                mutex.try_lock().is_err() && mutex.get().is_err() && mutex.update(|_| ()).is_err()
            );
            assert!(!mutex.is_poisoned());
            mutex.clear_poison();
            refused(reentrant.lock());
            refused(lock.read());
            refused(lock.write());
            assert!(
                lock.try_upgradable_read().is_err() && lock.get().is_err() && lock.set(2).is_err()
            );
            assert_eq!(semaphore.acquire().map(drop), Err(Refused::Forked));
            assert_eq!(
                (semaphore.release(1), semaphore.available_permits()),
                (Err(Refused::Forked), 0)
            );
            assert_eq!(barrier.wait(), Err(BarrierError::Refused(Refused::Forked)));
            assert_eq!((barrier.abort(), barrier.waiting()), (Err(Refused::Forked), 0));
            assert_eq!(
                (event.set(), event.wait(), event.is_set()),
                (Err(Refused::Forked), Err(Refused::Forked), false)
            );
            assert_eq!(condvar.notify_one(), Err(Refused::Forked));
            assert_eq!(once.call_once(|| ()), Err(OnceError::Refused(Refused::Forked)));
            assert_eq!((cell.get(), cell.set(8)), (None, Err(Refused::Forked)));
            assert_eq!(MutexGuard::unlock(to_unlock.take().unwrap()), Err(Refused::Forked));
            drop(guards.take());
            let _ =
                format!("{mutex:?} {lock:?} {semaphore:?} {barrier:?} {event:?} {once:?} {cell:?}");
            drop((barrier.clone(), mutex.clone()));
        });
        assert_eq!(status, 0);
        // What the child dropped is still held here.
        assert!(held.try_lock().unwrap_err().is_would_block());
        assert!(mutex.try_lock().unwrap_err().is_would_block());
        assert_eq!(semaphore.available_permits(), 1);
        let (guard, ..) = guards.take().unwrap();
        assert_eq!(MutexGuard::unlock(guard), Ok(()));
        drop(to_unlock.take());
        drop(lock.write().unwrap());
        assert_eq!((mutex.get().unwrap(), semaphore.available_permits()), (1, 2));
        barrier.wait().unwrap();
    };
    in_child(test, ());
}
