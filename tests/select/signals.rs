//! Selecting over events and semaphores, beside channels, between processes.

use std::cell::Cell;
use std::time::Duration;

use ipc_core::__private::select::wait;
use ipc_core::Deadline;
use ipc_shm::__private::{LockWait, WriteTurn};
use ipc_sys::sleep::ThisThread;
use multiprocess::shm::lock::{LockError, Refused, RwLockWriteGuard, TryLockError};
use multiprocess::shm::{BoundedSemaphore, Event, Mutex, RwLock, Semaphore};
use multiprocess::{Receiver, Route, Select, Sender};
use testkit::fork::forked;
use testkit::proc::all_asleep;
use testkit::{until, watchdog};

use crate::processes::{for_ever, kill, start, while_asleep};
use crate::support::{ROUTES, SHORT, channel};

/// Sets the event as often as told, or sets it and clears it at once.
fn set((event, clear, go): (Event, bool, Receiver<()>)) {
    for () in go {
        event.set().unwrap();
        if clear {
            event.clear().unwrap();
        }
    }
}

#[test]
fn an_event_that_another_process_sets_is_chosen_beside_a_channel() {
    multiprocess::init();
    let _watchdog = watchdog();
    for route in ROUTES {
        for auto in [false, true] {
            let event = if auto { Event::auto().unwrap() } else { Event::new().unwrap() };
            let ((go, told), (_never, rx)) = (channel(Route::Pipe), channel::<u32>(route));
            let child = start(set, (event.clone(), false, told));
            for _ in 0..3 {
                let mut select = Select::new();
                select.recv(&rx);
                let due = select.wait_for(&event);
                assert!(select.try_select().is_err() && select.try_ready().is_err());
                while_asleep(
                    || {
                        assert_eq!(select.ready(), due);
                        let chosen = select.select();
                        assert_eq!(chosen.index(), due);
                        chosen.wait_for(&event).unwrap();
                    },
                    || go.send(()).unwrap(),
                );
                assert_eq!(event.is_set(), !auto, "an automatic event was taken");
                event.clear().unwrap();
            }
            drop(go);
            child.join().unwrap();
        }
    }
}

#[test]
fn a_manual_event_that_is_cleared_at_once_was_set() {
    multiprocess::init();
    let _watchdog = watchdog();
    for route in ROUTES {
        let event = Event::new().unwrap();
        let ((go, told), (_never, rx)) = (channel(Route::Pipe), channel::<u32>(route));
        let child = start(set, (event.clone(), true, told));
        let mut select = Select::new();
        select.recv(&rx);
        select.wait_for(&event);
        for _ in 0..3 {
            while_asleep(|| select.select().wait_for(&event).unwrap(), || go.send(()).unwrap());
            until("it is cleared", || !event.is_set());
            assert!(select.try_select().is_err(), "it was set before this wait began");
        }
        drop(go);
        child.join().unwrap();
    }
}

#[test]
fn each_automatic_event_is_taken_by_one_of_several_processes_that_select() {
    multiprocess::init();
    let _watchdog = watchdog();
    const EVENTS: u64 = 200;
    type Ends = (Event, Receiver<()>, Sender<()>);
    fn take((event, stop, taken): Ends) -> u64 {
        let mut select = Select::new();
        let due = select.wait_for(&event);
        select.recv(&stop);
        for n in 0.. {
            let chosen = select.select();
            if chosen.index() != due {
                assert!(chosen.recv(&stop).is_err());
                return n;
            }
            chosen.wait_for(&event).unwrap();
            taken.send(()).unwrap();
        }
        unreachable!()
    }
    for route in [Route::Shm, Route::Pipe] {
        let event = Event::auto().unwrap();
        let ((stop, stopped), (told, taken)) = (channel::<()>(route), channel(Route::Shm));
        let children =
            [(); 3].map(|()| start(take, (event.clone(), stopped.clone(), told.clone())));
        for _ in 0..EVENTS {
            event.set().unwrap();
            taken.recv().unwrap();
        }
        drop(stop);
        let all: u64 = children.map(|child| child.join().unwrap()).iter().sum();
        assert_eq!(all, EVENTS);
        assert!(!event.is_set());
    }
}

#[test]
fn a_permit_that_another_process_releases_is_chosen_beside_a_channel() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn release((permits, go): (Semaphore, Receiver<()>)) {
        for () in go {
            permits.release(1).unwrap();
        }
    }
    for route in ROUTES {
        let permits = Semaphore::new(0).unwrap();
        let ((go, told), (_never, rx)) = (channel(Route::Pipe), channel::<u32>(route));
        let child = start(release, (permits.clone(), told));
        let mut select = Select::new();
        select.recv(&rx);
        let free = select.acquire(&permits);
        let mut held = Vec::new();
        for _ in 0..3 {
            assert!(select.try_select().is_err() && select.try_ready().is_err());
            held.push(while_asleep(
                || {
                    let chosen = select.select();
                    assert_eq!(chosen.index(), free);
                    chosen.acquire(&permits).unwrap()
                },
                || go.send(()).unwrap(),
            ));
            assert_eq!(permits.available_permits(), 0);
        }
        assert!(select.select_timeout(SHORT).is_err());
        drop(held);
        assert_eq!(permits.available_permits(), 3);
        drop(go);
        child.join().unwrap();
    }
}

#[test]
fn what_was_chosen_and_not_completed_is_given_back_to_the_next() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (event, permits) = (Event::auto().unwrap(), BoundedSemaphore::new(1).unwrap());
    let (other, others) = (Event::new().unwrap(), Semaphore::new(1).unwrap());
    fn panics(f: impl FnOnce()) {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err());
    }
    let chosen_event = || {
        event.set().unwrap();
        let mut select = Select::new();
        select.wait_for(&event);
        let chosen = select.select();
        assert!(!event.is_set());
        chosen
    };
    let chosen_permit = || {
        let mut select = Select::new();
        select.acquire(&permits);
        let chosen = select.select();
        assert_eq!(permits.available_permits(), 0);
        chosen
    };
    let wrong_event: [&dyn Fn(); 4] = [
        &|| drop(chosen_event()),
        &|| chosen_event().wait_for(&other).unwrap(),
        &|| drop(chosen_event().acquire(&permits)),
        &|| chosen_event().complete(),
    ];
    for wrong in wrong_event {
        panics(wrong);
        assert!(event.is_set());
        event.clear().unwrap();
    }
    let wrong_permit: [&dyn Fn(); 4] = [
        &|| drop(chosen_permit()),
        &|| drop(chosen_permit().acquire(&others)),
        &|| chosen_permit().wait_for(&event).unwrap(),
        &|| chosen_permit().complete(),
    ];
    for wrong in wrong_permit {
        panics(wrong);
        assert_eq!(permits.available_permits(), 1);
    }
    // A waiter that sleeps gets it.
    let chosen = chosen_permit();
    while_asleep(|| drop(permits.acquire().unwrap()), || panics(|| drop(chosen)));
    let chosen = chosen_event();
    while_asleep(|| event.wait().unwrap(), || panics(|| drop(chosen)));
}

type Chosen = (Semaphore, Sender<()>);

/// Chooses a permit, reports it, and never completes it.
fn choose((permits, chosen): Chosen) {
    let mut select = Select::new();
    select.acquire(&permits);
    let _operation = select.select();
    chosen.send(()).unwrap();
    for_ever()
}

/// Chooses a permit, keeps it, and reports it.
fn acquire((permits, chosen): Chosen) {
    let mut select = Select::new();
    select.acquire(&permits);
    let _permit = select.select().acquire(&permits).unwrap();
    chosen.send(()).unwrap();
    for_ever()
}

// fault 92
#[test]
fn a_permit_that_a_killed_process_had_chosen_is_chosen_by_another_process() {
    multiprocess::init();
    let _watchdog = watchdog();
    for route in ROUTES {
        for holds in [choose, acquire] {
            let permits = Semaphore::new(1).unwrap();
            let (tx, chosen) = channel(Route::Pipe);
            let (_never, rx) = channel::<u32>(route);
            let mut select = Select::new();
            select.recv(&rx);
            select.acquire(&permits);
            // By a waiter that sleeps.
            let victim = start(holds, (permits.clone(), tx.clone()));
            chosen.recv().unwrap();
            assert!(select.try_select().is_err());
            while_asleep(|| drop(select.select().acquire(&permits).unwrap()), || kill(victim));
            // By a call that does not wait.
            let victim = start(holds, (permits.clone(), tx.clone()));
            chosen.recv().unwrap();
            kill(victim);
            drop(select.try_select().unwrap().acquire(&permits).unwrap());
            // By short waits.
            let victim = start(holds, (permits.clone(), tx));
            chosen.recv().unwrap();
            kill(victim);
            let short = Duration::from_micros(50);
            let chosen = loop {
                if let Ok(chosen) = select.select_timeout(short) {
                    break chosen;
                }
            };
            drop(chosen.acquire(&permits).unwrap());
        }
    }
}

// fault 92
#[test]
fn processes_that_are_killed_while_they_select_keep_no_wake_up_from_others() {
    multiprocess::init();
    let _watchdog = watchdog();
    type Ends = (Event, Semaphore, Receiver<u32>);
    fn select((event, permits, rx): Ends) {
        let mut select = Select::new();
        select.wait_for(&event);
        select.acquire(&permits);
        select.recv(&rx);
        // Not `ready`: a death makes the channel worth a look.
        let _operation = select.select();
        for_ever()
    }
    for route in [Route::Shm, Route::Pipe] {
        let (event, permits) = (Event::auto().unwrap(), Semaphore::new(0).unwrap());
        let (_never, rx) = channel::<u32>(route);
        for _ in 0..3 {
            let victims =
                [(); 2].map(|()| start(select, (event.clone(), permits.clone(), rx.clone())));
            for victim in &victims {
                until("the process sleeps", || all_asleep(victim.id()));
            }
            while_asleep(
                || event.wait().unwrap(),
                || {
                    victims.into_iter().for_each(kill);
                    event.set().unwrap();
                },
            );
            let permit = while_asleep(|| permits.acquire(), || permits.release(1).unwrap());
            multiprocess::shm::lock::Permit::forget(permit.unwrap()).unwrap();
        }
    }
}

#[test]
fn a_forked_process_is_refused() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (event, permits) = (Event::new().unwrap(), Semaphore::new(1).unwrap());
    let mut select = Select::new();
    select.wait_for(&event);
    let mut other = Select::new();
    other.acquire(&permits);
    let status = forked(|| {
        assert_eq!(select.select().wait_for(&event), Err(Refused::Forked));
        assert_eq!(other.select().acquire(&permits).err(), Some(Refused::Forked));
        assert_eq!((select.ready(), other.ready()), (0, 0));
    });
    assert_eq!(status, 0);
    assert!(select.try_select().is_err());
    assert_eq!(permits.available_permits(), 1);
}

/// Repeats an attempt to lock, and waits in between.
fn lock_by<G>(waits: &LockWait<'_>, attempt: impl Fn() -> Result<G, TryLockError<G>>) -> G {
    let attempt = |_| match attempt() {
        Ok(guard) => Some(guard),
        Err(TryLockError::WouldBlock) => None,
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(error) => panic!("{error}"),
    };
    let now = |i| attempt(i).into();
    wait(1, |_| waits, Deadline::Never, &ThisThread, now, attempt).expect("for ever").1
}

fn lock(mutex: &Mutex<u64>) -> multiprocess::shm::MutexGuard<'_, u64> {
    lock_by(&LockWait::mutex(mutex).unwrap(), || mutex.try_lock())
}

/// Waits for the turn, and then for the readers.
fn write(lock: &RwLock<u64>) -> RwLockWriteGuard<'_, u64> {
    let claim = |_| WriteTurn::claim(lock).unwrap();
    let now = |i| claim(i).into();
    let waits = LockWait::turn(lock).unwrap();
    let (_, turn) = wait(1, |_| &waits, Deadline::Never, &ThisThread, now, claim).unwrap();
    let (waits, turn) = (turn.waits(), Cell::new(Some(turn)));
    let finish = |_| match turn.take().unwrap().lock() {
        Ok(guard) => Some(guard),
        Err(still) => {
            turn.set(Some(still));
            None
        }
    };
    let now = |i| finish(i).into();
    let (_, guard) = wait(1, |_| &waits, Deadline::Never, &ThisThread, now, finish).unwrap();
    guard.unwrap_or_else(|error| match error {
        LockError::Poisoned(poisoned) => poisoned.into_inner(),
        LockError::Refused(why) => panic!("{why}"),
    })
}

#[test]
fn waiters_to_write_and_calls_that_lock_wake_each_other() {
    multiprocess::init();
    let _watchdog = watchdog();
    const EACH: u64 = 1000;
    fn count((lock, plain): (RwLock<u64>, bool)) {
        for _ in 0..EACH {
            *(if plain { lock.write().unwrap() } else { write(&lock) }) += 1;
            // Now and then a turn that comes to nothing.
            drop(WriteTurn::claim(&lock));
        }
    }
    fn look((lock, stop): (RwLock<u64>, Receiver<()>)) {
        let mut last = 0;
        while stop.try_recv().is_err_and(|error| error.is_empty()) {
            let waits = LockWait::read(&lock).unwrap();
            let now = *lock_by(&waits, || lock.try_read());
            assert!(now >= last);
            last = *lock.read().unwrap();
            assert!(last >= now);
        }
    }
    let lock = RwLock::new(0).unwrap();
    let (stop, stopped) = channel(Route::Pipe);
    let readers = [(); 2].map(|()| start(look, (lock.clone(), stopped.clone())));
    let writers = [false, true, false].map(|plain| start(count, (lock.clone(), plain)));
    writers.into_iter().for_each(|child| child.join().unwrap());
    drop(stop);
    readers.into_iter().for_each(|child| child.join().unwrap());
    assert_eq!(lock.get().unwrap(), 3 * EACH);
}

// fault 17
#[test]
fn a_waiter_to_write_keeps_new_readers_out_and_goes_on_when_a_reader_is_killed() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn hold((lock, held): (RwLock<u64>, Sender<()>)) {
        let _guard = lock.read().unwrap();
        held.send(()).unwrap();
        for_ever()
    }
    let lock = RwLock::new(3).unwrap();
    let (tx, held) = channel(Route::Pipe);
    let child = start(hold, (lock.clone(), tx));
    held.recv().unwrap();
    let turn = WriteTurn::claim(&lock).unwrap().expect("there is no writer");
    assert!(WriteTurn::claim(&lock).unwrap().is_none());
    assert!(lock.try_read().is_err());
    let Err(turn) = turn.lock() else { panic!("a process reads") };
    drop(turn);
    assert!(lock.try_read().is_ok(), "it was given up");
    let value = while_asleep(|| *write(&lock), || kill(child));
    assert_eq!(value, 3);
    assert!(lock.try_write().is_ok());
}

#[test]
fn waiters_for_a_mutex_and_calls_that_lock_wake_each_other() {
    multiprocess::init();
    let _watchdog = watchdog();
    const EACH: u64 = 3000;
    fn count((mutex, plain): (Mutex<u64>, bool)) {
        for _ in 0..EACH {
            *(if plain { mutex.lock().unwrap() } else { lock(&mutex) }) += 1;
        }
    }
    let mutex = Mutex::new(0).unwrap();
    let children = [false, true, false].map(|plain| start(count, (mutex.clone(), plain)));
    children.into_iter().for_each(|child| child.join().unwrap());
    assert_eq!(mutex.get().unwrap(), 3 * EACH);
}

// fault 17
#[test]
fn a_waiter_gets_the_lock_of_a_killed_process_and_of_one_that_releases_it() {
    multiprocess::init();
    let _watchdog = watchdog();
    type Locks = (Mutex<u64>, RwLock<u64>);
    fn hold(((mutex, rwlock), held, go): (Locks, Sender<()>, Receiver<()>)) {
        let _guards = (mutex.lock().unwrap(), rwlock.write().unwrap());
        held.send(()).unwrap();
        go.recv().unwrap();
    }
    for killed in [false, true] {
        let locks = (Mutex::new(1).unwrap(), RwLock::new(2).unwrap());
        let (tx, held) = channel(Route::Pipe);
        let (go, told) = channel(Route::Pipe);
        let child = start(hold, (locks.clone(), tx, told));
        held.recv().unwrap();
        let (mutex, rwlock) = &locks;
        std::thread::scope(|scope| {
            let waiters = [
                scope.spawn(|| *lock(mutex)),
                scope.spawn(|| *lock_by(&LockWait::read(rwlock).unwrap(), || rwlock.try_read())),
                scope.spawn(|| *write(rwlock)),
            ];
            match killed {
                true => kill(child),
                false => {
                    go.send(()).unwrap();
                    child.join().unwrap();
                }
            }
            assert_eq!(waiters.map(|waiter| waiter.join().unwrap()), [1, 2, 2]);
        });
    }
}
