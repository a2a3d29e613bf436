//! What `std::sync` does, item by item: the rows of the table in the documentation of
//! `ipc_shm::lock`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::shm::lock::{
    BarrierError, LockError, MutexGuard, OnceError, Permit, PoisonedBy, ReentrantMutexGuard,
    Refused, RwLockWriteGuard, TryLockError,
};
use multiprocess::shm::{
    Barrier, BoundedSemaphore, Condvar, Event, LazyLock, Mutex, Once, OnceLock, ReentrantMutex,
    RwLock, Segment, Semaphore,
};
use testkit::{until, watchdog};

use crate::support::sleeper;

const SHORT: Duration = Duration::from_millis(20);

fn panics(f: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
}

#[test]
fn a_mutex_excludes() {
    let _watchdog = watchdog();
    let mutex = Mutex::new(0u64).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..5000 {
                    *mutex.lock().unwrap() += 1;
                }
            });
        }
    });
    assert_eq!(mutex.get().unwrap(), 20_000);
}

#[test]
fn a_held_mutex_would_block_and_times_out() {
    let _watchdog = watchdog();
    let mutex = Mutex::new([1u32, 2]).unwrap();
    let guard = mutex.try_lock().unwrap();
    assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(mutex.try_lock().unwrap_err().is_would_block());
            let began = Instant::now();
            assert!(mutex.lock_timeout(SHORT).unwrap_err().is_timeout());
            assert!(mutex.lock_deadline(began + 2 * SHORT).unwrap_err().is_timeout());
            assert!(began.elapsed() >= 2 * SHORT);
        });
    });
    drop(guard);
    drop(mutex.lock_timeout(SHORT).unwrap());
    assert_eq!(*mutex.lock().unwrap(), [1, 2]);
}

// fault 37
#[test]
fn a_panic_poisons_a_mutex_until_it_is_cleared() {
    let _watchdog = watchdog();
    let mutex = Mutex::new(1u32).unwrap();
    panics(|| {
        let mut guard = mutex.lock().unwrap();
        *guard = 2;
        panic!("on purpose");
    });
    assert!(mutex.is_poisoned());
    let poisoned = match mutex.lock() {
        Err(LockError::Poisoned(poisoned)) => poisoned,
        other => panic!("{other:?}"),
    };
    assert_eq!((poisoned.cause(), **poisoned.get_ref()), (PoisonedBy::Panicked, 2));
    assert!(mutex.try_lock().unwrap_err().is_would_block(), "the error holds the guard");
    drop(poisoned);
    assert_eq!(mutex.try_lock().unwrap_err().cause(), Some(PoisonedBy::Panicked));
    assert_eq!(mutex.lock_timeout(SHORT).unwrap_err().cause(), Some(PoisonedBy::Panicked));
    assert_eq!(mutex.get().unwrap_err().cause(), Some(PoisonedBy::Panicked));
    assert_eq!(mutex.set(3).unwrap_err().cause(), Some(PoisonedBy::Panicked));
    let mut guard = mutex.lock().unwrap_err().into_guard().unwrap();
    *guard = 1;
    mutex.clear_poison();
    drop(guard);
    assert!(!mutex.is_poisoned());
    assert_eq!(mutex.get().unwrap(), 1);
    // A thread that panics already poisons nothing that it locks meanwhile and gives back.
    struct Locks<'a>(&'a Mutex<u32>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    panics(|| {
        let _locks = Locks(&mutex);
        panic!("on purpose");
    });
    assert_eq!(mutex.get().unwrap(), 2);
}

#[test]
fn an_update_that_panics_changes_and_poisons_nothing() {
    let _watchdog = watchdog();
    let mutex = Mutex::new([1u64, 1]).unwrap();
    panics(|| {
        let _ = mutex.update(|pair| {
            pair[0] = 2;
            panic!("on purpose");
        });
    });
    assert_eq!(mutex.get().unwrap(), [1, 1]);
    assert_eq!(mutex.update(|pair| std::mem::replace(pair, [3, 3])).unwrap(), [1, 1]);
    assert_eq!(*mutex.lock().unwrap(), [3, 3]);
}

#[test]
fn a_mutex_of_a_slice_lends_all_of_it() {
    let _watchdog = watchdog();
    let mutex = Mutex::from_slice(&[0u16; 1000]).unwrap();
    let theirs = mutex.clone();
    thread::spawn(move || theirs.lock().unwrap().fill(7)).join().unwrap();
    assert_eq!(mutex.to_vec().unwrap(), [7; 1000]);
    mutex.update(|values| values[999] = 8).unwrap();
    assert_eq!((mutex.len(), mutex.lock().unwrap()[998..] == [7, 8]), (1000, true));
    let empty = Mutex::<[u64]>::from_slice(&[]).unwrap();
    assert!(
        empty.is_empty() && empty.lock().unwrap().is_empty() && empty.to_vec().unwrap().is_empty()
    );
    // Aligned more than words are.
    let wide = Mutex::new(1u128).unwrap();
    *wide.lock().unwrap() += 1;
    wide.update(|value| *value += 1).unwrap();
    assert_eq!(wide.get().unwrap(), 3);
    let unit = Mutex::new(()).unwrap();
    drop(unit.lock().unwrap());
}

// faults 85, 86
#[test]
fn waiting_for_oneself_or_giving_back_what_is_not_held_is_an_error() {
    let _watchdog = watchdog();
    let mutex = Mutex::new(1u8).unwrap();
    let guard = mutex.lock().unwrap();
    assert!(matches!(mutex.lock(), Err(LockError::Refused(Refused::WouldDeadlock))));
    assert!(matches!(mutex.update(|_| ()), Err(LockError::Refused(Refused::WouldDeadlock))));
    assert!(
        mutex
            .lock_timeout(Duration::from_secs(9))
            .unwrap_err()
            .to_string()
            .contains("holds the lock already")
    );
    thread::scope(|scope| {
        // SAFETY: this thread has no guard.
        scope.spawn(|| assert_eq!(unsafe { mutex.force_unlock() }, Err(Refused::NotOwner)));
    });
    assert!(mutex.try_lock().unwrap_err().is_would_block(), "it is as it was");
    assert_eq!(MutexGuard::unlock(guard), Ok(()));
    // SAFETY: there is no guard.
    assert_eq!(unsafe { mutex.force_unlock() }, Err(Refused::NotOwner));
    std::mem::forget(mutex.lock().unwrap());
    // SAFETY: the guard is forgotten.
    assert_eq!(unsafe { mutex.force_unlock() }, Ok(()));
    drop(mutex.lock().unwrap());
}

#[test]
fn a_reentrant_mutex_counts_its_guards() {
    let _watchdog = watchdog();
    let mutex = ReentrantMutex::new(0u32).unwrap();
    let (one, two) = (mutex.lock().unwrap(), mutex.try_lock().unwrap());
    two.set(one.get() + 5);
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(mutex.try_lock().unwrap_err().is_would_block());
            assert!(mutex.lock_timeout(SHORT).unwrap_err().is_timeout());
        });
    });
    assert_eq!(ReentrantMutexGuard::unlock(one), Ok(()));
    thread::scope(|scope| {
        scope.spawn(|| assert!(mutex.try_lock().unwrap_err().is_would_block()));
    });
    drop(two);
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(mutex.lock().unwrap().get(), 5));
    });
    panics(|| {
        let _guard = mutex.lock().unwrap();
        panic!("on purpose");
    });
    assert_eq!(mutex.lock().unwrap_err().cause(), Some(PoisonedBy::Panicked));
    mutex.clear_poison();
    assert!(!mutex.is_poisoned());
}

#[test]
fn readers_share_and_a_writer_is_alone() {
    let _watchdog = watchdog();
    let lock = RwLock::new([0u64; 2]).unwrap();
    let one = lock.read().unwrap();
    let two = lock.try_read().unwrap();
    assert!(lock.try_write().unwrap_err().is_would_block());
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(lock.read().unwrap());
            assert!(lock.try_write().unwrap_err().is_would_block());
            assert!(lock.write_timeout(SHORT).unwrap_err().is_timeout());
            drop(lock.read().unwrap());
        });
    });
    drop((one, two));
    let mut writer = lock.write().unwrap();
    writer[0] = 1;
    thread::scope(|scope| {
        scope.spawn(|| {
            assert!(lock.try_read().unwrap_err().is_would_block());
            assert!(lock.read_timeout(SHORT).unwrap_err().is_timeout());
        });
    });
    drop(writer);
    assert_eq!(lock.get().unwrap(), [1, 0]);
    lock.set([5, 5]).unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let mut pair = lock.write().unwrap();
                    pair[0] += 1;
                    pair[1] += 1;
                }
            });
            scope.spawn(|| {
                for _ in 0..2000 {
                    let pair = lock.read().unwrap();
                    assert_eq!(pair[0], pair[1]);
                }
            });
        }
    });
    assert_eq!(lock.get().unwrap(), [4005, 4005]);
    let many = RwLock::from_slice(&[1u8; 100]).unwrap();
    many.write().unwrap()[7] = 2;
    assert_eq!(many.to_vec().unwrap()[6..9], [1, 2, 1]);
}

#[test]
fn a_waiting_writer_keeps_new_readers_out_but_not_those_that_read_already() {
    let _watchdog = watchdog();
    let lock = RwLock::new(0u32).unwrap();
    let reader = lock.read().unwrap();
    let theirs = lock.clone();
    let writer = sleeper(move || *theirs.write().unwrap() = 1);
    drop(lock.read().unwrap());
    let theirs = lock.clone();
    let late = sleeper(move || *theirs.read().unwrap());
    assert!(!late.is_finished());
    drop(reader);
    writer.join().unwrap();
    assert_eq!(late.join().unwrap(), 1);
}

// fault 86
#[test]
fn a_reader_that_would_write_and_a_writer_that_would_read_get_errors() {
    let _watchdog = watchdog();
    let lock = RwLock::new(0u32).unwrap();
    let reader = lock.read().unwrap();
    assert!(matches!(lock.write(), Err(LockError::Refused(Refused::WouldDeadlock))));
    drop(reader);
    let writer = lock.write().unwrap();
    assert!(matches!(lock.read(), Err(LockError::Refused(Refused::WouldDeadlock))));
    assert!(matches!(lock.write(), Err(LockError::Refused(Refused::WouldDeadlock))));
    assert!(lock.try_read().unwrap_err().is_would_block());
    drop(writer);
    drop(lock.write().unwrap());
}

#[test]
fn a_writers_panic_poisons_and_a_readers_does_not() {
    let _watchdog = watchdog();
    let lock = RwLock::new(0u32).unwrap();
    panics(|| {
        let _guard = lock.read().unwrap();
        panic!("on purpose");
    });
    assert!(!lock.is_poisoned());
    panics(|| {
        let _guard = lock.write().unwrap();
        panic!("on purpose");
    });
    assert_eq!(lock.read().unwrap_err().cause(), Some(PoisonedBy::Panicked));
    assert_eq!(lock.try_write().unwrap_err().cause(), Some(PoisonedBy::Panicked));
    lock.clear_poison();
    drop(lock.read().unwrap());
}

#[test]
fn an_upgradable_reader_shares_upgrades_and_steps_down() {
    let _watchdog = watchdog();
    let lock = RwLock::new(1u32).unwrap();
    let upgradable = lock.upgradable_read().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            drop(lock.read().unwrap());
            assert!(lock.try_upgradable_read().unwrap_err().is_would_block());
            assert!(lock.try_write().unwrap_err().is_would_block());
        });
    });
    let theirs = lock.clone();
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let reader = thread::spawn(move || {
        let _guard = theirs.read().unwrap();
        hold.send(()).unwrap();
        released.recv().unwrap();
    });
    held.recv().unwrap();
    let upgradable = upgradable.try_upgrade().unwrap_err();
    let upgradable = upgradable.upgrade_timeout(SHORT).unwrap_err();
    drop(lock.try_read().unwrap());
    release.send(()).unwrap();
    reader.join().unwrap();
    let mut writer = upgradable.upgrade().unwrap();
    *writer = 2;
    let upgradable = RwLockWriteGuard::downgrade_to_upgradable(writer).unwrap();
    drop(lock.try_read().unwrap());
    let writer = upgradable.try_upgrade().unwrap();
    let reader = RwLockWriteGuard::downgrade(writer).unwrap();
    assert_eq!((*reader, *lock.read().unwrap()), (2, 2));
    assert!(lock.try_write().unwrap_err().is_would_block());
    drop(reader);
    drop(lock.write().unwrap());
}

#[test]
fn notify_one_wakes_the_one_that_waited_longest_and_no_other() {
    let _watchdog = watchdog();
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    assert_eq!(condvar.notify_one(), Ok(false), "without a waiter it is gone");
    assert_eq!(condvar.notify_all(), Ok(0));
    let order = std::sync::Arc::new(AtomicUsize::new(0));
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let (mutex, condvar, order) = (mutex.clone(), condvar.clone(), order.clone());
            sleeper(move || {
                drop(condvar.wait(mutex.lock().unwrap()).unwrap());
                order.fetch_add(1, SeqCst)
            })
        })
        .collect();
    for (nth, waiter) in waiters.into_iter().enumerate() {
        // More than some slices: no waiter wakes up for nothing.
        thread::sleep(SHORT);
        assert_eq!(order.load(SeqCst), nth);
        assert_eq!(condvar.notify_one(), Ok(true));
        assert_eq!(waiter.join().unwrap(), nth);
    }
}

#[test]
fn notify_all_wakes_all_also_those_beyond_the_places() {
    let _watchdog = watchdog();
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let waiters: Vec<_> = (0..70)
        .map(|_| {
            let (mutex, condvar) = (mutex.clone(), condvar.clone());
            sleeper(move || {
                let guard = condvar.wait_while(mutex.lock().unwrap(), |go| *go == 0).unwrap();
                assert_eq!(*guard, 1);
            })
        })
        .collect();
    *mutex.lock().unwrap() = 1;
    let notified = condvar.notify_all().unwrap();
    assert!(
        (64..=70).contains(&notified),
        "{notified}: those without a place count while they sleep"
    );
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
}

#[test]
fn a_wait_with_a_deadline_says_whether_it_was_over() {
    let _watchdog = watchdog();
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let (guard, result) = condvar.wait_timeout(mutex.lock().unwrap(), SHORT).unwrap();
    assert!(result.timed_out());
    let (guard, result) = condvar.wait_timeout_while(guard, SHORT, |value| *value == 0).unwrap();
    assert!(result.timed_out());
    let (guard, result) = condvar.wait_timeout_while(guard, SHORT, |value| *value != 0).unwrap();
    assert!(!result.timed_out());
    let (guard, result) = condvar.wait_deadline(guard, Instant::now() + SHORT).unwrap();
    assert!(result.timed_out());
    drop(guard);
    // Notified, and not late.
    let theirs = (mutex.clone(), condvar.clone());
    let waiter =
        sleeper(move || theirs.1.wait_timeout(theirs.0.lock().unwrap(), 1000 * SHORT).unwrap().1);
    condvar.notify_one().unwrap();
    assert!(!waiter.join().unwrap().timed_out());
    // A waiter with a poisoned mutex gets both.
    panics(|| {
        let _guard = mutex.lock().unwrap();
        panic!("on purpose");
    });
    let guard = mutex.lock().unwrap_err().into_guard().unwrap();
    let failed = condvar.wait_timeout(guard, SHORT).unwrap_err();
    assert_eq!(failed.cause(), Some(PoisonedBy::Panicked));
    assert!(failed.into_guard().unwrap().1.timed_out());
}

#[test]
fn a_semaphore_counts() {
    let _watchdog = watchdog();
    let semaphore = Semaphore::new(2).unwrap();
    let (one, two) = (semaphore.acquire().unwrap(), semaphore.acquire().unwrap());
    assert!(semaphore.try_acquire().unwrap().is_none());
    assert!(semaphore.acquire_timeout(SHORT).unwrap().is_none());
    assert_eq!(semaphore.available_permits(), 0);
    let theirs = semaphore.clone();
    let waiter = sleeper(move || drop(theirs.acquire().unwrap()));
    // From another thread: it belongs to the process.
    thread::scope(|scope| scope.spawn(|| drop(one)).join().unwrap());
    waiter.join().unwrap();
    Permit::forget(two).unwrap();
    assert_eq!(semaphore.available_permits(), 1);
    semaphore.release(2).unwrap();
    assert_eq!(semaphore.available_permits(), 3);
    assert_eq!(semaphore.release(Semaphore::MAX_PERMITS), Err(Refused::TooMany));
    assert_eq!(Permit::give_back(semaphore.acquire().unwrap()), Ok(()));
    assert!(Semaphore::new(Semaphore::MAX_PERMITS + 1).is_err());
    let inside = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    let _permit = semaphore.acquire().unwrap();
                    assert!(inside.fetch_add(1, SeqCst) < 3);
                    inside.fetch_sub(1, SeqCst);
                }
            });
        }
    });
    assert_eq!(semaphore.available_permits(), 3);
}

#[test]
fn a_bounded_semaphore_is_not_released_beyond_what_it_began_with() {
    let _watchdog = watchdog();
    let semaphore = BoundedSemaphore::new(2).unwrap();
    assert_eq!(semaphore.release(1), Err(Refused::TooMany));
    let permit = semaphore.acquire().unwrap();
    assert_eq!(semaphore.release(1), Err(Refused::TooMany), "one is held, not gone");
    Permit::forget(permit).unwrap();
    assert_eq!(semaphore.release(1), Ok(()));
    assert_eq!(semaphore.available_permits(), 2);
}

#[test]
fn a_barrier_has_one_leader_each_round() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(3).unwrap();
    let leaders = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..200 {
                    if barrier.wait().unwrap().is_leader() {
                        leaders.fetch_add(1, SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!((leaders.load(SeqCst), barrier.waiting(), barrier.parties()), (200, 0, 3));
    for parties in [0, 1] {
        assert!(Barrier::new(parties).unwrap().wait().unwrap().is_leader());
    }
}

#[test]
fn a_barrier_breaks_and_is_reset_as_pythons() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(3).unwrap();
    let wait = || {
        let barrier = barrier.clone();
        sleeper(move || barrier.wait())
    };
    let waiter = wait();
    barrier.abort().unwrap();
    assert_eq!(waiter.join().unwrap(), Err(BarrierError::Broken));
    assert!(barrier.is_broken());
    assert_eq!(barrier.wait(), Err(BarrierError::Broken));
    barrier.reset().unwrap();
    assert!(!barrier.is_broken());
    let waiter = wait();
    assert_eq!(barrier.waiting(), 1);
    barrier.reset().unwrap();
    assert_eq!(waiter.join().unwrap(), Err(BarrierError::Broken));
    assert!(!barrier.is_broken());
    let waiter = wait();
    assert_eq!(barrier.wait_timeout(SHORT), Err(BarrierError::Timeout));
    assert_eq!(waiter.join().unwrap(), Err(BarrierError::Broken));
    barrier.reset().unwrap();
    let waiters = [wait(), wait()];
    assert!(barrier.wait().unwrap().is_leader());
    waiters.into_iter().for_each(|waiter| assert!(!waiter.join().unwrap().unwrap().is_leader()));
}

// fault 130: as Python's, with an action and a default timeout.
#[test]
fn the_last_party_acts_before_the_others_pass() {
    let _watchdog = watchdog();
    let barrier = Barrier::new(3).unwrap();
    let acted = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 1..=200 {
                    let leads =
                        barrier.wait_then(|| _ = acted.fetch_add(1, SeqCst)).unwrap().is_leader();
                    assert_eq!(acted.load(SeqCst), round, "{leads}");
                    // Without an action, so that none begins the next round before all have looked.
                    barrier.wait().unwrap();
                }
            });
        }
    });
    // A panic of the action breaks it for those that wait.
    let barrier = Barrier::new(2).unwrap();
    let theirs = barrier.clone();
    let waiter = sleeper(move || theirs.wait());
    panics(|| {
        let _ = barrier.wait_then(|| panic!("on purpose"));
    });
    assert_eq!(waiter.join().unwrap(), Err(BarrierError::Broken));
    barrier.reset().unwrap();
    barrier.set_default_timeout(Some(SHORT)).unwrap();
    assert_eq!(barrier.clone().wait(), Err(BarrierError::Timeout));
    barrier.reset().unwrap();
    assert_eq!(barrier.wait_then(|| panic!("it is not the last")), Err(BarrierError::Timeout));
}

#[test]
fn an_event_is_set_until_it_is_cleared() {
    let _watchdog = watchdog();
    let event = Event::new().unwrap();
    assert!(!event.is_set() && !event.try_wait().unwrap() && !event.wait_timeout(SHORT).unwrap());
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let event = event.clone();
            sleeper(move || event.wait().unwrap())
        })
        .collect();
    event.set().unwrap();
    event.clear().unwrap(); // They are let through all the same.
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    assert!(!event.is_set());
    event.set().unwrap();
    event.wait().unwrap();
    assert!(event.is_set() && event.wait_timeout(Duration::ZERO).unwrap());
}

#[test]
fn an_automatic_event_lets_one_through() {
    let _watchdog = watchdog();
    let event = Event::auto().unwrap();
    event.set().unwrap();
    event.set().unwrap();
    assert!(event.try_wait().unwrap() && !event.try_wait().unwrap());
    let through = std::sync::Arc::new(AtomicUsize::new(0));
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let (event, through) = (event.clone(), through.clone());
            sleeper(move || {
                event.wait().unwrap();
                through.fetch_add(1, SeqCst);
            })
        })
        .collect();
    for nth in 1..=3 {
        event.set().unwrap();
        until("it goes through", || through.load(SeqCst) == nth);
        thread::sleep(SHORT);
        assert_eq!(through.load(SeqCst), nth);
    }
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
}

#[test]
fn once_runs_once_and_is_poisoned_by_a_panic() {
    let _watchdog = watchdog();
    let (once, runs) = (Once::new().unwrap(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                once.call_once(|| {
                    thread::sleep(SHORT);
                    runs.fetch_add(1, SeqCst);
                })
                .unwrap();
                assert_eq!(runs.load(SeqCst), 1);
            });
        }
    });
    assert!(once.is_completed());
    once.wait().unwrap();
    let once = Once::new().unwrap();
    panics(|| {
        let _ = once.call_once(|| panic!("on purpose"));
    });
    assert_eq!(once.call_once(|| ()), Err(OnceError::Poisoned));
    assert_eq!(once.wait(), Err(OnceError::Poisoned));
    once.call_once_force(|state| assert!(state.is_poisoned())).unwrap();
    once.call_once(|| panic!("it is done")).unwrap();
    let once = Once::new().unwrap();
    once.call_once(|| {
        let again = once.call_once(|| ());
        assert_eq!(again, Err(OnceError::Refused(Refused::WouldDeadlock)));
    })
    .unwrap();
}

// fault 130
#[test]
fn once_is_waited_for_past_a_panic() {
    let _watchdog = watchdog();
    let once = Once::new().unwrap();
    panics(|| {
        let _ = once.call_once(|| panic!("on purpose"));
    });
    let theirs = once.clone();
    let waiter = sleeper(move || theirs.wait_force());
    assert_eq!(once.wait(), Err(OnceError::Poisoned));
    assert!(!waiter.is_finished());
    once.call_once_force(|state| assert!(state.is_poisoned())).unwrap();
    assert_eq!(waiter.join().unwrap(), Ok(()));
    assert_eq!(once.wait_force(), Ok(()));
}

// fault 130
#[test]
fn a_lazy_lock_makes_its_value_when_it_is_first_asked_for() {
    let _watchdog = watchdog();
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let lazy = LazyLock::new(|| {
        assert!(RUNS.fetch_add(1, SeqCst) > 0, "the first one panics on purpose");
        true
    })
    .unwrap();
    assert_eq!((LazyLock::get(&lazy), RUNS.load(SeqCst)), (None, 0));
    panics(|| {
        let _ = LazyLock::force(&lazy);
    });
    thread::scope(|scope| {
        for _ in 0..4 {
            let lazy = lazy.clone();
            scope.spawn(move || assert_eq!(LazyLock::force(&lazy), Ok(&true)));
        }
    });
    assert_eq!((LazyLock::get(&lazy), RUNS.load(SeqCst)), (Some(&true), 2));
}

#[test]
fn a_once_lock_takes_one_value() {
    let _watchdog = watchdog();
    let cell = OnceLock::new().unwrap();
    assert_eq!((cell.get(), cell.copied()), (None, None));
    panics(|| {
        let _ = cell.get_or_init(|| panic!("on purpose"));
    });
    assert_eq!(cell.get_or_try_init(|| Err("not yet")).unwrap(), Err("not yet"));
    let theirs = cell.clone();
    let waiter = sleeper(move || *theirs.wait().unwrap());
    assert_eq!(cell.get_or_init(|| [1u32, 2]), Ok(&[1, 2]));
    assert_eq!(waiter.join().unwrap(), [1, 2]);
    assert_eq!((cell.set([3, 3]), cell.get()), (Ok(Err([3, 3])), Some(&[1, 2])));
    let other = OnceLock::new().unwrap();
    assert_eq!((other.set(7u64), other.copied()), (Ok(Ok(())), Some(7)));
    assert_eq!(cell.get_or_init(|| panic!("it is there")), Ok(&[1, 2]));
    let unit = OnceLock::<()>::new().unwrap();
    assert_eq!((unit.get(), unit.set(()), unit.get()), (None, Ok(Ok(())), Some(&())));
}

#[test]
fn all_kinds_lie_in_one_segment_and_are_found_by_their_offsets() {
    let segment = Segment::anonymous(64 << 10).unwrap();
    let mutex = Mutex::new_in(&segment, 1u64).unwrap();
    let slice = Mutex::from_slice_in(&segment, &[2u8; 3]).unwrap();
    let rwlock = RwLock::new_in(&segment, 3u64).unwrap();
    let reentrant = ReentrantMutex::new_in(&segment, 4u64).unwrap();
    let semaphore = Semaphore::new_in(&segment, 5).unwrap();
    let bounded = BoundedSemaphore::new_in(&segment, 6).unwrap();
    let barrier = Barrier::new_in(&segment, 7).unwrap();
    let event = Event::auto_in(&segment).unwrap();
    let condvar = Condvar::new_in(&segment).unwrap();
    let once = Once::new_in(&segment).unwrap();
    let cell = OnceLock::<u64>::new_in(&segment).unwrap();
    assert_eq!(Mutex::<u64>::at(&segment, mutex.offset()).unwrap().get().unwrap(), 1);
    assert_eq!(Mutex::<[u8]>::at(&segment, slice.offset()).unwrap().to_vec().unwrap(), [2; 3]);
    assert_eq!(RwLock::<u64>::at(&segment, rwlock.offset()).unwrap().get().unwrap(), 3);
    assert_eq!(
        ReentrantMutex::<u64>::at(&segment, reentrant.offset()).unwrap().lock().unwrap().get(),
        4
    );
    assert_eq!(Semaphore::at(&segment, semaphore.offset()).unwrap().available_permits(), 5);
    let again = BoundedSemaphore::at(&segment, bounded.offset()).unwrap();
    assert_eq!((again.available_permits(), again.release(1)), (6, Err(Refused::TooMany)));
    assert_eq!(Barrier::at(&segment, barrier.offset()).unwrap().parties(), 7);
    event.set().unwrap();
    let event = Event::at(&segment, event.offset()).unwrap();
    assert!(event.try_wait().unwrap() && !event.try_wait().unwrap());
    Condvar::at(&segment, condvar.offset()).unwrap().notify_all().unwrap();
    assert!(!Once::at(&segment, once.offset()).unwrap().is_completed());
    assert_eq!(OnceLock::<u64>::at(&segment, cell.offset()).unwrap().copied(), None);
    assert!(mutex.segment().same_segment(&segment));
    // Another kind, another type, no lock at all, not there.
    for refused in [
        Mutex::<i64>::at(&segment, mutex.offset()).map(drop),
        RwLock::<u64>::at(&segment, mutex.offset()).map(drop),
        Mutex::<[u64]>::at(&segment, mutex.offset()).map(drop),
        Semaphore::at(&segment, bounded.offset()).map(drop),
        Mutex::<u64>::at(&segment, mutex.offset() + 8).map(drop),
        Mutex::<u64>::at(&segment, 60 << 10).map(drop),
    ] {
        assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    }
    assert_eq!(Once::at(&segment, 64 << 10).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}
