//! Killed after an instruction of an operation on a lock.

use std::cell::Cell;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use multiprocess::shm::lock::{LockTimeoutError, PoisonedBy};
use multiprocess::shm::{Condvar, Mutex, RwLock, Segment, Semaphore};
use serde::{Deserialize, Serialize};

use crate::steps::{kill_after_each, watchdog};
use crate::tracer::Stand;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Act {
    /// Locks, changes two words, and unlocks.
    Lock,
    Update,
    Write,
    Read,
    Permit,
}

#[derive(Clone, Serialize, Deserialize)]
struct Locks {
    mutex: Mutex<[u64; 2]>,
    lock: RwLock<[u64; 2]>,
    semaphore: Semaphore,
}

fn act(((locks, act), stand): ((Locks, Act), Stand)) {
    let marks = stand.wait();
    marks.mark();
    match act {
        Act::Lock => {
            let mut words = locks.mutex.lock().unwrap();
            words[0] += 1;
            words[1] += 1;
        }
        Act::Update => {
            let both = |words: &mut [u64; 2]| {
                words[0] += 1;
                words[1] += 1;
            };
            locks.mutex.update(both).unwrap();
        }
        Act::Write => {
            let mut words = locks.lock.write().unwrap();
            words[0] += 1;
            words[1] += 1;
        }
        Act::Read => assert_eq!(locks.lock.read().unwrap()[0], locks.lock.read().unwrap()[1]),
        Act::Permit => drop(locks.semaphore.acquire().unwrap()),
    }
    marks.mark();
}

const PATIENCE: Duration = Duration::from_secs(10);

/// No process has any of it, what is half done says so, and all of it works.
fn look(locks: &Locks, act: Act, after: u64) {
    let died = |cause: Option<PoisonedBy>| {
        assert!(matches!(cause, Some(PoisonedBy::OwnerDied { .. })), "{act:?}, {after}")
    };
    match locks.mutex.lock_timeout(PATIENCE) {
        Ok(words) => assert_eq!(words[0], words[1], "{act:?}: half of it, after {after}"),
        Err(error) => {
            assert_eq!(act, Act::Lock, "{error}, after {after}");
            died(error.cause());
            let LockTimeoutError::Poisoned(poisoned) = error else {
                panic!("{error}, after {after}")
            };
            *poisoned.into_inner() = [0; 2];
            locks.mutex.clear_poison();
        }
    }
    match locks.lock.write_timeout(PATIENCE) {
        Ok(words) => assert_eq!(words[0], words[1], "{act:?}: half of it, after {after}"),
        Err(error) => {
            assert_eq!(act, Act::Write, "{error}, after {after}");
            died(error.cause());
            let LockTimeoutError::Poisoned(poisoned) = error else {
                panic!("{error}, after {after}")
            };
            *poisoned.into_inner() = [0; 2];
            locks.lock.clear_poison();
        }
    }
    drop(locks.mutex.lock().unwrap());
    drop(locks.lock.read().unwrap());
    let permits = [(); 2]
        .map(|()| locks.semaphore.acquire_timeout(PATIENCE).unwrap().expect("a permit is lost"));
    assert!(
        locks.semaphore.try_acquire().unwrap().is_none(),
        "{act:?}: a permit more, after {after}"
    );
    drop(permits);
}

fn kill_while(what: Act) {
    let _watchdog = watchdog();
    let segment = Segment::anonymous(64 << 10).unwrap();
    let locks = Locks {
        mutex: Mutex::new_in(&segment, [0; 2]).unwrap(),
        lock: RwLock::new_in(&segment, [0; 2]).unwrap(),
        semaphore: Semaphore::new_in(&segment, 2).unwrap(),
    };
    let args = || (locks.clone(), what);
    kill_after_each(&format!("{what:?}"), act, args, |after| look(&locks, what, after));
}

// faults 11, 17
#[test]
fn killed_after_each_instruction_of_lock_and_unlock() {
    multiprocess::init();
    kill_while(Act::Lock);
}

// faults 11, 18
#[test]
fn killed_after_each_instruction_of_update() {
    multiprocess::init();
    kill_while(Act::Update);
}

// fault 11
#[test]
fn killed_after_each_instruction_of_writing() {
    multiprocess::init();
    kill_while(Act::Write);
}

// fault 11
#[test]
fn killed_after_each_instruction_of_reading() {
    multiprocess::init();
    kill_while(Act::Read);
}

// fault 11
#[test]
fn killed_after_each_instruction_of_a_permit() {
    multiprocess::init();
    kill_while(Act::Permit);
}

/// Changes what another waits for, and tells it: half of the times it is told before the mutex is
/// given back.
fn change(((mutex, condvar, early), stand): ((Mutex<u64>, Condvar, bool), Stand)) {
    let marks = stand.wait();
    marks.mark();
    let mut guard = mutex.lock().unwrap();
    *guard += 1;
    if early {
        condvar.notify_one().unwrap();
        drop(guard);
    } else {
        drop(guard);
        condvar.notify_one().unwrap();
    }
    marks.mark();
}

// fault 11: a waiter for what is changed wakes up, whether it was still notified or not.
#[test]
fn killed_after_each_instruction_of_notifying() {
    multiprocess::init();
    let _watchdog = watchdog();
    for early in [false, true] {
        let waiter = Cell::new(None);
        let args = || {
            let (mutex, condvar) = (Mutex::new(0).unwrap(), Condvar::new().unwrap());
            let theirs = (mutex.clone(), condvar.clone());
            let (send, has_it) = channel();
            waiter.set(Some(thread::spawn(move || {
                let guard = theirs.0.lock().unwrap();
                send.send(()).unwrap();
                drop(theirs.1.wait(guard));
            })));
            has_it.recv().unwrap();
            // The waiter has the mutex until it waits.
            drop(mutex.lock().unwrap());
            (mutex, condvar, early)
        };
        let look = |_| waiter.take().expect("one waits for each").join().expect("it wakes up");
        kill_after_each("Notify", change, args, look);
    }
}
